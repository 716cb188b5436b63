//! The report on jobs.

use serde::Serialize;

use super::stats::{Summary, median};
use super::table::{align, push_blocks};
use super::target::{Bound, Doubts, Target, Unit};
use super::{Header, Printable, text};
use crate::idle::IdleMode;
use crate::jobs::{Round, Side, Timing};
use crate::load::Latencies;
use crate::machine::{CpuPair, Interference};

/// How much longer the round trip of a job may be than the floor's.
const ADDED_NS_MAX: f64 = 2_000.0;

/// The report on one run of `jobs`.
#[derive(Debug, Serialize)]
pub(crate) struct JobsReport {
    #[serde(flatten)]
    header: Header,
    cases: Vec<CaseReport>,
    targets: Vec<Target>,
    notes: Vec<String>,
    #[serde(skip)]
    doubts: Doubts,
}

/// The results in one idle mode of the loop.
#[derive(Debug, Serialize)]
struct CaseReport {
    idle: IdleMode,
    engine: SideReport,
    floor: SideReport,
    /// The engine's median round trip without the floor's, round by round.
    added_ns: Vec<f64>,
}

/// One side over all rounds.
#[derive(Debug, Serialize)]
struct SideReport {
    trip_ns: Summary,
    /// The medians over the rounds.
    jobs_per_second: f64,
    jobs_per_batch: f64,
}

impl JobsReport {
    pub(crate) fn new(cpus: Option<CpuPair>, timing: Timing) -> Self {
        let place = match cpus {
            Some(cpus) => format!("loop on CPU {}, worker on CPU {}", cpus.server, cpus.load),
            None => "everything on one CPU".to_owned(),
        };
        let plural = if timing.rounds == 1 { "" } else { "s" };
        let settings = vec![
            place,
            format!(
                "round trip: one job at a time, from its submission in a handler to its result in \
                 a handler; jobs/s: 1,024 jobs in hand, done in batches; {} round{plural} of {:?}",
                timing.rounds, timing.measured
            ),
            "floor: std's sync_channel to a plain thread and another one back, measured \
             alternately with the engine; medians over the rounds"
                .to_owned(),
        ];
        Self {
            header: Header::new(settings),
            cases: Vec::new(),
            targets: Vec::new(),
            notes: Vec::new(),
            doubts: Doubts {
                single_round: timing.rounds == 1,
                one_core: cpus.is_none(),
                noise: None,
            },
        }
    }

    /// Adds the rounds in one idle mode.
    pub(crate) fn add(&mut self, idle: IdleMode, rounds: &[Round]) {
        let p50 = |side: &Side| side.trips.value_at_quantile(0.5) as f64;
        let added_ns = rounds.iter().map(|round| p50(&round.engine) - p50(&round.floor));
        self.cases.push(CaseReport {
            idle,
            engine: SideReport::of_rounds(rounds.iter().map(|round| &round.engine)),
            floor: SideReport::of_rounds(rounds.iter().map(|round| &round.floor)),
            added_ns: added_ns.collect(),
        });
    }

    /// Compares the results with their targets, once all are there.
    pub(crate) fn judge(&mut self, interference: Option<Interference>) {
        self.doubts.noise = interference.and_then(Interference::doubts);
        self.notes.extend(self.doubts.noise.clone());
        let judged = self.cases.iter().filter(|case| case.idle == IdleMode::Adaptive);
        let targets = judged.filter_map(|case| {
            let title = format!("{}, p50 above the floor's", case.idle.name());
            let bound = Bound::AtMost(ADDED_NS_MAX);
            Target::of_rounds(title, &case.added_ns, bound, Unit::Nanoseconds)
        });
        self.targets = targets.collect();
    }
}

impl SideReport {
    fn of_rounds<'a>(rounds: impl Iterator<Item = &'a Side> + Clone) -> Self {
        let trips: Vec<&Latencies> = rounds.clone().map(|side| &side.trips).collect();
        let figure = |figure: fn(&Side) -> f64| median(rounds.clone().map(figure).collect());
        Self {
            trip_ns: Summary::of_rounds(&trips),
            jobs_per_second: figure(|side| side.batches.jobs_per_second).unwrap_or(0.0),
            jobs_per_batch: figure(|side| side.batches.jobs_per_batch).unwrap_or(0.0),
        }
    }

    fn cells(&self, title: String) -> Vec<String> {
        vec![
            title,
            text::time(self.trip_ns.p50),
            text::time(self.trip_ns.p99),
            text::count(self.jobs_per_second),
            text::count(self.jobs_per_batch),
        ]
    }
}

impl Printable for JobsReport {
    fn table(&self) -> String {
        let head = ["", "round trip p50", "p99", "jobs/s", "jobs/batch"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for case in &self.cases {
            rows.push(case.engine.cells(format!("jobs, {}", case.idle.name())));
            rows.push(case.floor.cells("floor beside it".to_owned()));
        }
        let mut out = format!("{}\n{}", self.header.lines(), align(&rows));
        let targets: Vec<String> =
            self.targets.iter().map(|target| target.verdict(&self.doubts)).collect();
        push_blocks(&mut out, &[&targets, &self.notes]);
        out
    }
}
