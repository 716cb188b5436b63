//! What several topics have pending for one connection, merged in the order of the broadcasts.

use std::ops::RangeInclusive;

use super::output::SendCapacity;
use super::registry::Registry;
use super::topic::Topic;
use crate::overflow::OverflowPolicy;
use crate::slots::{Key, Slots};

/// How many sequence numbers are listed together, which may be as many frames. Small in tests, so
/// that tests cross its boundaries.
const WINDOW_BROADCASTS: u64 = if cfg!(test) { 4 } else { 256 };

/// The pending broadcasts of one connection. Its memory is reused for the next connection.
#[derive(Debug, Default)]
pub(super) struct Pending {
    topics: Vec<PendingTopic>,
    /// The pending frames of one window, in the order of their sequence numbers.
    pub(super) frames: Vec<PendingFrame>,
    /// Frames and topics that were looked at.
    #[cfg(test)]
    pub(super) steps: usize,
}

#[cfg(test)]
impl Pending {
    /// The number of frames and topics for which memory is allocated.
    pub(super) fn capacity(&self) -> usize {
        self.topics.capacity() + self.frames.capacity()
    }
}

/// A topic with something pending for the connection.
#[derive(Clone, Copy, Debug)]
struct PendingTopic {
    topic: Key,
    /// The index of the subscription in the topic's list.
    position: usize,
    policy: OverflowPolicy,
    lagging: bool,
    /// No broadcast up to this sequence number is pending.
    after: u64,
    /// Broadcasts before this sequence number are missed in its favour.
    newest: u64,
}

/// A frame that a topic has pending for the connection, or that leaves the connection out.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingFrame {
    pub(super) sequence: u64,
    pub(super) number: u64,
    pub(super) topic: Key,
    pub(super) position: usize,
    /// The index of its batch in the topic.
    pub(super) batch: usize,
    /// Where it begins in the batch.
    pub(super) start: usize,
    /// Where it ends in the batch.
    pub(super) end: usize,
    pub(super) policy: OverflowPolicy,
    pub(super) fate: Fate,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Sent,
    Missed,
    /// The frame is not meant for this connection.
    LeftOut,
}

impl PendingFrame {
    /// Whether `next` directly follows this frame in the same batch and has the same fate.
    pub(super) fn joins(&self, next: &Self) -> bool {
        (self.topic, self.batch, self.end, self.fate)
            == (next.topic, next.batch, next.start, next.fate)
    }
}

impl Pending {
    /// Lists the topics with something pending for the connection, and records what it has missed
    /// by now. Returns the sequence number of the last broadcast that must be sent, even if output
    /// waits.
    pub(super) fn collect(
        &mut self,
        registry: &mut Registry,
        conn: Key,
        capacity: SendCapacity,
    ) -> u64 {
        let mut last_required = 0;
        self.topics.clear();
        for index in 0..registry.subscription_count(conn) {
            let member = &registry.members[conn.index()];
            let (subscription, served) = (member.subscriptions[index], member.served);
            let (key, position) = (subscription.topic, subscription.position as usize);
            let Some(topic) = registry.topics.get(key) else {
                continue;
            };
            let subscriber = topic.subscribers[position];
            let (policy, lagging) = (subscriber.policy, subscriber.is_lagging());
            let after = subscriber.since.max(served);
            if lagging {
                registry.miss_unlogged(conn, key);
            }
            if policy == OverflowPolicy::DropNewest && capacity.is_backed_up() {
                registry.miss_all(conn, key, position, after);
                continue;
            }
            let Some(topic) = registry.topics.get(key).filter(|topic| topic.last() > after) else {
                continue;
            };
            if capacity.is_waiting() && topic.conflates_by_key(position) {
                if let Some(first) = topic.first_after(after, lagging).map(|first| first.number) {
                    registry.follow(conn, key, position, first - 1);
                }
                continue;
            }
            let conflates =
                policy == OverflowPolicy::KeepLatest && (lagging || capacity.is_waiting());
            let mut newest = 0;
            if conflates || !policy.allows_lag() {
                newest = topic.newest_for(conn, after, lagging).unwrap_or(0);
            }
            if !policy.allows_lag() {
                last_required = last_required.max(newest);
                newest = 0;
            }
            let pending = PendingTopic { topic: key, position, policy, lagging, after, newest };
            self.topics.push(pending);
        }
        last_required
    }

