//! Deadlines: what a peer must do in time.

use super::handshake::fail_handshake;
use super::opening::Expected;
use super::server_request::RequestStage;
use super::{State, TimedOut, WebSocket, Workspace};
use crate::proto::CloseCode;
use crate::proto::handshake::HandshakeError;
use crate::time::Time;

impl WebSocket {
    /// When [`WebSocket::handle_timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let limits = &*self.limits;
        match self.state {
            State::Connecting => opening_deadline(self),
            State::Closing | State::Closed => self.waiting_since.checked_add(limits.close_timeout),
            State::Open => earlier(message_deadline(self), liveness_deadline(self)),
        }
    }

    /// Whether the deadline may be another than that of the next ping: a handshake, a message or a
    /// pong is awaited.
    pub(crate) fn awaits_peer(&self) -> bool {
        let is_whole = self.partial.get().is_none() && !self.compression.is_inflating();
        self.state != State::Open || self.awaiting_pong || !is_whole
    }

    /// Notes that the peer took some of the output, so that it is alive, and has more time where
    /// nothing else is expected of it.
    pub(crate) fn note_progress(&mut self, now: Time) {
        self.last_received = now;
        self.awaiting_pong = false;
        if self.responding || matches!(self.state, State::Closing | State::Closed) {
            self.waiting_since = now;
        }
    }

    /// Gives the peer its full time for everything. The input was not read for a while, so that
    /// it could not meet any deadline.
    pub(crate) fn restart_deadlines(&mut self, now: Time) {
        self.note_progress(now);
        self.partial.restart(now);
    }

    /// Acts on the earliest deadline, if it has come: pings a silent peer, or ends what took too
    /// long.
    ///
    /// # Errors
    ///
    /// The deadline that the peer missed. The state is [`State::Closed`]. If it was that before,
    /// the end of the stream did not come in time, and the owner should drop the stream.
    pub fn handle_timeout(&mut self, workspace: &mut Workspace<'_>) -> Result<(), TimedOut> {
        let now = workspace.now;
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        match self.state {
            State::Connecting if self.request_stage() == Some(RequestStage::Answering) => {
                fail_handshake(self, HandshakeError::ResponseTimedOut, workspace);
                Err(TimedOut::Response)
            }
            // Browsers connect ahead of need: a client that asked for nothing gets no response.
            State::Connecting if !has_begun_request(self) => {
                self.enter(State::Closed, workspace);
                Err(TimedOut::Handshake)
            }
            State::Connecting => {
                fail_handshake(self, HandshakeError::TimedOut, workspace);
                Err(TimedOut::Handshake)
            }
            State::Closing | State::Closed => {
                self.enter(State::Closed, workspace);
                Err(TimedOut::Close)
            }
            State::Open if is_message_deadline_first(self) => {
                workspace.write_close(self.role, Some(CloseCode::POLICY), "message unfinished");
                self.enter(State::Closed, workspace);
                Err(TimedOut::Message)
            }
            State::Open if self.awaiting_pong => {
                self.enter(State::Closed, workspace);
                Err(TimedOut::Pong)
            }
            State::Open => {
                self.ping(&[], workspace);
                self.awaiting_pong = true;
                self.waiting_since = now;
                Ok(())
            }
        }
    }
}

/// When an unfinished message must be whole, or have grown.
fn message_deadline(socket: &WebSocket) -> Option<Time> {
    socket.partial.unfinished_since()?.checked_add(socket.limits.message_timeout)
}

/// When a ping is due, or its pong.
fn liveness_deadline(socket: &WebSocket) -> Option<Time> {
    let interval = socket.limits.ping_interval?;
    if socket.awaiting_pong {
        socket.waiting_since.checked_add(socket.limits.pong_timeout)
    } else {
        socket.last_received.checked_add(interval)
    }
}

fn is_message_deadline_first(socket: &WebSocket) -> bool {
    let life = liveness_deadline(socket);
    message_deadline(socket).is_some_and(|message| life.is_none_or(|life| message < life))
}

fn has_begun_request(socket: &WebSocket) -> bool {
    socket.opening.as_ref().is_some_and(|opening| opening.has_begun())
}

/// When the handshake or the request must be complete, or the response must be there.
fn opening_deadline(socket: &WebSocket) -> Option<Time> {
    let limits = &*socket.limits;
    let timeout = match socket.opening.as_ref().map(|opening| &opening.expected) {
        Some(Expected::Response(until)) => return Some(*until),
        Some(Expected::Body(_)) => limits.body_timeout,
        Some(Expected::Head | Expected::Act) | None => limits.handshake_timeout,
    };
    socket.waiting_since.checked_add(timeout)
}

fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
