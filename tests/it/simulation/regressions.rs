//! What the seeds found, and what they cannot see, each by itself.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::{Fault, SimConfig};
use eventwire::{
    ClientConfig, CloseCode, Config, ConnectError, Connection, Context, Disconnect, EventStream,
    Message, Routes, SendStatus, ServerConfig, on_message,
};

use super::rig::{Call, Calls, Notes, Rig, text};
use super::script::SERVERS;
use crate::shared::{Arrived, frame, request};

#[test]
fn closing_a_connection_that_failed_is_refused() {
    let closes = Notes::default();
    let seen = Rc::clone(&closes);
    let mut rig = Rig::new(SimConfig::calm(), Config::default(), move |conn, call| {
        if matches!(call, Call::Close(Disconnect::Io(_))) {
            closes.borrow_mut().push(conn.close(CloseCode::NORMAL, ""));
        }
    });
    let peer = rig.peer();
    rig.sim().peer_reset(peer);
    rig.run(1);
    assert_eq!(*seen.borrow(), [false]);
}

#[test]
fn no_pong_follows_a_close_frame() {
    let config = Config::default().outbox(1 << 20, 1 << 20);
    let mut rig = Rig::new(SimConfig::calm(), config, |conn, call| match text(&call) {
        Some("fill") => drop(conn.send([0; 200_000])),
        Some("close") => drop(conn.close(CloseCode::NORMAL, "")),
        _ => {}
    });
    let peer = rig.peer();
    rig.sim().peer_stop_reading(peer);
    rig.send(peer, OpCode::Text, b"fill");
    rig.send(peer, OpCode::Ping, b"there?");
    rig.send(peer, OpCode::Text, b"close");
    rig.sim().peer_resume(peer);
    rig.run(10);
    let received = rig.received(peer);
    let [Arrived::Message(..), Arrived::Pong, Arrived::Close(Some(1000))] = &received[..] else {
        panic!("{} frames in disorder", received.len());
    };
}

#[test]
fn answers_to_the_handlers_pings_are_no_flood() {
    const PINGS: usize = 300;
    let pongs = Rc::new(Cell::new(0));
    let seen = Rc::clone(&pongs);
    let mut rig = Rig::new(SimConfig::calm(), Config::default(), move |conn, call| match call {
        Call::Open => {
            for _ in 0..PINGS {
                conn.ping(b"there?");
            }
        }
        Call::Pong => pongs.set(pongs.get() + 1),
        Call::Close(reason) => panic!("{reason}"),
        _ => {}
    });
    let address = rig.address;
    let peer = rig.sim().peer_connect(address);
    rig.sim().peer_send(peer, &request(0));
    rig.run(10);
    rig.sim().peer_send(peer, &frame(OpCode::Pong, b"there?").repeat(PINGS));
    rig.run(10);
    assert_eq!(seen.get(), PINGS);
}

#[test]
fn a_connect_that_timed_out_is_given_up() {
    let slow = Duration::from_secs(15);
    let errors = Notes::default();
    let seen = Rc::clone(&errors);
    let mut rig = Rig::new(SimConfig::calm().latency(slow, slow), Config::default(), |_, _| {});
    let servers = rig.sim().peer_listen(SERVERS).unwrap();
    let config = ClientConfig::default().address(servers).address(servers);
    let handler = Calls(move |_: &mut Connection<'_>, call: Call<'_>| {
        if let Call::ConnectError(error) = call {
            errors.borrow_mut().push(error.to_string());
        }
    });
    rig.event_loop.connect("ws://sim/0", config, handler).unwrap();
    rig.run(10_200);
    assert_eq!(*seen.borrow(), [ConnectError::TimedOut.to_string()]);
    assert_eq!(rig.event_loop.connections(), 0);
    rig.run(60_000);
    assert!(rig.sim().peer_accept(servers).is_none(), "a connection was made all the same");
}

#[test]
fn a_peer_that_stops_reading_is_given_up_though_its_outbox_filled_later() {
    let reasons = Notes::default();
    let seen = Rc::clone(&reasons);
    let mut first = None;
    let config = Config::default().outbox(100_000, 1 << 20);
    let mut rig = Rig::new(SimConfig::calm(), config, move |conn, call| {
        let first = *first.get_or_insert(conn.id());
        match call {
            Call::Message(_) => drop(conn.send_to(first, [0; 100_000])),
            Call::Close(reason) => reasons.borrow_mut().push(reason.to_string()),
            _ => {}
        }
    });
    let (first, second) = (rig.peer(), rig.peer());
    // The deadline of the opening handshake comes up no more.
    rig.run(12_000);
    rig.sim().peer_stop_reading(first);
    rig.send(second, OpCode::Text, b"below the soft limit");
    rig.run(1000);
    rig.send(second, OpCode::Text, b"above it");
    rig.run(11_000);
    assert_eq!(*seen.borrow(), [Disconnect::Overflow.to_string()]);
}

