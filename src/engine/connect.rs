//! Making connections to servers, without waiting for anything.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::endpoint::Endpoint;
use super::handle::Resolved;
use super::{ConnectionId, EventLoop, WebSocketHandler};
use crate::config::ClientConfig;
use crate::error::Error;
use crate::net::connector::Connector;
use crate::net::peer::PeerAddr;
use crate::net::socket::Socket;
use crate::proto::handshake::{ClientRequest, Key as HandshakeKey, UrlError, WsUrl};
use crate::proto::{Connection, Workspace};
use crate::reactor::Reactor;
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Connects to a WebSocket server, which `handler` then talks to. Returns at once: the
    /// handler's `on_open` or `on_connect_error` tells how it went.
    ///
    /// `url` is `ws://host[:port][/path][?query]`, or the same with `wss`, for which the feature
    /// `tls` and `ClientConfig::tls` are needed. All addresses that the host stands for are
    /// tried in turn, within the configuration's one deadline.
    ///
    /// # Errors
    ///
    /// When the URL or the configuration's headers are invalid, there are as many connections as
    /// the configuration allows, or the loop is being drained. Where
    /// [others make room](crate::Config::max_connections), a later one finds it.
    pub fn connect(
        &mut self,
        url: &str,
        config: ClientConfig,
        handler: impl WebSocketHandler<S> + 'static,
    ) -> Result<ConnectionId, Error> {
        self.check_serving()?;
        let url = WsUrl::parse(url)?;
        if self.is_full() {
            self.make_room();
            return Err(Error::ConnectionLimit);
        }
        let (host, port, is_secure) = (url.host().to_owned(), url.port(), url.is_secure());
        #[cfg(feature = "tls")]
        let can_encrypt = config.tls.is_some();
        #[cfg(not(feature = "tls"))]
        let can_encrypt = false;
        if is_secure && !can_encrypt {
            return Err(UrlError::TlsNotConfigured.into());
        }
        let request = request(url, &config)?;
        let ClientConfig { limits, mut addresses, unix_socket, unsent_limit, .. } = config;
        #[cfg(feature = "tls")]
        let tls = config.tls.filter(|_| is_secure).map(|tls| (tls, host.clone()));
        #[cfg(feature = "tls")]
        let connector = Connector { addresses: Vec::new(), tls };
        #[cfg(not(feature = "tls"))]
        let connector = Connector::default();
        let mut endpoint = Endpoint::client(Box::new(handler), limits);
        endpoint.unsent_limit = unsent_limit;
        let conn = self.begin_connect(request, endpoint, connector);
        if let Some(path) = unix_socket {
            self.try_path(conn, &path);
            return Ok(ConnectionId(conn));
        }
        if addresses.is_empty() {
            addresses = known_addresses(&host, port);
        }
        if addresses.is_empty() {
            let handle = self.handle.clone();
            let done =
                Box::new(move |addresses| handle.push_resolved(Resolved { conn, addresses }));
            self.streams.reactor.resolve(&host, port, done);
        } else {
            self.try_addresses(conn, addresses);
        }
        Ok(ConnectionId(conn))
    }

    /// Makes the connection's entry, with its opening request held back.
    fn begin_connect(
        &mut self,
        request: ClientRequest,
        endpoint: Endpoint<S>,
        connector: Connector,
    ) -> Key {
        let mut nonce = [0; 16];
        for word in nonce.chunks_exact_mut(4) {
            word.copy_from_slice(&self.sockets.keys.next_key());
        }
        self.sockets.now = self.streams.reactor.now();
        let mut out = Vec::new();
        let mut workspace = Workspace {
            out: &mut out,
            keys: &mut self.sockets.keys,
            pool: &mut self.sockets.pool.buffers,
            now: self.sockets.now,
        };
        let key = HandshakeKey::from_nonce(nonce);
        let protocol = Connection::client(request, key, endpoint.limits.clone(), &mut workspace);
        let endpoint = self.endpoints.insert(endpoint);
        let mut socket = Socket::new(protocol, endpoint);
        socket.set_connector(connector);
        let conn = self.sockets.insert(socket);
        self.sockets.hold(conn, &out);
        conn
    }

    /// Goes on with connections whose names were looked up.
    #[inline(never)]
    pub(super) fn serve_resolved(&mut self) {
        while let Some(Resolved { conn, addresses }) = self.shared.resolved.pop() {
            match addresses {
                Ok(addresses) => self.try_addresses(conn, addresses),
                Err(error) => self.sockets.fail(conn, error),
            }
        }
    }

    fn try_addresses(&mut self, conn: Key, mut addresses: Vec<SocketAddr>) {
        addresses.reverse();
        if let Some(connector) = self.sockets.get_mut(conn).and_then(Socket::connector_mut) {
            connector.addresses = addresses;
            self.try_next(conn, io::ErrorKind::NotFound.into());
        }
    }

    /// Tries the next address; `error` is why the one before failed.
    fn try_next(&mut self, conn: Key, mut error: io::Error) {
        while let Some(address) = self.next_address(conn) {
            match self.try_address(conn, address) {
                Ok(()) => return,
                Err(failure) => error = failure,
            }
        }
        self.sockets.fail(conn, error);
    }

    fn next_address(&mut self, conn: Key) -> Option<SocketAddr> {
        let socket = self.sockets.get_mut(conn)?;
        let address = socket.connector_mut()?.addresses.pop()?;
        socket.peer = PeerAddr::from(Some(address));
        Some(address)
    }

    fn try_address(&mut self, conn: Key, address: SocketAddr) -> io::Result<()> {
        let stream = self.streams.reactor.connect(address)?;
        self.watch(conn, stream)
    }

    fn try_path(&mut self, conn: Key, path: &Path) {
        let stream = self.streams.reactor.connect_unix(path);
        if let Err(error) = stream.and_then(|stream| self.watch(conn, stream)) {
            self.sockets.fail(conn, error);
        }
    }

    /// Takes in the stream of a connection that is being made.
    fn watch(&mut self, conn: Key, stream: R::Stream) -> io::Result<()> {
        #[cfg(feature = "tls")]
        let stream = self.connect_tls(conn, stream)?;
        self.streams.insert(conn.index(), stream);
        self.streams.register(conn.index(), conn.to_bits())
    }

    /// Whether a connection that was being made is made now, so that it can be served.
    pub(super) fn finish_connect(&mut self, conn: Key) -> bool {
        match self.streams.connect_result(conn.index()) {
            Ok(true) => {
                if let Some(socket) = self.sockets.get_mut(conn) {
                    socket.end_connecting();
                }
                self.sockets.unblock(conn, &mut self.streams);
                true
            }
            Ok(false) => false,
            Err(error) => {
                self.try_next(conn, error);
                false
            }
        }
    }
}

fn request(url: WsUrl, config: &ClientConfig) -> Result<ClientRequest, Error> {
    let mut request = ClientRequest::new(url);
    for name in &config.subprotocols {
        request = request.subprotocol(name)?;
    }
    for (name, value) in &config.headers {
        request = request.header(name, value)?;
    }
    if let Some(origin) = &config.origin {
        request = request.origin(origin)?;
    }
    #[cfg(feature = "deflate")]
    if let Some(deflate) = config.deflate {
        request = request.deflate(deflate);
    }
    Ok(request)
}

/// The addresses that need no looking up: literals, and this machine (RFC 6761 §6.3).
fn known_addresses(host: &str, port: u16) -> Vec<SocketAddr> {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = literal.parse::<IpAddr>() {
        return vec![SocketAddr::new(ip, port)];
    }
    if host.eq_ignore_ascii_case("localhost") {
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return loopback.map(|ip| SocketAddr::new(ip, port)).into();
    }
    Vec::new()
}
