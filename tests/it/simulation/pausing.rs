//! Connections that are paused, each case by itself, in virtual time.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use eventwire::proto::{OpCode, Role};
use eventwire::reactor::sim::{Choices, Fault, PeerId, SimConfig};
use eventwire::{
    ClientConfig, CloseCode, Config, Connection, ConnectionId, Context, RunEnd, SendStatus,
};

use super::rig::{Call, Calls, Notes, Rig, text};
use super::script::Frames;
use crate::shared::frames::encode;
use crate::shared::{Arrived, Random, frame, request, take_frame};

/// The calls of handlers, and the connections in the order in which they opened.
#[derive(Clone, Default)]
struct Record {
    log: Notes<String>,
    ids: Notes<ConnectionId>,
}

impl Record {
    /// Notes everything, and pauses a connection behind the message "stop".
    fn note(&self, conn: ConnectionId, call: &Call<'_>, cx: &mut Context<'_>) {
        let entry = match call {
            Call::Open => return self.ids.borrow_mut().push(conn),
            Call::Message(message) => match message.as_text() {
                Some(text) => text.to_owned(),
                None => format!("{} bytes", message.len()),
            },
            Call::Ping => "ping".to_owned(),
            Call::Pong => "pong".to_owned(),
            Call::Close(reason) => {
                assert!(
                    !cx.connection(conn).pause()
                        && !cx.connection(conn).resume()
                        && !cx.connection(conn).is_paused()
                );
                reason.to_string()
            }
            Call::ConnectError(error) => error.to_string(),
        };
        assert!(!cx.connection(conn).is_paused(), "{entry} of a paused connection");
        self.log.borrow_mut().push(entry);
        if text(call) == Some("stop") {
            assert!(cx.connection(conn).pause() && cx.connection(conn).is_paused());
            assert!(!cx.connection(conn).pause(), "paused twice");
        }
    }

    fn rig(&self, sim: SimConfig, config: Config) -> Rig {
        let record = self.clone();
        Rig::new(sim, config, move |conn, call| record.note(conn.id(), &call, conn))
    }

    /// The calls since the last look.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.log.borrow_mut())
    }

    fn id(&self, place: usize) -> ConnectionId {
        self.ids.borrow()[place]
    }
}

/// A rig with one peer, whose connection a handler of events has paused.
fn paused(config: Config) -> (Rig, PeerId, Record) {
    let record = Record::default();
    let mut rig = record.rig(SimConfig::calm(), config);
    let peer = rig.peer();
    let conn = record.id(0);
    assert!(rig.act(move |cx| cx.connection(conn).pause()));
    (rig, peer, record)
}

fn stream(items: &[(OpCode, &[u8])]) -> Vec<u8> {
    items.iter().flat_map(|(opcode, payload)| frame(*opcode, payload)).collect()
}

const STOP_IN_BETWEEN: [(OpCode, &[u8]); 5] = [
    (OpCode::Text, b"before"),
    (OpCode::Text, b"stop"),
    (OpCode::Ping, b"there?"),
    (OpCode::Pong, b""),
    (OpCode::Text, b"behind"),
];

#[test]
fn input_behind_the_pausing_message_waits() {
    let record = Record::default();
    let mut rig = record.rig(SimConfig::calm(), Config::default());
    let peer = rig.peer();
    rig.sim().peer_send(peer, &stream(&STOP_IN_BETWEEN));
    rig.run(100);
    assert_eq!(record.take(), ["before", "stop"]);
    rig.send(peer, OpCode::Text, b"later");
    rig.run(100);
    assert_eq!(record.take(), [""; 0]);
    assert!(rig.received(peer).is_empty(), "a ping of a paused connection was answered");
    let conn = record.id(0);
    assert_eq!(
        rig.act(move |cx| (cx.connection(conn).resume(), cx.connection(conn).resume())),
        (true, false)
    );
    rig.run(1);
    assert_eq!(record.take(), ["ping", "pong", "behind", "later"]);
    assert!(matches!(rig.received(peer)[..], [Arrived::Pong]));
}

