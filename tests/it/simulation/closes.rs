//! How a connection's stream ends: which end closes it, when, and what is still sent.

use std::rc::Rc;

use eventwire::proto::OpCode;
use eventwire::reactor::sim::{PeerId, SimConfig};
use eventwire::{CloseCode, Config, Disconnect};

use super::rig::{Call, Notes, Rig, text};
use crate::shared::{Arrived, frame};

/// The payload of a close frame with code 1000.
const NORMAL: [u8; 2] = 1000_u16.to_be_bytes();

/// A loop that closes on "close", echoes all else, and notes why connections end.
fn rig() -> (Rig, Notes<String>) {
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let rig = Rig::new(SimConfig::calm(), Config::default(), move |conn, call| match call {
        Call::Message(_) if text(&call) == Some("close") => {
            assert!(conn.close(CloseCode::NORMAL, ""));
        }
        Call::Message(message) => drop(conn.send(message)),
        Call::Close(reason) => log.borrow_mut().push(reason.to_string()),
        _ => {}
    });
    (rig, notes)
}

/// Whether the stream has ended for the peer, in order.
fn has_ended(rig: &mut Rig, peer: PeerId) -> bool {
    rig.sim().peer_is_closed(peer) && !rig.sim().peer_was_reset(peer)
}

/// Whether a close frame has arrived at the peer, and nothing else.
fn has_received_the_close(rig: &mut Rig, peer: PeerId) -> bool {
    matches!(rig.received(peer)[..], [Arrived::Close(Some(1000))])
}

#[test]
fn a_server_ends_tcp_once_both_close_frames_were_exchanged() {
    for first in ["the peer", "the application"] {
        let (mut rig, notes) = rig();
        let peer = rig.peer();
        if first == "the application" {
            rig.send(peer, OpCode::Text, b"close");
        }
        rig.send(peer, OpCode::Close, &NORMAL);
        // The peer has not ended its half, and need not.
        assert!(has_received_the_close(&mut rig, peer), "{first}");
        assert!(has_ended(&mut rig, peer), "{first}");
        assert_eq!(rig.event_loop.connections(), 0, "{first}");
        assert_eq!(rig.sim().open_descriptors(), 1, "{first}");
        assert_eq!(notes.borrow().len(), 1);
    }
}

#[test]
fn data_after_the_peers_close_frame_does_not_destroy_ours() {
    let (mut rig, _) = rig();
    let peer = rig.peer();
    let mut bytes = frame(OpCode::Close, &NORMAL);
    bytes.extend([0; 40_000]);
    rig.sim().peer_send(peer, &bytes);
    rig.run(1);
    assert!(has_received_the_close(&mut rig, peer));
    assert!(has_ended(&mut rig, peer));
    assert_eq!(rig.event_loop.connections(), 0);
}

#[test]
fn a_server_waits_for_the_answer_to_its_close() {
    let (mut rig, _) = rig();
    let peer = rig.peer();
    rig.send(peer, OpCode::Text, b"close");
    rig.run(4_000);
    assert!(has_received_the_close(&mut rig, peer));
    assert_eq!(rig.event_loop.connections(), 1);
    assert!(!rig.sim().peer_is_closed(peer));
    rig.run(1_100);
    assert_eq!(rig.event_loop.connections(), 0);
}

#[test]
fn a_client_lets_the_server_end_tcp_within_a_limit() {
    for ends in [true, false] {
        let reasons = Notes::default();
        let log = Rc::clone(&reasons);
        let mut rig = Rig::new(SimConfig::calm(), Config::default(), |_, _| {});
        let server = rig.server(move |_, call| {
            if let Call::Close(Disconnect::ClosedByPeer { code, .. }) = call {
                log.borrow_mut().push(*code);
            }
        });
        rig.sim().peer_send(server, &[0x88, 2, NORMAL[0], NORMAL[1]]);
        rig.run(4_000);
        assert_eq!(*reasons.borrow(), [Some(CloseCode::NORMAL)]);
        assert!(!rig.sim().peer_is_closed(server), "the client has ended TCP first");
        if ends {
            rig.sim().peer_close(server);
            rig.run(1);
            assert!(has_ended(&mut rig, server));
        } else {
            rig.run(1_100);
        }
        assert_eq!(rig.event_loop.connections(), 0);
    }
}

