//! The report on the delay of a bystander by broadcasts.

use serde::Serialize;

use super::stats::{Ratio, Summary, median};
use super::table::{align, ratio};
use super::{Header, Printable, text};
use crate::bystander::{BystanderArgs, ECHO_SIZE, Round, Timing};
use crate::load::Latencies;
use crate::machine::CpuPair;

/// The report on one run of `bystander`.
#[derive(Debug, Serialize)]
pub(crate) struct BystanderReport {
    #[serde(flatten)]
    header: Header,
    subscribers: usize,
    /// Payload bytes of each broadcast.
    size: usize,
    /// Round trips of the bystander, in nanoseconds.
    without_broadcasts_ns: Summary,
    during_broadcasts_ns: Summary,
    /// Ratios with broadcasts to without: the median, and the 99th percentile.
    median_ratio: Option<Ratio>,
    p99_ratio: Option<Ratio>,
    broadcasts: Broadcasts,
    notes: Vec<String>,
}

/// The broadcasts during the bystander's measurement: medians over the rounds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Broadcasts {
    per_second: f64,
    deliveries_per_second: f64,
    /// The loop's time per delivery, including the bystander's share.
    ns_per_delivery: f64,
    /// The time for one slice of subscribers.
    ns_per_slice: f64,
    /// To all subscribers.
    ns_per_broadcast: f64,
}

/// How many connections the engine delivers to before it serves its sockets again.
const SLICE: usize = 256;

impl BystanderReport {
    pub(crate) fn new(
        args: &BystanderArgs,
        cpus: Option<CpuPair>,
        timing: Timing,
        subscribers: usize,
    ) -> Self {
        let idle = args.idle.name();
        let place = match cpus {
            Some(cpus) => format!(
                "server (idle: {idle}) on CPU {}; bystander, which never sleeps, and subscribers \
                 on CPU {}",
                cpus.server, cpus.load
            ),
            None => format!("server (idle: {idle}) and all connections on the same CPU"),
        };
        let plural = if timing.rounds == 1 { "" } else { "s" };
        let settings = vec![
            place,
            format!(
                "{} subscribers, broadcasts of {} B one after the other; round trips of \
                 {ECHO_SIZE} B on another connection, between which the subscribers read",
                text::count(subscribers as f64),
                args.size
            ),
            format!(
                "{} round{plural} of {:?} without and {:?} with broadcasts; medians over the \
                 rounds",
                timing.rounds, timing.quiet, timing.broadcasting
            ),
        ];
        let mut notes = Vec::new();
        if subscribers < args.subscribers {
            notes.push(format!(
                "{} subscribers were asked for: both ends of {} are what the limit of open files \
                 (ulimit -Hn) allows",
                text::count(args.subscribers as f64),
                text::count(subscribers as f64)
            ));
        }
        Self {
            header: Header::new(settings),
            subscribers,
            size: args.size,
            without_broadcasts_ns: Summary::of_rounds(&[]),
            during_broadcasts_ns: Summary::of_rounds(&[]),
            median_ratio: None,
            p99_ratio: None,
            broadcasts: Broadcasts::default(),
            notes,
        }
    }

    /// Adds the measurements.
    pub(crate) fn set(&mut self, rounds: &[Round]) {
        let quiet: Vec<&Latencies> = rounds.iter().map(|round| &round.quiet).collect();
        let during: Vec<&Latencies> = rounds.iter().map(|round| &round.during).collect();
        let ratio = |quantile| {
            let at = |latencies: &[&Latencies]| -> Vec<f64> {
                latencies.iter().map(|one| one.value_at_quantile(quantile) as f64).collect()
            };
            Ratio::of_rounds(&at(&during), &at(&quiet))
        };
        (self.median_ratio, self.p99_ratio) = (ratio(0.5), ratio(0.99));
        self.without_broadcasts_ns = Summary::of_rounds(&quiet);
        self.during_broadcasts_ns = Summary::of_rounds(&during);
        self.broadcasts = Broadcasts::of_rounds(rounds, self.subscribers);
    }

    /// Adds a note.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }
}

impl Broadcasts {
    fn of_rounds(rounds: &[Round], subscribers: usize) -> Self {
        let over = |figure: fn(&Round) -> f64| {
            median(rounds.iter().map(figure).collect()).unwrap_or_default()
        };
        let deliveries_per_second =
            over(|round| round.deliveries as f64 / round.time.as_secs_f64());
        let ns_per_delivery = over(|round| {
            let time = round.loop_cpu.unwrap_or(round.time);
            time.as_nanos() as f64 / round.deliveries.max(1) as f64
        });
        Self {
            per_second: deliveries_per_second / subscribers as f64,
            deliveries_per_second,
            ns_per_delivery,
            ns_per_slice: ns_per_delivery * SLICE.min(subscribers) as f64,
            ns_per_broadcast: ns_per_delivery * subscribers as f64,
        }
    }

    /// In sentences.
    fn text(&self, subscribers: usize, during: &Summary) -> String {
        let time = |nanoseconds: f64| text::time(nanoseconds as u64);
        let slices = |latency: u64| text::small(latency as f64 / self.ns_per_slice.max(1.0));
        format!(
            "{} broadcasts/s: {} messages/s, for each of which the loop took {}\n\
             it looks at its sockets after {SLICE} of them: {}; all {} took {}\n\
             during broadcasts p50 is {} of these slices, p99 {}, max {}\n",
            text::small(self.per_second),
            text::count(self.deliveries_per_second),
            time(self.ns_per_delivery),
            time(self.ns_per_slice),
            text::count(subscribers as f64),
            time(self.ns_per_broadcast),
            slices(during.p50),
            slices(during.p99),
            slices(during.max),
        )
    }
}

impl Printable for BystanderReport {
    fn table(&self) -> String {
        let head = ["", "round trips", "p50", "p90", "p99", "p99.9", "max"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for (title, summary) in [
            ("without broadcasts", &self.without_broadcasts_ns),
            ("during broadcasts", &self.during_broadcasts_ns),
        ] {
            let Summary { count, p50, p90, p99, p999, max, .. } = *summary;
            let mut row = vec![title.to_owned(), text::count(count as f64)];
            row.extend([p50, p90, p99, p999, max].map(text::time));
            rows.push(row);
        }
        let mut out = format!("{}\n{}", self.header.lines(), align(&rows));
        if let Some((p50, p99)) = self.median_ratio.zip(self.p99_ratio) {
            out.push_str(&format!("\nratio: p50 {}, p99 {}\n", ratio(p50), ratio(p99)));
        }
        out.push_str(&self.broadcasts.text(self.subscribers, &self.during_broadcasts_ns));
        if !self.notes.is_empty() {
            out.push_str(&format!("\n{}\n", self.notes.join("\n")));
        }
        out
    }
}
