//! The delivery of values to the subscribers that follow them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::all_topics::Topics;
use super::batch::{Frames, Run};
use super::followers::Follower;
use super::gaps::MissedRange;
use super::output::{Output, SendCapacity};
use super::registry::Registry;
use super::values::{Position, Values};
use crate::overflow::OverflowPolicy;
use crate::slots::Key;

/// About how many bytes a connection gets at a time. While they wait for the peer, the values that
/// are still to come change. Small in tests, so that tests cross this boundary.
const SHARE_BYTES: usize = if cfg!(test) { 30 } else { 4 * 1024 };

/// The values that are being sent to one connection. Its memory is reused for the next connection.
#[derive(Debug, Default)]
pub(super) struct Serving {
    walks: Vec<Walk>,
    /// The next value of each walk that has one, by its sequence number, with the walk's index.
    next: BinaryHeap<Reverse<(u64, usize)>>,
    /// Frames that are sent together.
    frames: Vec<u8>,
}

/// What a connection got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CaughtUp {
    pub(crate) bytes: usize,
    /// More is pending, and its output has room for it.
    pub(crate) has_more: bool,
}

/// The way of one follower through the values of its topic.
#[derive(Clone, Copy, Debug)]
struct Walk {
    topic: Key,
    /// The index of the subscription in the topic's list.
    subscriber: usize,
    follower: u32,
    next: Option<Position>,
    passed: Passed,
}

/// What a walk has passed so far.
#[derive(Clone, Copy, Debug)]
struct Passed {
    /// The number of the last broadcast that was passed.
    number: u64,
    /// The first and last broadcast that were not delivered, or 0.
    first_missed: u64,
    last_missed: u64,
    /// How many between those two were delivered, or leave the subscriber out.
    between: u64,
    /// The same, after the last broadcast that was not delivered.
    since: u64,
    /// How many passed values leave the subscriber out.
    left_out: u64,
}

impl Passed {
    const fn new(number: u64) -> Self {
        Self { number, first_missed: 0, last_missed: 0, between: 0, since: 0, left_out: 0 }
    }

    /// Passes the broadcasts up to `number`. They were superseded, except for that one.
    fn pass(&mut self, number: u64) {
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
    fn pass_all(&mut self, last: u64) {
        self.pass(last + 1);
        self.number = last;
    }

    /// How many of the passed broadcasts were superseded.
    const fn superseded(&self) -> u64 {
        match self.first_missed {
            0 => 0,
            first => self.last_missed - first + 1 - self.between,
        }
    }
}

impl Walk {
    /// Passes values up to a sequence number, until they have `max` bytes together, and never more
    /// than `room`. Stops at a value that is sent by itself. Returns how many were gathered.
    fn gather(
        &mut self,
        values: &mut Values,
        conn: Key,
        limits: &GatherLimits,
        frames: &mut Vec<u8>,
    ) -> u64 {
        let mut count = 0;
        while let Some(position) = self.next {
            let mark = *values.mark(position);
            if mark.sequence > limits.until || frames.len() >= limits.max {
                break;
            }
            if mark.except == conn {
                self.passed.left_out += 1;
            } else {
                let frame = values.frame(position);
                let fits = frames.len() + frame.len() <= limits.room;
                if values.is_separate(position) || !fits {
                    break;
                }
                frames.extend_from_slice(frame);
                count += 1;
            }
            self.pass(values, position);
        }
        count
    }

    /// Passes a value that was sent, or leaves the subscriber out.
    fn pass(&mut self, values: &mut Values, position: Position) {
        self.passed.pass(values.mark(position).number);
        self.next = values.next(position);
    }
}

/// What is gathered at most.
struct GatherLimits {
    /// Up to this sequence number.
    until: u64,
    /// About this many bytes.
    max: usize,
    /// Not more than this many bytes.
    room: usize,
}

impl Serving {
    /// Begins a walk for each follower that the connection is and that is due.
    fn begin(&mut self, registry: &mut Registry, conn: Key, due: Due) {
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
            self.walks.push(Walk { topic, subscriber, follower, next, passed });
        }
    }

