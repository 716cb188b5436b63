//! Deadlines take into account what arrived in time, however late it is read.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::proto::handshake::{Acceptance, UpgradeRequest};
use eventwire::proto::http::HeadLimits;
use eventwire::reactor::sim::{Fault, PeerId, SimClock, SimConfig};
use eventwire::{ClientConfig, CloseCode, Config, Connection};

use super::rig::{Call, Calls, Notes, Rig};
use super::script::SERVERS;
use crate::shared::frames::encode;
use crate::shared::{Arrived, frame, request};

/// Longer than every deadline there is by default but that of a message.
const LONG: Duration = Duration::from_secs(40);
const PING: u64 = 25_000;

/// How many connections one wait reports.
const BATCH: usize = 4;

/// The ways in which a wait ends early after the process was stopped.
const INTERRUPTIONS: [Option<Fault>; 3] =
    [None, Some(Fault::EarlyPoll), Some(Fault::PollInterrupted)];

fn batched() -> SimConfig {
    SimConfig::calm().batch(BATCH)
}

/// A loop whose handler notes how connections end.
fn noting(sim: SimConfig, config: Config, ends: &Notes<String>) -> Rig {
    let ends = Rc::clone(ends);
    Rig::new(sim, config, move |conn, call| match call {
        Call::Close(reason) => ends.borrow_mut().push(reason.to_string()),
        Call::Message(message) if message.as_text() == Some("close") => {
            conn.close(CloseCode::NORMAL, "");
        }
        Call::Message(message) if message.as_text() == Some("fill") => {
            conn.send([0; 300_000]);
        }
        _ => {}
    })
}

/// A loop whose handler takes a long time for a message that asks it to.
fn holding_up(ends: &Notes<String>) -> Rig {
    let (clock, ends) = (Rc::new(OnceCell::<SimClock>::new()), Rc::clone(ends));
    let held = Rc::clone(&clock);
    let mut rig = Rig::new(batched(), Config::default(), move |conn, call| match call {
        Call::Close(reason) => ends.borrow_mut().push(reason.to_string()),
        Call::Message(message) if message.as_text() == Some("stop") => conn.stop(),
        Call::Message(message) if message.as_text() == Some("hold up") => {
            held.get().expect("a clock").pass(LONG);
        }
        Call::Message(message) if message.as_text() == Some("close late") => {
            held.get().expect("a clock").pass(LONG);
            conn.close(CloseCode::NORMAL, "");
        }
        _ => {}
    });
    clock.set(rig.sim().clock()).expect("set once");
    rig
}

/// Lets the process be stopped for a long time, and the waits after it be interrupted for a while.
fn stop(rig: &mut Rig, interruption: Option<Fault>) {
    rig.sim().stand_still(LONG);
    if let Some(fault) = interruption {
        rig.sim().set_config(batched().chance(fault, u32::MAX));
        for _ in 0..20 {
            rig.event_loop.turn(Some(Duration::from_millis(1)), &mut ()).expect("a poll");
        }
        rig.sim().set_config(batched());
    }
    rig.run(300);
}

fn is_pinged(rig: &mut Rig, peer: PeerId) -> bool {
    rig.received(peer).iter().any(|frame| matches!(frame, Arrived::Ping(_)))
}

#[test]
fn a_pong_that_came_while_the_process_was_stopped_counts() {
    for interruption in INTERRUPTIONS {
        let ends = Notes::default();
        let mut rig = noting(batched(), Config::default(), &ends);
        let peers: Vec<_> = (0..50).map(|_| rig.peer()).collect();
        rig.run(PING + 200);
        for &peer in &peers {
            assert!(is_pinged(&mut rig, peer));
        }
        // All but the last answer.
        for &peer in &peers[1..] {
            rig.sim().peer_send(peer, &frame(OpCode::Pong, b""));
        }
        stop(&mut rig, interruption);
        assert_eq!(ends.borrow().len(), 1, "{interruption:?}: {:?}", ends.borrow());
        assert_eq!(rig.event_loop.connections(), 49);
    }
}

