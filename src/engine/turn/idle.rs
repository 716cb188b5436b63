//! Decides how long to spin before sleeping, based on how soon work arrived so far.

use std::time::Duration;

use crate::config::Idle;
use crate::time::Time;

/// If a poll took longer than this, the thread was preempted: other threads need the processor.
pub(crate) const PREEMPTED: Duration = Duration::from_micros(200);

/// How long not to spin after a preemption.
const REST: Duration = Duration::from_millis(10);

/// A sleep shorter than this was not worth its cost.
const SHORT_SLEEP: Duration = Duration::from_micros(50);

/// The minimum budget after a short sleep. With less than this, the loop does not spin.
const FLOOR: Duration = Duration::from_micros(10);

/// Decides between spinning and sleeping.
#[derive(Debug)]
pub(crate) struct IdleStrategy {
    idle: Idle,
    /// How long to spin at most, if adaptive.
    budget: Duration,
    /// The loop does not spin before this time.
    resting_until: Option<Time>,
}

impl IdleStrategy {
    pub(crate) const fn new(idle: Idle) -> Self {
        let budget = match idle {
            Idle::Adaptive { spin_max } => spin_max,
            Idle::Block | Idle::Busy => Duration::ZERO,
        };
        Self { idle, budget, resting_until: None }
    }

    /// Whether the loop never sleeps.
    pub(crate) const fn is_busy(&self) -> bool {
        matches!(self.idle, Idle::Busy)
    }

    /// Whether the loop sleeps without spinning.
    pub(crate) const fn blocks(&self) -> bool {
        matches!(self.idle, Idle::Block)
    }

    /// How long to spin before sleeping.
    pub(crate) fn spin(&self, now: Time) -> Duration {
        let resting = self.resting_until.is_some_and(|until| now < until);
        if resting || self.budget < FLOOR { Duration::ZERO } else { self.budget }
    }

    /// Notes that spinning found work.
    pub(crate) fn hit(&mut self) {
        self.grow(self.budget / 4);
    }

    /// Notes that spinning found no work. The budget decays slowly, because one hit is worth many
    /// misses.
    pub(crate) fn miss(&mut self) {
        self.budget -= self.budget / 8;
    }

    /// Notes that the loop slept for this long.
    pub(crate) fn slept(&mut self, time: Duration) {
        if time <= SHORT_SLEEP {
            self.grow((self.budget / 2).max(FLOOR));
        }
    }

    /// Notes that the thread was preempted while spinning.
    pub(crate) fn preempted(&mut self, now: Time) {
        self.budget = Duration::ZERO;
        self.resting_until = now.checked_add(REST);
    }

    fn grow(&mut self, by: Duration) {
        if let Idle::Adaptive { spin_max } = self.idle {
            self.budget = self.budget.saturating_add(by).min(spin_max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_micros(200);

    fn adaptive() -> IdleStrategy {
        IdleStrategy::new(Idle::Adaptive { spin_max: MAX })
    }

    #[test]
    fn blocking_and_busy_loops_never_spin_for_a_while() {
        let now = Time::BEGINNING;
        for idle in [Idle::Block, Idle::Busy] {
            let mut strategy = IdleStrategy::new(idle);
            strategy.hit();
            strategy.slept(Duration::ZERO);
            assert_eq!(strategy.spin(now), Duration::ZERO);
            assert_eq!(strategy.is_busy(), idle == Idle::Busy);
        }
    }

    #[test]
    fn spinning_in_vain_stops_and_short_sleeps_bring_it_back() {
        let now = Time::BEGINNING;
        let mut strategy = adaptive();
        assert_eq!(strategy.spin(now), MAX);
        for _ in 0..100 {
            strategy.miss();
        }
        assert_eq!(strategy.spin(now), Duration::ZERO);
        strategy.slept(Duration::from_millis(1));
        assert_eq!(strategy.spin(now), Duration::ZERO);
        strategy.slept(Duration::from_micros(20));
        assert!(strategy.spin(now) >= FLOOR);
        for _ in 0..100 {
            strategy.hit();
        }
        assert_eq!(strategy.spin(now), MAX);
    }

    #[test]
    fn the_longest_moment_may_be_of_any_length() {
        let now = Time::BEGINNING + Duration::from_secs(1);
        for spin_max in [Duration::MAX, Duration::MAX - Duration::from_nanos(1), Duration::ZERO] {
            let mut strategy = IdleStrategy::new(Idle::Adaptive { spin_max });
            for _ in 0..3 {
                strategy.hit();
                strategy.slept(Duration::ZERO);
                assert_eq!(strategy.spin(now), spin_max);
            }
            strategy.miss();
            assert!(strategy.spin(now) <= spin_max);
        }
    }

    #[test]
    fn losing_the_processor_ends_spinning_for_a_rest() {
        let now = Time::BEGINNING;
        let mut strategy = adaptive();
        strategy.preempted(now);
        strategy.slept(Duration::ZERO);
        assert_eq!(strategy.spin(now), Duration::ZERO);
        assert!(strategy.spin(now + REST) > Duration::ZERO);
    }
}