    /// Gives up the oldest values, so that the others have at most `room` bytes.
    fn give_up_oldest(&mut self, registry: &mut Registry, conn: Key, room: usize) {
        let mut bytes = 0;
        for walk in &self.walks {
            let Some(values) = registry.values_mut(walk.topic) else {
                continue;
            };
            let mut next = walk.next;
            while let Some(position) = next {
                bytes += values.frame_len_for(conn, position);
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
                bytes -= values.frame_len_for(conn, position);
                walk.next = values.next(position);
                self.queue(registry, index);
            }
        }
    }

    /// Queues a walk by its next value.
    fn queue(&mut self, registry: &Registry, index: usize) {
        let walk = &self.walks[index];
        if let (Some(values), Some(next)) = (registry.values(walk.topic), walk.next) {
            self.next.push(Reverse((values.mark(next).sequence, index)));
        }
    }
}

/// Which followers are served.
#[derive(Clone, Copy)]
enum Due {
    /// Those that are behind.
    Behind,
    /// All, or that of one topic.
    All(Option<Key>),
}

impl Due {
    fn includes(self, follower: &Follower, topic: Key) -> bool {
        match self {
            Self::Behind => follower.is_behind(),
            Self::All(only) => only.is_none_or(|only| only == topic),
        }
    }
}

impl Topics {
    /// Whether the connection has values pending that it gets as its output has room.
    #[inline]
    pub(crate) fn is_following(&self, conn: Key) -> bool {
        self.registry.members.get(conn.index()).is_some_and(|member| member.following > 0)
    }

    /// Whether values are pending for the connection that do not wait for a tick.
    #[cfg(test)]
    pub(crate) fn is_behind(&self, conn: Key) -> bool {
        let member = self.registry.members.get(conn.index()).filter(|it| it.following > 0);
        member.is_some_and(|member| {
            member.subscriptions.iter().any(|own| {
                let follower = self.registry.follower(own.topic, own.position as usize);
                let values = self.registry.values(own.topic);
                let found = values.zip(follower).and_then(|(it, at)| it.followers.get(at));
                found.is_some_and(|follower| follower.conn == conn && follower.is_behind())
            })
        })
    }

    /// Sends a share of the values that are pending for the connection, in the order of their last
    /// change, as far as its output has room.
    pub(crate) fn catch_up_values(&mut self, conn: Key, output: &mut impl Output) -> CaughtUp {
        if !self.is_following(conn) {
            return CaughtUp::default();
        }
        let mut serving = std::mem::take(&mut self.serving);
        serving.begin(&mut self.registry, conn, Due::Behind);
        let mut bytes = 0;
        while bytes < SHARE_BYTES && !output.capacity(conn).is_waiting() {
            match self.send_values(&mut serving, conn, SHARE_BYTES - bytes, output) {
                Some(sent) => bytes += sent,
                None => break,
            }
        }
        let has_more = !serving.next.is_empty() && !output.capacity(conn).is_waiting();
        self.end_walks(&serving, conn);
        self.serving = serving;
        CaughtUp { bytes, has_more }
    }

    /// Sends all values that are pending for the connection, or for its subscription to `only`
    /// alone, whatever its pace. If they are more than may wait, the oldest are missed.
    pub(crate) fn flush_values(&mut self, conn: Key, only: Option<Key>, output: &mut impl Output) {
        if !self.is_following(conn) {
            return;
        }
        let mut serving = std::mem::take(&mut self.serving);
        serving.begin(&mut self.registry, conn, Due::All(only));
        if let SendCapacity::Waiting { bytes, .. } = output.capacity(conn) {
            serving.give_up_oldest(&mut self.registry, conn, bytes);
        }
        while self.send_values(&mut serving, conn, SHARE_BYTES, output).is_some() {}
        serving.walks.iter_mut().for_each(|walk| walk.next = None);
        self.end_walks(&serving, conn);
        self.serving = serving;
    }

