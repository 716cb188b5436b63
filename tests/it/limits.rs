//! What a peer may cost: sizes, rates, times and numbers of connections.

use std::time::Duration;

use eventwire::proto::{Limits, OpCode};
use eventwire::{
    CloseCode, Config, Connection, Error, EventLoop, Message, ServerConfig, SubscribeError,
    on_message,
};

use crate::util::{Call, Log, Peer, Recorder, Server, drive, drive_until, looping, pattern};

/// Soon enough for a test to wait for, and far off for what should never come to it.
const SOON: Duration = Duration::from_millis(200);
const NEVER: Duration = Duration::from_secs(3600);

/// Limits that these tests do not reach.
fn generous() -> Limits {
    Limits::default()
        .handshake_timeout(NEVER)
        .message_timeout(NEVER)
        .ping_interval(None)
        .close_timeout(NEVER)
}

fn serve(limits: Limits) -> (Server, Log) {
    let (recorder, log) = Recorder::new();
    let config = ServerConfig::default().limits(limits);
    (Server::listen(Config::default(), config, recorder), log)
}

/// Expects one connection that was opened to end for this reason, after any messages.
#[track_caller]
fn expect_end(log: &Log, reason: &str) {
    log.open();
    loop {
        match log.next() {
            Call::Close(_, text) => return assert_eq!(text, reason),
            Call::Message(_) | Call::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

// Sizes.

#[test]
fn a_message_that_is_too_big_is_refused_by_its_header() {
    let (server, log) = serve(generous().max_message(1_000));
    let mut peer = Peer::connect(server.address());
    peer.send(&pattern(1_000, 0));
    peer.expect(&pattern(1_000, 0));
    let frame = peer.encode(true, OpCode::Binary, &pattern(1_001, 0));
    peer.write(&frame[..8]);
    peer.expect_close(CloseCode::TOO_BIG);
    peer.expect_end();
    expect_end(&log, "Protocol(FrameTooLarge { len: 1001, limit: 1000 })");
}

#[test]
fn a_message_that_grows_too_big_is_refused() {
    let (server, log) = serve(generous().max_message(1_000));
    let mut peer = Peer::connect(server.address());
    peer.send_frame(false, OpCode::Binary, &pattern(600, 0));
    peer.send_frame(true, OpCode::Continuation, &pattern(400, 0));
    peer.frame();
    peer.send_frame(false, OpCode::Binary, &pattern(600, 0));
    peer.send_frame(true, OpCode::Continuation, &pattern(401, 0));
    peer.expect_close(CloseCode::TOO_BIG);
    expect_end(&log, "Protocol(MessageTooLarge { limit: 1000 })");
}

#[test]
fn a_frame_that_is_too_big_is_refused() {
    let (server, log) = serve(generous().max_message(1_000).max_frame(100));
    let mut peer = Peer::connect(server.address());
    peer.send_frame(false, OpCode::Binary, &[1; 100]);
    peer.send_frame(true, OpCode::Continuation, &[1; 100]);
    peer.expect(&[1; 200]);
    peer.send_frame(false, OpCode::Binary, &[1; 101]);
    peer.expect_close(CloseCode::TOO_BIG);
    expect_end(&log, "Protocol(FrameTooLarge { len: 101, limit: 100 })");
}

#[test]
fn too_many_fragments_are_refused() {
    let (server, log) = serve(generous().max_fragments(4));
    let mut peer = Peer::connect(server.address());
    let send = |peer: &mut Peer, count: usize| {
        for n in 1..=count {
            let opcode = if n == 1 { OpCode::Binary } else { OpCode::Continuation };
            peer.send_frame(n == count, opcode, b"x");
        }
    };
    send(&mut peer, 4);
    peer.expect(b"xxxx");
    send(&mut peer, 5);
    peer.expect_close(CloseCode::TOO_BIG);
    expect_end(&log, "Protocol(TooManyFragments { limit: 4 })");
}

#[test]
fn a_flood_of_control_frames_is_refused() {
    for opcode in [OpCode::Ping, OpCode::Pong, OpCode::Continuation] {
        let (server, _log) = serve(generous().control_rate(1, 5));
        let mut peer = Peer::connect(server.address());
        let mut stream = peer.encode(false, OpCode::Binary, b"begun");
        let fin = opcode.is_control();
        // Not even the slowest machine takes a minute and more to receive these.
        let flood = peer.encode(fin, opcode, b"").repeat(100);
        stream.extend(flood);
        peer.write(&stream);
        let close = loop {
            let frame = peer.frame();
            if frame.opcode != OpCode::Pong {
                break frame;
            }
        };
        assert_eq!(close.opcode, OpCode::Close);
        assert_eq!(close.payload[..2], 1008_u16.to_be_bytes());
        peer.expect_end();
    }
}

// Times.

#[test]
fn a_message_left_unfinished_ends_the_connection() {
    let (server, log) = serve(generous().message_timeout(SOON));
    let mut idle = Peer::connect(server.address());
    idle.send("finished");
    idle.expect("finished");
    log.open();
    log.next();
    let unfinished: [fn(&mut Peer); 3] = [
        |peer| peer.send_frame(false, OpCode::Text, b"more to com"),
        |peer| peer.write(b"\x82\x85\0\0\0\0abcd"),
        |peer| {
            peer.send_frame(false, OpCode::Text, b"");
            peer.send_frame(true, OpCode::Ping, b"");
            peer.expect_frame(OpCode::Pong, b"");
        },
    ];
    for begin in unfinished {
        let mut peer = Peer::connect(server.address());
        begin(&mut peer);
        peer.expect_close(CloseCode::POLICY);
        peer.expect_end();
        expect_end(&log, "TimedOut(Message)");
    }
    idle.send("still there");
    idle.expect("still there");
}

#[test]
fn a_slow_request_gets_408_and_a_silent_peer_gets_nothing() {
    let (server, log) = serve(generous().handshake_timeout(SOON));
    for begun in [&b"G"[..], b"GET / HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut peer = Peer::open(server.address());
        peer.write(begun);
        let answer = peer.rest();
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    }
    assert_eq!(Peer::open(server.address()).rest(), "");
    drop(server);
    assert_eq!(log.rest(), []);
}

#[test]
fn a_silent_peer_is_pinged_and_then_disconnected() {
    let (server, log) = serve(generous().ping_interval(Some(SOON)).pong_timeout(SOON));
    let mut peer = Peer::connect(server.address());
    peer.expect_frame(OpCode::Ping, b"");
    peer.expect_end();
    expect_end(&log, "TimedOut(Pong)");
}

#[test]
fn a_peer_that_answers_pings_stays_and_is_pinged_again_in_time() {
    let (server, log) = serve(generous().ping_interval(Some(SOON)).pong_timeout(NEVER));
    let mut peer = Peer::connect(server.address());
    log.open();
    for _ in 0..3 {
        peer.expect_frame(OpCode::Ping, b"");
        peer.send_frame(true, OpCode::Pong, b"");
        assert_eq!(log.next(), Call::Pong(Vec::new()));
    }
}

#[test]
fn a_peer_that_does_not_answer_a_close_is_disconnected() {
    let limits = generous().close_timeout(SOON);
    let config = ServerConfig::default().limits(limits);
    let server = Server::listen(Config::default(), config, crate::closing::Closer::new().0);
    let mut peer = Peer::connect(server.address());
    peer.send("close");
    peer.expect("farewell");
    peer.expect_close(CloseCode::new(4000));
    peer.expect_end();
}

#[test]
fn a_peer_that_never_hangs_up_is_forgotten() {
    let (recorder, log) = Recorder::new();
    let limits = generous().close_timeout(SOON);
    let mut event_loop = EventLoop::new(Config::default()).unwrap();
    let config = ServerConfig::default().limits(limits);
    let listener = event_loop.listen("127.0.0.1:0", config, recorder).unwrap();
    let address = event_loop.local_addr(listener).unwrap();
    let _peers = drive(&mut event_loop, &mut (), || {
        let mut closing = Peer::connect(address);
        closing.send_close(1000, "");
        closing.expect_close(CloseCode::NORMAL);
        let mut wrong = Peer::connect(address);
        wrong.write(b"\xFF");
        wrong.expect_close(CloseCode::PROTOCOL);
        let mut refused = Peer::open(address);
        refused.write(b"\x16");
        assert!(refused.head().starts_with("HTTP/1.1 400 "));
        (closing, wrong, refused)
    });
    drive_until(&mut event_loop, &mut (), |event_loop, ()| event_loop.connections() == 0);
    expect_end(&log, "ClosedByPeer(Some(1000), \"\")");
    expect_end(&log, "Protocol(ReservedBits)");
    drop(event_loop);
    assert_eq!(log.rest(), []);
}

// Numbers.

#[test]
fn one_connection_too_many_waits_until_another_leaves() {
    let config = Config::default().max_connections(2);
    let server = Server::listen(config, ServerConfig::default(), Recorder::new().0);
    let mut first = Peer::connect(server.address());
    let mut second = Peer::connect(server.address());
    let mut third = Peer::open(server.address());
    third.write(&crate::util::request("/", ""));
    for _ in 0..10 {
        first.send("first");
        first.expect("first");
        second.send("second");
        second.expect("second");
        assert!(third.is_silent());
    }
    drop(first);
    assert!(third.head().starts_with("HTTP/1.1 101 "));
    third.send("third");
    third.expect("third");
    second.send("second");
    second.expect("second");
}

#[test]
fn one_pending_handshake_too_many_ends_the_oldest_after_a_while() {
    let (recorder, _log) = Recorder::new();
    let (mut event_loop, address) =
        looping::<()>(Config::default().max_pending_handshakes(2), recorder);
    drive(&mut event_loop, &mut (), || {
        // Those that are open do not count.
        let mut open = [(); 3].map(|()| Peer::connect(address));
        let [mut oldest, mut second, mut third] = [(); 3].map(|()| Peer::open(address));
        oldest.expect_end();
        for peer in [&mut second, &mut third] {
            peer.write(&crate::util::request("/", ""));
            assert!(peer.head().starts_with("HTTP/1.1 101 "));
        }
        for peer in open.iter_mut().chain([&mut second, &mut third]) {
            peer.send("hello");
            peer.expect("hello");
        }
    });
}

#[test]
fn topics_and_subscriptions_have_limits() {
    let config = Config::default().max_topics(3).max_subscriptions(2);
    let server = Server::listen(
        config,
        ServerConfig::default(),
        on_message(|conn: &mut Connection<'_>, _: Message<'_>, _: &mut ()| {
            let topics = ["a", "b", "c"].map(|name| conn.topic(name).expect("within the limit"));
            assert!(matches!(conn.topic("d"), Err(Error::TopicLimit)));
            assert_eq!(conn.topic("b").expect("it is there"), topics[1]);
            assert_eq!(conn.subscribe(topics[0]), Ok(true));
            assert_eq!(conn.subscribe(topics[1]), Ok(true));
            assert_eq!(conn.subscribe(topics[0]), Ok(false));
            assert_eq!(conn.subscribe(topics[2]), Err(SubscribeError::TooMany));
            assert!(conn.unsubscribe(topics[0]));
            assert_eq!(conn.subscribe(topics[2]), Ok(true));
            conn.send("done");
        }),
    );
    let mut peer = Peer::connect(server.address());
    peer.send("go");
    peer.expect("done");
}

#[test]
fn topic_names_have_a_length_limit() {
    let mut event_loop = EventLoop::<()>::new(Config::default()).unwrap();
    assert!(event_loop.topic(&"x".repeat(256)).is_ok());
    assert!(matches!(event_loop.topic(&"x".repeat(257)), Err(Error::TopicLimit)));
    assert_eq!(event_loop.topic("same").unwrap(), event_loop.topic("same").unwrap());
}

/// Were the stream cut while the rest of the message arrives, the reset would be in the way of the
/// close frame.
#[test]
fn a_client_learns_that_its_message_was_a_little_too_long_and_ends_in_order() {
    let server = Server::with(Recorder::new().0);
    for _ in 0..10 {
        let mut peer = Peer::connect(server.address());
        peer.send(&vec![0; (1 << 20) + 1]);
        peer.expect_close(CloseCode::TOO_BIG);
        peer.send_close(1009, "");
        peer.expect_end();
    }
}