/// What ends a connection, by its name; what is sent then, on and on; what the peer receives first.
type Flood<'a> = (&'a str, Vec<u8>, &'a [u8], &'a [u8]);

/// More than any limit here.
const FLOOD: usize = 40 << 20;

/// Sends as much of `flood` as the loop reads; returns how much it read.
fn flooded(rig: &mut Rig, peer: PeerId, flood: &[u8]) -> usize {
    let before = rig.sim().bytes_received();
    rig.sim().peer_send(peer, &flood.repeat(FLOOD / flood.len()));
    rig.run(4_000);
    assert_eq!(rig.event_loop.connections(), 0, "the time that closing has is the only limit");
    assert_eq!(rig.sim().open_descriptors(), 1);
    (rig.sim().bytes_received() - before) as usize
}

#[test]
fn a_peer_that_sends_on_after_the_end_is_cut_after_64_kib_and_a_message() {
    let header = b"X-More: of the same\r\n".repeat(20_000 / 21);
    let violation = b"\x81\x01x".to_vec();
    let pings = frame(OpCode::Ping, b"").repeat(201);
    let close = frame(OpCode::Close, &NORMAL);
    let cases: [Flood<'_>; 5] = [
        (
            "a head without end",
            [&b"GET / HTTP/1.1\r\n"[..], &header].concat(),
            b"X: y\r\n",
            b"HTTP/1.1 431",
        ),
        (
            "no opening",
            b"GET / HTTP/1.1\r\nHost: sim\r\n\r\n".to_vec(),
            b"garbage",
            b"HTTP/1.1 426",
        ),
        ("a violation", violation, b"\x81\x01x", b"\x88"),
        ("too many pings", pings, &frame(OpCode::Ping, b""), b"\x8A"),
        ("a close", close, &frame(OpCode::Text, b"and more"), b"\x88"),
    ];
    for (name, end, flood, answer) in cases {
        let (mut rig, _) = rig();
        let peer = if answer.starts_with(b"HTTP") {
            let address = rig.address;
            rig.sim().peer_connect(address)
        } else {
            rig.peer()
        };
        rig.sim().peer_send(peer, &end);
        let received = flooded(&mut rig, peer, flood);
        // A client that never opened a WebSocket has no message to end.
        let message = if answer.starts_with(b"HTTP") { 0 } else { 1 << 20 };
        // What came with it, and what came with what was too much, each a window at most.
        let most = end.len() + message + 3 * 64 * 1024;
        assert!(received <= most, "{name}: {received}");
        // After both close frames the server ends as soon as it has read what there is.
        assert!(received >= message || name == "a close", "{name}: {received}");
        assert!(rig.sim().peer_received(peer).starts_with(answer), "{name}");
    }
}

#[test]
fn a_peer_that_does_not_answer_the_close_is_cut_after_16_mib_and_a_message() {
    let (mut rig, notes) = rig();
    let peer = rig.peer();
    rig.send(peer, OpCode::Text, b"close");
    let received = flooded(&mut rig, peer, &frame(OpCode::Binary, &[7; 1_000]));
    let most = (16 << 20) + (1 << 20);
    assert!((most - 1_000..=most + 64 * 1024).contains(&received), "{received}");
    assert_eq!(*notes.borrow(), ["closed by the application: 1000 (normal closure)"]);
}

