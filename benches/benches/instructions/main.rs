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
mod http;
mod recorded;
mod workload;

use std::process::ExitCode;

use recorded::Recorded;
use workload::Workload;

/// Rounds of each workload in the shorter of its two runs.
const ROUNDS: usize = 200;

/// How often a workload is counted at most.
const TRIES: usize = 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["run", name, rounds] => run(name, rounds),
        ["ask", address, ref numbers @ ..] => ask(address, numbers),
        _ if !callgrind::is_there() => {
            println!("skipped: counting instructions needs valgrind");
            ExitCode::SUCCESS
        }
        _ => count_all(arguments.contains(&"--record")),
    }
}

/// What callgrind watches: one workload.
fn run(name: &str, rounds: &str) -> ExitCode {
    let workload = Workload::ALL.into_iter().find(|workload| workload.name() == name);
    let (Some(workload), Ok(rounds)) = (workload, rounds.parse()) else {
        eprintln!("usage: run WORKLOAD ROUNDS");
        return ExitCode::FAILURE;
    };
    workload.run(rounds);
    ExitCode::SUCCESS
}

/// The client of a workload, which callgrind does not watch.
fn ask(address: &str, numbers: &[&str]) -> ExitCode {
    let numbers: Vec<usize> = numbers.iter().flat_map(|number| number.parse()).collect();
    let [count, size, rounds] = numbers[..] else {
        eprintln!("usage: ask ADDRESS COUNT SIZE ROUNDS");
        return ExitCode::FAILURE;
    };
    workload::ask(address, count, size, rounds);
    ExitCode::SUCCESS
}

/// The instructions that a workload takes for each message. A long message that arrives in pieces
/// takes more, so what is above the recorded figure is counted again: the least of either run
/// stands, and what got slower is above it every time.
fn count(workload: Workload, recorded: &Recorded) -> f64 {
    let messages = (ROUNDS * workload.messages_a_round()) as f64;
    let (mut once, mut twice, mut count) = (u64::MAX, u64::MAX, f64::MAX);
    for _ in 0..TRIES {
        once = once.min(callgrind::count(workload.name(), ROUNDS));
        twice = twice.min(callgrind::count(workload.name(), 2 * ROUNDS));
        count = (twice - once) as f64 / messages;
        if !recorded.is_exceeded(workload.name(), count) {
            break;
        }
    }
    count
}

fn count_all(record: bool) -> ExitCode {
    let recorded = Recorded::read();
    let mut counted = Recorded::new();
    for workload in Workload::ALL {
        let count = count(workload, &recorded);
        counted.add(workload.name(), count);
        println!("{:<24} {}", workload.name(), recorded.compare(workload.name(), count));
    }
    if record {
        counted.write();
        return ExitCode::SUCCESS;
    }
    match recorded.allows(&counted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}
