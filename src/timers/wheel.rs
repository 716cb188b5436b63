//! Deadlines of connections: a lazy wheel of coarse ticks.
//!
//! A deadline that moves later costs nothing: the owner stores it, and the entry stays in its slot.
//! When the entry expires, the owner arms it again for the stored deadline.

use std::collections::VecDeque;
use std::time::Duration;

use crate::slots::Key;
use crate::time::Time;

/// The precision of deadlines. They are never early, and late by at most this.
const TICK: Duration = Duration::from_millis(100);
const TICK_NANOS: u64 = TICK.as_nanos() as u64;

/// The length of the wheel, in ticks. Later deadlines wait in the last slot and are armed again.
const SPAN_TICKS: u64 = 512;

/// The most entries that expire in one turn, so that many deadlines at once do not delay the loop.
const EXPIRED_PER_TURN_MAX: usize = 1024;

/// The tick in which an entry waits. It distinguishes the owner's newest entry from outdated ones.
///
/// It has the low bits of the tick's number, which repeat after more than six years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick(u32);

impl Tick {
    /// Later than every tick: the owner has no entry.
    pub(crate) const NEVER: Self = Self(u32::MAX);

    const BITS: u32 = 31;
    const MASK: u32 = (1 << Self::BITS) - 1;

    const fn new(number: u64) -> Self {
        Self(number as u32 & Self::MASK)
    }

    /// Whether it is no later than `other`. Two ticks in use at the same time are much less than
    /// half a cycle apart.
    const fn is_by(self, other: Self) -> bool {
        self.0 != Self::NEVER.0 && other.0.wrapping_sub(self.0) & Self::MASK < Self::MASK / 2
    }
}

/// Keys by the tick at which their owner's deadline must be checked.
///
/// Invariant: every entry that is not overdue waits in one of the `SPAN_TICKS` ticks from `cursor`
/// on.
#[derive(Debug)]
pub(crate) struct DeadlineWheel {
    epoch: Time,
    /// The first tick that was not handled.
    cursor: u64,
    /// When the tick `cursor` begins. Nothing expires before.
    due: Time,
    slots: Vec<Vec<Key>>,
    /// Entries that expired together when the clock jumped by more than the span, the earliest
    /// first. They are moved here so that not every skipped tick must be visited.
    overdue: VecDeque<(Key, Tick)>,
    /// No entry waits in an earlier tick. It saves most turns the search for the next entry.
    earliest: u64,
    /// The number of entries in `slots`.
    len: usize,
}

impl DeadlineWheel {
    pub(crate) fn new(now: Time) -> Self {
        let (slots, overdue) = (vec![Vec::new(); SPAN_TICKS as usize], VecDeque::new());
        Self { epoch: now, cursor: 0, due: now, slots, overdue, earliest: 0, len: 0 }
    }

