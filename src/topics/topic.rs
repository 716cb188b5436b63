//! One topic: its subscribers, and the batches that are on their way to them.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::batch::{Batch, Frames, Mark};
use super::counters::Counters;
use super::output::Policy;
use crate::slots::Key;

/// A topic that was busy gives back what it holds beyond this, in bytes.
const KEEP: usize = 64 * 1024;

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
    /// nobody is held, and the newest one always if somebody is.
    pub(super) log: VecDeque<Batch<Bytes>>,
    /// Bytes of the frames in `log`.
    log_bytes: usize,
    /// How many subscribers are held.
    pub(super) held: usize,
    /// How many of those want more than the last frame.
    queueing: usize,
    /// The number of the last broadcast; the first is 1.
    pub(super) broadcasts: u64,
    pub(super) counters: Counters,
    /// In the list of topics that gained or lost their subscribers.
    pub(super) changing: bool,
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
    /// Where this subscription stands in the member's list.
    pub(super) position: u32,
    pub(super) policy: Policy,
    /// It missed something that was not told yet.
    pub(super) gapped: bool,
}

impl Subscriber {
    /// Whether whole batches can be handed to it whatever already waits for it.
    #[inline]
    pub(super) fn takes_all(&self) -> bool {
        self.is_plain() && self.policy == Policy::Close
    }

    /// Whether a batch can be handed to it as it is.
    pub(super) const fn is_plain(&self) -> bool {
        self.left_out == 0 && self.next == 0 && !self.gapped
    }
}

impl Topic {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    pub(super) fn last(&self) -> u64 {
        let logged = self.log.back().map_or(0, Batch::last);
        self.open.last().max(self.sealed.last()).max(logged)
    }

    /// Makes the open batch the one that is delivered.
    pub(super) fn seal(&mut self) {
        self.cursor = 0;
        self.sealed.frames = self.open.frames.split().freeze();
        std::mem::swap(&mut self.sealed.marks, &mut self.open.marks);
        self.sealed.verbatim = std::mem::take(&mut self.open.verbatim);
    }

    /// Forgets the batch that was delivered to all, or logs it for those that are held; whether
    /// another waits.
    pub(super) fn finish(&mut self, log_limit: usize) -> bool {
        self.cursor = 0;
        if self.held > 0 {
            self.log_sealed(log_limit);
        }
        self.sealed.frames = Bytes::new();
        self.sealed.marks.clear();
        self.sealed.verbatim = 0;
        let waiting = !self.open.marks.is_empty();
        if !waiting && self.open.frames.capacity() > KEEP {
            self.open = Batch::default();
        }
        waiting
    }

    fn log_sealed(&mut self, limit: usize) {
        let batch = std::mem::take(&mut self.sealed);
        // Whoever wants only the last frame finds it in here, unless all of these leave it out.
        if self.queueing == 0 && batch.marks.iter().any(|mark| mark.except.is_none()) {
            self.clear_log();
        }
        self.log_bytes += batch.frames.len();
        self.log.push_back(batch);
        while self.log_bytes > limit && self.log.len() > 1 {
            self.log_bytes -= self.log.pop_front().map_or(0, |oldest| oldest.frames.len());
        }
    }

    fn clear_log(&mut self) {
        self.log.clear();
        self.log_bytes = 0;
    }

    /// Notes that broadcasts from this number on wait for the subscriber at `position`; whether
    /// it was not held before.
    pub(super) fn hold(&mut self, position: usize, number: u64) -> bool {
        let subscriber = &mut self.subscribers[position];
        let is_new = subscriber.next == 0;
        subscriber.next = number;
        if is_new {
            self.held += 1;
            self.queueing += usize::from(subscriber.policy == Policy::DropOldest);
        }
        is_new
    }

    /// Notes that nothing waits for the subscriber at `position` any more; whether it was held.
    pub(super) fn release(&mut self, position: usize) -> bool {
        let subscriber = &mut self.subscribers[position];
        let was_held = std::mem::take(&mut subscriber.next) != 0;
        if was_held {
            self.held -= 1;
            self.queueing -= usize::from(subscriber.policy == Policy::DropOldest);
            if self.held == 0 {
                self.clear_log();
            }
        }
        was_held
    }

    pub(super) fn set_policy(&mut self, position: usize, policy: Policy) {
        let subscriber = &mut self.subscribers[position];
        let held = usize::from(subscriber.next != 0);
        self.queueing -= held * usize::from(subscriber.policy == Policy::DropOldest);
        self.queueing += held * usize::from(policy == Policy::DropOldest);
        subscriber.policy = policy;
    }

    /// Calls `each` with every frame after number `after` and the place of its batch, in order;
    /// the log is left out for who is not held.
    pub(super) fn frames_after(
        &self,
        after: u64,
        held: bool,
        mut each: impl FnMut(usize, Range<usize>, &Mark),
    ) {
        let sealed = self.log.len();
        let first = if held { self.log.partition_point(|old| old.last() <= after) } else { sealed };
        for (place, batch) in self.log.iter().enumerate().skip(first) {
            visit(batch, after, |range, mark| each(place, range, mark));
        }
        visit(&self.sealed, after, |range, mark| each(sealed, range, mark));
        visit(&self.open, after, |range, mark| each(sealed + 1, range, mark));
    }

    /// Frames of the batch at that place.
    pub(super) fn frames(&self, place: usize, range: Range<usize>) -> Frames<'_> {
        if let Some(batch) = self.log.get(place) {
            Frames::Shared(&batch.frames, range)
        } else if place == self.log.len() {
            Frames::Shared(&self.sealed.frames, range)
        } else {
            Frames::Open(&self.open.frames[range])
        }
    }
}

fn visit<B>(batch: &Batch<B>, after: u64, mut each: impl FnMut(Range<usize>, &Mark)) {
    let mut start = batch.offset_after(after);
    for mark in batch.marks_after(after) {
        each(start..mark.end, mark);
        start = mark.end;
    }
}
