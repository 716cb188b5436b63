//! Hostile peers over real sockets, one family a file.
//!
//! Each case says what becomes of the peer (a close code, a status of HTTP, or the end of its
//! stream), how much memory the server may hold meanwhile by its configuration, and that a hundred
//! bystanders notice nothing: each of their messages is echoed, in order, on the same connection.
//! When it is over, the server holds what it held before.
//!
//! `EVENTWIRE_HOSTILE_TLS=1` puts everything into TLS, as `over_tls` does. Each peer has made its
//! handshake then before it does what it is there for, garbage is garbage within records, a
//! half-close is announced within TLS, too, and each case says what sessions may hold in addition.
//!
//! `EVENTWIRE_HOSTILE_FIGURES=1` shows how much memory it came to.

mod bystanders;
mod churn;
mod dead;
mod descriptors;
mod drip;
mod flood;
mod fragments;
mod frames;
mod handshakes;
#[cfg(feature = "deflate")]
mod inflate;
mod origins;
#[cfg(feature = "tls")]
mod over_tls;
mod pings;
mod rates;
mod readers;
mod resets;
mod rig;
mod service;
#[cfg(feature = "socketio")]
mod socketio;
#[cfg(feature = "socketio")]
mod socketio_packets;
#[cfg(feature = "socketio")]
mod socketio_peer;
#[cfg(feature = "tls")]
mod tls_handshakes;
#[cfg(feature = "tls")]
mod tls_records;
mod upgrades;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use service::Profile;

/// The server's settings by the name that its process gets.
fn profile(name: &str) -> Profile {
    match name {
        "churn" => churn::profile(),
        "dead" => dead::profile(),
        "descriptors" => descriptors::profile(),
        "descriptors, too few" => descriptors::too_few(),
        "drip" => drip::profile(),
        "drip, impatient" => drip::impatient(),
        "flood" => flood::profile(),
        "fragments" => fragments::profile(),
        "fragments, all that memory holds" => fragments::much_memory(),
        "fragments, by their number" => fragments::many(),
        "frames" => frames::profile(),
        "handshakes" => handshakes::profile(),
        "handshakes, many pending" => handshakes::many_pending(),
        #[cfg(feature = "deflate")]
        "inflate" => inflate::profile(),
        #[cfg(feature = "deflate")]
        "inflate, contexts" => inflate::contexts(),
        "origins, any" => origins::any(),
        "origins, listed" => origins::listed(),
        "origins, same" => origins::same(),
        "pings" => pings::profile(),
        "pings, without a rate" => pings::without_a_rate(),
        "rates, closing" => rates::closing(),
        "rates, pausing" => rates::pausing(),
        "readers" => readers::profile(),
        "readers, all that memory holds" => readers::much_memory(),
        "resets" => resets::profile(),
        #[cfg(feature = "socketio")]
        "socketio" => socketio_peer::profile(),
        #[cfg(feature = "socketio")]
        "socketio, impatient" => socketio_peer::impatient(),
        #[cfg(feature = "socketio")]
        "socketio, recovering" => socketio_peer::recovering(),
        #[cfg(feature = "tls")]
        "tls handshakes" => tls_handshakes::profile(),
        #[cfg(feature = "tls")]
        "tls handshakes, patient" => tls_handshakes::patient(),
        #[cfg(feature = "tls")]
        "tls records" => tls_records::profile(),
        #[cfg(feature = "tls")]
        "tls records, patient" => tls_records::patient(),
        "upgrades" => upgrades::profile(),
        other => panic!("no profile is called {other}"),
    }
}

/// Every test of a family, as `file::function`.
fn tests() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/hostile");
    let mut tests = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("its files").path();
        let file = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(path).expect("text");
        let functions = text.split("#[test]\nfn ").skip(1).filter_map(|rest| rest.split_once('('));
        if !["mod", "service"].contains(&&*file) {
            tests.extend(functions.map(|(function, _)| format!("{file}::{function}")));
        }
    }
    tests
}

#[test]
fn the_security_page_names_every_test_and_none_that_is_not_there() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md");
    let page = fs::read_to_string(page).expect("the page");
    let tests = tests();
    let files: HashSet<&str> = tests.iter().filter_map(|test| test.split("::").next()).collect();
    let quoted = page.split('`').skip(1).step_by(2);
    let named: Vec<&str> = quoted
        .filter(|text| text.split("::").next().is_some_and(|first| files.contains(first)))
        .collect();
    let names = |name: &str, test: &str| match name.strip_suffix('*') {
        Some(beginning) => test.starts_with(beginning),
        None => test == name,
    };
    for name in &named {
        assert!(tests.iter().any(|test| names(name, test)), "no test is called {name}");
    }
    for test in &tests {
        assert!(named.iter().any(|name| names(name, test)), "{test} is not on the page");
    }
}
