//! How much is heard of a peer that is behind.

use super::socket::{OutboxLimits, Socket};
use crate::proto::{Role, State};
use crate::slots::Key;

/// How much of a peer's input is to be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// As much as there is.
    All,
    /// [`Hearing::PORTION`] at most: more than the soft limit waits for the peer.
    Portion,
    /// Nothing, until the peer has taken some of what waits for it.
    Nothing,
}

/// What a peer must take before it is heard again, while more than the soft limit waits for it.
///
/// It is heard in portions, so that it can say that it wants less, and finds that it is answered
/// when it asks whether its server is there. Each portion, and what is answered to it, is paid for
/// with output that the peer takes: who never reads is heard once at most.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    /// Bytes that are still to be taken for what was heard.
    debt: usize,
    /// Bytes that were queued in the life of the outbox.
    queued: usize,
}

impl Hearing {
    /// How much is received at once, in bytes: hundreds of control frames or of short messages.
    pub(crate) const PORTION: usize = 4 * 1024;

    /// How much is to be taken for each byte that was received: messages whose answers, whoever
    /// sends them and when, are up to so many times as long do not make the outbox longer.
    const PRICE: usize = 16;

    /// The most that is to be taken, whatever was answered, so that one who asked for much is heard
    /// while that is on its way.
    const MOST: usize = Self::PRICE * Self::PORTION;

    /// Bytes that were queued, to tell what has been since.
    pub(crate) const fn queued(&self) -> usize {
        self.queued
    }

    pub(crate) const fn note_queued(&mut self, count: usize) {
        self.queued = self.queued.wrapping_add(count);
    }

    pub(crate) const fn note_taken(&mut self, count: usize) {
        self.debt = self.debt.saturating_sub(count);
    }

    /// So much was received while the peer was behind, and so much answered.
    pub(crate) fn charge(&mut self, received: usize, answered: usize) {
        let price = received.saturating_mul(Self::PRICE).saturating_add(answered);
        self.debt = self.debt.saturating_add(price).min(Self::MOST);
    }

    /// Whether the peer has taken as much as it had to.
    const fn is_paid(&self) -> bool {
        self.debt == 0
    }
}

/// What was queued for the connection whose input is being handled, in answer to that.
#[derive(Debug)]
pub(crate) struct Answers {
    /// The connection, if its peer is behind, and heard in portions.
    portioned: Key,
    /// How much was queued for it before.
    before: usize,
}

impl Answers {
    /// To nothing.
    pub(crate) const NONE: Self = Self { portioned: Key::NONE, before: 0 };

    /// Of what is queued from now on, `queued` was there before.
    pub(crate) const fn begin(&mut self, queued: usize) {
        self.before = queued;
    }

    /// How much was queued in answer, if `queued` was queued by now.
    pub(crate) fn count(&self, queued: usize) -> usize {
        // Less than before: that was another outbox.
        queued.checked_sub(self.before).unwrap_or(queued)
    }

    pub(crate) const fn set_portioned(&mut self, conn: Key) {
        self.portioned = conn;
    }

    pub(crate) fn is_portioned(&self, conn: Key) -> bool {
        self.portioned == conn
    }

    /// How much may wait for the connection. Of what is heard of a peer that is behind, the answer
    /// must not be what is too much.
    pub(crate) fn hard_limit(&self, conn: Key, limits: &OutboxLimits) -> usize {
        let answer = if self.is_portioned(conn) { limits.answer() } else { 0 };
        limits.hard.saturating_add(answer)
    }
}

impl OutboxLimits {
    /// How long an answer may be, on top of the hard limit, to what is heard of a peer that is
    /// behind.
    const fn answer(&self) -> usize {
        self.hard / 2
    }
}

impl Socket {
    /// How much of the peer's input is to be received. Servers bound what a client that does not
    /// read can make them hold. Clients do not: with both ends waiting for the other to read,
    /// neither would.
    pub(crate) fn heard(&self, limits: &OutboxLimits) -> Heard {
        let Some(outbox) = &self.outbox else {
            return Heard::All;
        };
        let state = self.protocol.state();
        let is_heeded = matches!(state, State::Connecting | State::Open);
        let is_behind = outbox.bytes() > limits.soft && self.protocol.role() == Role::Server;
        if !(is_heeded && is_behind) {
            return Heard::All;
        }
        // A portion may end the message that is under way, and be answered by as much.
        let answer = self.protocol.buffered_bytes().max(limits.answer()) + 2 * Hearing::PORTION;
        let room = limits.hard.saturating_add(limits.answer()).saturating_sub(outbox.bytes());
        let is_due = answer <= room && outbox.hearing.is_paid();
        if state == State::Open && is_due { Heard::Portion } else { Heard::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_is_paid_for_with_what_the_peer_takes() {
        let mut hearing = Hearing::default();
        assert!(hearing.is_paid());
        hearing.charge(10, 100);
        hearing.note_taken(259);
        assert!(!hearing.is_paid());
        hearing.note_taken(1);
        assert!(hearing.is_paid());
    }

    #[test]
    fn no_answer_is_so_long_that_its_peer_is_not_heard_meanwhile() {
        let mut hearing = Hearing::default();
        for _ in 0..3 {
            hearing.charge(usize::MAX, usize::MAX);
        }
        hearing.note_taken(Hearing::MOST - 1);
        assert!(!hearing.is_paid());
        hearing.note_taken(1);
        assert!(hearing.is_paid());
    }

    #[test]
    fn answers_to_a_portion_have_room_above_the_limit_and_others_have_not() {
        let limits = OutboxLimits { soft: 10, hard: 100, stall: std::time::Duration::ZERO };
        let (conn, other) = (Key::from_bits(1 << 32), Key::from_bits(2 << 32));
        let mut answers = Answers::NONE;
        assert_eq!(answers.hard_limit(conn, &limits), 100);
        answers.set_portioned(conn);
        answers.begin(70);
        assert_eq!((answers.count(75), answers.count(7)), (5, 7));
        assert_eq!(answers.hard_limit(conn, &limits), 150);
        assert_eq!(answers.hard_limit(other, &limits), 100);
    }
}