#[test]
fn a_request_that_came_while_the_process_was_stopped_is_answered() {
    for interruption in INTERRUPTIONS {
        let ends = Notes::default();
        let config = Config::default().max_pending_handshakes(20);
        let mut rig = noting(batched(), config, &ends);
        let address = rig.address;
        let peers: Vec<_> = (0..20).map(|_| rig.sim().peer_connect(address)).collect();
        rig.run(10);
        let (begun, rest) = (&request(0)[..10], &request(0)[10..]);
        for &peer in &peers {
            rig.sim().peer_send(peer, begun);
        }
        rig.run(10);
        for &peer in &peers {
            rig.sim().peer_send(peer, rest);
        }
        // Another wants the place of one of them.
        let late = rig.sim().peer_connect(address);
        rig.sim().peer_send(late, &request(0));
        stop(&mut rig, interruption);
        for peer in peers.into_iter().chain([late]) {
            assert!(rig.sim().peer_received(peer).starts_with(b"HTTP/1.1 101 "));
        }
    }
}

#[test]
fn the_rest_of_a_message_that_came_while_the_process_was_stopped_is_read_first() {
    for interruption in INTERRUPTIONS {
        let ends = Notes::default();
        // What comes is many times its share of a turn.
        let mut rig = noting(batched(), Config::default().receive_buffer(1024), &ends);
        let peer = rig.peer();
        let mask = Some([1, 2, 3, 4]);
        rig.sim().peer_send(peer, &encode(false, OpCode::Text, mask, b"cl"));
        rig.run(PING + 10);
        let rest = encode(false, OpCode::Continuation, mask, &[b' '; 100]).repeat(300);
        let end = encode(true, OpCode::Continuation, mask, b"end");
        rig.sim().peer_send(peer, &[rest, end].concat());
        stop(&mut rig, interruption);
        assert_eq!(*ends.borrow(), [""; 0]);
        assert_eq!(rig.event_loop.stats().messages_received, 1);
    }
}

#[test]
fn a_close_frame_that_came_while_the_process_was_stopped_counts() {
    for interruption in INTERRUPTIONS {
        let ends = Notes::default();
        let mut rig = noting(batched(), Config::default(), &ends);
        let peers: Vec<_> = (0..10).map(|_| rig.peer()).collect();
        for &peer in &peers {
            rig.send(peer, OpCode::Text, b"close");
            assert!(matches!(rig.received(peer)[..], [Arrived::Close(Some(1000))]));
            rig.sim().peer_send(peer, &frame(OpCode::Close, &1000_u16.to_be_bytes()));
        }
        stop(&mut rig, interruption);
        for peer in peers {
            assert!(rig.sim().peer_is_closed(peer) && !rig.sim().peer_was_reset(peer));
        }
    }
}

#[test]
fn a_peer_that_read_while_the_process_was_stopped_has_not_stalled() {
    for interruption in INTERRUPTIONS {
        let ends = Notes::default();
        let mut rig = noting(batched(), Config::default(), &ends);
        let peers: Vec<_> = (0..10).map(|_| rig.peer()).collect();
        for &peer in &peers {
            rig.sim().peer_stop_reading(peer);
            rig.send(peer, OpCode::Text, b"fill");
        }
        rig.run(5_000);
        for &peer in &peers {
            rig.sim().peer_resume(peer);
        }
        stop(&mut rig, interruption);
        assert_eq!(*ends.borrow(), [""; 0]);
    }
}

#[test]
fn a_response_that_came_while_the_process_was_stopped_opens_the_connection() {
    for interruption in INTERRUPTIONS {
        let opened = Rc::new(Cell::new(0));
        let mut rig = noting(batched(), Config::default(), &Notes::default());
        let servers = rig.sim().peer_listen(SERVERS).expect("nobody else listens there");
        for _ in 0..10 {
            let opened = Rc::clone(&opened);
            let config = ClientConfig::default().address(servers);
            let handler = move |_: &mut Connection<'_>, call: Call<'_>| match call {
                Call::Open => opened.set(opened.get() + 1),
                Call::ConnectError(error) => panic!("{error}"),
                _ => {}
            };
            rig.event_loop.connect("ws://sim/", config, Calls(handler)).expect("connecting");
        }
        rig.run(10);
        while let Some(peer) = rig.sim().peer_accept(servers) {
            let head = rig.sim().peer_received(peer);
            let request =
                UpgradeRequest::parse(&head, &HeadLimits::default()).expect("a right request");
            let mut response = Vec::new();
            Acceptance::new().write(&request.key(), &mut response);
            rig.sim().peer_send(peer, &response);
        }
        stop(&mut rig, interruption);
        assert_eq!(opened.get(), 10);
    }
}

