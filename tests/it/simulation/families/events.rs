//! Events from handlers and from outside, timers, and subscribers of every policy, while
//! connections come and go and the clock jumps.

use std::time::Duration;

use super::crowd::crowd;
use super::{Family, Fault, UNLIMITED, config, network};
use crate::shared::Random;
use crate::simulation::app::Job;
use crate::simulation::peer::{Ending, Manner};
use crate::simulation::world::{Arrival, World};

/// Invariant: every published event is handled once and in its publisher's order, every timer
/// expires once, neither early nor late, and a subscriber counts what it misses.
#[test]
fn events_and_timers_arrive_once_in_order_and_in_time() {
    let invariant = every_event_was_handled;
    Family { name: "events", absent: Vec::new(), world, invariant }.run();
}

/// [`World::check_turn`] compares counts, order and times after every turn.
fn every_event_was_handled(world: &mut World) {
    assert_eq!(world.app.news.waiting(), 0, "events are not handled");
    assert_eq!(world.app.alarms.len(), 0, "timers are left");
    assert_eq!(world.resumes_published, world.app.resumes, "requests to resume are not handled");
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let lossless = random.percent(50);
    let window = random.pick(&[900, 4096, 65_536]);
    let mut sim = network(&mut random, window, lossless);
    if !lossless {
        let longest = random.pick(&[1, 20, 7200]);
        sim = sim.chance(Fault::ClockJump, 2_000).clock_jump(Duration::from_secs(longest));
    }
    let config = config(&mut random);
    let mut world = crowd(seed, &mut random, sim, config, (UNLIMITED, UNLIMITED), tracing);
    if !lossless {
        let messages = (random.between(1, 60), 3_000);
        let peer = Arrival::Peer(Job::Chaos, Manner::Right, Ending::Reset, messages, true);
        world.arrivals.push(peer);
    }
    world.app.lossless = lossless;
    world.app.time_jumps = !lossless;
    world.publish();
    world
}
