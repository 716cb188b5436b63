use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Batches;
use crate::load::{Latencies, no_latencies};

/// Measures the jobs that come back, after a warm-up.
#[derive(Debug)]
pub(crate) struct Clock {
    from: Instant,
    until: Instant,
    /// When the last job came back.
    last: Instant,
    trips: Latencies,
    jobs: u64,
    calls: Arc<AtomicU64>,
    /// The calls before the first measured job.
    calls_before: Option<u64>,
}

impl Clock {
    /// Measures for this long, after the warm-up.
    pub(crate) fn start(warm_up: Duration, measured: Duration) -> Self {
        let from = Instant::now() + warm_up;
        Self {
            from,
            until: from + measured,
            last: from,
            trips: no_latencies(),
            jobs: 0,
            calls: Arc::default(),
            calls_before: None,
        }
    }

    /// Counts the batches that the worker is called with.
    pub(crate) fn calls(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.calls)
    }

    /// Counts a job that was submitted then and has come back. Returns the present time if a
    /// further job follows.
    pub(crate) fn came_back(&mut self, submitted: Instant) -> Option<Instant> {
        let now = Instant::now();
        self.last = now;
        if submitted >= self.from {
            let calls = self.calls.load(Ordering::Relaxed);
            self.calls_before.get_or_insert(calls);
            self.jobs += 1;
            self.trips.saturating_record((now - submitted).as_nanos() as u64);
        }
        // A thread may not get the processor for all of the time.
        (now < self.until || self.jobs == 0).then_some(now)
    }

    pub(crate) fn trips(self) -> Latencies {
        self.trips
    }

    pub(crate) fn batches(&self) -> Batches {
        let calls = self.calls.load(Ordering::Relaxed) - self.calls_before.unwrap_or(0);
        Batches {
            jobs_per_second: self.jobs as f64 / (self.last - self.from).as_secs_f64(),
            jobs_per_batch: self.jobs as f64 / calls.max(1) as f64,
        }
    }
}
