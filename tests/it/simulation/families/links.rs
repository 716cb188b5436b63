//! Clients that reconnect, to a server that goes away and comes back, over a network that fails.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::{Fault, SimConfig};
use eventwire::{
    Backoff, ClientConfig, CloseCode, Config, ConnectError, Connection, ConnectionId, Disconnect,
    EndpointId, EventLoop, Idle, LinkId, ListenerId, ServerConfig, WebSocketHandler,
};

use super::{Family, Simulated};
use crate::shared::Random;
use crate::simulation::world::{Report, print_trace};

/// The faults that occur here.
const FAULTS: [Fault; 8] = [
    Fault::ShortSend,
    Fault::Interrupted,
    Fault::Spurious,
    Fault::Pieces,
    Fault::Reset,
    Fault::Refused,
    Fault::ConnectSlow,
    Fault::WouldBlock,
];

/// How often something happens in a run.
const STEPS: usize = 120;

/// How long the loop is left alone between two steps, at most.
const STEP_MAX_MILLIS: usize = 300;

/// By then every link has its connection, if nothing goes wrong any more: the longest delay, and
/// the time of an attempt that was begun before.
const SETTLING: Duration = Duration::from_secs(40);

/// Invariant: a link tries again exactly when it says so, and never when it was stopped.
#[test]
fn links_try_again_as_they_say_and_none_is_lost() {
    let absent = Fault::ALL.into_iter().filter(|fault| !FAULTS.contains(fault)).collect();
    Family { name: "links", absent, world, invariant: every_link_is_connected }.run();
}

/// What is known of a link.
#[derive(Debug, Default)]
struct Known {
    /// Its connection, which is open.
    open: Option<ConnectionId>,
    /// When it tries again.
    retry_at: Option<Instant>,
    /// It was stopped, or closed by the application.
    is_over: bool,
}

/// The connections of links, as their handler saw them.
#[derive(Debug, Default)]
struct App {
    links: BTreeMap<LinkId, Known>,
    /// Links of connections that are open.
    by_connection: BTreeMap<ConnectionId, LinkId>,
    /// Connections that were begun and have opened or failed.
    outcomes: u64,
    opened: u64,
    /// Connections that the server has.
    served: Vec<ConnectionId>,
}

impl App {
    /// The link of a connection that has opened or failed.
    fn outcome(&mut self, conn: &Connection<'_>, link: LinkId) -> &mut Known {
        self.outcomes += 1;
        let known = self.links.entry(link).or_default();
        assert_eq!(known.open, None, "a link has one connection at a time");
        if let Some(at) = known.retry_at.take() {
            assert!(conn.now() >= at, "it tried again earlier than it said");
            assert!(!known.is_over, "it was stopped");
        }
        known
    }
}

struct Client;

impl WebSocketHandler<App> for Client {
    fn on_open(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        assert_eq!(conn.retry_in(), None);
        app.opened += 1;
        let Some(link) = conn.link() else {
            app.outcomes += 1;
            return;
        };
        assert_eq!(conn.link_connection(link), Some(conn.id()));
        app.outcome(conn, link).open = Some(conn.id());
        app.by_connection.insert(conn.id(), link);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, why: &Disconnect, app: &mut App) {
        let Some(link) = app.by_connection.remove(&conn.id()) else {
            return;
        };
        let known = app.links.get_mut(&link).expect("it has opened");
        assert_eq!(known.open.take(), Some(conn.id()));
        let is_wanted = matches!(why, Disconnect::ClosedByApplication { .. });
        assert_eq!(conn.retry_in().is_none(), is_wanted || known.is_over, "{why}");
        known.is_over |= is_wanted;
        known.retry_at = conn.retry_in().map(|delay| conn.now() + delay);
    }

    fn on_connect_error(&mut self, conn: &mut Connection<'_>, _: &ConnectError, app: &mut App) {
        let Some(link) = conn.link() else {
            // It was stopped while it tried.
            app.outcomes += 1;
            return;
        };
        let delay = conn.retry_in().expect("nobody closes a connection that is not open");
        let at = conn.now() + delay;
        app.outcome(conn, link).retry_at = Some(at);
    }
}

struct Server;

impl WebSocketHandler<App> for Server {
    fn on_open(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        app.served.push(conn.id());
    }
}

