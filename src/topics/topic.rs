//! One topic: its subscribers and its batches.

use std::collections::VecDeque;
use std::mem::size_of;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::batch::{Batch, Mark, Run};
use super::configs::TopicConfig;
use super::counters::Counters;
use super::envelope::Envelope;
use super::epoch::TopicEpoch;
use super::history::History;
use super::values::Values;
use crate::overflow::OverflowPolicy;
use crate::slots::Key;

/// A topic keeps the memory of a delivered batch for its next one up to this size.
const REUSED_BYTES_MAX: usize = 1024;

/// The memory of the batches of one topic, or of all, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BatchMemory {
    pub(super) total: usize,
    /// The part that logs occupy.
    pub(super) logged: usize,
    /// The part that is kept for open batches without a broadcast.
    pub(super) unused: usize,
}

/// What was last counted of a topic's log and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) memory: BatchMemory,
    /// The sequence number of the oldest logged broadcast, or 0.
    pub(super) oldest: u64,
}

/// One topic.
///
/// Invariants: the subscribers before `cursor` have got the sealed batch. Sequence numbers ascend
/// through `log`, `sealed` and `open`, in this order. `log` is empty while no subscriber is
/// lagging and the topic has no history. The numbers in it are consecutive if it has.
#[derive(Debug, Default)]
pub(super) struct Topic {
    pub(super) name: Box<str>,
    /// Distinguishes this topic from all others of that name.
    pub(super) epoch: u64,
    /// The number of the first message that belongs to the epoch.
    pub(super) since: u64,
    /// What it keeps beside what lagging subscribers need.
    pub(super) history: Option<History>,
    /// What the journal gets with each message, if the topic is durable.
    pub(super) durable: Option<Arc<TopicEpoch>>,
    /// Its messages have no envelope, and are not stored.
    pub(super) is_plain: bool,
    /// How its messages are written.
    pub(super) envelope: Option<Envelope>,
    pub(super) subscribers: Vec<Subscriber>,
    /// How many of `subscribers`, from the first on, have got the sealed batch.
    pub(super) cursor: usize,
    /// The batch that is being delivered.
    pub(super) sealed: Batch<Bytes>,
    /// The broadcasts after the sealed batch.
    pub(super) open: Batch<BytesMut>,
    /// Batches that were delivered to all subscribers except the lagging ones, the oldest first:
    /// what these need, and the topic's history.
    pub(super) log: VecDeque<Batch<Bytes>>,
    /// Bytes of the frames in `log`.
    pub(super) log_frames: usize,
    /// Bytes of memory of the batches in `log`.
    pub(super) log_memory: usize,
    /// How many subscribers are lagging.
    pub(super) lagging: usize,
    /// How many of them get every logged broadcast and not just the last one.
    pub(super) queueing: usize,
    /// How many subscribers have the policy [`OverflowPolicy::KeepLatest`].
    conflating: usize,
    /// The latest message of each key, if a conflating subscriber may need them.
    pub(super) values: Option<Box<Values>>,
    /// The number of the last broadcast. The first is 1.
    pub(super) broadcasts: u64,
    pub(super) counters: Counters,
    /// Set while the topic is in the list of changed topics: whether it had subscribers when it was
    /// last reported.
    pub(super) changing: Option<bool>,
    pub(super) counted: Counted,
}

