//! The ways of one connection's followers through the values of their topics.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::followers::Follower;
use super::gaps::MissedRange;
use super::registry::Registry;
use super::values::{Position, Values};
use crate::slots::Key;

/// The values that are being sent to one connection. Its memory is reused for the next connection.
#[derive(Debug, Default)]
pub(super) struct Serving {
    pub(super) walks: Vec<Walk>,
    /// The next value of each walk that has one, by its sequence number, with the walk's index.
    pub(super) next: BinaryHeap<Reverse<(u64, usize)>>,
    /// Frames that are sent together.
    pub(super) frames: Vec<u8>,
    /// Values that are sent ahead of their turn.
    pub(super) ahead: Vec<Position>,
}

/// The way of one follower through the values of its topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    pub(super) topic: Key,
    /// The index of the subscription in the topic's list.
    pub(super) subscriber: usize,
    pub(super) follower: u32,
    pub(super) next: Option<Position>,
    pub(super) passed: Passed,
    /// How many values were sent in their turn.
    pub(super) received: u64,
}

/// What a walk has passed so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    /// The number of the last broadcast that was passed.
    pub(super) number: u64,
    /// The first and last broadcast that were not delivered, or 0.
    pub(super) first_missed: u64,
    pub(super) last_missed: u64,
    /// How many between those two were delivered, or leave the subscriber out.
    pub(super) between: u64,
    /// The same, after the last broadcast that was not delivered.
    pub(super) since: u64,
    /// How many passed values leave the subscriber out, or were sent ahead of their turn.
    pub(super) left_out: u64,
}

impl Passed {
    pub(super) const fn new(number: u64) -> Self {
        Self { number, first_missed: 0, last_missed: 0, between: 0, since: 0, left_out: 0 }
    }

    /// Passes the broadcasts up to `number`. They were superseded, except for that one.
    pub(super) fn pass(&mut self, number: u64) {
        if self.number + 1 < number {
            let since = std::mem::take(&mut self.since);
            if self.first_missed == 0 {
                self.first_missed = self.number + 1;
            } else {
                self.between += since;
            }
            self.last_missed = number - 1;
        }
        self.since += 1;
        self.number = number;
    }

    /// Passes what is left, up to the last broadcast.
    pub(super) fn pass_all(&mut self, last: u64) {
        self.pass(last + 1);
        self.number = last;
    }

    /// How many of the passed broadcasts were superseded.
    pub(super) const fn superseded(&self) -> u64 {
        match self.first_missed {
            0 => 0,
            first => self.last_missed - first + 1 - self.between,
        }
    }
}

impl Walk {
    /// Passes values up to a sequence number, until they have `max` bytes together, and never more
    /// than `room`. Stops at a value that is sent by itself. Returns how many were gathered.
    pub(super) fn gather(
        &mut self,
        values: &mut Values,
        limits: &GatherLimits,
        frames: &mut Vec<u8>,
    ) -> u64 {
        let mut count = 0;
        while let Some(position) = self.next {
            let mark = *values.mark(position);
            if mark.sequence > limits.until || frames.len() >= limits.max {
                break;
            }
            if values.is_pending(self.follower, &mark) {
                let frame = values.frame(position);
                let fits = frames.len() + frame.len() <= limits.room;
                if values.is_separate(position) || !fits {
                    break;
                }
                frames.extend_from_slice(frame);
                count += 1;
            } else {
                self.passed.left_out += 1;
            }
            self.pass(values, position);
        }
        self.received += count;
        count
    }

    /// Whether the follower gets values ahead of their turn.
    pub(super) fn gets_ahead(&self, registry: &Registry) -> bool {
        let values = registry.values(self.topic).filter(|_| self.next.is_some());
        values.is_some_and(|values| {
            let follower = values.followers.get(self.follower);
            follower.is_some_and(|follower| follower.ahead.is_due(values.len()))
        })
    }

    /// Passes a value that was sent, or leaves the subscriber out.
    pub(super) fn pass(&mut self, values: &mut Values, position: Position) {
        self.passed.pass(values.mark(position).number);
        self.next = values.next(position);
    }
}

/// What is gathered at most.
pub(super) struct GatherLimits {
    /// Up to this sequence number.
    pub(super) until: u64,
    /// About this many bytes.
    pub(super) max: usize,
    /// Not more than this many bytes.
    pub(super) room: usize,
}

