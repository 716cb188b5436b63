//! The whole loop over the simulated reactor: peers do what the input says, and what the kernel
//! answers to each call is the input's too.
//!
//! Input: a choice of configuration, the length of the script and the script, then the decisions
//! of the kernel. The script is commands with their arguments; each is followed by a turn.

pub(super) mod app;
pub(super) mod link;
pub(super) mod peer;

use std::net::SocketAddr;
use std::time::Duration;

use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::{Choices, Fault, SimConfig};
use eventwire::{
    ClientConfig, Config, Context, EventLoop, Idle, OnPanic, PublishError, Publisher, ServerConfig,
};

use self::app::{App, Beat, Calm, Check, Client, Due, FromHandler, FromThread, Resume, Server};
use self::link::Phase;
use self::peer::Peer;
use super::input::Input;

/// Faults by which something may be lost, or not open at all.
const LOSSES: [Fault; 9] = [
    Fault::Reset,
    Fault::LostOnReset,
    Fault::Aborted,
    Fault::Refused,
    Fault::ConnectSlow,
    Fault::ConnectNever,
    Fault::ClockJump,
    Fault::Stopped,
    Fault::DescriptorsExhausted,
];

/// The most peers, and the most connections of the loop to itself.
const MOST_PEERS: usize = 6;
const MOST_LINKS: usize = 9;

/// How long nothing happens before nothing is under way: longer than every pause of the engine's
/// and the network's, shorter than the first ping.
const QUIET: Duration = Duration::from_millis(2_500);

/// How long a turn waits that nothing else is said of, and longer and longer while nothing happens.
const SHORTEST_TURN: Duration = Duration::from_millis(1);
const LONGEST_TURN: Duration = Duration::from_secs(1);

/// When silence and slowness begin to have consequences.
const PATIENCE: Duration = Duration::from_secs(5);

/// More turns without time passing or anything happening than there may be.
const MOST_IDLE_TURNS: usize = 100;

/// More turns than any input takes.
const MOST_TURNS: usize = 20_000;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    let script = input.chunk();
    let mut world = World::new(choice, input.rest());
    let mut script = Input::new(script);
    while !script.is_empty() {
        let wait = world.command(&mut script);
        world.turn(wait);
    }
    world.settle();
    world.end(choice);
}

struct World {
    event_loop: EventLoop<App, SimReactor>,
    app: App,
    address: SocketAddr,
    peers: Vec<Peer>,
    publisher: Publisher<FromThread>,
    calm: Publisher<Calm>,
    check: Publisher<Check>,
    published: u32,
    lossless: bool,
    turns: usize,
    idle_turns: usize,
}

impl World {
    fn new(choice: u8, decisions: &[u8]) -> Self {
        let lossless = choice & 1 == 0;
        let mut sim = SimConfig::default()
            .latency(Duration::from_micros(20), Duration::from_micros(20))
            .window(if choice & 2 == 0 { 65_536 } else { 700 });
        if lossless {
            sim = LOSSES.into_iter().fold(sim, |sim, fault| sim.chance(fault, 0));
        }
        let mut config = Config::default()
            .idle(Idle::Block)
            .on_panic(OnPanic::Propagate)
            .receive_buffer(1_024)
            .inbox(4)
            .max_timers(6);
        if choice & 4 != 0 {
            config = config.outbox(500, 4_000).topic_backlog(600);
        }
        let reactor = SimReactor::with_choices(Choices::from_bytes(decisions), sim);
        let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
        let server = ServerConfig::default();
        let listener = event_loop.listen("127.0.0.1:0", server, Server).expect("a port");
        let address = event_loop.local_addr(listener).expect("a listener");
        register(&mut event_loop);
        let topics = ["one", "other"].map(|name| event_loop.topic(name).expect("a topic"));
        Self {
            publisher: event_loop.publisher(),
            calm: event_loop.publisher(),
            check: event_loop.publisher(),
            event_loop,
            app: App::new(topics),
            address,
            peers: Vec::new(),
            published: 0,
            lossless,
            turns: 0,
            idle_turns: 0,
        }
    }

    /// Does what the script says next; how long the turn after it may wait.
    fn command(&mut self, script: &mut Input<'_>) -> Duration {
        let command = script.byte();
        match command & 15 {
            0 => self.arrive(),
            1 => self.connect(),
            2 => return Duration::from_millis(u64::from(script.byte()) * 4),
            3 => {
                for _ in 0..script.byte() % 8 {
                    match self.publisher.publish(FromThread(self.published)) {
                        Ok(()) => self.published += 1,
                        Err(PublishError::Full(event)) => assert_eq!(event.0, self.published),
                        Err(PublishError::Closed(_) | PublishError::NoHandler(_)) => {
                            panic!("the loop is there")
                        }
                    }
                }
            }
            _ if self.peers.is_empty() => self.arrive(),
            what => {
                let peer = usize::from(command >> 4) % self.peers.len();
                let peer = &mut self.peers[peer];
                let link = &mut self.app.links[peer.link];
                peer.act(what, script, link, self.event_loop.reactor_mut());
            }
        }
        SHORTEST_TURN
    }

