//! Events from handlers and from outside, timers, and subscribers of every policy, while
//! connections come and go and the clock jumps.

use std::time::Duration;

use super::app::Job;
use super::peer::{Ending, Manner};
use super::topics::crowd;
use super::world::{Arrival, World};
use super::{Family, Fault, config, network};
use crate::shared::Random;

const UNLIMITED: usize = 16 * 1024 * 1024;

#[test]
fn events_and_timers_arrive_once_in_order_and_in_time() {
    Family { name: "events", number: 7, absent: Vec::new(), world }.run();
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
