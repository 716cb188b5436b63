//! Sockets that the application or a service manager opened.

use crate::config::ServerConfig;
use crate::engine::context::Context;
use crate::engine::core::Core;
use crate::engine::event_loop::EventLoop;
use crate::engine::http::routes::IntoRoutes;
use crate::engine::ids::ListenerId;
use crate::error::Error;
use crate::net::streams::Transmit;
use crate::reactor::{MioListener, MioStream, Reactor};
use crate::slots::Key;

impl Context<'_> {
    /// Adds a connected stream of the standard library's types, as if `listener` had accepted it.
    /// Nothing may have been read from the stream.
    ///
    /// # Errors
    ///
    /// If the listener is closed, there are as many connections as the configuration allows, or the
    /// limits of the peer's address ([`Config::address_limits`](crate::Config::address_limits))
    /// allow no further one, or the loop is shutting down. At the limit of all connections, the
    /// loop closes idle connections if it can
    /// ([`Config::max_connections`](crate::Config::max_connections)), so a later call may succeed.
    pub fn adopt(
        &mut self,
        listener: ListenerId,
        stream: impl Into<MioStream>,
    ) -> Result<(), Error> {
        self.core.at_present(|core| core.adopt(listener, stream.into())).map(drop)
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Listens on an open socket of the standard library's types: from a service manager, so that
    /// no client is refused while this program starts, or from a test. Otherwise as
    /// [`listen`](Self::listen), but the socket keeps its backlog.
    ///
    /// ```
    /// use std::net::TcpListener;
    /// use eventwire::{Config, EventLoop, Routes, ServerConfig};
    ///
    /// let echo = Routes::new().websocket_fn("/", ServerConfig::default(), |conn, message, _| {
    ///     conn.send(message);
    /// });
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    /// let listener = event_loop.listen_on(socket, ServerConfig::default(), echo)?;
    /// assert!(event_loop.local_addr(listener).is_some());
    /// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`listen`](Self::listen).
    pub fn listen_on<Kind>(
        &mut self,
        socket: impl Into<MioListener>,
        config: ServerConfig,
        routes: impl IntoRoutes<S, Kind>,
    ) -> Result<ListenerId, Error> {
        self.listen_with(config, routes, |cx, endpoint| cx.listen_on(endpoint, socket))
    }

    /// Adds a connected stream of the standard library's types, as [`Context::adopt`].
    ///
    /// # Errors
    ///
    /// As [`Context::adopt`].
    pub fn adopt(
        &mut self,
        listener: ListenerId,
        stream: impl Into<MioStream>,
    ) -> Result<(), Error> {
        let adopted = self.core.erased().context().adopt(listener, stream);
        self.serve_requests();
        adopted
    }
}

impl Core<dyn Transmit + '_> {
    fn adopt(&mut self, listener: ListenerId, stream: MioStream) -> Result<Key, Error> {
        self.ending.check_serving()?;
        let listener = self.listeners.get(listener).ok_or(Error::UnknownListener)?;
        let endpoint = listener.endpoint;
        if self.is_full() {
            self.requests.make_room();
            return Err(Error::ConnectionLimit);
        }
        let peer = stream.prepare().map_err(Error::io("add a stream"))?;
        let conn = self.begin_accepted(endpoint, peer)?;
        match self.streams.adopt(conn.index(), stream) {
            Ok(()) => self.begin_serving(conn),
            Err(error) => {
                self.limiter.rates.leave(conn);
                self.sockets.remove(conn);
                self.leave_endpoint(endpoint);
                return Err(Error::io("add a stream")(error));
            }
        }
        Ok(conn)
    }
}
