//! The report as one self-contained page.

use super::verdict::Verdict;
use super::{ComparisonReport, Described, ScenarioReport, bars, terminal, words};
use crate::compare::{Metric, Role};
use crate::report::html::{document, escape, list, table_of};
use crate::report::plot::{self, Series};

pub(super) fn render(report: &ComparisonReport) -> String {
    let mut body = head(report);
    body.push_str(&targets(&report.targets));
    body.push_str(&overview(report));
    let not_first = report.not_first();
    if !not_first.is_empty() {
        body.push_str("<h2>Where the engine is not the first</h2>\n");
        body.push_str(&list(&not_first, "notes"));
    }
    body.push_str(&list(&report.notes, "notes"));
    let mut group = "";
    for scenario in &report.scenarios {
        if scenario.group != group {
            group = scenario.group;
            body.push_str(&format!("<h2 class=\"group\">{}</h2>\n", escape(group)));
        }
        body.push_str(&section(scenario));
    }
    body.push_str(&format!(
        "<footer>\n<p>Bars are medians over the rounds, their whiskers go from the lowest round \
         to the highest, the upright mark is where the bar of the WebSocket floor ends (of events, \
         that of the floor), and × is the ratio to it in the same rounds. Curves have all rounds \
         together; both axes are logarithmic, and the higher the percentile, the more room it \
         has.</p>\n<p>Again:</p>\n<pre>{}</pre>\n</footer>\n",
        escape(&report.header.command)
    ));
    document("eventwire compared", STYLE, &body)
}

const STYLE: &str = include_str!("../comparison.css");

fn head(report: &ComparisonReport) -> String {
    let entrants: String = report.entrants.iter().map(described).collect();
    format!(
        "<header>\n<h1>eventwire compared <small>{}</small></h1>\n<p>{}</p>\n{}\
         <ul class=\"entrants\">\n{entrants}</ul>\n</header>\n",
        escape(report.header.version),
        escape(&report.header.machine.summary()),
        list(&report.header.settings, "settings"),
    )
}

fn described(entrant: &Described) -> String {
    format!(
        "<li><i class=\"swatch {}\"></i><b>{}</b> {}</li>\n",
        entrant.class,
        escape(&entrant.name),
        escape(&entrant.what)
    )
}

/// The number of reached targets, and the list of all targets.
fn targets(targets: &[Verdict]) -> String {
    if targets.is_empty() {
        return String::new();
    }
    let count = |reached, sure| {
        targets.iter().filter(|one| (one.reached, one.sure) == (reached, sure)).count()
    };
    let tiles = [
        ("met", count(true, true), "reached"),
        ("doubtful", count(true, false), "reached, within the noise"),
        ("doubtful", count(false, false), "missed, within the noise"),
        ("missed", count(false, true), "missed"),
    ];
    let tiles: String = tiles
        .iter()
        .map(|(class, count, what)| {
            format!("<span class=\"tile {class}\"><b>{count}</b> {what}</span>\n")
        })
        .collect();
    let items: String = targets.iter().map(verdict).collect();
    format!(
        "<h2>Targets</h2>\n<p class=\"tiles\">\n{tiles}</p>\n\
         <details>\n<summary>Each of them</summary>\n<ul class=\"verdicts\">\n{items}</ul>\n\
         </details>\n"
    )
}

fn verdict(verdict: &Verdict) -> String {
    let class = match (verdict.reached, verdict.sure) {
        (true, true) => "met",
        (false, true) => "missed",
        (_, false) => "doubtful",
    };
    format!("<li class=\"{class}\">{}</li>\n", escape(&verdict.sentence()))
}

