//! The samples of one scenario, by entrant and round.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::Error;
use crate::load::no_latencies;
use crate::results::{EntrantResults, Role, ScenarioResults, median};
use crate::scenario::{Sample, Scenario};

/// The figures by which the floor shows the machine's speed: the first that it has.
const SPEEDS: [&str; 2] = ["server_cpu_ns", "p50_ns"];
/// The quantiles of a plot.
const QUANTILES: [f64; 16] = [
    0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99995, 0.99999,
    0.999995, 0.999999, 1.0,
];

/// All rounds so far.
pub(super) struct Collected {
    entrants: Vec<Result<Vec<Sample>, Error>>,
    rounds: usize,
}

impl Collected {
    pub(super) fn new(entrants: usize) -> Self {
        Self { entrants: (0..entrants).map(|_| Ok(Vec::new())).collect(), rounds: 0 }
    }

    pub(super) const fn rounds(&self) -> usize {
        self.rounds
    }

    /// Whether the entrant has not failed.
    pub(super) fn takes_part(&self, entrant: usize) -> bool {
        self.entrants[entrant].is_ok()
    }

    /// Adds the entrant's sample of the current round.
    pub(super) fn add(&mut self, entrant: usize, sample: Result<Sample, Error>) {
        let place = &mut self.entrants[entrant];
        match (place.as_mut(), sample) {
            (Ok(samples), Ok(sample)) => samples.push(sample),
            (_, Err(error)) => *place = Err(error),
            (Err(_), Ok(_)) => {}
        }
    }

    pub(super) fn end_round(&mut self) {
        self.rounds += 1;
    }

    /// The floor's figure in each round, by which the machine's speed shows.
    pub(super) fn floor_speeds(&self, scenario: &Scenario<'_>) -> Vec<Option<f64>> {
        let floor = scenario.entrants.iter().position(|entrant| entrant.role == Role::Floor);
        let samples = floor.and_then(|floor| self.entrants[floor].as_ref().ok());
        let speed =
            |sample: &Sample| SPEEDS.iter().find_map(|figure| sample.figures.get(*figure).copied());
        (0..self.rounds).map(|round| samples.and_then(|samples| speed(&samples[round]))).collect()
    }

    pub(super) fn servers_cpu(&self) -> Duration {
        self.entrants.iter().flatten().flatten().map(|sample| sample.servers_cpu).sum()
    }

    /// What the reader should know: the entrants' notes, and how many rounds do not count.
    pub(super) fn notes(&self, scenario: &Scenario<'_>, steady: &[usize]) -> Vec<String> {
        let mut notes = Vec::new();
        for (entrant, samples) in scenario.entrants.iter().zip(&self.entrants) {
            for note in samples.iter().flatten().flat_map(|sample| &sample.notes) {
                notes.push(format!("{}, {}: {note}", scenario.title, entrant.name));
            }
        }
        notes.dedup();
        if steady.len() < self.rounds {
            notes.push(format!(
                "{}: the machine's speed changed; {} of {} rounds count",
                scenario.title,
                steady.len(),
                self.rounds
            ));
        }
        notes
    }

    /// An error if the scenario's only entrant has failed: there is nothing to show.
    pub(super) fn fail_if_alone(&mut self, scenario: &Scenario<'_>) -> Result<(), Error> {
        match self.entrants.as_mut_slice() {
            [only] if scenario.entrants.len() == 1 => {
                std::mem::replace(only, Ok(Vec::new())).map(|samples| *only = Ok(samples))
            }
            _ => Ok(()),
        }
    }

    /// The results of the rounds that count.
    pub(super) fn results(self, scenario: &Scenario<'_>, steady: &[usize]) -> ScenarioResults {
        let entrants = scenario.entrants.iter().zip(self.entrants).map(|(entrant, samples)| {
            let mut results = EntrantResults {
                name: entrant.name.clone(),
                role: entrant.role,
                medians: BTreeMap::new(),
                rounds: Vec::new(),
                latency: Vec::new(),
                failure: samples.as_ref().err().map(ToString::to_string),
            };
            if let Ok(samples) = samples {
                fill(&mut results, &samples, steady);
            }
            results
        });
        ScenarioResults {
            id: scenario.id.to_string(),
            title: scenario.title.to_string(),
            group: scenario.group.map(str::to_owned),
            figures: scenario.figures.clone(),
            base: scenario.base.map(str::to_owned),
            entrants: entrants.collect(),
            targets: scenario.targets.clone(),
            doubt: None,
        }
    }
}

/// Adds the figures of the rounds that count.
fn fill(results: &mut EntrantResults, samples: &[Sample], steady: &[usize]) {
    let mut latencies = no_latencies();
    for sample in steady.iter().map(|&round| &samples[round]) {
        let figures = sample.figures.iter().map(|(figure, value)| (figure.to_string(), *value));
        results.rounds.push(figures.collect());
        // All histograms have the same bounds.
        latencies += sample.latency.as_ref().unwrap_or(&no_latencies());
    }
    let figures = results.rounds.iter().flat_map(BTreeMap::keys);
    let values = figures.map(|figure| (figure.clone(), results.values(figure)));
    results.medians =
        values.filter_map(|(figure, values)| Some((figure, median(values)?))).collect();
    if !latencies.is_empty() {
        let at = |quantile| (quantile, latencies.value_at_quantile(quantile));
        results.latency = QUANTILES.map(at).to_vec();
    }
}
