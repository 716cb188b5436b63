//! A handle to a Socket.IO server.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::arguments::IntoArguments;
use super::asks::Ack;
use super::audience::Audience;
use super::config::SocketIoConfig;
use super::emitted::Emitted;
use super::hub::{Hub, SharedHub};
use super::ids::SocketId;
use super::socket::{Socket, acknowledge};
use super::stats::SocketIoStats;
use crate::Context;

/// A handle to a Socket.IO server, through which every handler of its loop reaches its clients. Its
/// clones are the same server.
///
/// ```
/// use eventwire::socketio::{Event, Socket, SocketIo, SocketIoConfig, SocketIoHandler};
/// use eventwire::{Config, EventLoop, Routes, ServerConfig};
///
/// struct Price(f64);
///
/// struct Silent;
/// impl SocketIoHandler<()> for Silent {}
///
/// let io = SocketIo::new(SocketIoConfig::default());
/// let routes = Routes::new().socket_io("/socket.io/", io.clone(), Silent);
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes)?;
/// event_loop.on(move |cx, price: &Price, _| {
///     io.of("/").emit("price", (price.0,), cx);
/// });
/// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
/// # Ok::<(), eventwire::Error>(())
/// ```
#[derive(Clone)]
pub struct SocketIo {
    pub(super) hub: SharedHub,
}

impl SocketIo {
    /// A server that is not served yet ([`Routes::socket_io`](crate::Routes::socket_io)).
    #[must_use]
    pub fn new(config: SocketIoConfig) -> Self {
        Self { hub: Rc::new(RefCell::new(Hub::new(config, "/socket.io".into()))) }
    }

    /// All of a namespace.
    #[must_use]
    pub fn of(&self, namespace: &str) -> Audience {
        Audience::new(Rc::clone(&self.hub), namespace.into(), None)
    }

    /// A client by its id. `None` if it is gone. One that lost its connection and may still recover
    /// is not [connected](Socket::is_connected); events for it are kept.
    #[must_use]
    pub fn socket<'a>(&'a self, id: SocketId, cx: &'a mut Context<'_>) -> Option<Socket<'a>> {
        let key = *self.hub.borrow().by_id.get(&id)?;
        Socket::new(cx.reborrow(), &self.hub, key)
    }

    /// Acknowledges an event of a client, as
    /// [`Socket::acknowledge`](super::Socket::acknowledge).
    pub fn acknowledge(
        &self,
        ack: impl Into<Option<Ack>>,
        arguments: impl IntoArguments,
        cx: &mut Context<'_>,
    ) -> Emitted {
        acknowledge(&self.hub, cx, ack.into(), &arguments)
    }

    /// The [place](SocketIoConfig::place) in the id of a session, which a request has as `sid`, or
    /// of a socket: which loop or machine gave it. A proxy can pass requests on by it. `None` if
    /// it is no id.
    ///
    /// ```
    /// use eventwire::socketio::SocketIo;
    ///
    /// assert_eq!(SocketIo::place_of("AAcQIDBAUGBwgJCgsMDQ4PEA"), Some(7));
    /// assert_eq!(SocketIo::place_of("7"), None);
    /// ```
    #[must_use]
    pub fn place_of(id: &str) -> Option<u16> {
        // Both kinds of ids have one form.
        id.parse().ok().map(SocketId::place)
    }

    /// What the server has and has counted.
    #[must_use]
    pub fn stats(&self) -> SocketIoStats {
        self.hub.borrow().stats
    }
}

impl From<SocketIoConfig> for SocketIo {
    fn from(config: SocketIoConfig) -> Self {
        Self::new(config)
    }
}

impl fmt::Debug for SocketIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIo").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
