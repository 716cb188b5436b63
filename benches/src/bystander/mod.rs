//! Measures how broadcasts to many connections delay another connection: its round trips during
//! broadcasts and without them, alternately.

mod args;
mod crowd;
mod server;

use std::thread;
use std::time::{Duration, Instant};

use eventwire::Publisher;
use indicatif::ProgressBar;

use crate::error::Error;
use crate::load::{Latencies, Probe, Stamp, no_latencies};
use crate::machine::{self, CpuPair, CpuUse, Interference, ThreadCpu};
use crate::progress_bar;
use crate::report::bystander::BystanderReport;

pub(crate) use args::BystanderArgs;

use crowd::Crowd;
use server::{Access, Server};

/// The setting of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) rounds: usize,
    pub(crate) quiet: Duration,
    pub(crate) broadcasting: Duration,
}

const FULL: Timing = Timing {
    rounds: 5,
    quiet: Duration::from_millis(500),
    broadcasting: Duration::from_millis(1500),
};
const QUICK: Timing =
    Timing { rounds: 1, quiet: Duration::from_millis(20), broadcasting: Duration::from_millis(60) };

/// The result of one round.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// Round trips without broadcasts.
    pub(crate) quiet: Latencies,
    /// Round trips during broadcasts.
    pub(crate) during: Latencies,
    /// How long broadcasts went on.
    pub(crate) time: Duration,
    /// How many messages subscribers received in that time.
    pub(crate) deliveries: u64,
    /// The loop's CPU time in that time.
    pub(crate) loop_cpu: Option<Duration>,
}

/// Payload bytes of the bystander's messages.
pub(crate) const ECHO_SIZE: usize = 128;
/// How many files are open besides both ends of the subscribers' connections.
const OTHER_FILES: usize = 192;
/// If messages are pending and the server sends nothing for this long, it has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs all measurements.
pub(crate) fn run(args: &BystanderArgs) -> Result<BystanderReport, Error> {
    let timing = if args.quick { QUICK } else { FULL };
    let cpus = CpuPair::pick();
    let subscribers = affordable(args.subscribers)?;
    let bar = progress_bar((1 + timing.rounds) as u64);
    let (server, access) = Server::start(args.size, args.idle, cpus.map(|cpus| cpus.server))?;
    let (before, bar) = (CpuUse::now(), &bar);
    // On a thread of its own, so that only this thread is bound to a CPU.
    let rounds = thread::scope(|scope| {
        let load = scope.spawn(move || -> Result<Vec<Round>, Error> {
            cpus.map_or(Ok(()), |cpus| machine::pin(cpus.load))?;
            Bystander::connect(access, args.size, subscribers, cpus.is_some())?.run(timing, bar)
        });
        load.join().unwrap_or(Err(Error::Thread("load")))
    });
    let interference = CpuUse::now().zip(before).map(|(now, then)| now.interference_since(then));
    bar.finish_and_clear();
    // If both failed, the server's error is the cause.
    server.stop()?;
    let mut report = BystanderReport::new(args, cpus, timing, subscribers);
    report.set(&rounds?);
    if let Some(note) = interference.and_then(Interference::doubts) {
        report.note(note);
    }
    Ok(report)
}

/// The requested number of connections, or as many as the limit on open files allows with both
/// ends in this process.
fn affordable(wanted: usize) -> Result<usize, Error> {
    let files = machine::raise_file_limit((wanted * 2 + OTHER_FILES) as u64);
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    match wanted.min(files.saturating_sub(OTHER_FILES) / 2) {
        0 => Err(Error::Settings(format!("the limit of {files} open files leaves no room"))),
        subscribers => Ok(subscribers),
    }
}

/// The measuring connection and the subscribers. One thread serves both, so that reading broadcasts
/// is never part of a round trip.
struct Bystander {
    probe: Probe,
    crowd: Crowd,
    shouts: Publisher<Stamp>,
    /// How many broadcasts were requested.
    shouted: u64,
    server_cpu: ThreadCpu,
}

impl Bystander {
    fn connect(access: Access, size: usize, subscribers: usize, spin: bool) -> Result<Self, Error> {
        let crowd = Crowd::connect(&access.crowd, subscribers, size)?;
        Ok(Self {
            probe: Probe::connect(&access.echo, ECHO_SIZE, 0, spin)?,
            crowd,
            shouts: access.shouts,
            shouted: 0,
            server_cpu: access.cpu,
        })
    }

    fn run(mut self, timing: Timing, bar: &ProgressBar) -> Result<Vec<Round>, Error> {
        bar.inc(1);
        let mut rounds = Vec::with_capacity(timing.rounds);
        for _ in 0..timing.rounds {
            let quiet = self.without_broadcasts(timing.quiet)?;
            rounds.push(self.during_broadcasts(quiet, timing.broadcasting)?);
            bar.inc(1);
        }
        self.probe.close();
        self.crowd.close();
        Ok(rounds)
    }

    fn without_broadcasts(&mut self, time: Duration) -> Result<Latencies, Error> {
        self.probe.round_trip()?;
        let mut latencies = no_latencies();
        let start = Instant::now();
        loop {
            latencies.saturating_record(self.probe.round_trip()?.as_nanos() as u64);
            if start.elapsed() > time {
                return Ok(latencies);
            }
        }
    }

    fn during_broadcasts(&mut self, quiet: Latencies, time: Duration) -> Result<Round, Error> {
        let mut during = no_latencies();
        let (cpu, start) = (self.server_cpu.time(), Instant::now());
        let delivered = self.crowd.delivered();
        loop {
            // Queue one broadcast while the loop delivers the last one, and not more: several would
            // leave in one write for each subscriber.
            if self.owed() < self.crowd.len() {
                self.shout()?;
            }
            // Broadcasts are pending until the subscribers read them.
            during.saturating_record(self.probe.round_trip()?.as_nanos() as u64);
            if start.elapsed() > time {
                break;
            }
            self.crowd.read()?;
        }
        self.settle()?;
        let (time, now) = (start.elapsed(), self.server_cpu.time());
        let deliveries = self.crowd.delivered() - delivered;
        let loop_cpu = now.zip(cpu).map(|(now, then)| now.saturating_sub(then));
        Ok(Round { quiet, during, time, deliveries, loop_cpu })
    }

    /// How many broadcast messages all subscribers together have not received.
    fn owed(&self) -> u64 {
        self.shouted * self.crowd.len() - self.crowd.delivered()
    }

    fn shout(&mut self) -> Result<(), Error> {
        let shout = Stamp { sender: 0, sequence: self.shouted as u32 };
        self.shouts.publish(shout).map_err(|refused| Error::Events(refused.to_string()))?;
        self.shouted += 1;
        Ok(())
    }

    /// Waits until every subscriber has received every message.
    fn settle(&mut self) -> Result<(), Error> {
        let start = Instant::now();
        while self.owed() > 0 {
            self.crowd.read()?;
            let time = start.elapsed();
            if time > PATIENCE {
                return Err(Error::Stalled { outstanding: self.owed(), seconds: time.as_secs() });
            }
        }
        Ok(())
    }
}