/// A subscription, as the topic lists it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscriber {
    pub(super) conn: Key,
    /// No broadcast up to this sequence number is pending for the subscription in the batches.
    /// Nothing in them is pending for a subscriber that is served from the topic's values: it has
    /// `FOLLOWS` and the number of its follower. Nor for one that is about to be resumed: it has
    /// `AWAITS` and the number of the request.
    pub(super) since: u64,
    /// The topic's number of the first broadcast that a lagging subscriber has not got; 0 if the
    /// subscriber is not lagging.
    pub(super) first_pending: u64,
    /// How many pending broadcasts leave the subscriber out.
    pub(super) left_out: u32,
    /// How many broadcasts from `first_pending` on left it out and are no longer logged.
    pub(super) left_out_unlogged: u32,
    /// The index of this subscription in the connection's list.
    pub(super) position: u32,
    pub(super) policy: OverflowPolicy,
    /// It has a gap that may still grow.
    pub(super) has_gap: bool,
    /// The policy that it has again once it has got the history. Until then it has
    /// [`OverflowPolicy::DropOldest`], so that its output sets the pace, and nothing is left out.
    pub(super) policy_after: Option<OverflowPolicy>,
}

/// No sequence number is that high.
const FOLLOWS: u64 = 1 << 63;

/// No sequence number is that high. A subscription that is about to be resumed has this and the
/// number of its request.
const AWAITS: u64 = 1 << 62;

impl Subscriber {
    /// The follower that the subscriber is while it is served from the topic's values.
    pub(super) const fn follower(&self) -> Option<u32> {
        if self.since < FOLLOWS { None } else { Some(self.since as u32) }
    }

    /// Serves the subscriber from the topic's values.
    pub(super) const fn follow(&mut self, follower: u32) {
        self.since = FOLLOWS | follower as u64;
        (self.left_out, self.left_out_unlogged) = (0, 0);
    }

    /// Delivers nothing to the subscriber until it is resumed by that request.
    pub(super) const fn await_resume(&mut self, request: u64) {
        self.since = AWAITS | request;
    }

    pub(super) const fn awaits_resume(&self) -> bool {
        self.since >= AWAITS && self.since < FOLLOWS
    }

    /// Whether that request resumes the subscriber.
    pub(super) const fn awaits_request(&self, request: u64) -> bool {
        self.since == AWAITS | request
    }

    /// Whether the subscriber is sent whole batches no matter how much output waits for it.
    #[inline]
    pub(super) fn takes_whole_batches(&self) -> bool {
        self.has_no_exceptions() && self.policy == OverflowPolicy::Close
    }

    /// Whether the subscriber can be sent a batch without a look at each frame.
    pub(super) const fn has_no_exceptions(&self) -> bool {
        self.left_out == 0 && self.first_pending == 0 && !self.has_gap
    }

    pub(super) const fn is_lagging(&self) -> bool {
        self.first_pending != 0
    }
}

/// The first broadcast that a lagging subscriber is still to get.
#[derive(Clone, Copy, Debug)]
pub(super) struct FirstPending {
    pub(super) mark: Mark,
    /// How many broadcasts before it leave the subscriber out.
    pub(super) left_out: u32,
}

impl Topic {
    pub(super) fn new(name: &str, epoch: u64, config: &TopicConfig) -> Self {
        let durable = config.storage().map(|storage| {
            Arc::new(TopicEpoch { name: name.into(), epoch, inherited: 1..1, storage })
        });
        let (name, history, envelope) = (name.into(), config.history, config.envelope.clone());
        let is_plain = durable.is_none() && envelope.is_none();
        let (since, rest) = (1, Self::default());
        Self { name, epoch, since, is_plain, history, durable, envelope, ..rest }
    }

    /// Begins another epoch, to which the `inherited` messages belong, too.
    pub(super) fn begin_epoch(&mut self, epoch: u64, inherited: Range<u64>) {
        (self.epoch, self.since) = (epoch, inherited.start);
        if let Some(durable) = &mut self.durable {
            *durable = Arc::new(TopicEpoch { epoch, inherited, ..TopicEpoch::clone(durable) });
        }
    }

    /// Whether there is a batch that was not delivered to all subscribers.
    pub(super) fn is_active(&self) -> bool {
        !self.open.marks.is_empty() || !self.sealed.marks.is_empty()
    }

