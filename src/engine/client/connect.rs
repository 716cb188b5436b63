//! Making connections to servers, without waiting for anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::ClientConfig;
use crate::engine::client::dialer::Dialer;
use crate::engine::connection::Connection;
use crate::engine::event_loop::EventLoop;
use crate::engine::handler::{WebSocketHandler, on_message};
use crate::engine::ids::ConnectionId;
use crate::engine::server::endpoint::Endpoint;
use crate::error::Error;
use crate::net::connector::Connector;
use crate::net::socket::Socket;
use crate::proto::handshake::Key as HandshakeKey;
use crate::proto::handshake::{ClientRequest, UrlError, WsUrl};
use crate::proto::{Message, WebSocket, Workspace};
use crate::reactor::Reactor;
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Connects to a WebSocket server, with `handler` for the connection. Returns at once. Later
    /// the loop calls the handler's `on_open` or `on_connect_error`.
    ///
    /// `url` is `ws://host[:port][/path][?query]`, or the same with `wss`, which needs the feature
    /// `tls` and `ClientConfig::tls`.
    ///
    /// The loop tries all addresses of the host (RFC 8305), IPv6 and IPv4 alternately, beginning
    /// with the family of the system's first address. It tries the next address 250 ms after the
    /// previous one, whose attempt goes on meanwhile, or at once when an attempt has failed. It
    /// keeps the first connection that succeeds. One deadline covers all of this and the handshake
    /// ([`Limits::handshake_timeout`](crate::Limits::handshake_timeout)). Parallel attempts after a
    /// connection's first count as connections, and wait while
    /// [`Config::max_connections`](crate::Config::max_connections) is reached.
    ///
    /// Up to four threads look names up. They are started when needed, and look up each name once
    /// for all connections to it. While 1,024 lookups are queued, further ones fail with
    /// [`ConnectError::Io`](crate::ConnectError).
    ///
    /// # Errors
    ///
    /// If the URL or the configuration's headers are invalid, there are as many connections as the
    /// configuration allows, or the loop is shutting down. At the limit, the loop closes idle
    /// connections if it can ([`Config::max_connections`](crate::Config::max_connections)), so a
    /// later attempt may succeed.
    pub fn connect(
        &mut self,
        url: &str,
        config: ClientConfig,
        handler: impl WebSocketHandler<S> + 'static,
    ) -> Result<ConnectionId, Error> {
        self.check_serving()?;
        let url = WsUrl::parse(url)?;
        if self.dialer.is_full(&self.core.sockets) {
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
        let connector = Connector {
            #[cfg(feature = "tls")]
            tls,
            ..Connector::default()
        };
        let mut endpoint = Endpoint::client(Box::new(handler), limits);
        endpoint.unsent_limit = unsent_limit;
        let conn = self.begin_connect(request, endpoint, connector);
        if let Some(path) = unix_socket {
            self.dialer.try_path(&mut self.core, conn, &path);
            return Ok(ConnectionId(conn));
        }
        if addresses.is_empty() {
            addresses = known_addresses(&host, port);
        }
        if addresses.is_empty() {
            Dialer::look_up(&mut self.core, conn, &host, port, self.handle.clone());
        } else {
            self.dialer.try_addresses(&mut self.core, conn, addresses);
        }
        Ok(ConnectionId(conn))
    }

    /// Connects to a WebSocket server, with a closure that handles the messages, as
    /// [`connect`](Self::connect). Only a handler object learns that the connection has opened, has
    /// ended or could not be made.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_fn(
        &mut self,
        url: &str,
        config: ClientConfig,
        handler: impl FnMut(&mut Connection<'_>, Message<'_>, &mut S) + 'static,
    ) -> Result<ConnectionId, Error> {
        self.connect(url, config, on_message(handler))
    }

    /// Makes the connection's entry. Its opening request is queued until the stream is connected.
    fn begin_connect(
        &mut self,
        request: ClientRequest,
        endpoint: Endpoint<S>,
        connector: Connector,
    ) -> Key {
        let mut nonce = [0; 16];
        for word in nonce.chunks_exact_mut(4) {
            word.copy_from_slice(&self.core.sockets.output.mask_keys.next_key());
        }
        self.core.read_clock();
        let now = self.core.now();
        let mut out = Vec::new();
        let mut workspace = Workspace {
            out: &mut out,
            mask_keys: &mut self.core.sockets.output.mask_keys,
            pool: &mut self.core.sockets.output.storage.buffers,
            now,
        };
        let key = HandshakeKey::from_nonce(nonce);
        let protocol = WebSocket::client(request, key, endpoint.limits.clone(), &mut workspace);
        let endpoint = self.endpoints.insert(endpoint);
        let mut socket = Socket::new(protocol, endpoint);
        socket.rare.set_connector(connector);
        let conn = self.core.sockets.registry.insert(socket);
        self.core.sockets.queue_request(conn, &out);
        conn
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

/// The addresses of hosts that need no lookup: literals, and `localhost` (RFC 6761 §6.3).
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
