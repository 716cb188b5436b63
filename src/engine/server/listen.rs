//! Listeners, which accept connections.

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
    /// Listens for connections. `routes` is one [`WebSocketHandler`](crate::WebSocketHandler) for
    /// every path, or [`Routes`](crate::Routes) with several handlers and pages by path.
    ///
    /// A name is listened on at all its addresses: `localhost` stands for `127.0.0.1` and `[::1]`.
    /// Together they are one listener. Port 0 chooses a port that is free on all of them;
    /// [`local_addrs`](Self::local_addrs) returns it. An address that this machine does not have is
    /// skipped if there is another one, for instance IPv6 on a machine without it. If an address is
    /// in use or not permitted, the call fails and listens on none. `[::]` also accepts IPv4
    /// connections, so `0.0.0.0` beside it adds nothing.
    ///
    /// The loop accepts from all listeners in turn, so that a burst on one listener does not delay
    /// the connections of another.
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
    /// If the name cannot be resolved or its address not be listened on, a configuration has an
    /// invalid subprotocol, a route has an invalid or duplicate path, or the loop is shutting down.
    pub fn listen<Kind>(
        &mut self,
        address: impl ToSocketAddrs,
        config: ServerConfig,
        routes: impl IntoRoutes<S, Kind>,
    ) -> Result<ListenerId, Error> {
        self.check_serving()?;
        let builder = router_builder(config, routes)?;
        let addresses = address.to_socket_addrs().map_err(Error::io("resolve the address"))?;
        let addresses: Vec<SocketAddr> = addresses.collect();
        if addresses.is_empty() {
            return Err(Error::io("resolve the address")(io::ErrorKind::NotFound.into()));
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

    /// Listens for connections, with a closure that handles their messages, as
    /// [`listen`](Self::listen).
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
    /// The call creates the file. The file stays when the listener is closed, and the next listener
    /// on that path replaces it.
    ///
    /// If a client passes file descriptors (`SCM_RIGHTS`), the system closes them. A receive stops
    /// after the bytes that they came with. The bytes after those are read when the client sends
    /// more, or ends its stream.
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

    /// Adds a listener with the one socket that `listen` opens. `action` describes the attempt for
    /// an error.
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
    /// listens on a Unix socket.
    #[must_use]
    pub fn local_addr(&self, listener: ListenerId) -> Option<SocketAddr> {
        self.routers.sockets(listener).iter().find_map(|&key| self.listeners.local(key))
    }

    /// Every address that a listener listens on. Empty if it is closed, or listens on a Unix
    /// socket.
    #[must_use]
    pub fn local_addrs(&self, listener: ListenerId) -> Vec<SocketAddr> {
        let sockets = self.routers.sockets(listener).iter();
        sockets.filter_map(|&key| self.listeners.local(key)).collect()
    }

    /// Stops listening. Accepted connections stay. Returns `false` if the listener was closed
    /// before.
    ///
    /// The listener's handlers are dropped when its last connection has ended.
    pub fn close_listener(&mut self, listener: ListenerId) -> bool {
        let sockets = self.routers.close(listener, &mut self.endpoints);
        self.listeners.close(&sockets);
        !sockets.is_empty()
    }

    /// Closes every listener.
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
