//! Times of a monotonic clock.

use std::fmt;
use std::ops::{Add, AddAssign};
use std::time::Duration;

/// A time on a monotonic clock, in nanoseconds since the beginning of that clock.
///
/// It has eight bytes, because every connection stores several, and is cheap to compare and
/// subtract. Its range is 584 years. Times of different clocks cannot be compared.
///
/// ```
/// use std::time::{Duration, Instant};
/// use eventwire::Time;
///
/// let beginning = Instant::now();
/// let now = Time::from_beginning(beginning.elapsed());
/// assert!(now + Duration::from_secs(1) > now);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The clock's beginning.
    pub const BEGINNING: Self = Self(0);

    /// The last time that the clock can represent. It is never reached.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// The time `elapsed` after the clock's beginning, or the last time of the clock if that is
    /// beyond its range.
    #[inline]
    #[must_use]
    pub fn from_beginning(elapsed: Duration) -> Self {
        u64::try_from(elapsed.as_nanos()).map_or(Self::NEVER, Self)
    }

    /// The time that passed since the clock's beginning.
    #[must_use]
    pub const fn since_beginning(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// The time that passed since `earlier`, or zero if that is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The time `after` this one, or `None` if that is beyond the range of the clock.
    #[must_use]
    pub fn checked_add(self, after: Duration) -> Option<Self> {
        let nanos = after.as_secs().checked_mul(1_000_000_000)?;
        let nanos = nanos.checked_add(u64::from(after.subsec_nanos()))?;
        self.0.checked_add(nanos).map(Self)
    }

    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(crate) const fn as_nanos(self) -> u64 {
        self.0
    }
}

/// Saturates at the last time of the clock.
impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, after: Duration) -> Self {
        self.checked_add(after).unwrap_or(Self::NEVER)
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, after: Duration) {
        *self = *self + after;
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.since_beginning().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_end_where_the_clock_does() {
        let time = Time::from_beginning(Duration::new(3, 5));
        assert_eq!(time.as_nanos(), 3_000_000_005);
        assert_eq!(time.checked_add(Duration::MAX), None);
        assert_eq!(time.checked_add(Duration::from_secs(u64::MAX / 1_000_000_000)), None);
        assert_eq!(time + Duration::MAX, Time::from_nanos(u64::MAX));
        assert_eq!(time.checked_add(Duration::ZERO), Some(time));
    }

    #[test]
    fn nothing_has_passed_since_a_later_moment() {
        let later = Time::BEGINNING + Duration::from_secs(1);
        assert_eq!(later.since(Time::BEGINNING), Duration::from_secs(1));
        assert_eq!(Time::BEGINNING.since(later), Duration::ZERO);
    }
}
