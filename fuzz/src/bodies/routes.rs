//! Plain HTTP beside WebSockets, over the simulated reactor: one peer says what the input has it
//! say, once in one piece and once in many, and a plain reference says what it must get for it.
//!
//! Input: a choice of configuration, a seed of the split, then words: each byte chooses one, or so
//! many bytes that follow as they are.

mod answers;
mod bodies;
mod frames;
mod proxy_header;
mod reading;
mod site;
mod walk;
mod words;

use std::time::Duration;

use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::SimConfig;
use eventwire::{Config, EventLoop, Idle, OnPanic};

use self::site::{App, LONG, METRICS, Site};
use super::input::{Input, pieces};
use crate::shared::SimPeer;

/// Longer than all deadlines that a silent peer meets one after the other.
const LONGEST: Duration = Duration::from_secs(120);

/// How long a turn waits, and longer and longer while nothing happens.
const SHORTEST_TURN: Duration = Duration::from_millis(1);
const LONGEST_TURN: Duration = Duration::from_secs(1);

/// More turns without time passing or anything happening than there may be.
const MOST_IDLE_TURNS: usize = 100;

/// More turns than any input takes.
const MOST_TURNS: usize = 20_000;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (choice, seed) = (Choice(input.byte()), input.byte());
    let stream = words::stream(&mut input);
    let whole = Conversation::new(choice).hold([&stream[..]].into_iter());
    let cut = Conversation::new(choice).hold(pieces(&stream, seed));
    let [whole, cut] = [whole, cut].map(|said| walk::check(choice, &stream, &said));
    assert!(walk::agree(&whole, &cut), "the pieces make a difference: {whole:?}\n{cut:?}");
}

/// What the first byte of the input decides.
#[derive(Clone, Copy)]
struct Choice(u8);

impl Choice {
    fn site(self) -> Site {
        Site { proxy_kind: self.0 & 3, trusts: self.0 & 64 == 0, is_strict: self.0 & 4 != 0 }
    }

    /// The peer reads nothing until it has said everything.
    fn is_lazy(self) -> bool {
        self.0 & 8 != 0
    }

    /// The peer ends its half of the stream behind what it says; otherwise it waits in silence.
    fn ends(self) -> bool {
        self.0 & 16 != 0
    }

    /// Buffers, windows and limits that are soon full.
    fn is_small(self) -> bool {
        self.0 & 32 != 0
    }

    fn receive_buffer(self) -> usize {
        if self.is_small() { 1_024 } else { 16_384 }
    }

    fn soft(self) -> usize {
        if self.is_small() { 1_000 } else { 64 * 1024 }
    }
}

/// What came of a conversation.
struct Said {
    /// All that the peer received.
    answers: Vec<u8>,
    app: App,
}

struct Conversation {
    choice: Choice,
    event_loop: EventLoop<App, SimReactor>,
    app: App,
    peer: SimPeer,
    turns: usize,
    idle_turns: usize,
    wait: Duration,
}

impl Conversation {
    fn new(choice: Choice) -> Self {
        let window = if choice.is_small() { 4_096 } else { 64 * 1024 };
        let reactor = SimReactor::new(0, SimConfig::calm().window(window));
        let config = Config::default()
            .idle(Idle::Block)
            .on_panic(OnPanic::Propagate)
            .receive_buffer(choice.receive_buffer())
            .outbox(choice.soft(), 1 << 20);
        let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
        let listener = choice.site().listen(&mut event_loop);
        let address = event_loop.local_addr(listener).expect("a listener");
        let mut peer = SimPeer::connect(event_loop.reactor_mut(), address);
        if choice.is_lazy() {
            peer.stop_reading(event_loop.reactor_mut());
        }
        Self {
            choice,
            event_loop,
            app: App { puts_off: !choice.ends(), ..App::default() },
            peer,
            turns: 0,
            idle_turns: 0,
            wait: SHORTEST_TURN,
        }
    }

    /// Says everything, and listens until the connection is gone.
    fn hold<'a>(mut self, pieces: impl Iterator<Item = &'a [u8]>) -> Said {
        self.turn();
        for piece in pieces {
            self.peer.send(piece, self.event_loop.reactor_mut());
            // However many pieces there are, no deadline comes while a lazy peer says them.
            self.wait = SHORTEST_TURN;
            self.turn();
        }
        if self.choice.ends() {
            self.peer.finish(self.event_loop.reactor_mut());
        }
        if self.choice.is_lazy() {
            self.turn();
            self.peer.resume(self.event_loop.reactor_mut());
        }
        loop {
            self.turn();
            let reactor = self.event_loop.reactor_mut();
            let is_over = self.peer.is_closed(reactor);
            // Whatever is said behind a close frame may come when the stream is closed.
            let is_reset = self.peer.was_reset(reactor) && !self.app.is_closed;
            assert!(!is_reset, "the connection is reset");
            if is_over {
                self.peer.finish(reactor);
            }
            assert!(reactor.elapsed() < LONGEST, "the connection does not end");
            if is_over && self.event_loop.connections() == 0 {
                break;
            }
        }
        let stats = self.event_loop.stats();
        assert_eq!((stats.connections, stats.inbound_bytes, stats.outbound_bytes), (0, 0, 0));
        assert_eq!(self.event_loop.reactor_mut().open_descriptors(), 1, "not the listener alone");
        Said { answers: self.peer.input().to_vec(), app: self.app }
    }

    fn turn(&mut self) {
        let calls = self.app.calls;
        let before = self.event_loop.reactor_mut().elapsed();
        self.event_loop.turn(Some(self.wait), &mut self.app).expect("a poll");
        let reactor = self.event_loop.reactor_mut();
        let active = self.peer.receive(reactor) || self.app.calls != calls;
        let passed = reactor.elapsed() - before > Duration::from_micros(2);
        self.wait = if active { SHORTEST_TURN } else { (self.wait * 4).min(LONGEST_TURN) };
        self.idle_turns = if active || passed { 0 } else { self.idle_turns + 1 };
        assert!(self.idle_turns < MOST_IDLE_TURNS, "the loop spins");
        self.turns += 1;
        assert!(self.turns < MOST_TURNS, "no end");
        self.check_held();
    }

    /// What waits for the peer, and what it sent and is not read yet, have limits.
    fn check_held(&self) {
        let stats = self.event_loop.stats();
        let (inbound, outbound) = (stats.inbound_bytes as usize, stats.outbound_bytes as usize);
        let received = self.choice.receive_buffer();
        // The longest answer is begun while just the soft limit waits.
        let most = self.choice.soft() + LONG.max(METRICS) + received + 1_024;
        // Storage has spare room, and half of it may have been sent already.
        let most = 2 * most + 4_096;
        assert!(outbound <= most, "{outbound} bytes are held");
        // Storage may have held more for another, and a long message is read ahead into its own.
        let most = 4 * received + 64 * 1_024;
        assert!(inbound <= most, "{inbound} bytes are held");
    }
}
