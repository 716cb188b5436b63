//! The state machine of a session: its transport, the upgrade, heartbeats, and what waits for
//! polls.

#[cfg(test)]
mod tests;

use std::mem;
use std::rc::Rc;

use bytes::Bytes;

use super::packet::Packet;
use super::waiting::Waiting;
use super::wire::{Outgoing, Wire};

/// What a poll gets that must end without a message.
const NOOP: Bytes = Bytes::from_static(b"6");

/// What the last poll gets.
const CLOSE: Bytes = Bytes::from_static(b"1");

/// A session: one client, whatever the transport.
///
/// ```text
///              probe sent           `5` received
///  Polling ◀──────────────▶ Polling ─────────────▶ WebSocket
///  no upgrade   failed      upgrading                  │
///     │                        │                       │ closed, lost
///     │ closed without a poll  │                       ▼
///     └──────▶ Closing ────────┴──────poll──────────▶ Closed
/// ```
///
/// It reads no clock. The caller calls [`beat`](Self::beat) when a heartbeat is due, and
/// [`end_upgrade`](Self::end_upgrade) when an upgrade takes too long.
#[derive(Debug)]
pub struct Session<P, S> {
    state: State<P, S>,
    heart: Heart,
}

#[derive(Debug)]
enum State<P, S> {
    /// Apart, because it takes more memory than an idle session on a WebSocket may.
    Polling(Box<Polling<P, S>>),
    WebSocket(S),
    /// The next polls get what waits, and the end.
    Closing(Box<Waiting>),
    Closed,
}

#[derive(Debug)]
struct Polling<P, S> {
    poll: Option<P>,
    upgrade: Upgrade<S>,
    waiting: Waiting,
}

#[derive(Debug)]
enum Upgrade<S> {
    None,
    /// The WebSocket is open, and the client has not sent its probe.
    Open(S),
    /// The client has its answer to the probe. Every poll is answered at once.
    Probed(S),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heart {
    /// The next ping is due after the interval.
    Resting,
    /// A ping was sent, and the pong has to come within the timeout.
    Pinged,
}

/// What became of a packet that arrived.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(Bytes),
    /// The client answered a ping: the next one is due after the interval.
    Pong,
    /// The session is on the WebSocket now.
    Upgraded,
    /// The client has closed the session.
    Closed,
    /// Nothing that the application has to know.
    Nothing,
    /// The packet breaks the protocol. The session is to be ended.
    Violation,
}

/// Why a request of the client is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The session ended.
    Unknown,
    /// The session is on a WebSocket.
    OtherTransport,
    /// Another poll waits. The session has ended.
    Overlapping,
}

/// What is due in a session's heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Beat {
    /// A ping was sent. The pong has to come within the timeout.
    Pinged,
    /// The pong did not come in time. The session is to be ended.
    Missed,
}

/// What the end of a WebSocket is for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lost {
    /// The session has ended.
    Session,
    /// An upgrade has failed, and the session goes on by polling.
    Upgrade,
    /// It was none of the session's.
    Nothing,
}

impl<P: Copy + PartialEq, S: Copy + PartialEq> Session<P, S> {
    /// A session that begins with polling.
    #[must_use]
    pub fn polling() -> Self {
        let polling = Polling { poll: None, upgrade: Upgrade::None, waiting: Waiting::default() };
        Self::new(State::Polling(Box::new(polling)))
    }

    /// A session that begins on a WebSocket.
    #[must_use]
    pub const fn web_socket(socket: S) -> Self {
        Self::new(State::WebSocket(socket))
    }

    const fn new(state: State<P, S>) -> Self {
        Self { state, heart: Heart::Resting }
    }

    /// The WebSocket that the session is on.
    #[inline]
    #[must_use]
    pub fn socket(&self) -> Option<S> {
        match self.state {
            State::WebSocket(socket) => Some(socket),
            _ => None,
        }
    }

