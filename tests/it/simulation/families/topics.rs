//! Random actions from every callback: messages, broadcasts, subscriptions, pings, closes, and
//! ids that are stale.

use super::crowd::crowd;
use super::{Family, LOSSES, UNLIMITED, config, network};
use crate::shared::Random;
use crate::simulation::app::Job;
use crate::simulation::peer::{Ending, Manner};
use crate::simulation::world::{Arrival, World};

/// Invariant: a subscriber receives every broadcast of its topic once and in order, or is informed
/// of it by exactly one gap; nobody else receives it.
#[test]
fn subscribers_get_exactly_what_is_broadcast() {
    let invariant = every_broadcast_arrived_or_was_reported;
    Family { name: "topics", absent: LOSSES.into(), world, invariant }.run();
}

/// Each message was compared with its broadcast when it arrived
/// ([`Flow::arrive`](crate::simulation::flow::Flow::arrive)), and each gap when it was reported
/// ([`Flow::miss`](crate::simulation::flow::Flow::miss)).
fn every_broadcast_arrived_or_was_reported(world: &mut World) {
    world.assert_delivered();
    world.assert_topic_changes_published();
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let window = random.pick(&[900, 4096, 65_536]);
    let sim = network(&mut random, window, true);
    let config = config(&mut random);
    let policies = random.percent(60);
    let soft = if policies { random.pick(&[200, 4_000, 30_000]) } else { UNLIMITED };
    let mut world = crowd(seed, &mut random, sim, config, (soft, UNLIMITED), tracing);
    world.app.lossless = true;
    if policies {
        slow_down(&mut world, &mut random);
    }
    if random.percent(4) {
        fill(&mut world, &mut random);
    }
    world
}

/// More peers that do not read for a while, and more to be read by them.
fn slow_down(world: &mut World, random: &mut Random) {
    world.app.policies = true;
    world.app.budget *= 2;
    for _ in 0..random.between(2, 6) {
        let messages = (random.between(1, 30), 2_000);
        let peer = Arrival::Peer(Job::Chaos, Manner::Right, Ending::Stay, messages, true);
        world.arrivals.push(peer);
    }
}

/// More subscribers than one turn broadcasts to, so that they come and go in between.
fn fill(world: &mut World, random: &mut Random) {
    world.app.topics.truncate(1);
    world.app.longest = 300;
    world.app.budget = 2000;
    world.app.closing = 8;
    world.app.quorum = 280;
    for _ in 0..450 {
        let messages = (random.below(4), 200);
        let peer = Arrival::Peer(Job::Chaos, Manner::Right, Ending::Stay, messages, false);
        world.arrivals.push(peer);
    }
}
