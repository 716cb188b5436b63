use serde::Serialize;

use super::stats::median;
use super::text;

/// A figure with an absolute target, not relative to a floor.
#[derive(Debug, Serialize)]
pub(crate) struct Target {
    title: String,
    #[serde(flatten)]
    bound: Bound,
    unit: Unit,
    /// The median over the rounds, which is compared with the target.
    median: f64,
    lowest: f64,
    highest: f64,
    reached: bool,
}

/// The target.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// The unit of a figure.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Nanoseconds,
    PerSecond,
    Ratio,
    Bytes,
    Sessions,
    /// A share of the events, shown per thousand.
    PerThousandEvents,
}

/// Reasons to doubt the figures of a run.
#[derive(Clone, Debug)]
pub(crate) struct Doubts {
    pub(crate) single_round: bool,
    /// Everything shared one core.
    pub(crate) one_core: bool,
    /// A note on other programs' CPU time, if it was too much.
    pub(crate) noise: Option<String>,
}

impl Target {
    /// `None` without rounds.
    pub(crate) fn of_rounds(
        title: String,
        rounds: &[f64],
        bound: Bound,
        unit: Unit,
    ) -> Option<Self> {
        let median = median(rounds.to_vec())?;
        Some(Self {
            title,
            bound,
            unit,
            median,
            lowest: rounds.iter().copied().reduce(f64::min)?,
            highest: rounds.iter().copied().reduce(f64::max)?,
            reached: bound.admits(median),
        })
    }

    pub(crate) const fn is_reached(&self) -> bool {
        self.reached
    }

    /// Whether it was reached, and how sure that is.
    pub(crate) fn verdict(&self, doubts: &Doubts) -> String {
        let (word, limit) = match self.bound {
            Bound::AtMost(limit) => ("at most", limit),
            Bound::AtLeast(limit) => ("at least", limit),
        };
        let outcome = if self.reached { "met" } else { "MISSED" };
        let split = self.bound.admits(self.lowest) != self.bound.admits(self.highest);
        let doubt = if doubts.single_round {
            " (uncertain: a single round)"
        } else if doubts.one_core {
            " (uncertain: the target is for two cores, and this machine has one)"
        } else if split {
            " (uncertain: the rounds disagree)"
        } else if doubts.noise.is_some() {
            " (uncertain: other programs were running)"
        } else {
            ""
        };
        let text = |value| self.unit.text(value);
        format!(
            "{}: {} (rounds {} to {}), target {word} {}: {outcome}{doubt}",
            self.title,
            text(self.median),
            text(self.lowest),
            text(self.highest),
            text(limit),
        )
    }
}

impl Bound {
    /// The limit.
    pub(crate) const fn limit(self) -> f64 {
        match self {
            Self::AtMost(limit) | Self::AtLeast(limit) => limit,
        }
    }

    pub(crate) fn admits(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::Nanoseconds => text::time(value as u64),
            Self::PerSecond | Self::Sessions => text::count(value),
            Self::Bytes => format!("{} B", text::count(value)),
            Self::Ratio => format!("{value:.2}"),
            Self::PerThousandEvents => format!("{} per 1,000", text::small(value * 1000.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SURE: Doubts = Doubts { single_round: false, one_core: false, noise: None };

    fn verdict(rounds: &[f64], bound: Bound, doubts: &Doubts) -> String {
        Target::of_rounds("it".to_owned(), rounds, bound, Unit::Nanoseconds)
            .unwrap()
            .verdict(doubts)
    }

    #[test]
    fn the_median_decides() {
        let limit = Bound::AtMost(100.0);
        let text = verdict(&[80.0, 90.0, 99.0], limit, &SURE);
        assert_eq!(text, "it: 90 ns (rounds 80 ns to 99 ns), target at most 100 ns: met");
        assert!(verdict(&[101.0, 120.0, 130.0], limit, &SURE).ends_with(": MISSED"));
        assert!(verdict(&[10.0], Bound::AtLeast(20.0), &SURE).ends_with(": MISSED"));
    }

    #[test]
    fn doubts_are_told() {
        let limit = Bound::AtMost(100.0);
        assert!(verdict(&[80.0, 90.0, 130.0], limit, &SURE).contains("the rounds disagree"));
        let noisy = Doubts { noise: Some("others".to_owned()), ..SURE };
        assert!(verdict(&[80.0], limit, &noisy).contains("other programs were running"));
        let single = Doubts { single_round: true, ..SURE };
        assert!(verdict(&[80.0], limit, &single).contains("a single round"));
    }
}
