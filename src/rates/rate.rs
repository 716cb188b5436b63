//! A number of something over time.

use std::time::Duration;

use crate::time::Time;

const SECOND_NANOS: u64 = 1_000_000_000;

/// How much of a rate a connection waits for before it is read from again. Waiting for each
/// message by itself would wake the loop for each, and bytes would be received one at a time.
const REFILL: Duration = Duration::from_millis(50);

/// How much of something is allowed over time, such as messages: so many a second or a minute,
/// and so many at once.
///
/// ```
/// use eventwire::Rate;
///
/// let messages = Rate::per_second(20).burst(100);
/// let connections = Rate::per_minute(30);
/// # assert_ne!(messages, connections);
/// ```
///
/// A client that has been quiet may use the burst at once. From then on it is refilled evenly at
/// the rate, up to the burst again. A rate or a burst of zero allows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u64,
    /// Never zero.
    period_nanos: u64,
    burst: u64,
}

impl Rate {
    /// So many a second, and as many at once.
    #[must_use]
    pub const fn per_second(count: u64) -> Self {
        Self { count, period_nanos: SECOND_NANOS, burst: count }
    }

    /// So many a minute, and as many at once.
    #[must_use]
    pub const fn per_minute(count: u64) -> Self {
        Self { count, period_nanos: 60 * SECOND_NANOS, burst: count }
    }

    /// Sets how many are allowed at once. Default: what the rate allows in its second or minute.
    #[must_use]
    pub const fn burst(mut self, count: u64) -> Self {
        self.burst = count;
        self
    }

    /// What a full bucket holds, in units: one of what is counted has as many units as the period
    /// has nanoseconds, so that each nanosecond refills a whole number of them.
    pub(super) const fn capacity_units(&self) -> u128 {
        if self.count == 0 { 0 } else { self.units(self.burst) }
    }

    /// The units of `count`.
    pub(super) const fn units(&self, count: u64) -> u128 {
        // The product of two numbers of 64 bits has 128.
        count as u128 * self.period_nanos as u128
    }

    /// How many whole ones the units are, up to the burst.
    pub(super) fn whole(&self, units: u128) -> u64 {
        let whole = units / u128::from(self.period_nanos);
        u64::try_from(whole).unwrap_or(u64::MAX)
    }

    /// The units that are refilled between two times.
    pub(super) const fn refilled_units(&self, from: Time, to: Time) -> u128 {
        let nanos = to.as_nanos().saturating_sub(from.as_nanos());
        nanos as u128 * self.count as u128
    }

    /// When that many units are refilled from `now` on. `None` if never.
    pub(super) fn refill_time(&self, units: u128, now: Time) -> Option<Time> {
        if units == 0 {
            return Some(now);
        }
        if self.count == 0 {
            return None;
        }
        let nanos = units.div_ceil(u128::from(self.count));
        let nanos = u64::try_from(nanos).ok()?;
        now.checked_add(Duration::from_nanos(nanos))
    }

    /// How long it takes to refill `count`. `None` if it never is.
    pub(super) fn time_for(&self, count: u64) -> Option<Duration> {
        let time = self.refill_time(self.units(count), Time::BEGINNING)?;
        Some(time.since_beginning())
    }

    /// What a paused connection waits for: a twentieth of a second's worth, but no more than the
    /// burst, and at least one.
    pub(super) fn refill(&self) -> u64 {
        let units = self.refilled_units(Time::BEGINNING, Time::from_beginning(REFILL));
        self.whole(units).min(self.burst).max(1)
    }
}
