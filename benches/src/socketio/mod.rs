//! Measures Socket.IO: the engine's server beside others and beside its own plain WebSockets. Each
//! scenario runs in rounds, and each round runs all servers, one after the other.

mod args;
mod contestant;
mod crowd;
mod events;
mod eventwire;
mod link;
mod loads;
mod scenario;
mod serving;
mod session;
#[cfg(feature = "peers")]
mod socketioxide;
#[cfg(test)]
mod tests;
mod wire;

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

pub(crate) use args::SocketIoArgs;
pub(crate) use contestant::Contestant;
pub(crate) use events::TEXT;
pub(crate) use loads::{STORM_MAX, Sample};
pub(crate) use scenario::{Figure, Kind, Scenario, Transport};

use crate::compare::order::order;
use crate::error::Error;
use crate::machine::{self, CpuPair, CpuUse, Interference};
use crate::progress_bar;

use loads::Load;

/// The results of one scenario.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) scenario: &'static Scenario,
    pub(crate) sessions: usize,
    /// The rounds of each server that takes part.
    pub(crate) servers: Vec<(Contestant, Vec<Sample>)>,
}

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) cpus: Option<CpuPair>,
    pub(crate) results: Vec<Results>,
    pub(crate) interference: Option<Interference>,
}

/// Runs all scenarios.
pub(crate) fn run(args: &SocketIoArgs) -> Result<Measured, Error> {
    let (cpus, scenarios) = (CpuPair::pick(), args.scenarios());
    let bar = progress_bar((scenarios.len() * args.rounds()) as u64);
    let (before, mut children, mut results) = (CpuUse::now(), Duration::ZERO, Vec::new());
    for scenario in scenarios {
        bar.set_message(scenario.id);
        let all = Contestant::all(args).into_iter();
        let takes_part = |contestant: &Contestant| contestant.takes_part_in(scenario);
        let mut servers: Vec<_> = all.filter(takes_part).map(|one| (one, Vec::new())).collect();
        for round in 0..args.rounds() {
            for index in order(servers.len(), round) {
                let (contestant, samples) = &mut servers[index];
                let (sample, used) = measure(args, scenario, *contestant, cpus)
                    .map_err(|error| failure(*contestant, scenario, &error))?;
                samples.push(sample);
                children += used;
            }
            bar.inc(1);
        }
        results.push(Results { scenario, sessions: scenario.sessions(args.quick), servers });
    }
    bar.finish_and_clear();
    let interference =
        CpuUse::now().zip(before).map(|(now, then)| now.with(children).interference_since(then));
    Ok(Measured { cpus, results, interference })
}

/// Runs one round on one server. Returns the server's CPU time, too.
fn measure(
    args: &SocketIoArgs,
    scenario: &Scenario,
    contestant: Contestant,
    cpus: Option<CpuPair>,
) -> Result<(Sample, Duration), Error> {
    let server = contestant.start(args, scenario, cpus)?;
    let load = Load {
        scenario,
        sessions: scenario.sessions(args.quick),
        server: &server,
        way: contestant.way(scenario),
        timing: args.timing(),
        spins: cpus.is_some(),
        collects_garbage: contestant.collects_garbage(),
    };
    let sample = machine::run_on(cpus.map(|cpus| cpus.load), || load.run());
    let used = server.cpu().and_then(|cpu| cpu.time()).unwrap_or_default();
    // If both failed, the load says what the server did.
    let sample = sample?;
    server.stop()?;
    Ok((sample, used))
}

fn failure(contestant: Contestant, scenario: &Scenario, error: &Error) -> Error {
    Error::Events(format!("{}, {}: {error}", scenario.id, contestant.name()))
}

/// Becomes another program, on a CPU if given. It ends with the process that started this one.
pub(crate) fn become_program(words: &[String], cpu: Option<usize>) -> Result<(), Error> {
    machine::end_with_parent()?;
    cpu.map_or(Ok(()), machine::pin)?;
    let (program, arguments) = words.split_first().map_or(("", words), |(a, b)| (a.as_str(), b));
    machine::raise_file_limit(u64::MAX);
    let error = Command::new(program).args(arguments).exec();
    Err(Error::system(format!("cannot run {program}"))(error))
}
