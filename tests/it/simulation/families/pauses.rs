//! Connections that are paused and resumed at random: what their peers send arrives once, in order,
//! and never while they are paused.

use super::crowd::crowd;
use super::{Family, UNLIMITED, config, network};
use crate::shared::Random;
use crate::simulation::app::Job;
use crate::simulation::invariants;
use crate::simulation::peer::{Ending, Manner};
use crate::simulation::world::{Arrival, World};

/// Invariant: no handler of a paused connection is called; what its peer sent arrives once and in
/// order after it was resumed.
#[test]
fn paused_input_arrives_after_resuming() {
    let invariant = paused_input_arrived_later;
    Family { name: "pauses", absent: Vec::new(), world, invariant }.run();
}

/// [`App::check_readable`](crate::simulation::app::App::check_readable) refuses calls for a paused
/// connection.
fn paused_input_arrived_later(world: &mut World) {
    assert!(world.app.conns.values().all(|conn| !conn.paused), "somebody is still paused");
    world.assert_delivered();
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    // Nothing may get lost, or everything may go wrong and memory is short.
    let lossless = random.percent(50);
    let window = random.pick(&[900, 4096, 65_536]);
    let sim = network(&mut random, window, lossless);
    let mut config = config(&mut random);
    let mut limits = invariants::UNLIMITED;
    if !lossless {
        let inbound = random.pick(&[UNLIMITED, 100_000, 20_000]);
        let outbound = random.pick(&[UNLIMITED, 100_000, 20_000]);
        config = config.max_inbound(inbound).max_outbound(outbound);
        limits = (inbound as u64, outbound as u64);
    }
    let hard = if lossless { UNLIMITED } else { random.pick(&[40_000, 1 << 20, UNLIMITED]) };
    let soft = if lossless { UNLIMITED } else { random.pick(&[100, 1000, hard]) };
    let mut world = crowd(seed, &mut random, sim, config, (soft, hard), tracing);
    world.limits = limits;
    world.app.lossless = lossless;
    world.app.overflows |= !lossless;
    world.app.time_jumps = !lossless;
    world.app.pausing = random.pick(&[10, 30, 60]);
    for _ in 0..random.between(1, 10) {
        let ending = match lossless {
            true => random.pick(&[Ending::Close, Ending::Stay]),
            false => random.pick(&[Ending::Close, Ending::Fin, Ending::Reset, Ending::Vanish]),
        };
        let messages = (random.between(1, 60), random.pick(&[100, 3_000, 60_000]));
        let pauses = random.percent(30);
        world.arrivals.push(Arrival::Peer(Job::Chaos, Manner::Right, ending, messages, pauses));
    }
    world
}
