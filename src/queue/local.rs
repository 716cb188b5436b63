//! Events that handlers publish, at once or at a time: on the loop's own thread, they need no lock
//! and no fence.

use std::any::TypeId;
use std::time::Duration;

use super::PublishError;
use super::typed::{AnyQueue, Timer, TypedQueue, Waiting};
use crate::slots::Key;
use crate::time::Time;
use crate::timers::TimerHeap;

/// Timers that come up in one turn, so that many at once do not hold up the sockets.
///
/// Fewer than the events of one type that a turn handles: though their events are taken into a
/// full queue, it never holds more than these beyond its capacity.
const TIMER_BUDGET: usize = 256;

/// The shortest period. Sleeps end on whole milliseconds anyway.
const SHORTEST_PERIOD: Duration = Duration::from_millis(1);

/// A bounded queue for each type of event, found by the type, and the timers that fill it.
#[derive(Debug)]
pub(crate) struct LocalEvents {
    /// Each a `TypedQueue<E>`, with the type `E`. Only ever appended to, until all are closed.
    queues: Vec<(TypeId, Box<dyn AnyQueue>)>,
    capacity: usize,
    /// What waits in all queues, due timers that were cancelled since included.
    len: usize,
    /// Every timer that is set and not due yet, except those that never will be.
    timers: TimerHeap<TimerKey>,
    /// Timers that are set, until their event is taken.
    timers_set: usize,
    timers_max: usize,
    /// Events that were given back because a queue was full, or as many timers were set as may be.
    refused: u64,
    closed: bool,
}

/// Names a timer: the place of its type's queue, and its key there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TimerKey {
    pub(crate) queue: u32,
    pub(crate) key: Key,
}

impl LocalEvents {
    /// Queues of up to `capacity` events each, and up to `timers_max` timers.
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

    /// Makes a queue for a type of event, if there is none.
    pub(crate) fn register<E: 'static>(&mut self) {
        if !self.closed && find::<E>(&mut self.queues).is_none() {
            self.queues.push((TypeId::of::<E>(), Box::new(TypedQueue::<E>::new())));
        }
    }

    /// Drops what waits and every timer, and takes nothing more. Tells how many events waited.
    pub(crate) fn close(&mut self) -> usize {
        self.closed = true;
        let waited = self.queues.iter().map(|(_, queue)| queue.waiting()).sum();
        self.queues.clear();
        self.timers.clear();
        (self.len, self.timers_set) = (0, 0);
        waited
    }

    /// What waits, due timers that were cancelled since included.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Events that were given back for want of room.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }

    /// Timers that are set.
    pub(crate) const fn timers_set(&self) -> usize {
        self.timers_set
    }

    /// Whether nothing waits.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends an event; gives it back if its queue is full, or there is none.
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

    /// Takes the event that was appended first.
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
                    if let Some((event, is_last)) = queue.take(key) {
                        self.timers_set -= usize::from(is_last);
                        return Some(event);
                    }
                }
            }
        }
        None
    }

    /// Appends `event` once it is `due`, which `None` never is.
    pub(crate) fn set_timer<E: 'static>(
        &mut self,
        due: Option<Time>,
        event: E,
    ) -> Result<TimerKey, PublishError<E>> {
        self.set(due, Timer::once(event))
    }

    /// Appends a clone of `event` every period from `now` on.
    pub(crate) fn set_interval<E: Clone + 'static>(
        &mut self,
        now: Time,
        every: Duration,
        event: E,
    ) -> Result<TimerKey, PublishError<E>> {
        let every = every.max(SHORTEST_PERIOD);
        self.set(now.checked_add(every), Timer::every(every, event))
    }

    fn set<E: 'static>(
        &mut self,
        due: Option<Time>,
        timer: Timer<E>,
    ) -> Result<TimerKey, PublishError<E>> {
        let Some((place, queue)) = find::<E>(&mut self.queues) else {
            return Err(self.without_queue(timer.into_event()));
        };
        if self.timers_set >= self.timers_max {
            self.refused += 1;
            return Err(PublishError::Full(timer.into_event()));
        }
        let queue_place = u32::try_from(place).expect("a program has fewer than 2^32 types");
        let key = TimerKey { queue: queue_place, key: queue.set(timer, due.is_some()) };
        if let Some(due) = due {
            self.timers.set(due, key);
        }
        self.timers_set += 1;
        Ok(key)
    }

    /// Gives back an event of a type that has no queue.
    fn without_queue<E>(&self, event: E) -> PublishError<E> {
        if self.closed { PublishError::Closed(event) } else { PublishError::NoHandler(event) }
    }

    /// Drops a timer and its event; `false` if its event was taken, or it was cancelled before.
    pub(crate) fn cancel_timer(&mut self, timer: TimerKey) -> bool {
        let Some((_, queue)) = self.queues.get_mut(timer.queue as usize) else { return false };
        let Some(was_armed) = queue.cancel(timer.key) else { return false };
        self.timers_set -= 1;
        if was_armed {
            let queues = &self.queues;
            self.timers.cancelled(|timer| is_live(queues, timer));
        }
        true
    }

    /// Appends the events of timers that are due, in the order of their times.
    pub(crate) fn expire(&mut self, now: Time) {
        for _ in 0..TIMER_BUDGET {
            let Some(entry) = self.timers.expire(now) else { return };
            let TimerKey { queue, key } = entry.key;
            let Some((_, queue)) = self.queues.get_mut(queue as usize) else { continue };
            let Some(next) = queue.expire(key, entry.due, now) else {
                self.timers.dropped();
                continue;
            };
            self.len += 1;
            if let Some(due) = next {
                self.timers.set_again(entry, due);
            }
        }
    }

    /// When to look at the timers again: at the time of the next one, if not before.
    pub(crate) fn next_due(&mut self) -> Option<Time> {
        let queues = &self.queues;
        self.timers.next(|timer| is_live(queues, timer))
    }
}

/// The queue of a type, and its place.
fn find<E: 'static>(
    queues: &mut [(TypeId, Box<dyn AnyQueue>)],
) -> Option<(usize, &mut TypedQueue<E>)> {
    let wanted = TypeId::of::<E>();
    let place = queues.iter().position(|(held, _)| *held == wanted)?;
    Some((place, queues[place].1.as_any_mut().downcast_mut()?))
}

fn is_live(queues: &[(TypeId, Box<dyn AnyQueue>)], timer: &TimerKey) -> bool {
    queues.get(timer.queue as usize).is_some_and(|(_, queue)| queue.is_live(timer.key))
}

#[cfg(test)]
mod tests;
