//! The delivery of values to the subscribers that follow them.

use std::cmp::Reverse;

use super::batch::{Frames, Run};
use super::conflation::Conflation;
use super::output::{Output, SendCapacity};
use super::registry::Registry;
use super::values::Position;
use super::walks::{Due, GatherLimits, Serving, Superseded, Walk};
use crate::overflow::OverflowPolicy;
use crate::slots::Key;

/// About how many bytes a connection gets at a time. While they wait for the peer, the values that
/// are still to come change. Small in tests, so that tests cross this boundary.
const SHARE_BYTES: usize = if cfg!(test) { 30 } else { 4 * 1024 };

/// The part of that which are values ahead of their turn, if a follower gets them.
const AHEAD_BYTES: usize = SHARE_BYTES / 4;

/// What a connection got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CaughtUp {
    pub(crate) bytes: usize,
    /// More is pending, and its output has room for it.
    pub(crate) has_more: bool,
}

impl Conflation<'_> {
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
    pub(crate) fn catch_up(&mut self, conn: Key, output: &mut impl Output) -> CaughtUp {
        if !self.is_following(conn) {
            return CaughtUp::default();
        }
        let mut serving = std::mem::take(self.serving);
        serving.begin(self.registry, conn, Due::Behind);
        let share = match serving.count_ahead(self.registry) {
            0 => SHARE_BYTES,
            _ => SHARE_BYTES - AHEAD_BYTES,
        };
        let mut bytes = 0;
        while bytes < share && !output.capacity(conn).is_waiting() {
            match self.send_values(&mut serving, conn, share - bytes, output) {
                Some(sent) => bytes += sent,
                None => break,
            }
        }
        bytes += self.send_ahead(&mut serving, conn, output);
        let has_more = !serving.next.is_empty() && !output.capacity(conn).is_waiting();
        self.end_walks(&serving, conn);
        *self.serving = serving;
        CaughtUp { bytes, has_more }
    }

    /// Sends all values that are pending for the connection, or for its subscription to `only`
    /// alone, whatever its pace. If they are more than may wait, the oldest are missed.
    pub(crate) fn flush(&mut self, conn: Key, only: Option<Key>, output: &mut impl Output) {
        if !self.is_following(conn) {
            return;
        }
        let mut serving = std::mem::take(self.serving);
        serving.begin(self.registry, conn, Due::All(only));
        if let SendCapacity::Waiting { bytes, .. } = output.capacity(conn) {
            serving.give_up_oldest(self.registry, bytes);
        }
        while self.send_values(&mut serving, conn, SHARE_BYTES, output).is_some() {}
        serving.walks.iter_mut().for_each(|walk| walk.next = None);
        self.end_walks(&serving, conn);
        *self.serving = serving;
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
        let count = walk.gather(values, &limits, frames);
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
        serving.queue(self.registry, index);
        Some(sent)
    }

    /// Sends the next value of a walk by itself, if it fits.
    fn send_separate(
        &mut self,
        walk: &mut Walk,
        position: Position,
        (conn, room): (Key, usize),
        output: &mut impl Output,
    ) -> Option<usize> {
        let values = self.registry.values(walk.topic)?;
        let len = values.frame(position).len();
        if len > room {
            return None;
        }
        let is_taken = self.append_separate(walk.topic, position, conn, output)?;
        walk.pass(self.registry.values_mut(walk.topic)?, position);
        walk.received += 1;
        self.note_sent(walk.topic, 1, is_taken);
        Some(len)
    }

    /// Appends a value by itself. Returns whether the output took it.
    fn append_separate(
        &mut self,
        topic: Key,
        position: Position,
        conn: Key,
        output: &mut impl Output,
    ) -> Option<bool> {
        let values = self.registry.values_mut(topic)?;
        let is_taken = output.append(conn, &values.separate(position)?);
        values.count_forms(position);
        self.memory.count(self.registry, topic);
        Some(is_taken)
    }

    /// Sends values ahead of their turn to the followers that get them. Returns how many bytes they
    /// were.
    fn send_ahead(&mut self, serving: &mut Serving, conn: Key, output: &mut impl Output) -> usize {
        let (count, mut bytes) = (serving.count_ahead(self.registry), 0);
        for index in 0..serving.walks.len() {
            let walk = serving.walks[index];
            if !output.capacity(conn).is_waiting() && walk.gets_ahead(self.registry) {
                let max = AHEAD_BYTES / count.max(1);
                bytes += self.send_ahead_of(&walk, serving, (conn, max), output).unwrap_or(0);
            }
        }
        bytes
    }

    /// Sends values of one topic ahead of their turn, about `max` bytes.
    fn send_ahead_of(
        &mut self,
        walk: &Walk,
        serving: &mut Serving,
        (conn, max): (Key, usize),
        output: &mut impl Output,
    ) -> Option<usize> {
        let Serving { frames, ahead, .. } = serving;
        let values = self.registry.values_mut(walk.topic)?;
        values.find_ahead(walk.follower, walk.passed.number, max, ahead);
        let first = *ahead.first()?;
        frames.clear();
        for position in &*ahead {
            frames.extend_from_slice(values.frame(*position));
            let number = values.mark(*position).number;
            values.followers.get_mut(walk.follower)?.ahead.note_sent(number);
        }
        let is_taken = if values.is_separate(first) {
            self.append_separate(walk.topic, first, conn, output)?
        } else {
            output.append(conn, &Run::new(Frames::Open(frames, 0..frames.len()), None, None))
        };
        self.note_sent(walk.topic, ahead.len() as u64, is_taken);
        Some(frames.len())
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
            let last = self.registry.last_number(walk.topic);
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
