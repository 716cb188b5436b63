//! What a loop does while nothing is ready.

use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;

/// The longest that [`IdleMode::Adaptive`] spins before it blocks: the engine's default.
pub(crate) const SPIN_MAX: Duration = Duration::from_micros(200);

/// How the server waits for readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IdleMode {
    /// Sleep in the kernel at once: no CPU while idle, the wake-up in every latency
    Block,
    /// Spin for up to 200 µs after the last work, then sleep
    Adaptive,
    /// Never sleep: a whole core, the lowest latency
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
}

/// Chooses the timeout of each wait of the raw TCP floor, by the engine's idle modes.
#[derive(Debug)]
pub(crate) struct Idler {
    mode: IdleMode,
    /// When something was last ready.
    worked: Instant,
}

impl Idler {
    pub(crate) fn new(mode: IdleMode) -> Self {
        Self { mode, worked: Instant::now() }
    }

    /// The timeout of the next wait; `busy` tells whether the last one found work.
    pub(crate) fn timeout(&mut self, busy: bool) -> Option<Duration> {
        match self.mode {
            IdleMode::Block => None,
            IdleMode::Busy => Some(Duration::ZERO),
            IdleMode::Adaptive => {
                let now = Instant::now();
                if busy {
                    self.worked = now;
                }
                (now.duration_since(self.worked) < SPIN_MAX).then_some(Duration::ZERO)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_decides_between_spinning_and_sleeping() {
        assert_eq!(Idler::new(IdleMode::Block).timeout(true), None);
        assert_eq!(Idler::new(IdleMode::Busy).timeout(false), Some(Duration::ZERO));
        let mut adaptive = Idler::new(IdleMode::Adaptive);
        assert_eq!(adaptive.timeout(true), Some(Duration::ZERO));
        if let Some(past) = Instant::now().checked_sub(SPIN_MAX) {
            adaptive.worked = past;
            assert_eq!(adaptive.timeout(false), None);
        }
    }
}
