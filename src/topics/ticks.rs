//! When the subscribers with a pace are served.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::all_topics::Topics;
use super::output::Output;
use crate::slots::Key;
use crate::time::Time;

/// The ticks of all topics. They are scheduled after a broadcast only, one for each topic and
/// interval, however many subscribers share it.
#[derive(Debug)]
pub(super) struct Ticks {
    /// Topics with paces to be scheduled.
    changed: Vec<Key>,
    /// The ticks to come, each with its topic and pace.
    scheduled: BinaryHeap<Reverse<(Time, Key, u32)>>,
    /// No tick begins before this time.
    next: Time,
    /// The ticks that are being served, each with its topic and pace.
    ticking: VecDeque<(Key, u32)>,
    /// Connections that have got a share of what is pending, and whose output has room for more.
    unfinished: VecDeque<Key>,
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
    /// Notes a topic whose paces are to be scheduled.
    pub(super) fn note_change(&mut self, topic: Key) {
        self.changed.push(topic);
    }
}

impl Topics {
    /// When the next tick begins.
    #[inline]
    pub(crate) const fn next_tick(&self) -> Time {
        self.ticks.next
    }

    /// Whether a tick is to be scheduled, or is being served.
    #[inline]
    pub(crate) fn is_ticking(&self) -> bool {
        let Ticks { changed, ticking, unfinished, .. } = &self.ticks;
        !(changed.is_empty() && ticking.is_empty() && unfinished.is_empty())
    }

    /// Schedules ticks for what was broadcast, and serves connections of those that are due: about
    /// as many as `max`, or as take that many bytes.
    pub(crate) fn serve_ticks(
        &mut self,
        now: Time,
        max: usize,
        bytes: usize,
        output: &mut impl Output,
    ) {
        self.begin_ticks(now);
        let (mut served, mut sent) = (0, 0);
        while served < max && sent < bytes {
            let Some(conn) = self.next_ticking() else {
                break;
            };
            let caught_up = self.catch_up_values(conn, output);
            if caught_up.has_more {
                self.ticks.unfinished.push_back(conn);
            }
            (served, sent) = (served + 1, sent + caught_up.bytes);
        }
        self.schedule_ticks(now);
    }

    fn schedule_ticks(&mut self, now: Time) {
        let Self { registry, ticks, .. } = self;
        let Ticks { changed, scheduled, .. } = ticks;
        for topic in changed.drain(..) {
            if let Some(values) = registry.values_mut(topic) {
                let followers = &mut values.followers;
                followers.schedule(now, |pace, due| scheduled.push(Reverse((due, topic, pace))));
            }
        }
        ticks.next = scheduled.peek().map_or(Time::NEVER, |Reverse((due, ..))| *due);
    }

    fn begin_ticks(&mut self, now: Time) {
        while let Some(&Reverse((due, topic, pace))) = self.ticks.scheduled.peek() {
            if due > now {
                return;
            }
            self.ticks.scheduled.pop();
            let last = self.last_number(topic).unwrap_or(0);
            let values = self.registry.values_mut(topic);
            if values.is_some_and(|values| values.followers.begin_tick(pace, due, last)) {
                self.ticks.ticking.push_back((topic, pace));
            }
        }
    }

    /// The next connection that is to be served.
    fn next_ticking(&mut self) -> Option<Key> {
        while let Some(&(key, pace)) = self.ticks.ticking.front() {
            let last = self.last_number(key).unwrap_or(0);
            let Some(values) = self.registry.values_mut(key) else {
                self.ticks.ticking.pop_front();
                continue;
            };
            let Some(index) = values.followers.next_of_tick(pace) else {
                self.ticks.ticking.pop_front();
                // What was broadcast during this tick is served by the next one.
                if values.followers.has_later(pace, last) && values.followers.note_change() {
                    self.ticks.note_change(key);
                }
                continue;
            };
            let pending = values.followers.get(index).filter(|it| it.number < last);
            if let Some(conn) = pending.map(|follower| follower.conn) {
                values.followers.set_behind(index, true);
                return Some(conn);
            }
        }
        self.ticks.unfinished.pop_front()
    }
}
