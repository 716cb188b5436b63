//! Listeners that come and go, and several of them at once.

use std::net::SocketAddr;
use std::rc::Rc;

use eventwire::proto::OpCode;
use eventwire::reactor::sim::{Fault, SimConfig};
use eventwire::{Config, Connection, ListenerId, Routes, ServerConfig};

use super::rig::{Call, Calls, Rig};
use crate::shared::request;

/// More than 16 bits count.
const MANY: usize = 70_000;

fn rig(sim: SimConfig, config: Config) -> Rig {
    Rig::new(sim, config, echo)
}

fn echo(conn: &mut Connection<'_>, call: Call<'_>) {
    if let Call::Message(message) = call {
        conn.send(message);
    }
}

/// Opens a listener whose handler holds `kept`.
fn listen(rig: &mut Rig, kept: &Rc<()>) -> (ListenerId, SocketAddr) {
    let kept = Rc::clone(kept);
    let handler = Calls(move |conn: &mut Connection<'_>, call: Call<'_>| {
        let _ = &kept;
        echo(conn, call);
    });
    let listener = rig.event_loop.listen("127.0.0.1:0", ServerConfig::default(), handler);
    let listener = listener.expect("a free port");
    (listener, rig.event_loop.local_addr(listener).expect("it listens"))
}

#[test]
fn listeners_may_come_and_go_for_ever() {
    // Readiness of closed ones comes late, and again.
    let sim = SimConfig::calm().chance(Fault::Stale, 500_000).chance(Fault::Spurious, 500_000);
    let mut rig = rig(sim, Config::default());
    let kept = Rc::new(());
    let (first, _) = listen(&mut rig, &kept);
    assert!(rig.event_loop.close_listener(first));
    for _ in 0..MANY {
        let (listener, _) = listen(&mut rig, &kept);
        assert_ne!(listener, first);
        assert!(rig.event_loop.close_listener(listener));
        assert!(!rig.event_loop.close_listener(listener));
    }
    assert_eq!(Rc::strong_count(&kept), 1, "handlers of closed listeners are left");
    let (listener, address) = listen(&mut rig, &kept);
    assert!(!rig.event_loop.close_listener(first));
    assert_eq!(rig.event_loop.local_addr(first), None);
    rig.address = address;
    let peer = rig.peer();
    rig.send(peer, OpCode::Text, b"hello");
    assert_eq!(rig.received(peer).len(), 1);
    assert!(rig.event_loop.close_listener(listener));
}

#[test]
fn a_closed_listeners_handler_stays_until_its_last_connection_is_gone() {
    let mut rig = rig(SimConfig::calm(), Config::default());
    let kept = Rc::new(());
    let (listener, address) = listen(&mut rig, &kept);
    let other = std::mem::replace(&mut rig.address, address);
    let [first, second] = [rig.peer(), rig.peer()];
    // It has not asked for anything yet.
    let silent = rig.sim().peer_connect(address);
    rig.run(1);
    assert!(rig.event_loop.close_listener(listener));
    for peer in [first, second] {
        rig.send(peer, OpCode::Text, b"hello");
        assert_eq!(rig.received(peer).len(), 1);
    }
    rig.sim().peer_send(silent, &request(0));
    rig.run(1);
    assert!(rig.sim().peer_received(silent).starts_with(b"HTTP/1.1 101"));
    // A site that comes meanwhile is another's.
    listen(&mut rig, &kept);
    for (peer, left) in [(first, 3), (silent, 3), (second, 2)] {
        rig.sim().peer_drop(peer);
        rig.run(1);
        assert_eq!(Rc::strong_count(&kept), left);
    }
    rig.address = other;
    rig.peer();
}

#[test]
fn a_listen_that_fails_leaves_nothing() {
    let mut rig = rig(SimConfig::calm(), Config::default());
    let kept = Rc::new(());
    let (_, taken) = listen(&mut rig, &kept);
    let descriptors = rig.sim().open_descriptors();
    for address in [taken, "[::1]:0".parse().expect("an address")] {
        rig.sim().set_config(SimConfig::calm().ipv6(false));
        let held = Rc::clone(&kept);
        let handler = Calls(move |_: &mut Connection<'_>, _: Call<'_>| {
            let _ = &held;
        });
        let config = ServerConfig::default();
        let routes = Routes::new().websocket("/a", config.clone(), handler);
        assert!(rig.event_loop.listen(address, config, routes).is_err());
        assert_eq!(Rc::strong_count(&kept), 2);
        assert_eq!(rig.sim().open_descriptors(), descriptors);
    }
}

#[test]
fn a_flood_on_one_listener_keeps_no_other_waiting() {
    const PLACES: usize = 8;
    let mut rig = rig(SimConfig::calm(), Config::default().max_pending_handshakes(PLACES));
    let (_, health) = listen(&mut rig, &Rc::new(()));
    let flooded = rig.address;
    for _ in 0..1_000 {
        rig.sim().peer_connect(flooded);
    }
    rig.run(100);
    // Every place is taken, and hundreds wait for one.
    assert_eq!(rig.event_loop.connections(), PLACES);
    let peer = rig.sim().peer_connect(health);
    rig.sim().peer_send(peer, &request(0));
    rig.run(2_000);
    assert!(rig.sim().peer_received(peer).starts_with(b"HTTP/1.1 101"), "not accepted");
}
