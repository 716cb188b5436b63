//! One topic: its subscribers, and the batches that are on their way to them.

use std::collections::VecDeque;
use std::mem::size_of;
use std::ops::{Range, RangeInclusive};

use bytes::{Bytes, BytesMut};

use super::batch::{Batch, Mark, Run};
use super::counters::Counters;
use super::memory::{Held, give_back_queue};
use crate::overflow::OverflowPolicy;
use crate::slots::Key;

/// So many bytes for a batch stay with a topic that has none.
const FEW: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Topic {
    pub(super) name: Box<str>,
    pub(super) subscribers: Vec<Subscriber>,
    /// How many of `subscribers`, from the first, the sealed batch was delivered to.
    pub(super) cursor: usize,
    /// What is being delivered.
    pub(super) sealed: Batch<Bytes>,
    /// What was broadcast since the sealed batch was.
    pub(super) open: Batch<BytesMut>,
    /// Batches that were delivered to all but those that are held, the oldest first; none if
    /// nobody is held, and as a rule the newest one if somebody is.
    pub(super) log: VecDeque<Batch<Bytes>>,
    /// Bytes of the frames in `log`.
    log_frames: usize,
    /// Bytes of memory that the batches in `log` take.
    log_held: usize,
    /// How many subscribers are held.
    pub(super) held: usize,
    /// How many of those want more than the last frame.
    queueing: usize,
    /// The number of the last broadcast; the first is 1.
    pub(super) broadcasts: u64,
    pub(super) counters: Counters,
    /// It is in the list of topics that gained or lost their subscribers: whether it had some when
    /// that was last told.
    pub(super) changing: Option<bool>,
    /// What [`memory`](Self::memory) and [`oldest`](Self::oldest) were when that was last counted.
    pub(super) counted: (Held, u64),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Subscriber {
    pub(super) conn: Key,
    /// The last broadcast before the subscription, or before what is still owed.
    pub(super) since: u64,
    /// The number of the first broadcast that was put off for a connection that does not keep up,
    /// which is held then; otherwise 0.
    pub(super) next: u64,
    /// How many of the broadcasts that are not delivered yet leave it out.
    pub(super) left_out: u32,
    /// How many of those that were put off, and are no longer logged, left it out.
    pub(super) gone: u32,
    /// Where this subscription stands in the member's list.
    pub(super) position: u32,
    pub(super) policy: OverflowPolicy,
    /// It missed something that was not told yet.
    pub(super) gapped: bool,
}

impl Subscriber {
    /// Whether whole batches can be handed to it whatever already waits for it.
    #[inline]
    pub(super) fn takes_all(&self) -> bool {
        self.is_plain() && self.policy == OverflowPolicy::Close
    }

    /// Whether a batch can be handed to it as it is.
    pub(super) const fn is_plain(&self) -> bool {
        self.left_out == 0 && self.next == 0 && !self.gapped
    }

    pub(super) const fn is_held(&self) -> bool {
        self.next != 0
    }
}

impl Topic {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Whether it has a batch that is not delivered to all.
    pub(super) fn is_active(&self) -> bool {
        !self.open.marks.is_empty() || !self.sealed.marks.is_empty()
    }

    pub(super) fn last(&self) -> u64 {
        let logged = self.log.back().map_or(0, Batch::last);
        self.open.last().max(self.sealed.last()).max(logged)
    }

    /// Makes the open batch the one that is delivered, if there is none.
    pub(super) fn seal(&mut self) {
        if self.sealed.marks.is_empty() && !self.open.marks.is_empty() {
            self.cursor = 0;
            self.open.seal(&mut self.sealed);
        }
    }

    /// Keeps the memory of the batch that was delivered to all for the next one, if it is little;
    /// whether it did, and no other batch waits.
    pub(super) fn reuse(&mut self) -> bool {
        let is_kept = self.open.held() == 0
            && self.sealed.held() <= FEW
            && self.sealed.reopen_as(&mut self.open);
        if is_kept {
            self.cursor = 0;
        }
        is_kept
    }

    /// Takes away the batch that was delivered to all, or to all but those that are held.
    pub(super) fn finish(&mut self) -> Batch<Bytes> {
        self.cursor = 0;
        std::mem::take(&mut self.sealed)
    }

    /// Logs a batch for those that are held.
    pub(super) fn log(&mut self, batch: Batch<Bytes>) {
        self.log_frames += batch.frames.len();
        self.log_held += batch.held();
        self.log.push_back(batch);
    }

    /// Whether the oldest logged batch has to go: more than so many bytes of frames are logged, or
    /// it is of no use. A subscriber that needs only the last frame finds it in the newest batch,
    /// unless all of those in there leave somebody out.
    pub(super) fn outgrows(&self, limit: usize) -> bool {
        let newest = self.log.back().filter(|_| self.log.len() > 1);
        newest.is_some_and(|newest| {
            self.log_frames > limit
                || (self.queueing == 0 && newest.exceptions < newest.marks.len())
        })
    }

    /// Takes the oldest batch out of the log.
    pub(super) fn drop_oldest(&mut self) -> Option<Batch<Bytes>> {
        let oldest = self.log.pop_front()?;
        self.log_frames -= oldest.frames.len();
        self.log_held -= oldest.held();
        give_back_queue(&mut self.log, 0);
        Some(oldest)
    }

    fn clear_log(&mut self) {
        self.log = VecDeque::new();
        (self.log_frames, self.log_held) = (0, 0);
    }

    /// The memory of its batches.
    pub(super) fn memory(&self) -> Held {
        let logged = self.log_held + self.log.capacity() * size_of::<Batch<Bytes>>();
        let bytes = self.open.held() + self.sealed.held() + logged;
        Held { bytes, logged, unused: self.unused() }
    }

    /// The memory for a batch that has not begun.
    pub(super) fn unused(&self) -> usize {
        if self.open.marks.is_empty() { self.open.held() } else { 0 }
    }

    /// The number of the oldest logged broadcast, or 0.
    pub(super) fn oldest(&self) -> u64 {
        self.log.front().map_or(0, Batch::first)
    }

    /// Counts what the compressed forms of the batch at that place have grown by.
    pub(super) fn note_forms(&mut self, place: usize, bytes: usize) {
        if place < self.log.len() {
            self.log_held += bytes;
        }
    }

    /// Notes that broadcasts from this number on wait for the subscriber at `position`; whether
    /// it was not held before.
    pub(super) fn hold(&mut self, position: usize, number: u64) -> bool {
        let subscriber = &mut self.subscribers[position];
        let is_new = subscriber.next == 0;
        subscriber.next = number;
        if is_new {
            self.held += 1;
            self.queueing += usize::from(subscriber.policy == OverflowPolicy::DropOldest);
        }
        is_new
    }

    /// Notes that nothing waits for the subscriber at `position` any more; whether it was held.
    pub(super) fn release(&mut self, position: usize) -> bool {
        let subscriber = &mut self.subscribers[position];
        subscriber.gone = 0;
        let was_held = std::mem::take(&mut subscriber.next) != 0;
        if was_held {
            self.held -= 1;
            self.queueing -= usize::from(subscriber.policy == OverflowPolicy::DropOldest);
            if self.held == 0 {
                self.clear_log();
            }
        }
        was_held
    }

    pub(super) fn set_policy(&mut self, position: usize, policy: OverflowPolicy) {
        let subscriber = &mut self.subscribers[position];
        let held = usize::from(subscriber.is_held());
        self.queueing -= held * usize::from(subscriber.policy == OverflowPolicy::DropOldest);
        self.queueing += held * usize::from(policy == OverflowPolicy::DropOldest);
        subscriber.policy = policy;
    }

    /// Frames of the batch at that place of the topic, whose key this is.
    pub(super) fn run(&self, key: Key, place: usize, range: Range<usize>) -> Run<'_> {
        if let Some(batch) = self.log.get(place) {
            batch.run(key, range)
        } else if place == self.log.len() {
            self.sealed.run(key, range)
        } else {
            self.open.run(key, range)
        }
    }

    /// The frames of each batch, with its place, from the first batch on that has some after that
    /// number; the log is left out for who is not held.
    fn batches(&self, after: u64, held: bool) -> impl DoubleEndedIterator<Item = (usize, &[Mark])> {
        let len = self.log.len();
        let first = if held { self.log.partition_point(|old| old.last() <= after) } else { len };
        let logged = self.log.range(first..).enumerate();
        logged
            .map(move |(at, batch)| (first + at, &batch.marks[..]))
            .chain([(len, &self.sealed.marks[..]), (len + 1, &self.open.marks[..])])
    }

    /// Calls `each` with every frame of those numbers, where it lies and the place of its batch, in
    /// order.
    pub(super) fn visit(
        &self,
        numbers: RangeInclusive<u64>,
        held: bool,
        mut each: impl FnMut(usize, Range<usize>, &Mark),
    ) {
        let after = numbers.start() - 1;
        for (place, marks) in self.batches(after, held) {
            for at in marks.partition_point(|mark| mark.sequence <= after)..marks.len() {
                let mark = &marks[at];
                if mark.sequence > *numbers.end() {
                    return;
                }
                let start = at.checked_sub(1).map_or(0, |before| marks[before].end);
                each(place, start..mark.end, mark);
            }
        }
    }

    /// The first frame after that number.
    pub(super) fn first_after(&self, after: u64, held: bool) -> Option<&Mark> {
        self.batches(after, held)
            .find_map(|(_, marks)| marks.get(marks.partition_point(|mark| mark.sequence <= after)))
    }

    /// The last frame up to that number.
    pub(super) fn last_until(&self, until: u64, held: bool) -> Option<&Mark> {
        let logged = self.log.partition_point(|batch| batch.first() <= until).checked_sub(1);
        let logged = logged.filter(|_| held).and_then(|place| self.log.get(place));
        let logged = logged.map_or(&[][..], |batch| &batch.marks);
        [&self.open.marks, &self.sealed.marks, logged]
            .into_iter()
            .find_map(|marks| marks[..marks.partition_point(|mark| mark.sequence <= until)].last())
    }

    /// The number of the last frame after that number that is for this connection.
    pub(super) fn newest_for(&self, conn: Key, after: u64, held: bool) -> Option<u64> {
        let newest = self.batches(after, held).rev().flat_map(|(_, marks)| marks.iter().rev());
        let newest = newest.take_while(|mark| mark.sequence > after);
        newest.filter(|mark| mark.except != conn).map(|mark| mark.sequence).next()
    }

    /// The first frame after that number that is for this connection, and how many come before it.
    pub(super) fn first_for(&self, conn: Key, after: u64) -> Option<(Mark, u32)> {
        let mut passed = 0;
        let mut frames = self
            .batches(after, true)
            .flat_map(|(_, marks)| &marks[marks.partition_point(|mark| mark.sequence <= after)..]);
        let first = frames.find(|mark| {
            let is_for_it = mark.except != conn;
            passed += u32::from(!is_for_it);
            is_for_it
        });
        first.map(|first| (*first, passed))
    }
}
