//! The results of a run, as plain data with a versioned JSON form. What shows them depends on this
//! module, and this module on nothing that measures or shows.
//!
//! A run has scenarios. A scenario has entrants, which are its rows, and figures, which are its
//! columns. Each entrant has a value of each figure in each round. benches/README.md documents the
//! JSON form.

mod figure;
mod statistics;
mod target;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use figure::{Better, Figure, Unit};
pub(crate) use statistics::{Spread, median};
pub(crate) use target::{Bound, Outcome, Target, To, Verdict};

/// The version of the JSON form. It changes whenever a reader of the former one would fail or
/// misread it. Members may be added without a new version.
pub(crate) const FORMAT: u32 = 1;

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// The program and its version.
    pub(crate) program: String,
    pub(crate) title: String,
    /// The command that repeats the run.
    pub(crate) command: String,
    pub(crate) machine: Machine,
    /// The conditions of the measurement, in sentences.
    pub(crate) conditions: Vec<String>,
    pub(crate) scenarios: Vec<ScenarioResults>,
    /// What the reader should know, in sentences.
    pub(crate) notes: Vec<String>,
}

/// The properties of the machine that matter for the figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Model name of the processor.
    pub(crate) cpu: String,
    /// How many CPUs this process may use.
    pub(crate) cpus: usize,
    /// Name and release of the kernel.
    pub(crate) kernel: String,
    /// Whether the processor reports a hypervisor.
    pub(crate) virtual_machine: bool,
    /// Load average of the last minute before the run.
    pub(crate) load_average: Option<f64>,
}

/// One scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScenarioResults {
    pub(crate) id: String,
    pub(crate) title: String,
    /// The heading that it stands under, if there are several.
    pub(crate) group: Option<String>,
    /// The figures. Entrants are ranked by the first one.
    pub(crate) figures: Vec<Figure>,
    /// The entrant to whose figures all others are put in relation.
    pub(crate) base: Option<String>,
    pub(crate) entrants: Vec<EntrantResults>,
    pub(crate) targets: Vec<Target>,
    /// Why the figures rank nobody, if they do not.
    pub(crate) doubt: Option<String>,
}

/// One entrant of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EntrantResults {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// By the figures' ids.
    pub(crate) medians: BTreeMap<String, f64>,
    /// The values of each round, by the figures' ids.
    pub(crate) rounds: Vec<BTreeMap<String, f64>>,
    /// Latencies in nanoseconds by quantile, of all rounds together.
    #[serde(default)]
    pub(crate) latency: Vec<(f64, u64)>,
    /// Why it has no figures, if it failed.
    pub(crate) failure: Option<String>,
}

/// What an entrant is in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// The engine.
    Engine,
    /// The engine once more: how far it differs from itself is the noise.
    Again,
    /// The engine in another mode, which is not ranked.
    Mode,
    /// The least that the same traffic costs.
    Floor,
    Peer,
}

impl Results {
    /// The targets of all scenarios, judged.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        self.scenarios.iter().flat_map(ScenarioResults::verdicts).collect()
    }

    /// Where the engine failed first, and why, if it did.
    pub(crate) fn engine_failure(&self) -> Option<String> {
        self.scenarios.iter().find_map(|scenario| {
            let engine =
                |one: &&EntrantResults| matches!(one.role, Role::Engine | Role::Again | Role::Mode);
            let mut engines = scenario.entrants.iter().filter(engine);
            let failed = |one: &EntrantResults| {
                Some(format!("{}, {}: {}", scenario.title, one.name, one.failure.as_ref()?))
            };
            engines.find_map(failed)
        })
    }
}

#[cfg(test)]
mod tests;
