//! Heartbeats of server-sent events to clients that do not read.

use std::time::Duration;

use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::SimConfig;
use eventwire::{Config, EventStream, Routes, ServerConfig};

use super::rig::Rig;

#[test]
fn heartbeats_without_a_pause_neither_block_the_loop_nor_fill_its_memory() {
    let reactor = SimReactor::new(0, SimConfig::calm());
    let mut rig = Rig::with_setup(reactor, Config::default(), |event_loop| {
        let events = EventStream::new().heartbeat(Some(Duration::ZERO));
        let routes = Routes::new().events("/", events);
        (event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes).expect("a port"), ())
    });
    let address = rig.address;
    let peers = [true, false].map(|reads| {
        let peer = rig.sim().peer_connect(address);
        rig.sim().peer_send(peer, b"GET / HTTP/1.1\r\nHost: sim\r\n\r\n");
        if !reads {
            rig.sim().peer_stop_reading(peer);
        }
        peer
    });
    rig.run(10);
    let head = rig.sim().peer_received(peers[0]);
    assert!(head.starts_with(b"HTTP/1.1 200 "));
    let turns = rig.run(100_000);
    let heartbeats = rig.sim().peer_received(peers[0]).len() / b":\n\n".len();
    assert!((500..=2_000).contains(&heartbeats), "{heartbeats} in 100 s");
    assert!(turns < 3 * heartbeats, "{turns} turns for {heartbeats} heartbeats");
    assert_eq!(rig.event_loop.connections(), 2);
    assert!(rig.act(|cx| cx.buffered_total()) <= 3 * heartbeats);
}
