//! What one connection gets of a turn, counted in calls and turns, in virtual time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use eventwire::proto::http::{HttpRequest, HttpResponse};
use eventwire::proto::{Limits, OpCode};
use eventwire::reactor::sim::{PeerId, SimConfig};
use eventwire::{CloseCode, Config, Connection, Routes, ServerConfig};

use super::rig::{Call, Calls, Notes, Rig, text};
use crate::shared::frame;
#[cfg(feature = "deflate")]
use crate::shared::{Arrived, request};

/// How many messages, control frames and fragments of a connection are handled in a turn.
const FRAMES: usize = 256;

/// More turns than anything here takes.
const ENDLESS: usize = 100_000;

fn fragment(fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame(opcode, payload);
    bytes[0] = bytes[0] & 0x7F | u8::from(fin) << 7;
    bytes
}

fn name(call: &Call<'_>) -> String {
    match call {
        Call::Open => "open".to_owned(),
        Call::Message(message) => message.as_text().unwrap_or("binary").to_owned(),
        Call::Ping => "ping".to_owned(),
        Call::Pong => "pong".to_owned(),
        Call::Close(reason) => reason.to_string(),
        Call::ConnectError(error) => error.to_string(),
    }
}

/// A loop whose handler notes its calls, and then runs `act`. No rate limit applies.
fn rig(act: impl Fn(&mut Connection<'_>, &Call<'_>) + 'static) -> (Rig, Notes<String>) {
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let mut rig = Rig::new(SimConfig::calm(), Config::default(), |_, _| {});
    let limits = Limits::default().control_rate(u32::MAX, u32::MAX).ping_interval(None);
    let handler = Calls(move |conn: &mut Connection<'_>, call: Call<'_>| {
        log.borrow_mut().push(name(&call));
        act(conn, &call);
    });
    let config = ServerConfig::default().limits(limits);
    let listener = rig.event_loop.listen("127.0.0.1:0", config, handler).expect("a port");
    rig.address = rig.event_loop.local_addr(listener).expect("an address");
    (rig, notes)
}

fn send(rig: &mut Rig, peer: PeerId, bytes: &[u8]) {
    rig.sim().peer_send(peer, bytes);
}

fn turn(rig: &mut Rig) {
    rig.event_loop.turn(Some(Duration::from_millis(1)), &mut ()).expect("a poll");
}

/// Runs turns until `count` calls were noted; how many calls there were in each turn.
fn calls_by_turn(rig: &mut Rig, notes: &RefCell<Vec<String>>, count: usize) -> Vec<usize> {
    let mut turns = Vec::new();
    for _ in 0..ENDLESS {
        let before = notes.borrow().len();
        if before >= count {
            return turns;
        }
        turn(rig);
        turns.push(notes.borrow().len() - before);
    }
    panic!("{} calls of {count}", notes.borrow().len());
}

#[test]
fn a_turn_hands_over_no_more_of_a_connection_than_its_share() {
    for opcode in [OpCode::Text, OpCode::Ping, OpCode::Pong] {
        const COUNT: usize = 44_000;
        let (mut rig, notes) = rig(|_, _| {});
        let peer = rig.peer();
        notes.borrow_mut().clear();
        send(&mut rig, peer, &frame(opcode, b"").repeat(COUNT));
        let turns = calls_by_turn(&mut rig, &notes, COUNT);
        assert!(turns.iter().all(|calls| *calls <= FRAMES), "{opcode:?}: {turns:?}");
        assert_eq!(turns.iter().sum::<usize>(), COUNT);
    }
}

#[test]
fn plain_requests_use_up_a_share_as_messages_do() {
    const COUNT: usize = 3_000;
    let (mut rig, notes) = rig(|_, _| {});
    let log = Rc::clone(&notes);
    let answer = move |_: &mut Connection<'_>, _: &HttpRequest<'_>, (): &mut ()| {
        log.borrow_mut().push("request".to_owned());
        HttpResponse::new(204)
    };
    let routes = Routes::new().get("/", answer);
    let config = ServerConfig::default();
    let listener = rig.event_loop.listen("127.0.0.1:0", config, routes).expect("a port");
    let address = rig.event_loop.local_addr(listener).expect("an address");
    let peer = rig.sim().peer_connect(address);
    send(&mut rig, peer, &b"GET / HTTP/1.1\r\nHost: sim\r\n\r\n".repeat(COUNT));
    let turns = calls_by_turn(&mut rig, &notes, COUNT);
    assert!(turns.iter().all(|calls| *calls <= FRAMES), "{turns:?}");
}