#[test]
fn a_full_loop_does_not_spin_after_descriptors_ran_out() {
    let sim = SimConfig::calm().descriptors(2);
    let mut rig = Rig::new(sim, Config::default().max_connections(2), |_, _| {});
    rig.peer();
    let address = rig.address;
    rig.sim().peer_connect(address);
    // The second connection finds no descriptor, and then no place.
    rig.run(1);
    rig.sim().set_config(SimConfig::calm());
    let servers = rig.sim().peer_listen(SERVERS).unwrap();
    let config = ClientConfig::default().address(servers);
    rig.event_loop
        .connect(
            "ws://sim/0",
            config,
            on_message(|_: &mut Connection<'_>, _: Message<'_>, (): &mut ()| {}),
        )
        .unwrap();
    let turns = rig.run(1000);
    assert!(turns < 20, "{turns} turns in a second");
}

#[test]
fn accepting_goes_on_by_itself_when_descriptors_are_free_again() {
    let mut rig = Rig::new(SimConfig::calm().descriptors(2), Config::default(), |_, _| {});
    let first = rig.peer();
    let address = rig.address;
    let second = rig.sim().peer_connect(address);
    rig.sim().peer_send(second, &request(0));
    rig.run(500);
    assert_eq!(rig.sim().peer_received(second), b"", "there is no descriptor for it");
    rig.sim().peer_reset(first);
    rig.run(1100);
    assert!(rig.sim().peer_received(second).starts_with(b"HTTP/1.1 101"));
}

#[test]
fn a_waiting_client_gets_a_place_as_soon_as_one_is_free() {
    let config = Config::default().max_connections(1);
    let mut rig = Rig::new(SimConfig::calm(), config, |_, _| {});
    let first = rig.peer();
    let address = rig.address;
    let second = rig.sim().peer_connect(address);
    rig.sim().peer_send(second, &request(0));
    rig.run(100);
    assert_eq!(rig.sim().peer_received(second), b"", "there is no place for it");
    rig.sim().peer_reset(first);
    let start = rig.sim().elapsed();
    // The first turn frees the place, and the next does not sleep.
    for _ in 0..2 {
        rig.event_loop.turn(Some(Duration::from_secs(1)), &mut ()).expect("a poll");
    }
    assert!(rig.sim().elapsed() - start < Duration::from_millis(1), "the loop slept");
    rig.run(1);
    assert!(rig.sim().peer_received(second).starts_with(b"HTTP/1.1 101"));
}

#[test]
fn a_peer_that_was_held_back_is_read_when_its_output_is_gone() {
    let notes = Notes::default();
    let seen = Rc::clone(&notes);
    let mut last = None;
    let config = Config::default().outbox(100, 100_000);
    let mut rig = Rig::new(SimConfig::calm(), config, move |conn, call| match text(&call) {
        Some("fill") => drop(last.map(|last| conn.send_to(last, [0; 2000]))),
        Some(word) => notes.borrow_mut().push(word.to_owned()),
        None => last = Some(conn.id()),
    });
    let (first, second) = (rig.peer(), rig.peer());
    // Both arrive at once, and the first fills the outbox of the second before that is read.
    rig.sim().peer_send(first, &frame(OpCode::Text, b"fill"));
    rig.sim().peer_send(second, &frame(OpCode::Text, b"hello"));
    rig.run(10);
    assert_eq!(*seen.borrow(), ["hello"]);
}

#[test]
fn readiness_without_a_cause_does_not_put_off_the_end_of_a_stall() {
    let reasons = Notes::default();
    let seen = Rc::clone(&reasons);
    let sim = SimConfig::calm().chance(Fault::Spurious, 500_000);
    let mut rig = Rig::new(sim, Config::default(), move |conn, call| match call {
        Call::Message(_) => drop(conn.send([0; 300_000])),
        Call::Close(reason) => reasons.borrow_mut().push(reason.to_string()),
        _ => {}
    });
    let peer = rig.peer();
    rig.sim().peer_stop_reading(peer);
    rig.send(peer, OpCode::Text, b"fill");
    for _ in 0..104 {
        rig.run(100);
    }
    assert_eq!(*seen.borrow(), [Disconnect::Overflow.to_string()]);
}

