//! Connections that come and go, with every fault there is: slots are used again and again,
//! descriptors run out, and peers are gone without a word.

use eventwire::reactor::sim::SimConfig;

use super::app::Job;
use super::peer::{Ending, Manner};
use super::random::Random;
use super::topics::crowd;
use super::world::{Arrival, World};
use super::{Family, network};

#[test]
fn no_connection_is_taken_for_another() {
    Family { name: "churn", number: 3, absent: Vec::new(), world }.run();
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let window = random.pick(&[300, 4096, 65_536]);
    let mut sim = network(&mut random, window, false);
    let crowded = random.percent(30);
    if crowded {
        sim = SimConfig::descriptors(sim, random.between(4, 12));
    }
    let outbox = random.pick(&[5_000, 40_000, 1 << 20]);
    let mut world = crowd(seed, &mut random, sim, outbox, tracing);
    world.crowded = crowded;
    world.app.time_jumps = true;
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
