//! The whole engine in a simulated world: a seed decides what the network does, and what the
//! application and its peers do.
//!
//! Twelve hundred seeds run in the ordinary test command. One that fails is named with the command
//! that runs it again and prints the end of its history. `EVENTWIRE_SEEDS=100000` runs more, and
//! `--nocapture` shows how far each family is, and what all of them came to.
//!
//! What must hold after every turn is in `invariants`, what must hold at a loop's end in `ending`.

mod actions;
mod alarms;
mod app;
mod broadcasts;
mod churn;
mod closes;
mod connecting;
mod control;
mod drains;
mod durations;
mod echo;
mod ending;
mod events;
mod fetch;
mod flow;
mod followers;
mod handler;
mod hearing;
mod invariants;
mod judging;
mod listening;
mod matrix;
mod memory;
mod news;
mod panics;
mod pauses;
mod pausing;
mod payload;
mod peer;
mod peers;
mod places;
mod punctual;
mod regressions;
mod rig;
mod script;
mod servers;
mod shares;
mod site;
mod stirring;
mod topics;
mod totals;
mod visitor;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use eventwire::reactor::sim::{Fault, FaultCounts, SimConfig};
use eventwire::{ClientConfig, Config, Idle, ServerConfig};

use self::totals::Totals;
use self::world::{MAX_CONNECTIONS, Report, Setup};
use crate::shared::Random;

/// How many seeds there are, those of all families together.
const SEEDS: u64 = 1200;

/// Of so many seeds, one is run twice, to compare the histories.
const COMPARED: u64 = 13;

/// After so many seeds of a family its progress is printed.
const PROGRESS: u64 = 1000;

/// Faults that only a connect of the application's meets.
const OF_CONNECTS: [Fault; 3] = [Fault::Refused, Fault::ConnectSlow, Fault::ConnectNever];

/// Faults that lose something, or that end connections by themselves.
const LOSSES: [Fault; 5] =
    [Fault::Reset, Fault::LostOnReset, Fault::Aborted, Fault::ClockJump, Fault::Stopped];

/// One kind of workload; a seed belongs to one of them.
struct Family<W: Simulated> {
    name: &'static str,
    number: u64,
    /// Faults that do not occur in it.
    absent: Vec<Fault>,
    world: fn(u64, bool) -> W,
}

/// What a seed makes, the kind of which is a family's.
trait Simulated {
    /// Lets everybody arrive and do what they came for, ends everything, and looks whether all
    /// is well.
    fn run(self) -> Report;
}

/// How many families there are.
const FAMILIES: u64 = 12;

impl<W: Simulated> Family<W> {
    /// Runs the family's seeds, or the one that the environment asks for.
    fn run(&self) {
        if let Some(seed) = number_from_environment("EVENTWIRE_SEED") {
            if seed % FAMILIES == self.number {
                (self.world)(seed, true).run();
            }
            return;
        }
        let seeds = number_from_environment("EVENTWIRE_SEEDS").unwrap_or(SEEDS);
        let mut totals = Totals::default();
        for seed in (self.number..seeds).step_by(FAMILIES as usize) {
            let report = self.run_seed(seed);
            totals.add(&report);
            if seed / FAMILIES % COMPARED == 0 {
                let again = self.run_seed(seed);
                assert_eq!(report.trace_hash, again.trace_hash, "seed {seed} has two histories");
            }
            if totals.seeds % PROGRESS == 0 {
                println!("{}: {} of {} seeds", self.name, totals.seeds, seeds / FAMILIES);
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
        catch_unwind(AssertUnwindSafe(|| (self.world)(seed, false).run())).unwrap_or_else(|panic| {
            eprintln!(
                "seed {seed} ({}) fails. Run it again, with the end of its history:\n\
                 EVENTWIRE_SEED={seed} cargo test --test it simulation -- --nocapture",
                self.name
            );
            resume_unwind(panic)
        })
    }
}

/// How often the clock went on by itself.
fn jumps(faults: FaultCounts) -> u64 {
    faults.get(Fault::ClockJump) + faults.get(Fault::Stopped)
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

/// The configuration of a loop which has no limits that a test did not set.
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
