//! Values that a follower gets ahead of their turn.
//!
//! Followers get values in the order of their last change. The value of a key that changes all the
//! time is always among the last, so a follower that is always behind would never get it.
//! Therefore a follower that has got as many values as there are keys, and is still behind, also
//! gets values ahead of their turn: those of one key after the other, whenever they changed.

use std::collections::VecDeque;

/// The most values that are remembered. While there are as many, no more are sent ahead.
const SENT_MAX: usize = 256;

/// What a follower has got since it is behind.
#[derive(Clone, Debug, Default)]
pub(super) struct Ahead {
    /// How many values it has got in the order of their last change.
    received: usize,
    /// The index of the value that comes next if it is pending.
    pub(super) next: usize,
    /// The numbers of the broadcasts that it has got ahead of their turn. Ascending.
    sent: VecDeque<u64>,
}

impl Ahead {
    pub(super) const fn note_received(&mut self, count: u64) {
        self.received = self.received.saturating_add(count as usize);
    }

    /// Whether the follower gets values ahead of their turn if there are so many keys.
    pub(super) fn is_due(&self, keys: usize) -> bool {
        self.received >= keys && self.sent.len() < SENT_MAX
    }

    /// Whether the broadcast with this number was sent ahead of its turn.
    #[inline]
    pub(super) fn has_sent(&self, number: u64) -> bool {
        !self.sent.is_empty() && self.sent.binary_search(&number).is_ok()
    }

    /// Notes that the broadcast with this number was sent ahead of its turn.
    pub(super) fn note_sent(&mut self, number: u64) {
        let at = self.sent.partition_point(|it| *it < number);
        self.sent.insert(at, number);
    }

    /// Passes the broadcasts up to `number`. Returns how many of them were sent ahead.
    pub(super) fn pass(&mut self, number: u64) -> usize {
        let count = self.sent.partition_point(|it| *it <= number);
        self.sent.drain(..count);
        count
    }

    /// The follower has caught up: everything was passed.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }
}
