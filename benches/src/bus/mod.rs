//! Measures the event bus: the cost of publishing from threads, throughput and latency.
//!
//! Each path of an event is measured alternately with a floor: the standard library's bounded
//! channel to a plain thread, with the same publishing threads.

mod channel;
mod cost;
mod handler;
mod publishers;
mod socket;
mod subscriber;
mod tally;

use std::time::Duration;

use serde::Serialize;

use crate::cli::BusArgs;
use crate::error::Error;
use crate::idle::IdleMode;
use crate::machine::{CpuPair, CpuUse};
use crate::progress_bar;
use crate::report::bus::{BusReport, RouteReport};

pub(crate) use cost::Cost;
pub(crate) use publishers::{Flood, Paced};

use publishers::{Place, Route, Sink, soon};
use tally::{Pace, Tally};

/// The path of an event from the publishing threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// To a handler on the loop. Floor: to the thread that receives from the channel.
    Handler,
    /// Through the loop to a subscriber's thread. Floor: through the thread, which passes it on
    /// through a second channel.
    Subscriber,
    /// Through a handler, which broadcasts it, to a client. Floor: through the thread, which writes
    /// it to a TCP connection.
    Socket,
}

/// One measurement's setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) way: Way,
    /// How many threads publish.
    pub(crate) publishers: usize,
    /// What the loop, or the channel's thread, does while no event is queued.
    pub(crate) idle: IdleMode,
    /// With two CPUs, the loop has one of them; everything else is on the other.
    pub(crate) cpus: Option<CpuPair>,
}

/// The side that carries the events.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Engine,
    Floor,
}

/// The result of one round.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) flood: Flood,
    pub(crate) paced: Paced,
}

/// The number and length of the rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) flood: Duration,
    pub(crate) paced: Duration,
    pub(crate) cost: Duration,
}

const FULL: Timing = Timing {
    rounds: 5,
    warm_up: Duration::from_millis(15),
    flood: Duration::from_millis(70),
    paced: Duration::from_millis(120),
    cost: Duration::from_millis(100),
};
const QUICK: Timing = Timing {
    rounds: 1,
    warm_up: Duration::from_millis(2),
    flood: Duration::from_millis(10),
    paced: Duration::from_millis(20),
    cost: Duration::from_millis(10),
};

/// The numbers of publishing threads for each path.
const PUBLISHERS: [(Way, &[usize]); 3] =
    [(Way::Handler, &[1, 2, 4]), (Way::Subscriber, &[1, 4]), (Way::Socket, &[1, 4])];

/// Runs all measurements.
pub(crate) fn run(args: &BusArgs) -> Result<BusReport, Error> {
    let timing = if args.quick { QUICK } else { FULL };
    let cpus = CpuPair::pick();
    let settings = settings(cpus);
    let mut report = BusReport::new(cpus, timing, args.rate);
    let bar = progress_bar(((settings.len() * 2 + 2) * timing.rounds) as u64);
    let before = CpuUse::now();
    bar.set_message("publish");
    let (mut engine, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..timing.rounds {
        engine.push(cost(cpus, timing, Side::Engine)?);
        floor.push(cost(cpus, timing, Side::Floor)?);
        bar.inc(2);
    }
    report.set_cost(&engine, &floor);
    for setting in settings {
        bar.set_message(setting.title());
        let (mut engine, mut floor) = (Vec::new(), Vec::new());
        for _ in 0..timing.rounds {
            engine.push(setting.round(timing, args.rate, Side::Engine)?);
            floor.push(setting.round(timing, args.rate, Side::Floor)?);
            bar.inc(2);
        }
        report.add(RouteReport::of_rounds(setting, &engine, &floor));
    }
    bar.finish_and_clear();
    let interference = CpuUse::now().zip(before).map(|(now, then)| now.interference_since(then));
    report.judge(interference);
    Ok(report)
}

fn settings(cpus: Option<CpuPair>) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (way, counts) in PUBLISHERS {
        for &publishers in counts {
            for idle in [IdleMode::Busy, IdleMode::Block] {
                settings.push(Setting { way, publishers, idle, cpus });
            }
        }
    }
    settings
}

/// The cost of publishing to a consumer that never sleeps.
pub(crate) fn cost(cpus: Option<CpuPair>, timing: Timing, side: Side) -> Result<Cost, Error> {
    let setting = Setting { way: Way::Handler, publishers: 1, idle: IdleMode::Busy, cpus };
    let tally = Tally::new(1, None);
    let (progress, place) = (tally.progress(), setting.place());
    let times = (timing.warm_up, timing.cost);
    match side {
        Side::Engine => cost::measure(handler::start(tally, setting)?, place, &progress, times),
        Side::Floor => cost::measure(channel::to_thread(tally, setting)?, place, &progress, times),
    }
}

impl Setting {
    /// The setting as a title.
    pub(crate) fn title(self) -> String {
        let way = match self.way {
            Way::Handler => "handler",
            Way::Subscriber => "subscriber",
            Way::Socket => "socket",
        };
        let plural = if self.publishers == 1 { "" } else { "s" };
        format!("{way}, {} thread{plural}, {}", self.publishers, self.idle.name())
    }

    fn consumer_cpu(self) -> Option<usize> {
        self.cpus.map(|cpus| cpus.server)
    }

    fn publisher_cpu(self) -> Option<usize> {
        self.cpus.map(|cpus| cpus.load)
    }

    fn place(self) -> Place {
        let shared = self.way != Way::Handler;
        let alone = self.cpus.is_some() && self.publishers == 1 && !shared;
        Place { cpu: self.publisher_cpu(), alone, yields: shared }
    }

    /// Both measures once.
    pub(crate) fn round(self, timing: Timing, rate: f64, side: Side) -> Result<Round, Error> {
        match (self.way, side) {
            (Way::Handler, Side::Engine) => self.measure(handler::start, timing, rate),
            (Way::Subscriber, Side::Engine) => self.measure(subscriber::start, timing, rate),
            (Way::Socket, Side::Engine) => self.measure(socket::start, timing, rate),
            (Way::Handler, Side::Floor) => self.measure(channel::to_thread, timing, rate),
            (Way::Subscriber, Side::Floor) => self.measure(channel::to_second_thread, timing, rate),
            (Way::Socket, Side::Floor) => self.measure(channel::to_socket, timing, rate),
        }
    }

    /// Both measures, each with a consumer of its own: no measure inherits anything.
    fn measure<K: Sink>(
        self,
        start: fn(Tally, Self) -> Result<Route<K>, Error>,
        timing: Timing,
        rate: f64,
    ) -> Result<Round, Error> {
        let (publishers, place) = (self.publishers, self.place());
        let tally = Tally::new(publishers, None);
        let progress = tally.progress();
        let route = start(tally, self)?;
        let flood = publishers::flood(route, place, &progress, (timing.warm_up, timing.flood))?;
        let pace = Pace::new(soon(), publishers, rate, timing.warm_up, timing.paced);
        let tally = Tally::new(publishers, Some(pace.clone()));
        let progress = tally.progress();
        let paced = publishers::paced(start(tally, self)?, place, &progress, &pace)?;
        Ok(Round { flood, paced })
    }
}
