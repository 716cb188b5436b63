//! The report on the event bus.

use serde::Serialize;

use super::stats::{Ratio, Summary, median};
use super::table::{align, push_blocks, ratio};
use super::target::{Bound, Doubts, Target, Unit};
use super::{Header, Printable, text};
use crate::bus::{Cost, Round, Setting, Timing, Way};
use crate::idle::IdleMode;
use crate::load::Latencies;
use crate::machine::{CpuPair, Interference};

/// The report on one run of `bus`.
#[derive(Debug, Serialize)]
pub(crate) struct BusReport {
    #[serde(flatten)]
    header: Header,
    /// Events per second and publishing thread while latency was measured.
    rate: f64,
    publish: Option<CostReport>,
    routes: Vec<RouteReport>,
    targets: Vec<Target>,
    notes: Vec<String>,
    #[serde(skip)]
    doubts: Doubts,
}

/// The time that publishing one event takes, in nanoseconds.
#[derive(Debug, Serialize)]
struct CostReport {
    engine: CostSide,
    floor: CostSide,
    ratio: Option<Ratio>,
}

/// Medians over the rounds.
#[derive(Debug, Serialize)]
struct CostSide {
    mean_ns: f64,
    /// The median of batches of events.
    median_ns: f64,
    rounds_mean_ns: Vec<f64>,
}

/// The results for one path of events.
#[derive(Debug, Serialize)]
pub(crate) struct RouteReport {
    title: String,
    way: Way,
    publishers: usize,
    idle: IdleMode,
    engine: Side,
    floor: Side,
    /// Engine to floor: the median latency.
    median_ratio: Option<Ratio>,
    /// Engine to floor: events per second.
    throughput_ratio: Option<Ratio>,
}

/// One side over all rounds.
#[derive(Debug, Serialize)]
struct Side {
    /// Events per second, as fast as they were accepted: the median over the rounds.
    events_per_second: f64,
    /// The latency at the fixed rate, from the intended publishing time.
    latency_ns: Summary,
    /// The part of the latency before the event was published.
    late_ns: Summary,
    /// How many events were published and arrived.
    events: u64,
    /// Calls of `write` by the publishing threads for all these events.
    writes: Option<u64>,
    rounds: Vec<SideRound>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct SideRound {
    events_per_second: f64,
    median_ns: u64,
    /// Refusals by a full queue, per event published as fast as possible.
    refusals_per_event: f64,
    /// Calls of `write` by the publishing threads per event. With the engine, these are wakes.
    flood_writes_per_event: Option<f64>,
    paced_writes_per_event: Option<f64>,
}

impl BusReport {
    pub(crate) fn new(cpus: Option<CpuPair>, timing: Timing, rate: f64) -> Self {
        let place = match cpus {
            Some(cpus) => format!(
                "loop, or the floor's thread, on CPU {}; publishing threads on CPU {}, with the \
                 subscriber or client, which sleeps while idle and has a higher priority",
                cpus.server, cpus.load
            ),
            None => "everything on one CPU".to_owned(),
        };
        let plural = if timing.rounds == 1 { "" } else { "s" };
        let settings = vec![
            place,
            format!(
                "events/s: as fast as they are accepted, {} round{plural} of {:?}; nothing was \
                 lost, and each publisher's events arrived in order",
                timing.rounds, timing.flood
            ),
            format!(
                "latency: {} events/s from each thread, {} round{plural} of {:?}, from the \
                 intended publishing time",
                text::count(rate),
                timing.rounds,
                timing.paced
            ),
            "wakes/1,000: writes to the loop's eventfd, counted by the kernel, per 1,000 events, \
             published as fast as they are accepted and at the rate"
                .to_owned(),
            "floor: std's sync_channel to a plain thread, and from there through another channel \
             or over TCP, measured alternately with the engine; medians over the rounds"
                .to_owned(),
        ];
        Self {
            header: Header::new(settings),
            rate,
            publish: None,
            routes: Vec::new(),
            targets: Vec::new(),
            notes: Vec::new(),
            doubts: Doubts {
                single_round: timing.rounds == 1,
                one_core: cpus.is_none(),
                noise: None,
            },
        }
    }

