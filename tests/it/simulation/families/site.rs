//! A site with pages beside a WebSocket, and its visitors: one request behind the other, many at
//! once, pages that are longer than what may wait, readers that are slow, and a loop that is
//! drained while pages are on their way.

use std::net::SocketAddr;
use std::time::Duration;

use eventwire::proto::http::{HttpRequest, HttpResponse};
use eventwire::reactor::sim::{Fault, SimConfig};
use eventwire::reactor::{Reactor, SimReactor};
use eventwire::{
    Config, Connection, EventLoop, Message, OnPanic, Routes, ServerConfig, on_message,
};

use super::{Family, LOSSES, OF_CONNECTS, Simulated, config, network};
use crate::shared::{Random, SimPeer};
use crate::simulation::jumps;
use crate::simulation::visitor::{Excuses, HOME, LONG, Leaving, MESSAGE, SHARED, Visitor, page};
use crate::simulation::world::{Report, print_trace};

/// How long a turn may wait: twice as long each time while nothing happens.
const SHORTEST_TURN: Duration = Duration::from_millis(1);
const LONGEST_TURN: Duration = Duration::from_secs(1);

/// More turns than any run takes, and more in a row without time passing or anything happening.
const MOST_TURNS: usize = 300_000;
const MOST_IDLE_TURNS: usize = 1000;

/// How long what is left on its way may take to its visitors.
const LAST_POLLS: usize = 10_000;

/// Spare room that is not worth giving back.
const SPARE: u64 = 4096;

/// What heads, refusals and control frames add to what waits for one connection.
const HEADS: u64 = 1024;

/// Invariant: a visitor receives the answers to its requests whole and in order, and nothing else;
/// an end that is not its own comes between two answers.
#[test]
fn visitors_get_what_they_ask_for_in_order() {
    let invariant = every_answer_arrived;
    Family { name: "site", absent: OF_CONNECTS.to_vec(), world, invariant }.run();
}

/// The state that handlers are lent: how often they were called.
#[derive(Default)]
struct Calls {
    asks: u64,
    messages: u64,
}

struct SiteWorld {
    event_loop: EventLoop<Calls, SimReactor>,
    calls: Calls,
    address: SocketAddr,
    random: Random,
    to_come: usize,
    visitors: Vec<Visitor>,
    /// Whether some leave without an end in order.
    rude: bool,
    lossless: bool,
    /// What the outboxes of one connection and of all may hold, and one's input.
    limits: (u64, Option<u64>, u64),
    /// After how many turns the loop is drained, and within what time.
    doom: Option<(usize, Duration)>,
    excuses: Excuses,
    /// The deadline of the shutdown has passed.
    is_late: bool,
    timeout: Duration,
    turns: usize,
    idle_turns: usize,
    tracing: bool,
}

fn world(seed: u64, tracing: bool) -> SiteWorld {
    let mut random = Random::new(seed);
    let lossless = random.percent(50);
    let window = random.pick(&[300, 4096, 65_536]);
    let mut sim = network(&mut random, window, lossless);
    // Few are reset here, and what they lose is to be seen.
    sim = sim.chance(Fault::LostOnReset, 900_000);
    if lossless {
        sim = LOSSES.into_iter().fold(sim, |sim, fault| sim.chance(fault, 0));
    }
    let buffer = random.pick(&[1024, 4096, 65_536]);
    let soft = random.pick(&[500, 5_000, 64 * 1024]);
    let cap = random.pick(&[None, None, None, Some(2 * LONG)]);
    let mut config = config(&mut random)
        .receive_buffer(buffer)
        .outbox(soft, 16 << 20)
        .on_panic(OnPanic::Propagate);
    if let Some(cap) = cap {
        config = config.max_outbound(cap);
    }
    let crowd = random.percent(30).then(|| random.between(1, 4));
    if let Some(places) = crowd {
        config = config.max_connections(2 * places).max_pending_handshakes(places);
        config = config.max_kept_alive(random.below(places));
    }
    let mut world = SiteWorld::new(seed, random, sim, config, tracing);
    world.lossless = lossless;
    world.excuses.full = cap.is_some();
    world.excuses.crowded = crowd.is_some();
    world.rude = world.random.percent(30);
    // One page goes beyond what may wait, or the echoes of what was received at once.
    let longest = LONG.max(buffer + MESSAGE) as u64;
    // Storage has spare room, and half of it may have been sent already.
    world.limits.0 = 2 * (soft as u64 + longest + HEADS) + SPARE;
    world.limits.1 = cap.map(|cap| cap as u64);
    world.limits.2 = (4 * buffer + 16 * 1024) as u64;
    if world.random.percent(30) {
        let within = [Duration::ZERO, Duration::from_millis(300), Duration::from_secs(60)];
        let most = world.random.pick(&[20, 200, 2000]);
        world.doom = Some((world.random.below(most), world.random.pick(&within)));
    }
    world
}

