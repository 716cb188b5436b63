//! Measures reconnection: many clients lose their server, which is killed and started again.

mod args;
mod clients;
mod server;

use std::time::{Duration, Instant};

use eventwire::Backoff;

pub(crate) use args::ReconnectArgs;

use crate::error::Error;
use crate::load::Latencies;
use crate::progress_bar;
use crate::report::reconnect::ReconnectReport;

use clients::Clients;
use server::Server;

/// How one round ended.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// From the kill until each client was back, in nanoseconds.
    pub(crate) back: Latencies,
    /// Attempts to reconnect.
    pub(crate) attempts: u64,
    /// Attempts that failed.
    pub(crate) failed: u64,
    /// The longest turn of the clients' loop, from the kill on.
    pub(crate) longest_turn: Duration,
}

/// Runs all rounds.
pub(crate) fn run(args: &ReconnectArgs) -> Result<ReconnectReport, Error> {
    let (count, rounds) = if args.quick { (20, 1) } else { (args.clients as usize, args.rounds) };
    let backoff = match args.quick {
        true => Backoff::default().first(Duration::from_millis(10)),
        false => Backoff::default(),
    };
    let mut report = ReconnectReport::new(count, rounds, backoff);
    let bar = progress_bar(rounds.into());
    let mut server = Server::start(([127, 0, 0, 1], 0).into())?;
    let address = server.address;
    let mut clients = Clients::connect(count, address, backoff)?;
    for _ in 0..rounds {
        let killed = Instant::now();
        server.kill()?;
        clients.lose(killed)?;
        server = Server::start(address)?;
        report.add(&clients.come_back()?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    server.kill()?;
    Ok(report)
}
