//! Broadcasts to many: how much of one a turn delivers, and that others are served meanwhile.

use std::rc::Rc;
use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::reactor::sim::{PeerId, SimConfig};
use eventwire::{Config, SendStatus};

use super::rig::{Call, Notes, Rig, text};
use crate::shared::{Arrived, frame};

const SUBSCRIBERS: u64 = 1_000;

/// Connections that a turn delivers to.
const SLICE: u64 = 256;

/// The texts that arrived at a peer.
fn texts(rig: &mut Rig, peer: PeerId) -> Vec<String> {
    let texts = rig.received(peer).into_iter().map(|arrived| match arrived {
        Arrived::Message(true, text) => String::from_utf8(text).expect("text"),
        _ => panic!("nothing but text is sent"),
    });
    texts.collect()
}

#[test]
fn a_turn_delivers_to_a_slice_of_many_and_others_are_answered_between_two() {
    let ids = Notes::default();
    let some_ids = Rc::clone(&ids);
    let calm = SimConfig::calm().latency(Duration::ZERO, Duration::ZERO);
    let mut rig = Rig::new(calm, Config::default(), move |conn, call| match text(&call) {
        Some(text) => assert_eq!(conn.send(text), SendStatus::Sent),
        None if matches!(call, Call::Open) => some_ids.borrow_mut().push(conn.id()),
        None => {}
    });
    let bystander = rig.peer();
    let peers: Vec<_> = (0..SUBSCRIBERS).map(|_| rig.peer()).collect();
    let crowd = ids.borrow()[1..].to_vec();
    let topic = rig.act(move |cx| {
        let topic = cx.topic("crowd").expect("a topic");
        crowd.iter().for_each(|conn| assert_eq!(cx.connection(*conn).subscribe(topic), Ok(true)));
        topic
    });
    let before = rig.event_loop.stats().messages_sent;
    rig.act(move |cx| assert_eq!(cx.broadcast(topic, "news"), SendStatus::Sent));
    for turn in 1..=4 {
        // One answer to the bystander for each slice after the first.
        let sent = rig.event_loop.stats().messages_sent - before;
        assert_eq!(sent, SUBSCRIBERS.min(turn * SLICE) + turn - 1);
        rig.sim().peer_send(bystander, &frame(OpCode::Text, b"still there?"));
        rig.event_loop.turn(Some(Duration::ZERO), &mut ()).expect("a poll");
    }
    rig.run(1);
    assert_eq!(texts(&mut rig, bystander), ["still there?"; 4]);
    for peer in peers {
        assert_eq!(texts(&mut rig, peer), ["news"]);
    }
}
