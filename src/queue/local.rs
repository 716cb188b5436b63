//! Events that handlers publish, immediately or by timers. They stay on the loop's thread and need
//! no lock and no fence.

use std::any::TypeId;
use std::time::Duration;

use super::PublishError;
use super::typed::{AnyQueue, TakenEvent, Timer, TypedQueue, Waiting};
use crate::slots::Key;
use crate::time::Time;
use crate::timers::TimerHeap;

/// The most timers that expire in one turn, so that many at once do not delay the sockets.
///
/// It is smaller than the number of events of one type that a turn handles. The event of an expired
/// timer is added even to a full queue, which therefore exceeds its capacity by at most this.
const TIMERS_PER_TURN_MAX: usize = 256;

/// The shortest period of an interval. Sleeps end on whole milliseconds anyway.
const PERIOD_MIN: Duration = Duration::from_millis(1);

/// A bounded queue for each type of event, and the timers that add events to it.
///
/// Invariant: `len` is the sum of the queues' lengths.
#[derive(Debug)]
pub(crate) struct LocalEvents {
    /// A `TypedQueue<E>` for each type `E`. Queues are added and never removed before the close.
    queues: Vec<(TypeId, Box<dyn AnyQueue>)>,
    capacity: usize,
    /// The entries of all queues, including expired timers that were cancelled afterwards.
    len: usize,
    /// Every timer that is set and not expired, except those that never expire.
    timers: TimerHeap<TimerKey>,
    /// How many timers are set. A timer counts until its last event is taken.
    timers_set: usize,
    timers_max: usize,
    /// Events that were returned because a queue was full, or too many timers were set.
    refused: u64,
    closed: bool,
}

/// Identifies a timer: the index of its type's queue, and its key there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TimerKey {
    pub(crate) queue: u32,
    pub(crate) key: Key,
}

impl LocalEvents {
    /// Queues with room for `capacity` events each, and up to `timers_max` timers.
    pub(crate) const fn new(capacity: usize, timers_max: usize) -> Self {
        Self {
            queues: Vec::new(),
            capacity,
            len: 0,
            timers: TimerHeap::new(),
            timers_set: 0,
            timers_max,
            refused: 0,
            closed: false,
        }
    }

