//! Runs a plan: each scenario in rounds, and each round with all entrants in turn, in changing
//! order.
//!
//! Two rules keep the figures truthful on a machine that others use, too. Rounds count only if the
//! floor was as fast in them as in the others, and further rounds replace those that do not count.
//! A scenario in which the engine differs too much from itself is measured again for longer; if
//! that does not help, its figures rank nobody.

mod collected;
mod progress;
mod speed;

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::machine::{self, CpuUse, Interference};
use crate::results::{FORMAT, Results, ScenarioResults};
use crate::scenario::{Plan, Scenario, Timing};

use collected::Collected;
use progress::Progress;

/// The engine may differ from itself by this share.
const NOISE_MAX: f64 = 0.2;
/// How many times longer a repetition measures.
const LONGER: u32 = 3;
/// A scenario has at most this many times its rounds.
const ROUNDS_FACTOR_MAX: usize = 2;

/// Runs all scenarios of a plan.
pub(crate) fn run(plan: Plan<'_>) -> Result<Results, Error> {
    let Plan { title, conditions, timing, repetition_max, scenarios, notes } = plan;
    let progress = Progress::new(&scenarios, timing);
    let mut runner =
        Runner { timing, repetition_max, progress, notes, servers_cpu: Duration::ZERO };
    let machine = machine::describe();
    let before = CpuUse::now();
    let scenarios = scenarios
        .into_iter()
        .map(|scenario| runner.scenario(scenario))
        .collect::<Result<_, _>>()?;
    runner.progress.finish();
    let after = CpuUse::now().map(|now| now.with(runner.servers_cpu));
    let interference = after.zip(before).map(|(now, before)| now.interference_since(before));
    runner.notes.extend(interference.and_then(Interference::doubts));
    Ok(Results {
        format: FORMAT,
        program: format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
        title: title.to_owned(),
        command: machine::command_line(std::env::args()),
        machine,
        conditions,
        scenarios,
        notes: runner.notes,
    })
}

struct Runner {
    timing: Timing,
    /// How long further repetitions may take in all.
    repetition_max: Duration,
    progress: Progress,
    notes: Vec<String>,
    /// CPU time of servers in other processes.
    servers_cpu: Duration,
}

impl Runner {
    fn scenario(&mut self, mut scenario: Scenario<'_>) -> Result<ScenarioResults, Error> {
        let rounds = scenario.rounds.unwrap_or(self.timing.rounds);
        let timing = Timing { rounds, ..self.timing };
        let mut results = self.collect(&mut scenario, timing)?;
        if noise(&results).is_some_and(|noise| noise > NOISE_MAX) {
            let begun = Instant::now();
            if !self.repetition_max.is_zero() {
                results = self.collect(&mut scenario, timing.longer(LONGER))?;
            }
            self.repetition_max = self.repetition_max.saturating_sub(begun.elapsed());
            results.doubt = noise(&results).filter(|noise| *noise > NOISE_MAX).map(|noise| {
                let percent = 100.0 * noise;
                format!("not measurable here: the engine differed from itself by {percent:.0} %")
            });
        }
        Ok(results)
    }

    /// Runs rounds until enough of them count. An entrant that fails takes part no more.
    fn collect(
        &mut self,
        scenario: &mut Scenario<'_>,
        timing: Timing,
    ) -> Result<ScenarioResults, Error> {
        let mut collected = Collected::new(scenario.entrants.len());
        let rounds_max = timing.rounds * ROUNDS_FACTOR_MAX;
        let steady = loop {
            for index in order(scenario.entrants.len(), collected.rounds()) {
                let entrant = &mut scenario.entrants[index];
                self.progress.show(&scenario.title, &entrant.name);
                if collected.takes_part(index) {
                    collected.add(index, (entrant.measure)(timing));
                }
                self.progress.advance();
            }
            collected.end_round();
            let steady = speed::steady(&collected.floor_speeds(scenario));
            let enough = steady.len() >= timing.rounds || collected.rounds() >= rounds_max;
            if collected.rounds() >= timing.rounds && enough {
                break steady;
            }
            self.progress.expect_rounds(scenario, collected.rounds(), timing.rounds);
        };
        self.servers_cpu += collected.servers_cpu();
        self.notes.extend(collected.notes(scenario, &steady));
        collected.fail_if_alone(scenario)?;
        Ok(collected.results(scenario, &steady))
    }
}

/// The engine's noise in the figure that ranks.
fn noise(results: &ScenarioResults) -> Option<f64> {
    results.noise(&results.figures.first()?.id)
}

/// The order of `count` entrants in one round. It rotates from round to round, and every second
/// round is reversed, so that no entrant has the same place or the same neighbours in all rounds.
fn order(count: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    if count > 0 {
        order.rotate_left(round % count);
    }
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests;
