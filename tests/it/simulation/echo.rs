//! Clients and their server in one loop: every message comes back, in order.

use super::app::{Asks, Job};
use super::world::{Arrival, World};
use super::{Family, LOSSES, config, network, setup};
use crate::shared::Random;

/// More than all that a run sends: when both ends of a connection stop reading for what they have
/// queued, neither ever goes on.
const UNLIMITED: usize = 16 * 1024 * 1024;

#[test]
fn every_echo_completes() {
    Family { name: "echo", number: 0, absent: LOSSES.into(), world }.run();
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
