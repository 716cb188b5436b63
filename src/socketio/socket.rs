//! What a handler can do with one client.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::arguments::{IntoArguments, Written};
use super::asks::{Ack, AskId};
use super::audience::Audience;
use super::emitted::{EmitError, Emitted, written};
use super::engine_io::Transport;
use super::handshake::Handshake;
use super::hub::{Emission, Emits, Hub, Members, Rooms, SharedHub, SocketEntry};
use super::ids::SocketId;
use crate::Context;
use crate::slots::Key;

/// A client in a namespace, for which a handler is called. It dereferences to [`Context`], whose
/// methods concern the whole loop.
///
/// A handler borrows it for one call. To reach a client later, keep its [id](Self::id)
/// ([`SocketIo::socket`](super::SocketIo::socket)).
pub struct Socket<'a> {
    context: Context<'a>,
    hub: &'a SharedHub,
    key: Key,
    id: SocketId,
}

impl<'a> Socket<'a> {
    /// `None` if it is gone.
    pub(super) fn new(context: Context<'a>, hub: &'a SharedHub, key: Key) -> Option<Self> {
        let id = hub.borrow().sockets.get(key)?.id;
        Some(Self { context, hub, key, id })
    }
}

impl Socket<'_> {
    /// The client's id in this namespace. Others may know it. Each socket is in the room that is
    /// named by its id.
    #[must_use]
    pub const fn id(&self) -> SocketId {
        self.id
    }

    /// The name of the namespace.
    #[must_use]
    pub fn namespace(&self) -> Rc<str> {
        let hub = self.hub.borrow();
        let namespace = hub.sockets.get(self.key).and_then(|it| hub.namespaces.get(it.namespace));
        namespace.map_or_else(|| "/".into(), |namespace| Rc::clone(&namespace.name))
    }

    /// Sends an event to this client. `arguments` are a tuple of up to eight values, `()`, or the
    /// [`Arguments`](super::Arguments) of another event as they came.
    ///
    /// ```
    /// use eventwire::socketio::{Binary, Event, Socket};
    ///
    /// fn echo(socket: &mut Socket<'_>, event: Event<'_>) {
    ///     socket.emit("copy", event.arguments);
    ///     socket.emit("point", (1.5, 2.5));
    ///     socket.emit("file", ("a.txt", Binary::from(&b"text"[..])));
    /// }
    /// ```
    pub fn emit(&mut self, name: &str, arguments: impl IntoArguments) -> Emitted {
        self.emit_with(name, &arguments, false)
    }

    /// Sends an event to this client, if it leaves at once: on a WebSocket that reads, or with a
    /// poll that waits. For values that soon are old. Such an event is not recovered.
    pub fn emit_volatile(&mut self, name: &str, arguments: impl IntoArguments) -> Emitted {
        self.emit_with(name, &arguments, true)
    }

    fn emit_with(
        &mut self,
        name: &str,
        arguments: &impl IntoArguments,
        is_volatile: bool,
    ) -> Emitted {
        match written(name, arguments) {
            Ok(arguments) => {
                let emission = Emission { name, arguments: &arguments, ask: None, is_volatile };
                self.act(|hub, cx, socket| Emits(hub).emit_to(cx, socket, emission)).into()
            }
            Err(error) => Emitted::Invalid(error),
        }
    }

    /// Asks this client something: sends an event, whose acknowledgement is the answer. It comes to
    /// [`on_answer`](super::SocketIoHandler::on_answer). If it has not come within `timeout`, the
    /// handler learns that.
    ///
    /// A question is not recovered: it ends with the client's connection.
    ///
    /// # Errors
    ///
    /// [`AskError`].
    pub fn ask(
        &mut self,
        name: &str,
        arguments: impl IntoArguments,
        timeout: Duration,
    ) -> Result<AskId, AskError> {
        let arguments = written(name, &arguments).map_err(AskError::Invalid)?;
        let emission = Emission { name, arguments: &arguments, ask: None, is_volatile: false };
        if !self.is_connected() {
            return Err(AskError::Gone);
        }
        let asked = self.act(|hub, cx, socket| Members(hub).ask(cx, socket, emission, timeout));
        asked.ok_or(AskError::TooMany)
    }

    /// Acknowledges an event, of this client or of another one.
    pub fn acknowledge(&mut self, ack: Ack, arguments: impl IntoArguments) -> Emitted {
        acknowledge(self.hub, &mut self.context, ack, &arguments)
    }

    /// The members of a room of this namespace, without this client. Further rooms can be added.
    #[must_use]
    pub fn to(&self, room: impl Into<String>) -> Audience {
        self.broadcast().to(room)
    }

    /// All of this namespace, without this client.
    #[must_use]
    pub fn broadcast(&self) -> Audience {
        Audience::new(Rc::clone(self.hub), self.namespace(), Some(self.key))
    }

    /// All of this namespace, this client included.
    #[must_use]
    pub fn everyone(&self) -> Audience {
        Audience::new(Rc::clone(self.hub), self.namespace(), None)
    }

    /// Adds this client to a room. Returns `false` if it is in there, or in
    /// [too many](super::SocketIoConfig::max_rooms), or gone.
    pub fn join(&mut self, room: &str) -> bool {
        self.act(|hub, cx, socket| Rooms(hub).join(cx, socket, room))
    }

    /// Removes this client from a room. Returns `false` if it is not in there.
    pub fn leave(&mut self, room: &str) -> bool {
        self.act(|hub, cx, socket| Rooms(hub).leave(cx, socket, room))
    }

    /// The rooms that this client is in, without the one that is named by its id, in no particular
    /// order.
    #[must_use]
    pub fn rooms(&self) -> Vec<Rc<str>> {
        self.entry(|entry| entry.rooms.clone()).unwrap_or_default()
    }

    /// Disconnects this client from the namespace. Its connection, and its other namespaces, stay.
    pub fn disconnect(&mut self) {
        self.act(|hub, cx, socket| Members(hub).disconnect(cx, socket));
    }

    /// Disconnects this client from all its namespaces, and closes its connection.
    pub fn close(&mut self) {
        self.act(|hub, cx, socket| Members(hub).close(cx, socket));
    }

    /// Whether something can be sent to this client.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.entry(SocketEntry::is_connected).unwrap_or_default()
    }

    /// Whether this client has recovered a former connection: its id and its rooms are those that
    /// it had, and it gets what it missed.
    #[must_use]
    pub fn recovered(&self) -> bool {
        self.entry(|entry| entry.is_recovered).unwrap_or_default()
    }

    /// The request that opened the client's session. `None` once the client is gone.
    #[must_use]
    pub fn handshake(&self) -> Option<Rc<Handshake>> {
        let hub = self.hub.borrow();
        let session = hub.sessions.get(hub.sockets.get(self.key)?.session?)?;
        Some(Rc::clone(&session.handshake))
    }

    /// What the client sent to be let in, its `auth`, as JSON. `None` if it sent nothing.
    #[must_use]
    pub fn auth_json(&self) -> Option<Rc<str>> {
        self.entry(|entry| entry.auth.clone()).flatten()
    }

    /// What the client sent to be let in. `None` if it sent nothing, or something else.
    #[must_use]
    pub fn auth<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.auth_json()?).ok()
    }

    /// How the client is connected at this moment. `None` once it is gone.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        let hub = self.hub.borrow();
        let session = hub.sessions.get(hub.sockets.get(self.key)?.session?)?;
        Some(match session.engine.socket() {
            Some(_) => Transport::WebSocket,
            None => Transport::Polling,
        })
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut Hub, &mut Context<'_>, Key) -> T) -> T {
        act(&mut self.hub.borrow_mut(), &mut self.context, self.key)
    }

    fn entry<T>(&self, read: impl FnOnce(&SocketEntry) -> T) -> Option<T> {
        self.hub.borrow().sockets.get(self.key).map(read)
    }
}

