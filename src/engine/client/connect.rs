//! Making connections to servers, without waiting for anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::config::ClientConfig;
use crate::engine::configured_handler::ConfiguredHandler;
use crate::engine::connection::Connection;
use crate::engine::context::Context;
use crate::engine::core::Core;
use crate::engine::endpoints::{ClientEndpoint, Endpoint, Registration};
use crate::engine::event_loop::EventLoop;
use crate::engine::handler::{WebSocketHandler, on_message};
use crate::engine::ids::{ConnectionId, EndpointId};
use crate::engine::turn::requests::{Destination, Dial};
use crate::error::Error;
use crate::net::connector::Connector;
use crate::net::socket::Socket;
use crate::net::streams::Transmit;
use crate::proto::handshake::Key as HandshakeKey;
use crate::proto::handshake::{ClientRequest, UrlError, WsUrl};
use crate::proto::{Message, WebSocket, Workspace};
use crate::reactor::Reactor;
use crate::slots::Key;

impl Context<'_> {
    /// Connects to a WebSocket server with a registered handler
    /// ([`EventLoop::client_endpoint`]), as [`EventLoop::connect`]. Later the loop calls the
    /// handler's `on_open` or `on_connect_error`.
    ///
    /// ```
    /// use eventwire::{ClientConfig, Config, EventLoop, on_message};
    ///
    /// /// A feed to follow, by its URL.
    /// struct Follow(String);
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// let print = on_message(|_, message, _: &mut ()| println!("{message:?}"));
    /// let feed = event_loop.client_endpoint(ClientConfig::default(), print)?;
    /// event_loop.on(move |cx, follow: &Follow, _| {
    ///     if let Err(error) = cx.connect(feed, &follow.0) {
    ///         eprintln!("{}: {error}", follow.0);
    ///     }
    /// });
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::UnknownEndpoint`] and [`Error::WrongEndpoint`] if the id is none of a client's
    /// endpoint, otherwise as [`EventLoop::connect`].
    pub fn connect(&mut self, endpoint: EndpointId, url: &str) -> Result<ConnectionId, Error> {
        self.core.connect(endpoint, url)
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Connects to a WebSocket server, with `handler` for the connection. Returns at once. Later
    /// the loop calls the handler's `on_open` or `on_connect_error`. Handlers connect with
    /// [`Context::connect`].
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
        let endpoint = self.add_client(config, Box::new(handler), Registration::Temporary);
        let connected = self.core.erased().connect(endpoint, url);
        if connected.is_err() {
            self.core.free_unused_endpoint(endpoint.0.index());
        }
        self.serve_requests();
        connected
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

    /// Registers a handler for client connections. Handlers make the connections
    /// ([`Context::connect`]), as many as they like: all of them share this one.
    ///
    /// It stays until it is removed ([`Context::remove_endpoint`]) or the loop ends.
    ///
    /// # Errors
    ///
    /// If a header or subprotocol of the configuration is invalid.
    pub fn client_endpoint(
        &mut self,
        config: ClientConfig,
        handler: impl WebSocketHandler<S> + 'static,
    ) -> Result<EndpointId, Error> {
        check(&config)?;
        Ok(self.add_client(config, Box::new(handler), Registration::Kept))
    }

    fn add_client(
        &mut self,
        config: ClientConfig,
        handler: Box<dyn WebSocketHandler<S>>,
        registration: Registration,
    ) -> EndpointId {
        let handlers = &mut self.handlers;
        self.core.endpoints.add(registration, |slot| {
            let handler = ConfiguredHandler::client(handler, &config, slot);
            let limits = Arc::clone(&handler.limits);
            let handler = handlers.insert(handler);
            Endpoint::Client(Arc::new(ClientEndpoint { config, limits, handler }))
        })
    }
}

impl Core<dyn Transmit + '_> {
    /// Begins to connect, once or with a link.
    fn connect(&mut self, endpoint: EndpointId, url: &str) -> Result<ConnectionId, Error> {
        let conn = ConnectionId(self.connect_once(endpoint, url)?);
        if self.endpoints.for_connecting(endpoint)?.config.reconnect.is_some() {
            self.endpoints.enter(endpoint.0.index());
            self.links.add(endpoint, url, conn);
        }
        Ok(conn)
    }

    /// Begins to connect. The loop dials at the end of the turn.
    pub(crate) fn connect_once(&mut self, endpoint: EndpointId, url: &str) -> Result<Key, Error> {
        self.ending.check_serving()?;
        let client = Arc::clone(self.endpoints.for_connecting(endpoint)?);
        let url = WsUrl::parse(url)?;
        if self.is_full() {
            self.requests.make_room();
            return Err(Error::ConnectionLimit);
        }
        check_scheme(&url, &client.config)?;
        let to = destination(&url, &client.config);
        let connector = connector(&url, &client.config);
        let request = request(url, &client.config)?;
        let conn = self.at_present(|core| core.begin_connect(request, &client, connector));
        self.endpoints.enter(endpoint.0.index());
        self.requests.dial(Dial { conn, to });
        Ok(conn)
    }

    /// Makes the connection's entry. Its opening request is queued until the stream is connected.
    fn begin_connect(
        &mut self,
        request: ClientRequest,
        client: &ClientEndpoint,
        connector: Connector,
    ) -> Key {
        let now = self.now();
        let output = &mut self.sockets.output;
        let mut nonce = [0; 16];
        for word in nonce.chunks_exact_mut(4) {
            word.copy_from_slice(&output.mask_keys.next_key());
        }
        let mut out = Vec::new();
        let mut workspace = Workspace {
            out: &mut out,
            mask_keys: &mut output.mask_keys,
            pool: &mut output.storage.buffers,
            now,
        };
        let key = HandshakeKey::from_nonce(nonce);
        let protocol = WebSocket::client(request, key, Arc::clone(&client.limits), &mut workspace);
        let mut socket = Socket::new(protocol, client.handler);
        socket.rare.set_connector(connector);
        let conn = self.sockets.registry.insert(socket);
        self.sockets.queue_request(conn, &out);
        conn
    }
}

/// Checks whatever can be wrong with a configuration.
fn check(config: &ClientConfig) -> Result<(), Error> {
    request(WsUrl::parse("ws://localhost/")?, config).map(drop)
}

/// Checks that a URL with `wss` can be connected to.
fn check_scheme(url: &WsUrl, config: &ClientConfig) -> Result<(), UrlError> {
    #[cfg(feature = "tls")]
    let can_encrypt = config.tls.is_some();
    #[cfg(not(feature = "tls"))]
    let can_encrypt = {
        let _ = config;
        false
    };
    if url.is_secure() && !can_encrypt { Err(UrlError::TlsNotConfigured) } else { Ok(()) }
}

/// What the connection is made with.
fn connector(url: &WsUrl, config: &ClientConfig) -> Connector {
    #[cfg(not(feature = "tls"))]
    let _ = (url, config);
    Connector {
        #[cfg(feature = "tls")]
        tls: config.tls.clone().filter(|_| url.is_secure()).map(|tls| (tls, url.host().to_owned())),
        ..Connector::default()
    }
}

/// Where to connect for this URL.
fn destination(url: &WsUrl, config: &ClientConfig) -> Destination {
    if let Some(path) = &config.unix_socket {
        return Destination::Path(path.clone());
    }
    let mut addresses = config.addresses.clone();
    if addresses.is_empty() {
        addresses = known_addresses(url.host(), url.port());
    }
    if addresses.is_empty() {
        Destination::Host(url.host().to_owned(), url.port())
    } else {
        Destination::Addresses(addresses)
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
pub(crate) fn known_addresses(host: &str, port: u16) -> Vec<SocketAddr> {
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