#[test]
fn a_slow_reader_is_alive_as_long_as_it_reads() {
    let reasons = Notes::default();
    let seen = Rc::clone(&reasons);
    let mut rig = Rig::new(SimConfig::calm(), Config::default(), move |conn, call| match call {
        Call::Message(_) => drop(conn.send([0; 1_900_000])),
        Call::Close(reason) => reasons.borrow_mut().push(reason.to_string()),
        _ => {}
    });
    let peer = rig.peer();
    rig.sim().peer_stop_reading(peer);
    rig.send(peer, OpCode::Text, b"fill");
    let mut received = 0;
    // Its pongs would stay unread while much output waits for it: it sends none.
    for _ in 0..60 {
        rig.run(2_000);
        rig.sim().peer_resume(peer);
        rig.sim().peer_stop_reading(peer);
        received += rig.sim().peer_received(peer).len();
        if received >= 1_900_000 {
            break;
        }
    }
    assert_eq!(*seen.borrow(), [""; 0]);
    assert!(received >= 1_900_000, "{received}");
    assert!(rig.sim().elapsed() > Duration::from_secs(36), "{:?}", rig.sim().elapsed());
}

#[test]
fn a_message_is_not_late_while_its_peer_is_held_back() {
    /// Portions of the input; one is read each time that the peer reads.
    const LEN: usize = 25 * 4096;
    let notes = Notes::default();
    let seen = Rc::clone(&notes);
    let mut rig = Rig::new(SimConfig::calm(), Config::default(), move |conn, call| match call {
        Call::Message(message) if message.as_text().is_some() => {
            assert_eq!(conn.send([0; 1_900_000]), SendStatus::Queued);
        }
        Call::Message(message) => notes.borrow_mut().push(format!("{} bytes", message.len())),
        Call::Close(reason) => notes.borrow_mut().push(reason.to_string()),
        _ => {}
    });
    let peer = rig.peer();
    rig.sim().peer_stop_reading(peer);
    let message = frame(OpCode::Binary, &[0; LEN]);
    let (half, rest) = message.split_at(500);
    rig.sim().peer_send(peer, &[&frame(OpCode::Text, b"fill"), half].concat());
    rig.run(1);
    rig.sim().peer_send(peer, rest);
    let begun = rig.sim().elapsed();
    while seen.borrow().is_empty() {
        rig.run(3_000);
        rig.sim().peer_resume(peer);
        rig.sim().peer_stop_reading(peer);
        rig.sim().peer_received(peer);
    }
    assert_eq!(*seen.borrow(), [format!("{LEN} bytes")]);
    assert!(rig.sim().elapsed() - begun > Duration::from_secs(61), "it was not held back long");
}

#[test]
fn two_ends_that_both_have_much_to_send_do_not_wait_for_each_other() {
    const MESSAGES: usize = 200;
    let arrived = Rc::new(RefCell::new(0));
    let counted = Rc::clone(&arrived);
    let config = Config::default().outbox(64 * 1024, 64 * 1024 * 1024);
    let mut rig = Rig::new(SimConfig::calm(), config, |conn, call| {
        if let Call::Message(message) = call {
            conn.send(message);
        }
    });
    let client = move |conn: &mut Connection<'_>, call: Call<'_>| match call {
        Call::Open => {
            for _ in 0..MESSAGES {
                assert_ne!(conn.send([0; 60_000]), SendStatus::Dropped);
            }
        }
        Call::Message(_) => *arrived.borrow_mut() += 1,
        Call::Close(reason) => panic!("{reason}"),
        Call::ConnectError(error) => panic!("{error}"),
        Call::Ping | Call::Pong => {}
    };
    let url = format!("ws://{}/", rig.address);
    rig.event_loop.connect(&url, ClientConfig::default(), Calls(client)).expect("connecting");
    rig.run(5_000);
    assert_eq!(*counted.borrow(), MESSAGES);
}

