//! What a server receives and sends, on one connection and from one to another.

use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::thread;

use eventwire::proto::OpCode;
use eventwire::{
    Config, Connection, ConnectionId, Message, PreparedMessage, SendStatus, WebSocketHandler,
    on_message,
};

use crate::util::{Call, Peer, Recorder, Server, drive, drive_until, looping, pattern, text};

/// Around every change of a header's form, and the longest message that is taken.
const LENGTHS: [usize; 5] = [126, 127, 65_535, 65_536, 1024 * 1024];

// Messages.

#[test]
fn messages_of_every_length_are_echoed() {
    let server = Server::echo();
    let mut peer = Peer::connect(server.address());
    for len in (0..=125).chain(LENGTHS) {
        let (text, bytes) = (text(len), pattern(len, len));
        peer.send(&text);
        peer.expect(&text);
        peer.send(&bytes);
        peer.expect(&bytes);
    }
}

#[test]
fn pipelined_messages_are_echoed_in_order() {
    let server = Server::echo();
    let mut peer = Peer::connect(server.address());
    let messages: Vec<_> = (0..2_000).map(|n| pattern(n * 7 % 600, n)).collect();
    let stream: Vec<_> = messages.iter().flat_map(|bytes| peer.encode_message(bytes)).collect();
    while_writing(peer.stream(), &stream, || {
        for message in &messages {
            peer.expect(message);
        }
    });
}

#[test]
fn large_and_small_messages_mixed_are_echoed_in_order() {
    let server = Server::echo();
    let mut peer = Peer::connect(server.address());
    let lens = [5, 5_000, 0, 70_000, 4_096, 200_000, 1, 9_000, 9_000, 9_000, 300, 65_536, 2];
    let messages: Vec<_> = lens.iter().cycle().take(52).map(|&len| pattern(len, len)).collect();
    let stream: Vec<_> = messages.iter().flat_map(|bytes| peer.encode_message(bytes)).collect();
    while_writing(peer.stream(), &stream, || {
        for message in &messages {
            peer.expect(message);
        }
    });
}

#[test]
fn fragments_become_one_message() {
    let server = Server::echo();
    let mut peer = Peer::connect(server.address());
    for len in [0, 1, 300, 100_000] {
        let whole = text(len);
        let (first, rest) = whole.as_bytes().split_at(len / 3);
        let (second, third) = rest.split_at(rest.len() / 2);
        peer.send_frame(false, OpCode::Text, first);
        peer.send_frame(false, OpCode::Continuation, b"");
        peer.send_frame(true, OpCode::Ping, b"between");
        peer.expect_frame(OpCode::Pong, b"between");
        peer.send_frame(false, OpCode::Continuation, second);
        peer.send_frame(true, OpCode::Continuation, third);
        peer.expect(&whole);
    }
}

#[test]
fn a_byte_at_a_time_is_enough() {
    let server = Server::echo();
    let mut peer = Peer::connect(server.address());
    let mut stream = peer.encode(false, OpCode::Text, "häl".as_bytes());
    stream.extend(peer.encode(true, OpCode::Ping, b"ping"));
    stream.extend(peer.encode(true, OpCode::Continuation, "lø".as_bytes()));
    stream.extend(peer.encode_message(&pattern(130, 1)));
    for byte in stream {
        peer.write(&[byte]);
    }
    peer.expect_frame(OpCode::Pong, b"ping");
    peer.expect("hällø");
    peer.expect(&pattern(130, 1));
}

#[test]
fn a_header_may_be_split_anywhere() {
    let server = Server::echo();
    let mut peer = Peer::connect(server.address());
    for len in [3, 300, 4_096, 5_000, 65_536] {
        let message = pattern(len, len);
        let frame = peer.encode_message(&message);
        for split in 1..=14 {
            let (first, rest) = frame.split_at(split.min(frame.len()));
            // The pong says that the first part was received, by itself.
            let ping = peer.encode(true, OpCode::Ping, b"");
            peer.write(&[&ping, first].concat());
            peer.expect_frame(OpCode::Pong, b"");
            peer.write(rest);
            peer.expect(&message);
        }
    }
}

#[test]
fn replies_leave_in_the_order_of_the_calls() {
    let shared = PreparedMessage::new(pattern(5_000, 9));
    let server = Server::with(on_message(
        move |conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()| {
            conn.send("before");
            conn.send(message);
            conn.send(&shared);
            conn.ping(b"ping");
            conn.send(message);
            conn.send(&message.as_bytes()[1..]);
            conn.send("after");
        },
    ));
    let mut peer = Peer::connect(server.address());
    for len in [1, 200, 5_000, 80_000, 300_000] {
        let message = pattern(len, len);
        peer.send(&message);
        peer.expect("before");
        peer.expect(&message);
        peer.expect(&pattern(5_000, 9));
        peer.expect_frame(OpCode::Ping, b"ping");
        peer.expect(&message);
        peer.expect(&message[1..]);
        peer.expect("after");
    }
}

