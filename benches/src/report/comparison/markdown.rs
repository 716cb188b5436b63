//! The report as a Markdown page: `benches/comparison.md`.

use super::entry::Entry;
use super::{ComparisonReport, Described, ScenarioReport, words};
use crate::compare::{ENGINE, Metric, Role};

/// The page's introduction, above the tables.
const INTRODUCTION: &str = concat!(
    "# The comparison with other libraries\n\n",
    "One full run of `eventwire-bench compare`. [README.md](README.md) says who takes part, ",
    "how to read the\ntables, and how to run it again.\n\n",
    "Each figure is the median over the rounds; in parentheses stands its ratio to `ws-floor` ",
    "in the same rounds.\nThe best ratio, floors excluded, is bold. ",
    "`A/A` is how far the engine differed from itself: smaller\ndifferences are noise.\n",
);

pub(super) fn render(report: &ComparisonReport) -> String {
    let mut out = INTRODUCTION.to_owned();
    let columns: Vec<&Described> = report.entrants.iter().filter(|one| is_column(one)).collect();
    if !report.scenarios.is_empty() {
        out.push('\n');
        out.push_str(&table(&figures(report, &columns, None)));
    }
    let calls = figures(report, &columns, Some(Metric::SystemCalls));
    if calls.len() > 1 {
        out.push_str("\nSystem calls of the servers:\n\n");
        out.push_str(&table(&calls));
    }
    let not_first = report.not_first();
    if !not_first.is_empty() {
        out.push_str("\nWhere the engine is not the first:\n\n");
        out.extend(not_first.iter().map(|line| format!("- {}\n", escape(line))));
    }
    let modes = modes(report);
    if modes.len() > 1 {
        out.push_str("\nThe engine's idle modes, and what they cost:\n\n");
        out.push_str(&table(&modes));
    }
    if !report.targets.is_empty() {
        out.push_str("\nThe engine's targets:\n\n");
        out.push_str(&table(&targets(report)));
    }
    out.push('\n');
    let machine = report.header.machine.summary();
    let lines = [machine].into_iter().chain(report.header.settings.iter().cloned());
    for line in lines.chain(report.entrants.iter().map(described)).chain(report.notes.clone()) {
        out.push_str(&format!("- {}\n", escape(&line)));
    }
    out.push_str(&format!("\n```sh\n{}\n```\n", report.header.command.replace("```", "")));
    out
}

fn is_column(entrant: &Described) -> bool {
    !matches!(entrant.role, Role::Again | Role::Mode(_))
}

fn described(entrant: &Described) -> String {
    format!("{}: {}", entrant.name, entrant.what)
}

/// A row for each scenario, with its key figure; or for each scenario that has the other figure,
/// with that one.
fn figures(
    report: &ComparisonReport,
    columns: &[&Described],
    other: Option<Metric>,
) -> Vec<Vec<String>> {
    let mut head = vec!["scenario".to_owned(), "figure".to_owned()];
    head.extend(columns.iter().map(|column| escape(&column.name)));
    head.push("A/A".to_owned());
    let mut rows = vec![head];
    let has_figure = |scenario: &&ScenarioReport| other.is_none_or(|other| scenario.has(other));
    for scenario in report.scenarios.iter().filter(has_figure) {
        let metric = other.unwrap_or(scenario.key);
        let best = best(scenario, metric);
        let mut row = vec![escape(scenario.title)];
        row.push(escape(&words::name(metric, scenario.kind)));
        row.extend(columns.iter().map(|column| {
            let entry = scenario.entries.iter().find(|entry| entry.name == column.name);
            entry.map_or_else(none, |entry| {
                let is_best = best.is_some() && scenario.standing(entry, metric) == best;
                cell(metric, entry, is_best)
            })
        }));
        let noise = scenario.noise.get(&metric);
        row.push(noise.map_or_else(none, |noise| format!("± {}", words::percent(noise.apart()))));
        rows.push(row);
    }
    rows
}

