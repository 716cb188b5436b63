//! The bodies of the fuzz targets over their seeds, and over inputs that are made of these.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use crate::shared::Random;

#[path = "../../fuzz/src/bodies/mod.rs"]
mod bodies;

type Body = fn(&[u8]);

/// The targets that need nothing but the library, by name.
const TARGETS: &[(&str, Body)] = &[
    ("connection", bodies::connection::run),
    #[cfg(feature = "socketio")]
    ("engine_io_payload", bodies::engine_io_payload::run),
    #[cfg(feature = "socketio")]
    ("engine_io_session", bodies::engine_io_session::run),
    ("event_loop", bodies::event_loop::run),
    #[cfg(feature = "deflate")]
    ("extensions", bodies::extensions::run),
    ("frame_client", bodies::frames::client),
    ("frame_server", bodies::frames::server),
    ("handshake_request", bodies::handshake::request),
    ("handshake_response", bodies::handshake::response),
    #[cfg(feature = "deflate")]
    ("inflate", bodies::inflate::run),
    ("pair", bodies::pair::run),
    ("queues", bodies::queues::run),
    ("routes", bodies::routes::run),
    #[cfg(feature = "socketio")]
    ("socket_io_packet", bodies::socket_io_packet::run),
    ("topics", bodies::topics::run),
    ("url", bodies::url::run),
];

/// Those that need more, and so run in the tests of the fuzz crate, or with a feature.
const OTHERS: &[&str] = &[
    "differential",
    #[cfg(not(feature = "deflate"))]
    "extensions",
    #[cfg(not(feature = "deflate"))]
    "inflate",
    #[cfg(not(feature = "socketio"))]
    "engine_io_payload",
    #[cfg(not(feature = "socketio"))]
    "engine_io_session",
    #[cfg(not(feature = "socketio"))]
    "socket_io_packet",
];

/// Inputs made for each target.
const INPUTS: usize = 2_000;

/// Shows the input that a body fails on.
struct Shown<'a>(&'a str, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("input of {}: b\"{}\"", self.0, self.1.escape_ascii());
        }
    }
}

/// Damages `input`, or joins it to a part of `other`.
fn mutate(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(input.len());
    match random.below(6) {
        0 if !input.is_empty() => input[at] ^= 1 << random.below(8),
        1 if !input.is_empty() => input[at] = random.next() as u8,
        2 => input.truncate(at),
        3 => {
            let len = random.below(8);
            input.splice(at..at, random.bytes(len));
        }
        4 => input.extend_from_slice(&other[random.below(other.len())..]),
        _ => drop(input.drain(at..input.len().min(at + random.below(8)))),
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let read = |name| fs::read(folder("seeds").join(target).join(name)).expect("a file");
    names(&format!("seeds/{target}")).into_iter().map(read).collect()
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

/// The names of the files in a folder, sorted.
fn names(name: &str) -> Vec<OsString> {
    let files = fs::read_dir(folder(name)).expect("a folder");
    let mut names: Vec<_> = files.map(|file| file.expect("an entry").file_name()).collect();
    names.sort();
    names
}

fn check(target: &str) {
    let (_, body) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    let run = |input: &[u8]| {
        let _shown = Shown(target, input);
        body(input);
    };
    let seeds = seeds(target);
    assert!(seeds.len() >= 5, "{target} has {} seeds", seeds.len());
    seeds.iter().for_each(|seed| run(seed));

    let mut random = Random::new(6455);
    for _ in 0..INPUTS {
        let mut input = match random.below(8) {
            0 => {
                let len = random.below(200);
                random.bytes(len)
            }
            _ => seeds[random.below(seeds.len())].clone(),
        };
        for _ in 0..=random.below(4) {
            let other = &seeds[random.below(seeds.len())];
            mutate(&mut input, other, &mut random);
        }
        run(&input);
    }
}

#[test]
fn connection() {
    check("connection");
}

#[cfg(feature = "socketio")]
#[test]
fn engine_io_payload() {
    check("engine_io_payload");
}

#[cfg(feature = "socketio")]
#[test]
fn engine_io_session() {
    check("engine_io_session");
}

#[test]
fn event_loop() {
    check("event_loop");
}

#[cfg(feature = "deflate")]
#[test]
fn extensions() {
    check("extensions");
}

#[test]
fn frame_client() {
    check("frame_client");
}

#[test]
fn frame_server() {
    check("frame_server");
}

#[test]
fn handshake_request() {
    check("handshake_request");
}

#[test]
fn handshake_response() {
    check("handshake_response");
}

#[cfg(feature = "deflate")]
#[test]
fn inflate() {
    check("inflate");
}

#[test]
fn pair() {
    check("pair");
}

#[test]
fn queues() {
    check("queues");
}

#[test]
fn routes() {
    check("routes");
}

#[cfg(feature = "socketio")]
#[test]
fn socket_io_packet() {
    check("socket_io_packet");
}

#[test]
fn topics() {
    check("topics");
}

#[test]
fn url() {
    check("url");
}

#[test]
fn every_target_has_seeds_and_an_entry_point() {
    let mut targets: Vec<_> =
        TARGETS.iter().map(|(name, _)| *name).chain(OTHERS.iter().copied()).collect();
    targets.sort_unstable();
    for (folder, ending) in [("seeds", ""), ("fuzz_targets", ".rs")] {
        let expected: Vec<_> =
            targets.iter().map(|name| OsString::from(format!("{name}{ending}"))).collect();
        assert_eq!(names(folder), expected);
    }
}
