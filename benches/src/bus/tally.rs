use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::load::{Fault, Latencies, Schedule, Stamp, no_latencies};

/// Counts arriving events, checks their order, and measures their latency if they have times.
#[derive(Debug)]
pub(crate) struct Tally {
    /// The expected sequence number of each publisher's next event.
    next: Vec<u32>,
    progress: Arc<Progress>,
    pace: Option<Pace>,
    latency: Latencies,
    /// The first event out of order.
    fault: Option<Fault>,
}

/// How many events of each publisher have arrived. Written by the consumer, read by other threads.
#[derive(Debug)]
pub(crate) struct Progress {
    arrived: Vec<Counter>,
}

/// A counter on cache lines of its own, so that reads of other counters do not slow the consumer.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counter(AtomicU32);

/// When each event is meant to be published: each publisher at a fixed rate, alternately.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    schedules: Vec<Schedule>,
    /// Events before this time belong to the warm-up.
    measured_from: Instant,
    /// How many events each publisher publishes.
    pub(crate) events: u32,
}

impl Tally {
    pub(crate) fn new(publishers: usize, pace: Option<Pace>) -> Self {
        let counters = std::iter::repeat_with(Counter::default).take(publishers);
        Self {
            next: vec![0; publishers],
            progress: Arc::new(Progress { arrived: counters.collect() }),
            pace,
            latency: no_latencies(),
            fault: None,
        }
    }

    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Counts an event that arrived.
    pub(crate) fn arrived(&mut self, stamp: Stamp) {
        let publisher = stamp.sender as usize;
        let Some(next) = self.next.get_mut(publisher) else {
            self.fault.get_or_insert(Fault::Unasked);
            return;
        };
        if stamp.sequence != *next {
            let expected = Stamp { sequence: *next, ..stamp };
            self.fault.get_or_insert(Fault::WrongMessage { expected, received: stamp });
        }
        *next = next.wrapping_add(1);
        self.progress.arrived[publisher].0.store(*next, Ordering::Release);
        if let Some(pace) = &self.pace {
            let intended = pace.time(publisher, stamp.sequence);
            if pace.is_measured(intended) {
                self.latency.saturating_record(nanoseconds(intended, Instant::now()));
            }
        }
    }

    /// The latency of each measured event from its intended time, if all came in order.
    pub(crate) fn finish(self) -> Result<Latencies, Error> {
        match self.fault {
            None => Ok(self.latency),
            Some(fault) => Err(Error::Events(fault.to_string())),
        }
    }
}

impl Progress {
    /// How many events of one publisher have arrived.
    pub(crate) fn of(&self, publisher: usize) -> u32 {
        self.arrived[publisher].0.load(Ordering::Acquire)
    }

    /// How many events have arrived.
    pub(crate) fn total(&self) -> u64 {
        (0..self.arrived.len()).map(|publisher| u64::from(self.of(publisher))).sum()
    }
}

impl Pace {
    /// `publishers` publishers with `per_second` events each, from `start` on.
    pub(crate) fn new(
        start: Instant,
        publishers: usize,
        per_second: f64,
        warm_up: Duration,
        measured: Duration,
    ) -> Self {
        let offset = |publisher: usize| {
            Duration::from_secs_f64(publisher as f64 / (publishers as f64 * per_second))
        };
        let schedule = |publisher| Schedule::new(start + offset(publisher), per_second);
        Self {
            schedules: (0..publishers).map(schedule).collect(),
            measured_from: start + warm_up,
            events: ((warm_up + measured).as_secs_f64() * per_second) as u32,
        }
    }

    /// When an event is meant to be published.
    pub(crate) fn time(&self, publisher: usize, sequence: u32) -> Instant {
        self.schedules[publisher].time(u64::from(sequence))
    }

    /// Whether an event at that time is measured.
    pub(crate) fn is_measured(&self, intended: Instant) -> bool {
        intended >= self.measured_from
    }
}

/// The time between two points in time, 0 if they are in the wrong order.
pub(crate) fn nanoseconds(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(sender: u32, sequence: u32) -> Stamp {
        Stamp { sender, sequence }
    }

    #[test]
    fn what_is_missing_or_out_of_order_is_noticed() {
        let finish = |stamps: &[Stamp]| {
            let mut tally = Tally::new(2, None);
            stamps.iter().for_each(|&stamp| tally.arrived(stamp));
            (tally.progress.total(), tally.finish().is_ok())
        };
        assert_eq!(finish(&[stamp(0, 0), stamp(1, 0), stamp(0, 1)]), (3, true));
        assert_eq!(finish(&[stamp(0, 0), stamp(0, 2)]), (2, false));
        assert_eq!(finish(&[stamp(0, 0), stamp(0, 0)]), (2, false));
        assert_eq!(finish(&[stamp(2, 0)]), (0, false));
    }

    #[test]
    fn publishers_take_turns_and_the_warm_up_does_not_count() {
        let start = Instant::now();
        let millis = Duration::from_millis;
        let pace = Pace::new(start, 2, 100.0, millis(20), millis(50));
        assert_eq!(pace.events, 7);
        assert_eq!(pace.time(0, 1), start + millis(10));
        assert_eq!(pace.time(1, 1), start + millis(15));
        assert!(!pace.is_measured(pace.time(1, 1)));
        assert!(pace.is_measured(pace.time(0, 2)));
    }
}