#[test]
fn fragments_use_up_a_share_as_messages_do() {
    const COUNT: usize = 10_000;
    let (mut rig, notes) = rig(|_, _| {});
    let peer = rig.peer();
    notes.borrow_mut().clear();
    let mut stream = fragment(false, OpCode::Text, b"");
    stream.extend(fragment(false, OpCode::Continuation, b"x").repeat(COUNT));
    stream.extend(fragment(true, OpCode::Continuation, b""));
    send(&mut rig, peer, &stream);
    let turns = calls_by_turn(&mut rig, &notes, 1).len();
    assert!(turns > COUNT / FRAMES, "{turns} turns");
    assert_eq!(*notes.borrow(), ["x".repeat(COUNT)]);
}

#[test]
fn everything_comes_in_order_whatever_share_it_falls_into() {
    const ROUNDS: usize = 500;
    let (mut rig, notes) = rig(|conn, call| {
        if let Some(text) = text(call) {
            conn.send(text);
        }
    });
    let peer = rig.peer();
    notes.borrow_mut().clear();
    let (mut stream, mut expected) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let number = round.to_string();
        stream.extend(frame(OpCode::Text, number.as_bytes()));
        stream.extend(fragment(false, OpCode::Text, b"<"));
        stream.extend(frame(OpCode::Ping, b""));
        stream.extend(fragment(true, OpCode::Continuation, b">"));
        expected.extend([number, "ping".to_owned(), "<>".to_owned()]);
    }
    send(&mut rig, peer, &stream);
    calls_by_turn(&mut rig, &notes, expected.len());
    assert_eq!(*notes.borrow(), expected);
    rig.run(10);
    let texts = rig.received(peer).len();
    assert_eq!(texts, 3 * ROUNDS);
}

#[test]
fn others_are_served_while_the_rest_waits_and_counts_as_inbound() {
    let (mut rig, notes) = rig(|_, _| {});
    let (loud, quiet) = (rig.peer(), rig.peer());
    notes.borrow_mut().clear();
    send(&mut rig, loud, &frame(OpCode::Text, b"loud").repeat(10_000));
    send(&mut rig, quiet, &frame(OpCode::Text, b"quiet"));
    calls_by_turn(&mut rig, &notes, 5_000);
    assert!(notes.borrow()[..2 * FRAMES].contains(&"quiet".to_owned()));
    assert!(rig.event_loop.stats().inbound_bytes > 0, "what waits takes memory");
    calls_by_turn(&mut rig, &notes, 10_001);
    turn(&mut rig);
    assert_eq!(rig.event_loop.stats().inbound_bytes, 0);
}

#[test]
fn the_end_of_the_stream_follows_waiting_input() {
    let (mut rig, notes) = rig(|_, _| {});
    let peer = rig.peer();
    notes.borrow_mut().clear();
    send(&mut rig, peer, &frame(OpCode::Text, b"").repeat(3_000));
    send(&mut rig, peer, &frame(OpCode::Close, b""));
    rig.sim().peer_close(peer);
    calls_by_turn(&mut rig, &notes, 3_001);
    assert!(notes.borrow()[..3_000].iter().all(String::is_empty));
    assert!(!notes.borrow()[3_000].is_empty());
}

#[test]
fn a_connection_can_be_paused_and_closed_while_the_rest_waits() {
    let id = Rc::new(Cell::new(None));
    let opened = Rc::clone(&id);
    let (mut rig, notes) = rig(move |conn, call| {
        opened.set(Some(conn.id()));
        match text(call) {
            Some("pause") => assert!(conn.pause()),
            Some("close") => assert!(conn.close(CloseCode::NORMAL, "")),
            _ => {}
        }
    });
    let peer = rig.peer();
    notes.borrow_mut().clear();
    let (message, word) = (frame(OpCode::Text, b""), |word: &[u8]| frame(OpCode::Text, word));
    let (first, second, third) =
        (message.repeat(1_000), message.repeat(2_000), message.repeat(3_000));
    let last = frame(OpCode::Close, b"");
    send(&mut rig, peer, &[first, word(b"pause"), second, word(b"close"), third, last].concat());
    calls_by_turn(&mut rig, &notes, 1_001);
    rig.run(1_000);
    assert_eq!(notes.borrow().len(), 1_001, "it is paused");
    let conn = id.get().expect("it was opened");
    rig.act(move |cx| assert!(cx.connection(conn).resume()));
    let turns = calls_by_turn(&mut rig, &notes, 3_003);
    assert!(turns.iter().all(|calls| *calls <= FRAMES), "{turns:?}");
    assert_eq!(notes.borrow()[3_001], "close");
    rig.run(10);
    assert_eq!(notes.borrow().len(), 3_003, "messages come behind the close");
    assert_eq!(rig.event_loop.stats().inbound_bytes, 0);
}

