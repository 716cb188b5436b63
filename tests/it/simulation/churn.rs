//! Connections that come and go, with every fault there is: slots are used again and again,
//! descriptors run out, and peers are gone without a word.

use super::app::Job;
use super::peer::{Ending, Manner};
use super::topics::crowd;
use super::world::{Arrival, World};
use super::{Family, MAX_CONNECTIONS, config, network};
use crate::shared::Random;

#[test]
fn no_connection_is_taken_for_another() {
    Family { name: "churn", number: 3, absent: Vec::new(), world }.run();
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let window = random.pick(&[300, 4096, 65_536]);
    let mut sim = network(&mut random, window, false);
    let mut config = config(&mut random);
    let descriptors_short = random.percent(30);
    if descriptors_short {
        sim = sim.descriptors(random.between(4, 12));
    }
    let places = if random.percent(20) { random.between(3, 12) } else { MAX_CONNECTIONS };
    config = config.max_connections(places);
    let hard = random.pick(&[5_000, 40_000, 1 << 20]);
    let soft = random.pick(&[100, 1000, hard]);
    let mut world = crowd(seed, &mut random, sim, config, (soft, hard), tracing);
    world.crowded = descriptors_short || places < MAX_CONNECTIONS;
    world.max_connections = places;
    world.app.time_jumps = true;
    world.app.policies = random.percent(50);
    for _ in 0..random.between(5, 40) {
        let arrival = if random.percent(40) {
            Arrival::Client(Job::Chaos)
        } else {
            let ending = random.pick(&[Ending::Close, Ending::Fin, Ending::Reset, Ending::Vanish]);
            let messages = (random.below(20), 1_000);
            let pauses = random.percent(30);
            Arrival::Peer(Job::Chaos, Manner::Right, ending, messages, pauses)
        };
        world.arrivals.push(arrival);
    }
    world
}
