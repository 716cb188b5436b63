//! Every measuring command, briefly: its results in all forms.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::program::{Running, run};
use super::websocket::{Manner, serve};

/// The results of a command.
struct Results {
    stdout: String,
    json: Value,
}

/// A file of a test.
fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()))
}

/// Runs a command, and checks what holds for the results of all of them, on any machine.
fn measure(line: &str) -> Results {
    let name = line.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let files = ["json", "html", "md"].map(|form| scratch(&format!("{name}.{form}")));
    let [json, html, markdown] = files.each_ref().map(|path| path.to_str().unwrap());
    let mut words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    words.extend(["--json", json, "--html", html, "--markdown", markdown]);
    let output = run(&words);
    output.assert_success();
    let shown = run(&["show", json]).stdout;
    let [json, page, markdown] = files.each_ref().map(|path| fs::read_to_string(path).unwrap());
    for file in files {
        fs::remove_file(file).unwrap();
    }
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["format"], 1);
    assert_eq!(shown, output.stdout);
    for text in [&output.stdout, &page, &markdown] {
        assert!(text.contains(json["machine"]["cpu"].as_str().unwrap()), "{text}");
    }
    assert_self_contained(&page.replace(json["command"].as_str().unwrap(), ""));
    let scenarios = json["scenarios"].as_array().unwrap();
    assert!(!scenarios.is_empty());
    for scenario in scenarios {
        assert_scenario(scenario);
        let title = scenario["title"].as_str().unwrap();
        for text in [&output.stdout, &page, &markdown] {
            assert!(text.contains(title), "{title}\n{text}");
        }
    }
    Results { stdout: output.stdout, json }
}

fn assert_self_contained(page: &str) {
    assert!(page.to_ascii_lowercase().starts_with("<!doctype html>"));
    assert!(page.contains("prefers-color-scheme"));
    let page = page.replace("http://www.w3.org/", "");
    for outside in ["http:", "https:", "src=", "@import", "url(", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

/// Every entrant has values of some declared figures, and its percentiles are in order.
fn assert_scenario(scenario: &Value) {
    let figures = scenario["figures"].as_array().unwrap();
    assert!(!figures.is_empty());
    for entrant in scenario["entrants"].as_array().unwrap() {
        if !entrant["failure"].is_null() {
            continue;
        }
        assert!(!entrant["rounds"].as_array().unwrap().is_empty(), "{entrant}");
        let median = |id: &str| entrant["medians"][id].as_f64();
        let declared = figures.iter().filter_map(|figure| median(figure["id"].as_str().unwrap()));
        assert!(declared.count() > 0, "{entrant}");
        let percentiles = ["p50_ns", "p99_ns", "p99.9_ns", "max_ns"].map(median);
        let percentiles: Vec<f64> = percentiles.into_iter().flatten().collect();
        assert!(percentiles.is_sorted() && percentiles.iter().all(|&ns| ns > 0.0), "{entrant}");
    }
}

impl Results {
    fn scenario(&self, id: &str) -> &Value {
        let mut scenarios = self.json["scenarios"].as_array().unwrap().iter();
        scenarios.find(|one| one["id"] == id).unwrap_or_else(|| panic!("{id}\n{}", self.json))
    }

    fn entrants(&self, id: &str) -> Vec<&str> {
        let entrants = self.scenario(id)["entrants"].as_array().unwrap();
        entrants.iter().map(|entrant| entrant["name"].as_str().unwrap()).collect()
    }

    fn median(&self, id: &str, entrant: &str, figure: &str) -> f64 {
        let entrants = self.scenario(id)["entrants"].as_array().unwrap();
        let entrant = entrants.iter().find(|one| one["name"] == entrant).unwrap();
        let median = entrant["medians"][figure].as_f64();
        median.unwrap_or_else(|| panic!("{figure} of {entrant}"))
    }

    /// The output has all of these words.
    fn says(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.stdout.contains(part), "{part}\n{}", self.stdout);
        }
    }
}

