//! How much is heard of a peer that is behind.

use super::socket::{OutboxLimits, Socket};
use crate::proto::{Role, State};

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
    /// Bytes that are still to be taken.
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

    /// The most that is to be taken, whatever was answered: what limits long answers is that there
    /// must be room for them.
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
    pub(crate) const fn is_paid(&self) -> bool {
        self.debt == 0
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
        // A portion may end the message that is under way.
        let answer = self.protocol.held().max(limits.hard / 2) + 2 * Hearing::PORTION;
        let has_room = outbox.bytes().saturating_add(answer) <= limits.hard;
        if state == State::Open && has_room && outbox.hearing.is_paid() {
            Heard::Portion
        } else {
            Heard::Nothing
        }
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
}