/// Why a client is not asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum AskError {
    /// The question cannot be sent to anybody.
    Invalid(EmitError),
    /// Too many questions to this client are open ([`SocketIoConfig::max_asks`]), or the loop has
    /// too many timers.
    ///
    /// [`SocketIoConfig::max_asks`]: super::SocketIoConfig::max_asks
    TooMany,
    /// The client is gone.
    Gone,
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => error.fmt(f),
            Self::TooMany => f.write_str("too many questions are open"),
            Self::Gone => f.write_str("the client is gone"),
        }
    }
}

impl std::error::Error for AskError {}

/// Acknowledges an event.
pub(super) fn acknowledge(
    hub: &SharedHub,
    cx: &mut Context<'_>,
    ack: Ack,
    arguments: &impl IntoArguments,
) -> Emitted {
    let Ack { socket, id } = ack;
    match Written::of(arguments) {
        Ok(arguments) => {
            Emits(&mut hub.borrow_mut()).acknowledge(cx, socket, id, &arguments).into()
        }
        Err(error) => Emitted::Invalid(EmitError::Arguments(error)),
    }
}

impl<'a> Deref for Socket<'a> {
    type Target = Context<'a>;

    fn deref(&self) -> &Self::Target {
        &self.context
    }
}

impl DerefMut for Socket<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.context
    }
}

impl fmt::Debug for Socket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("id", &self.id).finish_non_exhaustive()
    }
}
