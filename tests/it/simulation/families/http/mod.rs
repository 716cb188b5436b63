//! Clients that pipeline requests with bodies, in pieces, read slowly and leave at any moment, and
//! handlers that answer at once, later, from a responder, twice, never, with streams, with events
//! and with WebSockets. In some runs a rate denies requests.

mod client;
mod events;
mod site;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use eventwire::proto::Limits;
use eventwire::reactor::sim::SimConfig;
use eventwire::reactor::{Reactor, SimReactor};
use eventwire::{CloseCode, EventLoop, OnPanic, Publisher, Rate, RateLimits, Routes, ServerConfig};

use self::client::{Client, Kind, Request, read_chunks};
use self::events::{Events, TOPICS};
use self::site::{AllClosed, App, End, Sending, Site, Socket};
use super::{Family, OF_CONNECTS, Simulated, UNLIMITED, config, network};
use crate::shared::{Random, SimPeer};
use crate::simulation::world::{Report, print_trace};

/// How long a turn may wait.
const TURN: Duration = Duration::from_millis(2);

/// More turns than any run takes.
const MOST_TURNS: usize = 300_000;

/// The longest body, and how long one may take.
const BODY: usize = 3_000;
const BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// Invariant: each request is seen at most once, in order, with its body whole. Its answer is its
/// own, in order, and there if nobody has left and nothing was lost.
#[test]
fn requests_get_their_own_answers_in_order() {
    let invariant = everything_was_answered;
    Family { name: "http", absent: OF_CONNECTS.to_vec(), world, invariant }.run();
}

struct HttpWorld {
    event_loop: EventLoop<App, SimReactor>,
    app: App,
    all_closed: Publisher<AllClosed>,
    address: SocketAddr,
    random: Random,
    to_come: usize,
    turns: usize,
    tracing: bool,
}

fn world(seed: u64, tracing: bool) -> HttpWorld {
    let mut random = Random::new(seed);
    let is_lossless = random.percent(50);
    let window = random.pick(&[300, 4096, 65_536]);
    let sim = network(&mut random, window, is_lossless);
    let config = config(&mut random).outbox(random.pick(&[500, 5_000, 64 * 1024]), UNLIMITED);
    let is_limited = random.percent(25);
    let config = match is_limited {
        true => config.address_limits(limits(&mut random)),
        false => config,
    };
    let mut reactor = SimReactor::new(seed, sim);
    if tracing {
        reactor.keep_trace_lines();
    }
    let config = config.on_panic(OnPanic::Propagate);
    let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
    let topics = TOPICS.map(|name| event_loop.topic(name).expect("room for a topic"));
    let (address, all_closed) = serve(&mut event_loop);
    let app = App {
        random: Random::new(seed ^ 0x5EED),
        clients: Vec::new(),
        topics,
        is_lossless,
        is_limited,
        begun: HashMap::new(),
        open: HashMap::new(),
        closed: Vec::new(),
        sockets: 0,
    };
    let to_come = random.between(1, 8);
    HttpWorld { event_loop, app, all_closed, address, random, to_come, turns: 0, tracing }
}

fn limits(random: &mut Random) -> RateLimits {
    let limits = RateLimits::new();
    match random.percent(50) {
        true => limits.messages(Rate::per_second(random.pick(&[20, 200, 2_000])).burst(5)),
        false => limits.bytes(Rate::per_second(random.pick(&[5_000, 50_000])).burst(4_000)),
    }
}

fn serve(event_loop: &mut EventLoop<App, SimReactor>) -> (SocketAddr, Publisher<AllClosed>) {
    let limits = Limits::default().body_timeout(BODY_TIMEOUT);
    let config = ServerConfig::default().limits(limits);
    let routes = Routes::new().get_handler("/http", Site).websocket("/ws", config.clone(), Socket);
    let listener = event_loop.listen("127.0.0.1:0", config, routes).expect("a port");
    event_loop.on(site::answer);
    event_loop.on(site::end_events);
    event_loop.on(site::tick);
    event_loop.on(site::check_tags);
    (event_loop.local_addr(listener).expect("a listener"), event_loop.publisher())
}

impl HttpWorld {
    fn arrive(&mut self) {
        self.to_come -= 1;
        let random = &mut self.random;
        let (first, last) = (random.below(6), random.pick(&Kind::LAST));
        let kinds: Vec<_> = (0..first).map(|_| random.pick(&Kind::FIRST)).chain([last]).collect();
        let requests = kinds.into_iter().map(|kind| {
            let body = if kind.is_upgrade() { 0 } else { random.len(BODY) };
            Request { kind, body, is_seen: false }
        });
        let requests = requests.collect();
        let peer = SimPeer::connect(self.event_loop.reactor_mut(), self.address);
        let mut client = Client::new(peer, requests, random.percent(30));
        client.queue(self.app.clients.len(), random);
        self.app.clients.push(client);
    }

    /// Has every client send, read, stop reading and leave.
    fn act(&mut self) {
        let is_lossless = self.app.is_lossless;
        for number in 0..self.app.clients.len() {
            let (client, random) = (&mut self.app.clients[number], &mut self.random);
            if client.has_left {
                continue;
            }
            let reactor = self.event_loop.reactor_mut();
            client.peer.send_some(reactor, random);
            if client.peer.is_paused() {
                if random.percent(20) {
                    client.peer.resume(reactor);
                }
            } else if random.percent(5) {
                client.peer.stop_reading(reactor);
            }
            // What a client that does not read has received comes later.
            let has_received = client.peer.receive(reactor);
            let is_done = client.peer.is_closed(reactor) && !client.peer.is_paused();
            if is_done || (has_received && has_all(client, number, is_lossless)) {
                client.has_left = true;
                client.peer.finish(reactor);
            } else if client.is_hasty && random.percent(2) {
                client.leave(reactor, random);
            }
        }
    }

