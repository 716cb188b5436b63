//! The report on clients that come back.

use std::time::Duration;

use serde::Serialize;

use super::stats::Summary;
use super::table::align;
use super::target::{Bound, Doubts, Target, Unit};
use super::{Header, Printable, text};
use crate::load::Latencies;
use crate::machine::{CpuPair, Interference};
use crate::resume::{Drops, OUTBOUND_MAX, Observed, ReplayCost, ResumeArgs, Storm};

/// What 100 replayed messages may cost the server.
const REPLAY_MAX: Duration = Duration::from_micros(20);

/// The report on one run of `resume`.
#[derive(Debug, Serialize)]
pub(crate) struct ResumeReport {
    #[serde(flatten)]
    header: Header,
    clients: u32,
    figures: Vec<Figure>,
    /// The time of each client until it had all that it had missed.
    back_ns: Summary,
    targets: Vec<Target>,
    #[serde(skip)]
    doubts: Doubts,
}

/// One line.
#[derive(Clone, Debug, Serialize)]
struct Figure {
    name: &'static str,
    value: String,
}

impl Figure {
    fn count(name: &'static str, value: u64) -> Self {
        Self { name, value: text::count(value as f64) }
    }

    fn time(name: &'static str, value: Duration) -> Self {
        Self { name, value: text::time(value.as_nanos() as u64) }
    }

    /// Three percentiles.
    fn times(name: &'static str, latencies: &Latencies) -> Self {
        let at = |quantile| text::time(latencies.value_at_quantile(quantile));
        let max = text::time(latencies.max());
        Self { name, value: format!("{}, {}, {max}", at(0.5), at(0.99)) }
    }

    fn unknown(name: &'static str, value: Option<String>) -> Self {
        Self { name, value: value.unwrap_or_else(|| "unknown".to_owned()) }
    }
}

impl ResumeReport {
    pub(crate) fn new(
        args: &ResumeArgs,
        cpus: Option<CpuPair>,
        observed: &Observed,
        interference: Option<Interference>,
    ) -> Self {
        let noise = interference.and_then(Interference::doubts);
        let (figures, back, targets) = match observed {
            Observed::Drops(drops, costs) => (of_drops(drops, costs), &drops.tally.back, costs),
            Observed::Storm(storm) => (of_storm(storm), &storm.back, &Vec::new()),
        };
        Self {
            header: Header::new(vec![settings(args), text_of(cpus)]),
            clients: args.clients,
            figures,
            back_ns: Summary::of_rounds(&[back]),
            targets: replay_target(targets).into_iter().collect(),
            doubts: Doubts { single_round: args.quick, one_core: cpus.is_none(), noise },
        }
    }
}

fn settings(args: &ResumeArgs) -> String {
    let clients = text::count(args.clients.into());
    if args.storm {
        return format!("{clients} clients resume 1 MiB of one history at once, over loopback");
    }
    format!(
        "{clients} clients, {} messages/s of {} B to {} topics, for {:?} over loopback: in each \
         round of {:?}, about as many drops as clients within {:?}; each is away for up to {:?}",
        text::count(args.rate),
        args.size,
        args.topics,
        args.time,
        args.dropping().mul_f64(2.5),
        args.dropping(),
        args.away_max(),
    )
}

fn text_of(cpus: Option<CpuPair>) -> String {
    match cpus {
        Some(_) => "the server and the clients have a process and a CPU each".to_owned(),
        None => "the server and the clients have a process each on one CPU".to_owned(),
    }
}

fn of_drops(drops: &Drops, costs: &[ReplayCost]) -> Vec<Figure> {
    let Drops { tally, settled, .. } = drops;
    let share = |count: u64| {
        let share = 100.0 * count as f64 / tally.expected.max(1) as f64;
        format!("{share:.4} % ({})", text::count(count as f64))
    };
    let memory = drops.bytes_per_client.map(|(before, after)| format!("{before} B, {after} B"));
    let cpu = drops.server_cpu.map(|share| format!("{:.0} %", 100.0 * share));
    let longest = settled.iter().max().copied().unwrap_or_default();
    let mut figures = vec![
        Figure::count("drops", tally.drops),
        Figure::count("connections that failed otherwise", tally.failed),
        Figure::count("messages to all clients", tally.expected),
        Figure { name: "delivered", value: share(tally.received) },
        Figure { name: "delivered again", value: share(tally.doubled) },
        Figure { name: "reported as lost", value: share(tally.lost) },
        Figure { name: "missing without a report", value: share(tally.missing) },
        Figure::times("dialled until current, p50, p99, max", &tally.back),
        Figure::time("last drop until all are current, longest", longest),
        Figure::unknown("server's memory per client, before and after", memory),
        Figure::unknown("CPU of the server", cpu),
    ];
    if let Some(cost) = costs.iter().min_by_key(|cost| cost.hundred) {
        figures.push(Figure::time("CPU of a resumption that replays none", cost.none));
        figures.push(Figure::time("CPU of one that replays 100 messages", cost.hundred));
    }
    figures
}

fn of_storm(storm: &Storm) -> Vec<Figure> {
    let rate = storm.bytes as f64 / storm.time.as_secs_f64();
    vec![
        Figure::time("until all had everything", storm.time),
        Figure { name: "bytes", value: format!("{} B/s", text::count(rate)) },
        Figure::times("until a client had everything, p50, p99, max", &storm.back),
        Figure::count("delivered again", storm.doubled),
        Figure::count("missing or lost", storm.missing),
        Figure::count("connections that were closed", storm.closed),
        Figure { name: "the last of them", value: storm.reason.clone() },
        Figure::count("memory of all output, at most, in bytes", storm.outbound_max),
        Figure::count("its limit", OUTBOUND_MAX as u64),
        Figure::times("bystander's round trip before, p50, p99, max", &storm.calm),
        Figure::times("bystander's round trip meanwhile, p50, p99, max", &storm.bystander),
        Figure::time("turn of the server, p99", storm.turn_p99),
        Figure::time("longest turn of the server", storm.turn_max),
    ]
}

/// What 100 messages cost beyond a resumption that replays none.
fn replay_target(costs: &[ReplayCost]) -> Option<Target> {
    let beyond = |cost: &ReplayCost| cost.hundred.saturating_sub(cost.none).as_nanos() as f64;
    let costs: Vec<f64> = costs.iter().map(beyond).collect();
    let bound = Bound::AtMost(REPLAY_MAX.as_nanos() as f64);
    Target::of_rounds("CPU of 100 replayed messages".to_owned(), &costs, bound, Unit::Nanoseconds)
}

impl Printable for ResumeReport {
    fn table(&self) -> String {
        let row = |figure: &Figure| vec![figure.name.to_owned(), figure.value.clone()];
        let rows: Vec<_> = self.figures.iter().map(row).collect();
        let mut out = format!("{}\n{}", self.header.lines(), align(&rows));
        for target in &self.targets {
            out.push_str(&format!("\n{}\n", target.verdict(&self.doubts)));
        }
        out.extend(self.doubts.noise.iter().map(|note| format!("\n{note}\n")));
        out
    }
}
