//! Measures HTTP requests: the engine beside other servers, each in a process of its own.

mod args;
mod load;
#[cfg(feature = "peers")]
mod peers;
mod servers;

use std::time::Duration;

use clap::ValueEnum as _;

pub(crate) use args::HttpArgs;
pub(crate) use load::Round;
pub(crate) use servers::HttpServer;

use crate::compare::process::Server;
use crate::error::Error;
use crate::machine::{self, CpuPair, CpuUse};
use crate::progress_bar;
use crate::report::http::HttpReport;

use load::Load;

const FULL: (Duration, Duration) = (Duration::from_millis(150), Duration::from_millis(600));
const QUICK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(100));

/// Runs all servers in turns.
pub(crate) fn run(args: &HttpArgs) -> Result<HttpReport, Error> {
    let (warm_up, measured) = if args.quick { QUICK } else { FULL };
    let rounds = if args.quick { 1 } else { usize::from(args.rounds) };
    let load = Load { connections: args.connections, depth: args.depth, warm_up, measured };
    let cpus = CpuPair::pick();
    let servers = HttpServer::value_variants();
    let mut results: Vec<_> = servers.iter().map(|&server| (server, Vec::new())).collect();
    let bar = progress_bar((servers.len() * rounds) as u64);
    let before = CpuUse::now();
    let mut children = Duration::ZERO;
    for _ in 0..rounds {
        for (server, rounds) in &mut results {
            bar.set_message(server.name());
            let process = Server::spawn(server.name(), words(*server, cpus), None)?;
            rounds.push(machine::run_on(cpus.map(|cpus| cpus.load), || load.run(&process))?);
            children += process.cpu().and_then(|cpu| cpu.time()).unwrap_or_default();
            process.stop()?;
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let interference =
        CpuUse::now().zip(before).map(|(now, then)| now.with(children).interference_since(then));
    Ok(HttpReport::new(args, cpus, &results, interference))
}

/// The arguments with which this program becomes the server.
fn words(server: HttpServer, cpus: Option<CpuPair>) -> Vec<String> {
    let mut words = ["http", "--serve", server.name()].map(str::to_owned).to_vec();
    if let Some(cpus) = cpus {
        words.extend(["--cpu".to_owned(), cpus.server.to_string()]);
    }
    words
}
