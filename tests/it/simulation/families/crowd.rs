//! The crowd that several families begin with.

use eventwire::Config;
use eventwire::reactor::sim::SimConfig;

use super::{UNLIMITED, setup};
use crate::shared::Random;
use crate::simulation::app::{Asks, Job, Topic};
use crate::simulation::peer::{Ending, Manner};
use crate::simulation::world::{Arrival, World};

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
