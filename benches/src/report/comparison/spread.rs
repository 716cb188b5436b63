use serde::Serialize;

use crate::report::stats::median;

/// One figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

impl Spread {
    /// `None` without rounds.
    pub(crate) fn of(rounds: &[f64]) -> Option<Self> {
        Some(Self {
            median: median(rounds.to_vec())?,
            lowest: rounds.iter().copied().reduce(f64::min)?,
            highest: rounds.iter().copied().reduce(f64::max)?,
        })
    }

    /// The spread of the ratios of paired rounds. `None` unless every round of both has a figure,
    /// and none of `base` is zero.
    pub(crate) fn of_ratios(rounds: &[Option<f64>], base: &[Option<f64>]) -> Option<Self> {
        Self::of(&ratios(rounds, base)?)
    }

    /// For a ratio that should be 1: the largest difference from 1 in any round.
    pub(crate) fn apart(&self) -> f64 {
        (self.highest - 1.0).abs().max((self.lowest - 1.0).abs())
    }
}

/// Round by round.
pub(super) fn ratios(rounds: &[Option<f64>], base: &[Option<f64>]) -> Option<Vec<f64>> {
    if rounds.len() != base.len() {
        return None;
    }
    let ratio = |(value, base): (&Option<f64>, &Option<f64>)| {
        Some((*value)? / (*base).filter(|&base| base > 0.0)?)
    };
    rounds.iter().zip(base).map(ratio).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_goes_from_the_lowest_round_to_the_highest() {
        let spread = Spread::of(&[3.0, 1.0, 8.0]).unwrap();
        assert_eq!(spread, Spread { median: 3.0, lowest: 1.0, highest: 8.0 });
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn ratios_pair_the_rounds() {
        let some = |values: [f64; 3]| values.map(Some);
        let spread = Spread::of_ratios(&some([2.0, 6.0, 3.0]), &some([1.0, 2.0, 3.0])).unwrap();
        assert_eq!(spread, Spread { median: 2.0, lowest: 1.0, highest: 3.0 });
        let missing = [Some(1.0), None, Some(3.0)];
        assert_eq!(Spread::of_ratios(&missing, &some([1.0; 3])), None);
        assert_eq!(Spread::of_ratios(&some([1.0; 3]), &some([1.0, 0.0, 1.0])), None);
        assert_eq!(Spread::of_ratios(&some([1.0; 3]), &[Some(1.0)]), None);
    }

    #[test]
    fn the_worst_round_says_how_far_equals_are_apart() {
        let spread = Spread { median: 1.0, lowest: 0.9, highest: 1.05 };
        assert!((spread.apart() - 0.1).abs() < 1e-9);
        let spread = Spread { median: 1.0, lowest: 0.9, highest: 1.25 };
        assert!((spread.apart() - 0.25).abs() < 1e-9);
    }
}
