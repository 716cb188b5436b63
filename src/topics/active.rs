//! The topics whose batches are being delivered, in order.

use std::collections::VecDeque;

use super::topic::Topic;
use crate::slots::{Key, Slots};

/// Stale entries that stay in a list no matter how short it is.
pub(super) const PURGED_ENTRIES_MIN: usize = 64;

/// Whether stale entries must be removed from a list of `len` entries. They are removed together,
/// so that the removal of one topic does not search the whole list.
pub(super) const fn must_purge(stale: usize, len: usize) -> bool {
    stale > PURGED_ENTRIES_MIN && stale > len / 2
}

/// A queue of topics with an undelivered batch.
///
/// Invariant: it has each active topic once, and `stale` entries of removed topics.
#[derive(Debug, Default)]
pub(super) struct ActiveTopics {
    queue: VecDeque<Key>,
    pub(super) stale: usize,
    /// Entries that purging has looked at.
    #[cfg(test)]
    pub(super) steps: usize,
}

impl ActiveTopics {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn front(&self) -> Option<Key> {
        self.queue.front().copied()
    }

    pub(super) fn push(&mut self, topic: Key) {
        self.queue.push_back(topic);
    }

    pub(super) fn pop(&mut self) {
        self.queue.pop_front();
    }

    /// Removes the front entry, whose topic was removed.
    pub(super) fn pop_stale(&mut self) {
        self.queue.pop_front();
        self.stale = self.stale.saturating_sub(1);
    }

    /// Counts the entry of a removed topic that was active, and purges stale entries if they are
    /// many.
    pub(super) fn mark_stale(&mut self, topics: &Slots<Topic>) {
        self.stale += 1;
        debug_assert!(self.stale <= self.queue.len());
        if must_purge(self.stale, self.queue.len()) {
            #[cfg(test)]
            {
                self.steps += self.queue.len();
            }
            self.queue.retain(|topic| topics.get(*topic).is_some());
            self.stale = 0;
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.queue.capacity()
    }
}
