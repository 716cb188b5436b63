//! Durable topics over several lives of a process, which end in order, by a crash, or with the
//! power, and over a disk that fails.

mod app;
mod client;
mod process;
mod truth;

use std::cell::Cell;

use eventwire::reactor::sim::{self, FaultCounts};

use self::process::Process;
use self::truth::{Outcomes, Truth};
use super::{Family, OF_CONNECTS, Simulated, network, runs_all_seeds};
use crate::shared::Random;
use crate::simulation::families::journal::client::Visitor;
use crate::simulation::world::Report;
use crate::util::disk::{Disk, Fault};

/// The names of the topics: two commit first, and two deliver first.
const NAMES: [&str; 4] = ["c/0", "c/1", "d/0", "d/1"];

/// How many of them commit first.
const COMMIT_FIRST: usize = 2;

const FAULTS: [Fault; 3] = [Fault::Failure, Fault::Full, Fault::FailureAfterwards];

thread_local! {
    /// What all seeds came to.
    static OUTCOMES: Cell<Outcomes> = const { Cell::new(Outcomes::NONE) };
}

/// Invariant: a position means the same message for every client in every life of the process. A
/// client that has recovered gets all messages behind its position, and each once. What was
/// acknowledged is still there after a crash.
#[test]
fn what_clients_have_got_and_what_was_acknowledged_survives_every_end() {
    let absent = OF_CONNECTS.to_vec();
    Family { name: "journal", absent, world, invariant: |_| {} }.run();
    let outcomes = OUTCOMES.get();
    println!("journal: {outcomes:?}");
    if runs_all_seeds() {
        let never: Vec<_> =
            outcomes.counts().into_iter().filter(|(_, count)| *count == 0).collect();
        assert!(never.is_empty(), "{never:?} in {outcomes:?}");
    }
}

struct World {
    seed: u64,
    tracing: bool,
    random: Random,
    disk: Disk,
    truth: Truth,
    visitors: Vec<Visitor>,
    report: Report,
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let visitors = (0..random.between(1, 4)).map(|_| Visitor::default()).collect();
    let report = Report { trace_hash: 0, faults: FaultCounts::default(), turns: 0 };
    let (disk, truth) = (Disk::default(), Truth::default());
    World { seed, tracing, random, disk, truth, visitors, report }
}

impl Simulated for World {
    fn run(mut self, _: fn(&mut Self)) -> Report {
        let lives = self.random.between(2, 5);
        for life in 0..lives {
            self.live(life as u64, life + 1 == lives);
        }
        self.truth.conclude(&self.disk.image());
        OUTCOMES.set(OUTCOMES.get().plus(self.truth.outcomes));
        self.report
    }
}

impl World {
    /// One life of the process, the last one of which ends in order.
    fn live(&mut self, life: u64, is_last: bool) {
        let lossless = self.random.percent(50);
        let window = self.random.pick(&[900, 4096, 65_536]);
        let mut network = network(&mut self.random, window, lossless);
        if !lossless {
            network = network.chance(sim::Fault::Stopped, 20_000);
        }
        let seed = self.seed.wrapping_mul(31).wrapping_add(life);
        let limit = self.random.pick(&[3, 50, 10_000, 10_000]);
        let mut process = Process::start(seed, network, &self.disk, limit);
        self.truth.begin_life(&mut process);
        let fails = self.random.percent(40);
        for _ in 0..self.random.between(20, 150) {
            if fails && self.random.percent(4) {
                self.disk.fail([self.random.pick(&FAULTS)]);
            }
            process.say(&mut self.truth, &mut self.random);
            process.turn(&mut self.truth);
            for visitor in &mut self.visitors {
                visitor.step(&mut process, &mut self.truth, &mut self.random);
            }
        }
        let end = if is_last { 0 } else { self.random.below(4) };
        match end {
            0 => {
                process.settle(&mut self.truth, &mut self.visitors);
                process.shut_down(&mut self.truth);
            }
            1 => self.disk.lose_power(self.random.below(8)),
            _ => self.disk.kill(),
        }
        self.truth.end_life(end == 0);
        for visitor in &mut self.visitors {
            visitor.lose_connection();
        }
        process.report(&mut self.report, self.tracing);
    }
}