#[test]
fn a_stall_begins_with_the_soft_limit_and_again_with_every_progress() {
    let reasons = Notes::default();
    let seen = Rc::clone(&reasons);
    let config = Config::default().outbox(100_000, 4 << 20);
    let mut first = None;
    let mut rig = Rig::new(SimConfig::calm(), config, move |conn, call| {
        let first = *first.get_or_insert(conn.id());
        match call {
            Call::Message(message) => drop(conn.send_to(first, vec![0; message.len() * 1000])),
            Call::Close(reason) => reasons.borrow_mut().push(reason.to_string()),
            _ => {}
        }
    });
    let (first, second) = (rig.peer(), rig.peer());
    rig.sim().peer_stop_reading(first);
    // The first of it fills the window, and refuses the rest.
    rig.send(second, OpCode::Binary, &[0; 120]);
    rig.run(15_000);
    rig.send(second, OpCode::Binary, &[0; 400]);
    rig.run(9_000);
    assert_eq!(*seen.borrow(), [""; 0], "what waited below the soft limit was counted");
    // The window is read once.
    rig.sim().peer_resume(first);
    rig.sim().peer_stop_reading(first);
    rig.run(9_500);
    assert_eq!(*seen.borrow(), [""; 0], "progress was not counted");
    rig.run(1_000);
    assert_eq!(*seen.borrow(), [Disconnect::Overflow.to_string()]);
}

#[test]
fn replies_of_the_current_connection_count_in_the_total() {
    let seen = Notes::default();
    let noted = Rc::clone(&seen);
    let mut rig = Rig::new(SimConfig::calm(), Config::default(), move |conn, call| {
        if matches!(call, Call::Message(_)) {
            assert_eq!(conn.send("an answer"), SendStatus::Sent);
            noted.borrow_mut().push((conn.buffered_bytes(), conn.buffered_total()));
        }
    });
    let peer = rig.peer();
    rig.send(peer, OpCode::Text, b"a question");
    assert_eq!(*seen.borrow(), [(11, 11)]);
}

