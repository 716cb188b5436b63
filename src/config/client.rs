use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::backoff::Backoff;
use crate::proto::Limits;
use crate::proto::handshake::HttpProxy;
#[cfg(feature = "tls")]
use crate::reactor::TlsClient;

/// How a client connects, and the limits of its connection.
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
    pub(crate) proxy: Option<HttpProxy>,
    pub(crate) redirects: u8,
    pub(crate) reconnect: Option<Backoff>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsClient>,
}

impl ClientConfig {
    /// The limits of the connection. Replaces what [`max_message`](Self::max_message) and
    /// [`connect_timeout`](Self::connect_timeout) have set.
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

    /// How long it may take to open the connection: name lookup, connecting and the handshake
    /// together. Default: 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.limits = self.limits.handshake_timeout(time);
        self
    }

    /// The subprotocols that the client offers, the preferred one first. Default: none.
    #[must_use]
    pub fn subprotocols<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Compresses messages if the server agrees. Default: no compression.
    ///
    /// Needs the feature `deflate`.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub const fn deflate(mut self, config: crate::proto::DeflateConfig) -> Self {
        self.deflate = Some(config);
        self
    }

    /// The trusted root certificates. A `wss://` URL requires them. Default: none.
    ///
    /// Needs the feature `tls`.
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

    /// Sends an `Origin` header, as a web page does. Default: none.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
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

    /// Connects to this address instead of looking up the URL's host. Several addresses are tried
    /// in the order in which they were added: the next one after 250 ms, while earlier ones
    /// continue, or at once when an earlier one has failed. The first connection that succeeds is
    /// used.
    #[must_use]
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.addresses.push(address);
        self
    }

    /// Connects again whenever the connection has ended or could not be made, after a delay.
    /// Default: connects once.
    ///
    /// Each connection has an id of its own. They have the [`link`](crate::Connection::link) in
    /// common. In `on_close` and `on_connect_error`,
    /// [`retry_in`](crate::Connection::retry_in) says when the link tries again. It does so until
    /// it is stopped ([`stop_reconnecting`](crate::Context::stop_reconnecting)), the application
    /// [closes](crate::Connection::close) the connection, its endpoint is removed, or the loop
    /// shuts down. Subscriptions and queued output end with their connection.
    ///
    /// An attempt that finds as many connections as
    /// [`Config::max_connections`](crate::Config::max_connections) allows counts as a failure, for
    /// which no handler is called.
    ///
    /// ```
    /// use eventwire::{
    ///     Backoff, ClientConfig, Config, Connection, Disconnect, EventLoop, WebSocketHandler,
    /// };
    ///
    /// struct Feed;
    ///
    /// impl WebSocketHandler<()> for Feed {
    ///     fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
    ///         conn.send("subscribe prices");
    ///     }
    ///
    ///     fn on_close(&mut self, conn: &mut Connection<'_>, why: &Disconnect, _: &mut ()) {
    ///         eprintln!("{why}, next attempt in {:?}", conn.retry_in());
    ///     }
    /// }
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// let config = ClientConfig::default().reconnect(Backoff::default());
    /// event_loop.connect("ws://127.0.0.1:9001", config, Feed)?;
    /// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    #[must_use]
    pub const fn reconnect(mut self, backoff: Backoff) -> Self {
        self.reconnect = Some(backoff);
        self
    }

    /// Connects to this Unix socket instead of an address. The URL still determines the request.
    #[must_use]
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.unix_socket = Some(path.into());
        self
    }

    /// Connects through this HTTP proxy, which opens a tunnel to the server by `CONNECT`. Default:
    /// none; the environment is not looked at.
    ///
    /// The proxy looks up the URL's host. Only its own host is looked up here, and
    /// [`address`](Self::address) and [`unix_socket`](Self::unix_socket) name the proxy. With a
    /// `wss://` URL, TLS begins inside of the tunnel, with the URL's host: the proxy cannot read or
    /// change anything.
    ///
    /// The tunnel is part of the handshake: one deadline covers both
    /// ([`connect_timeout`](Self::connect_timeout)). A proxy that refuses is reported with its
    /// response ([`ConnectError::Proxy`](crate::ConnectError::Proxy)).
    #[must_use]
    pub fn proxy(mut self, proxy: HttpProxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Follows up to this many redirects: a response with status 301, 302, 303, 307 or 308 and the
    /// header `Location`, which names another URL (RFC 9110 §15.4). Default: 0. A redirect is then
    /// a refusal as any other ([`ConnectError::Refused`](crate::ConnectError::Refused)), because a
    /// browser's WebSocket does not follow any either. Where they are wanted, 5 are enough.
    ///
    /// - `http` and `https` count as `ws` and `wss`. A redirect from `wss` to `ws` is an error, as
    ///   is one redirect too many: a loop ends so
    ///   ([`ConnectError::Redirect`](crate::ConnectError::Redirect)).
    /// - The request is the same, but `Authorization`, `Cookie` and `Proxy-Authorization` are sent
    ///   only to the origin (scheme, host and port) of the first URL. All other
    ///   [headers](Self::header) are sent to every server.
    /// - [`address`](Self::address) and [`unix_socket`](Self::unix_socket) name servers of that
    ///   origin only. Hosts of others are looked up.
    /// - The connection keeps its id. All of this has one deadline
    ///   ([`connect_timeout`](Self::connect_timeout)).
    #[must_use]
    pub const fn redirects(mut self, max: u8) -> Self {
        self.redirects = max;
        self
    }
}
