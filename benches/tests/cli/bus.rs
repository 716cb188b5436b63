//! The event bus, the bystander, event streams, freshness, HTTP, jobs and reconnection: their
//! tables, their JSON.

use serde_json::Value;

use super::program::run;
use super::scratch::Scratch;

/// Checks what holds on any machine.
fn assert_percentiles(latency: &Value) {
    let values =
        ["min", "p50", "p90", "p99", "p99.9", "max"].map(|name| latency[name].as_u64().unwrap());
    assert!(values[0] > 0 && values.is_sorted(), "{latency}");
    assert!(latency["count"].as_u64().unwrap() > 0, "{latency}");
}

#[test]
fn the_bus_is_measured_on_every_way_beside_the_floor() {
    let json = Scratch::new("bus.json");
    let output = run(&["bus", "--quick", "--rate", "5000", "--json", json.path()]);
    output.assert_success();
    for part in [
        "publish to an awake loop: ",
        "events/s",
        "p99.9",
        "wakes/1,000",
        "p50 ratio",
        "5,000 events/s from each thread",
        "handler, 1 thread, busy",
        "subscriber, 1 thread, block",
        "socket, 4 threads, block",
        "target at most 100 ns: ",
        "target at most 1.00 µs: ",
        "target at least 1,000,000: ",
        "uncertain: a single round",
    ] {
        assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
    }
    let report: Value = serde_json::from_str(&json.read()).unwrap();
    assert!(report["publish"]["engine"]["mean_ns"].as_f64().unwrap() > 0.0, "{report}");
    let routes = report["routes"].as_array().unwrap();
    let mut settings = Vec::new();
    for route in routes {
        for side in ["engine", "floor"] {
            assert_percentiles(&route[side]["latency_ns"]);
            assert!(route[side]["events"].as_u64().unwrap() > 0, "{route}");
        }
        let (way, idle) = (route["way"].as_str().unwrap(), route["idle"].as_str().unwrap());
        settings.push((way, route["publishers"].as_u64().unwrap(), idle));
    }
    for way in ["handler", "subscriber", "socket"] {
        for publishers in [1, 4] {
            for idle in ["busy", "block"] {
                assert!(settings.contains(&(way, publishers, idle)), "{settings:?}");
            }
        }
    }
    assert!(report["targets"].as_array().unwrap().len() >= 4, "{report}");
}

#[test]
fn the_bystander_is_measured_with_and_without_broadcasts() {
    for idle in ["block", "adaptive", "busy"] {
        let json = Scratch::new(&format!("bystander-{idle}.json"));
        let arguments = ["bystander", "--quick", "-c", "300", "-s", "20", "--idle", idle];
        let output = run(&[&arguments[..], &["--json", json.path()]].concat());
        output.assert_success();
        for part in ["300 subscribers", "without broadcasts", "during broadcasts", "256 of them"] {
            assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
        }
        let report: Value = serde_json::from_str(&json.read()).unwrap();
        assert_eq!(report["subscribers"], 300);
        assert_percentiles(&report["without_broadcasts_ns"]);
        assert_percentiles(&report["during_broadcasts_ns"]);
        assert!(report["broadcasts"]["deliveries_per_second"].as_f64().unwrap() > 0.0, "{report}");
    }
}

#[test]
fn the_age_of_what_a_slow_reader_gets_is_measured_by_policy() {
    let json = Scratch::new("freshness.json");
    let output = run(&["freshness", "--quick", "--json", json.path()]);
    output.assert_success();
    for part in ["10,000 updates/s of 64 B", "keep latest", "drop oldest", "16 KiB", "skipped"] {
        assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
    }
    let report: Value = serde_json::from_str(&json.read()).unwrap();
    let cases = report["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        assert_percentiles(&case["age_ns"]);
        assert!(case["received"].as_u64().unwrap() > 0, "{case}");
    }
}

#[test]
fn event_streams_are_measured_beside_web_sockets() {
    let json = Scratch::new("events-stream.json");
    let output = run(&["events-stream", "--quick", "-c", "20", "--json", json.path()]);
    output.assert_success();
    for part in ["128 B to 20 connections", "WebSockets", "event streams", "target at most 1.10: "]
    {
        assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
    }
    let report: Value = serde_json::from_str(&json.read()).unwrap();
    let kinds = report["kinds"].as_array().unwrap();
    assert_eq!(kinds.len(), 2);
    for kind in kinds {
        assert!(kind["cpu_ns_per_delivery"].as_f64().unwrap() > 0.0, "{kind}");
    }
}

