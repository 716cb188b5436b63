use std::fmt;

use crate::engine::broadcast::report::Gap;
use crate::engine::connection::Connection;
use crate::engine::http::answer::{Answer, Later};
use crate::engine::ids::TopicId;
use crate::net::disconnect::{ConnectError, Disconnect};
use crate::proto::Message;
use crate::proto::handshake::{Acceptance, Refusal, UpgradeRequest, UpgradeResponse};
use crate::topics::Resumption;

/// An application's handler for the connections of one listener, or for one client connection.
///
/// All methods run on the loop's thread and borrow the application's state `S`. A slow method
/// delays every connection. By default `on_upgrade` accepts, and the other methods do nothing.
///
/// For each connection that opens, [`on_open`](Self::on_open) comes first, but for
/// [`on_upgrade`](Self::on_upgrade) or [`on_response`](Self::on_response), and
/// [`on_close`](Self::on_close) last and exactly once. No method is called from inside another.
///
/// If a method panics, the loop closes the connection and goes on: [`OnPanic`](crate::OnPanic).
///
/// [`EventLoop::listen_fn`](crate::EventLoop::listen_fn) and [`on_message`] turn a closure into a
/// handler.
#[expect(unused_variables, reason = "the names document the defaulted methods")]
pub trait WebSocketHandler<S> {
    /// A client asks to connect. Its origin has been checked. Accept or refuse.
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        request: &UpgradeRequest<'_>,
        state: &mut S,
    ) -> Upgrade {
        Upgrade::accept()
    }

    /// The server has accepted a client connection with this response. [`on_open`](Self::on_open)
    /// follows, unless the connection is [closed](Connection::close) here: then
    /// [`on_connect_error`](Self::on_connect_error) does.
    ///
    /// The connection is not open: nothing can be sent, and it cannot subscribe.
    fn on_response(
        &mut self,
        conn: &mut Connection<'_>,
        response: &UpgradeResponse<'_>,
        state: &mut S,
    ) {
    }

    /// The connection is open.
    fn on_open(&mut self, conn: &mut Connection<'_>, state: &mut S) {}

    /// A whole message arrived. It is borrowed for this call: copy what you keep.
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, state: &mut S) {}

    /// A ping arrived. The loop answers it with a pong.
    fn on_ping(&mut self, conn: &mut Connection<'_>, payload: &[u8], state: &mut S) {}

    /// A pong arrived, solicited or not.
    fn on_pong(&mut self, conn: &mut Connection<'_>, payload: &[u8], state: &mut S) {}

    /// All queued output ([`SendStatus::Queued`](crate::SendStatus)) is sent.
    fn on_drained(&mut self, conn: &mut Connection<'_>, state: &mut S) {}

    /// The connection missed some broadcasts to a topic that it is subscribed to, because of the
    /// subscription's [`OverflowPolicy`](crate::OverflowPolicy).
    ///
    /// Every missed broadcast is part of exactly one gap, unless the connection ends first. The
    /// gaps of a topic come in order. This method is called once the connection has got a later
    /// broadcast to the topic, or all its queued output is sent. A message sent from here, a
    /// snapshot for instance, arrives after everything that was broadcast before.
    ///
    /// The call may come after the subscription has ended, or after its topic was removed.
    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, state: &mut S) {}

    /// A subscription from a position ([`subscribe_from`](Connection::subscribe_from)) begins. This
    /// comes before its first message, and says what the client gets of what it missed.
    fn on_resumed(
        &mut self,
        conn: &mut Connection<'_>,
        topic: TopicId,
        resumption: Resumption,
        state: &mut S,
    ) {
    }

    /// An open connection has ended. Its id is refused from now on.
    fn on_close(&mut self, conn: &mut Connection<'_>, disconnect: &Disconnect, state: &mut S) {}

    /// A client connection could not be made. The error says why, and has the response of a server
    /// or a proxy that refused.
    fn on_connect_error(&mut self, conn: &mut Connection<'_>, error: &ConnectError, state: &mut S) {
    }
}

/// A closure as a handler of messages. Made by [`on_message`].
#[derive(Clone, Copy)]
pub struct OnMessage<F>(F);

/// Turns a closure into a handler of messages, for methods that take a handler object.
///
/// ```
/// use eventwire::{Config, EventLoop, ServerConfig, on_message};
///
/// let echo = on_message(|conn, message, _: &mut ()| {
///     conn.send(message);
/// });
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.listen("127.0.0.1:0", ServerConfig::default(), echo)?;
/// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
/// # Ok::<(), eventwire::Error>(())
/// ```
#[must_use]
pub const fn on_message<S, F>(handler: F) -> OnMessage<F>
where
    F: FnMut(&mut Connection<'_>, Message<'_>, &mut S),
{
    OnMessage(handler)
}

impl<F> fmt::Debug for OnMessage<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnMessage").finish_non_exhaustive()
    }
}

impl<S, F> WebSocketHandler<S> for OnMessage<F>
where
    F: FnMut(&mut Connection<'_>, Message<'_>, &mut S),
{
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, state: &mut S) {
        (self.0)(conn, message, state);
    }
}

/// The response to a client that asks to connect.
///
/// ```
/// use eventwire::Upgrade;
/// use eventwire::proto::handshake::{Acceptance, Refusal};
///
/// let plain = Upgrade::accept();
/// let chosen: Upgrade = Acceptance::new().subprotocol("chat.v2")?.into();
/// let refused: Upgrade = Refusal::new(401).body("log in first").into();
/// # Ok::<(), eventwire::proto::http::InvalidHeader>(())
/// ```
#[derive(Clone, Debug)]
pub enum Upgrade {
    /// The connection opens. If the acceptance names no subprotocol, the loop chooses one from the
    /// configuration.
    Accept(Acceptance),
    /// The connection ends with an HTTP response.
    Refuse(Refusal),
    /// The application decides later, with [`Context::respond`](crate::Context::respond) or a
    /// [`Responder`](crate::Responder).
    Later(Later),
}

impl Upgrade {
    /// Opens the connection.
    #[must_use]
    pub fn accept() -> Self {
        Self::Accept(Acceptance::new())
    }

    /// Ends the connection with an HTTP status from 300 to 599. For headers and a body, use a
    /// [`Refusal`].
    #[must_use]
    pub fn refuse(status: u16) -> Self {
        Self::Refuse(Refusal::new(status))
    }
}

impl From<Acceptance> for Upgrade {
    fn from(acceptance: Acceptance) -> Self {
        Self::Accept(acceptance)
    }
}

impl From<Later> for Upgrade {
    fn from(later: Later) -> Self {
        Self::Later(later)
    }
}

impl From<Refusal> for Upgrade {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

impl From<Upgrade> for Answer {
    fn from(upgrade: Upgrade) -> Self {
        match upgrade {
            Upgrade::Accept(acceptance) => Self::Accept(acceptance),
            Upgrade::Refuse(refusal) => Self::Refuse(refusal),
            Upgrade::Later(later) => Self::Later(later),
        }
    }
}
