//! One simulated run: an event loop, scripted peers, and what must be true of them.

use std::net::SocketAddr;
use std::time::Duration;

use eventwire::reactor::sim::{FaultCounts, SimConfig};
use eventwire::reactor::{Reactor, SimReactor};
use eventwire::{
    ClientConfig, Config, Context, EventLoop, ListenerId, OnPanic, Publisher, ServerConfig,
    TopicChanged,
};

use super::alarms::Alarm;
use super::app::{App, Conn, Job, LoopEnd};
use super::ending::{Doom, Ending as LoopEnding};
use super::families::Simulated;
use super::followers::Follower;
use super::handler::Actor;
use super::invariants::UNLIMITED;
use super::news::{INBOX, News, Reader, confirm};
use super::peer::{Ending, Manner, Peer};
use super::script::SERVERS;

/// Lines of the history that are printed.
const LAST_LINES: usize = 100;

/// How long nothing happens before the network counts as quiet: longer than every pause of the
/// engine's or of the network's, shorter than the first ping.
const QUIET: Duration = Duration::from_millis(2500);

/// The same where outboxes are so small that both ends of a connection may stop reading for what
/// they have queued, until one of them counts as stalled.
const QUIET_STALLED: Duration = Duration::from_secs(12);

/// How long a turn may wait: twice as long each time while nothing happens.
const SHORTEST_TURN: Duration = Duration::from_millis(1);
const LONGEST_TURN: Duration = Duration::from_secs(1);

/// More turns than any run takes.
const MOST_TURNS: usize = 300_000;

/// More turns in a row without time passing or anything happening than there may be.
const MOST_IDLE_TURNS: usize = 1000;

/// How long connections that were closed may take to end.
const CONTROL_INTERVAL: Duration = Duration::from_secs(20);

/// How many connections a loop holds, unless a test says less.
pub(super) const MAX_CONNECTIONS: usize = 1000;

/// What a run begins with.
pub(super) struct Setup {
    pub(super) seed: u64,
    pub(super) sim: SimConfig,
    pub(super) config: Config,
    pub(super) server: ServerConfig,
    pub(super) client: ClientConfig,
}

/// A connection that is still to be made.
pub(super) enum Arrival {
    /// A connection of the application's to its own listener.
    Client(Job),
    /// One to a server that is scripted.
    ClientOfPeers(Job),
    /// A scripted client, the messages that it sends, and their longest.
    Peer(Job, Manner, Ending, (usize, usize), bool),
}

/// Has the application resume paused connections; with the chance of each, in percent.
struct Resume(usize);

pub(super) struct World {
    pub(super) event_loop: EventLoop<App, SimReactor>,
    pub(super) app: App,
    pub(super) listener: ListenerId,
    address: SocketAddr,
    client: ClientConfig,
    pub(super) peers: Vec<Peer>,
    pub(super) arrivals: Vec<Arrival>,
    /// How the servers that are scripted behave, drawn from for each connection.
    pub(super) servers: Vec<(Manner, Ending, bool)>,
    /// Not everybody may be let in.
    pub(super) crowded: bool,
    pub(super) max_connections: usize,
    /// What unfinished input and queued output may take in all.
    pub(super) limits: (u64, u64),
    resumes: Publisher<Resume>,
    pub(super) resumes_published: u64,
    /// Each with its source.
    pub(super) publishers: Vec<(usize, Publisher<News>)>,
    pub(super) followers: Vec<Follower>,
    /// What those missed that have left, and whether any has.
    pub(super) missed_before: u64,
    pub(super) has_left: bool,
    /// Things that are still to be done from outside of handlers.
    pub(super) stirs: usize,
    pub(super) doom: Option<Doom>,
    pub(super) ending: LoopEnding,
    /// Connections, those that have opened, and calls of `on_close` before the present turn.
    pub(super) connections_before: u64,
    pub(super) open_before: u64,
    pub(super) ended_before: u64,
    timeout: Duration,
    last_activity: Duration,
    callbacks: u64,
    pub(super) turns: usize,
    idle_turns: usize,
    tracing: bool,
}

/// What a run leaves to be compared and counted.
pub(super) struct Report {
    pub(super) trace_hash: u64,
    pub(super) faults: FaultCounts,
    pub(super) turns: usize,
}