struct World {
    event_loop: EventLoop<App, SimReactor>,
    app: App,
    random: Random,
    server: EndpointId,
    address: SocketAddr,
    listener: Option<ListenerId>,
    begun: u64,
    turns: usize,
    tracing: bool,
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let sim = FAULTS.into_iter().fold(SimConfig::calm(), |sim, fault| sim.chance(fault, 30_000));
    let sim = sim.chance(Fault::Reset, 2_000);
    let mut reactor = SimReactor::new(seed, sim);
    if tracing {
        reactor.keep_trace_lines();
    }
    let config = Config::default().idle(Idle::Block).receive_buffer(4096);
    let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
    let server = event_loop.server_endpoint(ServerConfig::default(), Server).expect("valid");
    let listener = event_loop.context().listen(server, "127.0.0.1:0").expect("a port");
    let address = event_loop.local_addr(listener).expect("an address");
    let backoff = Backoff::default()
        .first(Duration::from_millis(random.pick(&[0, 1, 50, 500])))
        .longest(Duration::from_millis(random.pick(&[1, 500, 5_000])));
    let backoff = if random.percent(50) { backoff.reset_after(Duration::ZERO) } else { backoff };
    let config = ClientConfig::default().reconnect(backoff);
    let client = event_loop.client_endpoint(config, Client).expect("valid");
    let begun = random.between(1, 20) as u64;
    for _ in 0..begun {
        event_loop.context().connect(client, &format!("ws://{address}")).expect("it is begun");
    }
    let (app, listener) = (App::default(), Some(listener));
    World { event_loop, app, random, server, address, listener, begun, turns: 0, tracing }
}

impl World {
    fn step(&mut self) {
        match self.random.below(10) {
            0 | 1 => self.toggle_server(),
            2 => self.stop_a_link(),
            3 => self.close_a_client(),
            4 | 5 => self.close_some_served(),
            _ => {}
        }
        let time = Duration::from_millis(self.random.below(STEP_MAX_MILLIS) as u64);
        self.run_for(time);
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.event_loop.reactor_mut().elapsed() + time;
        while self.event_loop.reactor_mut().elapsed() < end {
            let left = end - self.event_loop.reactor_mut().elapsed();
            self.event_loop.turn(Some(left), &mut self.app).expect("a poll");
            self.turns += 1;
        }
    }

    fn toggle_server(&mut self) {
        let mut cx = self.event_loop.context();
        self.listener = match self.listener {
            Some(listener) => {
                assert!(cx.close_listener(listener));
                None
            }
            None => Some(cx.listen(self.server, self.address).expect("its port is free")),
        };
    }

    fn close_some_served(&mut self) {
        let count = self.random.below(self.app.served.len() + 1);
        let mut cx = self.event_loop.context();
        for conn in self.app.served.drain(..count) {
            cx.connection(conn).close(CloseCode::GOING_AWAY, "");
        }
    }

    fn stop_a_link(&mut self) {
        let links: Vec<_> = self.app.links.keys().copied().collect();
        if links.is_empty() || self.random.percent(70) {
            return;
        }
        let link = self.random.pick(&links);
        let stopped = self.event_loop.context().stop_reconnecting(link);
        let known = self.app.links.get_mut(&link).expect("it is known");
        assert_eq!(stopped, !known.is_over, "it can be stopped once");
        known.is_over = true;
    }

    fn close_a_client(&mut self) {
        let open: Vec<_> = self.app.by_connection.keys().copied().collect();
        if !open.is_empty() && self.random.percent(20) {
            let conn = self.random.pick(&open);
            self.event_loop.context().connection(conn).close(CloseCode::NORMAL, "");
        }
    }
}

fn every_link_is_connected(world: &mut World) {
    for (link, known) in &world.app.links {
        assert!(known.is_over || known.open.is_some(), "{link:?}: {known:?}");
    }
    let stats = world.event_loop.stats();
    assert_eq!(world.app.outcomes, world.begun + stats.reconnect_attempts, "attempts");
    assert_eq!(stats.links_waiting, 0);
    let kept = world.app.links.values().filter(|known| !known.is_over).count();
    assert_eq!(stats.links, kept as u64);
    assert!(stats.reconnected <= world.app.opened);
}

impl Simulated for World {
    fn run(mut self, invariant: fn(&mut Self)) -> Report {
        for _ in 0..STEPS {
            self.step();
        }
        if self.listener.is_none() {
            self.toggle_server();
        }
        self.event_loop.reactor_mut().set_config(SimConfig::calm());
        self.run_for(SETTLING);
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