#[test]
fn waiting_input_needs_no_readiness() {
    let record = Record::default();
    let mut rig = record.rig(SimConfig::calm(), Config::default());
    let peer = rig.peer();
    rig.sim().peer_send(peer, &stream(&STOP_IN_BETWEEN).repeat(2));
    rig.run(100);
    let conn = record.id(0);
    record.take();
    rig.act(move |cx| assert!(cx.connection(conn).resume()));
    rig.event_loop.turn(Some(Duration::from_secs(9)), &mut ()).unwrap();
    assert_eq!(record.take(), ["ping", "pong", "behind", "before", "stop"]);
    rig.act(move |cx| assert!(cx.connection(conn).resume()));
    rig.event_loop.turn(Some(Duration::from_secs(9)), &mut ()).unwrap();
    assert_eq!(record.take(), ["ping", "pong", "behind"]);
}

#[test]
fn a_handler_may_resume_what_it_paused_and_loses_nothing() {
    let record = Record::default();
    let log = record.clone();
    let mut rig = Rig::new(SimConfig::calm(), Config::default(), move |conn, call| {
        log.note(conn.id(), &call, conn);
        if text(&call) == Some("stop") {
            assert!(conn.resume());
        }
    });
    let peer = rig.peer();
    rig.sim().peer_send(peer, &stream(&STOP_IN_BETWEEN));
    rig.run(1);
    assert_eq!(record.take(), ["before", "stop", "ping", "pong", "behind"]);
}

#[test]
fn other_connections_handlers_pause_and_resume() {
    let record = Record::default();
    let log = record.clone();
    let mut rig =
        Rig::new(SimConfig::calm(), Config::default(), move |conn, call| match text(&call) {
            Some("pause the first") => assert!(conn.connection(log.id(0)).pause()),
            Some("resume the first") => assert!(conn.connection(log.id(0)).resume()),
            _ => log.note(conn.id(), &call, conn),
        });
    let (first, second) = (rig.peer(), rig.peer());
    // Both arrive at once: the first was not read when it is paused, or it was.
    rig.sim().peer_send(second, &frame(OpCode::Text, b"pause the first"));
    rig.run(1);
    rig.send(first, OpCode::Text, b"hello");
    assert_eq!(record.take(), [""; 0]);
    rig.send(second, OpCode::Text, b"resume the first");
    assert_eq!(record.take(), ["hello"]);
}

#[test]
fn a_connection_paused_when_it_opens_has_its_first_messages_kept() {
    let record = Record::default();
    let log = record.clone();
    let mut rig = Rig::new(SimConfig::calm(), Config::default(), move |conn, call| {
        log.note(conn.id(), &call, conn);
        if matches!(call, Call::Open) {
            assert!(conn.pause());
        }
    });
    let address = rig.address;
    let peer = rig.sim().peer_connect(address);
    rig.sim().peer_send(peer, &[request(0), frame(OpCode::Text, b"early")].concat());
    rig.run(10);
    assert_eq!(record.take(), [""; 0]);
    let conn = record.id(0);
    rig.act(move |cx| assert!(cx.connection(conn).resume()));
    rig.run(1);
    assert_eq!(record.take(), ["early"]);
}

#[test]
fn a_client_pauses_too() {
    let record = Record::default();
    let mut rig = Rig::new(SimConfig::calm(), Config::default(), |conn, call| match call {
        Call::Open => {
            for text in ["one", "stop", "three"] {
                conn.send(text);
            }
        }
        Call::Message(message) => drop(conn.send(message)),
        _ => {}
    });
    let log = record.clone();
    let client = move |conn: &mut Connection<'_>, call: Call<'_>| {
        log.note(conn.id(), &call, conn);
    };
    let url = format!("ws://{}/", rig.address);
    rig.event_loop.connect(&url, ClientConfig::default(), Calls(client)).expect("connecting");
    rig.run(100);
    assert_eq!(record.take(), ["one", "stop"]);
    let conn = record.id(0);
    // Sending goes on.
    rig.act(move |cx| assert_eq!(cx.send_to(conn, "four"), SendStatus::Sent));
    rig.run(100);
    assert_eq!(record.take(), [""; 0]);
    rig.act(move |cx| assert!(cx.connection(conn).resume()));
    rig.run(1);
    assert_eq!(record.take(), ["three", "four"]);
}

