//! The limits of an address or a tag.

use super::rate::Rate;

/// What happens to an open connection that exceeds a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnExcess {
    /// It is not read from until the rate allows more, so that the peer has to slow down. No
    /// message is lost. This suits clients that send faster than agreed without bad intent.
    ///
    /// While it is not read from, its deadlines and pings are suspended, as during
    /// [`Connection::pause`](crate::Connection::pause). The two pauses are independent: neither
    /// ends the other.
    ///
    /// Where a limit is zero, an open connection is never read from.
    #[default]
    Pause,
    /// It is closed with code 1008 and a reason, and a raw stream is closed. The handler does not
    /// get the message that exceeds the rate.
    Close,
}

/// The limits of all connections that count together: those from a client's address
/// ([`Config::address_limits`](crate::Config::address_limits)), or those of a tag
/// ([`Connection::tag_with`](crate::Connection::tag_with)). None is set by default, since what is
/// too much depends on the application.
///
/// ```
/// use eventwire::{OnExcess, Rate, RateLimits};
///
/// let limits = RateLimits::new()
///     .connections(20)
///     .new_connections(Rate::per_minute(60))
///     .messages(Rate::per_second(20).burst(100))
///     .bytes(Rate::per_second(64 * 1024).burst(1024 * 1024))
///     .on_excess(OnExcess::Close);
/// ```
///
/// A limit of zero allows nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    pub(super) connections: Option<usize>,
    pub(super) new_connections: Option<Rate>,
    pub(super) messages: Option<Rate>,
    pub(super) bytes: Option<Rate>,
    pub(super) on_excess: OnExcess,
}

impl RateLimits {
    /// No limits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            connections: None,
            new_connections: None,
            messages: None,
            bytes: None,
            on_excess: OnExcess::Pause,
        }
    }

    /// The most connections at once. Default: no limit.
    ///
    /// From an address, connections count that are being opened or closed, too, and those of plain
    /// HTTP. Browsers keep up to six of these for one site, and people behind one router share its
    /// address.
    #[must_use]
    pub const fn connections(mut self, count: usize) -> Self {
        self.connections = Some(count);
        self
    }

    /// How many connections may be opened over time. Default: no limit. Those that are refused
    /// for it do not count.
    #[must_use]
    pub const fn new_connections(mut self, rate: Rate) -> Self {
        self.new_connections = Some(rate);
        self
    }

    /// How many messages and HTTP requests may arrive over time. Default: no limit.
    ///
    /// A message counts when it is complete. Pings, pongs and close frames do not count:
    /// [`Limits::control_rate`](crate::Limits::control_rate) is for them. Raw streams have no
    /// messages, so that only their bytes count.
    #[must_use]
    pub const fn messages(mut self, rate: Rate) -> Self {
        self.messages = Some(rate);
        self
    }

    /// How many bytes may arrive over time: everything on open connections, headers of frames
    /// included and TLS removed, and the HTTP requests. Default: no limit.
    ///
    /// With [`OnExcess::Close`], the burst should have room for the longest message, because a
    /// peer may send it at once.
    #[must_use]
    pub const fn bytes(mut self, rate: Rate) -> Self {
        self.bytes = Some(rate);
        self
    }

    /// What happens to an open connection that exceeds [`messages`](Self::messages) or
    /// [`bytes`](Self::bytes). Default: [`OnExcess::Pause`].
    #[must_use]
    pub const fn on_excess(mut self, on_excess: OnExcess) -> Self {
        self.on_excess = on_excess;
        self
    }

    /// Whether it limits what open connections receive.
    pub(crate) const fn limits_input(&self) -> bool {
        self.messages.is_some() || self.bytes.is_some()
    }
}
