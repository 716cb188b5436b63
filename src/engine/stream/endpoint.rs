//! How raw streams are made: registration of handlers, connecting and listening.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;

use crate::config::StreamConfig;
use crate::engine::configured_handler::ConfiguredHandler;
use crate::engine::context::Context;
use crate::engine::core::Core;
use crate::engine::endpoints::{Endpoint, Registration, StreamEndpoint};
use crate::engine::event_loop::EventLoop;
use crate::engine::ids::{ConnectionId, EndpointId, ListenerId};
use crate::engine::stream::address::StreamAddress;
use crate::engine::stream::handler::StreamHandler;
use crate::engine::turn::requests::Dial;
use crate::error::Error;
use crate::net::connector::Connector;
use crate::net::socket::Socket;
use crate::net::streams::Transmit;
use crate::proto::Role;
use crate::proto::stream::RawStream;
use crate::reactor::Reactor;
use crate::slots::Key;
use crate::time::Time;

impl Context<'_> {
    /// Connects a raw stream with a registered handler ([`EventLoop::stream_endpoint`]), as
    /// [`EventLoop::connect_stream`]. Later the loop calls the handler's `on_open` or
    /// `on_connect_error`.
    ///
    /// ```
    /// use eventwire::{Config, Connection, EventLoop, StreamConfig, StreamHandler};
    ///
    /// /// A line to be logged elsewhere.
    /// struct Log(&'static str);
    ///
    /// /// Sends the lines that the state has.
    /// struct Logger;
    ///
    /// impl StreamHandler<Vec<&'static str>> for Logger {
    ///     fn on_open(&mut self, conn: &mut Connection<'_>, lines: &mut Vec<&'static str>) {
    ///         for line in lines.drain(..) {
    ///             conn.send(format!("{line}\n"));
    ///         }
    ///     }
    ///
    ///     fn on_data(&mut self, _: &mut Connection<'_>, data: &[u8], _: &mut Vec<&str>) -> usize {
    ///         data.len()
    ///     }
    /// }
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// let logger = event_loop.stream_endpoint(StreamConfig::default(), Logger)?;
    /// event_loop.on(move |cx, log: &Log, lines: &mut Vec<_>| {
    ///     lines.push(log.0);
    ///     if let Err(error) = cx.connect_stream(logger, "localhost:5140") {
    ///         eprintln!("{error}");
    ///     }
    /// });
    /// # event_loop.turn(Some(std::time::Duration::ZERO), &mut Vec::new())?;
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::UnknownEndpoint`] and [`Error::WrongEndpoint`] if the id is none of a stream's
    /// endpoint, otherwise as [`EventLoop::connect_stream`].
    pub fn connect_stream(
        &mut self,
        endpoint: EndpointId,
        address: impl Into<StreamAddress>,
    ) -> Result<ConnectionId, Error> {
        self.core.connect_stream(endpoint, &address.into()).map(ConnectionId)
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Registers a handler for raw streams. Handlers of the loop connect streams with it
    /// ([`Context::connect_stream`]) and listen for them ([`Context::listen`]): all of them share
    /// this one.
    ///
    /// It stays until it is removed ([`Context::remove_endpoint`]) or the loop ends.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn stream_endpoint(
        &mut self,
        config: StreamConfig,
        handler: impl StreamHandler<S> + 'static,
    ) -> Result<EndpointId, Error> {
        Ok(self.add_stream(config, Box::new(handler), Registration::Kept))
    }

    /// Connects a raw stream, with `handler` for it. Returns at once. Later the loop calls the
    /// handler's `on_open` or `on_connect_error`.
    ///
    /// A host is looked up and its addresses are tried as [`connect`](Self::connect) does.
    ///
    /// ```
    /// use eventwire::{Config, Connection, Disconnect, EventLoop, StreamConfig, StreamHandler};
    ///
    /// /// Asks for the time (RFC 868).
    /// struct TimeClient;
    ///
    /// impl StreamHandler<Option<u32>> for TimeClient {
    ///     fn on_data(
    ///         &mut self,
    ///         conn: &mut Connection<'_>,
    ///         data: &[u8],
    ///         time: &mut Option<u32>,
    ///     ) -> usize {
    ///         let Some(seconds) = data.first_chunk() else {
    ///             return 0;
    ///         };
    ///         *time = Some(u32::from_be_bytes(*seconds));
    ///         conn.stop();
    ///         data.len()
    ///     }
    /// }
    /// # /// Tells the time.
    /// # struct TimeServer;
    /// # impl StreamHandler<Option<u32>> for TimeServer {
    /// #     fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut Option<u32>) {
    /// #         conn.send(&[0, 0, 0, 7]);
    /// #     }
    /// #     fn on_data(
    /// #         &mut self,
    /// #         _: &mut Connection<'_>,
    /// #         data: &[u8],
    /// #         _: &mut Option<u32>,
    /// #     ) -> usize {
    /// #         data.len()
    /// #     }
    /// # }
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// # let config = StreamConfig::default();
    /// # let listener = event_loop.listen_stream("127.0.0.1:0", config, TimeServer)?;
    /// # let address = event_loop.local_addr(listener).expect("it listens");
    /// event_loop.connect_stream(address, StreamConfig::default(), TimeClient)?;
    /// let mut time = None;
    /// event_loop.run(&mut time)?;
    /// assert!(time.is_some());
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the address is no host with a port ([`Error::Io`]), there are as many connections as the
    /// configuration allows, or the loop is shutting down.
    pub fn connect_stream(
        &mut self,
        address: impl Into<StreamAddress>,
        config: StreamConfig,
        handler: impl StreamHandler<S> + 'static,
    ) -> Result<ConnectionId, Error> {
        let endpoint = self.add_stream(config, Box::new(handler), Registration::Temporary);
        let connected = self.core.erased().connect_stream(endpoint, &address.into());
        if connected.is_err() {
            self.core.free_unused_endpoint(endpoint.0.index());
        }
        self.serve_requests();
        connected.map(ConnectionId)
    }

    /// Listens for raw streams, with one handler for all of them. Addresses and ports are those of
    /// [`listen`](Self::listen).
    ///
    /// # Errors
    ///
    /// If the name cannot be resolved or its address not be listened on, or the loop is shutting
    /// down.
    pub fn listen_stream(
        &mut self,
        address: impl ToSocketAddrs,
        config: StreamConfig,
        handler: impl StreamHandler<S> + 'static,
    ) -> Result<ListenerId, Error> {
        let endpoint = self.add_stream(config, Box::new(handler), Registration::Temporary);
        self.listen_at(endpoint, |cx| cx.listen(endpoint, address))
    }

    /// Listens for raw streams on the Unix socket `path`, as [`listen_unix`](Self::listen_unix).
    ///
    /// # Errors
    ///
    /// As [`listen_stream`](Self::listen_stream).
    pub fn listen_stream_unix(
        &mut self,
        path: impl AsRef<Path>,
        config: StreamConfig,
        handler: impl StreamHandler<S> + 'static,
    ) -> Result<ListenerId, Error> {
        let endpoint = self.add_stream(config, Box::new(handler), Registration::Temporary);
        self.listen_at(endpoint, |cx| cx.listen_unix(endpoint, path))
    }

    fn add_stream(
        &mut self,
        config: StreamConfig,
        handler: Box<dyn StreamHandler<S>>,
        registration: Registration,
    ) -> EndpointId {
        let handlers = &mut self.handlers;
        self.core.endpoints.add(registration, |slot| {
            let handler = ConfiguredHandler::stream(handler, &config, slot);
            let handler = handlers.insert(handler);
            let limits = Arc::new(config.limits.clone());
            Endpoint::Stream(Arc::new(StreamEndpoint { config, limits, handler }))
        })
    }
}

