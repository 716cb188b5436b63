//! Who gets an event: rooms, without others.

use std::rc::Rc;

use super::arguments::{IntoArguments, Written};
use super::emitted::{Emitted, written};
use super::hub::{Emission, Emits, Hub, Members, Rooms, SharedHub};
use super::ids::SocketId;
use super::target::Target;
use crate::Context;
use crate::slots::Key;

/// Sockets of one namespace: all of them, or the members of rooms, without some. Made by
/// [`SocketIo::of`](super::SocketIo::of), [`Socket::to`](super::Socket::to) and
/// [`Socket::others`](super::Socket::others).
///
/// A room is named by a text. Each socket is also in the room that is named by its
/// [id](super::Socket::id). A room exists while it has members. Its topic is
/// `{path}{namespace}#{room}`: `/socket.io/#lobby` for the room `lobby` of the namespace `/`, so
/// that other handlers of the loop may broadcast packets to it. Other connections that are
/// subscribed to it get what is sent to the room while it exists.
///
/// An event to one room, or to all of the namespace, is encoded once for all that are on
/// WebSockets. Several rooms, and exceptions of rooms, take a list of the sockets for each event;
/// then each socket gets the event once.
///
/// ```
/// use eventwire::Context;
/// use eventwire::socketio::SocketIo;
///
/// fn announce(io: &SocketIo, cx: &mut Context<'_>) {
///     io.of("/").to("lobby").to("hall").except("muted").emit("news", ("open", 1), cx);
/// }
/// ```
#[derive(Clone)]
pub struct Audience {
    hub: SharedHub,
    target: Target,
    is_volatile: bool,
}

impl Audience {
    pub(super) fn new(hub: SharedHub, namespace: Rc<str>, skipped: Option<Key>) -> Self {
        let target = Target { namespace, rooms: Vec::new(), except: Vec::new(), skipped };
        Self { hub, target, is_volatile: false }
    }

    /// The members of this room, and of others that are named. Without a room: all of the
    /// namespace.
    #[must_use]
    pub fn to(mut self, room: impl Into<String>) -> Self {
        self.target.rooms.push(room.into());
        self
    }

    /// Without the members of this room.
    #[must_use]
    pub fn except(mut self, room: impl Into<String>) -> Self {
        self.target.except.push(room.into());
        self
    }

    /// Sends events only to sockets whose transport takes them at once: those on a WebSocket that
    /// reads, and those by polling whose poll waits. Such events are not recovered.
    #[must_use]
    pub const fn volatile(mut self) -> Self {
        self.is_volatile = true;
        self
    }

    /// Sends an event. `arguments` are a tuple.
    pub fn emit(&self, name: &str, arguments: impl IntoArguments, cx: &mut Context<'_>) -> Emitted {
        match written(name, &arguments) {
            Ok(arguments) => self.emit_written(cx, name, &arguments),
            Err(error) => Emitted::Invalid(error),
        }
    }

    fn emit_written(&self, cx: &mut Context<'_>, name: &str, arguments: &Written) -> Emitted {
        let emission = Emission { name, arguments, ask: None, is_volatile: self.is_volatile };
        Emits(&mut self.hub.borrow_mut()).emit_to_all(cx, &self.target, emission).into()
    }

    /// The ids of the sockets, in no particular order.
    #[must_use]
    pub fn sockets(&self, cx: &Context<'_>) -> Vec<SocketId> {
        let hub = self.hub.borrow();
        let Some(namespace) = hub.by_name.get(&self.target.namespace) else {
            return Vec::new();
        };
        let sockets = hub.sockets_of(cx, *namespace, &self.target);
        sockets.into_iter().filter_map(|key| Some(hub.sockets.get(key)?.id)).collect()
    }

    /// Adds all of the sockets to a room.
    pub fn join(&self, room: &str, cx: &mut Context<'_>) {
        self.for_each(cx, |hub, cx, socket| {
            Rooms(hub).join(cx, socket, room);
        });
    }

    /// Removes all of the sockets from a room.
    pub fn leave(&self, room: &str, cx: &mut Context<'_>) {
        self.for_each(cx, |hub, cx, socket| {
            Rooms(hub).leave(cx, socket, room);
        });
    }

    /// Disconnects all of the sockets from the namespace, as
    /// [`Socket::disconnect`](super::Socket::disconnect).
    pub fn disconnect(&self, cx: &mut Context<'_>) {
        self.for_each(cx, |hub, cx, socket| Members(hub).disconnect(cx, socket));
    }

    /// Closes the connections of all of the sockets, as
    /// [`Socket::close`](super::Socket::close).
    pub fn close(&self, cx: &mut Context<'_>) {
        self.for_each(cx, |hub, cx, socket| Members(hub).close(cx, socket));
    }

    fn for_each(&self, cx: &mut Context<'_>, mut act: impl FnMut(&mut Hub, &mut Context<'_>, Key)) {
        let mut hub = self.hub.borrow_mut();
        let Some(namespace) = hub.by_name.get(&self.target.namespace).copied() else {
            return;
        };
        for socket in hub.sockets_of(cx, namespace, &self.target) {
            act(&mut hub, cx, socket);
        }
    }
}

impl std::fmt::Debug for Audience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audience")
            .field("namespace", &self.target.namespace)
            .field("rooms", &self.target.rooms)
            .field("except", &self.target.except)
            .finish_non_exhaustive()
    }
}
