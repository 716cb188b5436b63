//! Sockets that the application or a service manager opened.

use crate::config::ServerConfig;
use crate::engine::event_loop::EventLoop;
use crate::engine::http::routes::IntoRoutes;
use crate::engine::ids::ListenerId;
use crate::engine::server::listen::router_builder;
use crate::error::Error;
use crate::reactor::{MioListener, MioReactor, MioStream};

impl<S> EventLoop<S> {
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
        listener: impl Into<MioListener>,
        config: ServerConfig,
        routes: impl IntoRoutes<S, Kind>,
    ) -> Result<ListenerId, Error> {
        self.check_serving()?;
        let listen = |reactor: &mut MioReactor, key| reactor.adopt_listener(listener.into(), key);
        let builder = router_builder(config, routes)?;
        self.open_listener(builder, "listen on the given socket", listen)
    }

    /// Adds a connected stream of the standard library's types, as if `listener` had accepted it.
    /// Nothing may have been read from the stream.
    ///
    /// # Errors
    ///
    /// If the listener is closed, there are as many connections as the configuration allows, or the
    /// loop is shutting down. At the limit, the loop closes idle connections if it can
    /// ([`Config::max_connections`](crate::Config::max_connections)), so a later call may succeed.
    pub fn adopt(
        &mut self,
        listener: ListenerId,
        stream: impl Into<MioStream>,
    ) -> Result<(), Error> {
        self.check_serving()?;
        let Some(router) = self.routers.slot(listener) else {
            return Err(Error::io("find the listener")(std::io::ErrorKind::NotFound.into()));
        };
        if self.dialer.is_full(&self.core.sockets) {
            self.make_room();
            return Err(Error::ConnectionLimit);
        }
        let stream = stream.into();
        let peer = stream.prepare().map_err(Error::io("add a stream"))?;
        self.core.read_clock();
        self.admit((stream, peer), router);
        Ok(())
    }
}
