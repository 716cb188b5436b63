//! Control frames while output waits: pings are answered, and close frames pass.

use std::rc::Rc;

use eventwire::proto::{OpCode, Role};
use eventwire::reactor::sim::SimConfig;
use eventwire::{CloseCode, Config, SendStatus};

use super::rig::{Call, Notes, Rig, text};
use crate::shared::frames::encode;
use crate::shared::{Arrived, take_frame};

/// More than the window holds.
const MUCH: usize = 300_000;

/// A loop that answers text with much, and notes pings and ends.
fn rig(soft: usize) -> (Rig, Notes<String>) {
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let config = Config::default().outbox(soft, 1 << 20);
    let rig = Rig::new(SimConfig::calm(), config, move |conn, call| match call {
        Call::Message(_) if text(&call) == Some("close") => {
            assert!(conn.close(CloseCode::NORMAL, ""));
        }
        Call::Message(_) => assert_eq!(conn.send([0; MUCH]), SendStatus::Queued),
        Call::Ping => log.borrow_mut().push("ping".to_owned()),
        Call::Close(reason) => log.borrow_mut().push(reason.to_string()),
        _ => {}
    });
    (rig, notes)
}

#[test]
fn the_peers_close_frame_is_answered_after_queued_output() {
    let (mut rig, notes) = rig(1 << 20);
    let peer = rig.peer();
    rig.sim().peer_stop_reading(peer);
    rig.send(peer, OpCode::Text, b"much");
    rig.send(peer, OpCode::Ping, b"there?");
    rig.send(peer, OpCode::Close, &1000_u16.to_be_bytes());
    assert_eq!(*notes.borrow(), ["ping", "closed by the peer: 1000 (normal closure)"]);
    rig.sim().peer_resume(peer);
    rig.run(10);
    let received = rig.received(peer);
    let in_order =
        matches!(received[..], [Arrived::Message(..), Arrived::Pong, Arrived::Close(Some(1000))]);
    assert!(in_order, "{} frames", received.len());
    rig.sim().peer_close(peer);
    rig.run(10);
    assert_eq!(rig.event_loop.connections(), 0);
}

#[test]
fn a_close_frame_behind_the_soft_limit_is_read_once_the_peer_reads() {
    let (mut rig, notes) = rig(64 * 1024);
    let peer = rig.peer();
    rig.sim().peer_stop_reading(peer);
    rig.send(peer, OpCode::Text, b"much");
    rig.send(peer, OpCode::Ping, b"there?");
    rig.send(peer, OpCode::Close, &1000_u16.to_be_bytes());
    rig.run(5_000);
    assert_eq!(*notes.borrow(), [""; 0]);
    rig.sim().peer_resume(peer);
    rig.run(10);
    assert_eq!(*notes.borrow(), ["ping", "closed by the peer: 1000 (normal closure)"]);
    let received = rig.received(peer);
    let in_order =
        matches!(received[..], [Arrived::Message(..), Arrived::Pong, Arrived::Close(Some(1000))]);
    assert!(in_order, "{} frames", received.len());
}

#[test]
fn the_applications_close_frame_follows_queued_output() {
    let (mut rig, notes) = rig(1 << 20);
    let peer = rig.peer();
    rig.sim().peer_stop_reading(peer);
    rig.send(peer, OpCode::Text, b"much");
    rig.send(peer, OpCode::Text, b"close");
    rig.run(2_000);
    rig.sim().peer_resume(peer);
    rig.run(10);
    let received = rig.received(peer);
    assert!(matches!(received[..], [Arrived::Message(..), Arrived::Close(Some(1000))]));
    rig.send(peer, OpCode::Close, &1000_u16.to_be_bytes());
    assert_eq!(*notes.borrow(), ["closed by the application: 1000 (normal closure)"]);
}

#[test]
fn a_client_answers_pings_however_much_is_queued() {
    const PINGS: usize = 50;
    let (mut rig, _) = rig(1 << 20);
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let server = rig.server(move |conn, call| match call {
        Call::Message(_) => assert_eq!(conn.send([0; MUCH]), SendStatus::Queued),
        Call::Ping => log.borrow_mut().push(conn.buffered_bytes()),
        _ => {}
    });
    rig.sim().peer_stop_reading(server);
    let much = encode(true, OpCode::Text, None, b"much");
    let pings = encode(true, OpCode::Ping, None, b"there?").repeat(PINGS);
    rig.sim().peer_send(server, &[much, pings].concat());
    rig.run(10);
    let waited = std::mem::take(&mut *notes.borrow_mut());
    assert_eq!(waited.len(), PINGS);
    assert!(waited.iter().all(|bytes| *bytes == waited[1]), "more than one pong waits");
    rig.sim().peer_resume(server);
    rig.run(10);
    let mut bytes = rig.sim().peer_received(server);
    let received: Vec<_> = std::iter::from_fn(|| take_frame(&mut bytes, Role::Server)).collect();
    assert!(matches!(received[..], [Arrived::Message(..), Arrived::Pong]));
}
