//! A server and its connections, from the opening to the end.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::thread;

use eventwire::proto::OpCode;
use eventwire::{
    CloseCode, Config, ConnectionId, Context, Disconnect, Error, EventLoop, Message,
    PreparedMessage, SendStatus, ServerConfig, WebSocketHandler,
};

use crate::util::{Peer, Recorder, Server, Told, drive, drive_until, looping, pattern, text};

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
    let shared = PreparedMessage::new(&pattern(5_000, 9));
    let server = Server::with(
        move |conn: ConnectionId, message: Message<'_>, cx: &mut Context<'_>, _: &mut ()| {
            cx.send(conn, "before");
            cx.send(conn, message);
            cx.send_prepared(conn, &shared);
            cx.ping(conn, b"ping");
            cx.send(conn, message);
            cx.send(conn, &message.as_bytes()[1..]);
            cx.send(conn, "after");
        },
    );
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
fn a_prepared_message_goes_to_many() {
    let messages = ["few words".to_owned(), text(5_000), text(100_000)];
    let prepared: Vec<_> = messages.iter().map(PreparedMessage::new).collect();
    let server = Server::with(
        move |conn: ConnectionId, _: Message<'_>, cx: &mut Context<'_>, _: &mut ()| {
            for message in &prepared {
                assert_eq!(cx.send_prepared(conn, message), SendStatus::Sent);
            }
        },
    );
    for _ in 0..3 {
        let mut peer = Peer::connect(server.address());
        peer.send("go");
        for message in &messages {
            peer.expect(message);
        }
    }
}

#[test]
fn pings_are_answered_in_their_place_and_pongs_are_told() {
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
    assert_eq!(log.next(), Told::Message(b"one".to_vec()));
    assert_eq!(log.next(), Told::Ping(longest));
    assert_eq!(log.next(), Told::Pong(b"unasked".to_vec()));
}

#[test]
fn a_ping_of_the_application_is_cut_to_what_a_ping_may_carry() {
    let server = Server::with(
        |conn: ConnectionId, message: Message<'_>, cx: &mut Context<'_>, _: &mut ()| {
            assert_eq!(cx.ping(conn, message.as_bytes()), SendStatus::Sent);
        },
    );
    let mut peer = Peer::connect(server.address());
    peer.send(&pattern(200, 0));
    peer.expect_frame(OpCode::Ping, &pattern(200, 0)[..125]);
}

// Other connections.

/// Whoever connects next is sent what the others say, and numbers what it does.
#[derive(Default)]
struct Relay {
    target: Option<ConnectionId>,
    statuses: Vec<SendStatus>,
    drained: usize,
}

struct RelayHandler;

impl WebSocketHandler<Relay> for RelayHandler {
    fn on_open(&mut self, conn: ConnectionId, _: &mut Context<'_>, relay: &mut Relay) {
        relay.target.get_or_insert(conn);
    }

    fn on_message(
        &mut self,
        conn: ConnectionId,
        message: Message<'_>,
        cx: &mut Context<'_>,
        relay: &mut Relay,
    ) {
        if let Some(target) = relay.target {
            relay.statuses.push(cx.send(target, message));
        }
        cx.send(conn, "done");
    }

