//! What the engine is to reach, and whether it does.

use serde::{Deserialize, Serialize};

use super::statistics::ratios;
use super::{Figure, ScenarioResults, Spread, Unit};

/// A target: one figure of one entrant, by itself or in relation to another entrant's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) entrant: String,
    /// The figure's id.
    pub(crate) figure: String,
    pub(crate) to: To,
    pub(crate) bound: Bound,
}

/// What a figure is put in relation to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum To {
    /// Nothing: it counts by itself.
    Itself,
    /// Its ratio to an entrant's counts.
    Entrant(String),
    /// Its ratio to that of the peer with the best median counts.
    BestPeer,
    /// What it has more than an entrant's counts.
    MoreThan(String),
}

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// A judged target.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// The scenario's title.
    pub(crate) scenario: String,
    pub(crate) entrant: String,
    pub(crate) figure: Figure,
    /// The entrant that it is compared with.
    pub(crate) other: Option<String>,
    pub(crate) value: Spread,
    /// The unit of `value`, which is a ratio if entrants are compared.
    pub(crate) unit: Unit,
    pub(crate) bound: Bound,
    pub(crate) outcome: Outcome,
}

/// Whether a target was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Reached,
    Missed,
    /// Some rounds reached it and others missed it, or its figures rank nobody.
    Uncertain,
}

impl Target {
    pub(crate) fn new(entrant: &str, figure: &Figure, to: To, bound: Bound) -> Self {
        Self { entrant: entrant.to_owned(), figure: figure.id.to_string(), to, bound }
    }
}

impl Bound {
    pub(crate) fn admits(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

impl ScenarioResults {
    /// Its targets, judged. Without those of which an entrant is missing.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        self.targets.iter().filter_map(|target| self.judge(target)).collect()
    }

    fn judge(&self, target: &Target) -> Option<Verdict> {
        let figure = self.figure(&target.figure)?.clone();
        let own = self.entrant(&target.entrant)?.values(&figure.id);
        let other = match &target.to {
            To::Itself => None,
            To::Entrant(name) | To::MoreThan(name) => Some(self.entrant(name)?),
            To::BestPeer => Some(self.best_peer(&figure)?),
        };
        let others = other.map(|other| other.values(&figure.id));
        let (rounds, unit) = match (&target.to, others) {
            (To::MoreThan(_), Some(others)) => (differences(&own, &others), figure.unit),
            (_, Some(others)) => (ratios(&own, &others), Unit::Ratio),
            (_, None) => (own, figure.unit),
        };
        let value = Spread::of(&rounds)?;
        let all = rounds.iter().all(|&round| target.bound.admits(round));
        let none = !rounds.iter().any(|&round| target.bound.admits(round));
        let outcome = match (all, none) {
            _ if self.doubt.is_some() && other.is_some() => Outcome::Uncertain,
            (true, _) => Outcome::Reached,
            (_, true) => Outcome::Missed,
            _ => Outcome::Uncertain,
        };
        Some(Verdict {
            scenario: self.title.clone(),
            entrant: target.entrant.clone(),
            figure,
            other: other.map(|other| other.name.clone()),
            value,
            unit,
            bound: target.bound,
            outcome,
        })
    }
}

fn differences(own: &[f64], others: &[f64]) -> Vec<f64> {
    own.iter().zip(others).map(|(own, other)| own - other).collect()
}
