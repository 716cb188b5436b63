//! Sentences on results.

use super::units;
use crate::results::{Bound, Outcome, Results, ScenarioResults, Unit, Verdict};

/// The program, the machine and the conditions of the measurement.
pub(super) fn conditions(results: &Results) -> Vec<String> {
    let machine = &results.machine;
    let kind = if machine.virtual_machine { ", virtual machine" } else { "" };
    let load = machine.load_average.map(|load| format!(", load average {load:.2} before the run"));
    let machine = format!(
        "{}, {} CPUs{kind}, {}{}",
        machine.cpu,
        machine.cpus,
        machine.kernel,
        load.unwrap_or_default()
    );
    [results.program.clone(), machine].into_iter().chain(results.conditions.clone()).collect()
}

/// How to read the tables.
pub(super) fn legend(mark: &str) -> Vec<String> {
    vec![
        "medians over the rounds (lowest–highest, × ratio to the base)".to_owned(),
        "A/A: how far the engine differed from itself; smaller differences are noise".to_owned(),
        format!("{mark}: the best by more than the noise; floors and further modes are not ranked"),
    ]
}

/// What the figures of several scenarios are put in relation to.
pub(super) fn bases(scenarios: &[&ScenarioResults]) -> Vec<String> {
    let mut bases: Vec<&str> = scenarios.iter().filter_map(|one| one.base.as_deref()).collect();
    bases.dedup();
    if bases.is_empty() { Vec::new() } else { vec![format!("base: {}", bases.join(" or "))] }
}

/// What the figures of a scenario are compared with, and why they rank nobody or are missing.
pub(super) fn remarks(scenario: &ScenarioResults) -> Vec<String> {
    let base = bases(&[scenario]).into_iter();
    let noise = scenario.figures.first().and_then(|key| {
        Some(format!("A/A in {}: ± {}", key.title, units::percent(scenario.noise(&key.id)?)))
    });
    base.chain(noise).chain(doubts(scenario, "")).collect()
}

/// Why the figures of a scenario rank nobody, or are missing. With the scenario's title if given.
pub(super) fn doubts(scenario: &ScenarioResults, title: &str) -> Vec<String> {
    let title = if title.is_empty() { String::new() } else { format!("{title}: ") };
    let doubt = scenario.doubt.iter().map(|doubt| format!("{title}{doubt}"));
    let failures = scenario.entrants.iter().filter_map(|entrant| {
        Some(format!("{title}{} failed: {}", entrant.name, entrant.failure.as_ref()?))
    });
    doubt.chain(failures).collect()
}

/// A target, and whether it was reached.
pub(super) fn verdict(verdict: &Verdict) -> String {
    let Verdict { scenario, entrant, figure, other, value, unit, bound, outcome } = verdict;
    let relation = match (other, unit) {
        (None, _) => String::new(),
        (Some(other), Unit::Ratio) => format!(" to {other}"),
        (Some(other), _) => format!(" above that of {other}"),
    };
    let text = |value| units::value(*unit, value);
    let (median, lowest, highest) = (text(value.median), text(value.lowest), text(value.highest));
    let limit = match bound {
        Bound::AtMost(limit) => format!("at most {}", text(*limit)),
        Bound::AtLeast(limit) => format!("at least {}", text(*limit)),
    };
    let outcome = match outcome {
        Outcome::Reached => "reached",
        Outcome::Missed => "missed",
        Outcome::Uncertain => "uncertain",
    };
    let subject = format!("{scenario}: {} of {entrant}{relation}", figure.title);
    format!("{subject}: {median} ({lowest} to {highest}), target {limit}: {outcome}")
}
