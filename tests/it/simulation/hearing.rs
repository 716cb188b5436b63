//! What is read from a peer for which much output waits.

use std::cell::Cell;
use std::rc::Rc;

use eventwire::proto::{OpCode, Role};
use eventwire::reactor::sim::{PeerId, SimConfig};
use eventwire::{Config, ConnectionId, SendStatus};

use super::rig::{Call, Notes, Rig, text};
use crate::shared::{Arrived, frame, take_frame};

const SOFT: usize = 64 * 1024;
const HARD: usize = 8 << 20;
const RECEIVE: usize = 4096;

/// What answers "ask".
const ANSWER: usize = 2_000;
/// What answers "ask for much": as much as there is room for in any case.
const MUCH: usize = HARD / 2;

/// What the peer has received, of whatever it was sent.
#[derive(Default)]
struct Received {
    messages: usize,
    pongs: usize,
    closed: bool,
}

/// A peer that is sent more than it reads.
struct Behind {
    rig: Rig,
    peer: PeerId,
    conn: ConnectionId,
    /// What its handler was called with.
    calls: Notes<String>,
    input: Vec<u8>,
}

impl Behind {
    /// A peer that was sent `bytes` in messages which it did not ask for.
    fn by(bytes: usize) -> Self {
        let calls = Notes::default();
        let (notes, conn) = (Rc::clone(&calls), Rc::new(Cell::new(None)));
        let opened = Rc::clone(&conn);
        let config = Config::default().outbox(SOFT, HARD).receive_buffer(RECEIVE);
        let mut rig = Rig::new(SimConfig::calm(), config, move |conn, call| {
            let what = match call {
                Call::Open => return opened.set(Some(conn.id())),
                Call::Message(_) => text(&call).unwrap_or_default().to_owned(),
                Call::Ping => "ping".to_owned(),
                Call::Close(reason) => reason.to_string(),
                _ => return,
            };
            let answer = match &*what {
                "ask" => ANSWER,
                "ask for much" => MUCH,
                _ => 0,
            };
            if answer > 0 {
                assert_ne!(conn.send(vec![0; answer]), SendStatus::Dropped);
            }
            notes.borrow_mut().push(what);
        });
        let peer = rig.peer();
        rig.sim().peer_stop_reading(peer);
        let conn = conn.get().expect("it is open");
        rig.act(move |cx| {
            for _ in 0..bytes / 10_000 {
                assert_ne!(cx.send_to(conn, [0; 10_000]), SendStatus::Dropped);
            }
        });
        rig.run(1);
        Self { rig, peer, conn, calls, input: Vec::new() }
    }

    /// Bytes that wait for it.
    fn waiting(&mut self) -> usize {
        let conn = self.conn;
        self.rig.act(move |cx| cx.connection(conn).buffered_bytes())
    }

    fn count(&self, what: &str) -> usize {
        self.calls.borrow().iter().filter(|calls| *calls == what).count()
    }

    /// Reads what is there, once.
    fn read(&mut self) -> Received {
        self.rig.sim().peer_resume(self.peer);
        self.rig.sim().peer_stop_reading(self.peer);
        self.input.extend(self.rig.sim().peer_received(self.peer));
        self.rig.run(5);
        let mut received = Received::default();
        while let Some(arrived) = take_frame(&mut self.input, Role::Client) {
            match arrived {
                Arrived::Message(..) => received.messages += 1,
                Arrived::Pong => received.pongs += 1,
                Arrived::Close(_) => received.closed = true,
                Arrived::Ping(_) => {}
            }
        }
        received
    }
}

#[test]
fn a_slow_peer_is_still_read_and_answered() {
    for bytes in [1_900_000, 4_000_000, 8_300_000] {
        let mut behind = Behind::by(bytes);
        let mut pongs = 0;
        for round in 1..=20 {
            behind.rig.send(behind.peer, OpCode::Text, b"slower please");
            behind.rig.send(behind.peer, OpCode::Ping, b"there?");
            // What it reads allows the next input.
            pongs += behind.read().pongs;
            assert_eq!(behind.count("slower please"), round);
            assert_eq!(behind.count("ping"), round);
        }
        assert!(behind.waiting() > SOFT, "it is not behind any more");
        // All but the last may still be on their way.
        assert!(pongs >= 17, "{pongs}");
    }
}

#[test]
fn a_peer_that_only_asks_and_never_reads_is_not_read_on() {
    for bytes in [0, 1_000_000, 8_000_000] {
        let mut behind = Behind::by(bytes);
        let before = behind.waiting();
        let asks = frame(OpCode::Text, b"ask").repeat(100_000);
        behind.rig.sim().peer_send(behind.peer, &asks);
        behind.rig.run(2_000);
        let (asked, waiting) = (behind.count("ask"), behind.waiting());
        // All of what was received once, if little waited; or the share of a slow peer.
        let most = if bytes == 0 { RECEIVE / 9 + 2 } else { 10 };
        assert!(asked <= most, "{asked}");
        assert!(waiting <= before + asked * (ANSWER + 4), "{waiting}");
        behind.rig.run(6_000);
        assert_eq!((behind.count("ask"), behind.waiting()), (asked, waiting));
        assert_eq!(behind.count("the peer reads too slowly"), 0);
    }
}

#[test]
fn answers_to_a_slow_peer_fit_into_its_outbox() {
    const ASKS: usize = 5;
    for bytes in [1_000_000, 3_900_000, 8_300_000] {
        let mut behind = Behind::by(bytes);
        let asks = frame(OpCode::Text, b"ask for much").repeat(ASKS);
        behind.rig.sim().peer_send(behind.peer, &asks);
        let mut messages = 0;
        for _ in 0..1_000 {
            messages += behind.read().messages;
            assert!(behind.waiting() <= HARD + MUCH);
        }
        assert_eq!(behind.count("ask for much"), ASKS);
        assert_eq!(messages, bytes / 10_000 + ASKS);
    }
}

#[test]
fn the_close_frame_of_a_slow_peer_ends_its_connection() {
    let mut behind = Behind::by(2_000_000);
    behind.rig.send(behind.peer, OpCode::Text, b"unsubscribe");
    behind.read();
    behind.rig.send(behind.peer, OpCode::Close, &1000_u16.to_be_bytes());
    behind.read();
    assert_eq!(
        *behind.calls.borrow(),
        ["unsubscribe", "closed by the peer: 1000 (normal closure)"]
    );
    let closed = (0..100).any(|_| behind.read().closed);
    assert!(closed, "its close frame was not answered");
    assert_eq!(behind.rig.event_loop.connections(), 0);
}

#[test]
fn a_long_message_of_a_slow_peer_is_read_in_portions() {
    let mut behind = Behind::by(4_000_000);
    let long = "x".repeat(50_000);
    behind.rig.sim().peer_send(behind.peer, &frame(OpCode::Text, long.as_bytes()));
    let rounds = (0..100).take_while(|_| {
        behind.read();
        behind.calls.borrow().is_empty()
    });
    let rounds = rounds.count();
    assert_eq!(*behind.calls.borrow(), [long]);
    // One of 4 KiB for each 64 KiB that the peer takes.
    assert!((10..=30).contains(&rounds), "{rounds}");
}
