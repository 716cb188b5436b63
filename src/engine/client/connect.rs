//! Making connections to servers, without waiting for anything.

use std::sync::Arc;

use crate::config::ClientConfig;
use crate::engine::client::route::{Route, request};
use crate::engine::configured_handler::ConfiguredHandler;
use crate::engine::connection::Connection;
use crate::engine::context::Context;
use crate::engine::core::Core;
use crate::engine::endpoints::{ClientEndpoint, Endpoint, Registration};
use crate::engine::event_loop::EventLoop;
use crate::engine::handler::{WebSocketHandler, on_message};
use crate::engine::ids::{ConnectionId, EndpointId};
use crate::engine::turn::requests::Dial;
use crate::error::Error;
use crate::net::socket::Socket;
use crate::net::streams::Transmit;
use crate::proto::handshake::Key as HandshakeKey;
use crate::proto::handshake::WsUrl;
use crate::proto::http::InvalidHeader;
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
    /// Redirects are followed on request ([`ClientConfig::redirects`]), and HTTP proxies open
    /// tunnels ([`ClientConfig::proxy`]). The handler learns the server's response: in
    /// [`on_response`](WebSocketHandler::on_response), or with the error.
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
        connect_with(self, config, handler, |cx, endpoint| cx.connect(endpoint, url))
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
        let route = self.route(endpoint, url)?;
        let (protocol, request) = begin_handshake(self, &route)?;
        let mut socket = Socket::new(protocol, route.handler());
        socket.rare.set_connector(route.connector());
        let conn = self.at_present(|core| core.sockets.registry.insert(socket));
        // It leaves once the stream is connected.
        self.sockets.handshakes().queue_request(conn, &request);
        self.endpoints.enter(endpoint.0.index());
        self.requests.dial(Dial { conn, to: route.destination() });
        if route.is_needed_later() {
            self.routes.insert(ConnectionId(conn), route);
        }
        Ok(conn)
    }

    /// The way to a URL, if a connection may be begun.
    pub(crate) fn route(&mut self, endpoint: EndpointId, url: &str) -> Result<Route, Error> {
        self.ending.check_serving()?;
        let client = Arc::clone(self.endpoints.for_connecting(endpoint)?);
        let url = WsUrl::parse(url)?;
        if self.is_full() {
            self.requests.make_room();
            return Err(Error::ConnectionLimit);
        }
        Ok(Route::new(client, url, self.streams.now())?)
    }
}

/// Registers an endpoint for the one connection, or the link, that `connect` makes.
pub(crate) fn connect_with<S, R: Reactor>(
    event_loop: &mut EventLoop<S, R>,
    config: ClientConfig,
    handler: impl WebSocketHandler<S> + 'static,
    connect: impl FnOnce(&mut Context<'_>, EndpointId) -> Result<ConnectionId, Error>,
) -> Result<ConnectionId, Error> {
    let endpoint = event_loop.add_client(config, Box::new(handler), Registration::Temporary);
    let connected = connect(&mut event_loop.core.erased().context(), endpoint);
    if connected.is_err() {
        event_loop.core.free_unused_endpoint(endpoint.0.index());
    }
    event_loop.serve_requests();
    connected
}

/// Begins a handshake. Returns its protocol and the first request.
pub(crate) fn begin_handshake(
    core: &mut Core<dyn Transmit + '_>,
    route: &Route,
) -> Result<(WebSocket, Vec<u8>), InvalidHeader> {
    let request = route.request()?;
    let now = core.now();
    let output = &mut core.sockets.output;
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
    let protocol = route.protocol(request, HandshakeKey::from_nonce(nonce), &mut workspace);
    Ok((protocol, out))
}

/// Checks whatever can be wrong with a configuration.
fn check(config: &ClientConfig) -> Result<(), Error> {
    Ok(request(&WsUrl::parse("ws://localhost/")?, config, true).map(drop)?)
}
