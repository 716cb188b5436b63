//! Rules of this repository that no compiler checks, read off the sources.
//!
//! The tables say what holds. A rule that is in the way is changed here, with its reason, before
//! the code that needs it.

mod features;
mod imports;
mod shape;
mod source;

use std::fs;
use std::path::Path;

use features::silent_about_their_feature;
use imports::Imports;
use shape::{flag_heaps, long_parameter_lists, methods};
use source::{Source, line_of, occurrences, paths};

/// The layers: every file or folder directly in `src`, from the bottom up, and what of the crate
/// it may import. `lib.rs`, the facade's top, may import everything.
const LAYERS: &[(&str, &[&str])] = &[
    ("slots", &[]),
    ("time", &[]),
    // A macro alone.
    ("logging", &[]),
    ("histogram", &[]),
    // Of messages and of events.
    ("overflow", &[]),
    ("proto", &["time"]),
    ("timers", &["slots", "time"]),
    // A timer's event waits beside those that are published at once.
    ("queue", &["slots", "time", "timers", "overflow"]),
    // Topics hand out encoded frames, so that a broadcast is encoded once, and keep beside them
    // what others make of those, so that it is compressed once. They write a topic's envelopes.
    (
        "topics",
        &[
            "slots",
            "time",
            "overflow",
            "proto::CompressibleFrames",
            "proto::CompressionCache",
            "proto::FrameHeader",
            "proto::Message",
            "proto::Outgoing",
            "proto::Payload",
            "proto::json",
        ],
    ),
    (
        "journal",
        &["proto::Message", "topics::Durability", "topics::History", "topics::TopicStorage"],
    ),
    ("tags", &["slots"]),
    ("rates", &["slots", "time"]),
    ("reactor", &["time"]),
    // A connection's end names the rate limit that it exceeded.
    (
        "net",
        &[
            "slots",
            "time",
            "logging",
            "proto",
            "queue",
            "rates::LimitKind",
            "rates::LimitScope",
            "timers",
            "topics",
            "reactor",
        ],
    ),
    // The facade composes the limits and errors of the layers, which own them.
    (
        "error",
        &[
            "journal::StorageError",
            "proto::handshake",
            "proto::http",
            "queue::PublishError",
            "tags::TagError",
            "topics::InvalidTopicConfig",
        ],
    ),
    (
        "config",
        &[
            "proto",
            "reactor::TlsClient",
            "reactor::TlsServer",
            "net::proxies::Network",
            "net::proxies::TrustedProxies",
            "net::limits::MemoryCaps",
            "net::limits::OutboxLimits",
            "rates",
            "tags::TagLimits",
            "topics::TopicConfig",
            "topics::TopicLimits",
        ],
    ),
    (
        "engine",
        &[
            "slots",
            "time",
            "logging",
            "histogram",
            "overflow",
            "proto",
            "queue",
            "timers",
            "topics",
            "journal",
            "tags",
            "rates",
            "reactor",
            "net",
            "error",
            "config",
        ],
    ),
    // An extension is built as an application would build it.
    ("socketio", &["slots", "logging", FACADE]),
];

/// What `lib.rs` exports by name: types, in their own words.
const FACADE: &str = "the facade";

/// Layers without I/O: bytes, keys and the time are arguments.
const PURE: &[&str] = &[
    "slots",
    "time",
    "histogram",
    "overflow",
    "proto",
    "queue",
    "rates",
    "timers",
    "topics",
    "tags",
];

/// What pure layers do without. Default hashers draw randomness.
const IMPURE: &[&str] = &[
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::hash",
    "std::io",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
];

/// The clock, chance and the system: reached through `reactor` alone, or a simulation would not
/// replay a seed.
const WORLD: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::SystemTime",
];

/// The same, as calls.
const WORLD_CALLS: &[&str] = &["Instant::now", ".elapsed()", "RandomState"];

