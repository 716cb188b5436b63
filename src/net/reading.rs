//! How much is read from a peer that does not read itself.

use super::limits::OutboxLimits;
use crate::slots::Key;

/// How much of a peer's input may be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadPermission {
    /// As much as there is.
    All,
    /// [`ReadDebt::PORTION_BYTES_MAX`]: more than the soft limit waits for the peer.
    Portion,
    /// Nothing, until the peer has taken some of what waits for it.
    Nothing,
}

/// Whether rate limits hold for a connection's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RateState {
    #[default]
    Unlimited,
    Limited,
    /// It is not read from until a limit allows more. Implies that the protocol is open.
    Paused,
}

/// What a peer must take before it is read from again, while more than the soft limit waits for it.
///
/// It is read from in portions, so that it can still ask for less, and gets an answer when it
/// checks whether its server is alive. The peer pays for each portion, and for the reply to it,
/// with output that it takes: a peer that never reads is read from once at most.
#[derive(Debug, Default)]
pub(crate) struct ReadDebt {
    /// Bytes that must still be taken for what was read.
    bytes: usize,
    /// Bytes that were queued in the life of the outbox.
    queued: usize,
}

impl ReadDebt {
    /// How much is received at once: hundreds of control frames or of short messages.
    pub(crate) const PORTION_BYTES_MAX: usize = 4 * 1024;

    /// How many bytes must be taken for each byte received: messages with replies up to this many
    /// times as long do not make the outbox longer, whatever handler sends them and when.
    const TAKEN_PER_RECEIVED: usize = 16;

    /// The most that must be taken, however long the reply: a peer that asked for much is read from
    /// while that is on its way.
    const BYTES_MAX: usize = Self::TAKEN_PER_RECEIVED * Self::PORTION_BYTES_MAX;

    /// Bytes that were queued, to measure what is queued after.
    pub(crate) const fn queued(&self) -> usize {
        self.queued
    }

    pub(crate) const fn note_queued(&mut self, count: usize) {
        self.queued = self.queued.wrapping_add(count);
    }

    pub(crate) const fn note_taken(&mut self, count: usize) {
        self.bytes = self.bytes.saturating_sub(count);
    }

    /// Charges for bytes that were received from a slow peer, and for those of the reply.
    pub(crate) fn charge(&mut self, received: usize, replied: usize) {
        let price = received.saturating_mul(Self::TAKEN_PER_RECEIVED).saturating_add(replied);
        self.bytes = self.bytes.saturating_add(price).min(Self::BYTES_MAX);
    }

    /// Whether the peer has taken as much as it had to.
    pub(super) const fn is_paid(&self) -> bool {
        self.bytes == 0
    }
}

/// What is queued for the connection whose input is being handled, in reply to that input.
#[derive(Debug)]
pub(crate) struct Replies {
    /// The connection, if its peer is slow, and read from in portions.
    portioned: Key,
    /// How much was queued for it before.
    before: usize,
}

impl Replies {
    pub(crate) const NONE: Self = Self { portioned: Key::NONE, before: 0 };

    /// Counts what is queued from now on, when `queued` bytes were.
    pub(crate) const fn begin(&mut self, queued: usize) {
        self.before = queued;
    }

    /// How many bytes the reply has, when `queued` bytes were queued in all.
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

    /// How many bytes may wait for the connection. The reply to a portion that was read from a slow
    /// peer must not be what exceeds the limit.
    pub(crate) fn hard_limit(&self, conn: Key, limits: &OutboxLimits) -> usize {
        let reply = if self.is_portioned(conn) { limits.reply() } else { 0 };
        limits.hard.saturating_add(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_is_paid_for_with_what_the_peer_takes() {
        let mut debt = ReadDebt::default();
        assert!(debt.is_paid());
        debt.charge(10, 100);
        debt.note_taken(259);
        assert!(!debt.is_paid());
        debt.note_taken(1);
        assert!(debt.is_paid());
    }

    #[test]
    fn no_reply_is_so_long_that_its_peer_is_not_read_from_meanwhile() {
        let mut debt = ReadDebt::default();
        for _ in 0..3 {
            debt.charge(usize::MAX, usize::MAX);
        }
        debt.note_taken(ReadDebt::BYTES_MAX - 1);
        assert!(!debt.is_paid());
        debt.note_taken(1);
        assert!(debt.is_paid());
    }

    #[test]
    fn replies_to_a_portion_may_exceed_the_limit_and_other_output_may_not() {
        let limits = OutboxLimits { soft: 10, hard: 100, stall: std::time::Duration::ZERO };
        let (conn, other) = (Key::from_bits(1 << 32), Key::from_bits(2 << 32));
        let mut replies = Replies::NONE;
        assert_eq!(replies.hard_limit(conn, &limits), 100);
        replies.set_portioned(conn);
        replies.begin(70);
        assert_eq!((replies.count(75), replies.count(7)), (5, 7));
        assert_eq!(replies.hard_limit(conn, &limits), 150);
        assert_eq!(replies.hard_limit(other, &limits), 100);
    }
}