#[test]
fn a_paused_connection_has_no_deadlines_and_costs_no_turns() {
    let (mut rig, peer, record) = paused(Config::default());
    // Half a message, a whole one, and what does not fit into the window.
    rig.sim().peer_send(peer, &frame(OpCode::Binary, &[0; 100_000]));
    rig.run(1);
    let turns = rig.run(3_600_000);
    assert!(turns < 3_600, "{turns} turns in an hour");
    assert_eq!((record.take(), rig.event_loop.connections()), (vec![], 1));
    assert!(rig.received(peer).is_empty(), "a paused connection is not pinged");
    let conn = record.id(0);
    rig.act(move |cx| assert!(cx.connection(conn).resume()));
    rig.run(10);
    assert_eq!(record.take(), ["100000 bytes"]);
    // From here on it is silent.
    rig.run(24_800);
    assert!(rig.received(peer).is_empty());
    rig.run(400);
    assert!(matches!(rig.received(peer)[..], [Arrived::Ping(_)]));
    rig.run(10_000);
    assert_eq!(record.take(), ["the peer is silent"]);
}

#[test]
fn resuming_restarts_the_message_timeout() {
    let record = Record::default();
    let mut rig = record.rig(SimConfig::calm(), Config::default());
    let peer = rig.peer();
    let message = frame(OpCode::Binary, &[0; 30_000]);
    rig.sim().peer_send(peer, &message[..25_000]);
    rig.run(20_000);
    let conn = record.id(0);
    rig.act(move |cx| assert!(cx.connection(conn).pause()));
    rig.run(600_000);
    rig.act(move |cx| assert!(cx.connection(conn).resume()));
    rig.sim().peer_send(peer, &frame(OpCode::Binary, &[0; 30_000])[25_000..25_001]);
    // It pongs, or it would be ended for its silence.
    rig.run(34_000);
    assert_eq!(record.take(), [""; 0]);
    rig.sim().peer_send(peer, &message[25_001..]);
    rig.run(10);
    assert_eq!(record.take(), ["30000 bytes"]);
}

#[test]
fn a_ping_before_the_pause_does_not_end_the_connection() {
    let record = Record::default();
    let mut rig = record.rig(SimConfig::calm(), Config::default());
    let peer = rig.peer();
    rig.run(25_200);
    assert!(matches!(rig.received(peer)[..], [Arrived::Ping(_)]));
    let conn = record.id(0);
    rig.act(move |cx| assert!(cx.connection(conn).pause()));
    rig.run(60_000);
    rig.act(move |cx| assert!(cx.connection(conn).resume()));
    rig.run(24_000);
    assert_eq!(record.take(), [""; 0]);
}

#[test]
fn the_peer_of_a_paused_connection_must_still_read() {
    let (mut rig, peer, record) = paused(Config::default());
    let conn = record.id(0);
    rig.sim().peer_stop_reading(peer);
    rig.act(move |cx| assert_eq!(cx.send_to(conn, [0; 300_000]), SendStatus::Queued));
    rig.run(9_900);
    assert_eq!(record.take(), [""; 0]);
    rig.run(400);
    assert_eq!(record.take(), ["the peer reads too slowly"]);
}