#[test]
fn http_is_measured_with_every_server() {
    let json = Scratch::new("http.json");
    let output = run(&["http", "--quick", "-c", "3", "-d", "4", "--json", json.path()]);
    output.assert_success();
    for part in ["4 in flight on each of 3 connections", "eventwire", "eventwire-page"] {
        assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
    }
    let report: Value = serde_json::from_str(&json.read()).unwrap();
    let servers = report["servers"].as_array().unwrap();
    let has_peers = cfg!(feature = "peers");
    assert_eq!(servers.len(), if has_peers { 4 } else { 2 });
    assert_eq!(report["targets"].as_array().unwrap().is_empty(), !has_peers, "{report}");
    for server in servers {
        assert!(server["requests_per_second"].as_f64().unwrap() > 0.0, "{server}");
        assert!(server["cpu_ns_per_request"].as_f64().unwrap() > 0.0, "{server}");
    }
}

#[test]
fn the_age_of_the_values_of_many_keys_is_measured() {
    for (options, order) in [
        (&[][..], "in turn"),
        (&["--every", "20"], "in turn"),
        (&["--order", "random"], "at random"),
    ] {
        let json = Scratch::new("keyed.json");
        let output = run(&[&["keyed", "--quick", "--json", json.path()], options].concat());
        output.assert_success();
        let updates = format!("20,000 updates/s of 64 B to 500 keys {order}");
        for part in [updates.as_str(), "20 readers", "longest turn"] {
            assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
        }
        let report: Value = serde_json::from_str(&json.read()).unwrap();
        assert_percentiles(&report["age_ns"]);
        assert!(report["values_per_second"].as_f64().unwrap() > 0.0, "{report}");
    }
}

#[test]
fn jobs_are_measured_beside_channels_in_every_idle_mode() {
    let json = Scratch::new("jobs.json");
    let output = run(&["jobs", "--quick", "--json", json.path()]);
    output.assert_success();
    for part in ["jobs, adaptive", "jobs, block", "jobs, busy", "floor beside it", "target at most"]
    {
        assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
    }
    let report: Value = serde_json::from_str(&json.read()).unwrap();
    for case in report["cases"].as_array().unwrap() {
        for side in ["engine", "floor"] {
            assert_percentiles(&case[side]["trip_ns"]);
            assert!(case[side]["jobs_per_second"].as_f64().unwrap() > 0.0, "{case}");
            assert!(case[side]["jobs_per_batch"].as_f64().unwrap() >= 1.0, "{case}");
        }
    }
}

#[test]
fn clients_whose_server_is_killed_come_back() {
    let json = Scratch::new("reconnect.json");
    let output = run(&["reconnect", "--quick", "--json", json.path()]);
    output.assert_success();
    for part in ["all back", "longest turn", "target at most"] {
        assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
    }
    let report: Value = serde_json::from_str(&json.read()).unwrap();
    let rounds = report["rounds"].as_array().unwrap();
    for round in rounds {
        assert_percentiles(&round["back_ns"]);
        assert!(round["attempts"].as_u64().unwrap() >= 20, "{round}");
    }
    assert_eq!(rounds.len(), 1);
}

#[test]
fn clients_that_are_dropped_get_everything_once() {
    for (options, parts) in [
        (&[][..], &["40 clients", "delivered", "target at most"][..]),
        (&["--storm"], &["resume 1 MiB", "bystander's round trip meanwhile"]),
    ] {
        let json = Scratch::new("resume.json");
        let output = run(&[&["resume", "--quick", "--json", json.path()], options].concat());
        output.assert_success();
        for part in parts {
            assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
        }
        let report: Value = serde_json::from_str(&json.read()).unwrap();
        assert_percentiles(&report["back_ns"]);
        let figures = report["figures"].as_array().unwrap();
        let value = |name: &str| {
            let found = figures.iter().find(|figure| figure["name"] == name);
            found.map(|figure| figure["value"].as_str().unwrap().to_owned())
        };
        if options.is_empty() {
            assert!(value("delivered").unwrap().starts_with("100.0000 %"), "{report}");
            assert!(value("delivered again").unwrap().starts_with("0.0000 %"), "{report}");
        } else {
            assert_eq!(value("missing or lost").as_deref(), Some("0"), "{report}");
            assert_eq!(value("connections that were closed").as_deref(), Some("0"), "{report}");
        }
    }
}

#[test]
fn files_that_cannot_be_written_are_told_before_anything_is_measured() {
    let commands =
        ["bus", "bystander", "events-stream", "freshness", "http", "jobs", "keyed", "reconnect"];
    for command in commands.into_iter().chain(["resume"]) {
        let output = run(&[command, "--quick", "--json", "/no/such/folder/report.json"]);
        output.assert_failure("cannot write /no/such/folder/report.json");
    }
}
