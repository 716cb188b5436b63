//! The comparison: its entrants, and its reports.

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::program::{Running, run};
use super::scratch::Scratch;
use super::websocket::{Manner, serve};

/// Long enough for some echoes.
const MOMENT: [&str; 2] = ["--seconds-per-round", "0.05"];

fn names(entries: &Value) -> Vec<&str> {
    entries.as_array().unwrap().iter().filter_map(|entry| entry["name"].as_str()).collect()
}

fn scenario<'a>(report: &'a Value, id: &str) -> &'a Value {
    let scenarios = report["scenarios"].as_array().unwrap();
    scenarios.iter().find(|scenario| scenario["id"] == id).unwrap()
}

fn compare(arguments: &[&str]) -> (String, Value) {
    let json = Scratch::new(&format!("compare-{}.json", arguments.concat().len()));
    let files = ["--json", json.path()];
    let output = run(&[&["compare"], arguments, &MOMENT, &files].concat());
    output.assert_success();
    (output.stdout, serde_json::from_str(&json.read()).unwrap())
}

/// Checks what holds on any machine.
fn assert_entry(entry: &Value) {
    let figure = |name: &str| entry["figures"][name]["median"].as_f64();
    assert!(figure("per_second").unwrap() > 0.0, "{entry}");
    let percentiles = ["p50_ns", "p99_ns", "p99.9_ns", "max_ns"].map(|name| figure(name).unwrap());
    assert!(percentiles[0] > 0.0 && percentiles.is_sorted(), "{entry}");
    assert_eq!(entry["rounds"].as_array().unwrap().len(), 5);
    assert!(!entry["percentiles"].as_array().unwrap().is_empty());
    let ratio = &entry["to_ws_floor"]["p50_ns"];
    let [lowest, median, highest] =
        ["lowest", "median", "highest"].map(|name| ratio[name].as_f64().unwrap());
    assert!(0.0 < lowest && lowest <= median && median <= highest, "{ratio}");
}

#[test]
fn everybody_of_the_program_is_compared_in_four_forms() {
    let (html, markdown) = (Scratch::new("compare.html"), Scratch::new("compare.md"));
    let (stdout, report) = compare(&[
        "--only",
        "round-trip-128,open-100-30,broadcast-100-k16,flood,handshakes,publish-cost",
        "--contestants",
        "eventwire,floor,ws-floor",
        "--html",
        html.path(),
        "--markdown",
        markdown.path(),
    ]);
    let engine = ["eventwire", "eventwire (again)"];
    let (modes, floors) = (["eventwire (adaptive)", "eventwire (busy)"], ["ws-floor", "floor"]);
    let round_trip = scenario(&report, "round-trip-128");
    assert_eq!(names(&round_trip["entries"]), [engine, modes, floors].concat());
    let open_loop = scenario(&report, "open-100-30");
    assert_eq!(names(&open_loop["entries"]), [engine, floors].concat());
    for scenario in [round_trip, open_loop] {
        scenario["entries"].as_array().unwrap().iter().for_each(assert_entry);
        assert!(scenario["noise"]["p50_ns"]["median"].as_f64().unwrap() > 0.0);
        assert_eq!(scenario["failures"], serde_json::json!({}));
    }
    assert!(open_loop["rate"].as_f64().unwrap() > 0.0);
    let broadcast = scenario(&report, "broadcast-100-k16");
    for entry in broadcast["entries"].as_array().unwrap() {
        assert_entry(entry);
        assert!(entry["figures"]["bystander_p50_ns"]["median"].as_f64().unwrap() > 0.0, "{entry}");
    }
    assert_entry(&scenario(&report, "flood")["entries"][0]);
    let handshakes = scenario(&report, "handshakes");
    assert_eq!(names(&handshakes["entries"]), [engine.as_slice(), &["ws-floor"]].concat());
    assert_entry(&handshakes["entries"][0]);
    let cost = scenario(&report, "publish-cost");
    assert!(cost["entries"][0]["figures"]["publish_ns"]["median"].as_f64().unwrap() > 0.0);
    let targets = report["targets"].as_array().unwrap();
    assert_eq!(targets.len(), 5);
    assert!(targets.iter().all(|target| target["rounds"] == 5));
    assert!(stdout.contains("1 connection, 128 B; A/A in p50: "), "{stdout}");
    assert!(markdown.read().contains("| 1 connection, 128 B | p50 | "), "{}", markdown.read());
    let page = html.read();
    assert!(page.starts_with("<!doctype html>") && page.contains("prefers-color-scheme: dark"));
    for outside in ["http:", "https:", "src=", "@import", "url(", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn servers_elsewhere_take_part_and_those_that_are_not_there_fail_alone() {
    let url = serve(Manner::Echo);
    let (peer, nobody) = (format!("peer={url}"), "nobody=ws://127.0.0.1:1");
    let contestants = ["--contestants", "ws-floor"];
    let against = ["--against", &peer, "--against", nobody];
    let only = ["--only", "round-trip-128"];
    let (stdout, report) = compare(&[&only[..], &contestants, &against].concat());
    let scenario = scenario(&report, "round-trip-128");
    assert_eq!(names(&scenario["entries"]), ["peer", "ws-floor"]);
    assert_entry(&scenario["entries"][0]);
    assert!(scenario["failures"]["nobody"].as_str().unwrap().contains("cannot connect"));
    assert!(stdout.contains("nobody failed: "), "{stdout}");
}

#[test]
fn the_list_names_scenarios_and_contestants() {
    let output = run(&["compare", "--list"]);
    output.assert_success();
    for name in ["round-trip-16 ", "storm-5000 ", "eventwire ", "ws-floor "] {
        assert!(output.stdout.contains(&format!("  {name}")), "{name}\n{}", output.stdout);
    }
}

#[test]
fn a_server_of_a_comparison_that_is_killed_ends_too() {
    let script = "\"$0\" serve echo --listen 127.0.0.1:0 --end-with-parent & wait";
    let program = env!("CARGO_BIN_EXE_eventwire-bench");
    let shell = Running::spawn(Command::new("sh").args(["-c", script, program]));
    let (shell, _) = shell.until_it_listens();
    shell.signal(Signal::KILL);
    // The output ends when no process has it open any more.
    assert_eq!(shell.finish().stdout, "");
}
