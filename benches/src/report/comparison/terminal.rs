//! The report as lines of text.

use std::collections::BTreeMap;

use super::entry::Entry;
use super::spread::Spread;
use super::{ComparisonReport, ScenarioReport, words};
use crate::compare::Metric;
use crate::report::table::{align, push_blocks};
use crate::report::text;

/// Figures that have a column if any entrant has them.
const COLUMNS: [Metric; 16] = [
    Metric::Rate,
    Metric::P50,
    Metric::P99,
    Metric::P999,
    Metric::Max,
    Metric::BystanderP50,
    Metric::BystanderP99,
    Metric::BystanderP999,
    Metric::ServerCpu,
    Metric::Memory,
    Metric::Tables,
    Metric::SystemCalls,
    Metric::Publish,
    Metric::ServerShare,
    Metric::LoadShare,
    Metric::Stolen,
];

pub(super) fn render(report: &ComparisonReport) -> String {
    let mut out = report.header.lines();
    for scenario in &report.scenarios {
        out.push_str(&format!("\n{}\n", heading(scenario)));
        out.push_str(&align(&rows(scenario)));
    }
    let verdicts: Vec<String> = report.targets.iter().map(super::Verdict::sentence).collect();
    push_blocks(&mut out, &[&verdicts, &report.not_first(), &report.notes]);
    out
}

/// The title, and how much the engine differs from itself.
fn heading(scenario: &ScenarioReport) -> String {
    let noise = noise(scenario).map(|noise| format!("; {noise}")).unwrap_or_default();
    format!("{}{noise}", title(scenario))
}

/// The title, with the rate of an open loop.
pub(super) fn title(scenario: &ScenarioReport) -> String {
    let rate = scenario.rate.map(|rate| format!(", {} messages/s", text::count(rate)));
    format!("{}{}", scenario.title, rate.unwrap_or_default())
}

/// How much the engine differs from itself in the scenario's key figure.
pub(super) fn noise(scenario: &ScenarioReport) -> Option<String> {
    let noise = scenario.noise.get(&scenario.key)?;
    let what = words::name(scenario.key, scenario.kind);
    Some(format!("A/A in {what}: {}", words::ratio(*noise)))
}

/// The cells of a scenario's table, with its head first.
pub(super) fn rows(scenario: &ScenarioReport) -> Vec<Vec<String>> {
    let metrics: Vec<Metric> = COLUMNS.into_iter().filter(|&one| scenario.has(one)).collect();
    let key = words::name(scenario.key, scenario.kind);
    let bases: Vec<(&str, Ratios)> = [("ws-floor", to_ws_floor as Ratios), ("floor", to_floor)]
        .into_iter()
        .filter(|(_, ratios)| {
            scenario.entries.iter().any(|one| ratios(one).contains_key(&scenario.key))
        })
        .collect();
    let mut head = vec![String::new()];
    head.extend(metrics.iter().map(|&metric| words::name(metric, scenario.kind)));
    head.extend(bases.iter().map(|(name, _)| format!("{key} to {name}")));
    let mut rows = vec![head];
    rows.extend(scenario.entries.iter().map(|entry| {
        let figure = |&metric: &Metric| {
            entry.median(metric).map_or_else(none, |value| words::value(metric, value))
        };
        let ratio = |(_, ratios): &(&str, Ratios)| {
            ratios(entry).get(&scenario.key).map_or_else(none, |&ratio| words::ratio(ratio))
        };
        let name = [entry.name.clone()];
        name.into_iter().chain(metrics.iter().map(figure)).chain(bases.iter().map(ratio)).collect()
    }));
    rows
}

/// The ratios to one of the floors.
type Ratios = fn(&Entry) -> &BTreeMap<Metric, Spread>;

fn to_ws_floor(entry: &Entry) -> &BTreeMap<Metric, Spread> {
    &entry.to_ws_floor
}

fn to_floor(entry: &Entry) -> &BTreeMap<Metric, Spread> {
    &entry.to_floor
}

fn none() -> String {
    "-".to_owned()
}
