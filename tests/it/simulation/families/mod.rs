//! Families of workloads. Each is one file or folder: its test with its invariant, the check of
//! that invariant, and the world that a seed makes.
//!
//! To add a family, write its file, and name it below and in [`FAMILIES`].

mod churn;
mod crowd;
mod echo;
mod events;
mod fetch;
mod http;
mod journal;
mod keyed;
mod links;
mod panics;
mod pauses;
mod peers;
mod punctual;
mod resume;
mod servers;
mod shutdowns;
mod site;
#[cfg(feature = "socketio")]
mod socketio;
mod streams;
mod topics;
mod totals;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use eventwire::reactor::sim::{Fault, SimConfig};
use eventwire::{ClientConfig, Config, Idle, ServerConfig};

use self::totals::Totals;
use super::world::{MAX_CONNECTIONS, Report, Setup};
use crate::shared::Random;

/// Seed `n` belongs to family `n % FAMILIES.len()`.
const FAMILIES: [&str; 19] = [
    "echo",
    "fetch",
    "topics",
    "churn",
    "peers",
    "servers",
    "pauses",
    "events",
    "panics",
    "shutdowns",
    "site",
    "punctual",
    "links",
    "streams",
    "keyed",
    "http",
    "resume",
    "journal",
    "socketio",
];

/// Seeds of all families together.
const SEEDS: u64 = 2109;

/// One seed in this many runs twice, to compare the histories.
const COMPARED: u64 = 13;

/// A family prints its progress after this many seeds.
const PROGRESS: u64 = 1000;

/// Faults that only a connection from the application meets.
const OF_CONNECTS: [Fault; 3] = [Fault::Refused, Fault::ConnectSlow, Fault::ConnectNever];

/// Faults that lose something, or that end connections by themselves.
const LOSSES: [Fault; 5] =
    [Fault::Reset, Fault::LostOnReset, Fault::Aborted, Fault::ClockJump, Fault::Stopped];

/// An outbox without limits: more than any run sends. Where both ends of a connection stop reading
/// until their own output leaves, neither ever goes on.
const UNLIMITED: usize = 16 * 1024 * 1024;

/// One kind of workload.
struct Family<W: Simulated> {
    name: &'static str,
    /// Faults that do not occur in it.
    absent: Vec<Fault>,
    /// Makes the world of a seed; `true` keeps its history to be printed.
    world: fn(u64, bool) -> W,
    /// Panics unless the family's invariant holds. Runs when nothing is under way any more, before
    /// the test ends what is left.
    invariant: fn(&mut W),
}

/// The world of one seed.
pub(super) trait Simulated {
    /// Runs the workload until nothing is under way, checks `invariant`, and ends everything.
    fn run(self, invariant: fn(&mut Self)) -> Report;
}

impl<W: Simulated> Family<W> {
    /// Runs the family's seeds, or the one that the environment asks for.
    fn run(&self) {
        let families = FAMILIES.len() as u64;
        let number = FAMILIES.iter().position(|name| *name == self.name);
        let number = number.expect("the family's name is in FAMILIES") as u64;
        if let Some(seed) = number_from_environment("EVENTWIRE_SEED") {
            if seed % families == number {
                (self.world)(seed, true).run(self.invariant);
            }
            return;
        }
        let seeds = number_from_environment("EVENTWIRE_SEEDS").unwrap_or(SEEDS);
        let mut totals = Totals::default();
        for seed in (number..seeds).step_by(FAMILIES.len()) {
            let report = self.run_seed(seed);
            totals.add(&report);
            if seed / families % COMPARED == 0 {
                let again = self.run_seed(seed);
                assert_eq!(report.trace_hash, again.trace_hash, "seed {seed} has two histories");
            }
            if totals.seeds % PROGRESS == 0 {
                println!("{}: {} of {} seeds", self.name, totals.seeds, seeds / families);
            }
        }
        println!("{}: {totals}", self.name);
        for (fault, count) in totals.faults() {
            let absent = self.absent.contains(&fault);
            assert!((count == 0) == absent || seeds < SEEDS, "{fault:?} occurred {count} times");
        }
        totals.conclude();
    }

    fn run_seed(&self, seed: u64) -> Report {
        let run = || (self.world)(seed, false).run(self.invariant);
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            eprintln!(
                "seed {seed} ({}) fails. Run it again, with the end of its history:\n\
                 EVENTWIRE_SEED={seed} cargo test --test it simulation -- --nocapture",
                self.name
            );
            resume_unwind(panic)
        })
    }
}

/// Whether every family runs as many seeds as in the ordinary test command, or more.
fn runs_all_seeds() -> bool {
    let is_one = number_from_environment("EVENTWIRE_SEED").is_some();
    let seeds = number_from_environment("EVENTWIRE_SEEDS").unwrap_or(SEEDS);
    !is_one && seeds >= SEEDS
}

fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// The network that a seed chooses, with all faults or with those that lose nothing.
fn network(random: &mut Random, window: usize, lossless: bool) -> SimConfig {
    let mut sim = SimConfig::default().window(window);
    let chance = if lossless { 0 } else { 1000 };
    sim = sim.chance(Fault::ClockJump, chance).chance(Fault::Stopped, chance);
    sim = sim.batch(random.pick(&[1, 3, 10, usize::MAX, usize::MAX, usize::MAX]));
    if lossless {
        sim = sim.chance(Fault::Reset, 0).chance(Fault::Aborted, 0);
    }
    match random.below(6) {
        0 => sim.chance(Fault::Delayed, 400_000),
        1 => sim.chance(Fault::Pieces, 600_000).chance(Fault::ShortRecv, 400_000),
        2 => sim.chance(Fault::WouldBlock, 300_000).chance(Fault::ShortSend, 300_000),
        // Nothing is slow, so that much falls into one turn.
        3 => sim.latency(Duration::from_micros(20), Duration::from_micros(20)),
        4 => sim.chance(Fault::Spurious, 200_000).chance(Fault::Stale, 200_000),
        _ => sim,
    }
}

/// The configuration of a loop without limits, but for those that a family sets.
fn config(random: &mut Random) -> Config {
    let idle = match random.below(10) {
        0 => Idle::Adaptive { spin_max: Duration::from_micros(4) },
        _ => Idle::Block,
    };
    let buffer = random.pick(&[4096, 4096, 16_384, 65_536]);
    Config::default().idle(idle).receive_buffer(buffer).max_connections(MAX_CONNECTIONS)
}

fn setup(seed: u64, sim: SimConfig, config: Config) -> Setup {
    let (server, client) = (ServerConfig::default(), ClientConfig::default());
    Setup { seed, sim, config, server, client }
}
