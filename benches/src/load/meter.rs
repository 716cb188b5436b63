use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::machine::CpuClock;

/// Measures one run: nothing during the warm-up, then everything for a fixed time. The time is
/// extended by itself until a message that was sent in it has arrived.
#[derive(Debug)]
pub(crate) struct Meter {
    /// When warming up ends.
    warm: Instant,
    duration: Duration,
    /// The measured time, once it has begun.
    window: Option<Window>,
    latency: Latencies,
    last_receiver: Latencies,
    late: Latencies,
    answered: u64,
    unanswered: u64,
    server_cpu: CpuMeter,
    load_cpu: CpuMeter,
}

/// The result of one run.
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    /// The measured time.
    pub(crate) time: Duration,
    /// Messages that arrived in that time.
    pub(crate) answered: u64,
    /// Messages that were due in that time and unanswered when the run was abandoned. The histogram
    /// contains them with the time that they had waited by then.
    pub(crate) unanswered: u64,
    /// The latency of all messages sent in that time, from the (intended) send time to the arrival.
    pub(crate) latency: Latencies,
    /// The same for the last receiver of each broadcast. Empty for echoes.
    pub(crate) last_receiver: Latencies,
    /// How late messages left, because the load was late or the connection was full. Empty in a
    /// closed loop.
    pub(crate) late: Latencies,
    /// CPU time of the server's thread, if it belongs to this process.
    pub(crate) server_cpu: Option<Duration>,
    /// CPU time of the load's thread.
    pub(crate) load_cpu: Option<Duration>,
}

/// An HDR histogram of nanoseconds with three significant digits, up to ten minutes.
pub(crate) type Latencies = Histogram<u64>;

const LONGEST: Duration = Duration::from_secs(600);

/// An empty histogram.
pub(crate) fn no_latencies() -> Latencies {
    Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 3).expect("the bounds are valid")
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
    /// Begins the warm-up. `server` is the server's thread, if its CPU time can be read.
    pub(crate) fn begin(warm_up: Duration, duration: Duration, server: Option<&CpuClock>) -> Self {
        Self {
            warm: Instant::now() + warm_up,
            duration,
            window: None,
            latency: no_latencies(),
            last_receiver: no_latencies(),
            late: no_latencies(),
            answered: 0,
            unanswered: 0,
            server_cpu: CpuMeter::new(server.cloned()),
            load_cpu: CpuMeter::new(Some(CpuClock::of_thread())),
        }
    }

    /// Begins and ends the measured time, and returns whether it is over. Call this once per turn.
    pub(crate) fn is_over(&mut self, now: Instant) -> bool {
        let Some(window) = &mut self.window else {
            if now >= self.warm {
                self.server_cpu.start();
                self.load_cpu.start();
                // Exclude the time that reading the CPU times took.
                let start = Instant::now();
                let end = start + self.duration;
                self.window = Some(Window { start, end, closed: None });
            }
            return false;
        };
        // If the machine is so slow that no message was answered, go on. Another time limit ends
        // the run if the server is silent.
        if now >= window.end && self.latency.is_empty() && window.closed.is_none() {
            window.end = now + self.duration;
        }
        if now < window.end {
            return false;
        }
        window.closed.get_or_insert(now);
        self.server_cpu.stop();
        self.load_cpu.stop();
        true
    }

    /// Records the arrival of a message that was due at `intended`.
    pub(crate) fn arrived(&mut self, intended: Instant, now: Instant) {
        let Some(window) = self.window else {
            return;
        };
        if window.closed.is_none() {
            self.answered += 1;
        }
        if window.contains(intended) {
            self.latency.saturating_record(nanoseconds(intended, now));
        }
    }

    /// Records the arrival of a broadcast that was due at `intended` at its last receiver.
    pub(crate) fn arrived_everywhere(&mut self, intended: Instant, now: Instant) {
        if self.window.is_some_and(|window| window.contains(intended)) {
            self.last_receiver.saturating_record(nanoseconds(intended, now));
        }
    }

    /// Records the sending of a message that was due at `intended`.
    pub(crate) fn left(&mut self, intended: Instant, now: Instant) {
        if self.window.is_some_and(|window| window.contains(intended)) {
            self.late.saturating_record(nanoseconds(intended, now));
        }
    }

    /// Records that the run was abandoned before a message that was due at `intended` was answered.
    pub(crate) fn gave_up(&mut self, intended: Instant, now: Instant) {
        if self.window.is_some_and(|window| window.contains(intended)) {
            self.unanswered += 1;
            self.latency.saturating_record(nanoseconds(intended, now));
        }
    }

    /// When the measured time is meant to end, once it has begun.
    pub(crate) fn end(&self) -> Option<Instant> {
        self.window.map(|window| window.end)
    }

    /// The result.
    pub(crate) fn finish(self) -> Measurement {
        Measurement {
            time: self.window.map_or(self.duration, Window::length),
            answered: self.answered,
            unanswered: self.unanswered,
            latency: self.latency,
            last_receiver: self.last_receiver,
            late: self.late,
            server_cpu: self.server_cpu.used,
            load_cpu: self.load_cpu.used,
        }
    }
}

impl Window {
    fn contains(&self, moment: Instant) -> bool {
        self.start <= moment && self.closed.is_none_or(|closed| moment < closed)
    }

    fn length(self) -> Duration {
        self.closed.unwrap_or(self.end) - self.start
    }
}

/// The CPU time of one thread during the measured time.
#[derive(Debug)]
struct CpuMeter {
    thread: Option<CpuClock>,
    before: Option<Duration>,
    used: Option<Duration>,
}

impl CpuMeter {
    fn new(thread: Option<CpuClock>) -> Self {
        Self { thread, before: None, used: None }
    }

    fn start(&mut self) {
        self.before = self.time();
    }

    /// Only the first call counts.
    fn stop(&mut self) {
        if self.used.is_none() {
            let used = self.time().zip(self.before);
            self.used = used.map(|(now, before)| now.saturating_sub(before));
        }
    }

    fn time(&self) -> Option<Duration> {
        self.thread.as_ref().and_then(CpuClock::time)
    }
}

fn nanoseconds(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX)
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
        assert_eq!((measured.answered, measured.time), (1, duration * 3));
        assert_eq!(measured.latency.len(), 2);
    }
}
