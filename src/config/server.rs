use crate::net::proxies::TrustedProxies;
use crate::proto::Limits;
use crate::proto::handshake::OriginPolicy;
#[cfg(feature = "tls")]
use crate::reactor::TlsServer;

/// How a listener treats those who connect to it.
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
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl ServerConfig {
    /// What one connection may cost. Replaces what [`max_message`](Self::max_message) set.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The longest message that is received, in bytes. Default: 1 MiB.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.limits = self.limits.max_message(bytes);
        self
    }

    /// The subprotocols that the server speaks, the one liked best first. Default: none. The
    /// first that a client offers too is chosen, unless `on_upgrade` chooses.
    #[must_use]
    pub fn subprotocols<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Compresses messages, for connections whose peer wants that too. Default: none.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub const fn deflate(mut self, config: crate::proto::DeflateConfig) -> Self {
        self.deflate = Some(config);
        self
    }

    /// Which web pages may connect. Default: those of the same origin, of `https` alone if the
    /// listener speaks TLS. Clients that are not browsers send no origin and pass.
    #[must_use]
    pub fn origins(mut self, policy: OriginPolicy) -> Self {
        self.origins = policy;
        self
    }

    /// Which proxies are believed when they say whom they pass on. Default: none, so that clients
    /// cannot say it of themselves.
    #[must_use]
    pub fn proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = Some(proxies);
        self
    }

    /// Speaks TLS with every connection (`wss://`, `https://`). Default: none.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: TlsServer) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How many bytes of a connection's output the system may hold that it has not begun to send.
    /// Default: none, so that it holds as many as it likes, some MiB: the best throughput
    /// where the way is long. At least 4 KiB.
    ///
    /// What the system holds is stale by the time that it arrives, and can be neither dropped nor
    /// overtaken. With a limit the rest waits in the outbox instead, within
    /// [`Config::outbox`](crate::Config::outbox), and an
    /// [`OverflowPolicy`](crate::OverflowPolicy) applies to it. A connection with a subscription by
    /// [`OverflowPolicy::KeepLatest`](crate::OverflowPolicy::KeepLatest) has a limit of 16 KiB in
    /// any case, for as long as it has one.
    ///
    /// It is Linux's `TCP_NOTSENT_LOWAT`. The system goes beyond it by the segment that it fills,
    /// of 64 KiB at most, and does not count what is on its way or lies in the peer's receive
    /// buffer. With TLS, the session holds as much besides, 64 KiB at most. A Unix socket has no
    /// such limit; it holds what the peer has not read, 208 KiB by default
    /// (`net.core.wmem_default`).
    #[must_use]
    pub const fn unsent_limit(mut self, bytes: u32) -> Self {
        self.unsent_limit = if bytes < 4096 { 4096 } else { bytes };
        self
    }

    /// How many connections the system may hold until they are accepted. Default: 4,096, so that
    /// a storm of them does not have to try again after a second. The system may allow less.
    #[must_use]
    pub const fn backlog(mut self, count: u32) -> Self {
        self.backlog = count;
        self
    }
}
