//! What connections missed, until they are told.

use std::collections::{BTreeMap, VecDeque};

use super::memory::give_back_queue;
use crate::slots::Key;

/// Room for so many gaps stays in the queue.
const FEW: usize = 64;

/// Consecutive broadcasts to a topic of which a subscribed connection got none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missed {
    pub(crate) topic: Key,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// How many from `first` to `last` left the connection out, and count for nothing.
    pub(crate) left_out: u64,
}

impl Missed {
    pub(crate) const fn count(&self) -> u64 {
        self.last - self.first + 1 - self.left_out
    }
}

/// The gaps of all subscriptions.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// Those that may still grow, by connection and topic.
    growing: BTreeMap<(Key, Key), Missed>,
    /// Those that are to be told, with their connections.
    due: VecDeque<(Key, Missed)>,
}

impl Gaps {
    /// Notes a gap. If one of this subscription grows still, this is more of it, and all that
    /// lies between them left the connection out: what had been delivered would have ended it.
    pub(super) fn add(&mut self, conn: Key, missed: Missed) {
        let grown = self.growing.entry((conn, missed.topic)).or_insert(missed);
        if grown.last < missed.last {
            grown.left_out += missed.first - grown.last - 1 + missed.left_out;
            grown.last = missed.last;
        }
    }

    pub(super) fn any_grows(&self) -> bool {
        !self.growing.is_empty()
    }

    /// A subscription's gap ends here: it is to be told.
    pub(super) fn end(&mut self, conn: Key, topic: Key) {
        if let Some(missed) = self.growing.remove(&(conn, topic)) {
            self.due.push_back((conn, missed));
        }
    }

    /// A connection's end is told instead.
    pub(super) fn forget(&mut self, conn: Key, topic: Key) {
        self.growing.remove(&(conn, topic));
    }

    pub(super) fn next(&mut self) -> Option<(Key, Missed)> {
        let next = self.due.pop_front();
        give_back_queue(&mut self.due, FEW);
        next
    }

    pub(super) fn due(&self) -> usize {
        self.due.len()
    }
}
