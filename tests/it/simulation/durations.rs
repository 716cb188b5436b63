//! Durations of any length are taken, wherever one can be configured.

use std::time::Duration;

use eventwire::proto::{Limits, OpCode};
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::SimConfig;
use eventwire::{ClientConfig, CloseCode, Config, Connection, Context, EventLoop, ServerConfig};

use super::rig::{Call, Calls};
use crate::shared::{frame, request};

#[derive(Clone)]
struct Tick;

const LENGTHS: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    // The longest that a `Time` has room for.
    Duration::from_nanos(u64::MAX),
    Duration::MAX,
];

fn limits() -> Vec<fn(Duration) -> Limits> {
    vec![
        |time| Limits::default().handshake_timeout(time),
        |time| Limits::default().message_timeout(time),
        |time| Limits::default().ping_interval(Some(time)),
        |time| Limits::default().ping_interval(Some(Duration::from_millis(1))).pong_timeout(time),
        |time| Limits::default().close_timeout(time),
    ]
}

fn configs() -> Vec<fn(Duration) -> Config> {
    vec![|time| Config::default().outbox(0, 1 << 20).outbox_stall(time), |time| {
        Config::default().slow_handler(time)
    }]
}

/// Lets a server and a client of one loop have a short life.
fn live(sim: SimConfig, config: Config, limits: Limits, end: Duration) {
    let reactor = SimReactor::new(1, sim);
    let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
    let echo = || {
        Calls(move |conn: &mut Connection<'_>, call: Call<'_>| match call {
            Call::Open => drop((conn.send("hello"), conn.ping(b"?"))),
            Call::Message(message) if message.as_bytes().len() > 100_000 => {
                conn.close(CloseCode::NORMAL, "");
            }
            Call::Message(message) => {
                conn.send([message.as_bytes(), message.as_bytes()].concat());
            }
            _ => {}
        })
    };
    let server = ServerConfig::default().limits(limits.clone());
    let listener = event_loop.listen("127.0.0.1:0", server, echo()).expect("a listener");
    let address = event_loop.local_addr(listener).expect("an address");
    let client = ClientConfig::default().limits(limits).address(address);
    event_loop.connect("ws://sim/", client.address(address), echo()).expect("a connection");
    let peer = event_loop.reactor_mut().peer_connect(address);
    let half = frame(OpCode::Text, &[0; 1000]);
    event_loop.reactor_mut().peer_send(peer, &request(0));
    event_loop.reactor_mut().peer_send(peer, &half[..half.len() / 2]);
    event_loop.on(|_: &mut Context<'_>, _: &Tick, (): &mut ()| {});
    assert!(event_loop.set_timer(end, Tick).is_ok());
    assert!(event_loop.set_interval(end, Tick).is_ok());
    for turn in 0..200 {
        if turn == 100 {
            event_loop.handle().shutdown(end);
        }
        let timeout = if turn % 2 == 0 { end } else { Duration::from_millis(1) };
        event_loop.turn(Some(timeout), &mut ()).expect("a turn");
    }
}

#[test]
fn any_duration_is_taken() {
    for time in LENGTHS {
        for limits in limits() {
            live(SimConfig::calm(), Config::default(), limits(time), time);
        }
        for config in configs() {
            live(SimConfig::calm(), config(time), Limits::default(), time);
        }
        let slow = SimConfig::default().latency(time, time).slowest(time).clock_jump(time);
        live(slow, Config::default(), Limits::default(), time);
    }
}
