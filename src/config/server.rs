use crate::config::max_age::MaxAge;
use crate::net::proxies::TrustedProxies;
use crate::proto::Limits;
use crate::proto::handshake::OriginPolicy;
#[cfg(feature = "tls")]
use crate::reactor::TlsServer;

/// How a listener treats its connections.
///
/// ```
/// use eventwire::ServerConfig;
/// use eventwire::proto::handshake::OriginPolicy;
///
/// let config = ServerConfig::default()
///     .max_message(64 * 1024)
///     .subprotocols(["chat.v2", "chat.v1"])
///     .origins(OriginPolicy::Listed(vec!["https://example.com".into()]));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    pub(crate) limits: Limits,
    pub(crate) subprotocols: Vec<String>,
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<crate::proto::DeflateConfig>,
    pub(crate) origins: OriginPolicy,
    pub(crate) backlog: u32,
    pub(crate) unsent_limit: u32,
    pub(crate) proxies: Option<TrustedProxies>,
    pub(crate) is_exempt: bool,
    pub(crate) max_age: Option<Box<MaxAge>>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsServer>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            subprotocols: Vec::new(),
            #[cfg(feature = "deflate")]
            deflate: None,
            origins: OriginPolicy::default(),
            backlog: 4096,
            unsent_limit: 0,
            proxies: None,
            is_exempt: false,
            max_age: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl ServerConfig {
    /// The limits of one connection. Replaces what [`max_message`](Self::max_message) has set.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The longest message that is accepted, in bytes. Default: 1 MiB.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.limits = self.limits.max_message(bytes);
        self
    }

    /// The longest body of an HTTP request, in bytes. Default: 64 KiB
    /// ([`Limits::max_body`]).
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.limits = self.limits.max_body(bytes);
        self
    }

    /// The subprotocols that the server supports, the preferred one first. Default: none. The
    /// server chooses the first that the client also offers, unless `on_upgrade` chooses another.
    #[must_use]
    pub fn subprotocols<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Compresses messages on connections whose peer negotiates it. Default: no compression.
    ///
    /// Needs the feature `deflate`.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub const fn deflate(mut self, config: crate::proto::DeflateConfig) -> Self {
        self.deflate = Some(config);
        self
    }

    /// The web pages that may connect, by their origin. Default: pages of the same origin, and only
    /// those over `https` if the listener uses TLS. Clients other than browsers send no origin and
    /// are accepted.
    #[must_use]
    pub fn origins(mut self, policy: OriginPolicy) -> Self {
        self.origins = policy;
        self
    }

    /// The proxies whose information about the client's address is trusted. Default: none, so that
    /// no client can forge its address.
    #[must_use]
    pub fn proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = Some(proxies);
        self
    }

    /// Exempts the connections of this listener from the limits of addresses
    /// ([`Config::address_limits`](crate::Config::address_limits)), for instance if it is internal.
    /// Default: they count, together with those of other listeners.
    #[must_use]
    pub const fn exempt_from_address_limits(mut self) -> Self {
        self.is_exempt = true;
        self
    }

    /// How old a connection may become once it is open: a WebSocket of this configuration, or a
    /// streamed response of the listener's. Default: as old as it likes.
    ///
    /// It is closed with code 1012, within a tenth of the age before the maximum, chosen at random,
    /// unless the [`MaxAge`] says otherwise. A response ends without its last chunk, so that the
    /// client knows that it is incomplete, and a page's `EventSource` connects again. `on_close`
    /// gets [`Disconnect::ClosedByApplication`](crate::Disconnect::ClosedByApplication). At most
    /// 256 connections are closed in one turn; others that are due follow in the next.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eventwire::ServerConfig;
    ///
    /// let config = ServerConfig::default().max_age(Duration::from_secs(3600));
    /// ```
    #[must_use]
    pub fn max_age(mut self, age: impl Into<MaxAge>) -> Self {
        self.max_age = Some(Box::new(age.into()));
        self
    }

    /// Uses TLS on every connection (`wss://`, `https://`). Default: no TLS.
    ///
    /// Needs the feature `tls`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: TlsServer) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The most bytes of the connection's output that the system may hold without having begun to
    /// send them. Default: no limit. The system then holds some MiB, which gives the best
    /// throughput over long distances. At least 4 KiB.
    ///
    /// Output in the system is out of date when it arrives, and can be neither dropped nor
    /// overtaken. With a limit, the rest waits in the outbox, within
    /// [`Config::outbox`](crate::Config::outbox), where an
    /// [`OverflowPolicy`](crate::OverflowPolicy) applies to it. A connection with a subscription
    /// that has [`OverflowPolicy::KeepLatest`](crate::OverflowPolicy::KeepLatest) always has a
    /// limit of 16 KiB, and of 4 KiB if its peer reads slowly.
    ///
    /// The option is Linux's `TCP_NOTSENT_LOWAT`. The system exceeds it by the segment that it is
    /// filling, at most 64 KiB, and does not count bytes under way or in the peer's receive buffer.
    /// With TLS, the session holds at most another 64 KiB. A Unix socket has no such limit; it
    /// holds what the peer has not read, 208 KiB by default (`net.core.wmem_default`).
    #[must_use]
    pub const fn unsent_limit(mut self, bytes: u32) -> Self {
        self.unsent_limit = if bytes < 4096 { 4096 } else { bytes };
        self
    }

    /// The most connections that the system holds until they are accepted. Default: 4,096, so that
    /// clients of a burst do not have to retry after a second. The system may enforce a lower
    /// limit.
    #[must_use]
    pub const fn backlog(mut self, count: u32) -> Self {
        self.backlog = count;
        self
    }
}
