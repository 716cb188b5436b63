//! Durable topics: their tables, their JSON, and the error of a build without SQLite.

use super::program::run;

#[cfg(feature = "sqlite")]
#[test]
fn durable_topics_are_measured_beside_a_plain_loop() {
    for topics in ["1", "3"] {
        let json = super::scratch::Scratch::new(&format!("journal-{topics}.json"));
        let folder = super::scratch::Scratch::new(&format!("journal-{topics}"));
        std::fs::create_dir(folder.path()).unwrap();
        let options = ["--topics", topics, "--directory", folder.path(), "--json", json.path()];
        let output = run(&[&["journal", "--quick"][..], &options].concat());
        output.assert_success();
        for part in [
            "messages of 256 B",
            "latency at 2,000/s",
            "deliver first, plain",
            "delivered, commit first",
            "4 KiB and fdatasync",
            "target at most 1.50: ",
            "target at most 1.00: ",
        ] {
            assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
        }
        let report: serde_json::Value = serde_json::from_str(&json.read()).unwrap();
        for side in report["storing"].as_array().unwrap() {
            for figure in ["messages_per_second", "cpu_ns_per_message", "messages_per_commit"] {
                assert!(side[figure].as_f64().unwrap() > 0.0, "{side}");
            }
        }
        for waiting in report["waiting"].as_array().unwrap() {
            let latency = &waiting["latency_ns"];
            assert!(latency["p50"].as_u64().unwrap() > 0, "{waiting}");
            assert!(latency["p99"].as_u64() <= latency["max"].as_u64(), "{waiting}");
        }
        assert_eq!(report["targets"].as_array().unwrap().len(), 3, "{report}");
        // Fails if a file is left.
        std::fs::remove_dir(folder.path()).unwrap();
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let output = run(&["journal", "--quick", "--directory", "/no/such/folder"]);
    output.assert_failure("cannot create /no/such/folder/");
}

#[cfg(not(feature = "sqlite"))]
#[test]
fn a_build_without_sqlite_says_so() {
    run(&["journal"]).assert_failure("build with --features sqlite");
}