impl Serving {
    /// Begins a walk for each follower that the connection is and that is due.
    pub(super) fn begin(&mut self, registry: &mut Registry, conn: Key, due: Due) {
        self.walks.clear();
        self.next.clear();
        for index in 0..registry.subscription_count(conn) {
            let subscription = registry.members[conn.index()].subscriptions[index];
            let (topic, subscriber) = (subscription.topic, subscription.position as usize);
            let Some(follower) = registry.follower(topic, subscriber) else {
                continue;
            };
            let Some(values) = registry.values_mut(topic) else {
                continue;
            };
            // The slot may belong to a later connection.
            let is_due = |it: &&Follower| it.conn == conn && due.includes(it, topic);
            let Some(&Follower { number, .. }) = values.followers.get(follower).filter(is_due)
            else {
                continue;
            };
            let passed = Passed::new(number);
            let next = values.first_after(number);
            if let Some(next) = next {
                self.next.push(Reverse((values.mark(next).sequence, self.walks.len())));
            }
            self.walks.push(Walk { topic, subscriber, follower, next, passed, received: 0 });
        }
    }

    /// Gives up the oldest values, so that the others have at most `room` bytes.
    pub(super) fn give_up_oldest(&mut self, registry: &mut Registry, room: usize) {
        let mut bytes = 0;
        for walk in &self.walks {
            let Some(values) = registry.values_mut(walk.topic) else {
                continue;
            };
            let mut next = walk.next;
            while let Some(position) = next {
                bytes += values.frame_len_for(walk.follower, position);
                next = values.next(position);
            }
        }
        while bytes > room {
            let Some(Reverse((_, index))) = self.next.pop() else {
                return;
            };
            let walk = &mut self.walks[index];
            let values = registry.values_mut(walk.topic);
            if let (Some(values), Some(position)) = (values, walk.next) {
                bytes -= values.frame_len_for(walk.follower, position);
                walk.next = values.next(position);
                self.queue(registry, index);
            }
        }
    }

    /// How many of the followers get values ahead of their turn.
    pub(super) fn count_ahead(&self, registry: &Registry) -> usize {
        self.walks.iter().filter(|walk| walk.gets_ahead(registry)).count()
    }

    /// Queues a walk by its next value.
    pub(super) fn queue(&mut self, registry: &Registry, index: usize) {
        let walk = &self.walks[index];
        if let (Some(values), Some(next)) = (registry.values(walk.topic), walk.next) {
            self.next.push(Reverse((values.mark(next).sequence, index)));
        }
    }
}

/// Which followers are served.
#[derive(Clone, Copy)]
pub(super) enum Due {
    /// Those that are behind.
    Behind,
    /// All, or that of one topic.
    All(Option<Key>),
}

impl Due {
    pub(super) fn includes(self, follower: &Follower, topic: Key) -> bool {
        match self {
            Self::Behind => follower.is_behind(),
            Self::All(only) => only.is_none_or(|only| only == topic),
        }
    }
}

/// Broadcasts that a follower did not get.
pub(super) struct Superseded {
    pub(super) range: MissedRange,
    /// They are a gap, and not what the subscriber asked for.
    pub(super) is_gap: bool,
}

impl Walk {
    /// Records how far the follower was served. Returns what it missed, if anything. `last` is the
    /// number of the last broadcast to the topic.
    pub(super) fn end(&self, values: &mut Values, last: u64) -> Option<Superseded> {
        let (mut passed, is_caught_up) = (self.passed, self.next.is_none());
        if is_caught_up {
            passed.pass_all(last);
        }
        let last_given_up = values.last_given_up;
        let follower = values.followers.get_mut(self.follower)?;
        let is_gap = !follower.is_paced() || follower.number < last_given_up;
        follower.ahead.note_received(self.received);
        let left_out = follower.pass(passed.number).saturating_sub(passed.left_out);
        let left_out = passed.superseded().min(left_out);
        if is_caught_up {
            follower.ahead.end();
            values.followers.set_behind(self.follower, false);
        }
        let range = MissedRange {
            topic: self.topic,
            first: passed.first_missed,
            last: passed.last_missed,
            left_out: passed.between + left_out,
        };
        (passed.superseded() > left_out).then_some(Superseded { range, is_gap })
    }
}