    /// Adds the cost of publishing.
    pub(crate) fn set_cost(&mut self, engine: &[Cost], floor: &[Cost]) {
        let (engine, floor) = (CostSide::of_rounds(engine), CostSide::of_rounds(floor));
        let ratio = Ratio::of_rounds(&engine.rounds_mean_ns, &floor.rounds_mean_ns);
        self.publish = Some(CostReport { engine, floor, ratio });
    }

    /// Adds the results for one path.
    pub(crate) fn add(&mut self, route: RouteReport) {
        self.routes.push(route);
    }

    /// Compares the results with their targets, once all are there.
    pub(crate) fn judge(&mut self, interference: Option<Interference>) {
        self.doubts.noise = interference.and_then(Interference::doubts);
        self.notes.extend(self.doubts.noise.clone());
        self.targets = self.find_targets();
    }

    fn find_targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        if let Some(cost) = &self.publish {
            targets.extend(Target::of_rounds(
                "publishing to an awake loop, mean".to_owned(),
                &cost.engine.rounds_mean_ns,
                Bound::AtMost(100.0),
                Unit::Nanoseconds,
            ));
        }
        let handler = |publishers, idle| {
            self.routes.iter().find(move |route| {
                (route.way, route.publishers, route.idle) == (Way::Handler, publishers, idle)
            })
        };
        if let Some(route) = handler(1, IdleMode::Busy) {
            targets.extend(route.target(
                "p50",
                |round| Some(round.median_ns as f64),
                Bound::AtMost(1000.0),
                Unit::Nanoseconds,
            ));
        }
        for route in
            [IdleMode::Busy, IdleMode::Block].into_iter().filter_map(|idle| handler(2, idle))
        {
            targets.extend(route.target(
                "events/s, none lost",
                |round| Some(round.events_per_second),
                Bound::AtLeast(1e6),
                Unit::PerSecond,
            ));
        }
        for route in [1, 2, 4].into_iter().filter_map(|count| handler(count, IdleMode::Block)) {
            targets.extend(route.target(
                "wakes at full load",
                |round| round.flood_writes_per_event,
                Bound::AtMost(0.001),
                Unit::PerThousandEvents,
            ));
        }
        targets
    }
}

impl CostSide {
    fn of_rounds(rounds: &[Cost]) -> Self {
        let rounds_mean_ns: Vec<f64> = rounds.iter().map(|round| round.mean).collect();
        let medians = rounds.iter().map(|round| round.median).collect();
        Self {
            mean_ns: median(rounds_mean_ns.clone()).unwrap_or(0.0),
            median_ns: median(medians).unwrap_or(0.0),
            rounds_mean_ns,
        }
    }
}

impl RouteReport {
    /// Each round of the engine is paired with one of the floor.
    pub(crate) fn of_rounds(setting: Setting, engine: &[Round], floor: &[Round]) -> Self {
        let (engine, floor) = (Side::of_rounds(engine), Side::of_rounds(floor));
        let ratio = |figure: fn(&SideRound) -> f64| {
            let of = |side: &Side| side.rounds.iter().map(figure).collect::<Vec<f64>>();
            Ratio::of_rounds(&of(&engine), &of(&floor))
        };
        let median_ratio = ratio(|round| round.median_ns as f64);
        let throughput_ratio = ratio(|round| round.events_per_second);
        let Setting { way, publishers, idle, .. } = setting;
        let title = setting.title();
        Self { title, way, publishers, idle, engine, floor, median_ratio, throughput_ratio }
    }

    /// Compares one figure of the rounds with its target. `None` if it is unknown.
    fn target(
        &self,
        what: &str,
        figure: fn(&SideRound) -> Option<f64>,
        bound: Bound,
        unit: Unit,
    ) -> Option<Target> {
        let rounds: Option<Vec<f64>> = self.engine.rounds.iter().map(figure).collect();
        Target::of_rounds(format!("{}, {what}", self.title), &rounds?, bound, unit)
    }