    /// The sequence number of the last broadcast that is still stored, or 0.
    pub(super) fn last(&self) -> u64 {
        let logged = self.log.back().map_or(0, Batch::last);
        self.open.last().max(self.sealed.last()).max(logged)
    }

    /// Seals the open batch, unless a sealed one is still being delivered.
    pub(super) fn seal(&mut self) {
        debug_assert!(self.cursor <= self.subscribers.len());
        if self.sealed.marks.is_empty() && !self.open.marks.is_empty() {
            self.cursor = 0;
            self.open.seal(&mut self.sealed);
        }
    }

    /// Keeps the memory of the delivered batch for the next one, if it is small and no broadcast
    /// waits. Returns whether it did.
    pub(super) fn reuse_sealed(&mut self) -> bool {
        let is_kept = self.open.memory_bytes() == 0
            && self.sealed.memory_bytes() <= REUSED_BYTES_MAX
            && self.sealed.reopen_as(&mut self.open);
        if is_kept {
            self.cursor = 0;
        }
        is_kept
    }

    /// Takes the sealed batch, which was delivered to all subscribers except the lagging ones.
    pub(super) fn take_sealed(&mut self) -> Batch<Bytes> {
        self.cursor = 0;
        std::mem::take(&mut self.sealed)
    }

    /// The memory of the topic's batches.
    pub(super) fn memory(&self) -> BatchMemory {
        let logged = self.log_memory + self.log.capacity() * size_of::<Batch<Bytes>>();
        let values = self.values.as_ref().map_or(0, |values| values.memory_bytes());
        let total = self.open.memory_bytes() + self.sealed.memory_bytes() + logged + values;
        BatchMemory { total, logged, unused: self.unused_memory() }
    }

    /// Bytes of the open batch's memory while it has no broadcast.
    pub(super) fn unused_memory(&self) -> usize {
        if self.open.marks.is_empty() { self.open.memory_bytes() } else { 0 }
    }

    /// The sequence number of the oldest logged broadcast, or 0.
    pub(super) fn oldest_logged(&self) -> u64 {
        self.log.front().map_or(0, Batch::first)
    }

    /// Counts the growth of a batch's compressed forms.
    pub(super) fn count_forms(&mut self, batch: usize, bytes: usize) {
        if batch < self.log.len() {
            self.log_memory += bytes;
        }
    }

    /// Makes the subscriber at `position` lag from broadcast `number` on. Returns whether it was
    /// not lagging before.
    pub(super) fn start_lagging(&mut self, position: usize, number: u64) -> bool {
        let subscriber = &mut self.subscribers[position];
        let is_new = subscriber.first_pending == 0;
        subscriber.first_pending = number;
        if is_new {
            self.lagging += 1;
            self.queueing += usize::from(subscriber.policy == OverflowPolicy::DropOldest);
        }
        is_new
    }

    /// Ends the lag of the subscriber at `position`. Returns whether it was lagging.
    pub(super) fn stop_lagging(&mut self, position: usize) -> bool {
        let subscriber = &mut self.subscribers[position];
        subscriber.left_out_unlogged = 0;
        let was_lagging = std::mem::take(&mut subscriber.first_pending) != 0;
        if was_lagging {
            self.lagging -= 1;
            self.queueing -= usize::from(subscriber.policy == OverflowPolicy::DropOldest);
            if let Some(policy) = subscriber.policy_after.take() {
                self.set_policy(position, policy);
            }
            if self.lagging == 0 {
                self.trim_log();
            }
        }
        debug_assert!(self.queueing <= self.lagging);
        was_lagging
    }

    /// Adds a subscriber.
    pub(super) fn push_subscriber(&mut self, subscriber: Subscriber) {
        self.conflating += usize::from(subscriber.policy == OverflowPolicy::KeepLatest);
        self.subscribers.push(subscriber);
    }

