//! Counts events where they arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::load::{Fault, Latencies, Schedule, Stamp, no_latencies};

/// The time for threads to start before the first event is due.
const HEAD_START: Duration = Duration::from_millis(20);

/// Counts arriving events, checks their order, and measures their latency if they have times.
#[derive(Debug)]
pub(super) struct Tally {
    /// The expected sequence number of each thread's next event.
    next: Vec<u32>,
    progress: Arc<Progress>,
    pace: Option<Pace>,
    latency: Latencies,
    /// The first event out of order.
    fault: Option<Fault>,
}

/// How many events of each thread have arrived. Written by the consumer, read by other threads.
#[derive(Debug)]
pub(super) struct Progress(Vec<Counter>);

/// A counter on cache lines of its own, so that reads of other counters do not slow the consumer.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counter(AtomicU32);

/// When each event is meant to be published: the threads take turns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    schedule: Schedule,
    threads: usize,
    /// Events before this time belong to the warm-up.
    pub(super) measured_from: Instant,
}

impl Tally {
    pub(super) fn new(threads: usize, pace: Option<Pace>) -> Self {
        let counters = std::iter::repeat_with(Counter::default).take(threads);
        Self {
            next: vec![0; threads],
            progress: Arc::new(Progress(counters.collect())),
            pace,
            latency: no_latencies(),
            fault: None,
        }
    }

    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Counts an event that arrived.
    pub(super) fn arrived(&mut self, stamp: Stamp) {
        let Some(next) = self.next.get_mut(stamp.sender as usize) else {
            self.fault.get_or_insert(Fault::Unasked);
            return;
        };
        if stamp.sequence != *next {
            let expected = Stamp { sequence: *next, ..stamp };
            self.fault.get_or_insert(Fault::WrongMessage { expected, received: stamp });
        }
        *next = next.wrapping_add(1);
        self.progress.0[stamp.sender as usize].0.store(*next, Ordering::Release);
        if let Some(pace) = &self.pace {
            let intended = pace.time(stamp);
            if intended >= pace.measured_from {
                let latency = Instant::now().saturating_duration_since(intended);
                self.latency.saturating_record(latency.as_nanos() as u64);
            }
        }
    }

    /// The latency of each measured event from its intended time, if all came in order.
    pub(super) fn finish(self) -> Result<Latencies, Error> {
        match self.fault {
            None => Ok(self.latency),
            Some(fault) => Err(Error::Events(fault.to_string())),
        }
    }
}

impl Progress {
    /// How many events of one thread have arrived.
    pub(super) fn of(&self, sender: u32) -> u32 {
        self.0[sender as usize].0.load(Ordering::Acquire)
    }

    /// How many events have arrived.
    pub(super) fn total(&self) -> u64 {
        (0..self.0.len()).map(|sender| u64::from(self.of(sender as u32))).sum()
    }
}

impl Pace {
    /// Each thread publishes `rate` events per second, soon.
    pub(super) fn new(threads: usize, rate: f64, warm_up: Duration) -> Self {
        let first = Instant::now() + HEAD_START;
        let schedule = Schedule::new(first, rate * threads as f64);
        Self { schedule, threads, measured_from: first + warm_up }
    }

    /// When an event is meant to be published.
    pub(super) fn time(&self, stamp: Stamp) -> Instant {
        let turn = u64::from(stamp.sequence) * self.threads as u64;
        self.schedule.time(turn + u64::from(stamp.sender))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_out_of_order_is_noticed() {
        let is_right = |stamps: &[(u32, u32)]| {
            let mut tally = Tally::new(2, None);
            stamps.iter().for_each(|&(sender, sequence)| tally.arrived(Stamp { sender, sequence }));
            tally.finish().is_ok()
        };
        assert!(is_right(&[(0, 0), (1, 0), (0, 1)]));
        assert!(!is_right(&[(0, 0), (0, 2)]));
        assert!(!is_right(&[(0, 0), (0, 0)]));
        assert!(!is_right(&[(2, 0)]));
    }
}
