//! The report on durable topics.

use std::path::Path;

use serde::Serialize;

use super::http::spread;
use super::stats::{Summary, median};
use super::table::{align, push_blocks};
use super::target::{Bound, Doubts, Target, Unit};
use super::{Header, Printable, text};
use crate::journal::{JournalArgs, KEPT, Round, Stored, Storing, Timing, Waiting, file_system};
use crate::load::Latencies;
use crate::machine::{CpuPair, Interference};

/// The most CPU time for a durable message, as a part of a plain loop's.
const CPU_RATIO_MAX: f64 = 1.5;
/// The most that a commit adds to a message's latency at p99, as a part of a commit and a
/// synchronisation.
const ADDED_RATIO_MAX: f64 = 1.0;

/// The report on one run of `journal`.
#[derive(Debug, Serialize)]
pub(crate) struct JournalReport {
    #[serde(flatten)]
    header: Header,
    storing: Vec<StoringReport>,
    waiting: Vec<WaitingReport>,
    targets: Vec<Target>,
    notes: Vec<String>,
    #[serde(skip)]
    doubts: Doubts,
}

/// One side that stores as much as possible, over all rounds.
#[derive(Debug, Serialize)]
struct StoringReport {
    name: String,
    /// The medians over the rounds.
    messages_per_second: f64,
    cpu_ns_per_message: f64,
    messages_per_commit: f64,
    messages_per_second_of_rounds: Vec<f64>,
    cpu_ns_of_rounds: Vec<f64>,
}

/// How long something takes, over all rounds.
#[derive(Debug, Serialize)]
struct WaitingReport {
    name: String,
    latency_ns: Summary,
}

impl JournalReport {
    pub(crate) fn new(
        args: &JournalArgs,
        directory: &Path,
        timing: Timing,
        cpus: Option<CpuPair>,
    ) -> Self {
        let kind = file_system(directory).map(|kind| format!(" ({kind})")).unwrap_or_default();
        let topics = if args.topics == 1 { "topic" } else { "topics" };
        let rounds = if timing.rounds == 1 { "round" } else { "rounds" };
        let settings = vec![
            format!("files in {}{kind}", directory.display()),
            format!(
                "messages of {} B, stored as fast as possible in {} {topics}, of each of which \
                 {} are kept; latency at {}/s, to a subscriber on loopback",
                args.size,
                args.topics,
                text::count(KEPT as f64),
                text::count(args.rate)
            ),
            format!(
                "plain: a loop that stores the same rows in SQLite, alternately with the engine; \
                 {} {rounds}, medians over the rounds",
                timing.rounds
            ),
        ];
        let doubts =
            Doubts { single_round: timing.rounds == 1, one_core: cpus.is_none(), noise: None };
        Self {
            header: Header::new(settings),
            storing: Vec::new(),
            waiting: Vec::new(),
            targets: Vec::new(),
            notes: Vec::new(),
            doubts,
        }
    }

    /// Adds all rounds, and compares them with their targets.
    pub(crate) fn add(&mut self, rounds: &[Round], interference: Option<Interference>) {
        self.doubts.noise = interference.and_then(Interference::doubts);
        self.notes.extend(self.doubts.noise.clone());
        self.add_storing("deliver first", rounds, |round| round.deliver_first);
        self.add_storing("commit first", rounds, |round| round.commit_first);
        self.add_waiting(rounds);
    }

    fn add_storing(&mut self, name: &str, rounds: &[Round], storing: fn(&Round) -> Storing) {
        let engine: Vec<_> = rounds.iter().map(|round| storing(round).engine).collect();
        let plain: Vec<_> = rounds.iter().map(|round| storing(round).plain).collect();
        self.storing.push(StoringReport::new(name.to_owned(), &engine));
        self.storing.push(StoringReport::new(format!("{name}, plain"), &plain));
        let pairs = engine.iter().zip(&plain);
        let ratios: Vec<f64> = pairs
            .map(|(engine, plain)| engine.cpu_ns_per_message / plain.cpu_ns_per_message)
            .collect();
        let title = format!("{name}, CPU/message to the plain loop's");
        let bound = Bound::AtMost(CPU_RATIO_MAX);
        self.targets.extend(Target::of_rounds(title, &ratios, bound, Unit::Ratio));
    }

