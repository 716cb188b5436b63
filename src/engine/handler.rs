use std::fmt;

use super::{Connection, Gap};
use crate::net::{ConnectError, Disconnect};
use crate::proto::Message;
use crate::proto::handshake::{Acceptance, Refusal, UpgradeRequest};

/// What an application does with the connections of one listener, or with one that it made.
///
/// All methods run on the loop's thread and are lent the application's state `S`; a method that
/// takes its time holds up every connection. Every method does nothing by default, except that
/// upgrades are accepted.
///
/// For each connection [`on_open`](Self::on_open) comes first, and
/// [`on_close`](Self::on_close) last and exactly once; no method is called from inside another.
///
/// A method that panics costs its connection, not the loop: [`OnPanic`](crate::OnPanic).
///
/// [`EventLoop::listen_fn`](crate::EventLoop::listen_fn) and [`on_message`] make a handler of
/// messages of a closure.
#[expect(unused_variables, reason = "the names document the defaulted methods")]
pub trait WebSocketHandler<S> {
    /// A client asks to connect; its origin was checked. Accept or refuse.
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        request: &UpgradeRequest<'_>,
        state: &mut S,
    ) -> Upgrade {
        Upgrade::accept()
    }

    /// The connection is open.
    fn on_open(&mut self, conn: &mut Connection<'_>, state: &mut S) {}

    /// A whole message arrived. It is lent for this call: copy what is to be kept.
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, state: &mut S) {}

    /// A ping arrived; its pong is under way.
    fn on_ping(&mut self, conn: &mut Connection<'_>, payload: &[u8], state: &mut S) {}

    /// A pong arrived, asked for or not.
    fn on_pong(&mut self, conn: &mut Connection<'_>, payload: &[u8], state: &mut S) {}

    /// Everything that had to wait for the peer ([`SendStatus::Queued`](crate::SendStatus)) is
    /// sent.
    fn on_drained(&mut self, conn: &mut Connection<'_>, state: &mut S) {}

    /// The connection did not get some of what was broadcast to a topic it is subscribed to, as
    /// the subscription's [`OverflowPolicy`](crate::OverflowPolicy) has it.
    ///
    /// Every broadcast that it missed is told in exactly one gap, unless the connection ends
    /// before that, and the gaps of a topic come in order. One is told once the connection has
    /// got a later broadcast to the topic, or everything that waited for it is sent. What is sent
    /// from here, a snapshot for instance, comes after everything that was broadcast before.
    ///
    /// It may be told after the subscription was ended, or its topic removed.
    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, state: &mut S) {}

    /// The connection, which was open, has ended. Its id is refused from now on.
    fn on_close(&mut self, conn: &mut Connection<'_>, disconnect: &Disconnect, state: &mut S) {}

    /// The connection that this program wanted to make will not open.
    fn on_connect_error(&mut self, conn: &mut Connection<'_>, error: &ConnectError, state: &mut S) {
    }
}

/// A closure as a handler of messages: what [`on_message`] makes.
#[derive(Clone, Copy)]
pub struct OnMessage<F>(F);

/// Makes a handler of messages of a closure, where a handler object is wanted.
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

/// The answer to a client that asks to connect.
///
/// ```
/// use eventwire::Upgrade;
/// use eventwire::proto::handshake::{Acceptance, Refusal};
///
/// let plain = Upgrade::accept();
/// let chosen: Upgrade = Acceptance::new().subprotocol("chat.v2")?.into();
/// let refused: Upgrade = Refusal::new(401).body("who are you?").into();
/// # Ok::<(), eventwire::proto::http::InvalidHeader>(())
/// ```
#[derive(Clone, Debug)]
pub enum Upgrade {
    /// The connection opens. Without a subprotocol, the configuration's choice is taken.
    Accept(Acceptance),
    /// The connection ends with an HTTP response.
    Refuse(Refusal),
}

impl Upgrade {
    /// Opens the connection.
    #[must_use]
    pub fn accept() -> Self {
        Self::Accept(Acceptance::new())
    }

    /// Ends the connection with that HTTP status, 300 to 599. A [`Refusal`] has headers and a body,
    /// too.
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

impl From<Refusal> for Upgrade {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}
