//! What an application implements to serve Socket.IO clients.

use serde::Deserialize;
use serde::Serialize;

use super::arguments::Arguments;
use super::asks::{Ack, AskId, NoAnswer};
use super::handshake::Handshake;
use super::reason::DisconnectReason;
use super::socket::Socket;
use crate::Context;

/// An application's handler of Socket.IO clients, in all namespaces of a server
/// ([`Socket::namespace`] tells them apart).
///
/// All methods run on the loop's thread and borrow the application's state `S`, as those of a
/// [`WebSocketHandler`](crate::WebSocketHandler). For each socket, [`on_connect`](Self::on_connect)
/// comes first and [`on_disconnect`](Self::on_disconnect) last and exactly once, in between the
/// client's events in the order in which it sent them. A client that recovers begins anew:
/// [`Socket::recovered`]. No method is called from inside another.
///
/// If a method panics, the client is disconnected and the loop goes on
/// ([`OnPanic`](crate::OnPanic)).
///
/// ```
/// use eventwire::socketio::{Event, Socket, SocketIoConfig, SocketIoHandler};
/// use eventwire::{Config, EventLoop, Routes, ServerConfig};
///
/// struct Chat;
///
/// impl SocketIoHandler<()> for Chat {
///     fn on_event(&mut self, socket: &mut Socket<'_>, event: Event<'_>, _: &mut ()) {
///         if event.name == "say" {
///             if let Ok((text,)) = event.arguments.read::<(String,)>() {
///                 socket.broadcast().emit(socket, "said", (text,));
///             }
///             if let Some(ack) = event.ack {
///                 socket.acknowledge(ack, ("ok",));
///             }
///         }
///     }
/// }
///
/// let routes = Routes::new().socket_io("/socket.io/", SocketIoConfig::default(), Chat);
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes)?;
/// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
/// # Ok::<(), eventwire::Error>(())
/// ```
#[expect(unused_variables, reason = "the names document the defaulted methods")]
pub trait SocketIoHandler<S> {
    /// A client asks to join a namespace that exists. Accept or refuse: what Node calls a
    /// middleware. The default accepts. A client that recovers was accepted before, and is not
    /// checked again.
    ///
    /// # Errors
    ///
    /// Why the client is refused. It gets that.
    fn on_join(
        &mut self,
        cx: &mut Context<'_>,
        request: &JoinRequest<'_>,
        state: &mut S,
    ) -> Result<(), JoinRefused> {
        Ok(())
    }

    /// A client has joined a namespace, or has recovered there ([`Socket::recovered`]).
    fn on_connect(&mut self, socket: &mut Socket<'_>, state: &mut S) {}

    /// The client has sent an event.
    fn on_event(&mut self, socket: &mut Socket<'_>, event: Event<'_>, state: &mut S) {}

    /// The client has answered a question ([`Socket::ask`]), or the answer will not come.
    fn on_answer(
        &mut self,
        socket: &mut Socket<'_>,
        ask: AskId,
        answer: Result<Arguments<'_>, NoAnswer>,
        state: &mut S,
    ) {
    }

    /// The client has left the namespace, or its connection has ended. Nothing can be sent to it
    /// any more. [`Socket::rooms`] still has the rooms that it was in.
    fn on_disconnect(&mut self, socket: &mut Socket<'_>, reason: DisconnectReason, state: &mut S) {}
}

/// An event that a client has sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// Its name.
    pub name: &'a str,
    /// What came with it.
    pub arguments: Arguments<'a>,
    /// The client waits for an acknowledgement. Give it with [`Socket::acknowledge`], now or later.
    pub ack: Option<Ack>,
}

/// A client asks to join a namespace.
#[derive(Debug)]
#[non_exhaustive]
pub struct JoinRequest<'a> {
    /// The name of the namespace.
    pub namespace: &'a str,
    /// The request that opened the client's session.
    pub handshake: &'a Handshake,
    pub(super) auth: Option<&'a str>,
}

impl<'a> JoinRequest<'a> {
    /// What the client sent to be let in, its `auth`, as JSON. `None` if it sent nothing.
    #[must_use]
    pub const fn auth_json(&self) -> Option<&'a str> {
        self.auth
    }

    /// What the client sent to be let in. `None` if it sent nothing, or something else.
    #[must_use]
    pub fn auth<T: Deserialize<'a>>(&self) -> Option<T> {
        serde_json::from_str(self.auth?).ok()
    }
}

/// Why a client may not join: a message and, if wanted, data, which it gets with the error.
///
/// ```
/// use eventwire::socketio::JoinRefused;
///
/// let refused = JoinRefused::new("not authorized").data(&["no token"]);
/// assert_eq!(refused.to_json(), r#"{"message":"not authorized","data":["no token"]}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRefused {
    message: String,
    data: Option<String>,
}

impl JoinRefused {
    /// A refusal with that message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), data: None }
    }

    /// With data, which the client finds in the error. Data that JSON cannot represent is left out.
    #[must_use]
    pub fn data(mut self, data: &(impl Serialize + ?Sized)) -> Self {
        self.data = serde_json::to_string(data).ok();
        self
    }

    /// What the client gets.
    #[must_use]
    pub fn to_json(&self) -> String {
        // A string is always represented.
        let message = serde_json::to_string(&self.message).unwrap_or_default();
        match &self.data {
            Some(data) => format!("{{\"message\":{message},\"data\":{data}}}"),
            None => format!("{{\"message\":{message}}}"),
        }
    }
}

impl From<&str> for JoinRefused {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}