/// Files that may all the same, and why.
const WORLD_EXCEPT: &[(&str, &str)] = &[
    // Lends the reactor's descriptor to a loop around this one.
    ("src/engine/turn/foreign.rs", "std::os::fd"),
    // Offers the processor to others between two looks for work: `yield_now`.
    ("src/engine/turn/wait.rs", "std::thread"),
    // Ages of stored messages count across restarts. A simulation has a storage of its own.
    ("src/journal/sqlite/clock.rs", "std::time::SystemTime"),
    // Parks workers that find no job: a condition variable would have the loop wait for its lock.
    ("src/queue/sync.rs", "std::thread"),
];

/// What the library depends on, and the one place that imports it.
const DEPENDENCIES: &[(&str, &str)] = &[
    ("base64", "src/"),
    ("bytes", "src/"),
    ("crossbeam-queue", "src/"),
    ("flate2", "src/proto/deflate/"),
    ("httparse", "src/proto/http/"),
    ("log", "src/logging.rs"),
    ("mio", "src/reactor/mio/"),
    ("rusqlite", "src/journal/sqlite/"),
    ("rustix", "src/reactor/mio/alarm.rs"),
    ("rustls", "src/reactor/mio/tls/"),
    ("serde", "src/socketio/"),
    ("serde_json", "src/socketio/"),
    ("sha1", "src/proto/"),
    ("slab", "src/"),
    ("socket2", "src/reactor/mio/"),
];

/// Code that is nowhere in the workspace: unfinished, or a check switched off.
const NO_CODE: &[&str] = &["dbg!", "todo!", "unimplemented!", "unsafe ", "#[allow", "#![allow"];

/// Marks of unfinished work, in comments.
const NO_MARKS: &[&str] = &["FIXME", "TODO", "XXX"];

/// One word, one meaning: synonyms that confuse, and the word of the library. Everyday words of the
/// field are welcome.
const WORDS: &[(&str, &str)] = &[
    ("dispatcher", "event loop"),
    ("packet", "frame"),
    ("send queue", "outbox"),
    ("subscriber list", "subscribers"),
    ("write queue", "outbox"),
];

/// Folders in which such a word has a meaning of its own, and why.
const WORDS_EXCEPT: &[(&str, &str)] = &[
    // What Engine.IO and Socket.IO send: a frame is what WebSockets make of it.
    ("src/socketio/", "packet"),
];

const MAX_COLUMNS: usize = 100;
const MAX_FUNCTION: usize = 70;
const MAX_FILE: usize = 500;
const MAX_TEST_FILE: usize = 800;
/// Lines of the benchmark in all, with its tests and those of interoperability.
const MAX_BENCHMARK: usize = 19_100;

/// Methods of one type, in all files.
const MAX_METHODS: usize = 40;
/// Types that have more, and why.
const METHODS_EXCEPT: &[(&str, usize)] = &[
    // What every handler can do, each in the file of its feature; several are one line that names
    // a connection, a topic or a tag.
    ("engine::Context", 54),
    // The same for one connection.
    ("engine::Connection", 44),
    // Fewer than 40 are its interface. The others are the phases of a turn, a file each, which
    // share the loop's whole state.
    ("engine::EventLoop", 140),
];
/// Parameters of one function, `self` included.
const MAX_PARAMETERS: usize = 5;
/// Booleans of one struct: more are states that want an enum, or a set.
const MAX_BOOLEANS: usize = 5;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn library() -> Vec<Source> {
    Source::below(root(), "src")
}