#[test]
fn closing_a_paused_connection_reads_only_the_peers_close_frame() {
    let record = Record::default();
    let mut rig = record.rig(SimConfig::calm(), Config::default());
    let peer = rig.peer();
    rig.sim().peer_send(peer, &stream(&STOP_IN_BETWEEN));
    rig.run(100);
    rig.send(peer, OpCode::Text, b"in the system's buffer");
    record.take();
    let conn = record.id(0);
    rig.act(move |cx| {
        assert!(cx.connection(conn).close(CloseCode::NORMAL, ""));
        assert!(
            !cx.connection(conn).is_paused()
                && !cx.connection(conn).resume()
                && !cx.connection(conn).pause()
        );
    });
    rig.run(1);
    assert!(matches!(rig.received(peer)[..], [Arrived::Close(Some(1000))]));
    rig.send(peer, OpCode::Close, &1000_u16.to_be_bytes());
    rig.sim().peer_close(peer);
    rig.run(10);
    assert_eq!(record.take(), ["closed by the application: 1000 (normal closure)"]);
    assert_eq!(rig.event_loop.connections(), 0);
}

#[test]
fn a_close_frame_in_the_waiting_input_completes_a_close() {
    let record = Record::default();
    let mut rig = record.rig(SimConfig::calm(), Config::default());
    let peer = rig.peer();
    rig.sim().peer_send(peer, &stream(&STOP_IN_BETWEEN));
    rig.sim().peer_send(peer, &frame(OpCode::Close, &1000_u16.to_be_bytes()));
    rig.sim().peer_close(peer);
    rig.run(100);
    assert_eq!(record.take(), ["before", "stop"]);
    assert_eq!(rig.event_loop.connections(), 1);
    let conn = record.id(0);
    rig.act(move |cx| assert!(cx.connection(conn).close(CloseCode::NORMAL, "")));
    rig.run(10);
    assert_eq!(record.take(), ["closed by the application: 1000 (normal closure)"]);
    assert_eq!(rig.event_loop.connections(), 0);
}

#[test]
fn input_before_the_peers_close_is_delivered_before_the_end() {
    let record = Record::default();
    let mut rig = record.rig(SimConfig::calm(), Config::default());
    for close in [true, false] {
        let peer = rig.peer();
        rig.sim().peer_send(peer, &stream(&STOP_IN_BETWEEN));
        rig.run(10);
        rig.send(peer, OpCode::Text, b"last words");
        if close {
            rig.send(peer, OpCode::Close, &1001_u16.to_be_bytes());
        }
        rig.sim().peer_close(peer);
        let turns = rig.run(60_000);
        assert!(turns < 100, "{turns} turns in a minute");
        assert_eq!(record.take(), ["before", "stop"]);
        let conn = record.ids.borrow_mut().pop().unwrap();
        rig.act(move |cx| assert!(cx.connection(conn).resume()));
        rig.run(10);
        let end = match close {
            true => "closed by the peer: 1001 (going away)",
            false => "stream failed: unexpected end of file",
        };
        assert_eq!(record.take(), ["ping", "pong", "behind", "last words", end]);
        assert_eq!(rig.event_loop.connections(), 0);
    }
}

#[test]
fn a_stream_that_fails_ends_a_paused_connection() {
    let record = Record::default();
    for (left_over, fin) in [(true, false), (false, false), (true, true), (false, true)] {
        let mut rig = record.rig(SimConfig::calm(), Config::default());
        let peer = rig.peer();
        let count = if left_over { 5 } else { 2 };
        rig.sim().peer_send(peer, &stream(&STOP_IN_BETWEEN[..count]));
        rig.run(1);
        if fin {
            rig.sim().peer_close(peer);
            rig.run(1);
        }
        assert_eq!(record.take(), ["before", "stop"]);
        rig.sim().peer_reset(peer);
        rig.run(1);
        let calls = record.take();
        assert!(calls.len() == 1 && calls[0].starts_with("stream failed"), "{calls:?}");
        assert_eq!(rig.event_loop.connections(), 0);
    }
}

#[test]
fn a_failure_that_arrives_with_the_pausing_message_is_noticed() {
    let record = Record::default();
    let mut rig = record.rig(SimConfig::calm(), Config::default());
    let peer = rig.peer();
    rig.sim().peer_send(peer, &stream(&STOP_IN_BETWEEN));
    rig.sim().peer_reset(peer);
    rig.run(10);
    let calls = record.take();
    assert!(calls.len() == 3 && calls[2].starts_with("stream failed"), "{calls:?}");
    assert_eq!(rig.event_loop.connections(), 0);
}

