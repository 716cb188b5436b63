//! Events from threads of this program, through the engine or the standard library's channel.

use std::time::Duration;

use super::args::Timing;
use super::entrant::{Entrant, Role};
use super::outcome::Outcome;
use super::scenario::Kind;
use crate::bus::{self, Setting, Side};
use crate::error::Error;
use crate::idle::IdleMode;
use crate::machine::CpuPair;

/// Events per second of each thread while latency is measured.
pub(crate) const RATE: f64 = 10_000.0;

/// Runs one round: throughput and latency of publishing, or its cost.
pub(crate) fn round(
    kind: Kind,
    entrant: &Entrant,
    timing: Timing,
    cpus: Option<CpuPair>,
) -> Result<Outcome, Error> {
    let half = |time: Duration| time / 2;
    let times = bus::Timing {
        rounds: 1,
        warm_up: half(timing.warm_up),
        flood: half(timing.duration),
        paced: half(timing.duration),
        cost: timing.duration,
    };
    let side = if entrant.role == Role::Floor { Side::Floor } else { Side::Engine };
    let idle = match entrant.role {
        Role::Mode(idle) => idle,
        _ => IdleMode::Block,
    };
    let Kind::Publish { way, threads } = kind else {
        let cost = bus::cost(cpus, times, side)?;
        return Ok(Outcome { publish_ns: Some(cost.mean), ..Outcome::default() });
    };
    let round = Setting { way, publishers: threads, idle, cpus }.round(times, RATE, side)?;
    Ok(Outcome {
        count: round.paced.sent.events,
        time: round.paced.time,
        rate: Some(round.flood.events_per_second),
        latency: Some(round.paced.latency),
        server_cpu: round.paced.consumer_cpu,
        late: Some(round.paced.late),
        ..Outcome::default()
    })
}
