//! Clients that leave and come back, and resume from the last positions that they have seen, or
//! from wrong ones.

mod app;
mod client;
mod judge;
mod past;

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::{Fault, SimConfig};
use eventwire::{EventLoop, OnPanic, Publisher, ServerConfig, TopicConfig};

use self::app::{App, Feed, NAMES, Update, update};
use self::client::Visitor;
use self::judge::Outcomes;
use self::past::Keeping;
use super::{Family, OF_CONNECTS, Simulated, UNLIMITED, config, network, runs_all_seeds};
use crate::shared::Random;
use crate::simulation::world::{Report, print_trace};

/// For how many turns clients come and go.
const BUSY_TURNS: usize = 500;

/// How long the loop is let sleep, at first and when nothing more is broadcast.
const STEP: Duration = Duration::from_millis(2);
const QUIET_STEP: Duration = Duration::from_millis(50);

/// The longest jump of the clock: longer than every age of a history that is not long itself.
const JUMP: Duration = Duration::from_secs(1);

/// How long each turn takes besides.
const BUSY: Duration = Duration::from_micros(500);

/// More turns than any run takes.
const TURNS_MAX: usize = 100_000;

thread_local! {
    /// What all seeds came to.
    static OUTCOMES: Cell<Outcomes> = const { Cell::new(Outcomes {
        replayed: 0,
        current: 0,
        lost: 0,
        gaps: 0,
        gaps_in_history: 0,
        closed: 0,
        refused: 0,
        complete: 0,
    }) };
}

/// Invariant: a client that has recovered gets every message behind its position and then every
/// later one, in order and once, except for those that exactly one gap reports. A client has lost
/// its position only if the history does not reach it.
#[test]
fn clients_that_come_back_miss_nothing_that_is_not_reported() {
    let absent = OF_CONNECTS.to_vec();
    let invariant = everything_came_or_was_reported;
    Family { name: "resume", absent, world, invariant }.run();
    let outcomes = OUTCOMES.get();
    println!("resume: {outcomes:?}");
    if runs_all_seeds() {
        let Outcomes { replayed, current, lost, .. } = outcomes;
        let Outcomes { gaps, gaps_in_history, closed, refused, complete, .. } = outcomes;
        let counts = [replayed, current, lost, gaps, gaps_in_history, closed, refused, complete];
        assert!(counts.iter().all(|count| *count > 0), "one never happened: {outcomes:?}");
    }
}

struct World {
    event_loop: EventLoop<App, SimReactor>,
    app: App,
    address: SocketAddr,
    random: Random,
    updates: Publisher<Update>,
    visitors: Vec<Visitor>,
    /// The most broadcasts in a turn.
    busy: usize,
    turns: usize,
    tracing: bool,
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let window = random.pick(&[900, 4096, 65_536]);
    let lossless = random.percent(30);
    let mut sim = network(&mut random, window, lossless).clock_jump(JUMP);
    if !lossless {
        sim = sim.chance(Fault::Stopped, 20_000);
    }
    let mut reactor = SimReactor::new(seed, sim);
    if tracing {
        reactor.keep_trace_lines();
    }
    let keeping = [(); NAMES.len()].map(|()| {
        let is_kept = random.percent(85);
        is_kept.then(|| Keeping::random(&mut random))
    });
    let soft = random.pick(&[500, 4_000, 30_000]);
    let hard = random.pick(&[soft + 8_000, UNLIMITED]);
    let has_memory = random.percent(70);
    let mut config = config(&mut random).outbox(soft, hard).on_panic(OnPanic::Propagate);
    if !has_memory {
        config = config.max_topic_bytes(random.pick(&[10_000, 40_000]));
        config = config.topic_backlog(random.pick(&[3_000, 1 << 20]));
    }
    for (name, keeping) in NAMES.into_iter().zip(keeping) {
        if let Some(keeping) = keeping {
            config = config.topics(name, TopicConfig::default().history(keeping.history()));
        }
    }
    let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), Feed);
    let address = listener.ok().and_then(|it| event_loop.local_addr(it)).expect("an address");
    event_loop.on(update);
    let updates = event_loop.publisher();
    let mut app = App::new(keeping, (has_memory, hard == UNLIMITED));
    (0..NAMES.len()).for_each(|name| app.make(name, &mut event_loop.context()));
    let visitors = (0..random.between(1, 8)).map(|_| Visitor::default()).collect();
    let (busy, turns) = (random.pick(&[2, 6, 12]), 0);
    World { event_loop, app, address, random, updates, visitors, busy, turns, tracing }
}

impl World {
    fn update(&mut self) {
        let count = self.random.below(self.busy);
        let is_keyed = self.random.percent(20);
        let keys = if is_keyed { 4 } else { 1 };
        let random = &mut self.random;
        let update = |_| (random.below(keys), random.below(400));
        let updates = (0..count).map(update).collect();
        let update = Update(self.random.below(NAMES.len()), updates);
        assert!(self.updates.publish(update).is_ok());
    }

    fn turn(&mut self, timeout: Duration) {
        self.event_loop.turn(Some(timeout), &mut self.app).expect("a poll");
        self.turns += 1;
        assert!(self.turns < TURNS_MAX, "no end");
    }

    fn is_quiet(&mut self) -> bool {
        let is_quiet = self.event_loop.reactor_mut().is_quiescent();
        is_quiet && self.event_loop.context().buffered_total() == 0
    }
}

fn everything_came_or_was_reported(world: &mut World) {
    let app = &mut world.app;
    let visiting: Vec<_> = world.visitors.iter().filter_map(Visitor::number).collect();
    for (number, client) in app.clients.iter().enumerate() {
        for subscription in &client.subscriptions {
            let is_complete = client.is_open && visiting.contains(&number);
            subscription.conclude(number, &app.lives[subscription.life], is_complete);
            app.outcomes.complete += u64::from(is_complete);
        }
    }
    OUTCOMES.set(OUTCOMES.get() + app.outcomes);
}

impl Simulated for World {
    fn run(mut self, invariant: fn(&mut Self)) -> Report {
        while self.turns < BUSY_TURNS {
            if self.random.percent(80) {
                self.update();
            }
            self.turn(STEP);
            for visitor in &mut self.visitors {
                let reactor = self.event_loop.reactor_mut();
                visitor.step(self.address, &mut self.app, &mut self.random, reactor);
            }
            // A loop that does not sleep takes its time, too.
            self.event_loop.reactor_mut().stand_still(BUSY);
        }
        // Nothing more is broadcast or fails, and all is read.
        self.event_loop.reactor_mut().set_config(SimConfig::calm());
        let mut quiet = 0;
        while quiet < 10 {
            quiet = if self.is_quiet() { quiet + 1 } else { 0 };
            self.turn(QUIET_STEP);
            for visitor in &mut self.visitors {
                visitor.rest(&mut self.app, self.event_loop.reactor_mut());
            }
        }
        invariant(&mut self);
        let (turns, reactor) = (self.turns, self.event_loop.reactor_mut());
        Report { trace_hash: reactor.trace_hash(), faults: reactor.fault_counts(), turns }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.tracing {
            print_trace(self.event_loop.reactor_mut());
        }
    }
}