#[cfg(feature = "deflate")]
mod deflate {
    use eventwire::proto::DeflateConfig;

    use super::*;

    /// How many compressed bytes are taken at a time.
    const PORTION: usize = 64 * 1024;

    /// A rig whose peers may send what is compressed, with or without contexts, and one of them.
    fn offering(contexts: bool) -> (Rig, Notes<String>, PeerId) {
        let (mut rig, notes) = rig(|_, _| {});
        let log = Rc::clone(&notes);
        let handler = Calls(move |_: &mut Connection<'_>, call: Call<'_>| {
            log.borrow_mut().push(name(&call));
        });
        let deflate = DeflateConfig::default().context_takeover(contexts, contexts);
        let config = ServerConfig::default().deflate(deflate);
        let listener = rig.event_loop.listen("127.0.0.1:0", config, handler).expect("a port");
        let address = rig.event_loop.local_addr(listener).expect("an address");
        let peer = rig.sim().peer_connect(address);
        let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
        let request = String::from_utf8(request(0)).expect("text");
        rig.sim().peer_send(peer, request.replace("\r\n\r\n", offer).as_bytes());
        rig.run(1);
        let response = String::from_utf8(rig.sim().peer_received(peer)).expect("text");
        assert!(response.contains("permessage-deflate"), "{response}");
        notes.borrow_mut().clear();
        (rig, notes, peer)
    }

    fn compressed(fin: bool, payload: &[u8]) -> Vec<u8> {
        let mut bytes = fragment(fin, OpCode::Text, payload);
        bytes[0] |= 0x40;
        bytes
    }

    #[test]
    fn a_message_that_takes_much_to_decompress_takes_many_turns() {
        const LEN: usize = 1_000_000;
        for contexts in [false, true] {
            for block in [&[0x03, 0x00][..], &[0x01, 0, 0, 0xFF, 0xFF], &[0x00, 0, 0, 0xFF, 0xFF]] {
                let payload = [&block.repeat(LEN / block.len())[..], &[0x00]].concat();
                let rest = fragment(true, OpCode::Continuation, &payload[LEN / 2..]);
                let split = [compressed(false, &payload[..LEN / 2]), rest].concat();
                for message in [compressed(true, &payload), split] {
                    let (mut rig, notes, peer) = offering(contexts);
                    let quiet = rig.peer();
                    notes.borrow_mut().clear();
                    send(&mut rig, peer, &message);
                    send(&mut rig, peer, &frame(OpCode::Text, b"next"));
                    while rig.event_loop.stats().bytes_received < LEN as u64 {
                        turn(&mut rig);
                    }
                    send(&mut rig, quiet, &frame(OpCode::Ping, b""));
                    let turns = calls_by_turn(&mut rig, &notes, 3).len();
                    // The last of it may have begun in the turn in which it was received.
                    assert!(turns >= LEN / PORTION - 1, "{turns} turns");
                    notes.borrow_mut().retain(|note| note != "ping");
                    assert_eq!(*notes.borrow(), ["", "next"]);
                    turn(&mut rig);
                    assert_eq!(rig.event_loop.stats().inbound_bytes, 0);
                    assert!(matches!(rig.received(quiet)[..], [Arrived::Pong]));
                }
            }
        }
    }

    #[test]
    fn a_connection_can_be_closed_in_the_midst_of_a_message() {
        let (mut rig, notes, peer) = offering(false);
        send(&mut rig, peer, &compressed(true, &[0x03, 0x00].repeat(500_000)));
        while rig.event_loop.stats().bytes_received < 1_000_000 {
            turn(&mut rig);
        }
        assert!(rig.event_loop.stats().inbound_bytes > 1_000_000, "it waits");
        rig.sim().peer_reset(peer);
        calls_by_turn(&mut rig, &notes, 1);
        turn(&mut rig);
        assert_eq!(rig.event_loop.stats().inbound_bytes, 0);
    }

    #[test]
    fn many_messages_use_up_a_share_by_what_they_take() {
        const COUNT: usize = 40;
        let (mut rig, notes, peer) = offering(false);
        // Each is as much work as it may be at a time.
        let payload = [0x03, 0x00].repeat(6_500);
        send(&mut rig, peer, &compressed(true, &payload).repeat(COUNT));
        let turns = calls_by_turn(&mut rig, &notes, COUNT);
        assert!(turns.iter().all(|calls| *calls <= 5), "{turns:?}");
    }
}
