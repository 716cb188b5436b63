//! Clients of Socket.IO that speak the protocols themselves: by polling and over WebSockets, with
//! upgrades that they finish or abandon. They lose their connections and come back.

mod app;
mod client;
mod packets;
mod session;
mod truth;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::{Fault, SimConfig};
use eventwire::socketio::{Recovery, SocketIo, SocketIoConfig};
use eventwire::{Config, EventLoop, History, OnPanic, Publisher, Routes, ServerConfig};

use self::app::{AckDue, App, Handler, Rules, Say, acknowledge_next, say};
use self::client::{Client, Place};
use self::truth::Outcomes;
use super::{Family, OF_CONNECTS, Simulated, UNLIMITED, config, network, runs_all_seeds};
use crate::shared::Random;
use crate::simulation::world::{Report, print_trace};

/// For how many turns clients come and go.
const BUSY_TURNS: usize = 400;

const STEP: Duration = Duration::from_millis(2);

/// How long each turn takes besides.
const BUSY: Duration = Duration::from_micros(300);

const PING_INTERVAL: Duration = Duration::from_millis(120);
const PING_TIMEOUT: Duration = Duration::from_millis(150);
const UPGRADE_TIMEOUT: Duration = Duration::from_millis(60);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(200);
/// In which the server forgets those who vanished while it closed their sessions.
const END: Duration = Duration::from_secs(31);
const WINDOW: Duration = Duration::from_millis(250);

/// In which everything has come, and those who are silent are gone.
const QUIET: Duration = Duration::from_millis(600);

/// More turns than any run takes.
const TURNS_MAX: usize = 100_000;

thread_local! {
    /// What all seeds came to.
    static OUTCOMES: RefCell<Outcomes> = const { RefCell::new(Outcomes::NONE) };
}

/// Invariant: the events of a client are handled in order and once. Each socket gets what is sent
/// to its rooms once and in one order, over any transports. A socket that has recovered has missed
/// nothing. Each socket is disconnected once, and what is over leaves nothing.
#[test]
fn sockets_get_what_is_sent_to_them_over_any_transports() {
    let absent = OF_CONNECTS.to_vec();
    Family { name: "socketio", absent, world, invariant: everything_came }.run();
    let outcomes = OUTCOMES.take();
    println!("socketio: {outcomes:?}");
    if runs_all_seeds() {
        assert!(outcomes.missing().is_empty(), "{:?} in {outcomes:?}", outcomes.missing());
    }
}

struct World {
    event_loop: EventLoop<App, SimReactor>,
    app: App,
    io: SocketIo,
    address: SocketAddr,
    random: Random,
    say: Publisher<Say>,
    clients: Vec<Client>,
    turns: usize,
    tracing: bool,
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let is_lossless = random.percent(60);
    let window = random.pick(&[900, 4096, 65_536]);
    let mut sim = network(&mut random, window, is_lossless).clock_jump(Duration::from_secs(1));
    if !is_lossless {
        sim = sim.chance(Fault::Stopped, 5_000);
    }
    let mut reactor = SimReactor::new(seed, sim);
    if tracing {
        reactor.keep_trace_lines();
    }
    let recovers = random.percent(75);
    let has_memory = random.percent(60);
    let has_room = random.percent(60);
    let rules = Rules { window: recovers.then_some(WINDOW), has_memory, is_lossless, has_room };
    let soft = random.pick(&[500, 4_000, 30_000]);
    let config = match has_room {
        true => config(&mut random).outbox(soft, UNLIMITED),
        false => config(&mut random).outbox(soft, soft + 8_000),
    };
    let config = config.on_panic(OnPanic::Propagate);
    let io = SocketIo::new(server(rules, &mut random));
    serve(reactor, (config, io), (rules, seed), (random, tracing))
}

