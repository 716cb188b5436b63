//! Scripted clients: right, wrong, in pieces, all at once, and only half of it.

use super::{Family, Fault, LOSSES, OF_CONNECTS, config, network, setup};
use crate::shared::Random;
use crate::simulation::app::{Asks, Job};
use crate::simulation::peer::{Ending, Manner};
use crate::simulation::world::{Arrival, World};

/// Invariant: a client that keeps to the protocol is served, a wrong request is refused, and a
/// violation is answered with its close code.
#[test]
fn clients_are_served_or_refused() {
    let absent = [&LOSSES[..], &OF_CONNECTS[..]].concat();
    // Peers that vanish cut their connections off.
    let absent = absent.into_iter().filter(|fault| *fault != Fault::LostOnReset);
    let invariant = all_served_or_refused;
    Family { name: "peers", absent: absent.collect(), world, invariant }.run();
}

fn all_served_or_refused(world: &mut World) {
    world.assert_peers_served();
    world.assert_delivered();
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let longest = random.pick(&[300, 5_000, 60_000]);
    let window = random.pick(&[900, 4096, 65_536]).max(longest / 20);
    let sim = network(&mut random, window, true);
    let config = config(&mut random).outbox(random.pick(&[1_000, 20_000]), 16 * 1024 * 1024);
    let mut world = World::new(setup(seed, sim, config), tracing);
    world.app.lossless = true;
    for _ in 0..random.between(2, 10) {
        let manner = random.pick(&[
            Manner::Right,
            Manner::Right,
            Manner::BreaksProtocol,
            Manner::BadHandshake,
            Manner::HalfHandshake,
            Manner::HalfFrame,
        ]);
        let ending = if manner == Manner::BreaksProtocol {
            Ending::Stay
        } else {
            random.pick(&[Ending::Stay, Ending::Close, Ending::Fin, Ending::Reset, Ending::Vanish])
        };
        let asks = Asks { lens: Vec::new(), depth: 0, asked: 0, answered: 0 };
        let messages = (random.below(40), longest);
        let pauses = manner == Manner::Right && random.percent(30);
        world.arrivals.push(Arrival::Peer(Job::Echo(asks), manner, ending, messages, pauses));
    }
    world
}