impl World {
    pub(super) fn new(setup: Setup, tracing: bool) -> Self {
        let mut reactor = SimReactor::new(setup.seed, setup.sim);
        if tracing {
            reactor.keep_trace_lines();
        }
        // An assertion that fails in a handler is counted as a panic, which fails the seed.
        let config = setup.config.on_panic(OnPanic::CloseConnection).inbox(INBOX);
        let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
        let listener = event_loop.listen("127.0.0.1:0", setup.server, Actor).expect("a port");
        event_loop.on(|cx: &mut Context<'_>, resume: &Resume, app: &mut App| {
            app.enter(cx);
            app.handled += 1;
            app.resumes += 1;
            app.resume_paused(resume.0, cx);
        });
        event_loop.on(|_: &mut Context<'_>, change: &TopicChanged, app: &mut App| {
            app.handled += 1;
            app.changed(*change);
        });
        event_loop.on(|cx: &mut Context<'_>, alarm: &Alarm, app: &mut App| app.rang(*alarm, cx));
        event_loop.on_handler(Reader);
        event_loop.on(confirm);
        let resumes = event_loop.publisher();
        let address = event_loop.local_addr(listener).expect("a listener");
        let mut app = App::new(setup.seed);
        app.news.add_source();
        Self {
            event_loop,
            app,
            listener,
            address,
            client: setup.client,
            peers: Vec::new(),
            arrivals: Vec::new(),
            servers: Vec::new(),
            crowded: false,
            max_connections: MAX_CONNECTIONS,
            limits: UNLIMITED,
            resumes,
            resumes_published: 0,
            publishers: Vec::new(),
            followers: Vec::new(),
            missed_before: 0,
            has_left: false,
            stirs: 0,
            doom: None,
            ending: LoopEnding::default(),
            connections_before: 0,
            open_before: 0,
            ended_before: 0,
            timeout: SHORTEST_TURN,
            last_activity: Duration::ZERO,
            callbacks: 0,
            turns: 0,
            idle_turns: 0,
            tracing,
        }
    }

    /// The loop was asked to end, or everything is done and nothing waits.
    fn is_over(&mut self) -> bool {
        if self.app.stopping {
            return self.event_loop.is_stopping();
        }
        let is_done = self.is_quiet() && self.arrivals.is_empty();
        if let Some(end) = self.app.ends_by.take_if(|_| is_done) {
            // No handler is called any more that could say so.
            self.end_from_outside(end);
            return false;
        }
        is_done && !self.resume_paused() && self.end_timers() && self.doom.is_none()
    }

    fn arrive(&mut self, servers: SocketAddr) {
        let own = self.address;
        match self.arrivals.pop() {
            None => {}
            Some(Arrival::Client(job)) => self.connect(job, own),
            Some(Arrival::ClientOfPeers(job)) => self.connect(job, servers),
            Some(Arrival::Peer(job, manner, ending, messages, pauses)) => {
                let id = self.event_loop.reactor_mut().peer_connect(own);
                let link = self.app.add_link(job);
                let mut peer = Peer::client(id, manner, ending, messages, &mut self.app, link);
                peer.pauses = pauses;
                self.peers.push(peer);
            }
        }
    }

    fn connect(&mut self, job: Job, address: SocketAddr) {
        if self.app.is_shutting_down {
            return;
        }
        let link = self.app.add_link(job);
        let config = self.client.clone().address(address);
        let Ok(conn) = self.event_loop.connect(&format!("ws://sim/{link}"), config, Actor) else {
            assert!(self.crowded, "a connection was refused");
            return;
        };
        let known = Conn::client(conn, link, self.event_loop.reactor_mut().instant());
        self.app.connecting += 1;
        self.app.begin_life(conn);
        let former = self.app.conns.insert(conn.to_bits(), known);
        assert!(former.is_none(), "{conn:?} is the second of that id");
        self.app.links[link].client = Some(conn);
    }

    /// One turn of the loop, and what the peers do meanwhile.
    pub(super) fn turn(&mut self) {
        let eve = self.eve();
        self.connections_before = self.event_loop.connections() as u64;
        self.open_before = self.app.open_count();
        self.ended_before = self.app.counts.ended();
        self.turns += 1;
        self.app.turn = self.turns;
        self.event_loop.turn(Some(self.timeout), &mut self.app).expect("a poll");
        self.check_turn(&eve);
        let reactor = self.event_loop.reactor_mut();
        let mut active = self.callbacks != self.app.callbacks;
        for peer in &mut self.peers {
            active |= peer.step(reactor, &mut self.app);
        }
        self.callbacks = self.app.callbacks;
        let now = reactor.elapsed();
        active |= !self.arrivals.is_empty();
        if active || reactor.pending_in_flight() > 0 {
            self.last_activity = now;
        }
        let longer = (self.timeout * 2).min(LONGEST_TURN);
        self.timeout = if active { SHORTEST_TURN } else { longer };
        let passed = now - eve.elapsed > Duration::from_micros(2);
        self.idle_turns = if active || passed { 0 } else { self.idle_turns + 1 };
        assert!(self.idle_turns < MOST_IDLE_TURNS, "the loop spins");
        assert!(self.turns < MOST_TURNS, "no end");
    }

    /// Nothing is under way, and nothing has been for a while.
    fn is_quiet(&mut self) -> bool {
        let since = self.last_activity;
        let quiet = if self.app.overflows { QUIET_STALLED } else { QUIET };
        let reactor = self.event_loop.reactor_mut();
        if self.stirs > 0 || self.app.alarms.is_soon(reactor.instant()) {
            return false;
        }
        reactor.is_quiescent() && reactor.elapsed().saturating_sub(since) > quiet
    }

    /// Resumes whatever is paused; whether anything was.
    fn resume_paused(&mut self) -> bool {
        let mut resumed = self.app.conns.values().any(|conn| conn.paused);
        if resumed {
            self.resume(100);
        }
        for peer in self.peers.iter_mut().filter(|peer| peer.is_paused()) {
            peer.resume(self.event_loop.reactor_mut());
            resumed = true;
        }
        if resumed {
            self.last_activity = self.event_loop.reactor_mut().elapsed();
        }
        resumed
    }

    fn resume(&mut self, chance: usize) {
        let published = self.resumes.publish(Resume(chance)).is_ok();
        assert!(published || self.app.stopping);
        self.resumes_published += u64::from(published);
    }

    /// Ends what is left, in one of the ways in which an application does.
    fn end(&mut self) {
        // A full loop may never accept a client that has it close connections.
        if self.app.random.percent(25) || self.max_connections < MAX_CONNECTIONS {
            self.end_from_outside(LoopEnd::Stop);
            return self.finish();
        }
        if self.app.random.percent(30) {
            self.end_from_outside(LoopEnd::Shutdown(Duration::from_secs(20)));
            while !self.event_loop.is_stopping() {
                self.turn();
            }
            return self.finish();
        }
        // From here on scripted clients have it close connections, which must work.
        self.app.panicking = 0;
        self.event_loop.reactor_mut().set_config(SimConfig::calm());
        self.timeout = SHORTEST_TURN;
        let since = self.event_loop.reactor_mut().elapsed();
        let mut controllers = 0;
        while self.event_loop.connections() > 0 {
            let elapsed = self.event_loop.reactor_mut().elapsed() - since;
            // Connections accepted later are not closed by the first one.
            if elapsed >= controllers * CONTROL_INTERVAL {
                let id = self.event_loop.reactor_mut().peer_connect(self.address);
                self.peers.push(Peer::controller(id, &mut self.app));
                controllers += 1;
            }
            self.turn();
            let left = self.event_loop.connections();
            assert!(elapsed < 10 * CONTROL_INTERVAL, "{left} connections do not end");
        }
        assert!(self.event_loop.close_listener(self.listener));
    }
}