    fn cells(&self) -> Vec<String> {
        let (engine, floor) = (&self.engine, &self.floor);
        let Summary { p50, p99, p999, max, .. } = engine.latency_ns;
        let mut cells = vec![self.title.clone(), text::count(engine.events_per_second)];
        cells.extend([p50, p99, p999, max, engine.late_ns.p99].map(text::time));
        cells.push(engine.writes(|round| round.flood_writes_per_event));
        cells.push(engine.writes(|round| round.paced_writes_per_event));
        cells.push(text::time(floor.latency_ns.p50));
        let ratios = [self.median_ratio, self.throughput_ratio];
        cells.extend(ratios.map(|one| one.map_or_else(|| "-".to_owned(), ratio)));
        cells
    }
}

/// The head of the table, over [`RouteReport::cells`].
const HEAD: [&str; 12] = [
    "",
    "events/s",
    "p50",
    "p99",
    "p99.9",
    "max",
    "late p99",
    "wakes/1,000",
    "at rate",
    "floor p50",
    "p50 ratio",
    "rate ratio",
];

impl Side {
    /// At least one round.
    fn of_rounds(rounds: &[Round]) -> Self {
        let latency: Vec<&Latencies> = rounds.iter().map(|round| &round.paced.latency).collect();
        let late: Vec<&Latencies> = rounds.iter().map(|round| &round.paced.late).collect();
        let events = rounds.iter().map(|round| round.flood.sent.events + round.paced.sent.events);
        let writes = rounds.iter().map(|round| {
            round.flood.sent.writes.zip(round.paced.sent.writes).map(|(flood, paced)| flood + paced)
        });
        let rates = rounds.iter().map(|round| round.flood.events_per_second).collect();
        Self {
            events_per_second: median(rates).unwrap_or(0.0),
            latency_ns: Summary::of_rounds(&latency),
            late_ns: Summary::of_rounds(&late),
            events: events.sum(),
            writes: writes.sum(),
            rounds: rounds.iter().map(SideRound::of).collect(),
        }
    }

    /// Of a thousand events, the median over the rounds.
    fn writes(&self, figure: fn(&SideRound) -> Option<f64>) -> String {
        let rounds: Option<Vec<f64>> = self.rounds.iter().map(figure).collect();
        let per_event = rounds.and_then(median);
        per_event.map_or_else(|| "-".to_owned(), |per_event| text::small(per_event * 1000.0))
    }
}

impl SideRound {
    fn of(round: &Round) -> Self {
        let per_event = |count: u64, events: u64| count as f64 / events.max(1) as f64;
        let (flood, paced) = (round.flood.sent, round.paced.sent);
        Self {
            events_per_second: round.flood.events_per_second,
            median_ns: round.paced.latency.value_at_quantile(0.5),
            refusals_per_event: per_event(flood.refusals, flood.events),
            flood_writes_per_event: flood.writes.map(|count| per_event(count, flood.events)),
            paced_writes_per_event: paced.writes.map(|count| per_event(count, paced.events)),
        }
    }
}

impl Printable for BusReport {
    fn table(&self) -> String {
        let mut out = self.header.lines();
        if let Some(CostReport { engine, floor, ratio: compared }) = &self.publish {
            let compared = compared.map_or_else(String::new, |one| format!(", {}", ratio(one)));
            out.push_str(&format!(
                "\npublish to an awake loop: {:.1} ns, median of batches {:.1} ns; \
                 floor {:.1} ns{compared}\n",
                engine.mean_ns, engine.median_ns, floor.mean_ns
            ));
        }
        let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
        rows.extend(self.routes.iter().map(RouteReport::cells));
        out.push('\n');
        out.push_str(&align(&rows));
        let targets: Vec<String> =
            self.targets.iter().map(|target| target.verdict(&self.doubts)).collect();
        push_blocks(&mut out, &[&targets, &self.notes]);
        out
    }
}