#[test]
fn a_published_event_counts_as_waiting_at_once() {
    struct Hello;
    let mut rig = Rig::new(SimConfig::calm(), Config::default(), |_, _| {});
    rig.event_loop.on(|_: &mut Context<'_>, _: &Hello, (): &mut ()| {});
    for _ in 0..2 {
        let publisher = rig.event_loop.publisher();
        assert!(publisher.publish(Hello).is_ok());
        assert_eq!(rig.event_loop.stats().events_waiting, 1);
        rig.run(1);
        assert_eq!(rig.event_loop.stats().events_waiting, 0);
    }
    let publisher = rig.event_loop.publisher();
    assert!(publisher.publish(Hello).is_ok());
    rig.event_loop.handle().stop();
    assert_eq!(rig.event_loop.stats().events_waiting, 1);
    assert_eq!(rig.event_loop.run(&mut ()).unwrap().unhandled_events, 1);
}

#[test]
fn a_connection_that_has_failed_is_sent_no_broadcast() {
    let statuses = Notes::default();
    let noted = Rc::clone(&statuses);
    let topic = Rc::new(Cell::new(None));
    let (held, mut first) = (Rc::clone(&topic), None);
    let mut rig = Rig::new(SimConfig::calm(), Config::default(), move |conn, call| {
        let topic = held.get().expect("a topic");
        let first = *first.get_or_insert(conn.id());
        match call {
            Call::Open => assert_eq!(conn.subscribe(topic), Ok(true)),
            Call::Message(_) => {
                noted.borrow_mut().push(conn.send_to(first, "anybody there?"));
                conn.broadcast(topic, "to all");
            }
            _ => {}
        }
    });
    topic.set(rig.event_loop.topic("all").ok());
    let (first, second) = (rig.peer(), rig.peer());
    // The first one's end is noticed in the turn in which the second one speaks.
    rig.sim().peer_close(first);
    rig.sim().peer_send(second, &frame(OpCode::Text, b"hello"));
    rig.run(1);
    assert_eq!(*statuses.borrow(), [SendStatus::Gone]);
    assert!(rig.received(first).is_empty(), "a broadcast was sent to it");
    assert!(matches!(rig.received(second)[..], [Arrived::Message(..)]));
}

#[test]
fn a_message_does_not_count_as_sent_if_its_stream_fails() {
    let statuses = Notes::default();
    let (noted, mut first) = (Rc::clone(&statuses), None);
    let mut rig = Rig::new(SimConfig::calm(), Config::default(), move |conn, call| {
        let first = *first.get_or_insert(conn.id());
        if matches!(call, Call::Message(_)) {
            noted.borrow_mut().push(conn.send_to(first, [0; 20_000]));
        }
    });
    let (first, second) = (rig.peer(), rig.peer());
    // Both arrive in one turn, of which the message is served first.
    rig.sim().peer_send(second, &frame(OpCode::Text, b"hello"));
    rig.sim().peer_reset(first);
    rig.run(1);
    assert_eq!(*statuses.borrow(), [SendStatus::Gone]);
    assert_eq!(rig.event_loop.stats().messages_sent, 0);
}

#[test]
fn more_clients_at_once_than_may_be_pending_wait_and_are_all_served() {
    let config = Config::default().max_pending_handshakes(2);
    let mut rig = Rig::new(SimConfig::calm(), config, |_, _| {});
    let address = rig.address;
    let peers: Vec<_> = (0..50).map(|_| rig.sim().peer_connect(address)).collect();
    // They have connected before any of them asks.
    rig.run(100);
    for peer in &peers {
        rig.sim().peer_send(*peer, &request(0));
    }
    rig.run(100);
    for peer in peers {
        assert!(rig.sim().peer_received(peer).starts_with(b"HTTP/1.1 101"));
    }
}

#[test]
fn silent_peers_hold_the_places_of_handshakes_for_a_second() {
    let config = Config::default().max_pending_handshakes(2);
    let mut rig = Rig::new(SimConfig::calm(), config, |_, _| {});
    let address = rig.address;
    let silent: Vec<_> = (0..2).map(|_| rig.sim().peer_connect(address)).collect();
    rig.run(10);
    let peer = rig.sim().peer_connect(address);
    rig.sim().peer_send(peer, &request(0));
    rig.run(900);
    assert_eq!(rig.sim().peer_received(peer), [0; 0]);
    rig.run(200);
    assert!(rig.sim().peer_received(peer).starts_with(b"HTTP/1.1 101"));
    let closed: Vec<_> = silent.iter().map(|peer| rig.sim().peer_is_closed(*peer)).collect();
    assert_eq!(closed.iter().filter(|closed| **closed).count(), 1);
}

#[test]
fn a_partly_sent_message_dropped_for_memory_does_not_arrive() {
    const LIMIT: usize = 20_000;
    let mut drops = 0;
    for len in (15_000..LIMIT).step_by(100) {
        let statuses = Notes::default();
        let (noted, mut first) = (Rc::clone(&statuses), None);
        let config = Config::default().max_outbound(LIMIT);
        let sim = SimConfig::calm().window(1_000);
        let mut rig = Rig::new(sim, config, move |conn, call| {
            let first = *first.get_or_insert(conn.id());
            if matches!(call, Call::Message(_)) {
                noted.borrow_mut().push(conn.send_to(first, vec![0; len]));
            }
        });
        let (first, second) = (rig.peer(), rig.peer());
        rig.send(second, OpCode::Text, b"hello");
        rig.run(100);
        let arrived = rig.sim().peer_received(first).len();
        match statuses.borrow()[..] {
            [SendStatus::Dropped] => assert!(arrived < len, "{len} bytes arrived"),
            _ => assert_eq!(arrived, 4 + len, "{:?}", statuses.borrow()),
        }
        drops += usize::from(*statuses.borrow() == [SendStatus::Dropped]);
    }
    assert!(drops > 0, "memory is never short");
}

#[test]
fn a_heartbeat_never_comes_in_the_midst_of_an_event() {
    let reactor = SimReactor::new(0, SimConfig::calm().window(4096));
    let mut rig = Rig::with_setup(reactor, Config::default(), |event_loop| {
        let topic = event_loop.topic("news").expect("room for a topic");
        let stream = EventStream::of("news").heartbeat(Some(Duration::from_millis(10)));
        let routes = Routes::new().events("/news", stream);
        let config = ServerConfig::default();
        (event_loop.listen("127.0.0.1:0", config, routes).expect("a port"), topic)
    });
    let address = rig.address;
    let peer = rig.sim().peer_connect(address);
    rig.sim().peer_send(peer, b"GET /news HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.run(2);
    rig.sim().peer_stop_reading(peer);
    let (topic, text) = (rig.state, "x".repeat(50_000));
    let broadcast = text.clone();
    let status = rig.act(move |cx| cx.broadcast(topic, broadcast.as_str()));
    assert_eq!(status, SendStatus::Sent);
    rig.run(100);
    rig.sim().peer_resume(peer);
    rig.run(100);
    let received = String::from_utf8(rig.sim().peer_received(peer)).expect("text");
    let (_, events) = received.split_once("\r\n\r\n").expect("a head");
    let (before, rest) = events.split_once("id: ").expect("the event");
    let (_, rest) = rest.split_once(":1\n").expect("the first message's id");
    assert!(before.split_inclusive("\n\n").all(|comment| comment == ":\n\n"), "{before:?}");
    let comments = rest.strip_prefix(&format!("data: {text}\n\n")).expect("the whole event");
    assert!(!comments.is_empty(), "no heartbeat follows");
    assert!(comments.split_inclusive("\n\n").all(|comment| comment == ":\n\n"), "{comments:?}");
}