impl Simulated for World {
    fn run(mut self, invariant: fn(&mut Self)) -> Report {
        let reactor = self.event_loop.reactor_mut();
        let servers = reactor.peer_listen(SERVERS).expect("nobody else listens there");
        while !self.is_over() {
            self.meet_doom(self.turns);
            if self.event_loop.is_stopping() {
                break;
            }
            self.stir();
            if self.app.random.percent(20) {
                (0..=self.arrivals.len() / 20).for_each(|_| self.arrive(servers));
            }
            if self.app.pausing > 0 && self.app.random.percent(5) {
                self.resume(30);
            }
            self.turn();
            while let Some(id) = self.event_loop.reactor_mut().peer_accept(servers) {
                let (manner, ending, mute) = self.app.random.pick(&self.servers);
                self.peers.push(Peer::server(id, manner, ending, mute));
            }
        }
        if self.event_loop.is_stopping() {
            self.finish();
            invariant(&mut self);
        } else {
            self.check_quiet();
            invariant(&mut self);
            self.end();
        }
        self.app.check_ended();
        let turns = self.turns;
        let reactor = self.event_loop.reactor_mut();
        assert_eq!(reactor.open_descriptors(), 0, "descriptors are left open");
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

/// Prints the end of a history.
pub(super) fn print_trace(reactor: &SimReactor) {
    let lines = reactor.trace_lines();
    for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
        println!("{line}");
    }
}
