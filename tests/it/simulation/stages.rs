//! Shutdown in stages, from handlers, in virtual time.

use std::rc::Rc;
use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::reactor::sim::{PeerId, SimConfig};
use eventwire::{CloseCode, Config, Context, RunEnd, Shutdown};

use super::rig::{Call, Notes, Rig, text};
use crate::shared::{Arrived, frame, request};

const SECOND: Duration = Duration::from_secs(1);

const LONG: Duration = Duration::from_secs(3600);

/// An echo server that notes the messages and ends it saw.
fn rig() -> (Rig, Notes<String>) {
    let notes = Notes::default();
    let seen = Rc::clone(&notes);
    let rig = Rig::new(SimConfig::calm(), Config::default(), move |conn, call| {
        if let Some(text) = text(&call) {
            conn.send(text);
            seen.borrow_mut().push(text.to_owned());
        }
        if let Call::Close(why) = call {
            seen.borrow_mut().push(why.to_string());
        }
    });
    (rig, notes)
}

/// The texts that arrived at a peer, which gets nothing else.
fn texts(rig: &mut Rig, peer: PeerId) -> Vec<String> {
    let text = |frame| match frame {
        Arrived::Message(true, text) => String::from_utf8(text).expect("text"),
        other => panic!("{other:?}"),
    };
    rig.received(peer).into_iter().map(text).collect()
}

/// Whether the peer got a close frame; it answers it.
fn is_closed(rig: &mut Rig, peer: PeerId, code: CloseCode) -> bool {
    let frames = rig.received(peer);
    let is_closed = frames
        .iter()
        .any(|frame| matches!(frame, Arrived::Close(Some(sent)) if *sent == code.get()));
    if is_closed {
        rig.send(peer, OpCode::Close, &code.get().to_be_bytes());
    }
    is_closed
}

#[test]
fn connections_are_closed_evenly_over_the_time_and_the_others_are_served() {
    const PEERS: usize = 10;
    let (mut rig, _) = rig();
    let peers: Vec<_> = (0..PEERS).map(|_| rig.peer()).collect();
    rig.act(|cx: &mut Context<'_>| {
        cx.shutdown(Shutdown::within(LONG).code(CloseCode::RESTART, "").spread(10 * SECOND));
    });
    let mut open = peers;
    for second in 0..PEERS {
        rig.run(100);
        open.retain(|peer| !is_closed(&mut rig, *peer, CloseCode::RESTART));
        assert_eq!(open.len(), PEERS - 1 - second, "after {second} seconds");
        for &peer in &open {
            rig.send(peer, OpCode::Text, b"still here?");
            assert_eq!(texts(&mut rig, peer), ["still here?"]);
        }
        let spent = 100 + open.len() as u64;
        rig.run(1_000 - spent - 2);
    }
    assert!(rig.event_loop.is_stopping());
    let summary = rig.event_loop.run(&mut ()).expect("it ends");
    assert_eq!((summary.end, summary.closed, summary.cut), (RunEnd::ShutDown, PEERS, 0));
}

#[test]
fn a_deadline_before_the_end_of_the_spread_cuts_the_rest() {
    let (mut rig, notes) = rig();
    for _ in 0..4 {
        rig.peer();
    }
    rig.act(|cx| cx.shutdown(Shutdown::within(5 * SECOND).spread(8 * SECOND)));
    rig.run(6_000);
    let summary = rig.event_loop.run(&mut ()).expect("it ends");
    assert_eq!((summary.end, summary.closed, summary.cut), (RunEnd::ShutDown, 0, 4));
    assert_eq!(*notes.borrow(), ["closed by the application: 1001 (going away)"; 4]);
}

#[test]
fn a_loop_that_stops_reading_handles_no_message_and_sends_what_it_has() {
    let (mut rig, notes) = rig();
    let topic = rig.event_loop.topic("news").expect("a topic");
    let (peer, opening) = (rig.peer(), {
        let address = rig.address;
        rig.sim().peer_connect(address)
    });
    rig.send(peer, OpCode::Text, b"one");
    assert_eq!(texts(&mut rig, peer), ["one"]);
    rig.act(|cx| {
        cx.stop_reading();
    });
    rig.send(peer, OpCode::Text, b"two");
    // One that opens later is not read from either, and still gets what is sent to all.
    rig.sim().peer_send(opening, &request(0));
    rig.run(1);
    assert!(rig.sim().peer_received(opening).starts_with(b"HTTP/1.1 101"));
    rig.sim().peer_send(opening, &frame(OpCode::Text, b"three"));
    rig.run(100);
    assert_eq!(texts(&mut rig, peer), [""; 0]);
    assert_eq!(texts(&mut rig, opening), [""; 0]);
    assert_eq!(*notes.borrow(), ["one"]);
    rig.act(move |cx| cx.broadcast(topic, "nobody subscribes"));
    rig.act(|cx| cx.shutdown(Shutdown::within(SECOND).code(CloseCode::RESTART, "bye")));
    rig.run(10);
    for peer in [peer, opening] {
        assert!(is_closed(&mut rig, peer, CloseCode::RESTART));
    }
    rig.run(1_000);
    let summary = rig.event_loop.run(&mut ()).expect("it ends");
    assert_eq!((summary.end, summary.closed), (RunEnd::ShutDown, 2));
    assert_eq!(notes.borrow().len(), 3, "no message was handled after the stop");
}

#[test]
fn a_loop_that_stops_listening_serves_its_connections_for_ever() {
    let (mut rig, _) = rig();
    let peer = rig.peer();
    rig.act(|cx| {
        cx.stop_listening();
    });
    let address = rig.address;
    let late = rig.sim().peer_connect(address);
    rig.run(100);
    rig.sim().peer_send(late, &request(0));
    rig.run(100);
    assert_eq!(rig.sim().peer_received(late), b"", "nobody accepts it");
    rig.send(peer, OpCode::Text, b"one");
    assert_eq!(texts(&mut rig, peer), ["one"]);
    assert!(!rig.event_loop.is_stopping());
}