    fn arrive(&mut self) {
        if self.peers.len() < MOST_PEERS {
            let link = self.app.links.len();
            self.app.links.push(link::Link::new(None));
            let reactor = self.event_loop.reactor_mut();
            self.peers.push(Peer::connect(reactor, self.address, link));
        }
    }

    fn connect(&mut self) {
        let link = self.app.links.len();
        let config = ClientConfig::default().address(self.address);
        if link < MOST_LINKS {
            // Without a descriptor there is none.
            if let Ok(conn) = self.event_loop.connect(&format!("ws://sim/{link}"), config, Client) {
                self.app.add_client(conn);
            }
        }
    }

    fn turn(&mut self, wait: Duration) -> bool {
        let calls = self.app.calls;
        let before = self.event_loop.reactor_mut().elapsed();
        self.event_loop.turn(Some(wait), &mut self.app).expect("a poll");
        let reactor = self.event_loop.reactor_mut();
        let mut active = self.app.calls != calls;
        for peer in &mut self.peers {
            active |= peer.receive(&mut self.app.links[peer.link], reactor);
        }
        let passed = reactor.elapsed() - before > Duration::from_micros(2);
        self.idle_turns = if active || passed { 0 } else { self.idle_turns + 1 };
        assert!(self.idle_turns < MOST_IDLE_TURNS, "the loop spins");
        self.turns += 1;
        assert!(self.turns < MOST_TURNS, "no end");
        active
    }

    /// Lets everything arrive that is under way, and looks whether it is there.
    fn settle(&mut self) {
        self.event_loop.reactor_mut().set_config(SimConfig::calm());
        assert!(self.calm.publish(Calm).is_ok());
        for peer in &mut self.peers {
            peer.stream.resume(self.event_loop.reactor_mut());
        }
        self.be_quiet();
        let elapsed = self.event_loop.reactor_mut().elapsed();
        if self.lossless && elapsed < PATIENCE {
            assert!(self.check.publish(Check).is_ok());
            self.turn(Duration::ZERO);
            assert!(self.app.checked, "an event is not handled");
            assert_eq!((self.app.handled, self.app.handled_own), self.all_published());
        }
    }

    fn be_quiet(&mut self) {
        let mut since = self.event_loop.reactor_mut().elapsed();
        let mut wait = SHORTEST_TURN;
        loop {
            let active = self.turn(wait);
            let reactor = self.event_loop.reactor_mut();
            let (now, in_flight) = (reactor.elapsed(), reactor.pending_in_flight() > 0);
            wait = if active { SHORTEST_TURN } else { (wait * 16).min(LONGEST_TURN) };
            if active || in_flight {
                since = now;
            } else if now - since > QUIET {
                return;
            }
        }
    }

    const fn all_published(&self) -> (u32, u32) {
        (self.published, self.app.published)
    }

    /// Ends the loop in one of the ways in which an application does.
    fn end(mut self, choice: u8) {
        let handle = self.event_loop.handle();
        match choice >> 4 & 3 {
            0 => handle.stop(),
            1 => handle.shutdown(Duration::ZERO),
            2 => handle.shutdown(Duration::from_millis(50)),
            _ => handle.shutdown(Duration::from_secs(60)),
        }
        let summary = self.event_loop.run(&mut self.app).expect("a poll");
        let (all, own) = self.all_published();
        let unhandled = all - self.app.handled + own - self.app.handled_own;
        assert!(summary.unhandled_events >= unhandled as usize, "events are lost: {summary:?}");
        assert_eq!(self.event_loop.connections(), 0, "connections are left");
        for link in &self.app.links {
            let client = link.client.map(|(_, phase)| phase);
            assert!(link.server != Phase::Open && client != Some(Phase::Open), "{link:?}");
        }
        let reactor = self.event_loop.reactor_mut();
        assert_eq!(reactor.open_descriptors(), 0, "descriptors are left open");
    }
}

fn register(event_loop: &mut EventLoop<App, SimReactor>) {
    event_loop.on(|_: &mut Context<'_>, event: &FromThread, app: &mut App| {
        app.calls += 1;
        assert_eq!(event.0, app.handled, "an event is out of order, or lost");
        app.handled += 1;
    });
    event_loop.on(|_: &mut Context<'_>, event: &FromHandler, app: &mut App| {
        app.calls += 1;
        assert_eq!(event.0, app.handled_own, "an event is out of order, or lost");
        app.handled_own += 1;
    });
    event_loop.on(|cx: &mut Context<'_>, due: &Due, app: &mut App| {
        app.calls += 1;
        app.due(due, cx);
    });
    event_loop.on(|_: &mut Context<'_>, _: &Beat, app: &mut App| app.beat());
    event_loop.on(|cx: &mut Context<'_>, resume: &Resume, app: &mut App| {
        app.calls += 1;
        app.resumed(resume, cx);
    });
    event_loop.on(|cx: &mut Context<'_>, _: &Calm, app: &mut App| {
        app.calls += 1;
        app.calm(cx);
    });
    event_loop.on(|cx: &mut Context<'_>, _: &Check, app: &mut App| app.check(cx));
}