#[test]
fn the_overview_compares_the_engine_with_the_floor() {
    let results = measure("--quick");
    for id in ["round-trip", "connections-100", "pipelined", "broadcast-100", "broadcast-1000"] {
        assert_eq!(results.entrants(id), ["eventwire", "floor"]);
        assert!(results.median(id, "eventwire", "per_second") > 0.0);
    }
    results.says(&["at most 1.05", "at least 0.93"]);
    let alone = measure("--quick --no-floor --idle block");
    assert_eq!(alone.entrants("round-trip"), ["eventwire"]);
}

#[test]
fn the_comparison_has_every_kind_of_load() {
    let results = measure(
        "compare --contestants eventwire,floor,ws-floor --seconds-per-round 0.05 --only \
         round-trip-128,open-100-30,broadcast-100-k16,flood,handshakes,publish-cost",
    );
    let engine = ["eventwire", "eventwire (again)"];
    let modes = ["eventwire (adaptive)", "eventwire (busy)"];
    let mut names = results.entrants("round-trip-128");
    names.sort_unstable();
    let mut all = [&engine[..], &modes, &["floor", "ws-floor"]].concat();
    all.sort_unstable();
    assert_eq!(names, all);
    assert!(!results.entrants("handshakes").contains(&"floor"));
    for (id, figure) in [
        ("round-trip-128", "p50_ns"),
        ("open-100-30", "p99_ns"),
        ("broadcast-100-k16", "bystander_p99.9_ns"),
        ("flood", "p99_ns"),
        ("handshakes", "per_second"),
        ("publish-cost", "publish_ns"),
    ] {
        assert!(results.median(id, "eventwire", figure) > 0.0);
    }
}

#[test]
fn servers_elsewhere_take_part_and_those_that_are_not_there_fail_alone() {
    let url = serve(Manner::Echo);
    let results = measure(&format!(
        "compare --contestants ws-floor --only round-trip-128 --seconds-per-round 0.05 \
         --against peer={url} --against nobody=ws://127.0.0.1:1"
    ));
    assert!(results.median("round-trip-128", "peer", "p50_ns") > 0.0);
    let entrants = results.scenario("round-trip-128")["entrants"].as_array().unwrap();
    let nobody = entrants.iter().find(|one| one["name"] == "nobody").unwrap();
    assert!(nobody["failure"].as_str().unwrap().contains("cannot connect"));
    results.says(&["nobody", "cannot connect"]);
}

#[test]
fn other_programs_take_part_and_end() {
    let program = env!("CARGO_BIN_EXE_eventwire-bench");
    let json = scratch("started.json");
    let started = format!("own={program} serve echo --listen 127.0.0.1:{{port}}");
    let output = run(&[
        "compare",
        "--contestants",
        "ws-floor",
        "--only",
        "round-trip-128",
        "--seconds-per-round",
        "0.05",
        "--start",
        &started,
        "--start",
        "broken=false {port}",
        "--json",
        json.to_str().unwrap(),
    ]);
    output.assert_success();
    let json: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    let entrants = json["scenarios"][0]["entrants"].as_array().unwrap();
    let find = |name: &str| entrants.iter().find(|one| one["name"] == name).unwrap();
    assert!(find("own")["medians"]["p50_ns"].as_f64().unwrap() > 0.0);
    assert!(find("broken")["failure"].as_str().unwrap().contains("cannot start broken"));
}

