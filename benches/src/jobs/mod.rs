//! Measures jobs: the round trip from a handler to a worker thread and back, and jobs in batches.
//!
//! Each is measured alternately with a floor: two of the standard library's bounded channels, there
//! and back, between two plain threads.

mod args;
mod channels;
mod clock;
mod workers;

use std::time::Duration;

pub(crate) use args::JobsArgs;

use crate::error::Error;
use crate::idle::IdleMode;
use crate::load::Latencies;
use crate::machine::{CpuPair, CpuUse};
use crate::progress_bar;
use crate::report::jobs::JobsReport;

use clock::Clock;

/// The most jobs in hand, and in each of the floor's channels.
const CAPACITY: usize = 1024;

/// One measurement's setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// What the loop does while nothing is ready.
    pub(crate) idle: IdleMode,
    /// With two CPUs, the loop has one of them and the worker the other.
    pub(crate) cpus: Option<CpuPair>,
}

/// The two sides of one round.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) engine: Side,
    pub(crate) floor: Side,
}

/// What one side has come to in a round.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// From the submission of a job to its result, one job at a time.
    pub(crate) trips: Latencies,
    pub(crate) batches: Batches,
}

/// As many jobs as possible, in batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batches {
    pub(crate) jobs_per_second: f64,
    pub(crate) jobs_per_batch: f64,
}

/// The number and length of the rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

const FULL: Timing =
    Timing { rounds: 7, warm_up: Duration::from_millis(30), measured: Duration::from_millis(150) };
const QUICK: Timing =
    Timing { rounds: 1, warm_up: Duration::from_millis(2), measured: Duration::from_millis(20) };

const MODES: [IdleMode; 3] = [IdleMode::Adaptive, IdleMode::Block, IdleMode::Busy];

/// Runs all measurements.
pub(crate) fn run(args: &JobsArgs) -> Result<JobsReport, Error> {
    let timing = if args.quick { QUICK } else { FULL };
    let cpus = CpuPair::pick();
    let mut report = JobsReport::new(cpus, timing);
    let bar = progress_bar((MODES.len() * timing.rounds) as u64);
    let before = CpuUse::now();
    for idle in MODES {
        bar.set_message(idle.name());
        let setting = Setting { idle, cpus };
        let mut rounds = Vec::new();
        for _ in 0..timing.rounds {
            rounds.push(setting.round(timing)?);
            bar.inc(1);
        }
        report.add(idle, &rounds);
    }
    bar.finish_and_clear();
    let interference = CpuUse::now().zip(before).map(|(now, then)| now.interference_since(then));
    report.judge(interference);
    Ok(report)
}

impl Setting {
    fn round(self, timing: Timing) -> Result<Round, Error> {
        let clock = || Clock::start(timing.warm_up, timing.measured);
        let (engine, floor) =
            (workers::trips(self, clock())?, channels::trips(self.cpus, clock())?);
        let engine = Side { trips: engine, batches: workers::batches(self, clock())? };
        let floor = Side { trips: floor, batches: channels::batches(self.cpus, clock())? };
        Ok(Round { engine, floor })
    }
}
