use std::time::Duration;

use super::*;
use crate::compare::scenario_named;
use crate::contestants::Contestant;
use crate::load::no_latencies;

const NASTY: &str = "<b>|`peer`";

fn entrants() -> Vec<Entrant> {
    let chosen = [Contestant::Eventwire, Contestant::Floor, Contestant::WsFloor];
    Entrant::all(&chosen, &[format!("{NASTY}=ws://127.0.0.1:1").parse().unwrap()])
}

/// Three rounds in which all latencies are `nanoseconds`, give or take a little, and every message
/// costs half of that.
fn rounds(nanoseconds: u64) -> Vec<Outcome> {
    let round = |latency_of_all| {
        let mut latency = no_latencies();
        latency.record_n(latency_of_all, 1000).unwrap();
        Outcome {
            count: 1000,
            time: Duration::from_secs(1),
            latency: Some(latency),
            server_cpu: Some(Duration::from_nanos(latency_of_all * 500)),
            ..Outcome::default()
        }
    };
    [nanoseconds, nanoseconds + 10, nanoseconds - 10].map(round).to_vec()
}

/// A round trip in which each entrant, by its name, has the latency given.
fn report(latency: impl Fn(&str) -> u64) -> ComparisonReport {
    let entrants = entrants();
    let mut report = ComparisonReport::new(vec!["how <it> was".to_owned()], &entrants);
    let scenario = scenario_named("round-trip-128").unwrap();
    let admitted: Vec<&Entrant> =
        entrants.iter().filter(|entrant| scenario.admits(entrant)).collect();
    let rounds = admitted.into_iter().map(|one| (one, Ok(rounds(latency(&one.name)))));
    report.add(scenario, None, rounds.collect());
    report
}

/// The engine a tenth above the floor, and equal to itself.
fn slow() -> ComparisonReport {
    report(|name| match name {
        FLOOR | WS_FLOOR => 1000,
        NASTY => 1050,
        _ => 1100,
    })
}

fn verdict(report: &ComparisonReport, metric: Metric) -> &Verdict {
    report.targets.iter().find(|target| target.metric == metric).unwrap()
}

#[test]
fn ratios_are_to_the_floors_in_the_same_rounds() {
    let report = slow();
    let scenario = &report.scenarios[0];
    let engine = scenario.entry(ENGINE).unwrap();
    for ratios in [&engine.to_floor, &engine.to_ws_floor] {
        assert!((ratios[&Metric::P50].median - 1.1).abs() < 0.01);
        assert!((ratios[&Metric::ServerCpu].median - 1.1).abs() < 0.01);
    }
    assert!(scenario.noise[&Metric::P50].apart() < 1e-9);
    assert!(scenario.noise.keys().all(|metric| metric.is_compared()));
}

#[test]
fn a_target_beyond_the_noise_is_surely_missed() {
    let report = slow();
    let p50 = verdict(&report, Metric::P50);
    assert!(!p50.reached && p50.sure, "{p50:?}");
    assert_eq!(p50.outcome(), "missed");
    assert_eq!((p50.rounds_within, p50.rounds), (0, 3));
}

#[test]
fn a_target_within_the_noise_is_uncertain() {
    let report = report(|name| match name {
        ENGINE => 1040,
        AGAIN => 1140,
        _ => 1000,
    });
    let p50 = verdict(&report, Metric::P50);
    assert!(!p50.reached && !p50.sure, "{p50:?}");
    assert!(p50.sentence().ends_with("missed, within the noise"), "{}", p50.sentence());
    let p99 = verdict(&report, Metric::P99);
    assert!(p99.reached && !p99.sure, "{p99:?}");
}

#[test]
fn who_failed_is_told_and_missing_everywhere_else() {
    let entrants = entrants();
    let mut report = ComparisonReport::new(Vec::new(), &entrants);
    let scenario = scenario_named("round-trip-128").unwrap();
    let rounds = entrants.iter().map(|entrant| match entrant.name.as_str() {
        FLOOR => (entrant, Err("it <broke>".to_owned())),
        _ => (entrant, Ok(rounds(1000))),
    });
    report.add(scenario, None, rounds.collect());
    assert!(report.scenarios[0].entry(FLOOR).is_none());
    assert_eq!(report.scenarios[0].failures[FLOOR], "it <broke>");
    assert!(report.targets.iter().all(|target| target.of.as_deref() != Some(FLOOR)));
    assert!(report.table().contains("floor failed: it <broke>"));
    assert!(report.table().contains("a target in p99 is not evaluated"));
    assert!(report.page().unwrap().contains("floor failed: it &lt;broke&gt;"));
}

