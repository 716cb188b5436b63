use serde::Serialize;

use super::ScenarioReport;
use super::entry::Entry;
use super::spread::{Spread, ratios};
use super::words;
use crate::compare::{Metric, Of, Role, Target};
use crate::report::Bound;

/// Whether the engine reached a target.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    scenario: &'static str,
    pub(super) title: &'static str,
    pub(super) entrant: String,
    pub(super) metric: Metric,
    /// The figure's name.
    pub(super) what: String,
    /// The entrant that it is compared with. `None` for an absolute figure.
    pub(super) of: Option<String>,
    /// The figure, or its ratio to the other entrant's.
    pub(super) value: Spread,
    pub(super) bound: Bound,
    /// The largest difference of the engine from itself in this figure.
    pub(super) noise: Option<f64>,
    /// How many rounds reached the target on their own.
    pub(super) rounds_within: usize,
    pub(super) rounds: usize,
    pub(super) reached: bool,
    /// The distance to the limit is more than the noise.
    pub(super) sure: bool,
}

impl Verdict {
    /// `None` if one of its entrants did not take part.
    pub(super) fn of(target: &Target, scenario: &ScenarioReport) -> Option<Self> {
        let entry = scenario.entry(target.entrant)?;
        let metric = target.metric;
        let base = match target.of {
            Of::Itself => None,
            Of::Entrant(name) => Some(scenario.entry(name)?),
            Of::BestPeer => Some(best_peer(scenario, metric)?),
        };
        let rounds = match base {
            None => entry.of(metric).into_iter().collect::<Option<Vec<f64>>>()?,
            Some(base) => ratios(&entry.of(metric), &base.of(metric))?,
        };
        let value = Spread::of(&rounds)?;
        let bound = target.bound;
        let noise = scenario.noise.get(&metric).map(Spread::apart);
        Some(Self {
            scenario: scenario.id,
            title: scenario.title,
            entrant: entry.name.clone(),
            metric,
            what: words::name(metric, scenario.kind),
            of: base.map(|base| base.name.clone()),
            value,
            bound,
            noise,
            rounds_within: rounds.iter().filter(|&&round| bound.admits(round)).count(),
            rounds: rounds.len(),
            reached: bound.admits(value.median),
            sure: noise.is_some_and(|noise| (value.median / bound.limit() - 1.0).abs() > noise),
        })
    }

    /// The outcome in a few words.
    pub(super) fn outcome(&self) -> &'static str {
        match (self.reached, self.sure) {
            (true, true) => "reached",
            (true, false) => "reached, within the noise",
            (false, true) => "missed",
            (false, false) => "missed, within the noise",
        }
    }

    /// The target's limit.
    pub(super) fn limit(&self) -> String {
        let (word, limit) = match self.bound {
            Bound::AtMost(limit) => ("at most", limit),
            Bound::AtLeast(limit) => ("at least", limit),
        };
        format!("{word} {}", self.number(limit))
    }

    /// The figure, or a ratio.
    pub(super) fn number(&self, value: f64) -> String {
        match self.of {
            None => words::value(self.metric, value),
            Some(_) => words::times(value),
        }
    }

    /// The figure, with the entrants that it compares.
    pub(super) fn subject(&self) -> String {
        let Self { what, entrant, of, .. } = self;
        match of {
            None => format!("{what} of {entrant}"),
            Some(of) => format!("{what} of {entrant} to {of}"),
        }
    }

    /// The verdict in a sentence.
    pub(super) fn sentence(&self) -> String {
        let Spread { median, lowest, highest } = self.value;
        let noise = self.noise.map_or_else(
            || "no A/A pair".to_owned(),
            |noise| format!("A/A apart by up to {}", words::percent(noise)),
        );
        format!(
            "{}: {} {} ({} to {}, {} of {} rounds; {noise}), target {}: {}",
            self.title,
            self.subject(),
            self.number(median),
            self.number(lowest),
            self.number(highest),
            self.rounds_within,
            self.rounds,
            self.limit(),
            self.outcome(),
        )
    }
}

/// The best peer.
pub(super) fn best_peer(scenario: &ScenarioReport, metric: Metric) -> Option<&Entry> {
    let peers = scenario.entries.iter().filter(|entry| entry.role == Role::Peer);
    let known = peers.filter_map(|entry| Some((scenario.standing(entry, metric)?, entry)));
    let best = if metric.is_gain() {
        known.max_by(|a, b| a.0.total_cmp(&b.0))
    } else {
        known.min_by(|a, b| a.0.total_cmp(&b.0))
    };
    best.map(|(_, entry)| entry)
}
