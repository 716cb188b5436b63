//! Pausing over real sockets: the system's buffers, resets and ends of streams.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::{
    Config, Connection, ConnectionId, Context, Disconnect, EventLoop, Message, Publisher,
    WebSocketHandler,
};

use crate::util::{Peer, drive, drive_until, looping, pattern};

/// Pauses behind the message "stop", and notes everything.
struct Pausing;

#[derive(Default)]
struct Seen {
    conn: Option<ConnectionId>,
    messages: Vec<Vec<u8>>,
    close: Option<String>,
}

impl WebSocketHandler<Seen> for Pausing {
    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        seen.conn = Some(conn.id());
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, seen: &mut Seen) {
        assert!(!conn.is_paused(), "a message of a paused connection");
        seen.messages.push(message.as_bytes().to_vec());
        if message.as_bytes() == b"stop" {
            assert!(conn.pause());
        }
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, reason: &Disconnect, seen: &mut Seen) {
        assert!(!conn.is_paused() && !conn.resume());
        seen.close = Some(reason.to_string());
    }
}

/// Has the connection resumed.
struct Resume;

struct Paused {
    event_loop: EventLoop<Seen>,
    seen: Seen,
    resumes: Publisher<Resume>,
    /// Gone once it has reset its stream.
    peer: Option<Peer>,
}

impl Paused {
    /// A peer whose connection is paused, with these messages behind the one that paused it.
    fn with(behind: &[&str]) -> Self {
        let (mut event_loop, address) = looping(Config::default(), Pausing);
        event_loop.on(|cx: &mut Context<'_>, _: &Resume, seen: &mut Seen| {
            assert!(cx.connection(seen.conn.expect("it opened")).resume());
        });
        let resumes = event_loop.publisher();
        let mut seen = Seen::default();
        let peer = drive(&mut event_loop, &mut seen, || {
            let mut peer = Peer::connect(address);
            let messages = ["stop"].iter().chain(behind);
            let stream: Vec<_> = messages.flat_map(|text| peer.encode_message(*text)).collect();
            peer.write(&stream);
            peer
        });
        drive_until(&mut event_loop, &mut seen, |_, seen| !seen.messages.is_empty());
        seen.messages.clear();
        Self { event_loop, seen, resumes, peer: Some(peer) }
    }

    fn peer(&mut self) -> &mut Peer {
        self.peer.as_mut().expect("it has not reset its stream")
    }

    fn resume(&mut self) {
        assert!(self.resumes.publish(Resume).is_ok());
    }

    fn turn(&mut self) {
        self.event_loop.turn(Some(Duration::from_millis(1)), &mut self.seen).expect("turn");
    }

    fn until(&mut self, done: impl Fn(&Seen) -> bool) {
        drive_until(&mut self.event_loop, &mut self.seen, |_, seen| done(seen));
    }
}

#[test]
fn the_peer_of_a_paused_connection_waits_and_loses_nothing() {
    const LEN: usize = 10_000;
    let mut paused = Paused::with(&["left over"]);
    let mut stream = paused.peer().stream();
    stream.set_nonblocking(true).expect("set O_NONBLOCK");
    let (mut count, mut frame, mut at) = (0, Vec::new(), 0);
    // Kernels hold only so much, and the loop takes none of it.
    while count < 20_000 {
        if at == frame.len() {
            (frame, at) = (paused.peer().encode_message(&pattern(LEN, count)), 0);
            count += 1;
        }
        match stream.write(&frame[at..]) {
            Ok(written) => at += written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
        paused.turn();
    }
    assert!(count < 20_000, "the peer did not have to wait");
    assert!(paused.seen.messages.is_empty());
    paused.resume();
    stream.set_nonblocking(false).expect("clear O_NONBLOCK");
    drive(&mut paused.event_loop, &mut paused.seen, || {
        stream.write_all(&frame[at..]).expect("write");
    });
    paused.until(|seen| seen.messages.len() == count + 1);
    assert_eq!(paused.seen.messages[0], b"left over");
    for (number, message) in paused.seen.messages[1..].iter().enumerate() {
        assert!(*message == pattern(LEN, number), "{number}");
    }
}

#[test]
fn a_paused_connection_can_send_and_close() {
    let mut paused = Paused::with(&["left over"]);
    let conn = paused.seen.conn.expect("it opened");
    paused.event_loop.on(move |cx: &mut Context<'_>, code: &u16, _: &mut Seen| {
        cx.send_to(conn, "still here");
        assert!(cx.connection(conn).close(eventwire::CloseCode::new(*code), ""));
    });
    assert!(paused.event_loop.publisher().publish(4000_u16).is_ok());
    let peer = paused.peer.as_mut().expect("a peer");
    drive(&mut paused.event_loop, &mut paused.seen, || {
        peer.expect("still here");
        peer.send("after the close");
        peer.send_frame(true, OpCode::Close, &4000_u16.to_be_bytes());
        while peer.next_frame().is_some() {}
    });
    paused.until(|seen| seen.close.is_some());
    assert_eq!(paused.seen.close.as_deref(), Some("closed by the application: 4000"));
    assert!(paused.seen.messages.is_empty());
}

#[test]
fn a_reset_ends_a_paused_connection() {
    for behind in [&["left over"][..], &[]] {
        let mut paused = Paused::with(behind);
        paused.peer.take().expect("a peer").reset();
        paused.until(|seen| seen.close.is_some());
        assert!(paused.seen.close.expect("a reason").starts_with("stream failed: "));
        assert!(paused.seen.messages.is_empty());
    }
}

#[test]
fn the_end_of_the_stream_comes_after_earlier_messages() {
    let mut paused = Paused::with(&["left over"]);
    paused.peer().send("in the system's buffer");
    paused.peer().finish();
    for _ in 0..20 {
        paused.turn();
    }
    assert!(paused.seen.messages.is_empty() && paused.seen.close.is_none());
    paused.resume();
    paused.until(|seen| seen.close.is_some());
    assert_eq!(paused.seen.messages, [&b"left over"[..], b"in the system's buffer"]);
    assert_eq!(paused.seen.close.as_deref(), Some("stream failed: unexpected end of file"));
}
