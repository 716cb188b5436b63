//! Measures resuming: clients that are dropped at random come back to topics that go on, or all
//! resume a long history at once.

mod args;
mod client;
mod clients;
mod control;
mod dialect;
mod replay;
mod server;
mod storm;

use std::time::{Duration, Instant};

pub(crate) use args::ResumeArgs;
pub(crate) use client::Tally;
pub(crate) use dialect::Dialect;
pub(crate) use replay::ReplayCost;
pub(crate) use server::{OUTBOUND_MAX, serve};
pub(crate) use storm::Storm;

use crate::compare::process::Server;
use crate::error::Error;
use crate::idle::IdleMode;
use crate::machine::{self, CpuPair, CpuUse};
use crate::progress_bar;
use crate::report::resume::ResumeReport;
use crate::service::{Service, ServiceConfig};

use clients::Clients;

/// How long a round takes in proportion to its drops.
const ROUND: f64 = 2.5;

/// Open files that the program needs besides its connections.
const OTHER_FILES: u64 = 64;

/// How long messages may be under way when nothing more is broadcast.
const GRACE: Duration = Duration::from_millis(300);

/// What came of the drops.
#[derive(Clone, Debug)]
pub(crate) struct Drops {
    pub(crate) tally: Tally,
    /// From the last drop of each round until all clients were current.
    pub(crate) settled: Vec<Duration>,
    /// Bytes of the server's memory for each client, before the drops and after them.
    pub(crate) bytes_per_client: Option<(u64, u64)>,
    /// The share of one CPU that the server used.
    pub(crate) server_cpu: Option<f64>,
}

/// What was measured.
#[derive(Clone, Debug)]
pub(crate) enum Observed {
    Drops(Drops, Vec<ReplayCost>),
    Storm(Storm),
}

/// Runs the measurement.
pub(crate) fn run(args: &ResumeArgs) -> Result<ResumeReport, Error> {
    let args = args.effective();
    let files = u64::from(args.clients) + OTHER_FILES;
    if machine::raise_file_limit(files) < files {
        let reason = format!("{files} open files are needed, and not so many are allowed");
        return Err(Error::Settings(reason));
    }
    let cpus = CpuPair::pick();
    let server = match &args.socket_io {
        Some(target) => Server::elsewhere(target),
        None => Server::spawn("eventwire", words(cpus), None)?,
    };
    let before = CpuUse::now();
    let measure = || match args.storm {
        true => Ok(Observed::Storm(storm::run(&args, &server)?)),
        false => drop_clients(&args, &server),
    };
    let observed = machine::run_on(cpus.map(|cpus| cpus.load), measure)?;
    let children = server.cpu().and_then(|cpu| cpu.time()).unwrap_or_default();
    let interference =
        CpuUse::now().zip(before).map(|(now, then)| now.with(children).interference_since(then));
    server.stop()?;
    Ok(ResumeReport::new(&args, cpus, &observed, interference))
}

/// The arguments with which this program becomes the server.
fn words(cpus: Option<CpuPair>) -> Vec<String> {
    let mut words = ["resume", "--serve"].map(str::to_owned).to_vec();
    if let Some(cpus) = cpus {
        words.extend(["--cpu".to_owned(), cpus.server.to_string()]);
    }
    words
}

impl ResumeArgs {
    /// How to be the server.
    pub(crate) fn server_config(&self) -> ServiceConfig {
        ServiceConfig::embedded(Service::Broadcast, IdleMode::Block, self.cpu)
    }

    const fn dialect(&self) -> Dialect {
        if self.socket_io.is_some() { Dialect::SocketIo } else { Dialect::Eventwire }
    }
}

fn drop_clients(args: &ResumeArgs, server: &Server) -> Result<Observed, Error> {
    let empty = server.memory();
    let (topics, dialect) = (args.topics as usize, args.dialect());
    let mut clients =
        Clients::connect((args.clients as usize, topics), server.target(), dialect, "join")?;
    let per_client = |memory: Option<u64>| {
        let grown = memory.zip(empty).map(|(memory, empty)| memory.saturating_sub(empty));
        grown.map(|bytes| bytes / u64::from(args.clients))
    };
    let connected = per_client(server.memory());
    let numbers = [u64::from(args.topics), args.rate as u64, u64::from(args.size)];
    clients.command("start", &numbers)?;
    let (begun, cpu) = (Instant::now(), server.cpu().and_then(|cpu| cpu.time()));
    let settled = run_rounds(args, &mut clients)?;
    let spent = server.cpu().and_then(|cpu| cpu.time()).zip(cpu).map(|(now, then)| now - then);
    let server_cpu = spent.map(|spent| spent.as_secs_f64() / begun.elapsed().as_secs_f64());
    clients.command("stop", &[])?;
    let end = Instant::now() + GRACE;
    clients.turn_until(|clients| Instant::now() > end && clients.are_current())?;
    clients.conclude()?;
    let bytes_per_client = connected.zip(per_client(server.memory()));
    let tally = clients.tally.clone();
    drop(clients);
    let cost = match args.dialect() {
        Dialect::Eventwire => replay::measure(args, server)?,
        Dialect::SocketIo => Vec::new(),
    };
    Ok(Observed::Drops(Drops { tally, settled, bytes_per_client, server_cpu }, cost))
}

/// Drops clients and lets them come back. Returns how long each round took to settle.
fn run_rounds(args: &ResumeArgs, clients: &mut Clients) -> Result<Vec<Duration>, Error> {
    let round = args.dropping().mul_f64(ROUND);
    let rounds = (args.time.as_secs_f64() / round.as_secs_f64()).round().max(1.0) as u64;
    let bar = progress_bar(rounds);
    let mut settled = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        let mut dropped = 0;
        while begun.elapsed() < args.dropping() {
            // Each client once, on average.
            let share = begun.elapsed().as_secs_f64() / args.dropping().as_secs_f64();
            let due = (share * f64::from(args.clients)) as u32;
            (dropped..due).for_each(|_| clients.drop_one(args.away_max()));
            dropped = due;
            clients.turn(Duration::from_millis(1))?;
        }
        settled.push(clients.turn_until(Clients::are_current)?);
        let end = begun + round;
        clients.turn_until(|_| Instant::now() >= end)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(settled)
}