fn cell(metric: Metric, entry: &Entry, is_best: bool) -> String {
    let Some(median) = entry.median(metric) else {
        return none();
    };
    let mut text = words::value(metric, median);
    if is_judged(entry) && is_best {
        text = format!("**{text}**");
    }
    match entry.to_ws_floor.get(&metric) {
        Some(ratio) if entry.role != Role::WsFloor => {
            format!("{text} ({})", words::times(ratio.median))
        }
        _ => text,
    }
}

/// Whether the entrant is compared. Floors are the reference.
fn is_judged(entry: &Entry) -> bool {
    matches!(entry.role, Role::Engine | Role::Peer)
}

/// The best standing of the compared entrants, if there are several.
fn best(scenario: &ScenarioReport, metric: Metric) -> Option<f64> {
    let judged = scenario.entries.iter().filter(|entry| is_judged(entry));
    let standings: Vec<f64> = judged.filter_map(|entry| scenario.standing(entry, metric)).collect();
    let pick = if metric.is_gain() { f64::max } else { f64::min };
    standings.iter().copied().reduce(pick).filter(|_| standings.len() > 1)
}

/// A row for each scenario and idle mode of the engine, with its CPU time.
fn modes(report: &ComparisonReport) -> Vec<Vec<String>> {
    const METRICS: [Metric; 4] = [Metric::P50, Metric::P99, Metric::ServerCpu, Metric::ServerShare];
    let head = ["scenario", "mode", "p50", "p99", "CPU/message", "server CPU"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for scenario in &report.scenarios {
        let is_mode = |entry: &Entry| matches!(entry.role, Role::Mode(_));
        if !scenario.entries.iter().any(is_mode) {
            continue;
        }
        for entry in scenario.entries.iter().filter(|one| is_mode(one) || one.name == ENGINE) {
            let mode = match entry.role {
                Role::Mode(idle) => idle.name(),
                _ => "block",
            };
            let mut row = vec![escape(scenario.title), mode.to_owned()];
            row.extend(METRICS.map(|metric| {
                entry.median(metric).map_or_else(none, |value| words::value(metric, value))
            }));
            rows.push(row);
        }
    }
    rows
}

fn targets(report: &ComparisonReport) -> Vec<Vec<String>> {
    let head = ["scenario", "figure", "target", "median (rounds)", "A/A", "outcome"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for verdict in &report.targets {
        let [median, lowest, highest] =
            [verdict.value.median, verdict.value.lowest, verdict.value.highest]
                .map(|value| verdict.number(value));
        rows.push(vec![
            escape(verdict.title),
            escape(&verdict.subject()),
            verdict.limit(),
            format!("{median} ({lowest}-{highest})"),
            verdict.noise.map_or_else(none, |noise| format!("± {}", words::percent(noise))),
            verdict.outcome().to_owned(),
        ]);
    }
    rows
}

fn none() -> String {
    "–".to_owned()
}

/// Aligns text to the left and figures to the right.
fn table(rows: &[Vec<String>]) -> String {
    const TEXT_COLUMNS: usize = 2;
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        out.push_str(&format!("| {} |\n", row.join(" | ")));
        if index == 0 {
            let rule = |column| if column < TEXT_COLUMNS { "---" } else { "---:" };
            let rules: Vec<&str> = (0..row.len()).map(rule).collect();
            out.push_str(&format!("| {} |\n", rules.join(" | ")));
        }
    }
    out
}

/// Escapes Markdown, so that a name is shown as it is.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '*' | '_' | '[' | ']' | '`' | '\\' => escaped.extend(['\\', c]),
            '<' => escaped.push_str("&lt;"),
            '\n' | '\r' => escaped.push(' '),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_repository_has_the_introduction_that_is_written() {
        let page = include_str!("../../../comparison.md");
        assert!(page.starts_with(INTRODUCTION), "{INTRODUCTION}");
    }

    #[test]
    fn names_cannot_become_markup() {
        assert_eq!(escape("a|b *c* <d>\n`e`"), "a\\|b \\*c\\* &lt;d> \\`e\\`");
    }

    #[test]
    fn a_table_has_a_rule_below_its_head() {
        let rows = [["a", "b", "c"], ["1", "2", "3"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "| a | b | c |\n| --- | --- | ---: |\n| 1 | 2 | 3 |\n");
    }
}
