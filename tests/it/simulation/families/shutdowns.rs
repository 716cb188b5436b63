//! Loops that are stopped or shut down in the midst of everything: from inside and from outside,
//! once and again, with long deadlines and with none.

use std::time::Duration;

use eventwire::reactor::sim::Fault;

use super::crowd::crowd;
use super::{Family, config, network};
use crate::shared::Random;
use crate::simulation::app::{Job, LoopEnd};
use crate::simulation::ending::Doom;
use crate::simulation::peer::{Ending, Manner};
use crate::simulation::world::{Arrival, World};

/// Invariant: a loop that is stopped or shut down ends by its deadline, calls `on_close` once for
/// every connection that was open, waits for holds until then, and its summary adds up.
#[test]
fn a_loop_ends_by_its_deadline_and_calls_every_on_close() {
    let invariant = every_connection_has_ended;
    Family { name: "shutdowns", absent: Vec::new(), world, invariant }.run();
}

/// [`World::check_turn`] compares the end with the deadlines, [`World::finish`] the summary.
fn every_connection_has_ended(world: &mut World) {
    assert!(world.event_loop.is_stopping(), "the loop does not end");
    assert_eq!(world.event_loop.connections(), 0, "connections are left");
    world.app.check_ended();
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let lossless = random.percent(50);
    let window = random.pick(&[300, 4096, 65_536]);
    // Few of its connects are made by the application.
    let sim = network(&mut random, window, lossless).chance(Fault::ConnectNever, 50_000);
    let config = config(&mut random);
    let hard = random.pick(&[40_000, 16 * 1024 * 1024]);
    let soft = random.pick(&[1000, hard]);
    let mut world = crowd(seed, &mut random, sim, config, (soft, hard), tracing);
    world.app.lossless = lossless;
    world.app.time_jumps = !lossless;
    world.app.policies = random.percent(50);
    world.app.pausing = random.pick(&[0, 0, 20]);
    world.app.panicking = random.pick(&[0, 0, 10]);
    if random.percent(60) {
        world.publish();
    }
    for _ in 0..random.between(1, 10) {
        let (manner, ending) = match lossless {
            true => (Manner::Right, random.pick(&[Ending::Close, Ending::Stay])),
            false => (
                random.pick(&[Manner::Right, Manner::HalfHandshake, Manner::HalfFrame]),
                random.pick(&[Ending::Stay, Ending::Close, Ending::Fin, Ending::Reset]),
            ),
        };
        let messages = (random.between(1, 60), random.pick(&[100, 3_000, 60_000]));
        let pauses = random.percent(30);
        world.arrivals.push(Arrival::Peer(Job::Chaos, manner, ending, messages, pauses));
    }
    let most = random.pick(&[20, 200, 2_000]);
    let end = match random.below(5) {
        0 => LoopEnd::Stop,
        _ => LoopEnd::Shutdown(random.pick(&[
            Duration::ZERO,
            Duration::from_millis(1),
            Duration::from_millis(300),
            Duration::from_secs(3),
            Duration::from_secs(60),
            Duration::MAX,
        ])),
    };
    // Drawn apart, so that the rest of a seed's world is the same without them.
    let holds = Random::new(!seed).pick(&[0, 0, 1, 3]);
    world.ending.holds = (0..holds).map(|_| world.event_loop.hold()).collect();
    world.doom = Some(Doom { turn: random.below(most), end, inside: random.percent(50) });
    world
}
