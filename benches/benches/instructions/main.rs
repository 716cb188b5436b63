//! How many instructions the loop spends on a message: `cargo bench --bench instructions`.
//!
//! Counted by callgrind, so that the figures are the same on a busy machine, and nearly the same on
//! every run. Only the loop is counted, over real sockets, with the code of the C library that it
//! calls and without the kernel's. With one client, which waits for its answers, it runs as in any
//! application; with many, loop and clients take turns on one thread, so that all their messages
//! are there at once. What opens connections is not counted: what `n` rounds cost is taken from
//! what `2n` cost.
//!
//! Fails when a figure is more than two in a hundred above the recorded one, and says so when it is
//! as much below: then `-- --record` is due. Another compiler, C library or valgrind gives other
//! figures: they are told, and nothing fails.

mod callgrind;
#[path = "../../../tests/shared/frames.rs"]
#[expect(dead_code, reason = "the tests of the library need more of it")]
mod frames;
mod http;
mod recorded;
mod workload;

use std::process::ExitCode;

use recorded::Recorded;
use workload::{WORKLOADS, Workload};

/// Rounds of each workload in the shorter of its two runs.
const ROUNDS: usize = 200;

/// How often a workload is counted at most.
const TRIES: usize = 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        // What callgrind watches: one workload.
        ["run", name, rounds] => {
            let workload = WORKLOADS.iter().find(|workload| workload.name == name);
            (workload.expect("a workload").run)(number(rounds));
        }
        // The client of a workload, which callgrind does not watch.
        ["ask", address, kind, count, size, rounds] => {
            workload::ask(address, kind, [count, size, rounds].map(number));
        }
        _ if !callgrind::is_there() => println!("skipped: counting instructions needs valgrind"),
        _ => return count_all(arguments.contains(&"--record")),
    }
    ExitCode::SUCCESS
}

fn number(argument: &str) -> usize {
    argument.parse().expect("a number")
}

/// The instructions that a workload takes for each message. A long message that arrives in pieces
/// takes more, so what is above the recorded figure is counted again: the least of either run
/// stands, and what got slower is above it every time.
fn count(workload: &Workload, recorded: &Recorded) -> f64 {
    let messages = (ROUNDS * workload.a_round) as f64;
    let (mut once, mut twice, mut count) = (u64::MAX, u64::MAX, f64::MAX);
    for _ in 0..TRIES {
        once = once.min(callgrind::count(workload.name, ROUNDS));
        twice = twice.min(callgrind::count(workload.name, 2 * ROUNDS));
        count = (twice - once) as f64 / messages;
        if !recorded.is_exceeded(workload.name, count) {
            break;
        }
    }
    count
}

fn count_all(record: bool) -> ExitCode {
    let recorded = Recorded::read();
    let mut counted = Recorded::new();
    for workload in &WORKLOADS {
        let count = count(workload, &recorded);
        counted.add(workload.name, count);
        println!("{:<24} {}", workload.name, recorded.compare(workload.name, count));
    }
    if record {
        counted.write();
    } else if let Err(reason) = recorded.allows(&counted) {
        eprintln!("{reason}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
