//! The source of the simulation's decisions: a seed, or the bytes of a fuzzer.

use std::time::Duration;

/// The source of every decision that a kernel and a network make.
///
/// A seed gives an endless sequence of decisions. Bytes give a finite one. After their end every
/// decision is the benign one, so that every run of a fuzzer ends.
///
/// ```
/// use eventwire::reactor::sim::{Choices, SimConfig, SimReactor};
///
/// let seeded = SimReactor::new(7, SimConfig::default());
/// let fuzzed = SimReactor::with_choices(Choices::from_bytes([0, 255, 3]), SimConfig::default());
/// # drop((seeded, fuzzed));
/// ```
#[derive(Clone, Debug)]
pub struct Choices {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Seed(SplitMix),
    Bytes { bytes: Vec<u8>, next: usize },
}

/// The unit of a chance: one millionth.
const MILLION: u32 = 1_000_000;

/// The highest chance of a fault, so that a caller that repeats a call succeeds in the end.
const CHANCE_PER_MILLION_MAX: u32 = 900_000;

impl Choices {
    /// An endless sequence of decisions, the same for the same seed.
    #[must_use]
    pub const fn from_seed(seed: u64) -> Self {
        Self { source: Source::Seed(SplitMix::new(seed)) }
    }

    /// Decisions from `bytes`: a low byte is benign, a high byte requests a fault.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self { source: Source::Bytes { bytes: bytes.into(), next: 0 } }
    }

    /// Whether an event with the chance `per_million` happens. Zero consumes no decision.
    pub(super) fn chance(&mut self, per_million: u32) -> bool {
        if per_million == 0 {
            return false;
        }
        let chance = per_million.min(CHANCE_PER_MILLION_MAX);
        match &mut self.source {
            Source::Seed(random) => random.next() % u64::from(MILLION) < u64::from(chance),
            Source::Bytes { bytes, next } => {
                // The rarest fault has one byte value of 256. A fuzzer would never reach it
                // otherwise.
                let values = (u64::from(chance) * 256 / u64::from(MILLION)).max(1);
                take(bytes, next) >= 256 - values
            }
        }
    }

    /// A number from 0 to `max` inclusive. 0 is the benign one.
    pub(super) fn up_to(&mut self, max: u64) -> u64 {
        if max == 0 {
            return 0;
        }
        let drawn = match &mut self.source {
            Source::Seed(random) => random.next(),
            Source::Bytes { bytes, next } => {
                let wanted = (u64::BITS - max.leading_zeros()).div_ceil(8);
                (0..wanted).fold(0, |number, _| (number << 8) | take(bytes, next))
            }
        };
        max.checked_add(1).map_or(drawn, |count| drawn % count)
    }

    /// An index below `len`, which is not zero.
    pub(super) fn index(&mut self, len: usize) -> usize {
        debug_assert!(len > 0, "nothing to choose from");
        // It is below `len`, so it fits.
        self.up_to(len as u64 - 1) as usize
    }

    /// A span of time from `min` to `max`.
    pub(super) fn span(&mut self, min: Duration, max: Duration) -> Duration {
        let width = max.saturating_sub(min).as_nanos();
        min + Duration::from_nanos(self.up_to(u64::try_from(width).unwrap_or(u64::MAX)))
    }

    /// A seed for another generator. Consumes no decision.
    pub(super) fn derived_seed(&self) -> u64 {
        match &self.source {
            Source::Seed(random) => random.clone().next(),
            Source::Bytes { bytes, .. } => super::trace::fingerprint(bytes),
        }
    }
}

/// The next byte, or 0 when there is none.
fn take(bytes: &[u8], next: &mut usize) -> u64 {
    let byte = bytes.get(*next).copied().unwrap_or(0);
    *next = next.saturating_add(1);
    u64::from(byte)
}

/// `SplitMix64` (Steele, Lea and Flood, 2014): small, fast, and good enough for choosing faults.
#[derive(Clone, Debug)]
pub(super) struct SplitMix {
    state: u64,
}

impl SplitMix {
    pub(super) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.next().to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exhausted_bytes_decide_benignly() {
        let mut choices = Choices::from_bytes([255, 0]);
        assert!(choices.chance(1));
        assert!(!choices.chance(MILLION));
        for _ in 0..100 {
            assert!(!choices.chance(MILLION));
            assert_eq!(choices.up_to(u64::MAX), 0);
        }
    }

    #[test]
    fn a_chance_is_as_likely_as_it_says() {
        let mut choices = Choices::from_seed(1);
        let hits = (0..100_000).filter(|_| choices.chance(250_000)).count();
        assert!((24_000..26_000).contains(&hits), "{hits} of 100000");
        assert!((0..1000).all(|_| !choices.chance(0)));
        assert!((0..1000).any(|_| !choices.chance(u32::MAX)));
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        for mut choices in [Choices::from_seed(2), Choices::from_bytes([255; 4096])] {
            for max in [0, 1, 2, 255, 256, 65_535, u64::MAX] {
                assert!((0..100).all(|_| choices.up_to(max) <= max));
            }
            assert!((0..100).all(|_| choices.index(3) < 3));
        }
    }
}
