//! How a connection's stream ends: who ends it, when, and what still leaves.

use std::rc::Rc;

use eventwire::proto::OpCode;
use eventwire::reactor::sim::{PeerId, SimConfig};
use eventwire::{CloseCode, Config, Disconnect};

use super::rig::{Call, Notes, Rig, text};
use super::script::Arrived;

/// The payload of a close frame with code 1000.
const NORMAL: [u8; 2] = 1000_u16.to_be_bytes();

/// A loop that closes on "close", echoes all else, and notes why connections end.
fn rig() -> (Rig, Notes<String>) {
    let notes = Notes::default();
    let told = Rc::clone(&notes);
    let rig = Rig::new(SimConfig::calm(), Config::default(), move |conn, call, cx| match call {
        Call::Message(_) if text(&call) == Some("close") => {
            assert!(cx.close(conn, CloseCode::NORMAL, ""));
        }
        Call::Message(message) => drop(cx.send(conn, message)),
        Call::Close(reason) => told.borrow_mut().push(reason.to_string()),
        _ => {}
    });
    (rig, notes)
}

/// Whether the stream has ended for the peer, in order.
fn has_ended(rig: &mut Rig, peer: PeerId) -> bool {
    rig.sim().peer_is_closed(peer) && !rig.sim().peer_was_reset(peer)
}

/// Whether a close frame has arrived at the peer, and nothing else.
fn hears_the_close(rig: &mut Rig, peer: PeerId) -> bool {
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
        assert!(hears_the_close(&mut rig, peer), "{first}");
        assert!(has_ended(&mut rig, peer), "{first}");
        assert_eq!(rig.event_loop.connections(), 0, "{first}");
        assert_eq!(rig.sim().open_descriptors(), 1, "{first}");
        assert_eq!(notes.borrow().len(), 1);
    }
}

#[test]
fn what_comes_behind_the_peers_close_frame_does_not_destroy_ours() {
    let (mut rig, _) = rig();
    let peer = rig.peer();
    let mut bytes = super::rig::frame(OpCode::Close, &NORMAL);
    bytes.extend([0; 40_000]);
    rig.sim().peer_send(peer, &bytes);
    rig.run(1);
    assert!(hears_the_close(&mut rig, peer));
    assert!(has_ended(&mut rig, peer));
    assert_eq!(rig.event_loop.connections(), 0);
}

#[test]
fn a_peer_that_did_not_answer_the_close_is_waited_for() {
    let (mut rig, _) = rig();
    let peer = rig.peer();
    rig.send(peer, OpCode::Text, b"close");
    rig.run(4_000);
    assert!(hears_the_close(&mut rig, peer));
    assert_eq!(rig.event_loop.connections(), 1);
    assert!(!rig.sim().peer_is_closed(peer));
    rig.run(1_100);
    assert_eq!(rig.event_loop.connections(), 0);
}

#[test]
fn a_client_leaves_the_end_of_tcp_to_the_server_and_does_not_wait_for_ever() {
    for ends in [true, false] {
        let reasons = Notes::default();
        let told = Rc::clone(&reasons);
        let mut rig = Rig::new(SimConfig::calm(), Config::default(), |_, _, _| {});
        let server = rig.server(move |_, call, _| {
            if let Call::Close(Disconnect::ClosedByPeer { code, .. }) = call {
                told.borrow_mut().push(*code);
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