#[test]
fn a_peer_with_much_on_its_way_may_still_answer_the_close() {
    let (mut rig, _) = rig();
    let peer = rig.peer();
    rig.send(peer, OpCode::Text, b"close");
    let mut sent = frame(OpCode::Binary, &[7; 1_000]).repeat(10_000);
    sent.extend(frame(OpCode::Close, &NORMAL));
    rig.sim().peer_send(peer, &sent);
    rig.run(2_000);
    assert!(has_received_the_close(&mut rig, peer));
    assert!(has_ended(&mut rig, peer));
    assert_eq!(rig.event_loop.connections(), 0);
}

/// A peer that requests `len` bytes, reads nothing, and half-closes after it has sent `behind`.
fn half_closed(len: usize, behind: &[u8]) -> (Rig, PeerId, Notes<String>) {
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let config = Config::default().outbox(64 * 1024, 4 << 20);
    let mut rig = Rig::new(SimConfig::calm(), config, move |conn, call| match call {
        Call::Message(_) => drop(conn.send(vec![7; len])),
        Call::Close(reason) => log.borrow_mut().push(reason.to_string()),
        _ => {}
    });
    let peer = rig.peer();
    rig.sim().peer_stop_reading(peer);
    rig.send(peer, OpCode::Text, b"so much");
    rig.sim().peer_send(peer, behind);
    rig.sim().peer_close(peer);
    rig.run(10);
    (rig, peer, notes)
}

#[test]
fn queued_output_is_delivered_after_the_peer_half_closes() {
    let close = frame(OpCode::Close, &NORMAL);
    for behind in [&b""[..], &close] {
        for len in [1_000, 66_000, 100_000, 128_000, 131_000, 200_000, 1_500_000] {
            let (mut rig, peer, notes) = half_closed(len, behind);
            let mut received = Vec::new();
            // Longer than the close timeout, which counts from the last progress.
            for _ in 0..len / 64_000 + 2 {
                rig.sim().peer_resume(peer);
                rig.sim().peer_stop_reading(peer);
                received.extend(rig.sim().peer_received(peer));
                rig.run(1_000);
            }
            rig.sim().peer_resume(peer);
            rig.run(10);
            received.extend(rig.sim().peer_received(peer));
            let frames = len + if len < 65_536 { 4 } else { 10 };
            let close = if behind.is_empty() { 0 } else { 4 };
            assert_eq!(received.len(), frames + close, "{len} with {behind:?}");
            assert!(has_ended(&mut rig, peer));
            assert_eq!(rig.event_loop.connections(), 0);
            let why = match behind {
                [] => "stream failed: unexpected end of file",
                _ => "closed by the peer: 1000 (normal closure)",
            };
            assert_eq!(*notes.borrow(), [why]);
        }
    }
}

#[test]
fn a_half_closed_peer_that_reads_nothing_is_cut_in_time() {
    for len in [100_000, 120_000] {
        let (mut rig, _, notes) = half_closed(len, b"");
        rig.run(4_900);
        assert_eq!((notes.borrow().len(), rig.event_loop.connections()), (1, 1));
        rig.run(200);
        assert_eq!(rig.event_loop.connections(), 0);
    }
}

#[test]
fn the_applications_close_is_delivered_after_the_peer_half_closes() {
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let mut rig = Rig::new(SimConfig::calm(), Config::default(), move |conn, call| match call {
        Call::Message(_) => {
            conn.send([7; 100_000]);
            assert!(conn.close(CloseCode::NORMAL, ""));
        }
        Call::Close(reason) => log.borrow_mut().push(reason.to_string()),
        _ => {}
    });
    let peer = rig.peer();
    rig.sim().peer_stop_reading(peer);
    rig.send(peer, OpCode::Text, b"last words");
    rig.sim().peer_close(peer);
    rig.run(10);
    rig.sim().peer_resume(peer);
    rig.run(10);
    let received = rig.received(peer);
    assert!(matches!(received[..], [Arrived::Message(..), Arrived::Close(Some(1000))]));
    assert!(has_ended(&mut rig, peer));
    assert_eq!(*notes.borrow(), ["closed by the application: 1000 (normal closure)"]);
}
