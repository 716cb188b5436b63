//! Clients and their server in one loop: every message comes back, in order.

use super::{Family, LOSSES, UNLIMITED, config, network, setup};
use crate::shared::Random;
use crate::simulation::app::{Asks, Job};
use crate::simulation::world::{Arrival, World};

/// Invariant: every message of a client comes back once and in order, and then the client closes.
#[test]
fn every_echo_completes() {
    let invariant = all_echoed;
    Family { name: "echo", absent: LOSSES.into(), world, invariant }.run();
}

fn all_echoed(world: &mut World) {
    world.assert_delivered();
    world.assert_answered();
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let longest = random.pick(&[200, 5_000, 70_000, 300_000]);
    let window = random.pick(&[900, 4096, 65_536]).max(longest / 20);
    let sim = network(&mut random, window, true);
    let config = config(&mut random).outbox(UNLIMITED, UNLIMITED);
    let mut world = World::new(setup(seed, sim, config), tracing);
    world.app.lossless = true;
    for _ in 0..random.between(1, 6) {
        let mut left = 600_000;
        let mut lens = Vec::new();
        for _ in 0..random.between(1, 80) {
            let len = random.len(longest).min(left);
            left -= len;
            lens.push(len);
        }
        let depth = random.pick(&[1, 1, 3, 100]);
        world.arrivals.push(Arrival::Client(Job::Echo(Asks {
            lens,
            depth,
            asked: 0,
            answered: 0,
        })));
    }
    world
}