fn workspace() -> Vec<Source> {
    let folders = ["benches", "examples", "fuzz", "src", "tests"];
    folders.iter().flat_map(|folder| Source::below(root(), folder)).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether `path` is `whole` or something in it.
fn is_in(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn is_pure(source: &Source) -> bool {
    source.module().first().is_some_and(|layer| PURE.contains(layer))
}

#[track_caller]
fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn layers_import_only_what_lies_below() {
    let mut violations = Vec::new();
    for source in library() {
        let module = source.module();
        let Some(&layer) = module.first() else {
            continue;
        };
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            violations.push(format!("{}: `{layer}` is no layer of LAYERS", source.path));
            continue;
        };
        let shipped = source.shipped();
        for (line, path) in paths(&shipped, "crate") {
            let path = path.trim_start_matches("crate::");
            let may = |allowed: &str| match allowed {
                FACADE => path.starts_with(char::is_uppercase),
                allowed => is_in(path, allowed),
            };
            if !is_in(path, layer) && !allowed.iter().any(|allowed| may(allowed)) {
                violations.push(format!("{}:{line}: `{layer}` imports `{path}`", source.path));
            }
        }
        for (line, path) in paths(&shipped, "super") {
            let climbs = path.split("::").take_while(|part| *part == "super").count();
            if climbs >= module.len() {
                violations.push(format!("{}:{line}: `{path}` leaves its layer", source.path));
            }
        }
    }
    assert_none(&violations);
}

#[test]
fn layers_form_no_circle() {
    for (index, (layer, allowed)) in LAYERS.iter().enumerate() {
        let below = &LAYERS[..index];
        for path in allowed.iter().filter(|path| **path != FACADE) {
            let is_below = below.iter().any(|(lower, _)| is_in(path, lower));
            assert!(is_below, "`{layer}` may import `{path}`, which is not below it");
        }
    }
}

#[test]
fn the_world_is_reached_through_the_reactor() {
    let mut violations = Vec::new();
    for source in library().iter().filter(|source| source.module().first() != Some(&"reactor")) {
        let shipped = source.shipped();
        let impure = if is_pure(source) { IMPURE } else { &[] };
        for (line, path) in paths(&shipped, "std") {
            let banned = WORLD.iter().chain(impure).any(|banned| is_in(&path, banned));
            let excepted = WORLD_EXCEPT
                .iter()
                .any(|(file, excepted)| *file == source.path && is_in(&path, excepted));
            if banned && !excepted {
                violations.push(format!("{}:{line}: {path}", source.path));
            }
        }
        for call in WORLD_CALLS {
            for at in occurrences(&shipped, call) {
                violations.push(format!("{}:{}: {call}", source.path, line_of(&shipped, at)));
            }
        }
    }
    assert_none(&violations);
}

#[test]
fn the_library_depends_on_eight_crates_each_in_its_place() {
    let manifest = read("Cargo.toml");
    let section = manifest.split("\n[dependencies]\n").nth(1).expect("a section of dependencies");
    let section = section.split("\n[").next().unwrap_or_default();
    let names: Vec<&str> =
        section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect();
    let expected: Vec<&str> = DEPENDENCIES.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, expected);

    let mut violations = Vec::new();
    for source in library() {
        for (name, place) in DEPENDENCIES {
            let name = name.replace('-', "_");
            if !source.path.starts_with(place) {
                for (line, path) in paths(&source.code, &name) {
                    violations.push(format!("{}:{line}: {path}", source.path));
                }
            }
        }
    }
    assert_none(&violations);
}

#[test]
fn nothing_is_unfinished_or_switched_off() {
    let mut violations = Vec::new();
    for source in workspace() {
        let code = NO_CODE.iter().map(|word| (&source.code, word));
        let marks = NO_MARKS.iter().map(|word| (&source.comments, word));
        for (text, word) in code.chain(marks) {
            for at in occurrences(text, word) {
                violations.push(format!("{}:{}: {word}", source.path, line_of(text, at)));
            }
        }
    }
    assert_none(&violations);
}

/// A test that waits for a time instead of an event depends on the machine's speed.
#[test]
fn nothing_but_the_benchmark_sleeps() {
    let mut violations = Vec::new();
    for source in workspace().iter().filter(|source| !source.path.starts_with("benches/src/")) {
        for at in occurrences(&source.code, "thread::sleep") {
            violations.push(format!("{}:{}: sleeps", source.path, line_of(&source.code, at)));
        }
    }
    assert_none(&violations);
}

