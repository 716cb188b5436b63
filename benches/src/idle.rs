//! How a loop waits while nothing is ready.

use std::time::{Duration, Instant};

use clap::ValueEnum;
use eventwire::Idle;
use serde::Serialize;

/// The longest that [`IdleMode::Adaptive`] spins before it blocks: the engine's default.
const SPIN_MAX: Duration = Duration::from_micros(200);

/// How the server waits for readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IdleMode {
    /// Sleep in the kernel at once: no CPU time while idle, but every latency includes a wake-up
    Block,
    /// Spin for up to 200 µs after the last work, then sleep
    Adaptive,
    /// Never sleep: uses a whole core, for the lowest latency
    Busy,
}

impl IdleMode {
    /// The word on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Adaptive => "adaptive",
            Self::Busy => "busy",
        }
    }

    /// The engine's mode of that name.
    pub(crate) const fn engine(self) -> Idle {
        match self {
            Self::Block => Idle::Block,
            Self::Adaptive => Idle::Adaptive { spin_max: SPIN_MAX },
            Self::Busy => Idle::Busy,
        }
    }
}

/// Chooses the timeout of each wait of the raw TCP floor, by the engine's idle modes.
///
/// Adaptive spinning follows the engine's rule, or the floor would not be one where spinning does
/// harm, as with a single CPU: the time to spin grows when spinning finds work or a sleep was
/// short, and shrinks when it finds none.
#[derive(Debug)]
pub(crate) struct Idler {
    mode: IdleMode,
    /// How long to spin, when adaptive.
    budget: Duration,
    /// When spinning or sleeping began, whichever it is.
    since: Instant,
    asleep: bool,
}

/// A budget below this is no spinning at all; a sleep that was short makes it at least this.
const SPIN_MIN: Duration = Duration::from_micros(10);
/// A sleep that ended sooner was not worth falling asleep for.
const SHORT_SLEEP: Duration = Duration::from_micros(50);

impl Idler {
    pub(crate) fn new(mode: IdleMode) -> Self {
        Self { mode, budget: SPIN_MAX, since: Instant::now(), asleep: false }
    }

    /// The timeout of the next wait; `busy` tells whether the last one found work.
    pub(crate) fn timeout(&mut self, busy: bool) -> Option<Duration> {
        match self.mode {
            IdleMode::Block => None,
            IdleMode::Busy => Some(Duration::ZERO),
            IdleMode::Adaptive => self.adapt(busy, Instant::now()),
        }
    }

    fn adapt(&mut self, busy: bool, now: Instant) -> Option<Duration> {
        let elapsed = now.saturating_duration_since(self.since);
        if busy {
            let growth = match self.asleep {
                false => self.budget / 4,
                true if elapsed <= SHORT_SLEEP => (self.budget / 2).max(SPIN_MIN),
                true => Duration::ZERO,
            };
            self.budget = (self.budget + growth).min(SPIN_MAX);
            self.since = now;
            self.asleep = false;
        } else if !self.asleep && elapsed >= self.budget {
            self.budget -= self.budget / 8;
            self.since = now;
            self.asleep = true;
        }
        if self.budget < SPIN_MIN && !self.asleep {
            self.since = now;
            self.asleep = true;
        }
        (!self.asleep).then_some(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_decides_between_spinning_and_sleeping() {
        assert_eq!(Idler::new(IdleMode::Block).timeout(true), None);
        assert_eq!(Idler::new(IdleMode::Busy).timeout(false), Some(Duration::ZERO));
        assert_eq!(Idler::new(IdleMode::Adaptive).timeout(true), Some(Duration::ZERO));
    }

    #[test]
    fn spinning_in_vain_gets_shorter_until_it_ends() {
        let mut idler = Idler::new(IdleMode::Adaptive);
        let mut now = idler.since;
        assert_eq!(idler.adapt(false, now + SPIN_MAX / 2), Some(Duration::ZERO));
        let (mut turns, mut last) = (0, None);
        while idler.budget >= SPIN_MIN {
            now += SPIN_MAX;
            assert_eq!(idler.adapt(false, now), None);
            // Work comes after a long sleep.
            now += Duration::from_secs(1);
            last = idler.adapt(true, now);
            turns += 1;
            assert!(turns < 100);
        }
        assert_eq!(last, None);
    }

    #[test]
    fn short_sleeps_bring_spinning_back() {
        let mut idler = Idler::new(IdleMode::Adaptive);
        let mut now = idler.since;
        idler.budget = Duration::ZERO;
        assert_eq!(idler.adapt(false, now), None);
        for _ in 0..20 {
            now += SHORT_SLEEP;
            assert_eq!(idler.adapt(true, now), Some(Duration::ZERO));
        }
        assert_eq!(idler.budget, SPIN_MAX);
    }
}
