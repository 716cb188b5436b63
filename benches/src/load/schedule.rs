use std::time::{Duration, Instant};

/// The intended send times of an open loop's messages: message 0 at the start, the others at equal
/// intervals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    start: Instant,
    per_second: f64,
}

/// How long one wait may take, so that time limits are noticed.
pub(super) const WAIT_MAX: Duration = Duration::from_millis(100);

impl Schedule {
    pub(crate) fn new(start: Instant, per_second: f64) -> Self {
        Self { start, per_second }
    }

    /// How many messages are due by `now`.
    pub(crate) fn due(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start).as_secs_f64();
        (elapsed * self.per_second) as u64 + 1
    }

    /// The intended send time of message `index`.
    pub(crate) fn time(&self, index: u64) -> Instant {
        self.start + Duration::from_secs_f64(index as f64 / self.per_second)
    }

    /// How long to wait so that message `next` leaves in time. The kernel's wait counts in whole
    /// milliseconds and ends late, so the last of them is not slept through.
    pub(super) fn pause(&self, next: u64, now: Instant) -> Duration {
        let left = self.time(next).saturating_duration_since(now).as_millis() as u64;
        Duration::from_millis(left.saturating_sub(1)).min(WAIT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_at_their_times_and_waits_end_before() {
        let start = Instant::now();
        let after = |micros| start + Duration::from_micros(micros);
        let schedule = Schedule::new(start, 100.0);
        for (micros, due) in [(0, 1), (9_999, 1), (25_000, 3)] {
            assert_eq!(schedule.due(after(micros)), due);
        }
        assert_eq!(schedule.time(5), after(50_000));
        for (next, micros, pause) in [(1, 0, 9), (1, 9_000, 0), (1, 1_000_000, 0), (1000, 0, 100)] {
            assert_eq!(schedule.pause(next, after(micros)), Duration::from_millis(pause));
        }
    }
}
