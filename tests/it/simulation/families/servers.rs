//! Scripted servers, good ones and bad ones, and the connections that the application makes to
//! them.

use super::{Family, Fault, config, network, setup};
use crate::shared::Random;
use crate::simulation::app::{Asks, Job, Phase};
use crate::simulation::peer::{Ending, Manner, Peer};
use crate::simulation::world::{Arrival, World};

/// Invariant: a connection opens only to a server that completes the opening handshake, and what
/// an open one was sent has arrived.
#[test]
fn connections_open_only_to_correct_servers() {
    let absent = vec![Fault::Aborted];
    let invariant = only_right_servers_are_connected_to;
    Family { name: "servers", absent, world, invariant }.run();
}

fn only_right_servers_are_connected_to(world: &mut World) {
    for link in world.peers.iter().filter_map(Peer::link_of_wrong_handshake) {
        let client = world.app.links[link].client;
        let phase = client.and_then(|client| world.app.phase(client));
        let never_opened = matches!(phase, Some(Phase::Connecting | Phase::Failed));
        assert!(never_opened, "link {link} is {phase:?}");
    }
    world.assert_delivered();
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let lossless = random.percent(50);
    let window = random.pick(&[900, 4096, 65_536]);
    let mut sim = network(&mut random, window, lossless);
    if !lossless {
        // The connections are few and short.
        sim = sim.chance(Fault::Reset, 2_000);
    }
    let config = config(&mut random);
    let mut world = World::new(setup(seed, sim, config), tracing);
    for _ in 0..4 {
        let manner = random.pick(&[
            Manner::Right,
            Manner::Right,
            Manner::Right,
            Manner::BreaksProtocol,
            Manner::BadHandshake,
            Manner::HalfHandshake,
            Manner::HalfFrame,
        ]);
        let ending = random.pick(&[
            Ending::Stay,
            Ending::Stay,
            Ending::Close,
            Ending::Fin,
            Ending::Reset,
            Ending::Vanish,
        ]);
        world.servers.push((manner, ending, random.percent(20)));
    }
    world.app.time_jumps = !lossless;
    world.app.budget = 200;
    for _ in 0..random.between(1, 10) {
        let job = if random.percent(40) {
            Job::Chaos
        } else {
            let lens = (0..random.below(20)).map(|_| random.len(20_000)).collect();
            Job::Echo(Asks { lens, depth: random.pick(&[1, 3]), asked: 0, answered: 0 })
        };
        world.arrivals.push(Arrival::ClientOfPeers(job));
    }
    world
}
