//! When the subscribers with a pace are served.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::slots::Key;
use crate::time::Time;

/// The ticks of all topics. They are scheduled after a broadcast only, one for each topic and
/// interval, however many subscribers share it.
#[derive(Debug)]
pub(crate) struct Ticks {
    /// Topics with paces to be scheduled.
    pub(super) changed: Vec<Key>,
    /// The ticks to come, each with its topic and pace.
    pub(super) scheduled: BinaryHeap<Reverse<(Time, Key, u32)>>,
    /// There is nothing to do before this time.
    pub(super) next: Time,
    /// The ticks that are being served, each with its topic and pace.
    pub(super) ticking: VecDeque<(Key, u32)>,
    /// Connections that have got a share of what is pending, and whose output has room for more.
    pub(super) unfinished: VecDeque<Key>,
}

impl Default for Ticks {
    fn default() -> Self {
        Self {
            changed: Vec::new(),
            scheduled: BinaryHeap::new(),
            next: Time::NEVER,
            ticking: VecDeque::new(),
            unfinished: VecDeque::new(),
        }
    }
}

impl Ticks {
    /// When ticks are to be served next: in the past while one is to be scheduled, or is being
    /// served.
    #[inline]
    pub(crate) const fn next(&self) -> Time {
        self.next
    }

    /// Notes when ticks are to be served next.
    pub(super) fn note_next(&mut self) {
        let is_idle =
            self.changed.is_empty() && self.ticking.is_empty() && self.unfinished.is_empty();
        self.next = match self.scheduled.peek() {
            _ if !is_idle => Time::BEGINNING,
            Some(Reverse((due, ..))) => *due,
            None => Time::NEVER,
        };
    }

    /// Notes a topic whose paces are to be scheduled.
    pub(super) fn note_change(&mut self, topic: Key) {
        self.changed.push(topic);
        self.next = Time::BEGINNING;
    }
}
