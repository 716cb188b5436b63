//! Socket.IO servers in turns: their table, their JSON, their page.

use serde_json::Value;

use super::program::run;
use super::scratch::Scratch;

/// Runs scenarios, and returns the table, the report and the page.
fn measure(name: &str, only: &str) -> (String, Value, String) {
    let json = Scratch::new(&format!("{name}.json"));
    let html = Scratch::new(&format!("{name}.html"));
    let files = ["--json", json.path(), "--html", html.path()];
    let output = run(&[&["socketio", "--quick", "--only", only], &files[..]].concat());
    output.assert_success();
    (output.stdout, serde_json::from_str(&json.read()).unwrap(), html.read())
}

#[test]
fn the_plain_server_of_the_engine_is_measured() {
    let only = "idle,round-trip,acknowledged-100,all-100,storm";
    let (table, report, page) = measure("socketio-plain", only);
    for part in ["plain WebSocket", "memory/session", "p50", "CPU/delivery", "connects/s"] {
        assert!(table.contains(part), "{part}\n{table}");
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert!(page.starts_with("<!doctype html>"));
    let scenarios = report["scenarios"].as_array().unwrap();
    let ids: Vec<_> = scenarios.iter().filter_map(|one| one["id"].as_str()).collect();
    assert_eq!(ids.join(","), only);
    let figures = scenarios.iter().flat_map(|one| one["figures"].as_array().unwrap());
    for figure in figures.filter(|figure| figure["figure"] != "memory") {
        assert!(figure["servers"][0]["median"].as_f64().unwrap() > 0.0, "{figure}");
    }
}

#[cfg(feature = "socketio")]
#[test]
fn the_engine_is_compared_with_its_plain_server() {
    let only = "idle,round-trip,all-100,storm,storm-polling";
    let (table, report, page) = measure("socketio-engine", only);
    assert!(table.contains("to plain"), "{table}");
    let targets = report["targets"].as_array().unwrap();
    assert_eq!(targets.len(), 5, "{table}");
    assert_eq!(page.matches("<li class=\"m").count(), 5, "{page}");
    for figure in report["scenarios"][1]["figures"].as_array().unwrap() {
        assert!(figure["to_plain"]["median"].as_f64().unwrap() > 0.0, "{figure}");
    }
    for storm in &report["scenarios"].as_array().unwrap()[3..] {
        let own = storm["figures"][0]["servers"].as_array().unwrap();
        let own = own.iter().find(|server| server["name"] == "eventwire").unwrap();
        assert_eq!(own["median"].as_f64(), storm["sessions"].as_f64(), "{storm}");
    }
}

#[cfg(feature = "peers")]
#[test]
fn socketioxide_is_measured_over_both_transports() {
    let only = "round-trip-polling,all-1000,all-1000-polling,storm-polling";
    let (table, report, _) = measure("socketio-peers", only);
    for part in ["socketioxide", "all to 40, WebSocket", "all to 40, polling"] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    let storm = &report["scenarios"][3]["figures"][0];
    assert_eq!(storm["figure"], "connected");
    let peer = storm["servers"].as_array().unwrap().last().unwrap();
    assert_eq!(peer["name"], "socketioxide");
    assert_eq!(peer["median"].as_f64(), report["scenarios"][3]["sessions"].as_f64());
}

#[test]
fn a_server_that_does_not_start_is_told() {
    for (command, reason) in [("false", "it printed no error"), ("/no/program", "cannot run")] {
        let output = run(&["socketio", "--quick", "--only", "storm", "--eventwire", command]);
        output.assert_failure("storm, eventwire: cannot start eventwire: ");
        output.assert_failure(reason);
    }
}