impl StreamEndpoint {
    /// The protocol of a stream that was accepted from `peer`.
    pub(crate) fn accepted(&self, peer: Option<SocketAddr>, now: Time) -> RawStream {
        let stream = RawStream::new(Role::Server, Arc::clone(&self.limits), now);
        if self.announces(peer) { stream.behind_proxy() } else { stream }
    }
}

impl Core<dyn Transmit + '_> {
    /// Begins to connect. The loop dials at the end of the turn.
    fn connect_stream(
        &mut self,
        endpoint: EndpointId,
        address: &StreamAddress,
    ) -> Result<Key, Error> {
        self.ending.check_serving()?;
        let stream = Arc::clone(self.endpoints.for_streams(endpoint)?);
        let to = address.destination()?;
        if self.is_full() {
            self.requests.make_room();
            return Err(Error::ConnectionLimit);
        }
        let conn = self.at_present(|core| {
            let protocol = RawStream::new(Role::Client, Arc::clone(&stream.limits), core.now());
            let mut socket = Socket::new(protocol, stream.handler);
            socket.rare.set_connector(connector(address, &stream.config));
            core.sockets.registry.insert(socket)
        });
        self.endpoints.enter(endpoint.0.index());
        self.requests.dial(Dial { conn, to });
        Ok(conn)
    }
}

/// What the stream is made with.
fn connector(address: &StreamAddress, config: &StreamConfig) -> Connector {
    #[cfg(not(feature = "tls"))]
    let _ = (address, config);
    Connector {
        #[cfg(feature = "tls")]
        tls: config.tls_client.clone().map(|tls| (tls, address.host())),
        ..Connector::default()
    }
}
