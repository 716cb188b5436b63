//! Compares the engine with the floors and its peers. Each scenario runs in rounds, and each round
//! runs all entrants, one after the other. Every server has a process and a CPU of its own.
//!
//! The engine takes part twice. How far it differs from itself is the noise: smaller differences
//! mean nothing.

mod args;
mod bench;
mod entrant;
mod events;
mod loads;
pub(crate) mod order;
mod outcome;
mod port;
pub(crate) mod process;
mod scenario;
mod system_calls;
mod table;
mod targets;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::Error;
use crate::machine::{self, CpuPair, CpuUse};
use crate::report::comparison::{ComparisonReport, Rounds};

use args::Timing;
use bench::Bench;
use order::order;
use process::Server;

pub(crate) use args::CompareArgs;
pub(crate) use entrant::{AGAIN, ENGINE, Entrant, FLOOR, Place, Role, WS_FLOOR};
pub(crate) use outcome::{Metric, Outcome};
pub(crate) use scenario::{Kind, Scenario};
#[cfg(test)]
pub(crate) use table::find as scenario_named;
pub(crate) use targets::{Of, TARGETS, Target};

/// Runs the selected scenarios.
pub(crate) fn run(args: &CompareArgs) -> Result<ComparisonReport, Error> {
    let entrants = Entrant::all(&args.chosen(), &args.against);
    let scenarios = args.scenarios();
    let mut bench = Bench::new(args.timing(), CpuPair::pick(), args.system_calls);
    let mut report = ComparisonReport::new(settings(&bench), &entrants);
    for note in entrants.iter().filter_map(|entrant| wrong_cpu(entrant, bench.cpus)) {
        report.note(note);
    }
    let time = |scenario: &&Scenario| total(scenario, &entrants, &bench);
    let bar = progress(scenarios.iter().map(time).sum());
    let before = CpuUse::now();
    for scenario in scenarios {
        bar.set_message(scenario.title);
        let rate = match lacks_files(scenario) {
            Some(reason) => Err(reason),
            None => bench.rate(scenario).map_err(|error| error.to_string()),
        };
        match rate {
            Ok(rate) => compare(scenario, rate, &entrants, &mut bench, &bar, &mut report),
            // Skip it, and run the other scenarios.
            Err(reason) => {
                report.note(format!("{}: left out, {reason}", scenario.title));
                bar.inc(total(scenario, &entrants, &bench));
            }
        }
    }
    bar.finish_and_clear();
    if let Some((now, before)) = CpuUse::now().zip(before) {
        report.set_interference(now.with(bench.servers_cpu()).interference_since(before));
    }
    Ok(report)
}

/// Runs all rounds of one scenario. `rate` is that of an open loop. An entrant that fails once does
/// not take part in the scenario's further rounds.
fn compare(
    scenario: &Scenario,
    rate: Option<f64>,
    entrants: &[Entrant],
    bench: &mut Bench,
    bar: &ProgressBar,
    report: &mut ComparisonReport,
) {
    let admitted: Vec<&Entrant> =
        entrants.iter().filter(|entrant| scenario.admits(entrant)).collect();
    let time = expected(scenario, bench.timing);
    let mut rounds: Vec<Rounds> = admitted.iter().map(|_| Ok(Vec::new())).collect();
    for round in 0..bench.timing.rounds {
        for index in order(admitted.len(), round) {
            bar.set_message(format!("{}, {}", scenario.title, admitted[index].name));
            if let Ok(outcomes) = &mut rounds[index] {
                match bench.round(scenario, admitted[index], rate) {
                    Ok(outcome) => outcomes.push(outcome),
                    Err(error) => rounds[index] = Err(error.to_string()),
                }
            }
            bar.inc(time);
        }
    }
    for (entrant, outcomes) in admitted.iter().zip(&mut rounds) {
        if let Ok(outcomes) = outcomes {
            match bench.system_calls(scenario, entrant, rate) {
                Ok(calls) => outcomes.iter_mut().for_each(|outcome| outcome.system_calls = calls),
                Err(error) => report.note(format!(
                    "{}: system calls of {} were not counted: {error}",
                    scenario.title, entrant.name
                )),
            }
        }
        bar.inc(counting(scenario, entrant, bench));
    }
    let floor = admitted.iter().position(|entrant| entrant.role == Role::WsFloor);
    if let Some(Ok(outcomes)) = floor.and_then(|index| rounds.get(index)) {
        bench.learn(scenario, outcomes);
    }
    report.add(scenario, rate, admitted.into_iter().zip(rounds).collect());
}

