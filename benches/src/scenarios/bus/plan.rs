//! What `bus` measures.

use std::time::Duration;

use clap::Args;

use super::publishers::{Outcome, back_to_back, publish};
use super::route::{Route, Setting, Way};
use super::tally::{Pace, Tally};
use super::{engine, floor};
use crate::arguments::parse_number;
use crate::error::Error;
use crate::idle::IdleMode;
use crate::machine::CpuPair;
use crate::output::FileArgs;
use crate::results::{Better, Bound, Figure, Role, To, Unit};
use crate::scenario::{ENGINE, Plan, Sample, Scenario, Timing};

/// Measure the event bus: from threads to a handler, a subscriber's thread and a client
///
/// One, two and four threads publish to a loop that never sleeps and to one that sleeps at once: as
/// fast as events are accepted, and at a fixed rate. Latency counts from the time at which an event
/// was meant to be published. Alternately it measures the standard library's bounded channel to a
/// plain thread (the floor). Checks that no event is lost, and that each thread's events arrive in
/// order. It takes less than a minute.
#[derive(Args, Debug)]
pub(crate) struct BusArgs {
    /// Events per second of each thread while latency is measured
    #[arg(long, default_value = "10000", value_name = "PER_SECOND", value_parser = parse_rate)]
    rate: f64,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    quick: bool,
}

const P50: Figure = Figure::time("p50_ns", "p50");
const P99: Figure = Figure::time("p99_ns", "p99");
const P999: Figure = Figure::time("p999_ns", "p99.9");
const MAX: Figure = Figure::time("max_ns", "max");
const EVENTS: Figure = Figure::rate("events_per_second", "events/s");
const CPU: Figure = Figure::time("server_cpu_ns", "CPU/event");
const SHARE: Figure = Figure::new("server_share", "CPU", Unit::Share, Better::Neither);
const WAKES: Figure = wakes("wakes_per_1000", "wakes/1,000");
const WAKES_AT_RATE: Figure = wakes("wakes_per_1000_at_rate", "at rate");
const PUBLISH: Figure = Figure::time("publish_ns", "publish");

const fn wakes(id: &'static str, title: &'static str) -> Figure {
    Figure::new(id, title, Unit::Count, Better::Less)
}

const FULL: Timing =
    Timing { rounds: 5, warm_up: Duration::from_millis(30), duration: Duration::from_millis(200) };
const QUICK: Timing =
    Timing { rounds: 1, warm_up: Duration::from_millis(4), duration: Duration::from_millis(40) };

const BUSY: &str = "eventwire (busy)";
const FLOOR: &str = "floor";
/// The engine and the floor, which sleep at once or never. Each has a floor of its own kind.
const ROWS: [Row; 4] = [
    (ENGINE, Role::Engine, IdleMode::Block),
    (BUSY, Role::Mode, IdleMode::Busy),
    (FLOOR, Role::Floor, IdleMode::Block),
    ("floor (busy)", Role::Floor, IdleMode::Busy),
];

/// An entrant's name, its role, and what it does while no event is queued.
pub(crate) type Row = (&'static str, Role, IdleMode);

impl BusArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let cpus = CpuPair::pick();
        let place = match cpus {
            Some(cpus) => format!(
                "loop, or the floor's thread, on CPU {}; publishing threads on CPU {}, with the \
                 subscriber or client, which sleeps while idle and has a higher priority",
                cpus.server, cpus.load
            ),
            None => "everything on one CPU".to_owned(),
        };
        let always_awake =
            [(ENGINE, Role::Engine, IdleMode::Busy), (FLOOR, Role::Floor, IdleMode::Busy)];
        let mut scenarios = vec![cost(cpus, &always_awake)];
        for (way, counts) in
            [(Way::Handler, &[1, 2, 4][..]), (Way::Subscriber, &[1, 4]), (Way::Wire, &[1, 4])]
        {
            scenarios.extend(counts.iter().map(|&threads| {
                let setting = Setting { way, threads, rate: self.rate, cpus };
                delivery(setting, &ROWS)
            }));
        }
        Ok(Plan {
            title: "The event bus",
            conditions: vec![
                place,
                "events/s: as fast as they are accepted; nothing was lost, and each thread's \
                 events arrived in order"
                    .to_owned(),
                format!(
                    "latency: {} events/s from each thread, from the intended publishing time",
                    self.rate
                ),
                "wakes/1,000: writes to the loop's eventfd, counted by the kernel, for 1,000 \
                 events as fast as they are accepted, and at the rate"
                    .to_owned(),
                "floor: std's sync_channel to a plain thread, and from there through another \
                 channel or over TCP"
                    .to_owned(),
            ],
            timing: if self.quick { QUICK } else { FULL },
            repetition_max: Duration::ZERO,
            scenarios,
            notes: Vec::new(),
        })
    }
}

