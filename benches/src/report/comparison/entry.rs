use std::collections::BTreeMap;

use serde::Serialize;

use super::spread::Spread;
use crate::compare::{Metric, Outcome, Role};
use crate::load::{Latencies, no_latencies};
use crate::report::curve::Curve;

/// The results of one entrant in one scenario.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    pub(super) name: String,
    #[serde(skip)]
    pub(super) role: Role,
    /// The CSS class that colours it.
    #[serde(skip)]
    pub(super) class: String,
    pub(super) figures: BTreeMap<Metric, Spread>,
    /// Ratios round by round, to the raw floor and to the WebSocket floor.
    pub(super) to_floor: BTreeMap<Metric, Spread>,
    pub(super) to_ws_floor: BTreeMap<Metric, Spread>,
    /// Open loop: messages that were unanswered when a round was abandoned.
    pub(super) unanswered: u64,
    /// Open loop: how late messages left, as 99th percentile.
    pub(super) late_p99_ns: Option<u64>,
    pub(super) rounds: Vec<BTreeMap<Metric, f64>>,
    /// The latencies of all rounds together.
    pub(super) percentiles: Curve,
    pub(super) bystander_percentiles: Curve,
}

impl Entry {
    pub(super) fn new(name: String, role: Role, class: String, outcomes: &[Outcome]) -> Self {
        let rounds = outcomes.iter().map(figures).collect();
        let late = merged(outcomes.iter().map(|outcome| &outcome.late));
        let mut entry = Self {
            name,
            role,
            class,
            figures: BTreeMap::new(),
            to_floor: BTreeMap::new(),
            to_ws_floor: BTreeMap::new(),
            unanswered: outcomes.iter().map(|outcome| outcome.unanswered).sum(),
            late_p99_ns: (!late.is_empty()).then(|| late.value_at_quantile(0.99)),
            rounds,
            percentiles: Curve::of(&merged(outcomes.iter().map(|outcome| &outcome.latency))),
            bystander_percentiles: Curve::of(&merged(
                outcomes.iter().map(|outcome| &outcome.bystander),
            )),
        };
        entry.figures = Metric::ALL
            .into_iter()
            .filter_map(|metric| {
                let known: Vec<f64> = entry.of(metric).into_iter().flatten().collect();
                Some((metric, Spread::of(&known)?))
            })
            .collect();
        entry
    }

    /// One figure, round by round.
    pub(super) fn of(&self, metric: Metric) -> Vec<Option<f64>> {
        self.rounds.iter().map(|round| round.get(&metric).copied()).collect()
    }

    /// The median over the rounds.
    pub(super) fn median(&self, metric: Metric) -> Option<f64> {
        self.figures.get(&metric).map(|spread| spread.median)
    }

    /// All comparable figures, as ratios to those of another entrant.
    pub(super) fn ratios_to(&self, base: &Self) -> BTreeMap<Metric, Spread> {
        let compared = Metric::ALL.into_iter().filter(|metric| metric.is_compared());
        compared
            .filter_map(|metric| {
                Some((metric, Spread::of_ratios(&self.of(metric), &base.of(metric))?))
            })
            .collect()
    }
}

/// The figures of one round.
fn figures(outcome: &Outcome) -> BTreeMap<Metric, f64> {
    let known = |metric: Metric| Some((metric, metric.of(outcome)?));
    Metric::ALL.into_iter().filter_map(known).collect()
}

/// All rounds in one histogram.
fn merged<'a>(rounds: impl Iterator<Item = &'a Option<Latencies>>) -> Latencies {
    let mut all = no_latencies();
    for round in rounds.flatten() {
        all.add(round).expect("all histograms have the same bounds");
    }
    all
}