    fn turn(&mut self) {
        self.event_loop.turn(Some(TURN), &mut self.app).expect("a poll");
        self.act();
        let stats = self.event_loop.stats();
        assert!((self.app.open.len() + self.app.sockets) as u64 <= stats.connections);
        assert!(stats.requests_waiting <= stats.connections);
        self.turns += 1;
        assert!(self.turns < MOST_TURNS, "no end: {:?}", self.app.open);
    }
}

/// Whether a client has all of its answers, and is not waiting for the end of the last one.
fn has_all(client: &Client, number: usize, is_lossless: bool) -> bool {
    let progress = client.progress(number, is_lossless);
    progress.statuses.len() == client.requests.len() && !progress.ends
}

fn everything_was_answered(world: &mut HttpWorld) {
    let app = &world.app;
    assert!(app.open.is_empty(), "streams that opened and did not close");
    assert!(app.begun.is_empty(), "streams that were begun and did not open");
    assert_eq!(app.sockets, 0, "WebSockets that opened and did not close");
    for (number, client) in app.clients.iter().enumerate() {
        let progress = client.progress(number, app.is_lossless);
        for (request, &status) in client.requests.iter().zip(&progress.statuses) {
            let is_for_handler = status != 429 && request.kind != Kind::Unfinished;
            assert_eq!(request.is_seen, is_for_handler, "{request:?} {status}");
        }
        let is_certain = app.is_lossless && !client.is_hasty;
        let is_denied = progress.ends && progress.statuses.last() == Some(&429);
        if is_certain && !is_denied {
            let kinds: Vec<_> = client.requests.iter().map(|request| request.kind).collect();
            assert_eq!(progress.statuses.len(), kinds.len(), "client {number}: {kinds:?}");
        }
        if let Some(stream) = progress.stream {
            let sending = app.closed.iter().find(|sending| sending.client == number);
            check_stream(sending.expect("it has closed"), stream, is_certain);
        }
    }
}

/// Checks what came of a stream. If it is certain, nothing was lost.
fn check_stream(sending: &Sending, came: &[u8], is_certain: bool) {
    let Sending { client, number, kind, sent, end, .. } = *sending;
    if kind == Kind::Events {
        return check_events(sending, came, is_certain);
    }
    let (count, is_whole) = read_chunks(came, client, number);
    assert!(count <= sent && (!is_whole || count == sent));
    assert!(!is_whole || kind == Kind::Stream, "{kind:?} has an end");
    if is_certain {
        let due = match kind {
            Kind::Stream => End::ByApplication(CloseCode::NORMAL),
            Kind::Cut => End::ByApplication(CloseCode::GOING_AWAY),
            _ => End::Silent,
        };
        assert_eq!(end, Some(due), "{kind:?}");
        assert!(count == sent || kind == Kind::Silent, "{kind:?} sent {sent}, {count} came");
        assert_eq!(is_whole, kind == Kind::Stream, "{kind:?}");
    }
}

fn check_events(sending: &Sending, came: &[u8], is_certain: bool) {
    let events = Events::read(came, sending.is_named());
    assert!(events.direct <= sending.direct);
    assert!(sending.gaps.starts_with(&events.gaps), "{:?} {:?}", sending.gaps, events.gaps);
    events.check(sending.starts, true);
    if is_certain {
        assert!(matches!(sending.end, Some(End::ByApplication(_) | End::Overflow)), "{sending:?}");
        if sending.end == Some(End::ByApplication(CloseCode::NORMAL)) {
            assert_eq!((events.direct, &events.gaps), (sending.direct, &sending.gaps));
        }
    }
}

impl Simulated for HttpWorld {
    fn run(mut self, invariant: fn(&mut Self)) -> Report {
        let is_at_work = |world: &Self| {
            let clients = &world.app.clients;
            world.to_come > 0 || clients.iter().any(|client| !client.has_left)
        };
        while is_at_work(&self) || self.event_loop.connections() > 0 {
            if self.to_come > 0 && self.random.percent(20) {
                self.arrive();
            }
            self.turn();
        }
        invariant(&mut self);
        self.all_closed.publish(AllClosed).expect("room for an event");
        self.turn();
        let stats = self.event_loop.stats();
        assert_eq!((stats.connections, stats.requests_waiting), (0, 0));
        self.event_loop.handle().stop();
        self.event_loop.run(&mut self.app).expect("a poll");
        let stats = self.event_loop.stats();
        assert_eq!((stats.inbound_bytes, stats.outbound_bytes), (0, 0));
        let turns = self.turns;
        let reactor = self.event_loop.reactor_mut();
        reactor.set_config(SimConfig::calm());
        let mut ready = Vec::new();
        reactor.poll(Some(Duration::from_secs(1)), &mut ready).expect("a poll");
        assert_eq!(reactor.open_descriptors(), 0, "descriptors are left open");
        Report { trace_hash: reactor.trace_hash(), faults: reactor.fault_counts(), turns }
    }
}

impl Drop for HttpWorld {
    fn drop(&mut self) {
        if self.tracing {
            print_trace(self.event_loop.reactor_mut());
        }
    }
}
