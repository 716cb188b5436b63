//! Urgent data: a receive stops at it, though more has come behind.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::thread;

use eventwire::{
    ClientConfig, Config, Connection, EventLoop, Message, ServerConfig, WebSocketHandler,
    on_message,
};
use socket2::SockRef;

use crate::util::{PATIENCE, Peer, drive, request};

/// What arrived.
type Texts = Vec<String>;

fn note(_: &mut Connection<'_>, message: Message<'_>, texts: &mut Texts) {
    texts.extend(message.as_text().map(str::to_owned));
}

struct Client;

impl WebSocketHandler<Texts> for Client {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, texts: &mut Texts) {
        note(conn, message, texts);
    }
}

fn listen(server: ServerConfig) -> (EventLoop<Texts>, SocketAddr) {
    let mut event_loop = EventLoop::new(Config::default()).expect("a loop");
    let listener = event_loop.listen("127.0.0.1:0", server, on_message(note)).expect("a port");
    let address = event_loop.local_addr(listener).expect("an address");
    (event_loop, address)
}

/// A client's frame, masked with zeros.
const HELLO: &[u8] = b"\x81\x85\0\0\0\0hello";

/// More turns than any of this takes.
const TURNS: usize = 1000;

#[track_caller]
fn expect(event_loop: &mut EventLoop<Texts>, expected: &[&str]) {
    let mut texts = Texts::new();
    for _ in 0..TURNS {
        if texts.len() >= expected.len() {
            break;
        }
        event_loop.turn(Some(PATIENCE), &mut texts).expect("a turn");
    }
    assert_eq!(texts, expected);
}

/// Sends `bytes`, and a byte of urgent data behind the first `at`.
fn send(mut stream: impl Write, urgent: SockRef<'_>, bytes: &[u8], at: usize) {
    stream.write_all(&bytes[..at]).expect("write");
    assert_eq!(urgent.send_out_of_band(b"!").expect("urgent data"), 1);
    stream.write_all(&bytes[at..]).expect("write");
}

#[test]
fn data_after_urgent_data_is_read_at_once() {
    let (mut event_loop, address) = listen(ServerConfig::default());
    let mut peer = drive(&mut event_loop, &mut Texts::new(), move || Peer::connect(address));
    let stream = peer.stream();
    let frames = ["one", "two"].map(|text| peer.encode_message(text));
    let (first, both) = (frames[0].len(), frames.concat());
    // Ahead of all, in a header, in a payload, between two frames, behind all.
    for at in [0, 1, first - 2, first, both.len()] {
        send(&stream, SockRef::from(&stream), &both, at);
        expect(&mut event_loop, &["one", "two"]);
    }
    // In a message that is received straight into its storage.
    let large = "large".repeat(60_000);
    let frame = peer.encode_message(&*large);
    for at in [10, 100_000, frame.len() - 1] {
        let bytes = [&frame[..], &frames[0]].concat();
        thread::scope(|scope| {
            scope.spawn(|| send(&stream, SockRef::from(&stream), &bytes, at));
            expect(&mut event_loop, &[&large, "one"]);
        });
    }
}

#[test]
fn urgent_data_does_not_hold_up_an_opening_handshake() {
    let (mut event_loop, address) = listen(ServerConfig::default());
    let request = request("/", "");
    for at in [0, 30, request.len() - 2, request.len()] {
        let stream = Peer::open(address).stream();
        send(&stream, SockRef::from(&stream), &[&request[..], HELLO].concat(), at);
        expect(&mut event_loop, &["hello"]);
    }
}

#[test]
fn a_client_reads_data_after_urgent_data() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    for between in [true, false] {
        let mut event_loop = EventLoop::<Texts>::new(Config::default()).expect("a loop");
        event_loop.connect(&url, ClientConfig::default(), Client).expect("connect");
        let (mut peer, request) =
            drive(&mut event_loop, &mut Texts::new(), || Peer::accept_request(&listener));
        let (stream, answer) = (peer.stream(), Peer::acceptance(&request, ""));
        let at = if between { answer.len() } else { 20 };
        let bytes = [answer, peer.encode_message("hello")].concat();
        send(&stream, SockRef::from(&stream), &bytes, at);
        expect(&mut event_loop, &["hello"]);
    }
}

#[test]
fn data_after_urgent_data_on_a_unix_socket_is_read_at_once() {
    let probe = UnixStream::pair().expect("a pair");
    if SockRef::from(&probe.0).send_out_of_band(b"!").is_err() {
        // This system knows none on Unix sockets.
        return;
    }
    let (near, far) = UnixStream::pair().expect("a pair");
    let (mut event_loop, _) = listen(ServerConfig::default());
    let listener = event_loop
        .listen("127.0.0.1:0", ServerConfig::default(), on_message(note))
        .expect("a port");
    event_loop.adopt(listener, far).expect("a place");
    let bytes = [&request("/", "")[..], HELLO].concat();
    send(&near, SockRef::from(&near), &bytes, bytes.len() - HELLO.len());
    expect(&mut event_loop, &["hello"]);
}