    fn add_waiting(&mut self, rounds: &[Round]) {
        let per_commit = median(rounds.iter().map(|it| it.waiting.messages_per_commit).collect());
        let per_commit = text::small(per_commit.unwrap_or(0.0));
        let mut add = |name: String, figure: fn(&Waiting) -> &Latencies| {
            let rounds: Vec<_> = rounds.iter().map(|round| figure(&round.waiting)).collect();
            self.waiting.push(WaitingReport { name, latency_ns: Summary::of_rounds(&rounds) });
        };
        add("delivered, deliver first".to_owned(), |waiting| &waiting.deliver_first);
        add("delivered, commit first".to_owned(), |waiting| &waiting.commit_first);
        add(format!("plain commit of {per_commit} messages"), |waiting| &waiting.commit);
        add("4 KiB and fdatasync".to_owned(), |waiting| &waiting.synchronisation);
        let ratios: Vec<f64> = rounds.iter().map(|round| added_ratio(&round.waiting)).collect();
        let title = "commit first, added p99 to a plain commit's and an fdatasync's".to_owned();
        let bound = Bound::AtMost(ADDED_RATIO_MAX);
        self.targets.extend(Target::of_rounds(title, &ratios, bound, Unit::Ratio));
    }
}

/// What a commit adds to the latency at p99, as a part of a plain commit and a synchronisation.
fn added_ratio(waiting: &Waiting) -> f64 {
    let p99 = |latencies: &Latencies| latencies.value_at_quantile(0.99) as f64;
    let added = p99(&waiting.commit_first) - p99(&waiting.deliver_first);
    added.max(0.0) / (p99(&waiting.commit) + p99(&waiting.synchronisation))
}

impl StoringReport {
    fn new(name: String, rounds: &[Stored]) -> Self {
        let figures = |figure: fn(&Stored) -> f64| rounds.iter().map(figure).collect::<Vec<_>>();
        let middle = |figure| median(figures(figure)).unwrap_or(0.0);
        Self {
            name,
            messages_per_second: middle(|stored| stored.messages_per_second),
            cpu_ns_per_message: middle(|stored| stored.cpu_ns_per_message),
            messages_per_commit: middle(|stored| stored.messages_per_commit),
            messages_per_second_of_rounds: figures(|stored| stored.messages_per_second),
            cpu_ns_of_rounds: figures(|stored| stored.cpu_ns_per_message),
        }
    }

    fn cells(&self) -> Vec<String> {
        let (slowest, fastest) = spread(&self.messages_per_second_of_rounds);
        let (least, most) = spread(&self.cpu_ns_of_rounds);
        vec![
            self.name.clone(),
            text::count(self.messages_per_second),
            format!("{} to {}", text::count(slowest), text::count(fastest)),
            text::time(self.cpu_ns_per_message as u64),
            format!("{} to {}", text::time(least as u64), text::time(most as u64)),
            text::count(self.messages_per_commit),
        ]
    }
}

impl WaitingReport {
    fn cells(&self) -> Vec<String> {
        let Summary { p50, p99, max, .. } = self.latency_ns;
        vec![self.name.clone(), text::time(p50), text::time(p99), text::time(max)]
    }
}

impl Printable for JournalReport {
    fn table(&self) -> String {
        let head = ["", "messages/s", "rounds", "CPU/message", "rounds", "messages/commit"];
        let mut storing = vec![head.map(str::to_owned).to_vec()];
        storing.extend(self.storing.iter().map(StoringReport::cells));
        let mut waiting = vec![["", "p50", "p99", "max"].map(str::to_owned).to_vec()];
        waiting.extend(self.waiting.iter().map(WaitingReport::cells));
        let tables = [align(&storing), align(&waiting)];
        let mut out = format!("{}\n{}", self.header.lines(), tables.join("\n"));
        let targets: Vec<String> =
            self.targets.iter().map(|target| target.verdict(&self.doubts)).collect();
        push_blocks(&mut out, &[&targets, &self.notes]);
        out
    }
}
