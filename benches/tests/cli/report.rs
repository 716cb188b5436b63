//! The run without a command: its table, its JSON, its page.

use serde_json::Value;

use super::program::run;
use super::scratch::Scratch;

const SCENARIOS: [&str; 5] =
    ["round-trip", "connections-100", "pipelined", "broadcast-100", "broadcast-1000"];

#[test]
fn the_run_without_a_command_measures_everything_beside_the_floor() {
    let (json, html) = (Scratch::new("report.json"), Scratch::new("report.html"));
    let output = run(&["--quick", "--json", json.path(), "--html", html.path()]);
    output.assert_success();
    for part in [
        "messages/s",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "floor p50",
        "p50 ratio",
        "rate ratio",
        "1 connection",
        "100 connections",
        "64 deep",
        "broadcast to 100,",
        "broadcast to 1,000,",
        "target at most 1.05: ",
        "target at least 0.93: ",
    ] {
        assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
    }
    let report: Value = serde_json::from_str(&json.read()).unwrap();
    let scenarios = report["scenarios"].as_array().unwrap();
    let ids: Vec<&str> = scenarios.iter().filter_map(|one| one["id"].as_str()).collect();
    assert_eq!(ids, SCENARIOS);
    for scenario in scenarios {
        assert_side(&scenario["server"]);
        assert_side(&scenario["floor"]);
        for ratio in ["median_ratio", "throughput_ratio"] {
            assert!(scenario[ratio]["median"].as_f64().unwrap() > 0.0, "{scenario}");
        }
        let broadcast = scenario["id"].as_str().unwrap().starts_with("broadcast");
        assert_eq!(scenario["server"]["last_receiver_ns"].is_object(), broadcast);
    }
    assert_page(&html.read(), 5);
}

/// Checks what holds on any machine.
fn assert_side(side: &Value) {
    assert!(side["messages_per_second"].as_f64().unwrap() > 0.0, "{side}");
    let latency = &side["latency_ns"];
    let values =
        ["min", "p50", "p90", "p99", "p99.9", "max"].map(|name| latency[name].as_u64().unwrap());
    assert!(values[0] > 0 && values.is_sorted(), "{latency}");
    assert!(!side["percentiles"].as_array().unwrap().is_empty(), "{side}");
}

/// Checks that the page is self-contained.
fn assert_page(page: &str, plots: usize) {
    assert!(page.starts_with("<!doctype html>"));
    assert_eq!(page.matches("<svg ").count(), plots);
    assert!(page.contains("prefers-color-scheme: dark"));
    for outside in ["http:", "https:", "src=", "href=", "@import", "url(", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn the_floor_can_be_left_out() {
    let json = Scratch::new("no-floor.json");
    let output = run(&["--quick", "--no-floor", "--idle", "block", "--json", json.path()]);
    output.assert_success();
    assert!(!output.stdout.contains("ratio"), "{}", output.stdout);
    let report: Value = serde_json::from_str(&json.read()).unwrap();
    for scenario in report["scenarios"].as_array().unwrap() {
        assert_side(&scenario["server"]);
        assert!(scenario["floor"].is_null());
    }
}

#[test]
fn one_load_reports_in_the_same_form() {
    let url = super::websocket::serve(super::websocket::Manner::Echo);
    let (json, html) = (Scratch::new("echo.json"), Scratch::new("echo.html"));
    let files = ["--json", json.path(), "--html", html.path()];
    run(&[&["echo", "--url", &url, "-t", "0.2"], &files[..]].concat()).assert_success();
    let report: Value = serde_json::from_str(&json.read()).unwrap();
    let scenario = &report["scenarios"][0];
    assert_eq!(scenario["id"], "echo");
    assert_side(&scenario["server"]);
    assert_page(&html.read().replace(&url, ""), 1);
}
