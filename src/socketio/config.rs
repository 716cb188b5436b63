//! The settings of a Socket.IO server.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::engine_io::Settings;
use super::handshake::Handshake;
use super::recovery::Recovery;
use crate::{Cors, OriginPolicy, ServerConfig};

/// Whether clients may join a namespace that is not listed.
type Admits = dyn Fn(&str) -> bool;

/// The settings of a Socket.IO server ([`Routes::socket_io`](crate::Routes::socket_io)), each with
/// its default and reason. The defaults of the protocol's times and sizes are those of Node's
/// server.
///
/// ```
/// use std::time::Duration;
/// use eventwire::Cors;
/// use eventwire::socketio::{Recovery, SocketIoConfig};
///
/// let config = SocketIoConfig::default()
///     .namespaces(["/", "/admin"])
///     .admit_namespaces(|name| name.starts_with("/room-"))
///     .max_payload(100_000)
///     .recovery(Recovery::within(Duration::from_secs(120)))
///     .cors(Cors::any());
/// # let _ = config;
/// ```
#[derive(Clone)]
pub struct SocketIoConfig {
    pub(super) settings: Settings,
    pub(super) upgrade_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) close_timeout: Duration,
    pub(super) namespaces: Vec<String>,
    admits: Rc<Admits>,
    pub(super) recovery: Option<Recovery>,
    pub(super) cors: Option<Cors>,
    pub(super) server: ServerConfig,
    pub(super) origins: OriginPolicy,
    pub(super) limits: Limits,
    pub(super) place: u16,
    #[cfg(feature = "deflate")]
    pub(super) compresses_polls: bool,
}

/// How much of each kind there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) sessions: usize,
    pub(super) unconfirmed: usize,
    pub(super) namespaces: usize,
    pub(super) rooms: usize,
    pub(super) asks: usize,
    pub(super) queued: usize,
    pub(super) partial: usize,
}

impl Default for SocketIoConfig {
    fn default() -> Self {
        Self {
            settings: Settings {
                ping_interval: Duration::from_secs(25),
                ping_timeout: Duration::from_secs(20),
                max_payload: 1_000_000,
            },
            upgrade_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(45),
            close_timeout: Duration::from_secs(30),
            namespaces: vec!["/".to_owned()],
            admits: Rc::new(|_| false),
            recovery: None,
            cors: None,
            server: ServerConfig::default(),
            origins: OriginPolicy::default(),
            limits: Limits {
                sessions: 65_536,
                unconfirmed: 16_384,
                namespaces: 32,
                rooms: 1024,
                asks: 256,
                queued: 2 * 1024 * 1024,
                partial: 64 * 1024 * 1024,
            },
            place: 0,
            #[cfg(feature = "deflate")]
            compresses_polls: false,
        }
    }
}

impl SocketIoConfig {
    /// The time from a client's pong, or its beginning, to the next ping. Default: 25 s, less than
    /// most proxies keep a silent connection.
    #[must_use]
    pub const fn ping_interval(mut self, time: Duration) -> Self {
        self.settings.ping_interval = time;
        self
    }

    /// How long a client may take to answer a ping. Default: 20 s. Then it is disconnected.
    #[must_use]
    pub const fn ping_timeout(mut self, time: Duration) -> Self {
        self.settings.ping_timeout = time;
        self
    }

    /// How long an upgrade to a WebSocket may take. Default: 10 s. Then the client stays with
    /// polling.
    #[must_use]
    pub const fn upgrade_timeout(mut self, time: Duration) -> Self {
        self.upgrade_timeout = time;
        self
    }