#[test]
fn a_prepared_message_reaches_many() {
    let messages = ["few words".to_owned(), text(5_000), text(100_000)];
    let prepared: Vec<_> = messages.iter().map(PreparedMessage::new).collect();
    let server =
        Server::with(on_message(move |conn: &mut Connection<'_>, _: Message<'_>, _: &mut ()| {
            for message in &prepared {
                assert_eq!(conn.send(message), SendStatus::Sent);
            }
        }));
    for _ in 0..3 {
        let mut peer = Peer::connect(server.address());
        peer.send("go");
        for message in &messages {
            peer.expect(message);
        }
    }
}

#[test]
fn pings_are_answered_in_order_and_on_pong_is_called() {
    let (recorder, log) = Recorder::new();
    let server = Server::with(recorder);
    let mut peer = Peer::connect(server.address());
    let longest = pattern(125, 3);
    let mut stream = peer.encode_message("one");
    stream.extend(peer.encode(true, OpCode::Ping, &longest));
    stream.extend(peer.encode(true, OpCode::Pong, b"unasked"));
    stream.extend(peer.encode_message("two"));
    peer.write(&stream);
    peer.expect("one");
    peer.expect_frame(OpCode::Pong, &longest);
    peer.expect("two");
    log.open();
    assert_eq!(log.next(), Call::Message(b"one".to_vec()));
    assert_eq!(log.next(), Call::Ping(longest));
    assert_eq!(log.next(), Call::Pong(b"unasked".to_vec()));
}

#[test]
fn a_ping_of_the_application_is_cut_to_what_a_ping_may_carry() {
    let server =
        Server::with(on_message(|conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()| {
            assert_eq!(conn.ping(message.as_bytes()), SendStatus::Sent);
        }));
    let mut peer = Peer::connect(server.address());
    peer.send(&pattern(200, 0));
    peer.expect_frame(OpCode::Ping, &pattern(200, 0)[..125]);
}

// Other connections.

/// The next connection receives what the others send, and numbers what it does.
#[derive(Default)]
struct Relay {
    target: Option<ConnectionId>,
    statuses: Vec<SendStatus>,
    drained: usize,
}

struct RelayHandler;

impl WebSocketHandler<Relay> for RelayHandler {
    fn on_open(&mut self, conn: &mut Connection<'_>, relay: &mut Relay) {
        relay.target.get_or_insert(conn.id());
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, relay: &mut Relay) {
        if let Some(target) = relay.target {
            relay.statuses.push(conn.send_to(target, message));
        }
        conn.send("done");
    }

    fn on_drained(&mut self, _: &mut Connection<'_>, relay: &mut Relay) {
        relay.drained += 1;
    }
}

#[test]
fn messages_to_another_connection_keep_their_order() {
    let (mut event_loop, address) = looping(Config::default(), RelayHandler);
    let mut relay = Relay::default();
    drive(&mut event_loop, &mut relay, || {
        let mut target = Peer::connect(address);
        let mut speaker = Peer::connect(address);
        let messages: Vec<_> = (0..300).map(|n| pattern(n * 41 % 6_000, n)).collect();
        let stream: Vec<_> =
            messages.iter().flat_map(|bytes| speaker.encode_message(bytes)).collect();
        while_writing(speaker.stream(), &stream, || {
            for message in &messages {
                target.expect(message);
                speaker.expect("done");
            }
        });
    });
    assert_eq!(relay.statuses.len(), 300);
    let taken = [SendStatus::Sent, SendStatus::Queued];
    assert!(relay.statuses.iter().all(|status| taken.contains(status)), "{:?}", relay.statuses);
}

#[test]
fn on_drained_is_not_called_if_nothing_had_to_wait() {
    let (mut event_loop, address) = looping(Config::default(), RelayHandler);
    let mut relay = Relay::default();
    drive(&mut event_loop, &mut relay, || {
        let mut target = Peer::connect(address);
        let mut speaker = Peer::connect(address);
        for _ in 0..3 {
            speaker.send("hello");
            target.expect("hello");
        }
    });
    assert_eq!(relay.drained, 0);
}

#[test]
fn a_stale_connection_id_reaches_nobody() {
    let (mut event_loop, address) = looping(Config::default(), RelayHandler);
    let mut relay = Relay::default();
    let first = drive(&mut event_loop, &mut relay, || Peer::connect(address));
    assert!(relay.target.is_some());
    drop(first);
    drive_until(&mut event_loop, &mut relay, |event_loop, _| event_loop.connections() == 0);
    drive(&mut event_loop, &mut relay, || {
        // Takes the slot of the one that left.
        let mut second = Peer::connect(address);
        second.send("for the first");
        second.expect("done");
    });
    assert_eq!(relay.statuses, [SendStatus::Gone]);
}

// Helpers.

/// Reads while another thread writes, so that neither waits for the other.
fn while_writing(mut stream: TcpStream, bytes: &[u8], read: impl FnOnce()) {
    let (done, wait) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            stream.write_all(bytes).expect("write");
            drop(done);
        });
        read();
        assert!(wait.recv().is_err());
    });
}
