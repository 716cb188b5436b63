//! What connections missed, until it is reported to them.

use std::collections::{BTreeMap, VecDeque};

use super::shrink::shrink_queue;
use crate::slots::Key;

/// The queue of gaps never shrinks below this capacity.
const DUE_CAPACITY_MIN: usize = 64;

/// Consecutive broadcasts to a topic of which a subscriber got none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MissedRange {
    pub(crate) topic: Key,
    /// The topic's number of the first one.
    pub(crate) first: u64,
    /// The topic's number of the last one.
    pub(crate) last: u64,
    /// How many of them were not meant for the connection. They were not missed.
    pub(crate) left_out: u64,
}

impl MissedRange {
    pub(crate) const fn count(&self) -> u64 {
        self.last - self.first + 1 - self.left_out
    }
}

/// The gaps of all subscriptions.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// Gaps that may still grow, by connection and topic.
    growing: BTreeMap<(Key, Key), MissedRange>,
    /// Gaps that have ended and must be reported, with their connections.
    due: VecDeque<(Key, MissedRange)>,
}

impl Gaps {
    /// Adds to the subscription's gap, or begins one. Broadcasts between the two ranges were not
    /// meant for the connection: a delivered one would have ended the gap.
    pub(super) fn add(&mut self, conn: Key, missed: MissedRange) {
        debug_assert!(missed.first <= missed.last, "an empty gap: {missed:?}");
        let gap = self.growing.entry((conn, missed.topic)).or_insert(missed);
        if gap.last < missed.last {
            gap.left_out += missed.first - gap.last - 1 + missed.left_out;
            gap.last = missed.last;
        }
    }

    pub(super) fn any_grows(&self) -> bool {
        !self.growing.is_empty()
    }

    /// Ends a subscription's gap: it becomes due.
    pub(super) fn end(&mut self, conn: Key, topic: Key) {
        if let Some(missed) = self.growing.remove(&(conn, topic)) {
            self.due.push_back((conn, missed));
        }
    }

    /// Drops a gap without a report, because the connection has ended.
    pub(super) fn discard(&mut self, conn: Key, topic: Key) {
        self.growing.remove(&(conn, topic));
    }

    /// Takes the next gap to report, with its connection.
    pub(super) fn next(&mut self) -> Option<(Key, MissedRange)> {
        let next = self.due.pop_front();
        shrink_queue(&mut self.due, DUE_CAPACITY_MIN);
        next
    }

    /// How many gaps must be reported.
    pub(super) fn due(&self) -> usize {
        self.due.len()
    }
}
