//! Serving the subscribers with a pace.

use std::cmp::Reverse;

use super::conflation::Conflation;
use super::output::Output;
use super::ticks::Ticks;
use crate::slots::Key;
use crate::time::Time;

impl Conflation<'_> {
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
            let caught_up = self.catch_up(conn, output);
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
        ticks.note_next();
    }

    fn begin_ticks(&mut self, now: Time) {
        while let Some(&Reverse((due, topic, pace))) = self.ticks.scheduled.peek() {
            if due > now {
                return;
            }
            self.ticks.scheduled.pop();
            let last = self.registry.last_number(topic);
            let values = self.registry.values_mut(topic);
            if values.is_some_and(|values| values.followers.begin_tick(pace, due, last)) {
                self.ticks.ticking.push_back((topic, pace));
            }
        }
    }

    /// The next connection that is to be served.
    fn next_ticking(&mut self) -> Option<Key> {
        while let Some(&(key, pace)) = self.ticks.ticking.front() {
            let last = self.registry.last_number(key);
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
