//! Random actions from every callback: messages, broadcasts, subscriptions, pings, closes, and
//! ids that are stale.

use eventwire::Config;
use eventwire::reactor::sim::SimConfig;

use super::app::{Asks, Job, Topic};
use super::peer::{Ending, Manner};
use super::world::{Arrival, World};
use super::{Family, LOSSES, config, network, setup};
use crate::shared::Random;

const UNLIMITED: usize = 16 * 1024 * 1024;

#[test]
fn subscribers_get_exactly_what_is_broadcast() {
    Family { name: "topics", number: 2, absent: LOSSES.into(), world }.run();
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

/// Connections of the application's and scripted clients, which all do things at random.
pub(super) fn crowd(
    seed: u64,
    random: &mut Random,
    sim: SimConfig,
    config: Config,
    (soft, hard): (usize, usize),
    tracing: bool,
) -> World {
    let subscriptions = random.pick(&[1, 3, 128]);
    let backlog = if soft < hard && hard == UNLIMITED { random.pick(&[2_000, hard]) } else { hard };
    let bytes = if backlog < UNLIMITED && subscriptions == 3 { 6_000 } else { UNLIMITED };
    let config = config.outbox(soft, hard).max_subscriptions(subscriptions);
    let config = config.topic_backlog(backlog).max_topic_bytes(bytes);
    let mut world = World::new(setup(seed, sim, config), tracing);
    world.app.overflows = hard < UNLIMITED;
    world.app.refuses = backlog < UNLIMITED;
    world.app.subscriptions = subscriptions;
    world.app.budget = random.pick(&[100, 400, 1000]);
    world.app.closing = random.pick(&[0, 2, 8]);
    world.app.longest = random.pick(&[100, 3_000, 20_000]);
    for number in 0..random.between(1, 5) {
        let id = world.event_loop.topic(&format!("topic {number}")).expect("few topics");
        world.app.topics.push(Topic::new(id));
    }
    for _ in 0..random.between(2, 8) {
        let arrival = match random.below(4) {
            0 | 1 => Arrival::Client(Job::Chaos),
            2 => Arrival::Client(Job::Echo(Asks {
                lens: vec![random.len(2000); 10],
                depth: 3,
                asked: 0,
                answered: 0,
            })),
            _ => {
                let ending = random.pick(&[Ending::Close, Ending::Stay]);
                let messages = (random.between(1, 30), 2_000);
                let pauses = random.percent(30);
                Arrival::Peer(Job::Chaos, Manner::Right, ending, messages, pauses)
            }
        };
        world.arrivals.push(arrival);
    }
    world
}