    /// Decides which broadcasts up to `until` do not fit into `bytes`. Broadcasts that must be sent
    /// take their bytes first, and then the newest of the others. Returns the sequence number of
    /// the last broadcast that does not fit, or 0.
    pub(super) fn last_that_does_not_fit(
        &mut self,
        topics: &Slots<Topic>,
        conn: Key,
        until: u64,
        bytes: usize,
    ) -> u64 {
        let mut room = bytes;
        for pending in self.topics.iter().filter(|pending| !pending.policy.allows_lag()) {
            if let Some(topic) = topics.get(pending.topic) {
                topic.visit(pending.after + 1..=until, pending.lagging, |_, range, mark| {
                    let len = if mark.except == conn { 0 } else { range.len() };
                    room = room.saturating_sub(len);
                });
            }
        }
        let mut until = until;
        while let Some(last) = self.last_optional(topics, until) {
            let first = last.saturating_sub(WINDOW_BROADCASTS - 1).max(1);
            self.list(topics, conn, first..=last, 0);
            let optional = self.frames.iter().filter(|frame| frame.policy.allows_lag());
            for frame in optional.rev().filter(|frame| frame.fate == Fate::Sent) {
                match room.checked_sub(frame.end - frame.start) {
                    Some(left) => room = left,
                    None => return frame.sequence,
                }
            }
            until = first - 1;
        }
        0
    }

    /// The sequence number of the last pending broadcast up to `until` that may lag.
    fn last_optional(&self, topics: &Slots<Topic>, until: u64) -> Option<u64> {
        let optional = self.topics.iter().filter(|pending| pending.policy.allows_lag());
        let last = optional.filter_map(|pending| {
            let mark = topics.get(pending.topic)?.last_until(until, pending.lagging)?;
            Some(mark.sequence).filter(|last| *last > pending.after)
        });
        last.max()
    }

    /// The sequence number of the first pending broadcast after `after`.
    pub(super) fn next_after(&self, topics: &Slots<Topic>, after: u64) -> Option<u64> {
        let next = self.topics.iter().filter_map(|pending| {
            let topic = topics.get(pending.topic)?;
            let mark = topic.first_after(pending.after.max(after), pending.lagging)?;
            Some(mark.sequence)
        });
        next.min()
    }

    /// Lists the pending frames of the window that begins with `first`, and returns the window's
    /// last sequence number. Broadcasts up to `missed` that may lag are missed.
    pub(super) fn list_window(
        &mut self,
        topics: &Slots<Topic>,
        conn: Key,
        first: u64,
        missed: u64,
    ) -> u64 {
        let last = first + WINDOW_BROADCASTS - 1;
        self.list(topics, conn, first..=last, missed);
        last
    }

    fn list(
        &mut self,
        topics: &Slots<Topic>,
        conn: Key,
        sequences: RangeInclusive<u64>,
        missed: u64,
    ) {
        let Self { topics: pending_topics, frames, .. } = self;
        frames.clear();
        for pending in pending_topics.iter() {
            let Some(topic) = topics.get(pending.topic) else {
                continue;
            };
            let PendingTopic { topic: key, position, policy, newest, .. } = *pending;
            let missed = if policy.allows_lag() { missed } else { 0 };
            let first = (pending.after + 1).max(*sequences.start());
            topic.visit(first..=*sequences.end(), pending.lagging, |batch, range, mark| {
                let is_missed = mark.sequence < newest || mark.sequence <= missed;
                let fate = match is_missed {
                    _ if mark.except == conn => Fate::LeftOut,
                    true => Fate::Missed,
                    false => Fate::Sent,
                };
                frames.push(PendingFrame {
                    sequence: mark.sequence,
                    number: mark.number,
                    topic: key,
                    position,
                    batch,
                    start: range.start,
                    end: range.end,
                    policy,
                    fate,
                });
            });
        }
        frames.sort_unstable_by_key(|frame| frame.sequence);
        #[cfg(test)]
        {
            self.steps += self.topics.len() + self.frames.len();
        }
    }
}
