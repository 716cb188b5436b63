//! Small requests for large responses, so that outboxes fill: connections of the application's,
//! and scripted clients that stop reading now and then.

use super::{Family, LOSSES, config, network, setup};
use crate::shared::Random;
use crate::simulation::app::{Asks, Job};
use crate::simulation::peer::{Ending, Manner};
use crate::simulation::world::{Arrival, World};

/// Invariant: every response arrives whole and in order, however slowly its peer reads, and
/// `on_drained` is called once an outbox is empty again.
#[test]
fn every_response_arrives() {
    let invariant = all_fetched;
    Family { name: "fetch", absent: LOSSES.into(), world, invariant }.run();
}

fn all_fetched(world: &mut World) {
    world.assert_answered();
    world.assert_delivered();
    world.assert_peers_served();
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let longest = random.pick(&[20_000, 100_000, 300_000]);
    let window = random.pick(&[2_000, 16_384, 65_536]).max(longest / 20);
    let sim = network(&mut random, window, true);
    let soft = random.pick(&[1_000, 10_000, 65_536]);
    let config = config(&mut random).outbox(soft, 16 * 1024 * 1024);
    let mut world = World::new(setup(seed, sim, config), tracing);
    world.app.lossless = true;
    for _ in 0..random.between(1, 4) {
        let mut left = 700_000;
        let mut lens = Vec::new();
        for _ in 0..random.between(1, 20) {
            let len = random.below(longest).min(left);
            left -= len;
            lens.push(len);
        }
        let depth = random.pick(&[1, 2, 20]);
        let asks = Asks { lens, depth, asked: 0, answered: 0 };
        world.arrivals.push(Arrival::Client(Job::Fetch(asks)));
    }
    for _ in 0..random.below(4) {
        let asks = Asks { lens: Vec::new(), depth: 0, asked: 0, answered: 0 };
        let ending = random.pick(&[Ending::Close, Ending::Stay]);
        let messages = (random.between(1, 30), longest / 4);
        let peer = Arrival::Peer(Job::Echo(asks), Manner::Right, ending, messages, true);
        world.arrivals.push(peer);
    }
    world
}
