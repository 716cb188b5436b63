//! Handlers that panic at random, in every method.

use super::crowd::crowd;
use super::{Family, LOSSES, UNLIMITED, config, network};
use crate::shared::Random;
use crate::simulation::world::World;

/// Invariant: a panic in a handler closes its own connection with 1011; every other connection
/// keeps its messages.
#[test]
fn a_panic_costs_its_own_connection_alone() {
    let invariant = only_panicking_connections_were_closed;
    Family { name: "panics", absent: LOSSES.into(), world, invariant }.run();
}

/// [`App::closed`](crate::simulation::app::App::closed) compares each end with its cause.
fn only_panicking_connections_were_closed(world: &mut World) {
    let stats = world.event_loop.stats();
    let panics = world.app.counts.panics;
    assert_eq!(stats.panics, panics, "panics were not counted");
    assert!(stats.closed_by_panic <= panics, "{} of {panics} closed", stats.closed_by_panic);
    world.assert_delivered();
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let window = random.pick(&[900, 4096, 65_536]);
    let sim = network(&mut random, window, true);
    let config = config(&mut random);
    let soft = random.pick(&[200, 4_000, UNLIMITED]);
    let mut world = crowd(seed, &mut random, sim, config, (soft, UNLIMITED), tracing);
    world.app.lossless = true;
    world.app.policies = random.percent(50);
    world.app.panicking = random.pick(&[1, 5, 30, 200]);
    if random.percent(50) {
        world.publish();
    }
    world
}
