//! Times, counted in buckets whose width grows with the time: small, and good for any magnitude.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets for each doubling of the time, as a power of two: a time is known to one part in eight.
const FINENESS: u32 = 3;

/// Times from 2^37 ns on, more than two minutes, share the last bucket.
const DOUBLINGS: u32 = 37;

const BUCKETS: usize = ((DOUBLINGS - FINENESS + 1) << FINENESS) as usize;

/// How often something took how long, in buckets that are an eighth of their time wide.
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
    /// How many times were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The longest time that was recorded, exactly; zero if none was.
    #[must_use]
    pub const fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// All times that were recorded together, exactly.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum)
    }

    /// How many times were shorter than that, a power of two: a bucket ends there.
    pub(crate) fn count_below(&self, nanos: u64) -> u64 {
        self.counts[..bucket_of(nanos)].iter().sum()
    }

    /// The time that `percent` of all were no longer than, to an eighth; zero if none was recorded.
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

    /// The buckets that are not empty, the shortest times first: the longest time of each, and how
    /// many there were.
    pub fn iter(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let counted = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        counted.map(|(bucket, count)| (Duration::from_nanos(highest(bucket).min(self.max)), *count))
    }

    /// What was recorded since `earlier`, a former snapshot of the same. Its longest time is that
    /// of all times.
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

/// A histogram that one thread writes and others read.
#[derive(Debug)]
pub(crate) struct SharedHistogram {
    counts: [AtomicU64; BUCKETS],
    max: AtomicU64,
    /// In nanoseconds, which lasts for 584 years.
    sum: AtomicU64,
}

impl Default for SharedHistogram {
    fn default() -> Self {
        let counts = [const { AtomicU64::new(0) }; BUCKETS];
        Self { counts, max: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }
}

impl SharedHistogram {
    /// Counts a time. Only ever called by one thread, so that no addition needs to be atomic.
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

/// Times below `2^FINENESS` have a bucket each; above, the bits after the first one choose.
#[inline]
const fn bucket_of(nanos: u64) -> usize {
    if nanos >> FINENESS == 0 {
        return nanos as usize;
    }
    let doubling = nanos.ilog2();
    if doubling >= DOUBLINGS {
        return BUCKETS - 1;
    }
    let shift = doubling - FINENESS;
    (((shift + 1) << FINENESS) as u64 + ((nanos >> shift) & ((1 << FINENESS) - 1))) as usize
}

/// The longest time of a bucket, in nanoseconds.
const fn highest(bucket: usize) -> u64 {
    if bucket == BUCKETS - 1 {
        return u64::MAX;
    }
    let (group, step) = (bucket as u64 >> FINENESS, bucket as u64 & ((1 << FINENESS) - 1));
    if group == 0 {
        return step;
    }
    let shift = group - 1;
    (((1 << FINENESS) + step + 1) << shift) - 1
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