    /// Adds a queue for a type of event, if there is none.
    pub(crate) fn register<E: 'static>(&mut self) {
        if !self.closed && find::<E>(&mut self.queues).is_none() {
            self.queues.push((TypeId::of::<E>(), Box::new(TypedQueue::<E>::new())));
        }
    }

    /// Drops all events and timers, and accepts no more. Returns how many events waited.
    pub(crate) fn close(&mut self) -> usize {
        self.closed = true;
        let waited = self.queues.iter().map(|(_, queue)| queue.waiting()).sum();
        self.queues.clear();
        self.timers.clear();
        (self.len, self.timers_set) = (0, 0);
        waited
    }

    /// How many entries wait, including expired timers that were cancelled afterwards.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// How many events were returned because there was no room.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }

    /// How many timers are set.
    pub(crate) const fn timers_set(&self) -> usize {
        self.timers_set
    }

    /// How many more events of a type its queue accepts.
    pub(crate) fn room<E: 'static>(&mut self) -> usize {
        let queued = find::<E>(&mut self.queues).map(|(_, queue)| queue.waiting.len());
        queued.map_or(0, |queued| self.capacity.saturating_sub(queued))
    }

    /// Whether nothing waits.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends an event. Returns it if its queue is full or missing.
    pub(crate) fn push<E: 'static>(&mut self, event: E) -> Result<(), PublishError<E>> {
        let Some((_, queue)) = find::<E>(&mut self.queues) else {
            return Err(self.without_queue(event));
        };
        if queue.waiting.len() >= self.capacity {
            self.refused += 1;
            return Err(PublishError::Full(event));
        }
        queue.waiting.push_back(Waiting::Event(event));
        self.len += 1;
        Ok(())
    }

    /// Appends an event of which the caller bounds the number. Drops it if nothing handles its
    /// type.
    pub(crate) fn push_beyond<E: 'static>(&mut self, event: E) {
        if let Some((_, queue)) = find::<E>(&mut self.queues) {
            queue.waiting.push_back(Waiting::Event(event));
            self.len += 1;
        }
    }

    /// Takes the oldest event of a type.
    pub(crate) fn pop<E: 'static>(&mut self) -> Option<E> {
        if self.is_empty() {
            return None;
        }
        let (_, queue) = find::<E>(&mut self.queues)?;
        while let Some(waiting) = queue.waiting.pop_front() {
            self.len -= 1;
            match waiting {
                Waiting::Event(event) => return Some(event),
                Waiting::Due(key) => {
                    if let Some(TakenEvent { event, is_last }) = queue.take(key) {
                        self.timers_set -= usize::from(is_last);
                        return Some(event);
                    }
                }
            }
        }
        None
    }

    /// Publishes `event` when it is `due`. `None` is never due.
    pub(crate) fn set_timer<E: 'static>(
        &mut self,
        due: Option<Time>,
        event: E,
    ) -> Result<TimerKey, PublishError<E>> {
        self.set(due, Timer::once(event))
    }

    /// Publishes a clone of `event` after every period from `now` on.
    pub(crate) fn set_interval<E: Clone + 'static>(
        &mut self,
        now: Time,
        every: Duration,
        event: E,
    ) -> Result<TimerKey, PublishError<E>> {
        let every = every.max(PERIOD_MIN);
        self.set(now.checked_add(every), Timer::every(every, event))
    }

    fn set<E: 'static>(
        &mut self,
        due: Option<Time>,
        timer: Timer<E>,
    ) -> Result<TimerKey, PublishError<E>> {
        let Some((index, queue)) = find::<E>(&mut self.queues) else {
            return Err(self.without_queue(timer.into_event()));
        };
        if self.timers_set >= self.timers_max {
            self.refused += 1;
            return Err(PublishError::Full(timer.into_event()));
        }
        let queue_index = u32::try_from(index).expect("a program has fewer than 2^32 types");
        let key = TimerKey { queue: queue_index, key: queue.set(timer, due.is_some()) };
        if let Some(due) = due {
            self.timers.set(due, key);
        }
        self.timers_set += 1;
        Ok(key)
    }

    /// Returns an event whose type has no queue.
    fn without_queue<E>(&self, event: E) -> PublishError<E> {
        if self.closed { PublishError::Closed(event) } else { PublishError::NoHandler(event) }
    }

    /// Drops a timer with its event. Returns `false` if its event was taken or it was cancelled
    /// before.
    pub(crate) fn cancel_timer(&mut self, timer: TimerKey) -> bool {
        let Some((_, queue)) = self.queues.get_mut(timer.queue as usize) else { return false };
        let Some(was_armed) = queue.cancel(timer.key) else { return false };
        self.timers_set -= 1;
        if was_armed {
            let queues = &self.queues;
            self.timers.count_cancelled(|timer| is_live(queues, timer));
        }
        true
    }

    /// Appends the events of expired timers, in the order of their times.
    pub(crate) fn expire(&mut self, now: Time) {
        for _ in 0..TIMERS_PER_TURN_MAX {
            let Some(entry) = self.timers.expire(now) else { return };
            let TimerKey { queue, key } = entry.key;
            let Some((_, queue)) = self.queues.get_mut(queue as usize) else { continue };
            let Some(next) = queue.expire(key, entry.due, now) else {
                self.timers.count_dropped();
                continue;
            };
            self.len += 1;
            if let Some(due) = next {
                self.timers.set_again(entry, due);
            }
        }
    }

    /// When to look at the timers again: when the next one is due, or earlier.
    pub(crate) fn next_due(&mut self) -> Option<Time> {
        let queues = &self.queues;
        self.timers.next(|timer| is_live(queues, timer))
    }
}

/// The queue of a type, and its index.
fn find<E: 'static>(
    queues: &mut [(TypeId, Box<dyn AnyQueue>)],
) -> Option<(usize, &mut TypedQueue<E>)> {
    let wanted = TypeId::of::<E>();
    let index = queues.iter().position(|(own, _)| *own == wanted)?;
    Some((index, queues[index].1.as_any_mut().downcast_mut()?))
}

fn is_live(queues: &[(TypeId, Box<dyn AnyQueue>)], timer: &TimerKey) -> bool {
    queues.get(timer.queue as usize).is_some_and(|(_, queue)| queue.is_live(timer.key))
}

#[cfg(test)]
mod tests;