#[test]
fn lines_functions_and_files_are_short() {
    let mut violations = Vec::new();
    for source in workspace() {
        let path = &source.path;
        for (line, text) in (1..).zip(source.text.lines()) {
            let columns = text.chars().count();
            if columns > MAX_COLUMNS {
                violations.push(format!("{path}:{line}: {columns} columns"));
            }
        }
        for function in source.functions() {
            if function.lines > MAX_FUNCTION {
                let (line, lines) = (function.line, function.lines);
                violations.push(format!("{path}:{line}: a function of {lines} lines"));
            }
        }
        let lines = source.text.lines().count();
        if lines > if source.is_test() { MAX_TEST_FILE } else { MAX_FILE } {
            violations.push(format!("{path}: {lines} lines"));
        }
    }
    assert_none(&violations);
}

#[test]
fn types_have_one_job_and_functions_few_parameters() {
    let library = library();
    let mut violations = Vec::new();
    for (name, count) in methods(&library) {
        let except = METHODS_EXCEPT.iter().find(|(except, _)| *except == name);
        if count > except.map_or(MAX_METHODS, |(_, most)| *most) {
            violations.push(format!("{name}: {count} methods"));
        }
    }
    for source in &library {
        for (line, count) in long_parameter_lists(source, MAX_PARAMETERS) {
            violations.push(format!("{}:{line}: {count} parameters", source.path));
        }
        for (line, count) in flag_heaps(source, MAX_BOOLEANS) {
            violations.push(format!("{}:{line}: {count} booleans", source.path));
        }
    }
    assert_none(&violations);
}

#[test]
fn items_name_the_feature_that_they_need() {
    let mut violations = Vec::new();
    for source in library() {
        for (line, feature) in silent_about_their_feature(&source) {
            violations.push(format!("{}:{line}: say that it needs `{feature}`", source.path));
        }
    }
    assert_none(&violations);
}

#[test]
fn no_two_files_import_each_other() {
    let mut violations = Vec::new();
    for sources in [library(), Source::below(&root().join("benches"), "src")] {
        let imports = Imports::of(&sources);
        violations.extend(imports.circles().iter().map(|circle| circle.join(" <-> ")));
    }
    assert_none(&violations);
}

/// The benchmark is there for the library: a newcomer is to find a way through it.
#[test]
fn the_benchmark_is_a_small_program() {
    let benchmark = Source::below(root(), "benches");
    let lines: usize = benchmark.iter().map(|source| source.text.lines().count()).sum();
    assert!(
        lines < MAX_BENCHMARK,
        "benches has {lines} lines, at most {MAX_BENCHMARK} are allowed"
    );
}

#[test]
fn the_codemap_names_every_file_and_folder() {
    let codemap = read("src/architecture.md");
    let codemap: Vec<&str> = codemap.lines().collect();
    let names = |name: &str| {
        let mut words = codemap.iter().flat_map(|line| line.split_whitespace());
        words.any(|word| word == name)
    };
    for (layer, _) in LAYERS {
        // A file may have a folder beside it, for its tests.
        let is_file = root().join("src").join(format!("{layer}.rs")).exists();
        let name = if is_file { format!("{layer}.rs") } else { format!("{layer}/") };
        assert!(root().join("src").join(&name).exists(), "src/{name} of LAYERS is gone");
        assert!(names(&name), "the codemap of src/architecture.md does not name {name}");
    }
}

#[test]
fn one_word_has_one_meaning() {
    let mut violations = Vec::new();
    for source in library() {
        for text in [&source.code, &source.comments].map(|text| text.to_lowercase()) {
            let is_excepted = |word: &str| {
                let mut except = WORDS_EXCEPT.iter();
                except
                    .any(|(folder, excepted)| source.path.starts_with(folder) && *excepted == word)
            };
            for (word, instead) in WORDS.iter().filter(|(word, _)| !is_excepted(word)) {
                for at in occurrences(&text, word) {
                    let (path, line) = (&source.path, line_of(&text, at));
                    violations.push(format!("{path}:{line}: \"{word}\", say: {instead}"));
                }
            }
        }
    }
    assert_none(&violations);
}