fn server(rules: Rules, random: &mut Random) -> SocketIoConfig {
    let config = SocketIoConfig::default()
        .ping_interval(PING_INTERVAL)
        .ping_timeout(PING_TIMEOUT)
        .upgrade_timeout(UPGRADE_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .namespaces(["/", "/b"])
        .admit_namespaces(|name| name.starts_with("/x-"))
        .max_queued(if rules.has_room { UNLIMITED } else { 3_000 });
    let Some(window) = rules.window else {
        return config;
    };
    let history = match rules.has_memory {
        true => History::of(1_000_000).bytes(1 << 30).age(Duration::from_secs(100_000)),
        false => History::of(random.pick(&[1, 5, 30])).bytes(random.pick(&[2_000, 1 << 20])),
    };
    config.recovery(Recovery::within(window).history(history))
}

fn serve(
    reactor: SimReactor,
    (config, io): (Config, SocketIo),
    (rules, seed): (Rules, u64),
    (mut random, tracing): (Random, bool),
) -> World {
    let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
    let handler = Handler { io: io.clone() };
    let (by_say, by_ack) = (io.clone(), io.clone());
    let routes = Routes::new()
        .socket_io("/socket.io/", io.clone(), handler)
        .on(move |cx, _: &Say, app: &mut App| say(&by_say, cx, app))
        .on(move |cx, _: &AckDue, app: &mut App| acknowledge_next(&by_ack, cx, app));
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
    let address = listener.ok().and_then(|it| event_loop.local_addr(it)).expect("an address");
    let say = event_loop.publisher();
    let clients = (0..random.between(1, 8)).map(Client::new).collect();
    let app = App::new(rules, seed);
    World { event_loop, app, io, address, random, say, clients, turns: 0, tracing }
}

impl World {
    fn turn(&mut self, mut act: impl FnMut(&mut Client, &mut Place<'_>)) {
        self.event_loop.turn(Some(STEP), &mut self.app).expect("a poll");
        self.turns += 1;
        assert!(self.turns < TURNS_MAX, "no end");
        for client in &mut self.clients {
            let (app, random) = (&mut self.app, &mut self.random);
            let (reactor, address) = (self.event_loop.reactor_mut(), self.address);
            act(client, &mut Place { app, random, reactor, address });
        }
        self.event_loop.reactor_mut().stand_still(BUSY);
    }

    /// Lets clients rest until some time has passed.
    fn rest(&mut self, time: Duration) {
        let end = self.event_loop.reactor_mut().elapsed() + time;
        while self.event_loop.reactor_mut().elapsed() < end {
            self.turn(Client::rest);
        }
    }

    /// Lets time pass without clients.
    fn wait(&mut self, time: Duration) {
        let end = self.event_loop.reactor_mut().elapsed() + time;
        while self.event_loop.reactor_mut().elapsed() < end {
            self.event_loop.turn(Some(time), &mut self.app).expect("a poll");
            self.turns += 1;
        }
    }
}

fn everything_came(world: &mut World) {
    let sockets: usize = world.clients.iter().map(|it| it.conclude(&mut world.app)).sum();
    assert_eq!(world.io.stats().sockets, sockets, "those who are silent are gone");
}

/// What ended leaves nothing.
fn nothing_is_left(world: &mut World) {
    let stats = world.io.stats();
    assert_eq!((stats.sessions, stats.sockets), (0, 0), "{stats:?}");
    assert_eq!(stats.violations, 0);
    assert_eq!(stats.connected, world.app.outcomes.total("disconnected"));
    let cx = world.event_loop.context();
    let rooms: Vec<_> = world.app.topics.iter().filter_map(|topic| cx.topic_name(*topic)).collect();
    assert!(rooms.is_empty(), "{rooms:?}");
    assert_eq!(world.event_loop.connections(), 0);
}

impl Simulated for World {
    fn run(mut self, invariant: fn(&mut Self)) -> Report {
        while self.turns < BUSY_TURNS {
            if self.random.percent(30) {
                assert!(self.say.publish(Say).is_ok());
            }
            self.turn(Client::step);
        }
        // Nothing more is sent or fails, and all is read.
        self.event_loop.reactor_mut().set_config(SimConfig::calm());
        self.app.is_quiet = true;
        self.rest(QUIET);
        invariant(&mut self);
        self.turn(Client::depart);
        self.rest(QUIET + WINDOW);
        self.wait(END);
        nothing_is_left(&mut self);
        OUTCOMES.with_borrow_mut(|sum| sum.add(&self.app.outcomes));
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