#[test]
fn paused_connections_do_not_delay_a_shutdown() {
    let record = Record::default();
    let mut rig = record.rig(SimConfig::calm(), Config::default());
    let peer = rig.peer();
    rig.sim().peer_send(peer, &stream(&STOP_IN_BETWEEN));
    rig.run(10);
    record.take();
    rig.act(|cx| cx.shutdown(Duration::from_secs(60)));
    rig.run(1);
    assert!(matches!(rig.received(peer)[..], [Arrived::Close(Some(1001))]));
    rig.sim().peer_send(peer, &frame(OpCode::Close, &1001_u16.to_be_bytes()));
    rig.sim().peer_close(peer);
    let summary = rig.event_loop.run(&mut ()).unwrap();
    assert_eq!((summary.end, summary.closed), (RunEnd::ShutDown, 1));
    assert_eq!(record.take(), ["closed by the application: 1001 (going away)"]);
}

#[test]
fn a_loop_stops_with_paused_connections() {
    let record = Record::default();
    let mut rig = record.rig(SimConfig::calm(), Config::default());
    let peer = rig.peer();
    rig.sim().peer_send(peer, &stream(&STOP_IN_BETWEEN));
    rig.run(10);
    record.take();
    rig.event_loop.handle().stop();
    let summary = rig.event_loop.run(&mut ()).unwrap();
    assert_eq!((summary.end, summary.cut), (RunEnd::Stopped, 1));
    assert_eq!(record.take(), ["closed by the application: 1001 (going away)"]);
}

#[test]
fn a_long_message_survives_a_pause_in_its_middle() {
    for role in [Role::Server, Role::Client] {
        let record = Record::default();
        let mut rig = record.rig(SimConfig::calm(), Config::default());
        let (peer, mut sent) = if role == Role::Server {
            (rig.peer(), frame(OpCode::Binary, &[7; 500_000]))
        } else {
            let log = record.clone();
            let peer = rig.server(move |conn, call| log.note(conn.id(), &call, conn));
            (peer, encode(true, OpCode::Binary, None, &[7; 500_000]))
        };
        let conn = record.id(0);
        while !sent.is_empty() {
            let rest = sent.split_off(sent.len().min(50_001));
            rig.sim().peer_send(peer, &sent);
            rig.run(1);
            rig.act(move |cx| assert!(cx.connection(conn).pause()));
            sent = rest;
            rig.sim().peer_send(peer, &sent[..sent.len().min(10)]);
            sent.drain(..sent.len().min(10));
            rig.run(100);
            rig.act(move |cx| assert!(cx.connection(conn).resume()));
            rig.run(1);
        }
        assert_eq!(record.take(), ["500000 bytes"]);
    }
}

/// What a peer sends: a message, with its bytes and the number of its fragments, or a ping.
#[derive(Clone, Debug)]
enum Item {
    Message(usize, usize),
    Ping,
}

fn items(random: &mut Random) -> Vec<Item> {
    let count = random.between(1, 19);
    (0..count).map(|_| item(random)).collect()
}

fn item(random: &mut Random) -> Item {
    let len = match random.below(7) {
        0..=3 => random.below(200),
        4 | 5 => random.between(3_000, 9_000),
        _ => random.between(15_000, 50_000),
    };
    if random.below(7) == 0 { Item::Ping } else { Item::Message(len, random.between(1, 3)) }
}

/// What a client sends that opens a connection and then sends `items`.
fn written(items: &[Item], seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut frames = Frames::behind(request(0), Role::Client, &mut random);
    for (number, item) in items.iter().enumerate() {
        let Item::Message(len, fragments) = item else {
            frames.frame(true, OpCode::Ping, &[number as u8]);
            continue;
        };
        let payload = vec![number as u8; *len];
        let step = (len / fragments).max(1);
        let pieces: Vec<&[u8]> = payload.chunks(step).collect();
        if pieces.is_empty() {
            frames.frame(true, OpCode::Binary, b"");
        }
        for (place, piece) in pieces.iter().enumerate() {
            let opcode = if place == 0 { OpCode::Binary } else { OpCode::Continuation };
            frames.frame(place + 1 == pieces.len(), opcode, piece);
        }
    }
    frames.bytes
}

