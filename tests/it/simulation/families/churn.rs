//! Connections that come and go, with every fault there is: slots are used again and again,
//! descriptors run out, and peers are gone without a word.

use super::crowd::crowd;
use super::{Family, MAX_CONNECTIONS, config, network};
use crate::shared::Random;
use crate::simulation::app::Job;
use crate::simulation::peer::{Ending, Manner};
use crate::simulation::world::{Arrival, World};

/// Invariant: an id names one connection for ever, and a slot belongs to one connection at a time.
#[test]
fn no_connection_is_taken_for_another() {
    let invariant = every_id_names_one_connection;
    Family { name: "churn", absent: Vec::new(), world, invariant }.run();
}

/// [`App::begin_life`](crate::simulation::app::App::begin_life) compares the slots of those that
/// live.
fn every_id_names_one_connection(world: &mut World) {
    let app = &world.app;
    for (number, link) in app.links.iter().enumerate() {
        for conn in [link.server, link.client].into_iter().flatten() {
            let known = &app.conns[&conn.to_bits()];
            assert_eq!(known.link, number, "{conn:?} belongs to two links");
            assert_eq!(known.is_client, link.client == Some(conn), "{conn:?} is both ends");
        }
    }
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
