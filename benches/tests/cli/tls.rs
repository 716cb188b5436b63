//! The cost of TLS: its table, its JSON, and the error of a build without TLS.

use super::program::run;

#[cfg(feature = "tls")]
#[test]
fn tls_is_measured_beside_the_same_without() {
    let json = super::scratch::Scratch::new("tls.json");
    let output = run(&["tls", "--quick", "-c", "50", "--json", json.path()]);
    output.assert_success();
    for part in ["round trip", "with TLS", "65,536 B", "resumed", "an idle connection, of 50"] {
        assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
    }
    let report: serde_json::Value = serde_json::from_str(&json.read()).unwrap();
    for trip in report["round_trips"].as_array().unwrap() {
        for side in ["plain", "tls"] {
            assert!(trip[side]["latency_ns"]["p50"].as_u64().unwrap() > 0, "{trip}");
        }
    }
    assert_eq!(report["openings"].as_array().unwrap().len(), 3, "{report}");
    assert!(report["idle"]["tls_bytes"].as_f64() > report["idle"]["plain_bytes"].as_f64());
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_build_without_tls_says_so() {
    for arguments in [&["tls"][..], &["serve", "echo", "--tls"]] {
        run(arguments).assert_failure("build with --features tls");
    }
}
