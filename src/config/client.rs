use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::proto::Limits;
#[cfg(feature = "tls")]
use crate::reactor::TlsClient;

/// How a connection to a server is made and treated.
///
/// ```
/// use eventwire::ClientConfig;
///
/// let config = ClientConfig::default()
///     .subprotocols(["chat.v2"])
///     .header("Authorization", "Bearer abc");
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ClientConfig {
    pub(crate) limits: Limits,
    pub(crate) subprotocols: Vec<String>,
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<crate::proto::DeflateConfig>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) origin: Option<String>,
    pub(crate) unsent_limit: u32,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) unix_socket: Option<PathBuf>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsClient>,
}

impl ClientConfig {
    /// What the connection may cost. Replaces what [`max_message`](Self::max_message) and
    /// [`connect_timeout`](Self::connect_timeout) set.
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

    /// How long it may take until the connection is open: name, connection and handshake
    /// together. Default: 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.limits = self.limits.handshake_timeout(time);
        self
    }

    /// The subprotocols that the client speaks, the one liked best first. Default: none.
    #[must_use]
    pub fn subprotocols<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Compresses messages, if the server wants that too. Default: none.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub const fn deflate(mut self, config: crate::proto::DeflateConfig) -> Self {
        self.deflate = Some(config);
        self
    }

    /// Whom to believe, for a `wss://` URL, which needs it. Default: nobody.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: TlsClient) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Adds a header to the opening request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends an `Origin`, as a web page would. Default: none.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// How many bytes of the connection's output the system may hold that it has not begun to send.
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

    /// Connects to this address instead of those that the URL's host stands for. Several are tried
    /// in the order in which they were added, each 250 ms after the one before, which goes on
    /// meanwhile, or at once when one has failed; the first connection that is made is kept.
    #[must_use]
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.addresses.push(address);
        self
    }

    /// Connects to this Unix socket instead of any address; the URL still says what is asked for.
    #[must_use]
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.unix_socket = Some(path.into());
        self
    }
}