    /// Counts a subscriber that is about to be removed.
    pub(super) fn count_removed(&mut self, policy: OverflowPolicy) {
        self.conflating -= usize::from(policy == OverflowPolicy::KeepLatest);
        self.drop_unused_values();
    }

    fn drop_unused_values(&mut self) {
        if self.conflating == 0 {
            self.values = None;
        }
    }

    /// Whether a subscriber may need the latest message of each key.
    pub(super) const fn conflates(&self) -> bool {
        self.conflating > 0
    }

    /// Whether broadcasts are needed in batches: for the history, or a subscriber that is served
    /// from them, and not from the values.
    #[inline]
    pub(super) fn needs_batches(&self) -> bool {
        self.history.is_some()
            || self.subscribers.len()
                > self.values.as_ref().map_or(0, |values| values.followers.len())
    }

    /// Whether the subscriber at `position`, if it does not keep up, is served from the values.
    pub(super) fn conflates_by_key(&self, position: usize) -> bool {
        self.values.is_some() && self.subscribers[position].policy == OverflowPolicy::KeepLatest
    }

    /// Sets the policy of a subscriber, at once or when it has got the history.
    pub(super) fn set_policy(&mut self, position: usize, policy: OverflowPolicy) {
        let subscriber = &mut self.subscribers[position];
        if let Some(after) = &mut subscriber.policy_after {
            *after = policy;
            return;
        }
        self.conflating -= usize::from(subscriber.policy == OverflowPolicy::KeepLatest);
        self.conflating += usize::from(policy == OverflowPolicy::KeepLatest);
        let lagging = usize::from(subscriber.is_lagging());
        self.queueing -= lagging * usize::from(subscriber.policy == OverflowPolicy::DropOldest);
        self.queueing += lagging * usize::from(policy == OverflowPolicy::DropOldest);
        subscriber.policy = policy;
        self.drop_unused_values();
    }

