//! Deadlines: what a peer must do in time.

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
            State::Connecting => self.waiting_since.checked_add(limits.handshake_timeout),
            State::Closing | State::Closed => self.waiting_since.checked_add(limits.close_timeout),
            State::Open => earlier(self.message_deadline(), self.liveness_deadline()),
        }
    }

    /// Whether [`WebSocket::deadline`] may be another than the next sign of life that is due.
    pub(crate) fn awaits_peer(&self) -> bool {
        let is_whole = self.partial.is_none() && !self.is_inflating();
        self.state != State::Open || self.awaiting_pong || !is_whole
    }

    /// The peer has shown that it lives, otherwise than by sending something: it takes what waits
    /// for it, and that has time where nothing else is to come.
    pub(crate) fn note_progress(&mut self, now: Time) {
        self.last_received = now;
        self.awaiting_pong = false;
        if self.responding || matches!(self.state, State::Closing | State::Closed) {
            self.waiting_since = now;
        }
    }

    /// The peer is heard again after it was not listened to: whatever it has to do in time, it
    /// has all of the time for from now on.
    pub(crate) fn restart_deadlines(&mut self, now: Time) {
        self.note_progress(now);
        if let Some(partial) = &mut self.partial {
            partial.message.restart(now);
        }
    }

    /// When the message began that is not whole, if there is one.
    pub(super) fn unfinished_since(&self) -> Option<Time> {
        self.partial.as_ref()?.message.unfinished_since()
    }

    fn message_deadline(&self) -> Option<Time> {
        self.unfinished_since()?.checked_add(self.limits.message_timeout)
    }

    /// Whether a message must be whole before a sign of life is due.
    fn is_message_deadline_first(&self) -> bool {
        let life = self.liveness_deadline();
        self.message_deadline().is_some_and(|message| life.is_none_or(|life| message < life))
    }

    fn liveness_deadline(&self) -> Option<Time> {
        let interval = self.limits.ping_interval?;
        if self.awaiting_pong {
            self.waiting_since.checked_add(self.limits.pong_timeout)
        } else {
            self.last_received.checked_add(interval)
        }
    }

    /// Acts on the earliest deadline, if it has come: pings a silent peer, or ends what took too
    /// long.
    ///
    /// # Errors
    ///
    /// Which deadline was missed; the state is [`State::Closed`]. In that state: the end of the
    /// stream did not come in time, and the owner should cut it.
    pub fn handle_timeout(&mut self, workspace: &mut Workspace<'_>) -> Result<(), TimedOut> {
        let now = workspace.now;
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        match self.state {
            // Nobody has failed at anything who asked for nothing: browsers connect ahead of need.
            State::Connecting if !self.has_begun_request() => {
                self.enter(State::Closed, workspace);
                Err(TimedOut::Handshake)
            }
            State::Connecting => {
                self.fail_handshake(HandshakeError::TimedOut, workspace);
                Err(TimedOut::Handshake)
            }
            State::Closing | State::Closed => {
                self.enter(State::Closed, workspace);
                Err(TimedOut::Close)
            }
            State::Open if self.is_message_deadline_first() => {
                self.write_close(Some(CloseCode::POLICY), "message unfinished", workspace);
                self.enter(State::Closed, workspace);
                Err(TimedOut::Message)
            }
            State::Open if self.awaiting_pong => {
                self.enter(State::Closed, workspace);
                Err(TimedOut::Pong)
            }
            State::Open => {
                self.write_ping(&[], workspace);
                self.awaiting_pong = true;
                self.waiting_since = now;
                Ok(())
            }
        }
    }
}

fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
