//! How connections end, and which reason `on_close` gets.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use eventwire::proto::{Limits, OpCode};
use eventwire::{
    CloseCode, Config, Connection, Disconnect, EventLoop, Message, SendStatus, ServerConfig,
    WebSocketHandler, on_message,
};

use crate::util::{Call, Log, Peer, Recorder, Server, drive, drive_until, looping};

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
fn messages_before_the_peers_close_are_answered_and_none_after() {
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
    assert_eq!(log.next(), Call::Message(b"before".to_vec()));
    assert_eq!(log.next(), Call::Close(conn, "ClosedByPeer(Some(1000), \"\")".to_owned()));
    drop(server);
    assert_eq!(log.rest(), []);
}

/// Closes on the message "close", after a farewell.
pub(crate) struct Closer(Recorder);

impl Closer {
    pub(crate) fn new() -> (Self, Log) {
        let (recorder, log) = Recorder::new();
        (Self(recorder), log)
    }
}

impl WebSocketHandler<()> for Closer {
    fn on_open(&mut self, conn: &mut Connection<'_>, state: &mut ()) {
        self.0.on_open(conn, state);
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
        assert_eq!(message, Message::Text("close"));
        conn.send("farewell");
        assert!(conn.close(CloseCode::new(4000), "enough"));
        assert!(!conn.close(CloseCode::NORMAL, "again"));
        assert!(!conn.is_open());
        assert_eq!(conn.send("late"), SendStatus::Gone);
        assert_eq!(conn.ping(b"late"), SendStatus::Gone);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, why: &Disconnect, s: &mut ()) {
        assert_eq!(conn.send("too late"), SendStatus::Gone);
        self.0.on_close(conn, why, s);
    }
}

#[test]
fn the_applications_close_leaves_after_what_was_sent() {
    let (closer, log) = Closer::new();
    let server = Server::with(closer);
    let mut peer = Peer::connect(server.address());
    let mut stream = peer.encode_message("close");
    stream.extend(peer.encode_message("after the close"));
    peer.write(&stream);
    peer.expect("farewell");
    assert_eq!(peer.expect_close(CloseCode::new(4000)), "enough");
    let conn = log.open();
    peer.send("after the close, too");
    peer.send_close(4000, "");
    peer.expect_end();
    assert_eq!(log.next(), Call::Close(conn, "ClosedByApplication(4000)".to_owned()));
    drop(server);
    assert_eq!(log.rest(), []);
}

#[test]
fn on_close_is_called_once_with_the_reason() {
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
        assert_eq!(log.next(), Call::Message(b"hello".to_vec()));
        assert_eq!(log.next(), Call::Close(conn, expected.to_owned()));
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
    let server =
        Server::with(on_message(|conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()| {
            conn.send(message);
            conn.stop();
        }));
    let mut peer = Peer::connect(server.address());
    peer.send("stop");
    peer.expect("stop");
    peer.expect_close(CloseCode::GOING_AWAY);
    server.wait();
}

/// An echo server's loop.
fn listening(server: ServerConfig) -> (EventLoop<()>, SocketAddr) {
    let (recorder, _) = Recorder::new();
    let mut event_loop = EventLoop::new(Config::default()).expect("a loop");
    let listener = event_loop.listen("127.0.0.1:0", server, recorder).expect("a port");
    let address = event_loop.local_addr(listener).expect("an address");
    (event_loop, address)
}

/// Never comes in a test.
const NEVER: Duration = Duration::from_secs(3600);

#[test]
fn a_server_ends_the_stream_after_both_close_frames() {
    let limits = Limits::default().close_timeout(NEVER);
    let (mut event_loop, address) = listening(ServerConfig::default().limits(limits));
    let peers = drive(&mut event_loop, &mut (), || {
        [(); 3].map(|()| {
            let mut peer = Peer::connect(address);
            peer.send_close(1000, "");
            peer.expect_close(CloseCode::NORMAL);
            peer.expect_end();
            peer
        })
    });
    drive_until(&mut event_loop, &mut (), |event_loop, ()| event_loop.connections() == 0);
    // Their ends were open all the time.
    drop(peers);
}

#[test]
fn data_after_the_peers_close_frame_does_not_destroy_ours() {
    let config = Config::default().receive_buffer(4096);
    let (recorder, _log) = Recorder::new();
    let (mut event_loop, address) = looping::<()>(config, recorder);
    drive(&mut event_loop, &mut (), || {
        let mut peer = Peer::connect(address);
        let mut stream = peer.encode(true, OpCode::Close, &1000_u16.to_be_bytes());
        stream.extend([0; 40_000]);
        peer.write(&stream);
        peer.expect_close(CloseCode::NORMAL);
        peer.expect_end();
    });
    drive_until(&mut event_loop, &mut (), |event_loop, ()| event_loop.connections() == 0);
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