    /// How long a client may take to join its first namespace. Default: 45 s. Then it is
    /// disconnected.
    #[must_use]
    pub const fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect_timeout = time;
        self
    }

    /// The longest body of a `POST` request and the longest message of a WebSocket, in bytes.
    /// Default: 1,000,000. A longer body gets 413, and a WebSocket with a longer message is closed
    /// with code 1009. A binary attachment is a message of its own.
    #[must_use]
    pub const fn max_payload(mut self, bytes: usize) -> Self {
        self.settings.max_payload = bytes;
        self
    }

    /// The namespaces that every client may join. Default: `/` alone. A name begins with a slash.
    #[must_use]
    pub fn namespaces<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.namespaces = names.into_iter().map(Into::into).collect();
        self
    }

    /// Also lets clients join other namespaces, if the function admits their names. Default: none.
    /// Such a namespace exists while it has members. Names with `#` or `!`, which the names of
    /// topics use, are never admitted.
    #[must_use]
    pub fn admit_namespaces(mut self, admits: impl Fn(&str) -> bool + 'static) -> Self {
        self.admits = Rc::new(admits);
        self
    }

    /// Lets clients that lost their connection recover what they missed. Default: they cannot.
    #[must_use]
    pub const fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = Some(recovery);
        self
    }

    /// Lets pages of other origins use the server: CORS for requests, and the same origins for
    /// WebSockets. Default: pages of the same origin alone.
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        self.origins = cors.origin_policy();
        self.cors = Some(cors);
        self
    }

    /// The origins of pages that may use the server, without CORS for others. Default: the same
    /// origin.
    #[must_use]
    pub fn origins(mut self, policy: OriginPolicy) -> Self {
        self.origins = policy;
        self
    }

    /// Compresses messages on WebSockets whose client negotiates it, and responses to polls whose
    /// client accepts gzip. Default: no compression, which costs more time and memory than it saves
    /// for short messages.
    ///
    /// Needs the feature `deflate`.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, config: crate::DeflateConfig) -> Self {
        self.server = self.server.deflate(config);
        self.compresses_polls = true;
        self
    }

    /// The most sessions at once. Default: 65,536. Further clients get 503. WebSockets count as
    /// [connections](crate::Config::max_connections), too. As many sockets may be away and
    /// [recover](Self::recovery): beyond that the oldest one is forgotten.
    #[must_use]
    pub const fn max_sessions(mut self, count: usize) -> Self {
        self.limits.sessions = count;
        self
    }

    /// The most sessions by polling whose client has not come back with a second request. Default:
    /// 16,384, a quarter of the most sessions, which take some 20 MiB. Beyond that the oldest one
    /// ends.
    #[must_use]
    pub const fn max_unconfirmed(mut self, count: usize) -> Self {
        self.limits.unconfirmed = count;
        self
    }

    /// The most namespaces that one client may be in. Default: 32. A further one is refused.
    #[must_use]
    pub const fn max_namespaces(mut self, count: usize) -> Self {
        self.limits.namespaces = count;
        self
    }

    /// The most rooms that one socket may be in. Default: 1,024. The first
    /// [`Config::max_subscriptions`](crate::Config::max_subscriptions) cost the least.
    #[must_use]
    pub const fn max_rooms(mut self, count: usize) -> Self {
        self.limits.rooms = count;
        self
    }

    /// The most questions ([`Socket::ask`](super::Socket::ask)) that one socket may have open.
    /// Default: 256.
    #[must_use]
    pub const fn max_asks(mut self, count: usize) -> Self {
        self.limits.asks = count;
        self
    }

    /// The most bytes that may wait for one client's polls. Default: 2 MiB, as for
    /// [WebSockets](crate::Config::outbox). A client that exceeds it is disconnected, unless
    /// nothing waited before: one message may have any length.
    #[must_use]
    pub const fn max_queued(mut self, bytes: usize) -> Self {
        self.limits.queued = bytes;
        self
    }

    /// The most bytes of attachments of all clients together whose packets are not whole. Default:
    /// 64 MiB, as for [messages](crate::Config::max_inbound). A client whose attachment exceeds it
    /// is disconnected.
    #[must_use]
    pub const fn max_partial(mut self, bytes: usize) -> Self {
        self.limits.partial = bytes;
        self
    }

    /// A number of this loop, which every id of its clients begins with: of several loops or
    /// machines, each has its own, so that requests can be passed to the one that knows the
    /// session. Default: 0.
    #[must_use]
    pub const fn place(mut self, number: u16) -> Self {
        self.place = number;
        self
    }

    /// Whether responses to the polls of a client are compressed.
    #[cfg_attr(not(feature = "deflate"), expect(clippy::unused_self, reason = "it has no setting"))]
    pub(super) fn compresses(&self, handshake: &Handshake) -> bool {
        #[cfg(feature = "deflate")]
        let compresses = self.compresses_polls;
        #[cfg(not(feature = "deflate"))]
        let compresses = false;
        let accepts = |codings: &str| codings.split(',').any(|it| it.trim() == "gzip");
        compresses && handshake.header("accept-encoding").is_some_and(accepts)
    }

    /// Whether clients may join the namespace of that name.
    pub(super) fn admits(&self, name: &str) -> bool {
        // Otherwise a namespace could have the topic of a room, or of another one's history.
        let has_own_topics = || !name.contains(['#', '!']);
        self.namespaces.iter().any(|listed| listed == name)
            || (has_own_topics() && (self.admits)(name))
    }
}

impl fmt::Debug for SocketIoConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIoConfig")
            .field("settings", &self.settings)
            .field("namespaces", &self.namespaces)
            .field("recovery", &self.recovery)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