/// Each byte was compared with what is due when it arrived ([`Visitor::step`]).
fn every_answer_arrived(world: &mut SiteWorld) {
    if !world.lossless || world.excuses.full || world.is_late {
        return;
    }
    let reactor = world.event_loop.reactor_mut();
    for visitor in &world.visitors {
        let complaint = visitor.complaint(reactor, world.excuses);
        assert!(complaint.is_none(), "{}", complaint.unwrap_or_default());
    }
    if world.rude || world.excuses.drained || world.excuses.crowded {
        return;
    }
    let answers: u64 = world.visitors.iter().map(|visitor| visitor.answers).sum();
    let asks: u64 = world.visitors.iter().map(|visitor| visitor.asks).sum();
    let stats = world.event_loop.stats();
    assert_eq!((stats.requests, world.calls.asks), (answers, asks), "requests");
    assert_eq!(stats.not_opened, 0, "a connection that was answered counts as not opened");
}

fn ask(conn: &mut Connection<'_>, request: &HttpRequest<'_>, calls: &mut Calls) -> HttpResponse {
    assert!(!conn.is_open());
    calls.asks += 1;
    HttpResponse::text(format!("{} {}", request.method(), request.path()))
}

fn echo(conn: &mut Connection<'_>, message: Message<'_>, calls: &mut Calls) {
    calls.messages += 1;
    conn.send(message);
}

fn routes() -> Routes<Calls> {
    Routes::new()
        .page("/", HttpResponse::html(HOME))
        .page("/long", HttpResponse::html(page(LONG)))
        .page("/shared", HttpResponse::html(page(SHARED)))
        .page("/empty", HttpResponse::new(204))
        .get("/ask/*", ask)
        .websocket("/echo", ServerConfig::default().max_message(MESSAGE), on_message(echo))
}

impl SiteWorld {
    fn new(seed: u64, mut random: Random, sim: SimConfig, config: Config, tracing: bool) -> Self {
        let mut reactor = SimReactor::new(seed, sim);
        if tracing {
            reactor.keep_trace_lines();
        }
        let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
        let server = ServerConfig::default();
        let listener = event_loop.listen("127.0.0.1:0", server, routes()).expect("a port");
        let address = event_loop.local_addr(listener).expect("a listener");
        Self {
            event_loop,
            calls: Calls::default(),
            address,
            to_come: random.between(1, 8),
            random,
            visitors: Vec::new(),
            rude: false,
            lossless: false,
            limits: (u64::MAX, None, u64::MAX),
            doom: None,
            excuses: Excuses::default(),
            is_late: false,
            timeout: SHORTEST_TURN,
            turns: 0,
            idle_turns: 0,
            tracing,
        }
    }

    fn arrive(&mut self) {
        self.to_come -= 1;
        let leaving = match self.random.below(6) {
            0 | 1 => Leaving::Fin,
            2 if self.rude => self.random.pick(&[Leaving::Reset, Leaving::Vanish]),
            _ => Leaving::Stay,
        };
        let stream = SimPeer::connect(self.event_loop.reactor_mut(), self.address);
        self.visitors.push(Visitor::new(stream, leaving, &mut self.random));
    }

