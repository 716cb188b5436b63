//! Events from threads of this program, through the engine or the standard library's channel.

use std::rc::Rc;

use crate::contestants::{Contestant, FLOOR};
use crate::idle::IdleMode;
use crate::machine::CpuPair;
use crate::results::Role;
use crate::scenario::{AGAIN, ENGINE, Scenario};
use crate::scenarios::bus::{Row, Setting, Way, cost, delivery};

/// The names of the scenarios.
pub(super) const IDS: [&str; 4] =
    ["publish-cost", "publish-handler", "publish-wire", "publish-wire-4"];

/// Events per second of each thread while latency is measured.
const RATE: f64 = 10_000.0;

const BLOCK: IdleMode = IdleMode::Block;
/// What takes part, as far as it is among the contestants.
const ROWS: [Row; 5] = [
    (ENGINE, Role::Engine, BLOCK),
    (AGAIN, Role::Again, BLOCK),
    (FLOOR, Role::Floor, BLOCK),
    ("eventwire (adaptive)", Role::Mode, IdleMode::Adaptive),
    ("eventwire (busy)", Role::Mode, IdleMode::Busy),
];

/// The scenario of that name.
pub(super) fn scenario<'a>(
    id: &str,
    contestants: &[Rc<dyn Contestant + 'a>],
    cpus: Option<CpuPair>,
) -> Scenario<'a> {
    let takes_part = |name: &str| contestants.iter().any(|contestant| contestant.name() == name);
    let rows: Vec<Row> = ROWS.into_iter().filter(|(name, ..)| takes_part(name)).collect();
    let of = |way, threads| delivery(Setting { way, threads, rate: RATE, cpus }, &rows);
    let scenario = match id {
        "publish-cost" => cost(cpus, &rows),
        "publish-handler" => of(Way::Handler, 1),
        "publish-wire" => of(Way::Wire, 1),
        _ => of(Way::Wire, 4),
    };
    scenario.group("Events from threads")
}
