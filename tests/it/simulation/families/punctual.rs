//! Peers that do everything in time, and dead ones, in a process that is stopped now and then and
//! whose waits are interrupted and report few connections at once.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use eventwire::proto::{Limits, OpCode};
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::{Fault, SimConfig};
use eventwire::{Config, Connection, Disconnect, EventLoop, Idle, ServerConfig, WebSocketHandler};

use super::{Family, Simulated};
use crate::shared::{Arrived, Random, SimPeer, frame, request};
use crate::simulation::world::{Report, print_trace};

/// The faults that occur here. Those that delay what has arrived are not among them: after a stop
/// that would be too late.
const FAULTS: [Fault; 7] = [
    Fault::ShortSend,
    Fault::Interrupted,
    Fault::Spurious,
    Fault::Delayed,
    Fault::EarlyPoll,
    Fault::PollInterrupted,
    Fault::Pieces,
];

/// What a peer has time for each of the things that it must do.
const TIME: Duration = Duration::from_secs(1);

/// How long the loop is let sleep, and a stopped process be stopped, until peers are looked at.
const STEP: Duration = Duration::from_millis(20);

/// How long the loop runs in all, and is stopped in addition.
const RUNNING: Duration = Duration::from_secs(12);
const LONGEST_STOP: usize = 200;

/// Invariant: the loop cuts every peer that stopped answering, and none that answered in time.
#[test]
fn only_dead_peers_are_cut() {
    let absent = Fault::ALL.into_iter().filter(|fault| !FAULTS.contains(fault)).collect();
    let invariant = only_dead_peers_were_cut;
    Family { name: "punctual", absent, world, invariant }.run();
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Answers pings.
    Alive,
    /// And says something again and again.
    Busy,
    /// And sends its messages in halves.
    Slow,
    /// Does nothing once it is open.
    Dead,
    /// Connects and asks for nothing.
    Silent,
}

struct Punctual {
    stream: SimPeer,
    manner: Manner,
    /// The head of the response is still to come.
    opening: bool,
    /// The rest of what it has begun to send.
    rest: Vec<u8>,
}

/// Counts the connections that timed out.
struct Late(Rc<Cell<usize>>);

impl WebSocketHandler<()> for Late {
    fn on_close(&mut self, _: &mut Connection<'_>, reason: &Disconnect, (): &mut ()) {
        assert!(matches!(reason, Disconnect::TimedOut(_)), "{reason}");
        self.0.set(self.0.get() + 1);
    }
}

struct World {
    event_loop: EventLoop<(), SimReactor>,
    random: Random,
    peers: Vec<Punctual>,
    late: Rc<Cell<usize>>,
    turns: usize,
    tracing: bool,
}

fn only_dead_peers_were_cut(world: &mut World) {
    let dead = count(&world.peers, Manner::Dead);
    let silent = count(&world.peers, Manner::Silent);
    assert_eq!(world.late.get(), dead, "peers that were cut, and that are dead");
    assert_eq!(world.event_loop.connections(), world.peers.len() - dead - silent);
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let sim = FAULTS.into_iter().fold(SimConfig::calm(), |sim, fault| sim.chance(fault, 50_000));
    let sim = match random.below(3) {
        0 => sim.chance(Fault::EarlyPoll, 500_000),
        1 => sim.chance(Fault::PollInterrupted, 500_000),
        _ => sim,
    };
    let sim = sim.batch(random.pick(&[1, 2, 7, usize::MAX]));
    let mut reactor = SimReactor::new(seed, sim);
    if tracing {
        reactor.keep_trace_lines();
    }
    let config = Config::default().idle(Idle::Block).receive_buffer(4096);
    let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
    let limits = Limits::default()
        .handshake_timeout(TIME)
        .message_timeout(TIME)
        .ping_interval(Some(TIME))
        .pong_timeout(TIME)
        .close_timeout(TIME);
    let late = Rc::new(Cell::new(0));
    let server = ServerConfig::default().limits(limits);
    let listener =
        event_loop.listen("127.0.0.1:0", server, Late(Rc::clone(&late))).expect("a port");
    let address = event_loop.local_addr(listener).expect("an address");
    let count = random.between(1, 30);
    let manners = [Manner::Alive, Manner::Alive, Manner::Busy, Manner::Slow, Manner::Dead];
    let mut peers: Vec<_> = (0..count)
        .map(|_| {
            Punctual::new(
                SimPeer::connect(event_loop.reactor_mut(), address),
                random.pick(&manners),
            )
        })
        .collect();
    peers.push(Punctual::new(SimPeer::connect(event_loop.reactor_mut(), address), Manner::Silent));
    World { event_loop, random, peers, late, turns: 0, tracing }
}

impl Punctual {
    fn new(stream: SimPeer, manner: Manner) -> Self {
        let rest = if manner == Manner::Silent { Vec::new() } else { request(0) };
        Self { stream, manner, opening: true, rest }
    }

    /// Does at once whatever is to be done.
    fn step(&mut self, reactor: &mut SimReactor, random: &mut Random) {
        self.stream.receive(reactor);
        if self.manner == Manner::Silent {
            return;
        }
        self.send(reactor, random);
        if self.opening {
            let Some(head) = self.stream.take_head() else { return };
            assert!(head.starts_with(b"HTTP/1.1 101"));
            self.opening = false;
        }
        while let Some(arrived) = self.stream.take_frame() {
            if matches!(arrived, Arrived::Ping(_)) && self.manner != Manner::Dead {
                self.rest.extend(frame(OpCode::Pong, b""));
            }
        }
        match self.manner {
            Manner::Busy if random.percent(30) => self.rest.extend(frame(OpCode::Text, b"hello")),
            Manner::Slow if random.percent(5) => self.rest.extend(frame(OpCode::Text, b"hello")),
            _ => {}
        }
        self.send(reactor, random);
    }

    /// Sends all that it has to, or at first a part of that.
    fn send(&mut self, reactor: &mut SimReactor, random: &mut Random) {
        let is_whole = self.rest.is_empty() || random.percent(50);
        let count = if is_whole { self.rest.len() } else { random.between(1, self.rest.len()) };
        let bytes: Vec<_> = self.rest.drain(..count).collect();
        self.stream.send(&bytes, reactor);
    }
}

fn count(peers: &[Punctual], manner: Manner) -> usize {
    peers.iter().filter(|peer| peer.manner == manner).count()
}

impl World {
    fn step_peers(&mut self) {
        for peer in &mut self.peers {
            peer.step(self.event_loop.reactor_mut(), &mut self.random);
        }
    }

    /// The process is stopped, and its peers are not.
    fn stop(&mut self) {
        for _ in 0..self.random.between(1, LONGEST_STOP) {
            self.event_loop.reactor_mut().stand_still(STEP);
            self.step_peers();
        }
    }
}

impl Simulated for World {
    fn run(mut self, invariant: fn(&mut Self)) -> Report {
        let mut ran = Duration::ZERO;
        while ran < RUNNING {
            if self.random.percent(1) {
                self.stop();
            }
            let before = self.event_loop.reactor_mut().elapsed();
            self.event_loop.turn(Some(STEP), &mut ()).expect("a poll");
            self.turns += 1;
            // A loop that does not sleep takes its time, too.
            self.event_loop.reactor_mut().stand_still(Duration::from_millis(5));
            ran += self.event_loop.reactor_mut().elapsed() - before;
            self.step_peers();
            assert!(self.late.get() <= count(&self.peers, Manner::Dead), "one was in time");
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
