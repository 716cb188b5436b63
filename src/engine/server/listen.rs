//! Listeners: where connections come in.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;

use crate::config::ServerConfig;
use crate::engine::connection::Connection;
use crate::engine::core::Core;
use crate::engine::event_loop::EventLoop;
use crate::engine::handler::on_message;
use crate::engine::http::router::RouterBuilder;
use crate::engine::http::routes::IntoRoutes;
use crate::engine::ids::ListenerId;
use crate::error::Error;
use crate::proto::Message;
use crate::reactor::Reactor;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Listens for connections: of one [`WebSocketHandler`](crate::WebSocketHandler), whatever path
    /// they ask for, or of several and of pages by their paths ([`Routes`](crate::Routes)).
    ///
    /// Of a name, every address is listened on: `localhost` stands for `127.0.0.1` and `[::1]`. All
    /// of them are this one listener. Port 0 takes a port that is free on all of them;
    /// [`local_addrs`](Self::local_addrs) tells which. An address that this machine does not have
    /// is left out as long as there is another, IPv6 on a machine without it for instance; one that
    /// is in use, or not permitted, is an error, and then none is listened on. `[::]` takes IPv4
    /// connections, too, so that `0.0.0.0` beside it adds nothing.
    ///
    /// Connections are accepted from all listeners in turn: those that come to one in masses do not
    /// keep another's waiting.
    ///
    /// ```
    /// use eventwire::{Config, Connection, EventLoop, Message, ServerConfig, WebSocketHandler};
    ///
    /// struct Echo;
    ///
    /// impl WebSocketHandler<()> for Echo {
    ///     fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
    ///         conn.send(message);
    ///     }
    /// }
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// let listener = event_loop.listen("localhost:0", ServerConfig::default(), Echo)?;
    /// for address in event_loop.local_addrs(listener) {
    ///     println!("listening on ws://{address}");
    /// }
    /// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the name or an address of it cannot be had, a configuration names an invalid
    /// subprotocol, a route an invalid path or one that is taken, or the loop is shutting down.
    pub fn listen<Kind>(
        &mut self,
        address: impl ToSocketAddrs,
        config: ServerConfig,
        routes: impl IntoRoutes<S, Kind>,
    ) -> Result<ListenerId, Error> {
        self.check_serving()?;
        let builder = router_builder(config, routes)?;
        let addresses = address.to_socket_addrs().map_err(Error::io("find the address"))?;
        let addresses: Vec<SocketAddr> = addresses.collect();
        if addresses.is_empty() {
            return Err(Error::io("find an address")(io::ErrorKind::NotFound.into()));
        }
        let Self { routers, listeners, core: Core { streams, .. }, endpoints, .. } = self;
        routers.open(|slot| {
            let bound = listeners.bind(&mut streams.reactor, &addresses, builder.backlog(), slot);
            let bound = bound.map_err(|failed| {
                Error::io(format!("listen on {}", failed.address))(failed.error)
            })?;
            Ok(builder.build(slot, bound, endpoints))
        })
    }

    /// Listens for connections whose messages a closure handles, as [`listen`](Self::listen).
    ///
    /// ```
    /// use eventwire::{Config, EventLoop, ServerConfig};
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// event_loop.listen_fn("127.0.0.1:0", ServerConfig::default(), |conn, message, _: &mut ()| {
    ///     conn.send(message);
    /// })?;
    /// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`listen`](Self::listen).
    pub fn listen_fn(
        &mut self,
        address: impl ToSocketAddrs,
        config: ServerConfig,
        handler: impl FnMut(&mut Connection<'_>, Message<'_>, &mut S) + 'static,
    ) -> Result<ListenerId, Error> {
        self.listen(address, config, on_message(handler))
    }

    /// Listens on the Unix socket `path`, for clients on this machine, as [`listen`](Self::listen).
    ///
    /// The file is made, and stays when the listener is closed: the next listener there
    /// removes it first.
    ///
    /// Descriptors that a client passes along (`SCM_RIGHTS`) are closed by the system. A receive
    /// stops behind the bytes that they came with: what the client sent after those is read when it
    /// sends more, or ends its stream.
    ///
    /// # Errors
    ///
    /// As [`listen`](Self::listen).
    pub fn listen_unix<Kind>(
        &mut self,
        path: impl AsRef<Path>,
        config: ServerConfig,
        routes: impl IntoRoutes<S, Kind>,
    ) -> Result<ListenerId, Error> {
        self.check_serving()?;
        let builder = router_builder(config, routes)?;
        let (path, backlog) = (path.as_ref(), builder.backlog());
        let listen = |reactor: &mut R, key| Ok((reactor.listen_unix(path, backlog, key)?, None));
        self.open_listener(builder, &format!("listen on {}", path.display()), listen)
    }

    /// Adds a listener with the one socket that `listen` opens; `action` says what that is.
    pub(crate) fn open_listener(
        &mut self,
        builder: RouterBuilder<S>,
        action: &str,
        listen: impl FnOnce(&mut R, u64) -> io::Result<(R::Listener, Option<SocketAddr>)>,
    ) -> Result<ListenerId, Error> {
        let Self { routers, listeners, core: Core { streams, .. }, endpoints, .. } = self;
        routers.open(|slot| {
            let opened = listeners.open(slot, |key| listen(&mut streams.reactor, key));
            Ok(builder.build(slot, vec![opened.map_err(Error::io(action))?], endpoints))
        })
    }

    /// The address that a listener listens on, the first of several. `None` if it is closed, or
    /// listens on a path.
    #[must_use]
    pub fn local_addr(&self, listener: ListenerId) -> Option<SocketAddr> {
        self.routers.sockets(listener).iter().find_map(|&key| self.listeners.local(key))
    }

    /// Every address that a listener listens on; none if it is closed, or listens on a path.
    #[must_use]
    pub fn local_addrs(&self, listener: ListenerId) -> Vec<SocketAddr> {
        let sockets = self.routers.sockets(listener).iter();
        sockets.filter_map(|&key| self.listeners.local(key)).collect()
    }

    /// Stops listening; connections that were accepted stay. `false` if it was closed already.
    ///
    /// Its handlers stay for as long as one of these connections does, and are dropped then.
    pub fn close_listener(&mut self, listener: ListenerId) -> bool {
        let sockets = self.routers.close(listener, &mut self.endpoints);
        self.listeners.close(&sockets);
        !sockets.is_empty()
    }

    /// Stops listening anywhere.
    pub(crate) fn close_listeners(&mut self) {
        for listener in self.routers.open_listeners() {
            self.close_listener(listener);
        }
    }
}

/// Validates what a listener was configured with.
pub(crate) fn router_builder<S, Kind>(
    config: ServerConfig,
    routes: impl IntoRoutes<S, Kind>,
) -> Result<RouterBuilder<S>, Error> {
    let routes = routes.into_routes(&config);
    RouterBuilder::new(config, routes)
}