    /// Whether messages can be sent.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Polling(_) | State::WebSocket(_))
    }

    /// Whether nothing of the session is left.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether a message would leave at once by polling: a poll waits, and nothing is queued.
    #[must_use]
    pub fn has_idle_poll(&self) -> bool {
        match &self.state {
            State::Polling(polling) => polling.poll.is_some() && polling.waiting.is_empty(),
            _ => false,
        }
    }

    /// How many bytes of messages wait for polls.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        match &self.state {
            State::Polling(polling) => polling.waiting.bytes(),
            State::Closing(waiting) => waiting.bytes(),
            State::WebSocket(_) | State::Closed => 0,
        }
    }

    /// A `GET` request asks for packets.
    ///
    /// # Errors
    ///
    /// If the request is refused, and gets no answer here.
    pub fn poll(&mut self, poll: P, wire: &mut impl Wire<P, S>) -> Result<(), Refused> {
        match &mut self.state {
            State::Polling(polling) if polling.poll.is_some() => {
                self.abort(wire);
                Err(Refused::Overlapping)
            }
            State::Polling(polling) => {
                polling.poll = Some(poll);
                match polling.upgrade {
                    Upgrade::Probed(_) => polling.release(wire),
                    Upgrade::None | Upgrade::Open(_) => polling.flush(wire),
                }
                Ok(())
            }
            State::WebSocket(_) => Err(Refused::OtherTransport),
            State::Closing(waiting) if waiting.is_empty() => {
                wire.answer(poll, CLOSE);
                self.state = State::Closed;
                Ok(())
            }
            // The end has a response of its own, or clients see it before what comes with it.
            State::Closing(waiting) => {
                wire.answer(poll, waiting.take_payload());
                Ok(())
            }
            State::Closed => Err(Refused::Unknown),
        }
    }

    /// The client of a poll has left before the answer. Returns whether the session has ended with
    /// that.
    pub fn poll_lost(&mut self, lost: P, wire: &mut impl Wire<P, S>) -> bool {
        match &mut self.state {
            State::Polling(polling) if polling.poll == Some(lost) => {
                polling.poll = None;
                self.abort(wire);
                true
            }
            _ => false,
        }
    }

    /// A `POST` request brings packets.
    ///
    /// # Errors
    ///
    /// If the request is refused.
    pub const fn check_post(&self) -> Result<(), Refused> {
        match self.state {
            State::Polling(_) => Ok(()),
            State::WebSocket(_) => Err(Refused::OtherTransport),
            State::Closing(_) | State::Closed => Err(Refused::Unknown),
        }
    }

    /// A packet of a `POST` request, or of the WebSocket that the session is on.
    pub fn receive<'a>(&mut self, packet: Packet<'a>) -> Received<'a> {
        if !self.is_open() {
            return Received::Nothing;
        }
        match packet {
            Packet::Text(text) => Received::Text(text),
            Packet::Binary(bytes) => Received::Binary(Bytes::from(bytes.into_owned())),
            Packet::Pong(_) if self.heart == Heart::Pinged => {
                self.heart = Heart::Resting;
                Received::Pong
            }
            Packet::Close => Received::Closed,
            Packet::Pong(_) | Packet::Noop => Received::Nothing,
            // In version 4 the server sends pings.
            Packet::Ping(_) | Packet::Open(_) | Packet::Upgrade => Received::Violation,
        }
    }

    /// A WebSocket opened for the session. Returns whether an upgrade begins. If not, the
    /// WebSocket is to be closed: the session has one, or has ended.
    pub fn socket_opened(&mut self, socket: S) -> bool {
        match &mut self.state {
            State::Polling(polling) if matches!(polling.upgrade, Upgrade::None) => {
                polling.upgrade = Upgrade::Open(socket);
                true
            }
            _ => false,
        }
    }

    /// A packet of the WebSocket that the session is to move to. `None`: it is no packet of an
    /// upgrade, so that the upgrade has failed and the session goes on by polling.
    pub fn receive_probe(
        &mut self,
        socket: S,
        packet: Option<Packet<'_>>,
        wire: &mut impl Wire<P, S>,
    ) -> Received<'static> {
        let is_upgrading = self.is_upgrading_to(socket);
        let State::Polling(polling) = &mut self.state else {
            wire.close(socket);
            return Received::Nothing;
        };
        if !is_upgrading {
            // The upgrade to it has failed.
            wire.close(socket);
            return Received::Nothing;
        }
        match packet {
            Some(Packet::Ping(data @ "probe")) => {
                polling.upgrade = Upgrade::Probed(socket);
                wire.send(socket, &Packet::Pong(data));
                polling.release(wire);
                Received::Nothing
            }
            Some(Packet::Upgrade) => {
                polling.release(wire);
                mem::take(&mut polling.waiting).send(socket, wire);
                self.state = State::WebSocket(socket);
                Received::Upgraded
            }
            _ => {
                self.end_upgrade(wire);
                Received::Nothing
            }
        }
    }

    /// Whether an upgrade to this WebSocket is going on.
    #[must_use]
    pub fn is_upgrading_to(&self, socket: S) -> bool {
        let State::Polling(polling) = &self.state else {
            return false;
        };
        match polling.upgrade {
            Upgrade::Open(it) | Upgrade::Probed(it) => it == socket,
            Upgrade::None => false,
        }
    }

    /// An upgrade that goes on has failed. The session goes on by polling.
    pub fn end_upgrade(&mut self, wire: &mut impl Wire<P, S>) {
        if let State::Polling(polling) = &mut self.state {
            match mem::replace(&mut polling.upgrade, Upgrade::None) {
                Upgrade::Open(socket) | Upgrade::Probed(socket) => wire.close(socket),
                Upgrade::None => {}
            }
        }
    }

    /// A WebSocket has ended.
    pub fn socket_lost(&mut self, lost: S) -> Lost {
        let is_upgrading = self.is_upgrading_to(lost);
        match &mut self.state {
            State::WebSocket(socket) if *socket == lost => {
                self.state = State::Closed;
                Lost::Session
            }
            State::Polling(polling) if is_upgrading => {
                polling.upgrade = Upgrade::None;
                Lost::Upgrade
            }
            _ => Lost::Nothing,
        }
    }

    /// Sends a message. By polling it waits until [`flush`](Self::flush), so that several leave
    /// together.
    pub fn send(&mut self, message: Rc<Outgoing>, wire: &mut impl Wire<P, S>) {
        match &mut self.state {
            State::WebSocket(socket) => wire.send_message(*socket, &message),
            State::Polling(polling) => polling.waiting.push(message),
            State::Closing(_) | State::Closed => {}
        }
    }

    /// Answers the poll that waits, if something is queued.
    pub fn flush(&mut self, wire: &mut impl Wire<P, S>) {
        if let State::Polling(polling) = &mut self.state {
            polling.flush(wire);
        }
    }

    /// The interval after the last pong is over, or the timeout after the last ping.
    pub fn beat(&mut self, wire: &mut impl Wire<P, S>) -> Beat {
        if self.heart == Heart::Pinged {
            return Beat::Missed;
        }
        self.heart = Heart::Pinged;
        match &mut self.state {
            State::WebSocket(socket) => wire.send(*socket, &Packet::Ping("")),
            State::Polling(polling) => {
                polling.waiting.push_ping();
                polling.flush(wire);
            }
            State::Closing(_) | State::Closed => {}
        }
        Beat::Pinged
    }

    /// Ends the session in order: what was sent before still leaves. By polling without a poll
    /// that waits, it leaves with the next one.
    pub fn close(&mut self, wire: &mut impl Wire<P, S>) {
        self.end_upgrade(wire);
        match &mut self.state {
            State::WebSocket(socket) => {
                wire.close(*socket);
                self.state = State::Closed;
            }
            State::Polling(polling) => {
                let poll = polling.poll.take();
                self.state = State::Closing(Box::new(mem::take(&mut polling.waiting)));
                if let Some(poll) = poll {
                    // A session that is closing refuses no poll.
                    let _ = self.poll(poll, wire);
                }
            }
            State::Closing(_) | State::Closed => {}
        }
    }

    /// The client has closed the session. A poll that waits is answered with nothing.
    pub fn end(&mut self, wire: &mut impl Wire<P, S>) {
        self.forget_waiting();
        if let State::Polling(polling) = &mut self.state {
            polling.release(wire);
        }
        self.abort(wire);
    }

    /// Ends the session at once. A poll that waits gets the end.
    pub fn abort(&mut self, wire: &mut impl Wire<P, S>) {
        self.forget_waiting();
        self.close(wire);
        self.state = State::Closed;
    }

    fn forget_waiting(&mut self) {
        if let State::Polling(polling) = &mut self.state {
            polling.waiting = Waiting::default();
        }
    }
}

impl<P: Copy, S: Copy> Polling<P, S> {
    /// Answers the poll that waits, if there is something for it.
    fn flush(&mut self, wire: &mut impl Wire<P, S>) {
        if !self.waiting.is_empty() {
            if let Some(poll) = self.poll.take() {
                wire.answer(poll, self.waiting.take_payload());
            }
        }
    }

    /// Answers the poll that waits with what there is, or nothing.
    fn release(&mut self, wire: &mut impl Wire<P, S>) {
        self.flush(wire);
        if let Some(poll) = self.poll.take() {
            wire.answer(poll, NOOP);
        }
    }
}