#[test]
fn the_list_names_scenarios_and_contestants() {
    let output = run(&["compare", "--list"]);
    output.assert_success();
    for name in ["round-trip-16 ", "storm-5000 ", "publish-cost ", "eventwire ", "ws-floor "] {
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

#[test]
fn results_of_another_format_are_not_shown() {
    let file = scratch("other.json");
    for (text, reason) in [
        ("{\"format\": 999}", "its format is 999, known is 1"),
        ("{}", "missing field `format`"),
        ("{\"format\": 1}", "missing field"),
    ] {
        fs::write(&file, text).unwrap();
        run(&["show", file.to_str().unwrap()]).assert_failure(reason);
    }
    fs::remove_file(&file).unwrap();
    run(&["show", file.to_str().unwrap()]).assert_failure("cannot read ");
}

#[test]
fn one_load_has_results_in_the_same_form() {
    let url = serve(Manner::Echo);
    assert!(measure(&format!("echo --url {url} -t 0.2")).stdout.contains("p99"));
}

#[test]
fn what_has_no_server_of_its_own_is_measured() {
    measure("bus --quick --rate 5000").says(&["5000 events/s", "floor", "at least 1,000,000"]);
    measure("jobs --quick").says(&["jobs/s", "floor"]);
    measure("bystander --quick -c 300").says(&["bystander p99", "without broadcasts"]);
    measure("events-stream --quick -c 20").says(&["CPU/delivery", "at most 1.10"]);
    measure("freshness --quick").says(&["keep latest", "drop oldest"]);
    measure("keyed --quick").says(&["age"]);
    measure("reconnect --quick").says(&["longest turn"]);
}

#[test]
fn requests_for_a_page_are_measured() {
    let results = measure("http --quick");
    let id = results.json["scenarios"][0]["id"].as_str().unwrap();
    assert!(results.median(id, "eventwire", "server_cpu_ns") > 0.0);
    assert!(results.median(id, "eventwire-page", "per_second") > 0.0);
}

#[test]
fn clients_that_come_back_miss_nothing() {
    measure("resume --quick").says(&["missing", "replay"]);
    measure("resume --quick --storm").says(&["bystander meanwhile", "memory of all output"]);
}

#[cfg(feature = "tls")]
#[test]
fn tls_is_measured_beside_the_same_without() {
    measure("tls --quick -c 50").says(&["TLS", "resumed"]);
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_build_without_tls_says_so() {
    for arguments in [&["tls"][..], &["serve", "echo", "--tls"]] {
        run(arguments).assert_failure("build with --features tls");
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn durable_topics_are_measured_beside_a_plain_loop() {
    let folder = scratch("journal");
    fs::create_dir(&folder).unwrap();
    let folder_text = folder.to_str().unwrap();
    let results = measure(&format!("journal --quick --topics 3 --directory {folder_text}"));
    results.says(&["at most 1.50", "at most 1.00"]);
    // Fails if a file is left.
    fs::remove_dir(folder).unwrap();
    let output = run(&["journal", "--quick", "--directory", "/no/such/folder"]);
    output.assert_failure("cannot create /no/such/folder/");
}

#[cfg(not(feature = "sqlite"))]
#[test]
fn a_build_without_sqlite_says_so() {
    run(&["journal"]).assert_failure("build with --features sqlite");
}

#[test]
fn the_plain_server_of_socketio_is_measured() {
    let only = "idle,round-trip,acknowledged-100,all-100,storm";
    let results = measure(&format!("socketio --quick --only {only}"));
    for id in only.split(',') {
        assert!(results.entrants(id).contains(&"plain WebSocket"), "{id}");
    }
}

#[test]
fn an_engine_that_fails_is_shown_and_ends_the_program_with_1() {
    for (command, reason) in [("false", "it printed no error"), ("/no/program", "cannot start")] {
        let output = run(&["socketio", "--quick", "--only", "storm", "--eventwire", command]);
        assert_eq!(output.code, Some(1), "{}{}", output.stdout, output.stderr);
        assert!(output.stdout.contains("plain WebSocket"), "{}", output.stdout);
        assert!(output.stderr.contains("eventwire: cannot start eventwire: "), "{}", output.stderr);
        assert!(output.stderr.contains(reason), "{}", output.stderr);
    }
}

#[cfg(feature = "socketio")]
#[test]
fn socketio_is_compared_with_the_plain_server() {
    let only = "idle,round-trip,all-100,storm,storm-polling";
    let results = measure(&format!("socketio --quick --only {only}"));
    for id in only.split(',') {
        assert!(results.entrants(id).contains(&"eventwire"), "{id}");
    }
    results.says(&["at most 1.10", "at most 1.15"]);
}
