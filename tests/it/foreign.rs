//! A loop inside another loop.

use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::{Duration, Instant};

use eventwire::{Config, EventLoop, RunEnd, ServerConfig, on_message};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::util::{PATIENCE, Peer};

/// A loop that waits for an event loop by its descriptor and the moment of its next turn.
struct Foreign {
    event_loop: EventLoop<Vec<&'static str>>,
    state: Vec<&'static str>,
    poll: Poll,
}

impl Foreign {
    fn new(event_loop: EventLoop<Vec<&'static str>>) -> Self {
        let poll = Poll::new().expect("a poll");
        let descriptor = event_loop.as_fd().as_raw_fd();
        let mut source = SourceFd(&descriptor);
        poll.registry().register(&mut source, Token(0), Interest::READABLE).expect("pollable");
        Self { event_loop, state: Vec::new(), poll }
    }

    /// Waits once, and turns the inner loop.
    fn turn(&mut self) {
        let due = self.event_loop.turn_due();
        let timeout = due.map_or(PATIENCE, |due| due.saturating_duration_since(Instant::now()));
        let mut events = Events::with_capacity(4);
        self.poll.poll(&mut events, Some(timeout)).expect("it waits");
        assert!(due.is_some() || !events.is_empty(), "nothing happened for too long");
        self.event_loop.turn(Some(Duration::ZERO), &mut self.state).expect("a turn");
    }

    /// Turns the inner loop until `done`.
    fn turn_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < PATIENCE, "it never happens");
            self.turn();
        }
    }
}

#[test]
fn a_foreign_loop_serves_sockets_events_and_timers() {
    struct Told(&'static str);

    let mut event_loop = EventLoop::new(Config::default()).expect("a loop");
    let listener =
        event_loop.listen_fn("127.0.0.1:0", ServerConfig::default(), |conn, message, _| {
            conn.send(message);
        });
    let address = event_loop.local_addr(listener.expect("a port")).expect("an address");
    event_loop.on(|_, told: &Told, state: &mut Vec<_>| state.push(told.0));
    let teller = event_loop.publisher();
    event_loop.set_timer(Duration::from_millis(20), Told("timer")).expect("there is room");
    let mut foreign = Foreign::new(event_loop);

    let peers = thread::spawn(move || {
        for _ in 0..3 {
            let mut peer = Peer::connect(address);
            for text in ["one", "two"] {
                peer.send(text);
                peer.expect(text);
            }
        }
    });
    foreign.turn_until(|_| peers.is_finished());
    peers.join().expect("all were answered");
    foreign.turn_until(|foreign| foreign.state == ["timer"]);
    let teller = thread::spawn(move || teller.publish(Told("thread")));
    foreign.turn_until(|foreign| foreign.state == ["timer", "thread"]);
    assert!(teller.join().expect("no panic").is_ok());
}

#[test]
fn a_foreign_loop_ends_the_inner_one_when_another_thread_shuts_it_down() {
    let event_loop = EventLoop::new(Config::default()).expect("a loop");
    let handle = event_loop.handle();
    let mut foreign = Foreign::new(event_loop);
    foreign.event_loop.turn(Some(Duration::ZERO), &mut foreign.state).expect("a turn");
    assert_eq!(foreign.event_loop.turn_due(), None, "nothing is due");
    let other = thread::spawn(move || handle.shutdown(Duration::from_secs(10)));
    foreign.turn_until(|foreign| foreign.event_loop.is_stopping());
    other.join().expect("no panic");
    let summary = foreign.event_loop.run(&mut foreign.state).expect("it ends");
    assert_eq!(summary.end, RunEnd::ShutDown);
}

#[test]
fn a_turn_is_due_at_once_while_there_is_work() {
    struct Work;

    let mut event_loop = EventLoop::<Vec<&str>>::new(Config::default()).expect("a loop");
    event_loop.on(|_, _: &Work, _| {});
    event_loop.publisher().publish(Work).expect("there is room");
    let due = event_loop.turn_due().expect("there is an event");
    assert!(due <= Instant::now());
    event_loop.turn(Some(Duration::ZERO), &mut Vec::new()).expect("a turn");
    assert_eq!(event_loop.turn_due(), None);
    let ignore = on_message(|_, _, _: &mut Vec<&str>| {});
    event_loop.listen("127.0.0.1:0", ServerConfig::default(), ignore).expect("a port");
    event_loop.set_timer(Duration::from_secs(60), Work).expect("there is room");
    event_loop.turn(Some(Duration::ZERO), &mut Vec::new()).expect("a turn");
    let due = event_loop.turn_due().expect("a timer is set");
    assert!(due > Instant::now() + Duration::from_secs(30));
}
