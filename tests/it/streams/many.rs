//! Ten thousand streams in one loop.

use std::time::{Duration, Instant};

use eventwire::reactor::sim::SimConfig;
use eventwire::reactor::{Reactor, SimReactor};
use eventwire::{Config, Connection, Disconnect, EventLoop, Idle, StreamConfig, StreamHandler};

use crate::util::PATIENCE;

/// Both ends are descriptors of this process.
const STREAMS_MAX: usize = 10_000;

/// Descriptors that are left for other tests, which run at the same time.
const OTHERS: usize = 1_000;

/// How many streams are being connected at a time.
const AT_ONCE: usize = 200;

/// Lines that each client sends, one after the other.
const LINES: usize = 3;

#[derive(Default)]
struct Tally {
    opened: usize,
    lines: usize,
    ended: usize,
}

struct Echo;

impl StreamHandler<Tally> for Echo {
    fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], _: &mut Tally) -> usize {
        conn.send(data);
        data.len()
    }
}

/// Counts its own lines by their numbers, so that one handler serves all streams.
struct Client;

impl StreamHandler<Tally> for Client {
    fn on_open(&mut self, conn: &mut Connection<'_>, tally: &mut Tally) {
        tally.opened += 1;
        conn.send("0\n");
    }

    fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], tally: &mut Tally) -> usize {
        let [digit, b'\n'] = data else {
            assert!(data.len() < 2, "{data:?}");
            return 0;
        };
        tally.lines += 1;
        let next = usize::from(digit - b'0') + 1;
        if next < LINES {
            conn.send(format!("{next}\n"));
        }
        2
    }

    fn on_close(&mut self, _: &mut Connection<'_>, disconnect: &Disconnect, tally: &mut Tally) {
        assert!(matches!(disconnect, Disconnect::ClosedByApplication { .. }), "{disconnect}");
        tally.ended += 1;
    }
}

/// Turns the loop until `done` says so. It may take as long as it makes progress.
fn turn_until<R: Reactor>(
    event_loop: &mut EventLoop<Tally, R>,
    tally: &mut Tally,
    done: impl Fn(&EventLoop<Tally, R>, &Tally) -> bool,
) {
    let (mut start, mut before) = (Instant::now(), (0, 0, 0));
    while !done(event_loop, tally) {
        let now = (tally.opened, tally.lines, tally.ended);
        if now != before {
            (start, before) = (Instant::now(), now);
        }
        assert!(start.elapsed() < PATIENCE, "no progress after {now:?}");
        event_loop.turn(Some(Duration::from_millis(5)), tally).expect("turn");
    }
}

/// Serves `count` streams of which both ends are in this loop.
fn serve<R: Reactor>(mut event_loop: EventLoop<Tally, R>, count: usize) {
    let config = StreamConfig::default();
    let listener =
        event_loop.listen_stream("127.0.0.1:0", config.clone(), Echo).expect("listen on a port");
    let address = event_loop.local_addr(listener).expect("an address");
    let client = event_loop.stream_endpoint(config, Client).expect("register a handler");

    /// This many more are to be connected.
    struct Connect(usize);
    event_loop.on(move |cx, more: &Connect, _| {
        for _ in 0..more.0 {
            cx.connect_stream(client, address).expect("room for a stream");
        }
    });
    let publisher = event_loop.publisher();
    let mut tally = Tally::default();
    for begun in (0..count).step_by(AT_ONCE) {
        let more = AT_ONCE.min(count - begun);
        publisher.publish(Connect(more)).expect("room for an event");
        turn_until(&mut event_loop, &mut tally, |_, tally| tally.opened == begun + more);
    }
    turn_until(&mut event_loop, &mut tally, |_, tally| tally.lines == LINES * count);
    assert_eq!(event_loop.connections(), 2 * count);

    event_loop.handle().shutdown(PATIENCE);
    let summary = event_loop.run(&mut tally).expect("run");
    assert_eq!((summary.closed, summary.cut, summary.lost), (2 * count, 0, 0));
    assert_eq!(tally.ended, count);
}

#[test]
fn thousands_of_streams_are_served_at_once() {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let descriptors = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    let count = descriptors.unwrap_or(1_000_usize).saturating_sub(OTHERS) / 2;
    let config = Config::default().idle(Idle::Block);
    let event_loop = EventLoop::<Tally>::new(config).expect("make a loop");
    serve(event_loop, count.min(STREAMS_MAX));
}

#[test]
fn ten_thousand_streams_are_served_at_once_in_a_simulation() {
    let reactor = SimReactor::new(0, SimConfig::calm());
    let config = Config::default().max_connections(2 * STREAMS_MAX);
    let event_loop = EventLoop::with_reactor(reactor, config).expect("make a loop");
    serve(event_loop, STREAMS_MAX);
}
