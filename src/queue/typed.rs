//! The events of one type that wait for handlers, and those that timers keep.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::slots::{Key, Slots};
use crate::time::Time;

/// The events of one type.
pub(super) struct TypedQueue<E> {
    pub(super) waiting: VecDeque<Waiting<E>>,
    timers: Slots<Timer<E>>,
}

/// An entry that waits for the handlers.
pub(super) enum Waiting<E> {
    Event(E),
    /// The event of an expired timer. It stays with its timer, so that it can be cancelled until it
    /// is taken.
    Due(Key),
}

/// An event that is published later.
pub(super) struct Timer<E> {
    event: E,
    /// Whether the heap has an entry for it.
    armed: bool,
    repeat: Option<Repeat<E>>,
}

struct Repeat<E> {
    every: Duration,
    clone: fn(&E) -> E,
}

/// The event of an expired timer.
pub(super) struct TakenEvent<E> {
    pub(super) event: E,
    /// The timer does not repeat, and is no longer set.
    pub(super) is_last: bool,
}

/// A [`TypedQueue`] of any type.
pub(super) trait AnyQueue: fmt::Debug {
    /// Whether the timer is set and its last event not taken.
    fn is_live(&self, key: Key) -> bool;

    /// Appends the event of a timer that was due at `due`. Returns when the timer is due next,
    /// which may be never, or `None` if it was cancelled.
    fn expire(&mut self, key: Key, due: Time, now: Time) -> Option<Option<Time>>;

    /// Drops a timer. Returns whether the heap has an entry for it, or `None` if it is not live.
    fn cancel(&mut self, key: Key) -> Option<bool>;

    /// How many events wait, except those of cancelled timers.
    fn waiting(&self) -> usize;

    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl<E> TypedQueue<E> {
    pub(super) fn new() -> Self {
        Self { waiting: VecDeque::new(), timers: Slots::with_capacity(0) }
    }

    pub(super) fn set(&mut self, mut timer: Timer<E>, armed: bool) -> Key {
        timer.armed = armed;
        self.timers.insert(timer)
    }

    /// Takes the event of an expired timer. Returns `None` if the timer was cancelled.
    pub(super) fn take(&mut self, key: Key) -> Option<TakenEvent<E>> {
        let timer = self.timers.get(key)?;
        if let Some(repeat) = &timer.repeat {
            return Some(TakenEvent { event: (repeat.clone)(&timer.event), is_last: false });
        }
        let timer = self.timers.remove(key)?;
        Some(TakenEvent { event: timer.event, is_last: true })
    }
}

impl<E: 'static> AnyQueue for TypedQueue<E> {
    fn is_live(&self, key: Key) -> bool {
        self.timers.get(key).is_some()
    }

    fn expire(&mut self, key: Key, due: Time, now: Time) -> Option<Option<Time>> {
        let timer = self.timers.get_mut(key)?;
        let repeat = timer.repeat.as_ref();
        let next = repeat.and_then(|repeat| next_period(due, repeat.every, now));
        timer.armed = next.is_some();
        self.waiting.push_back(Waiting::Due(key));
        Some(next)
    }

    fn cancel(&mut self, key: Key) -> Option<bool> {
        self.timers.remove(key).map(|timer| timer.armed)
    }

    fn waiting(&self) -> usize {
        let is_live = |waiting: &&Waiting<E>| match waiting {
            Waiting::Event(_) => true,
            Waiting::Due(key) => self.is_live(*key),
        };
        self.waiting.iter().filter(is_live).count()
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl<E> fmt::Debug for TypedQueue<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedQueue")
            .field("waiting", &self.waiting.len())
            .field("timers", &self.timers.len())
            .finish()
    }
}

impl<E> Timer<E> {
    pub(super) const fn once(event: E) -> Self {
        Self { event, armed: false, repeat: None }
    }

    pub(super) fn into_event(self) -> E {
        self.event
    }
}

impl<E: Clone> Timer<E> {
    pub(super) const fn every(every: Duration, event: E) -> Self {
        Self { event, armed: false, repeat: Some(Repeat { every, clone: E::clone }) }
    }
}

/// The first time after `now` that is a whole number of periods after `due`. `None` if the clock
/// ends before it.
fn next_period(due: Time, every: Duration, now: Time) -> Option<Time> {
    const SECOND: u128 = 1_000_000_000;
    let late = now.since(due).as_nanos();
    // Less than `every`, so its seconds fit into a `Duration`.
    let since_last = late % every.as_nanos();
    let (seconds, nanos) = (since_last / SECOND, since_last % SECOND);
    now.checked_add(every - Duration::new(seconds as u64, nanos as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_periods_are_skipped_and_the_rest_keep_their_times() {
        let start = Time::BEGINNING;
        let at = |nanos: u64| start + Duration::from_nanos(nanos);
        let every = Duration::from_nanos(10);
        for (now, next) in [(100, 110), (101, 110), (109, 110), (110, 120), (119, 120)] {
            assert_eq!(next_period(at(100), every, at(now)), Some(at(next)), "{now}");
        }
        let late = Duration::from_secs(1 << 33);
        assert_eq!(next_period(start, every, start + late), Some(start + late + every));
        let long = Duration::from_secs(1 << 33);
        let next = next_period(start, long, start + Duration::from_secs(1));
        assert_eq!(next, start.checked_add(long));
        assert_eq!(next_period(start, Duration::MAX, start), None);
    }
}