/// A table of all ratios to the WebSocket floor.
fn overview(report: &ComparisonReport) -> String {
    let columns: Vec<&Described> = report
        .entrants
        .iter()
        .filter(|one| !matches!(one.role, Role::Mode(_) | Role::WsFloor))
        .collect();
    let compared = report.scenarios.iter().filter(|scenario| {
        scenario.entries.iter().any(|entry| entry.to_ws_floor.contains_key(&scenario.key))
    });
    let rows: String = compared.map(|scenario| overview_row(scenario, &columns)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let names: String = columns
        .iter()
        .map(|column| format!("<th scope=\"col\">{}</th>", escape(&column.name)))
        .collect();
    format!(
        "<h2>To the WebSocket floor</h2>\n<div class=\"wide\">\n<table class=\"heat\">\n\
         <tr><th></th><th scope=\"col\">figure</th>{names}</tr>\n{rows}</table>\n</div>\n"
    )
}

fn overview_row(scenario: &ScenarioReport, columns: &[&Described]) -> String {
    let cells: String = columns
        .iter()
        .map(|column| {
            let entry = scenario.entries.iter().find(|entry| entry.name == column.name);
            let ratio = entry.and_then(|entry| entry.to_ws_floor.get(&scenario.key));
            let Some(ratio) = ratio else {
                return "<td>–</td>".to_owned();
            };
            format!(
                "<td class=\"{}\">{}</td>",
                heat(scenario.key, ratio.median),
                words::times(ratio.median)
            )
        })
        .collect();
    format!(
        "<tr><th scope=\"row\"><a href=\"#{}\">{}</a></th><td>{}</td>{cells}</tr>\n",
        scenario.id,
        escape(scenario.title),
        escape(&words::name(scenario.key, scenario.kind)),
    )
}

/// The CSS class of a ratio: how much worse than 1 it is.
fn heat(metric: Metric, ratio: f64) -> &'static str {
    let ratio = if metric.is_gain() { 1.0 / ratio } else { ratio };
    match ratio {
        ..1.05 => "heat-0",
        ..1.15 => "heat-1",
        ..1.5 => "heat-2",
        ..3.0 => "heat-3",
        _ => "heat-4",
    }
}

fn section(scenario: &ScenarioReport) -> String {
    let mut figures: Vec<String> =
        shown(scenario).into_iter().map(|metric| bars::render(scenario, metric)).collect();
    figures.push(curves(scenario));
    let noise = terminal::noise(scenario).map(|noise| format!("<p>{}</p>\n", escape(&noise)));
    format!(
        "<section id=\"{}\">\n<h3>{}</h3>\n{}<div class=\"columns\">\n{}</div>\n\
         <details>\n<summary>Figures</summary>\n{}</details>\n</section>\n",
        scenario.id,
        escape(&terminal::title(scenario)),
        noise.unwrap_or_default(),
        figures.concat(),
        table_of(&terminal::rows(scenario)),
    )
}

/// The figures with bars: first the scenario's key figure, then its cost.
fn shown(scenario: &ScenarioReport) -> Vec<Metric> {
    let has_modes = scenario.entries.iter().any(|entry| matches!(entry.role, Role::Mode(_)));
    let is_wanted = |metric: &Metric| match metric {
        Metric::Rate => scenario.key == Metric::ServerCpu,
        Metric::P50 => scenario.key == Metric::P99,
        Metric::ServerShare => has_modes,
        _ => true,
    };
    let others = [
        Metric::ServerCpu,
        Metric::Rate,
        Metric::P50,
        Metric::BystanderP99,
        Metric::BystanderP999,
        Metric::SystemCalls,
        Metric::ServerShare,
    ];
    let others = others.into_iter().filter(is_wanted).filter(|&metric| metric != scenario.key);
    [scenario.key].into_iter().chain(others).filter(|&metric| scenario.has(metric)).collect()
}

fn curves(scenario: &ScenarioReport) -> String {
    let series = |curve: fn(&super::Entry) -> &crate::report::curve::Curve| {
        let filled = scenario.entries.iter().filter(move |one| !curve(one).points.is_empty());
        filled
            .map(|entry| Series { name: &entry.name, class: &entry.class, curve: curve(entry) })
            .collect::<Vec<_>>()
    };
    let plots = [
        ("Latency by percentile", series(|entry| &entry.percentiles)),
        ("Bystander's latency by percentile", series(|entry| &entry.bystander_percentiles)),
    ];
    plots
        .iter()
        .filter(|(_, series)| !series.is_empty())
        .map(|(caption, series)| {
            format!(
                "<figure>\n<figcaption>{caption}</figcaption>\n<div class=\"wide\">\n{}</div>\n\
                 </figure>\n",
                plot::render_small(series)
            )
        })
        .collect()
}