/// Those of an entrant that does not take part do not count.
fn with_targets(setting: Setting, scenario: Scenario<'_>) -> Scenario<'_> {
    let Setting { way, threads, .. } = setting;
    if way != Way::Handler {
        return scenario;
    }
    let scenario = scenario.target(&WAKES, To::Itself, Bound::AtMost(1.0));
    match threads {
        1 => scenario.target_of(BUSY, &P50, To::Itself, Bound::AtMost(1000.0)),
        2 => [ENGINE, BUSY].iter().fold(scenario, |scenario, engine| {
            scenario.target_of(engine, &EVENTS, To::Itself, Bound::AtLeast(1e6))
        }),
        _ => scenario,
    }
}

/// The cost of publishing to a consumer that is awake.
pub(crate) fn cost(cpus: Option<CpuPair>, rows: &[Row]) -> Scenario<'static> {
    let setting = Setting { way: Way::Handler, threads: 1, rate: 0.0, cpus };
    let scenario = Scenario::new("publish-cost", "publishing to an awake loop", [PUBLISH])
        .base(FLOOR)
        .target(&PUBLISH, To::Itself, Bound::AtMost(100.0));
    rows.iter().fold(scenario, |scenario, &(name, role, idle)| {
        scenario.entrant(name, role, move |timing| {
            let start = |tally| start(setting, role, idle, tally);
            Ok(Sample::default().with(&PUBLISH, back_to_back(setting, &start, timing)?))
        })
    })
}

/// The latency and throughput of events from threads.
pub(crate) fn delivery(setting: Setting, rows: &[Row]) -> Scenario<'static> {
    let (id, to) = match setting.way {
        Way::Handler => ("publish-handler", "a handler"),
        Way::Subscriber => ("publish-subscriber", "a subscriber"),
        Way::Wire => ("publish-wire", "the wire"),
    };
    let (id, title) = match setting.threads {
        1 => (id.to_owned(), format!("1 thread to {to}")),
        threads => (format!("{id}-{threads}"), format!("{threads} threads to {to}")),
    };
    let figures = [P50, P99, P999, MAX, EVENTS, CPU, SHARE, WAKES, WAKES_AT_RATE];
    let scenario = with_targets(setting, Scenario::new(id, title, figures).base(FLOOR));
    rows.iter().fold(scenario, |scenario, &(name, role, idle)| {
        scenario.entrant(name, role, move |timing| round(setting, role, idle, timing))
    })
}

/// Both measures, each with a consumer of its own, in half of the time each.
fn round(setting: Setting, role: Role, idle: IdleMode, timing: Timing) -> Result<Sample, Error> {
    let half = Timing { warm_up: timing.warm_up / 2, duration: timing.duration / 2, ..timing };
    let start = |tally| start(setting, role, idle, tally);
    let fast = publish(setting, &start, half, None)?;
    let pace = Pace::new(setting.threads, setting.rate, half.warm_up);
    let Outcome { latency, cpu, cpu_share, wakes, .. } =
        publish(setting, &start, half, Some(pace))?;
    let per_1000 = |wakes: Option<f64>| wakes.map(|wakes| wakes * 1000.0);
    Ok(Sample::default()
        .percentiles(&latency, &[(&P50, 0.5), (&P99, 0.99), (&P999, 0.999), (&MAX, 1.0)])
        .with(&EVENTS, fast.events_per_second)
        .maybe(&CPU, cpu)
        .maybe(&SHARE, cpu_share)
        .maybe(&WAKES, per_1000(fast.wakes))
        .maybe(&WAKES_AT_RATE, per_1000(wakes))
        .plot(latency))
}

/// Starts what carries the events: a channel if it is the floor, or else the engine.
fn start(setting: Setting, role: Role, idle: IdleMode, tally: Tally) -> Result<Route, Error> {
    match role {
        Role::Floor => floor::start(setting, idle, tally),
        _ => engine::start(setting, idle, tally),
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    parse_number(text, 100.0..=1_000_000.0)
}
