//! Measures what TLS adds to a round trip, to opening a connection, and to the memory of an idle
//! one. The engine is at both ends, alternately without TLS and with it.

mod client;

use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use indicatif::ProgressBar;

use crate::cli::TlsArgs;
use crate::compare::process::{Order, Server};
use crate::contestants::Contestant;
use crate::error::Error;
use crate::idle::IdleMode;
use crate::load::{Latencies, no_latencies};
use crate::machine::{self, CpuPair, CpuUse, Interference, ThreadCpu};
use crate::progress_bar;
use crate::report::tls::TlsReport;
use crate::service::Service;

use client::Client;
pub(crate) use client::Opening;

/// Payload bytes of the messages whose round trips are measured.
pub(crate) const SIZES: [usize; 5] = [16, 128, 1024, 16 * 1024, 64 * 1024];

/// The ways to open a connection. The first one is without TLS.
pub(crate) const OPENINGS: [Opening; 3] = [Opening::Plain, Opening::Full, Opening::Resumed];

/// The setting of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) rounds: usize,
    /// For each size.
    pub(crate) time: Duration,
    /// How many connections are opened one after the other, in each way.
    pub(crate) openings: usize,
}

const FULL: Timing = Timing { rounds: 5, time: Duration::from_millis(400), openings: 200 };
const QUICK: Timing = Timing { rounds: 1, time: Duration::from_millis(20), openings: 5 };

/// The results of one kind of operation in one round.
#[derive(Clone, Debug)]
pub(crate) struct Lap {
    pub(crate) latencies: Latencies,
    /// The server's CPU time for each.
    pub(crate) server_cpu: Option<Duration>,
}

/// All results without TLS, or with it, in one round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    /// In the order of [`SIZES`].
    pub(crate) round_trips: Vec<Lap>,
    /// In the order of [`OPENINGS`], only those with TLS, or without.
    pub(crate) openings: Vec<Lap>,
}

/// The server's memory per idle connection, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) connections: usize,
    pub(crate) plain: f64,
    pub(crate) secure: f64,
}

/// All measurements.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) plain: Vec<Round>,
    pub(crate) secure: Vec<Round>,
    pub(crate) held: Option<Held>,
    /// The CPU time of all servers.
    servers_cpu: Duration,
}

/// State that all rounds share.
#[derive(Clone, Copy, Debug)]
struct Setting {
    timing: Timing,
    idle: IdleMode,
    cpus: Option<CpuPair>,
}

/// Runs all measurements.
pub(crate) fn run(args: &TlsArgs) -> Result<TlsReport, Error> {
    let timing = if args.quick { QUICK } else { FULL };
    let setting = Setting { timing, idle: args.idle, cpus: CpuPair::pick() };
    let connections = affordable(args.connections)?;
    let bar = &progress_bar(2 * timing.rounds as u64 + 2);
    let before = CpuUse::now();
    // On a thread of its own, so that only this thread is bound to a CPU.
    let figures = thread::scope(|scope| {
        let load = scope.spawn(move || setting.measure(connections, bar));
        load.join().unwrap_or(Err(Error::Thread("load")))
    })?;
    bar.finish_and_clear();
    let mut report = TlsReport::new(args, setting.cpus, timing, &figures);
    let interference = CpuUse::now()
        .zip(before)
        .map(|(now, then)| now.with(figures.servers_cpu).interference_since(then));
    if let Some(note) = interference.and_then(Interference::doubts) {
        report.note(note);
    }
    Ok(report)
}

/// The requested number of connections, or as many as the limit on open files allows.
fn affordable(wanted: usize) -> Result<usize, Error> {
    const OTHER_FILES: usize = 192;
    let files = machine::raise_file_limit((wanted + OTHER_FILES) as u64);
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    match wanted.min(files.saturating_sub(OTHER_FILES)) {
        0 => Err(Error::Settings(format!("the limit of {files} open files leaves no room"))),
        connections => Ok(connections),
    }
}