    /// Sends the next values of the walk whose next one is the oldest: one by itself, or about
    /// `max` bytes together. Returns how many bytes they were; `None` if nothing is left, or may
    /// wait.
    fn send_values(
        &mut self,
        serving: &mut Serving,
        conn: Key,
        max: usize,
        output: &mut impl Output,
    ) -> Option<usize> {
        let Reverse((_, index)) = serving.next.pop()?;
        let until = serving.next.peek().map_or(u64::MAX, |Reverse((sequence, _))| *sequence);
        let room = match output.capacity(conn) {
            SendCapacity::Unlimited => usize::MAX,
            SendCapacity::Waiting { bytes, .. } => bytes,
        };
        serving.frames.clear();
        let (walk, frames) = (&mut serving.walks[index], &mut serving.frames);
        let values = self.registry.values_mut(walk.topic)?;
        let limits = GatherLimits { until, max, room };
        let count = walk.gather(values, conn, &limits, frames);
        let sent = if count > 0 {
            let run = Run::new(Frames::Open(frames, 0..frames.len()), None, None);
            self.note_sent(walk.topic, count, output.append(conn, &run));
            frames.len()
        } else {
            match walk.next {
                // All that was passed leaves the connection out.
                Some(position) if values.mark(position).sequence > until => 0,
                Some(position) => self.send_separate(walk, position, (conn, room), output)?,
                None => 0,
            }
        };
        serving.queue(&self.registry, index);
        Some(sent)
    }

    /// Sends a value by itself, if it fits.
    fn send_separate(
        &mut self,
        walk: &mut Walk,
        position: Position,
        (conn, room): (Key, usize),
        output: &mut impl Output,
    ) -> Option<usize> {
        let values = self.registry.values_mut(walk.topic)?;
        let run = values.separate(position).filter(|run| run.as_slice().len() <= room)?;
        let len = run.as_slice().len();
        let is_taken = output.append(conn, &run);
        values.count_forms(position);
        walk.pass(values, position);
        self.memory.count(&mut self.registry, walk.topic);
        self.note_sent(walk.topic, 1, is_taken);
        Some(len)
    }

    /// Counts values that were appended to a connection's output, or exceeded it.
    fn note_sent(&mut self, topic: Key, count: u64, is_taken: bool) {
        if is_taken {
            self.registry.totals.delivered += count;
        } else {
            self.registry.count_overflow(topic);
        }
    }

    /// Records how far the connection's followers were served, and what they missed.
    fn end_walks(&mut self, serving: &Serving, conn: Key) {
        for walk in &serving.walks {
            let last = self.last_number(walk.topic).unwrap_or(0);
            if let Some(values) = self.registry.values_mut(walk.topic) {
                let missed = walk.end(values, last);
                if walk.next.is_none() && !values.followers.is_paced(walk.follower) {
                    self.registry.unfollow(conn, walk.topic, walk.subscriber);
                }
                self.registry.miss_superseded(conn, missed);
            }
        }
    }
}

/// Broadcasts that a follower did not get.
struct Superseded {
    range: MissedRange,
    /// They are a gap, and not what the subscriber asked for.
    is_gap: bool,
}

impl Walk {
    /// Records how far the follower was served. Returns what it missed, if anything. `last` is the
    /// number of the last broadcast to the topic.
    fn end(&self, values: &mut Values, last: u64) -> Option<Superseded> {
        let (mut passed, is_caught_up) = (self.passed, self.next.is_none());
        if is_caught_up {
            passed.pass_all(last);
        }
        let last_given_up = values.last_given_up;
        let follower = values.followers.get_mut(self.follower)?;
        let is_gap = !follower.is_paced() || follower.number < last_given_up;
        let left_out = follower.pass(passed.number).saturating_sub(passed.left_out);
        let left_out = passed.superseded().min(left_out);
        if is_caught_up {
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

impl Registry {
    /// Records what a follower missed.
    fn miss_superseded(&mut self, conn: Key, missed: Option<Superseded>) {
        let Some(Superseded { range, is_gap }) = missed else {
            return;
        };
        if is_gap {
            self.miss(conn, range);
            self.end_gap(conn, range.topic);
        } else if let Some(topic) = self.topics.get_mut(range.topic) {
            topic.counters.count_missed(OverflowPolicy::KeepLatest, range.count());
            self.totals.count_missed(OverflowPolicy::KeepLatest, range.count());
        }
    }
}