    fn on_drained(&mut self, _: ConnectionId, _: &mut Context<'_>, relay: &mut Relay) {
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
fn nothing_drains_that_never_had_to_wait() {
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

// The end.

#[test]
fn the_peers_close_is_answered_with_its_code() {
    let (recorder, log) = Recorder::new();
    let server = Server::with(recorder);
    for (code, reason) in [(1000, ""), (1001, "going"), (3000, ""), (4999, "ünser")] {
        let mut peer = Peer::connect(server.address());
        peer.send_close(code, reason);
        assert_eq!(peer.expect_close(CloseCode::new(code)), "");
        peer.expect_end();
        log.open();
        assert_eq!(log.close(), format!("ClosedByPeer(Some({code}), {reason:?})"));
    }
    let mut peer = Peer::connect(server.address());
    peer.send_frame(true, OpCode::Close, b"");
    peer.expect_frame(OpCode::Close, b"");
    peer.expect_end();
    log.open();
    assert_eq!(log.close(), "ClosedByPeer(None, \"\")");
}

#[test]
fn what_was_said_before_the_peers_close_is_answered_and_nothing_after() {
    let (recorder, log) = Recorder::new();
    let server = Server::with(recorder);
    let mut peer = Peer::connect(server.address());
    let mut stream = peer.encode_message("before");
    stream.extend(peer.encode(true, OpCode::Close, &1000_u16.to_be_bytes()));
    stream.extend(peer.encode_message("after"));
    peer.write(&stream);
    peer.expect("before");
    peer.expect_close(CloseCode::NORMAL);
    peer.expect_end();
    let conn = log.open();
    assert_eq!(log.next(), Told::Message(b"before".to_vec()));
    assert_eq!(log.next(), Told::Close(conn, "ClosedByPeer(Some(1000), \"\")".to_owned()));
    drop(server);
    assert_eq!(log.rest(), []);
}

/// Closes on the message "close", after a farewell.
struct Closer(Recorder);

impl WebSocketHandler<()> for Closer {
    fn on_open(&mut self, conn: ConnectionId, cx: &mut Context<'_>, state: &mut ()) {
        self.0.on_open(conn, cx, state);
    }

    fn on_message(
        &mut self,
        conn: ConnectionId,
        message: Message<'_>,
        cx: &mut Context<'_>,
        _: &mut (),
    ) {
        assert_eq!(message, Message::Text("close"));
        cx.send(conn, "farewell");
        assert!(cx.close(conn, CloseCode::new(4000), "enough"));
        assert!(!cx.close(conn, CloseCode::NORMAL, "again"));
        assert!(!cx.is_open(conn));
        assert_eq!(cx.send(conn, "late"), SendStatus::Gone);
        assert_eq!(cx.ping(conn, b"late"), SendStatus::Gone);
    }

    fn on_close(&mut self, conn: ConnectionId, why: &Disconnect, cx: &mut Context<'_>, s: &mut ()) {
        assert_eq!(cx.send(conn, "too late"), SendStatus::Gone);
        self.0.on_close(conn, why, cx, s);
    }
}

#[test]
fn the_applications_close_leaves_after_what_was_sent() {
    let (recorder, log) = Recorder::new();
    let server = Server::with(Closer(recorder));
    let mut peer = Peer::connect(server.address());
    let mut stream = peer.encode_message("close");
    stream.extend(peer.encode_message("not heard any more"));
    peer.write(&stream);
    peer.expect("farewell");
    assert_eq!(peer.expect_close(CloseCode::new(4000)), "enough");
    let conn = log.open();
    peer.send("not heard, either");
    peer.send_close(4000, "");
    peer.expect_end();
    assert_eq!(log.next(), Told::Close(conn, "ClosedByApplication(4000)".to_owned()));
    drop(server);
    assert_eq!(log.rest(), []);
}

#[test]
fn a_handler_is_told_once_why_a_connection_ended() {
    type End = fn(Peer);
    let ends: [(End, &str); 6] = [
        (|mut peer| peer.send_close(1001, ""), "ClosedByPeer(Some(1001), \"\")"),
        (|peer| drop(peer), "Io(UnexpectedEof)"),
        (|mut peer| peer.finish(), "Io(UnexpectedEof)"),
        (|peer| peer.reset(), "Io(ConnectionReset)"),
        (|mut peer| peer.write(b"\x81\x01x"), "Protocol(UnmaskedFrame)"),
        (|mut peer| peer.send_frame(true, OpCode::Text, b"\xFF"), "Protocol(InvalidUtf8)"),
    ];
    for (end, expected) in ends {
        let (recorder, log) = Recorder::new();
        let server = Server::with(recorder);
        let mut peer = Peer::connect(server.address());
        peer.send("hello");
        peer.expect("hello");
        end(peer);
        let conn = log.open();
        assert_eq!(log.next(), Told::Message(b"hello".to_vec()));
        assert_eq!(log.next(), Told::Close(conn, expected.to_owned()));
        drop(server);
        assert_eq!(log.rest(), []);
    }
}

#[test]
fn a_broken_protocol_is_answered_with_its_code() {
    let cases: [(&[u8], CloseCode); 8] = [
        (b"\x81\x01x", CloseCode::PROTOCOL),                // no mask
        (b"\xC1\x80\0\0\0\0", CloseCode::PROTOCOL),         // a reserved bit
        (b"\x83\x80\0\0\0\0", CloseCode::PROTOCOL),         // a reserved opcode
        (b"\x80\x80\0\0\0\0", CloseCode::PROTOCOL),         // a continuation of nothing
        (b"\x09\x80\0\0\0\0", CloseCode::PROTOCOL),         // a fragmented ping
        (b"\x88\x81\0\0\0\0\x03", CloseCode::PROTOCOL),     // half a close code
        (b"\x88\x82\0\0\0\0\x03\xEE", CloseCode::PROTOCOL), // close code 1006
        (b"\x81\x82\0\0\0\0\xC3\x28", CloseCode::INVALID_PAYLOAD),
    ];
    let server = Server::echo();
    for (bytes, code) in cases {
        let mut peer = Peer::connect(server.address());
        let mut stream = peer.encode_message("good");
        stream.extend_from_slice(bytes);
        peer.write(&stream);
        peer.expect("good");
        assert_ne!(peer.expect_close(code), "");
        peer.expect_end();
    }
}

#[test]
fn stopping_closes_every_connection_with_going_away() {
    let (recorder, log) = Recorder::new();
    let server = Server::with(recorder);
    let mut peers = [(); 5].map(|()| Peer::connect(server.address()));
    for _ in &peers {
        log.open();
    }
    server.handle.stop();
    for peer in &mut peers {
        peer.expect_close(CloseCode::GOING_AWAY);
        peer.expect_end();
        assert_eq!(log.close(), "ClosedByApplication(1001)");
    }
    let address = server.address();
    server.wait();
    assert_eq!(log.rest(), []);
    assert!(TcpStream::connect(address).is_err(), "nothing listens any more");
}

#[test]
fn a_handler_may_stop_the_loop() {
    let server = Server::with(
        |conn: ConnectionId, message: Message<'_>, cx: &mut Context<'_>, _: &mut ()| {
            cx.send(conn, message);
            cx.stop();
        },
    );
    let mut peer = Peer::connect(server.address());
    peer.send("stop");
    peer.expect("stop");
    peer.expect_close(CloseCode::GOING_AWAY);
    server.wait();
}

#[test]
fn connections_that_ended_are_forgotten() {
    let (recorder, _log) = Recorder::new();
    let (mut event_loop, address) = looping::<()>(Config::default(), recorder);
    drive(&mut event_loop, &mut (), || {
        for n in 0..40 {
            let mut peer = Peer::connect(address);
            match n % 4 {
                0 => drop(peer),
                1 => peer.reset(),
                2 => {
                    peer.send_close(1000, "");
                    peer.expect_close(CloseCode::NORMAL);
                }
                _ => peer.write(b"\xFF"),
            }
        }
    });
    drive_until(&mut event_loop, &mut (), |event_loop, ()| event_loop.connections() == 0);
}

// Listeners.

#[test]
fn port_zero_takes_a_free_port_and_an_address_in_use_is_an_error() {
    let mut event_loop = EventLoop::<()>::new(Config::default()).unwrap();
    let ignore = |_: ConnectionId, _: Message<'_>, _: &mut Context<'_>, _: &mut ()| {};
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), ignore).unwrap();
    let address = event_loop.local_addr(listener).unwrap();
    assert_ne!(address.port(), 0);
    let error = event_loop.listen(address, ServerConfig::default(), ignore).unwrap_err();
    let Error::Io { action, source } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(action, &format!("listen on {address:?}"));
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn a_name_that_cannot_be_listened_on_is_an_error() {
    let mut event_loop = EventLoop::<()>::new(Config::default()).unwrap();
    let ignore = |_: ConnectionId, _: Message<'_>, _: &mut Context<'_>, _: &mut ()| {};
    for address in ["127.0.0.1", "127.0.0.1:port", "192.0.2.1:0"] {
        assert!(event_loop.listen(address, ServerConfig::default(), ignore).is_err(), "{address}");
    }
    let config = ServerConfig::default().subprotocols(["not a token"]);
    assert!(matches!(event_loop.listen("127.0.0.1:0", config, ignore), Err(Error::Header(_))));
}

#[test]
fn each_listener_has_its_own_handler() {
    let server = Server::start(Config::default(), |event_loop: &mut EventLoop<()>| {
        ["one", "two"].map(|name| {
            let handler =
                move |conn: ConnectionId, _: Message<'_>, cx: &mut Context<'_>, _: &mut ()| {
                    cx.send(conn, name);
                };
            let listener =
                event_loop.listen("127.0.0.1:0", ServerConfig::default(), handler).unwrap();
            event_loop.local_addr(listener).unwrap()
        })
    });
    let mut peers = server.ready.map(Peer::connect);
    for (peer, name) in peers.iter_mut().zip(["one", "two"]) {
        peer.send("who?");
        peer.expect(name);
    }
}

#[test]
fn a_closed_listener_keeps_its_connections_and_takes_no_more() {
    let (recorder, _log) = Recorder::new();
    let mut event_loop = EventLoop::<()>::new(Config::default()).unwrap();
    let listen = |event_loop: &mut EventLoop<()>| {
        event_loop.listen("127.0.0.1:0", ServerConfig::default(), recorder.clone()).unwrap()
    };
    let (closed, open) = (listen(&mut event_loop), listen(&mut event_loop));
    let address = event_loop.local_addr(closed).unwrap();
    let mut peer = drive(&mut event_loop, &mut (), || Peer::connect(address));
    assert!(event_loop.close_listener(closed));
    assert!(!event_loop.close_listener(closed));
    assert_eq!(event_loop.local_addr(closed), None);
    let other: SocketAddr = event_loop.local_addr(open).unwrap();
    drive(&mut event_loop, &mut (), || {
        assert!(TcpStream::connect(address).is_err());
        peer.send("still there?");
        peer.expect("still there?");
        Peer::connect(other);
    });
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
