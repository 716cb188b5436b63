//! What the program measures without a command: the engine beside raw TCP.

use std::rc::Rc;
use std::time::Duration;

use clap::Args;

use super::figures::{P50, P99, P999, rate, server_cpu};
use super::traffic::{Case, Setting};
use crate::contestants::{Contestant, FLOOR, Own};
use crate::error::Error;
use crate::idle::IdleMode;
use crate::load::{Pace, Traffic};
use crate::output::FileArgs;
use crate::results::{Bound, Figure, To};
use crate::scenario::{Plan, Timing};
use crate::servers::Implementation;

#[derive(Args, Debug)]
pub(crate) struct OverviewArgs {
    /// Measure the raw TCP floor with each scenario (the default)
    #[arg(long, overrides_with = "no_floor")]
    floor: bool,
    /// Do not measure the floor, and print no ratios
    #[arg(long)]
    no_floor: bool,
    /// How server and floor wait while nothing is ready
    #[arg(long, value_enum, default_value = "adaptive", value_name = "MODE")]
    idle: IdleMode,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    quick: bool,
}

const RATE: Figure = rate("messages/s");
const CPU: Figure = server_cpu("CPU/message");

fn cases() -> [Case; 5] {
    let echo = |id, title, connections, size, depth| {
        let traffic = Traffic::Echo { connections, size, pace: Pace::Closed { depth } };
        let key = if connections == 1 { P50 } else { RATE };
        Case::new(id, title, traffic, figures(key)).base(FLOOR)
    };
    let broadcast = |id, title, receivers| {
        let (slow, publishers, pace) = (0, 1, Pace::Closed { depth: 1 });
        let traffic =
            Traffic::Broadcast { receivers, slow, publishers, size: 128, pace, bystander: false };
        Case::new(id, title, traffic, figures(RATE)).base(FLOOR)
    };
    let of_floor = To::Entrant(FLOOR.to_owned());
    let round_trip = echo("round-trip", "round trip, 1 connection, 128 B", 1, 128, 1);
    let connections = echo("connections-100", "100 connections, 64 B", 100, 64, 1);
    [
        round_trip.target(&P50, of_floor.clone(), Bound::AtMost(1.05)),
        connections.target(&RATE, of_floor, Bound::AtLeast(0.93)),
        echo("pipelined", "10 connections, 64 deep, 20 B", 10, 20, 64),
        broadcast("broadcast-100", "broadcast to 100, 128 B", 100),
        broadcast("broadcast-1000", "broadcast to 1,000, 128 B", 1_000),
    ]
}

/// All figures, beginning with the one that ranks.
fn figures(key: Figure) -> Vec<Figure> {
    let others = [RATE, P50, P99, P999, CPU];
    let others = others.into_iter().filter(|figure| *figure != key);
    [key.clone()].into_iter().chain(others).collect()
}

impl OverviewArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let (rounds, warm_up, duration) = if self.quick { (1, 10, 50) } else { (5, 150, 600) };
        let (warm_up, duration) = (Duration::from_millis(warm_up), Duration::from_millis(duration));
        let setting = Rc::new(Setting::new(false));
        let mut contestants: Vec<Rc<dyn Contestant>> =
            vec![Rc::new(Own::new(Implementation::Eventwire).idle(self.idle))];
        if self.floor || !self.no_floor {
            contestants.push(Rc::new(Own::new(Implementation::Floor).idle(self.idle)));
        }
        let mut plan = Plan {
            title: "The engine beside raw TCP",
            conditions: vec![
                setting.place(),
                format!(
                    "{rounds} rounds of {duration:?} after {warm_up:?} to warm up, in turns; \
                     medians over the rounds; servers are {} while nothing is ready",
                    self.idle.name()
                ),
                "floor: the same bytes over raw TCP, a plain loop, the same idle mode, no WebSocket"
                    .to_owned(),
            ],
            timing: Timing { rounds, warm_up, duration },
            repetition_max: Duration::ZERO,
            scenarios: Vec::new(),
            notes: Vec::new(),
        };
        for case in cases() {
            match case.lacks_files() {
                None => plan.scenarios.push(case.scenario(&contestants, &setting)),
                Some(reason) => plan.notes.push(format!("{}: left out, {reason}", case.title)),
            }
        }
        Ok(plan)
    }
}
