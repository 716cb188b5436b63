use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::machine::CpuClock;

/// The result of one run.
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    /// The measured time.
    pub(crate) time: Duration,
    /// Messages, deliveries or handshakes in that time.
    pub(crate) count: u64,
    /// Messages that were due in that time and unanswered when the run was abandoned. The latencies
    /// contain them with the time that they had waited by then. In a storm, the failed connections.
    pub(crate) unanswered: u64,
    /// The latency of all messages sent in that time, from the (intended) send time to the arrival.
    pub(crate) latency: Latencies,
    /// The same for the last receiver of each broadcast. Empty for echoes.
    pub(crate) last_receiver: Latencies,
    /// Round trips beside broadcasts.
    pub(crate) bystander: Latencies,
    /// How late messages left, because the load was late or the connection was full. Empty in a
    /// closed loop.
    pub(crate) late: Latencies,
    /// CPU time of the server, if it can be read.
    pub(crate) server_cpu: Option<Duration>,
    /// CPU time of the load's thread.
    pub(crate) load_cpu: Option<Duration>,
    /// The server's memory for each idle connection, if it can be read.
    pub(crate) bytes_per_connection: Option<f64>,
}

/// An HDR histogram of nanoseconds with three significant digits, up to ten minutes.
pub(crate) type Latencies = Histogram<u64>;

const LONGEST: Duration = Duration::from_secs(600);

/// An empty histogram.
pub(crate) fn no_latencies() -> Latencies {
    Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 3).expect("the bounds are valid")
}

/// Measures one run: nothing during the warm-up, then everything for a fixed time. The time is
/// extended by itself until a message that was sent in it has arrived.
#[derive(Debug)]
pub(crate) struct Meter {
    /// When warming up ends.
    warm: Instant,
    duration: Duration,
    /// The measured time, once it has begun.
    window: Option<Window>,
    /// The server and the load.
    clocks: [Option<CpuClock>; 2],
    /// Their times before the measured time.
    before: [Option<Duration>; 2],
    /// The figures so far.
    measured: Measurement,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    start: Instant,
    /// When it is meant to end.
    end: Instant,
    /// When its end was noticed. Messages that arrived until then count, because the CPU times
    /// include them, too.
    closed: Option<Instant>,
}

impl Meter {
    /// Begins the warm-up.
    pub(crate) fn begin(warm_up: Duration, duration: Duration, server: Option<CpuClock>) -> Self {
        let measured = Measurement {
            time: Duration::ZERO,
            count: 0,
            unanswered: 0,
            latency: no_latencies(),
            last_receiver: no_latencies(),
            bystander: no_latencies(),
            late: no_latencies(),
            server_cpu: None,
            load_cpu: None,
            bytes_per_connection: None,
        };
        let clocks = [server, Some(CpuClock::of_thread())];
        let warm = Instant::now() + warm_up;
        Self { warm, duration, window: None, clocks, before: [None; 2], measured }
    }

    /// Begins and ends the measured time, and returns whether it is over. Call this once per turn.
    pub(crate) fn is_over(&mut self, now: Instant) -> bool {
        let Some(window) = &mut self.window else {
            if now >= self.warm {
                self.before = self.cpu_times();
                // Exclude the time that reading the CPU times took.
                let start = Instant::now();
                self.window = Some(Window { start, end: start + self.duration, closed: None });
            }
            return false;
        };
        if window.closed.is_some() {
            return true;
        }
        // If the machine is so slow that no message was answered, go on. Another time limit ends
        // the run if the server is silent.
        if now >= window.end && self.measured.latency.is_empty() {
            window.end = now + self.duration;
        }
        if now < window.end {
            return false;
        }
        self.close(now);
        true
    }

    /// Ends the measured time.
    pub(crate) fn close(&mut self, now: Instant) {
        let after = self.cpu_times();
        if let Some(window) = &mut self.window {
            window.closed = Some(now);
            let used = |clock: usize| Some(after[clock]?.saturating_sub(self.before[clock]?));
            (self.measured.server_cpu, self.measured.load_cpu) = (used(0), used(1));
            self.measured.time = now - window.start;
        }
    }

    /// Counts an arrival.
    pub(super) fn count(&mut self) {
        let counts = self.window.as_ref().is_some_and(|window| window.closed.is_none());
        self.measured.count += u64::from(counts);
    }

    /// Counts the arrival of what was due at `intended`, and records its latency.
    pub(crate) fn arrived(&mut self, intended: Instant, now: Instant) {
        self.count();
        self.record(intended, now, |measured| &mut measured.latency);
    }

    /// Records the arrival of a broadcast at its last receiver.
    pub(super) fn arrived_everywhere(&mut self, intended: Instant, now: Instant) {
        self.record(intended, now, |measured| &mut measured.last_receiver);
    }

    /// Records the sending of a message.
    pub(super) fn left(&mut self, intended: Instant, now: Instant) {
        self.record(intended, now, |measured| &mut measured.late);
    }

    /// Records that the run was abandoned before a message was answered.
    pub(super) fn gave_up(&mut self, intended: Instant, now: Instant) {
        if self.window.is_some_and(|window| window.contains(intended)) {
            self.measured.unanswered += 1;
            self.record(intended, now, |measured| &mut measured.latency);
        }
    }

    fn record(
        &mut self,
        intended: Instant,
        now: Instant,
        latencies: impl FnOnce(&mut Measurement) -> &mut Latencies,
    ) {
        if self.window.is_some_and(|window| window.contains(intended)) {
            let waited = now.saturating_duration_since(intended).as_nanos();
            latencies(&mut self.measured).saturating_record(waited as u64);
        }
    }

    /// When the measured time is meant to end, once it has begun.
    pub(super) fn end(&self) -> Option<Instant> {
        self.window.map(|window| window.end)
    }

    /// The result.
    pub(crate) fn finish(self) -> Measurement {
        self.measured
    }

    fn cpu_times(&self) -> [Option<Duration>; 2] {
        self.clocks.each_ref().map(|clock| clock.as_ref()?.time())
    }
}

impl Window {
    fn contains(&self, moment: Instant) -> bool {
        self.start <= moment && self.closed.is_none_or(|closed| moment < closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_time_ends_when_somebody_looks() {
        let duration = Duration::from_millis(10);
        let mut meter = Meter::begin(Duration::ZERO, duration, None);
        assert!(!meter.is_over(Instant::now()));
        let start = meter.end().unwrap() - duration;
        let late = start + duration * 3;
        meter.arrived(start, start + duration * 2);
        assert!(meter.is_over(late));
        meter.arrived(start, late);
        meter.arrived(late, late + duration);
        let measured = meter.finish();
        assert_eq!((measured.count, measured.time), (1, duration * 3));
        assert_eq!(measured.latency.len(), 2);
    }
}