    /// One turn of the loop, and what the visitors do meanwhile.
    fn turn(&mut self) {
        let before = self.event_loop.reactor_mut().elapsed();
        self.event_loop.turn(Some(self.timeout), &mut self.calls).expect("a poll");
        self.check();
        let active = self.step() || self.to_come > 0;
        let passed = self.event_loop.reactor_mut().elapsed() - before > Duration::from_micros(2);
        let longer = (self.timeout * 2).min(LONGEST_TURN);
        self.timeout = if active { SHORTEST_TURN } else { longer };
        self.idle_turns = if active || passed { 0 } else { self.idle_turns + 1 };
        assert!(self.idle_turns < MOST_IDLE_TURNS, "the loop spins");
        self.turns += 1;
        assert!(self.turns < MOST_TURNS, "no end");
    }

    fn step(&mut self) -> bool {
        let reactor = self.event_loop.reactor_mut();
        self.excuses.late |= jumps(reactor.fault_counts()) > 0;
        let mut active = false;
        for visitor in &mut self.visitors {
            active |= visitor.step(reactor, &mut self.random, self.excuses);
        }
        active
    }

    /// What must hold between any two turns.
    fn check(&mut self) {
        let stats = self.event_loop.stats();
        assert_eq!(stats.connections, self.event_loop.connections() as u64);
        let reactor = self.event_loop.reactor_mut();
        let network = (reactor.bytes_received(), reactor.bytes_sent());
        assert_eq!((stats.bytes_received, stats.bytes_sent), network, "bytes in and out");
        let (most_of_one, most, most_input) = self.limits;
        let held = (stats.inbound_bytes, stats.outbound_bytes);
        assert!(held.0 <= stats.connections * most_input, "{held:?} bytes in and out are held");
        assert!(held.1 <= stats.connections * most_of_one, "{held:?} bytes in and out are held");
        let extra = stats.connections * HEADS;
        assert!(most.is_none_or(|most| held.1 <= most + extra), "{held:?} bytes are held");
        assert!(stats.requests <= self.visitors.iter().map(|one| one.answers).sum());
        assert_eq!(stats.messages_received, self.calls.messages, "messages");
    }

    /// Lets the loop end, and everything that is left arrive.
    fn finish(&mut self) {
        self.event_loop.run(&mut self.calls).expect("a poll");
        let stats = self.event_loop.stats();
        assert_eq!((stats.connections, stats.inbound_bytes, stats.outbound_bytes), (0, 0, 0));
        let reactor = self.event_loop.reactor_mut();
        reactor.set_config(SimConfig::calm());
        self.visitors.iter_mut().for_each(|visitor| visitor.resume(reactor));
        let mut ready = Vec::new();
        for _ in 0..LAST_POLLS {
            let reactor = self.event_loop.reactor_mut();
            reactor.poll(Some(SHORTEST_TURN), &mut ready).expect("a poll");
            if !self.step() && self.event_loop.reactor_mut().is_quiescent() {
                return;
            }
        }
    }

    fn is_empty(&self) -> bool {
        let is_done = self.to_come == 0 && self.visitors.iter().all(|visitor| visitor.done);
        is_done && self.event_loop.connections() == 0
    }
}

impl Simulated for SiteWorld {
    fn run(mut self, invariant: fn(&mut Self)) -> Report {
        let mut deadline = None;
        while !self.is_empty() && !self.event_loop.is_stopping() {
            if let Some((_, within)) = self.doom.take_if(|(turn, _)| *turn <= self.turns) {
                self.event_loop.handle().shutdown(within);
                self.excuses.drained = true;
                deadline = Some(self.event_loop.reactor_mut().elapsed() + within);
            }
            if self.to_come > 0 && !self.excuses.drained && self.random.percent(20) {
                self.arrive();
            }
            if self.excuses.drained {
                self.to_come = 0;
            }
            self.turn();
        }
        if deadline.is_none() {
            self.event_loop.handle().stop();
        }
        self.is_late =
            deadline.is_some_and(|deadline| self.event_loop.reactor_mut().elapsed() >= deadline);
        self.finish();
        invariant(&mut self);
        let turns = self.turns;
        let reactor = self.event_loop.reactor_mut();
        assert_eq!(reactor.open_descriptors(), 0, "descriptors are left open");
        Report { trace_hash: reactor.trace_hash(), faults: reactor.fault_counts(), turns }
    }
}

impl Drop for SiteWorld {
    fn drop(&mut self) {
        if self.tracing {
            print_trace(self.event_loop.reactor_mut());
        }
    }
}