    /// Frames of one batch, by its index in the order of [`batches`](Self::batches). `key` is the
    /// topic's own.
    pub(super) fn run(&self, key: Key, batch: usize, range: Range<usize>) -> Run<'_> {
        if let Some(logged) = self.log.get(batch) {
            logged.run(key, self.epoch, range)
        } else if batch == self.log.len() {
            self.sealed.run(key, self.epoch, range)
        } else {
            self.open.run(key, self.epoch, range)
        }
    }

    /// The marks of the logged, sealed and open batches, each with the index of its batch. Begins
    /// with the first batch that has a frame after `after`. The log is skipped unless `lagging`.
    fn batches(
        &self,
        after: u64,
        lagging: bool,
    ) -> impl DoubleEndedIterator<Item = (usize, &[Mark])> {
        let len = self.log.len();
        let first = if lagging { self.log.partition_point(|old| old.last() <= after) } else { len };
        let logged = self.log.range(first..).enumerate();
        logged
            .map(move |(at, batch)| (first + at, &batch.marks[..]))
            .chain([(len, &self.sealed.marks[..]), (len + 1, &self.open.marks[..])])
    }

    /// The newest stored broadcast with its frame.
    pub(super) fn newest(&self) -> Option<(Mark, &[u8])> {
        let newest = |marks: &[Mark]| {
            let start = marks.len().checked_sub(2).map_or(0, |before| marks[before].end);
            marks.last().map(|mark| (*mark, start..mark.end))
        };
        let open = newest(&self.open.marks).map(|(mark, range)| (mark, &self.open.frames[range]));
        let stored = [Some(&self.sealed), self.log.back()].into_iter().flatten();
        let mut stored = stored
            .filter_map(|batch| newest(&batch.marks).map(|(m, range)| (m, &batch.frames[range])));
        open.or_else(|| stored.next())
    }

    /// Calls `each` for every frame within `sequences`, in order, with the index of its batch, its
    /// range there and its mark.
    pub(super) fn visit(
        &self,
        sequences: RangeInclusive<u64>,
        lagging: bool,
        mut each: impl FnMut(usize, Range<usize>, &Mark),
    ) {
        let after = sequences.start() - 1;
        for (batch, marks) in self.batches(after, lagging) {
            for at in marks.partition_point(|mark| mark.sequence <= after)..marks.len() {
                let mark = &marks[at];
                if mark.sequence > *sequences.end() {
                    return;
                }
                let start = at.checked_sub(1).map_or(0, |before| marks[before].end);
                each(batch, start..mark.end, mark);
            }
        }
    }

    /// The first frame after a sequence number.
    pub(super) fn first_after(&self, after: u64, lagging: bool) -> Option<&Mark> {
        self.batches(after, lagging)
            .find_map(|(_, marks)| marks.get(marks.partition_point(|mark| mark.sequence <= after)))
    }

    /// The first stored frame with that number among the topic's broadcasts, or a higher one.
    pub(super) fn first_numbered(&self, number: u64) -> Option<&Mark> {
        let last = |batch: &Batch<Bytes>| batch.marks.last().map_or(0, |mark| mark.number);
        let logged = self.log.partition_point(|batch| last(batch) < number);
        let logged = self.log.range(logged..).map(|batch| &batch.marks);
        logged
            .chain([&self.sealed.marks, &self.open.marks])
            .find_map(|marks| marks.get(marks.partition_point(|mark| mark.number < number)))
    }

    /// The stored broadcasts from a number on with their numbers, the oldest first.
    pub(super) fn stored(&self, first: u64) -> impl DoubleEndedIterator<Item = (u64, &[u8])> {
        let is_before = move |mark: &Mark| mark.number < first;
        let skipped = self.log.partition_point(|batch| batch.marks.last().is_none_or(is_before));
        let logged =
            self.log.iter().skip(skipped).map(|batch| (&batch.marks[..], &batch.frames[..]));
        let undelivered = [
            (&self.sealed.marks[..], &self.sealed.frames[..]),
            (&self.open.marks[..], &self.open.frames[..]),
        ];
        logged.chain(undelivered).flat_map(move |(marks, frames)| {
            (marks.partition_point(is_before)..marks.len()).map(move |at| {
                let start = at.checked_sub(1).map_or(0, |before| marks[before].end);
                (marks[at].number, &frames[start..marks[at].end])
            })
        })
    }

    /// The last frame up to a sequence number.
    pub(super) fn last_until(&self, until: u64, lagging: bool) -> Option<&Mark> {
        let logged = self.log.partition_point(|batch| batch.first() <= until).checked_sub(1);
        let logged = logged.filter(|_| lagging).and_then(|batch| self.log.get(batch));
        let logged = logged.map_or(&[][..], |batch| &batch.marks);
        [&self.open.marks, &self.sealed.marks, logged]
            .into_iter()
            .find_map(|marks| marks[..marks.partition_point(|mark| mark.sequence <= until)].last())
    }

    /// The sequence number of the last frame after `after` that is meant for the connection.
    pub(super) fn newest_for(&self, conn: Key, after: u64, lagging: bool) -> Option<u64> {
        let newest = self.batches(after, lagging).rev().flat_map(|(_, marks)| marks.iter().rev());
        let newest = newest.take_while(|mark| mark.sequence > after);
        newest.filter(|mark| mark.except != conn).map(|mark| mark.sequence).next()
    }

    /// The first frame after `after` that is meant for a lagging connection.
    pub(super) fn first_for(&self, conn: Key, after: u64) -> Option<FirstPending> {
        let mut left_out = 0;
        let mut frames = self
            .batches(after, true)
            .flat_map(|(_, marks)| &marks[marks.partition_point(|mark| mark.sequence <= after)..]);
        let first = frames.find(|mark| {
            let is_meant = mark.except != conn;
            left_out += u32::from(!is_meant);
            is_meant
        });
        first.map(|first| FirstPending { mark: *first, left_out })
    }
}