impl Setting {
    fn measure(self, connections: usize, bar: &ProgressBar) -> Result<Figures, Error> {
        self.cpus.map_or(Ok(()), |cpus| machine::pin(cpus.load))?;
        let (mut plain, mut secure, mut servers_cpu) = (Vec::new(), Vec::new(), Duration::ZERO);
        for _ in 0..self.timing.rounds {
            for (rounds, with_tls) in [(&mut plain, false), (&mut secure, true)] {
                let (round, cpu) = self.round(with_tls)?;
                rounds.push(round);
                servers_cpu += cpu;
                bar.inc(1);
            }
        }
        let mut bytes = [None; 2];
        for (bytes, with_tls) in bytes.iter_mut().zip([false, true]) {
            let (held, cpu) = self.bytes_held(connections, with_tls)?;
            *bytes = held;
            servers_cpu += cpu;
            bar.inc(1);
        }
        let held =
            bytes[0].zip(bytes[1]).map(|(plain, secure)| Held { connections, plain, secure });
        Ok(Figures { plain, secure, held, servers_cpu })
    }

    /// Starts a new server, so that no state remains from earlier rounds.
    fn start(self, with_tls: bool) -> Result<(Server, Client), Error> {
        let order = Order {
            contestant: Contestant::Eventwire,
            service: Service::Echo,
            idle: self.idle,
            cpu: self.cpus.map(|cpus| cpus.server),
            tls: with_tls,
        };
        let server = Server::start(order, None)?;
        let target = server.target();
        let host: IpAddr = target.host.parse().map_err(|_| Error::Settings("no address".into()))?;
        let address = SocketAddr::new(host, target.port);
        Ok((server, Client::new(address, with_tls, self.cpus.is_some())?))
    }

    fn round(self, with_tls: bool) -> Result<(Round, Duration), Error> {
        let (server, mut client) = self.start(with_tls)?;
        let mut round = Round::default();
        for size in SIZES {
            round.round_trips.push(lap(&server, || client.round_trips(size, self.timing.time))?);
        }
        for opening in
            OPENINGS.into_iter().filter(|opening| (*opening != Opening::Plain) == with_tls)
        {
            // Without an earlier session there is none to resume.
            client.open(opening)?;
            let count = self.timing.openings;
            round.openings.push(lap(&server, || {
                let mut latencies = no_latencies();
                for _ in 0..count {
                    latencies.saturating_record(client.open(opening)?.as_nanos() as u64);
                }
                Ok((latencies, count))
            })?);
        }
        Ok((round, stop(server)?))
    }

    /// The memory of each of `count` connections, after a message and its echo.
    fn bytes_held(
        self,
        connections: usize,
        with_tls: bool,
    ) -> Result<(Option<f64>, Duration), Error> {
        let (server, mut client) = self.start(with_tls)?;
        // Memory that is independent of the number of connections is already allocated.
        client.hold(1)?;
        let before = server.memory();
        client.hold(connections)?;
        let grown = server.memory().zip(before).map(|(now, then)| now.saturating_sub(then));
        drop(client);
        Ok((grown.map(|bytes| bytes as f64 / connections as f64), stop(server)?))
    }
}

/// Ends a server, and returns its CPU time.
fn stop(server: Server) -> Result<Duration, Error> {
    let cpu = server.cpu().and_then(|cpu| cpu.time()).unwrap_or_default();
    server.stop().map(|()| cpu)
}

/// Runs an operation `count` times, and measures the server's CPU time for each.
fn lap(
    server: &Server,
    run: impl FnOnce() -> Result<(Latencies, usize), Error>,
) -> Result<Lap, Error> {
    let cpu = server.cpu();
    let time = || cpu.as_ref().and_then(ThreadCpu::time);
    let before = time();
    let (latencies, count) = run()?;
    let spent = time().zip(before).map(|(now, then)| now.saturating_sub(then));
    let server_cpu = spent.map(|spent| spent / u32::try_from(count.max(1)).unwrap_or(u32::MAX));
    Ok(Lap { latencies, server_cpu })
}
