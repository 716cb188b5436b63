use std::time::Duration;

use crate::config::max_age::MaxAge;
use crate::net::proxies::TrustedProxies;
use crate::proto::stream::StreamLimits;
#[cfg(feature = "tls")]
use crate::reactor::{TlsClient, TlsServer};

/// How raw streams are accepted and made, and their limits. One configuration serves both.
///
/// The limits on queued output are those of all connections: [`Config::outbox`].
///
/// ```
/// use std::time::Duration;
/// use eventwire::StreamConfig;
///
/// let config = StreamConfig::default()
///     .max_kept(4 * 1024)
///     .idle_timeout(Some(Duration::from_secs(60)));
/// ```
///
/// [`Config::outbox`]: crate::Config::outbox
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamConfig {
    pub(crate) limits: StreamLimits,
    pub(crate) unsent_limit: u32,
    pub(crate) backlog: u32,
    pub(crate) proxies: Option<TrustedProxies>,
    pub(crate) is_exempt: bool,
    pub(crate) max_age: Option<Box<MaxAge>>,
    #[cfg(feature = "tls")]
    pub(crate) tls_server: Option<TlsServer>,
    #[cfg(feature = "tls")]
    pub(crate) tls_client: Option<TlsClient>,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            limits: StreamLimits::default(),
            unsent_limit: 0,
            backlog: 4096,
            proxies: None,
            is_exempt: false,
            max_age: None,
            #[cfg(feature = "tls")]
            tls_server: None,
            #[cfg(feature = "tls")]
            tls_client: None,
        }
    }
}

impl StreamConfig {
    /// The most bytes of input that [`StreamHandler::on_data`] may leave unused. Default: 64 KiB,
    /// many times a line or a header, and little enough for many connections at once. A longer unit
    /// of a protocol, the body of a message for instance, is better used piece by piece.
    ///
    /// The loop keeps that input. With more, the stream is closed ([`Disconnect::UnusedInput`]).
    ///
    /// [`StreamHandler::on_data`]: crate::StreamHandler::on_data
    /// [`Disconnect::UnusedInput`]: crate::Disconnect::UnusedInput
    #[must_use]
    pub const fn max_kept(mut self, bytes: usize) -> Self {
        self.limits.kept = bytes;
        self
    }

    /// How long it may take to open a stream: name lookup, connecting and the handshake of TLS
    /// together; for an accepted stream, the header of a proxy and the handshake of TLS. Default:
    /// 10 s, as for WebSockets: enough for a slow network with retransmissions.
    #[must_use]
    pub const fn connect_timeout(mut self, time: Duration) -> Self {
        self.limits.connect_timeout = time;
        self
    }

    /// How long the peer may send nothing, `None` for ever. Then the stream is closed
    /// ([`TimedOut::Idle`](crate::proto::TimedOut)). Default: 5 minutes, longer than common
    /// protocols leave between two heartbeats, so that peers that vanished do not hold descriptors
    /// for ever.
    ///
    /// There is no ping that every protocol knows. What the peer is sent says nothing either: the
    /// system accepts it even if the peer is gone. Only output that had to wait, and that the peer
    /// took, counts as a sign of life. So set `None`, or send pings of the protocol, if peers only
    /// listen. While reading is paused, there is no deadline.
    #[must_use]
    pub const fn idle_timeout(mut self, time: Option<Duration>) -> Self {
        self.limits.idle_timeout = time;
        self
    }

    /// How long the peer has, after this end has ended its half of the stream, to end its own.
    /// Default: 5 s, as for WebSockets. It starts again whenever the peer takes output that waits.
    #[must_use]
    pub const fn close_timeout(mut self, time: Duration) -> Self {
        self.limits.close_timeout = time;
        self
    }

    /// How old a stream may become, accepted or made, as
    /// [`ServerConfig::max_age`](crate::ServerConfig::max_age). Default: as old as it likes. It is
    /// closed as by [`Connection::close`](crate::Connection::close), after what was sent to it.
    #[must_use]
    pub fn max_age(mut self, age: impl Into<MaxAge>) -> Self {
        self.max_age = Some(Box::new(age.into()));
        self
    }

    /// The most bytes of the stream's output that the system may hold without having begun to send
    /// them, as [`ServerConfig::unsent_limit`](crate::ServerConfig::unsent_limit). Default: no
    /// limit. At least 4 KiB.
    #[must_use]
    pub const fn unsent_limit(mut self, bytes: u32) -> Self {
        self.unsent_limit = if bytes < 4096 { 4096 } else { bytes };
        self
    }

    /// The most connections that the system holds until they are accepted. Default: 4,096, as
    /// [`ServerConfig::backlog`](crate::ServerConfig::backlog).
    #[must_use]
    pub const fn backlog(mut self, count: u32) -> Self {
        self.backlog = count;
        self
    }

    /// The proxies whose header of the PROXY protocol is trusted
    /// ([`TrustedProxies::proxy_protocol`]). Default: none. Other kinds of proxies write HTTP
    /// headers, and have no effect here.
    #[must_use]
    pub fn proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = Some(proxies);
        self
    }

    /// Exempts the accepted streams of this configuration from the limits of addresses
    /// ([`Config::address_limits`](crate::Config::address_limits)). Default: they count,
    /// together with those of other listeners.
    #[must_use]
    pub const fn exempt_from_address_limits(mut self) -> Self {
        self.is_exempt = true;
        self
    }

    /// Uses TLS on every stream that is accepted. Default: no TLS.
    ///
    /// Needs the feature `tls`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_server(mut self, tls: TlsServer) -> Self {
        self.tls_server = Some(tls);
        self
    }

    /// Uses TLS on every stream that is connected, with these trusted roots. The certificate must
    /// be valid for the host that was named. Default: no TLS.
    ///
    /// Needs the feature `tls`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_client(mut self, tls: TlsClient) -> Self {
        self.tls_client = Some(tls);
        self
    }
}