#[test]
fn input_from_before_a_slow_handler_is_read_before_deadlines_expire() {
    let ends = Notes::default();
    let mut rig = holding_up(&ends);
    let peers: Vec<_> = (0..50).map(|_| rig.peer()).collect();
    rig.run(PING + 200);
    for &peer in &peers {
        assert!(is_pinged(&mut rig, peer));
    }
    rig.sim().peer_send(peers[0], &frame(OpCode::Text, b"hold up"));
    for &peer in &peers[1..] {
        rig.sim().peer_send(peer, &frame(OpCode::Pong, b""));
    }
    // As a program runs it, and not turn by turn.
    rig.sim().peer_send(peers[49], &frame(OpCode::Text, b"stop"));
    rig.event_loop.run(&mut ()).expect("a poll");
    let cut = ends.borrow().iter().filter(|end| end.contains("pong")).count();
    assert_eq!(cut, 0, "{:?}", ends.borrow());
}

#[test]
fn a_ping_sent_late_has_the_full_pong_timeout() {
    let ends = Notes::default();
    let mut rig = holding_up(&ends);
    let (other, peer) = (rig.peer(), rig.peer());
    rig.run(PING - 300);
    rig.sim().peer_send(other, &frame(OpCode::Text, b"hold up"));
    // Its ping is due in the turn that the other holds up.
    rig.sim().stand_still(Duration::from_millis(500));
    rig.run(LONG.as_millis() as u64 + 100);
    assert!(is_pinged(&mut rig, peer));
    rig.run(9_000);
    rig.sim().peer_send(peer, &frame(OpCode::Pong, b""));
    rig.send(other, OpCode::Pong, b"");
    rig.run(2_000);
    assert_eq!(*ends.borrow(), [""; 0]);
}

#[test]
fn a_close_frame_sent_late_has_the_full_close_timeout() {
    let mut rig = holding_up(&Notes::default());
    let peer = rig.peer();
    rig.sim().peer_send(peer, &frame(OpCode::Text, b"close late"));
    rig.run(LONG.as_millis() as u64 + 4_000);
    assert!(matches!(rig.received(peer)[..], [Arrived::Close(Some(1000))]));
    assert!(!rig.sim().peer_is_closed(peer));
    rig.send(peer, OpCode::Close, &1000_u16.to_be_bytes());
    assert!(rig.sim().peer_is_closed(peer) && !rig.sim().peer_was_reset(peer));
}

#[test]
fn a_client_accepted_late_has_the_full_handshake_timeout() {
    let mut rig = noting(batched(), Config::default(), &Notes::default());
    let (clock, address) = (rig.sim().clock(), rig.address);
    let client = rig.sim().peer_connect(address);
    rig.sim().stand_still(Duration::from_millis(1));
    rig.act(move |_| clock.pass(LONG));
    rig.run(9_000);
    rig.sim().peer_send(client, &request(0));
    rig.run(10);
    assert!(rig.sim().peer_received(client).starts_with(b"HTTP/1.1 101 "));
}

#[test]
fn busy_peers_do_not_delay_the_deadlines_of_others() {
    let ends = Notes::default();
    let mut rig = noting(batched(), Config::default(), &ends);
    let dead = rig.peer();
    let busy: Vec<_> = (0..40).map(|_| rig.peer()).collect();
    let end = rig.sim().elapsed() + Duration::from_millis(PING + 10_000 + 500);
    while rig.sim().elapsed() < end {
        for &peer in &busy {
            rig.sim().peer_send(peer, &frame(OpCode::Text, b"hello"));
        }
        // So that there are always more than a wait reports.
        rig.sim().stand_still(Duration::from_millis(5));
        rig.event_loop.turn(Some(Duration::ZERO), &mut ()).expect("a poll");
    }
    assert!(rig.sim().peer_is_closed(dead));
    assert_eq!(ends.borrow().len(), 1, "{:?}", ends.borrow());
}

#[test]
fn endless_input_does_not_delay_a_peers_own_deadline() {
    let ends = Notes::default();
    let mut rig = noting(SimConfig::calm(), Config::default().receive_buffer(1024), &ends);
    let peer = rig.peer();
    rig.send(peer, OpCode::Text, b"close");
    let end = rig.sim().elapsed() + Duration::from_secs(5 + 5 + 1);
    while rig.sim().elapsed() < end {
        // More than its share of a turn, and no close frame.
        rig.sim().peer_send(peer, &frame(OpCode::Binary, &[0; 4000]));
        rig.sim().stand_still(Duration::from_millis(50));
        rig.event_loop.turn(Some(Duration::ZERO), &mut ()).expect("a poll");
    }
    assert_eq!(rig.event_loop.connections(), 0);
}