/// The settings of the measurement, in sentences.
fn settings(bench: &Bench) -> Vec<String> {
    let timing = bench.timing;
    let place = match bench.cpus {
        Some(cpus) => format!(
            "each server in a process of its own on CPU {}, load on CPU {}, which never sleeps \
             unless said otherwise",
            cpus.server, cpus.load
        ),
        None => "each server in a process of its own, on the same CPU as the load".to_owned(),
    };
    vec![
        place,
        format!(
            "{} rounds of {:?} after {:?} to warm up, everybody in turn in each round, in changing \
             order; medians over the rounds",
            timing.rounds, timing.duration, timing.warm_up
        ),
        "servers sleep at once while nothing is ready, except for the engine's other idle modes; \
         floor: as many bytes over raw TCP; ws-floor: WebSocket without an engine, limits or \
         checks; of events, floor is the standard library's channel"
            .to_owned(),
        "every answer is compared byte for byte; open loops count latency from the intended send \
         time"
            .to_owned(),
    ]
}

/// The reason if the limit on open files is too low for the scenario's connections. Each process
/// has its own limit.
fn lacks_files(scenario: &Scenario) -> Option<String> {
    const OTHER_FILES: usize = 192;
    let wanted = (scenario.kind.connections() + OTHER_FILES) as u64;
    let limit = machine::raise_file_limit(wanted);
    (limit < wanted).then(|| format!("it needs {wanted} open files, the limit is {limit}"))
}

/// A note if a server that was started elsewhere may use the load's CPU.
fn wrong_cpu(entrant: &Entrant, cpus: Option<CpuPair>) -> Option<String> {
    let Place::Elsewhere { echo, broadcast } = &entrant.place else {
        return None;
    };
    let cpus = cpus?;
    let allowed = Server::elsewhere(echo.as_ref().or(broadcast.as_ref())?).allowed_cpus();
    let name = &entrant.name;
    match allowed {
        None => Some(format!("{name}: unknown CPU time, its process is not on this machine")),
        Some(allowed) if allowed == cpus.server.to_string() => None,
        Some(allowed) => Some(format!(
            "{name} may run on CPUs {allowed}, not only on {}: start it with taskset -c {}",
            cpus.server, cpus.server
        )),
    }
}

/// Milliseconds that one round of one entrant is expected to take.
fn expected(scenario: &Scenario, timing: Timing) -> u64 {
    const START: Duration = Duration::from_millis(30);
    const CONNECT: Duration = Duration::from_micros(80);
    let connect = CONNECT * scenario.kind.connections() as u32;
    let measured = match scenario.kind.patience() {
        0 => Duration::ZERO,
        times => timing.warm_up + timing.duration * times,
    };
    (START + connect + measured).as_millis() as u64
}

/// The same for the round that counts system calls, if there is one.
fn counting(scenario: &Scenario, entrant: &Entrant, bench: &Bench) -> u64 {
    if bench.counts(scenario, entrant) { expected(scenario, bench.counting()) } else { 0 }
}

/// Milliseconds that a whole scenario is expected to take.
fn total(scenario: &Scenario, entrants: &[Entrant], bench: &Bench) -> u64 {
    let rounds = bench.timing.rounds as u64 * expected(scenario, bench.timing);
    let admitted = entrants.iter().filter(|entrant| scenario.admits(entrant));
    admitted.map(|entrant| rounds + counting(scenario, entrant, bench)).sum()
}

/// A progress bar on standard error with an estimate of the remaining time. Hidden unless standard
/// error is a terminal.
fn progress(milliseconds: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{bar:30} {percent:>3} %  {elapsed}, about {eta} left  {wide_msg}",
    );
    let bar = ProgressBar::new(milliseconds)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// The list of scenarios and contestants.
pub(crate) fn list(args: &CompareArgs) -> String {
    let mut out = String::from("Scenarios:\n");
    for scenario in args.scenarios() {
        out.push_str(&format!("  {:<24}{}\n", scenario.id, scenario.title));
    }
    out.push_str("Contestants:\n");
    for contestant in args.chosen() {
        out.push_str(&format!("  {:<24}{}\n", contestant.name(), contestant.version()));
    }
    out
}
