//! A histogram of durations with buckets of relative width: small, and equally precise for all
//! magnitudes.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The number of buckets for each doubling of the duration, as a power of two. With eight buckets,
/// a duration is known to an eighth.
const PRECISION_BITS: u32 = 3;

/// Durations from 2^37 ns on, more than two minutes, share the last bucket.
const DOUBLINGS: u32 = 37;

const BUCKETS: usize = ((DOUBLINGS - PRECISION_BITS + 1) << PRECISION_BITS) as usize;

/// Counts of durations, in buckets that are an eighth of their duration wide.
///
/// ```
/// use eventwire::{Config, EventLoop};
///
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
/// let turns = event_loop.stats().turn_time;
/// println!("{} turns, half of them up to {:?}", turns.count(), turns.percentile(50.0));
/// # Ok::<(), eventwire::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    max: u64,
    sum: u64,
}

impl Histogram {
    /// How many durations were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The longest recorded duration, exactly, or zero if there is none.
    #[must_use]
    pub const fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The sum of all recorded durations, exactly.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum)
    }

    /// How many durations were shorter than `nanos`, a power of two, where a bucket begins.
    pub(crate) fn count_below(&self, nanos: u64) -> u64 {
        self.counts[..bucket_of(nanos)].iter().sum()
    }

    /// The duration that `percent` of the recorded ones do not exceed, to an eighth. Zero if none
    /// was recorded.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Duration {
        let share = (percent / 100.0).clamp(0.0, 1.0);
        let wanted = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(highest(bucket).min(self.max));
            }
        }
        Duration::ZERO
    }

    /// The buckets that are not empty, in ascending order: the longest duration and the count of
    /// each.
    pub fn iter(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let counted = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        counted.map(|(bucket, count)| (Duration::from_nanos(highest(bucket).min(self.max)), *count))
    }

    /// The durations that were recorded since `earlier`, an earlier snapshot of the same histogram.
    /// The longest duration remains that of all durations.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts.clone();
        for (count, before) in counts.iter_mut().zip(earlier.counts.iter()) {
            *count = count.saturating_sub(*before);
        }
        Self { counts, max: self.max, sum: self.sum.saturating_sub(earlier.sum) }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), max: 0, sum: 0 }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("p50", &self.percentile(50.0))
            .field("p99", &self.percentile(99.0))
            .field("max", &self.max())
            .finish()
    }
}

/// A histogram that one thread writes and other threads read.
#[derive(Debug)]
pub(crate) struct SharedHistogram {
    counts: [AtomicU64; BUCKETS],
    max: AtomicU64,
    /// In nanoseconds, enough for 584 years.
    sum: AtomicU64,
}

impl Default for SharedHistogram {
    fn default() -> Self {
        let counts = [const { AtomicU64::new(0) }; BUCKETS];
        Self { counts, max: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }
}

impl SharedHistogram {
    /// Records a duration. Only one thread may call it, so that no addition needs to be atomic.
    #[inline]
    pub(crate) fn record(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let count = &self.counts[bucket_of(nanos)];
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let sum = self.sum.load(Ordering::Relaxed).saturating_add(nanos);
        self.sum.store(sum, Ordering::Relaxed);
        if nanos > self.max.load(Ordering::Relaxed) {
            self.max.store(nanos, Ordering::Relaxed);
        }
    }

    pub(crate) fn snapshot(&self) -> Histogram {
        let mut snapshot = Histogram::default();
        for (count, shared) in snapshot.counts.iter_mut().zip(&self.counts) {
            *count = shared.load(Ordering::Relaxed);
        }
        snapshot.max = self.max.load(Ordering::Relaxed);
        snapshot.sum = self.sum.load(Ordering::Relaxed);
        snapshot
    }
}

/// The bucket of a duration. Durations below 8 ns have a bucket each; above, the three bits after
/// the highest one choose the bucket within the doubling.
#[inline]
const fn bucket_of(nanos: u64) -> usize {
    if nanos >> PRECISION_BITS == 0 {
        return nanos as usize;
    }
    let doubling = nanos.ilog2();
    if doubling >= DOUBLINGS {
        return BUCKETS - 1;
    }
    let shift = doubling - PRECISION_BITS;
    (((shift + 1) << PRECISION_BITS) as u64 + ((nanos >> shift) & ((1 << PRECISION_BITS) - 1)))
        as usize
}

/// The longest duration of a bucket, in nanoseconds.
const fn highest(bucket: usize) -> u64 {
    if bucket == BUCKETS - 1 {
        return u64::MAX;
    }
    let (group, step) =
        (bucket as u64 >> PRECISION_BITS, bucket as u64 & ((1 << PRECISION_BITS) - 1));
    if group == 0 {
        return step;
    }
    let shift = group - 1;
    (((1 << PRECISION_BITS) + step + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_one_another_without_a_gap() {
        let mut next = 0;
        for bucket in 0..BUCKETS - 1 {
            assert_eq!(bucket_of(next), bucket);
            assert_eq!(bucket_of(highest(bucket)), bucket);
            next = highest(bucket) + 1;
        }
        assert_eq!(bucket_of(next), BUCKETS - 1);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn an_empty_histogram_has_no_times() {
        let histogram = Histogram::default();
        assert_eq!((histogram.count(), histogram.max()), (0, Duration::ZERO));
        assert_eq!(histogram.percentile(99.0), Duration::ZERO);
        assert_eq!(histogram.iter().count(), 0);
    }

    #[test]
    fn a_difference_has_what_came_between() {
        let shared = SharedHistogram::default();
        shared.record(Duration::from_nanos(100));
        let earlier = shared.snapshot();
        shared.record(Duration::from_micros(100));
        let between = shared.snapshot().since(&earlier);
        assert_eq!(between.count(), 1);
        assert_eq!(between.percentile(1.0), Duration::from_micros(100));
    }

    proptest! {
        #[test]
        fn percentiles_are_right_to_an_eighth(
            mut times in prop::collection::vec(0_u64..1 << 36, 1..200),
        ) {
            let shared = SharedHistogram::default();
            for nanos in &times {
                shared.record(Duration::from_nanos(*nanos));
            }
            times.sort_unstable();
            let histogram = shared.snapshot();
            prop_assert_eq!(histogram.count(), times.len() as u64);
            prop_assert_eq!(histogram.sum(), Duration::from_nanos(times.iter().sum()));
            prop_assert_eq!(histogram.max(), Duration::from_nanos(times[times.len() - 1]));
            for percent in [0.0, 1.0, 50.0, 99.0, 100.0] {
                let rank = (times.len() as f64 * percent / 100.0).ceil().max(1.0) as usize;
                let exact = times[rank - 1];
                let told = histogram.percentile(percent).as_nanos() as u64;
                prop_assert!(told >= exact && told <= exact + exact / 8, "{} {}", exact, told);
            }
        }
    }
}