    /// Whether an entry may have expired.
    #[inline]
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.due <= now
    }

    /// Adds an entry for `key` at its `deadline` and returns the entry's tick, which the owner
    /// stores.
    ///
    /// `armed` is the tick of the owner's current entry. If that expires early enough, it is
    /// returned and no entry is added.
    pub(crate) fn arm(&mut self, key: Key, deadline: Time, armed: Tick) -> Tick {
        let number = self.tick_after(deadline);
        let tick = Tick::new(number);
        if armed.is_by(tick) {
            return armed;
        }
        debug_assert!((self.cursor..self.cursor + SPAN_TICKS).contains(&number));
        self.slots[(number % SPAN_TICKS) as usize].push(key);
        self.earliest = if self.len == 0 { number } else { self.earliest.min(number) };
        self.len += 1;
        tick
    }

    /// Takes one expired entry: its key and its tick. The owner ignores it if that is not its
    /// newest entry; otherwise it acts on its deadline or arms the key again.
    pub(crate) fn expire(&mut self, now: Time) -> Option<(Key, Tick)> {
        if !self.is_due(now) {
            return None;
        }
        let present = self.ticks_until(now);
        if self.len > 0 && present.saturating_sub(self.cursor) >= SPAN_TICKS {
            self.fall_behind(present);
        }
        if let Some(entry) = self.overdue.pop_front() {
            return Some(entry);
        }
        while self.len > 0 && self.cursor <= present {
            if let Some(key) = self.slots[(self.cursor % SPAN_TICKS) as usize].pop() {
                self.len -= 1;
                return Some((key, Tick::new(self.cursor)));
            }
            self.cursor += 1;
        }
        self.cursor = self.cursor.max(present.saturating_add(1));
        self.due = self.start_of(self.cursor).unwrap_or(self.due);
        None
    }

    /// How many entries one turn may take.
    pub(crate) const fn budget() -> usize {
        EXPIRED_PER_TURN_MAX
    }

    /// When the next entry expires.
    pub(crate) fn next(&mut self) -> Option<Time> {
        if !self.overdue.is_empty() {
            return Some(self.epoch);
        }
        if self.len == 0 {
            return None;
        }
        let from = self.earliest.max(self.cursor);
        let tick = (from..self.cursor + SPAN_TICKS)
            .find(|tick| !self.slots[(tick % SPAN_TICKS) as usize].is_empty())?;
        self.earliest = tick;
        self.start_of(tick)
    }

    fn start_of(&self, tick: u64) -> Option<Time> {
        self.epoch.checked_add(Duration::from_nanos(tick.checked_mul(TICK_NANOS)?))
    }

    /// Moves all entries to `overdue`, because the clock has jumped by more than the span. The
    /// wheel continues from the `present` tick.
    fn fall_behind(&mut self, present: u64) {
        for tick in self.cursor..self.cursor + SPAN_TICKS {
            let keys = self.slots[(tick % SPAN_TICKS) as usize].drain(..);
            self.overdue.extend(keys.map(|key| (key, Tick::new(tick))));
        }
        self.cursor = present;
        self.len = 0;
    }

    /// The first tick that begins at `deadline` or later, limited to the wheel's span.
    fn tick_after(&self, deadline: Time) -> u64 {
        let tick = self.nanos_until(deadline).div_ceil(TICK_NANOS);
        tick.clamp(self.cursor, self.cursor + SPAN_TICKS - 1)
    }

    fn ticks_until(&self, now: Time) -> u64 {
        self.nanos_until(now) / TICK_NANOS
    }

    const fn nanos_until(&self, time: Time) -> u64 {
        time.as_nanos().saturating_sub(self.epoch.as_nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;

    const SECOND: Duration = Duration::from_secs(1);

    fn due(wheel: &mut DeadlineWheel, now: Time) -> Vec<Key> {
        std::iter::from_fn(|| wheel.expire(now)).map(|(key, _)| key).collect()
    }

    #[test]
    fn an_entry_comes_up_at_its_deadline_and_never_before() {
        let start = Time::BEGINNING;
        let mut wheel = DeadlineWheel::new(start);
        let key = Slots::with_capacity(1).insert(());
        for millis in [0, 1, 99, 100, 101, 5_000, 51_000] {
            let mut wheel_at = DeadlineWheel::new(start);
            let deadline = start + Duration::from_millis(millis);
            wheel_at.arm(key, deadline, Tick::NEVER);
            let next = wheel_at.next().unwrap();
            assert!(next >= deadline && next < deadline + TICK, "{millis}");
            let before = Time::from_nanos(next.as_nanos().saturating_sub(1));
            assert_eq!(due(&mut wheel_at, before.max(start)).len(), usize::from(millis == 0));
            assert_eq!(due(&mut wheel_at, next).len(), usize::from(millis != 0), "{millis}");
        }
        assert_eq!(wheel.next(), None);
        assert_eq!(due(&mut wheel, start + 1000 * SECOND), []);
    }

    #[test]
    fn a_later_deadline_moves_nothing_and_an_earlier_one_adds_an_entry() {
        let start = Time::BEGINNING;
        let mut wheel = DeadlineWheel::new(start);
        let key = Slots::with_capacity(1).insert(());
        let armed = wheel.arm(key, start + 10 * SECOND, Tick::NEVER);
        assert_eq!(wheel.arm(key, start + 20 * SECOND, armed), armed);
        let earlier = wheel.arm(key, start + 5 * SECOND, armed);
        assert!(earlier.is_by(armed) && !armed.is_by(earlier));
        assert_eq!(wheel.expire(start + 7 * SECOND), Some((key, earlier)));
        assert_eq!(wheel.expire(start + 7 * SECOND), None);
        assert_eq!(wheel.expire(start + 10 * SECOND), Some((key, armed)));
    }

    #[test]
    fn a_deadline_beyond_the_span_comes_up_early_enough_to_be_put_back() {
        let start = Time::BEGINNING;
        let mut wheel = DeadlineWheel::new(start);
        let key = Slots::with_capacity(1).insert(());
        let deadline = start + 3600 * SECOND;
        let mut asked = 0;
        let mut armed = wheel.arm(key, deadline, Tick::NEVER);
        while let Some(now) = wheel.next() {
            let (_, tick) = wheel.expire(now).unwrap();
            assert_eq!(tick, armed);
            asked += 1;
            if now >= deadline {
                break;
            }
            armed = wheel.arm(key, deadline, Tick::NEVER);
        }
        assert!((70..75).contains(&asked), "{asked}");
    }

    #[test]
    fn a_clock_that_jumps_brings_up_everything_once() {
        let start = Time::BEGINNING;
        let mut wheel = DeadlineWheel::new(start);
        let mut slots = Slots::with_capacity(100);
        for n in 0..100 {
            wheel.arm(slots.insert(()), start + n * SECOND / 2, Tick::NEVER);
        }
        let far = start + 30 * 24 * 3600 * SECOND;
        assert_eq!(due(&mut wheel, far).len(), 100);
        assert_eq!(wheel.next(), None);
        let key = slots.insert(());
        wheel.arm(key, far + SECOND, Tick::NEVER);
        assert_eq!(due(&mut wheel, far), []);
        assert_eq!(due(&mut wheel, far + 2 * SECOND), [key]);
    }

    #[test]
    fn what_is_armed_after_a_jump_of_the_clock_waits_from_then_on() {
        let start = Time::BEGINNING;
        let mut wheel = DeadlineWheel::new(start);
        let mut slots = Slots::with_capacity(3);
        let mut armed: Vec<_> = (1..=3)
            .map(|n| {
                let key = slots.insert(());
                (key, wheel.arm(key, start + n * SECOND, Tick::NEVER))
            })
            .collect();
        let far = start + 24 * 3600 * SECOND;
        let mut asked = 0;
        while wheel.next().is_some_and(|next| next <= far) {
            let (key, tick) = wheel.expire(far).unwrap();
            let entry = armed.iter_mut().find(|entry| **entry == (key, tick)).unwrap();
            entry.1 = wheel.arm(key, far + 5 * SECOND, Tick::NEVER);
            asked += 1;
        }
        assert_eq!(asked, 3);
        assert_eq!(due(&mut wheel, far + 4 * SECOND), []);
        assert_eq!(due(&mut wheel, far + 5 * SECOND + TICK).len(), 3);
    }
}