/// Sends `items` in pieces to an echo server that pauses after those calls which `pauses` names,
/// and returns what came back, and how often it was paused.
fn echoes(items: &[Item], cuts: &[usize], pauses: &[bool], seed: u64) -> (Vec<Vec<u8>>, usize) {
    let conn: Rc<RefCell<Option<ConnectionId>>> = Rc::default();
    let (seen, count) = (Rc::clone(&conn), Rc::new(RefCell::new(0)));
    let (counted, pauses) = (Rc::clone(&count), pauses.to_vec());
    let mut calls = 0;
    let faults = [Fault::ShortRecv, Fault::ShortSend, Fault::Pieces, Fault::WouldBlock];
    let sim = faults.into_iter().fold(SimConfig::calm(), |sim, fault| sim.chance(fault, 100_000));
    let config = Config::default().outbox(64 << 20, 64 << 20);
    let mut rig = Rig::with_choices(Choices::from_seed(seed), sim, config, move |conn, call| {
        assert!(!conn.is_paused(), "a handler of a paused connection is called");
        match call {
            Call::Open => *seen.borrow_mut() = Some(conn.id()),
            Call::Message(message) => drop(conn.send(message)),
            _ => {}
        }
        if !pauses.is_empty() && pauses[calls % pauses.len()] {
            assert!(conn.pause());
            *counted.borrow_mut() += 1;
        }
        calls += 1;
    });
    let address = rig.address;
    let peer = rig.sim().peer_connect(address);
    let mut bytes = written(items, seed);
    let mut came = Vec::new();
    let mut cuts = cuts.iter().cycle();
    let mut idle = 0;
    while idle < 50 {
        let piece = cuts.next().map_or(bytes.len(), |cut| *cut).min(bytes.len());
        idle = if piece == 0 { idle + 1 } else { 0 };
        let rest = bytes.split_off(piece);
        rig.sim().peer_send(peer, &bytes);
        bytes = rest;
        rig.run(5);
        let more = rig.sim().peer_received(peer);
        idle = if more.is_empty() { idle } else { 0 };
        came.extend(more);
        let id = *conn.borrow();
        if rig.act(move |cx| id.is_some_and(|id| cx.connection(id).resume())) {
            idle = 0;
        }
    }
    let end = came.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a response");
    came.drain(..end + 4);
    let arrived = std::iter::from_fn(|| take_frame(&mut came, Role::Client));
    let messages = arrived.filter_map(|arrived| match arrived {
        Arrived::Message(_, bytes) => Some(bytes),
        _ => None,
    });
    let messages = messages.collect();
    assert_eq!(came, [0; 0], "half a frame");
    let paused = *count.borrow();
    (messages, paused)
}

#[test]
fn a_pause_at_any_message_of_any_split_changes_nothing() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let items = items(&mut random);
        let cuts: Vec<usize> = (0..random.below(6))
            .map(|_| {
                200 + if random.percent(50) {
                    random.below(50)
                } else {
                    random.between(1_000, 80_000)
                }
            })
            .collect();
        let pauses: Vec<bool> = (0..random.between(1, 7)).map(|_| random.percent(50)).collect();
        let sent: Vec<Vec<u8>> = (0..)
            .zip(&items)
            .filter_map(|(number, item)| match item {
                Item::Message(len, _) => Some(vec![number as u8; *len]),
                Item::Ping => None,
            })
            .collect();
        let (received, count) = echoes(&items, &cuts, &pauses, seed);
        assert!(received == sent, "seed {seed}: {} of {} messages", received.len(), sent.len());
        assert!(count > 0 || !pauses[0], "seed {seed}: never paused");
    }
}
