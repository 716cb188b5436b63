//! The server: routes, and from requests and messages to the application's handler.

mod dispatch;
mod join;
mod polling;
mod settle;
mod web_socket;

use std::cell::RefCell;
use std::rc::Rc;

use super::handler::SocketIoHandler;
use super::hub::{Call, Hub, SharedHub};
use super::io::SocketIo;
use super::socket::Socket;
use crate::slots::Key;
use crate::{Context, Limits, Routes};
use polling::Polling;
use web_socket::WebSockets;

/// A server with the application's handler.
struct Server<H> {
    hub: SharedHub,
    handler: RefCell<H>,
}

/// The methods of requests that get the protocol's errors.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

impl<S: 'static> Routes<S> {
    /// Serves stock clients of Socket.IO (protocol 5, over Engine.IO 4) at a path, by polling and
    /// WebSocket. `/socket.io/` is the path that clients use by default. `io` is a
    /// [`SocketIoConfig`](crate::socketio::SocketIoConfig), or a
    /// [`SocketIo`](crate::socketio::SocketIo) with which other handlers reach the clients.
    ///
    /// Needs the feature `socketio`.
    ///
    /// See [`SocketIoHandler`] for an example.
    #[must_use]
    pub fn socket_io(
        self,
        path: &str,
        io: impl Into<SocketIo>,
        handler: impl SocketIoHandler<S> + 'static,
    ) -> Self {
        let SocketIo { hub } = io.into();
        let without_slash = path.trim_end_matches('/');
        hub.borrow_mut().path = without_slash.into();
        let config = hub.borrow().config.clone();
        let server = Rc::new(Server { hub, handler: RefCell::new(handler) });
        // The protocol has heartbeats of its own.
        let limits = Limits::default().max_message(config.settings.max_payload).ping_interval(None);
        let web_sockets = config.server.limits(limits).origins(config.origins);
        let with_slash = format!("{without_slash}/");
        let mut routes = self;
        for path in [without_slash, &with_slash].into_iter().filter(|path| !path.is_empty()) {
            routes = routes.websocket(path, web_sockets.clone(), WebSockets(Rc::clone(&server)));
            for method in METHODS {
                routes = routes.route(method, path, Polling(Rc::clone(&server)));
            }
            if let Some(cors) = &config.cors {
                routes = routes.cors(path, cors.clone());
            }
        }
        routes.on(move |cx, call: &Call, state| server.answer_call(cx, call, state))
    }
}

impl<H> Server<H> {
    /// Acts, and then serves what that left behind. If the handler panics, the session ends.
    fn serve<S, T>(
        &self,
        cx: &mut Context<'_>,
        session: Option<Key>,
        state: &mut S,
        act: impl FnOnce(&Self, &mut Context<'_>, &mut S) -> T,
    ) -> T
    where
        H: SocketIoHandler<S>,
    {
        let serving = Serving { hub: &self.hub, session };
        self.hub.borrow_mut().is_served = true;
        self.end_panicked(cx);
        let acted = act(self, cx, state);
        self.settle(cx, state);
        drop(serving);
        self.hub(|hub| hub.call_for_rest(cx));
        acted
    }

    /// Calls the handler for a socket, unless it is gone.
    fn call<T>(
        &self,
        cx: &mut Context<'_>,
        socket: Key,
        call: impl FnOnce(&mut H, &mut Socket<'_>) -> T,
    ) -> Option<T> {
        let mut socket = Socket::new(cx.reborrow(), &self.hub, socket)?;
        Some(call(&mut self.handler.borrow_mut(), &mut socket))
    }

    fn hub<T>(&self, act: impl FnOnce(&mut Hub) -> T) -> T {
        act(&mut self.hub.borrow_mut())
    }
}

/// A call that goes on. Notes if it panics.
struct Serving<'a> {
    hub: &'a SharedHub,
    session: Option<Key>,
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        let mut hub = self.hub.borrow_mut();
        hub.is_served = false;
        if std::thread::panicking() {
            hub.panicked.extend(self.session);
        }
    }
}
