//! Handlers that panic at random, in every method: each panic costs its own connection, with code
//! 1011, and nobody else anything.

use std::panic::resume_unwind;

use eventwire::{ConnectionId, Context};

use super::app::{App, Phase};
use super::topics::crowd;
use super::world::World;
use super::{Family, LOSSES, config, network};
use crate::shared::Random;

/// The message of every panic.
pub(super) const INJECTED: &str = "injected";

const UNLIMITED: usize = 16 * 1024 * 1024;

#[test]
fn a_panic_costs_its_own_connection_alone() {
    Family { name: "panics", number: 8, absent: LOSSES.into(), world }.run();
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let window = random.pick(&[900, 4096, 65_536]);
    let sim = network(&mut random, window, true);
    let config = config(&mut random);
    let soft = random.pick(&[200, 4_000, UNLIMITED]);
    let mut world = crowd(seed, &mut random, sim, config, (soft, UNLIMITED), tracing);
    world.app.lossless = true;
    world.app.policies = random.percent(50);
    world.app.panicking = random.pick(&[1, 5, 30, 200]);
    if random.percent(50) {
        world.publish();
    }
    world
}

impl App {
    /// Panics now and then, at the end of a handler's method.
    pub(super) fn may_panic(&mut self, conn: Option<ConnectionId>, cx: &mut Context<'_>) {
        if self.panicking == 0 || self.random.below(1000) >= self.panicking {
            return;
        }
        if let Some(conn) = conn {
            self.expect_panic(conn, cx);
        }
        self.counts.panics += 1;
        // Past the panic hook, which would print each of them.
        resume_unwind(Box::new(INJECTED.to_owned()));
    }

    fn expect_panic(&mut self, conn: ConnectionId, cx: &mut Context<'_>) {
        self.link_of(conn).rude = true;
        let phase = self.known(conn).phase;
        if !matches!(phase, Phase::Open | Phase::Closing(_) | Phase::Overflowed) {
            return;
        }
        if phase == Phase::Open {
            self.known(conn).since = cx.now();
            self.known(conn).closes_late = cx.connection(conn).buffered_bytes() > 0;
        }
        if cx.connection(conn).is_open() {
            self.sends(conn).close(1011);
            self.leave_topics(conn);
        }
        self.known(conn).phase = Phase::Panicked;
        self.known(conn).paused = false;
    }
}
