//! What all connections hold together: which are closed when that is too much, and which are not.

mod output;

use std::rc::Rc;

use eventwire::proto::OpCode;
use eventwire::reactor::sim::{PeerId, SimConfig};
use eventwire::{Config, ConnectionId, Context, Disconnect, MemoryLimit, SendStatus};

use super::rig::{Call, Notes, Rig};
use crate::shared::{Arrived, frame};

const INBOUND: &str = "unfinished messages take too much memory";
const OUTBOUND: &str = "queued output takes too much memory";

/// A loop that notes the lengths of messages, the reasons of ends, and its connections.
struct Noting {
    rig: Rig,
    lens: Notes<usize>,
    ends: Notes<(ConnectionId, String)>,
    ids: Notes<ConnectionId>,
}

impl Noting {
    fn new(config: Config) -> Self {
        let (lens, ends, ids) = (Notes::default(), Notes::default(), Notes::default());
        let (some_lens, some_ends, some_ids) =
            (Rc::clone(&lens), Rc::clone(&ends), Rc::clone(&ids));
        let rig = Rig::new(SimConfig::calm(), config, move |conn, call| match call {
            Call::Open => some_ids.borrow_mut().push(conn.id()),
            Call::Message(message) => some_lens.borrow_mut().push(message.len()),
            Call::Close(reason) => some_ends.borrow_mut().push((conn.id(), reason.to_string())),
            _ => {}
        });
        Self { rig, lens, ends, ids }
    }

    /// A peer that does not read, and its connection.
    fn deaf(&mut self) -> (PeerId, ConnectionId) {
        let peer = self.rig.peer();
        self.rig.sim().peer_stop_reading(peer);
        (peer, *self.ids.borrow().last().expect("it is open"))
    }

    fn send(&mut self, conn: ConnectionId, len: usize) -> SendStatus {
        self.rig.act(move |cx: &mut Context<'_>| cx.send_to(conn, vec![0; len]))
    }

    /// Bytes of memory that all output holds.
    fn held(&self) -> usize {
        self.rig.event_loop.stats().outbound_bytes as usize
    }

    /// Connections that ended for want of memory.
    fn ended(&self, reason: &str) -> Vec<ConnectionId> {
        let ends = self.ends.borrow();
        assert!(ends.iter().all(|(_, end)| end == reason), "{ends:?}");
        ends.iter().map(|(conn, _)| *conn).collect()
    }
}

#[test]
fn the_longest_of_the_unfinished_messages_go_first() {
    const CAP: usize = 3 << 20;
    let mut noting = Noting::new(Config::default().max_inbound(CAP));
    let halves: Vec<_> = [10_000, 900_000, 20_000, 1_000_000, 30_000, 800_000]
        .into_iter()
        .map(|len| {
            let (peer, frame) = (noting.rig.peer(), frame(OpCode::Binary, &vec![0; len]));
            let half = frame.len() - len / 10;
            noting.rig.sim().peer_send(peer, &frame[..half]);
            noting.rig.run(10);
            (peer, frame[half..].to_vec())
        })
        .collect();
    // Storage has room to spare, so the number of long ones that have to go is not exact.
    let ended = noting.ended(INBOUND);
    assert!((1..=3).contains(&ended.len()), "{ended:?}");
    for (place, (peer, rest)) in halves.into_iter().enumerate() {
        let has_ended = ended.contains(&noting.ids.borrow()[place]);
        if has_ended {
            assert!([1, 3, 5].contains(&place), "{place}");
            let received = noting.rig.received(peer);
            assert!(matches!(received[..], [Arrived::Close(Some(1013))]));
        }
        noting.rig.sim().peer_send(peer, &rest);
        noting.rig.run(10);
    }
    let lens = noting.lens.borrow();
    assert_eq!(lens.len(), 6 - ended.len());
    assert!([10_000, 20_000, 30_000].iter().all(|len| lens.contains(len)), "{lens:?}");
}

#[test]
fn a_connection_closed_for_its_input_is_not_read_any_more() {
    let mut noting = Noting::new(Config::default().max_inbound(200_000));
    let peer = noting.rig.peer();
    let message = frame(OpCode::Binary, &[0; 900_000]);
    noting.rig.sim().peer_send(peer, &message);
    noting.rig.sim().peer_send(peer, &frame(OpCode::Binary, b"more"));
    noting.rig.run(100);
    assert_eq!(noting.ended(INBOUND).len(), 1);
    assert!(matches!(noting.rig.received(peer)[..], [Arrived::Close(Some(1013))]));
    noting.rig.sim().peer_close(peer);
    noting.rig.run(10);
    assert_eq!((noting.lens.borrow().len(), noting.rig.event_loop.connections()), (0, 0));
}

#[test]
fn unhandled_input_counts_as_inbound() {
    // Each of these is held by a connection that was paused behind its first message.
    const COUNT: usize = 4;
    let lens = Notes::default();
    let seen = Rc::clone(&lens);
    let ends = Notes::default();
    let log = Rc::clone(&ends);
    let config = Config::default().max_inbound(COUNT * 50_000 - 1);
    let mut rig = Rig::new(SimConfig::calm(), config, move |conn, call| match call {
        Call::Message(message) => {
            seen.borrow_mut().push((conn.id(), message.len()));
            if message.as_text().is_some() {
                assert!(conn.pause());
            }
        }
        Call::Close(Disconnect::MemoryPressure(limit)) => {
            log.borrow_mut().push((conn.id(), *limit));
        }
        _ => {}
    });
    let stream = [frame(OpCode::Text, b"pause"), frame(OpCode::Binary, &[0; 49_992])].concat();
    let peers: Vec<_> = (0..COUNT).map(|_| rig.peer()).collect();
    for &peer in &peers {
        rig.sim().peer_send(peer, &stream);
        rig.run(1);
    }
    let ended = ends.borrow().clone();
    let [(ended, MemoryLimit::Inbound)] = ended[..] else { panic!("{ended:?}") };
    let paused: Vec<_> = lens.borrow_mut().drain(..).map(|(conn, _)| conn).collect();
    assert_eq!(paused.len(), COUNT);
    let resumed = paused.clone();
    let resumed = rig.act(move |cx| {
        let resumed = resumed.iter().filter(|conn| cx.connection(**conn).resume());
        resumed.count()
    });
    assert_eq!(resumed, COUNT - 1);
    rig.run(10);
    let received: Vec<_> = lens.borrow().iter().map(|(conn, _)| *conn).collect();
    let others: Vec<_> = paused.into_iter().filter(|conn| *conn != ended).collect();
    assert_eq!(received, others);
}
