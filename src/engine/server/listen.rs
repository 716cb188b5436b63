//! Listeners, which accept connections.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;

use crate::config::ServerConfig;
use crate::engine::bus::event_types::EventTypes;
use crate::engine::connection::Connection;
use crate::engine::context::Context;
use crate::engine::core::Core;
use crate::engine::endpoints::{Endpoint, Registration};
use crate::engine::event_loop::EventLoop;
use crate::engine::handler::on_message;
use crate::engine::http::router::RouterBuilder;
use crate::engine::http::routes::IntoRoutes;
use crate::engine::ids::{EndpointId, ListenerId};
use crate::engine::server::open_listeners::OpenListener;
use crate::error::Error;
use crate::net::streams::Transmit;
use crate::proto::Message;
use crate::reactor::{MioListener, Reactor};
use crate::slots::Key;

impl Context<'_> {
    /// Listens for connections with registered handlers ([`EventLoop::server_endpoint`]), as
    /// [`EventLoop::listen`]. Several listeners may share an endpoint.
    ///
    /// Looking a name up takes time, during which the loop serves nobody. An address such as
    /// `127.0.0.1:9001` needs no lookup.
    ///
    /// ```
    /// use eventwire::{Config, EventLoop, ServerConfig, on_message};
    ///
    /// /// Another port is to be listened on.
    /// struct Open(u16);
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// let echo = on_message(|conn, message, _: &mut ()| {
    ///     conn.send(message);
    /// });
    /// let echo = event_loop.server_endpoint(ServerConfig::default(), echo)?;
    /// event_loop.on(move |cx, open: &Open, _| match cx.listen(echo, ("127.0.0.1", open.0)) {
    ///     Ok(listener) => println!("listening on {:?}", cx.local_addr(listener)),
    ///     Err(error) => eprintln!("port {}: {error}", open.0),
    /// });
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::UnknownEndpoint`] and [`Error::WrongEndpoint`] if the id is none of a server's
    /// endpoint, [`Error::Io`] if the name cannot be resolved or its address not be listened on,
    /// for instance because it is in use, [`Error::ShuttingDown`] if the loop is shutting down.
    pub fn listen(
        &mut self,
        endpoint: EndpointId,
        address: impl ToSocketAddrs,
    ) -> Result<ListenerId, Error> {
        let addresses = resolve(address)?;
        self.core.listen(endpoint, |streams, backlog, slot| {
            streams
                .bind(&addresses, backlog, slot)
                .map_err(|failed| Error::io(format!("listen on {}", failed.address))(failed.error))
        })
    }

    /// Listens on the Unix socket `path` with registered handlers, as [`EventLoop::listen_unix`].
    ///
    /// # Errors
    ///
    /// As [`listen`](Self::listen).
    pub fn listen_unix(
        &mut self,
        endpoint: EndpointId,
        path: impl AsRef<Path>,
    ) -> Result<ListenerId, Error> {
        let path = path.as_ref();
        self.core.listen(endpoint, |streams, backlog, slot| {
            let bound = streams.bind_unix(path, backlog, slot);
            bound
                .map(|socket| vec![socket])
                .map_err(Error::io(format!("listen on {}", path.display())))
        })
    }

    /// Listens on an open socket of the standard library's types with registered handlers, as
    /// [`EventLoop::listen_on`].
    ///
    /// # Errors
    ///
    /// As [`listen`](Self::listen).
    pub fn listen_on(
        &mut self,
        endpoint: EndpointId,
        socket: impl Into<MioListener>,
    ) -> Result<ListenerId, Error> {
        self.core.listen(endpoint, |streams, _, slot| {
            let adopted = streams.adopt_listener(socket.into(), slot);
            adopted.map(|socket| vec![socket]).map_err(Error::io("listen on the given socket"))
        })
    }

    /// Stops listening. Accepted connections stay. Returns `false` if the listener was closed
    /// before.
    pub fn close_listener(&mut self, listener: ListenerId) -> bool {
        self.core.close_listener(listener)
    }

    /// The address that a listener listens on, the first of several. `None` if it is closed, or
    /// listens on a Unix socket.
    #[must_use]
    pub fn local_addr(&self, listener: ListenerId) -> Option<SocketAddr> {
        self.core.local_addrs(listener).next()
    }

    /// Removes an endpoint: no further connection is made or listened for with it. Its listeners
    /// and connections stay, and its handlers are dropped when the last of them has ended. Returns
    /// `false` if it was removed before.
    pub fn remove_endpoint(&mut self, endpoint: EndpointId) -> bool {
        let removed = self.core.endpoints.unregister(endpoint);
        if removed {
            self.core.free_unused_endpoint(endpoint.0.index());
        }
        removed
    }
}

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
        self.listen_with(config, routes, |cx, endpoint| cx.listen(endpoint, address))
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
        self.listen_with(config, routes, |cx, endpoint| cx.listen_unix(endpoint, path))
    }

    /// Registers the handlers of a server, for any number of listeners. Handlers of the loop listen
    /// with them ([`Context::listen`], [`Context::listen_on`]).
    ///
    /// They stay until they are removed ([`Context::remove_endpoint`]) or the loop ends.
    ///
    /// # Errors
    ///
    /// If a configuration has an invalid subprotocol, or a route has an invalid or duplicate path.
    pub fn server_endpoint<Kind>(
        &mut self,
        config: ServerConfig,
        routes: impl IntoRoutes<S, Kind>,
    ) -> Result<EndpointId, Error> {
        self.add_server(config, routes, Registration::Kept)
    }

    fn add_server<Kind>(
        &mut self,
        config: ServerConfig,
        routes: impl IntoRoutes<S, Kind>,
        registration: Registration,
    ) -> Result<EndpointId, Error> {
        let mut routes = routes.into_routes(&config);
        let events = routes.take_events();
        let builder = RouterBuilder::new(config, routes)?;
        let Self { core, routers, handlers, .. } = self;
        let id = core.endpoints.add(registration, |slot| {
            let endpoint = builder.endpoint();
            routers.insert(slot, builder.build(slot, handlers));
            Endpoint::Server(endpoint)
        });
        let mut types = EventTypes { events: &mut self.events, core: self.core.erased() };
        events.into_iter().for_each(|add| add(&mut types));
        Ok(id)
    }

    /// Listens with handlers that are dropped once the listener is closed and its last connection
    /// has ended.
    pub(crate) fn listen_with<Kind>(
        &mut self,
        config: ServerConfig,
        routes: impl IntoRoutes<S, Kind>,
        listen: impl FnOnce(&mut Context<'_>, EndpointId) -> Result<ListenerId, Error>,
    ) -> Result<ListenerId, Error> {
        self.core.ending.check_serving()?;
        let endpoint = self.add_server(config, routes, Registration::Temporary)?;
        self.listen_at(endpoint, |cx| listen(cx, endpoint))
    }

    /// Listens with a temporary endpoint, which goes if that fails.
    pub(crate) fn listen_at(
        &mut self,
        endpoint: EndpointId,
        listen: impl FnOnce(&mut Context<'_>) -> Result<ListenerId, Error>,
    ) -> Result<ListenerId, Error> {
        let listening = listen(&mut self.core.erased().context());
        if listening.is_err() {
            self.core.free_unused_endpoint(endpoint.0.index());
            self.serve_requests();
        }
        listening
    }

    /// The address that a listener listens on, the first of several. `None` if it is closed, or
    /// listens on a Unix socket.
    #[must_use]
    pub fn local_addr(&self, listener: ListenerId) -> Option<SocketAddr> {
        self.local_addrs(listener).first().copied()
    }

    /// Every address that a listener listens on. Empty if it is closed, or listens on a Unix
    /// socket.
    #[must_use]
    pub fn local_addrs(&self, listener: ListenerId) -> Vec<SocketAddr> {
        self.core.local_addrs(listener).collect()
    }

    /// Stops listening. Accepted connections stay. Returns `false` if the listener was closed
    /// before.
    ///
    /// The listener's handlers are dropped when its last connection has ended.
    pub fn close_listener(&mut self, listener: ListenerId) -> bool {
        let closed = self.core.erased().close_listener(listener);
        self.serve_requests();
        closed
    }
}

impl<T: Transmit + ?Sized> Core<T> {
    fn local_addrs(&self, listener: ListenerId) -> impl Iterator<Item = SocketAddr> {
        let sockets = self.listeners.get(listener).map_or(&[][..], |listener| &listener.sockets);
        sockets.iter().filter_map(|&socket| self.streams.local_addr(socket))
    }
}

impl Core<dyn Transmit + '_> {
    /// Adds a listener with the sockets that `bind` opens, given the backlog and the endpoint's
    /// slot.
    fn listen(
        &mut self,
        endpoint: EndpointId,
        bind: impl FnOnce(&mut dyn Transmit, u32, usize) -> Result<Vec<Key>, Error>,
    ) -> Result<ListenerId, Error> {
        self.ending.check_serving()?;
        let backlog = self.endpoints.backlog(endpoint)?;
        let slot = endpoint.0.index();
        let sockets = bind(&mut self.streams, backlog, slot)?;
        self.endpoints.enter(slot);
        Ok(self.listeners.insert(OpenListener { endpoint: slot, sockets }))
    }

    pub(crate) fn close_listener(&mut self, listener: ListenerId) -> bool {
        let Some(listener) = self.listeners.remove(listener) else {
            return false;
        };
        self.streams.close_listeners(&listener.sockets);
        self.leave_endpoint(listener.endpoint);
        true
    }

    /// Closes every listener.
    pub(crate) fn close_listeners(&mut self) {
        for listener in self.listeners.ids() {
            self.close_listener(listener);
        }
    }
}

/// The addresses of a name.
fn resolve(address: impl ToSocketAddrs) -> Result<Vec<SocketAddr>, Error> {
    let addresses = address.to_socket_addrs().map_err(Error::io("resolve the address"))?;
    let addresses: Vec<_> = addresses.collect();
    if addresses.is_empty() {
        return Err(Error::io("resolve the address")(io::ErrorKind::NotFound.into()));
    }
    Ok(addresses)
}