#[test]
fn whoever_is_before_the_engine_is_named_in_every_form() {
    let report = slow();
    let sentence = format!("{NASTY} is ahead of the engine in p50, 1.05 against 1.10 of ws-floor");
    assert!(report.table().contains(&sentence), "{}", report.table());
    assert!(report.markdown().unwrap().contains("Where the engine is not the first"));
    assert!(
        report
            .page()
            .unwrap()
            .contains("ahead of the engine in p50, 1.05 against 1.10 of ws-floor")
    );
    let first = report_of_equals();
    assert!(!first.table().contains("ahead of the engine"), "{}", first.table());
}

#[test]
fn who_is_before_whom_is_judged_in_the_same_rounds() {
    // The machine halves its speed when three of five rounds are over, in the middle of a round.
    let entrants = entrants();
    let mut report = ComparisonReport::new(Vec::new(), &entrants);
    let scenario = scenario_named("round-trip-128").unwrap();
    let rounds = entrants.iter().map(|entrant| {
        let (latency, fast) = match entrant.name.as_str() {
            NASTY => (1100, 3),
            ENGINE | AGAIN => (1050, 2),
            _ => (1000, 2),
        };
        let speed = |round| if round < fast { 1 } else { 2 };
        let round = |round: u64| rounds(latency * speed(round)).swap_remove(0);
        (entrant, Ok((0..5).map(round).collect()))
    });
    report.add(scenario, None, rounds.collect());
    let peer = report.scenarios[0].entry(NASTY).unwrap().median(Metric::P50).unwrap();
    assert!(peer < report.scenarios[0].entry(ENGINE).unwrap().median(Metric::P50).unwrap());
    let markdown = report.markdown().unwrap();
    assert!(markdown.contains("| **2.10 µs** (1.05) | 1.10 µs (1.10) |"), "{markdown}");
    assert!(!report.table().contains("ahead of the engine"), "{}", report.table());
}

fn report_of_equals() -> ComparisonReport {
    report(|_| 1000)
}

#[test]
fn the_text_has_everybody_and_every_target() {
    let table = slow().table();
    for part in ["1 connection, 128 B; A/A in p50: 1.00", ENGINE, AGAIN, WS_FLOOR, NASTY, "1.10 ("]
    {
        assert!(table.contains(part), "{part}\n{table}");
    }
    assert!(table.contains("p50 of eventwire to floor 1.10 ("), "{table}");
}

#[test]
fn the_markdown_is_tables_in_which_names_are_but_names() {
    let markdown = slow().markdown().unwrap();
    let row = markdown.lines().find(|line| line.starts_with("| 1 connection, 128 B |")).unwrap();
    assert!(row.contains("| 1.10 µs (1.10) |"), "{row}");
    assert!(row.contains("| **1.05 µs** (1.05) |"), "{row}");
    assert!(markdown.contains(r"&lt;b>\|\`peer\`"), "{markdown}");
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let head = markdown.lines().find(|line| line.starts_with("| scenario |")).unwrap();
    assert_eq!(columns(head), columns(row));
}

#[test]
fn the_page_is_whole_and_names_are_but_names() {
    let page = slow().page().unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert!(!page.contains("<b>|"), "{page}");
    assert!(page.contains("&lt;b&gt;|`peer`") && page.contains("how &lt;it&gt; was"));
    for element in ["svg", "figure", "section", "table", "details", "div", "ul", "span", "h2"] {
        let opened = page.matches(&format!("<{element} ")).count()
            + page.matches(&format!("<{element}>")).count();
        assert_eq!(opened, page.matches(&format!("</{element}>")).count(), "{element}");
        assert!(opened > 0, "{element}");
    }
    for outside in ["http:", "https:", "src=", "@import", "url(", "<script", "NaN"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn the_json_has_figures_by_their_names() {
    let json = serde_json::to_value(slow()).unwrap();
    let scenario = &json["scenarios"][0];
    assert_eq!(scenario["key"], "p50_ns");
    assert_eq!(scenario["entries"][0]["figures"]["per_second"]["median"], 1000.0);
    assert_eq!(scenario["entries"][0]["rounds"].as_array().unwrap().len(), 3);
    assert!(scenario["noise"]["p50_ns"]["median"].is_number());
    assert!(json["targets"][0]["reached"].is_boolean());
}
