//! What is counted: a loop and its clients, in turns on one thread.

use std::env;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::process::{Command, Stdio};
use std::time::Duration;

use eventwire::proto::{FrameHeader, OpCode, Role, apply_mask};
use eventwire::{
    Config, Connection, Context, Disconnect, EventLoop, Idle, IntoRoutes, Message, ServerConfig,
    StreamConfig, StreamHandler, TopicId, WebSocketHandler,
};

use crate::http;

/// Longer than any turn waits while there is something to come.
const PATIENCE: Duration = Duration::from_secs(5);

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// One kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// One connection, one message at a time, of so many bytes.
    Echo(usize),
    /// One connection, so many messages of 20 bytes at a time.
    Pipelined(usize),
    /// So many connections, one message of 64 bytes from each at a time.
    Crowd(usize),
    /// So many connections hear each message, of 128 bytes.
    Broadcast(usize),
    /// A connection opens.
    Handshake,
    /// An event comes from a publisher.
    Event,
    /// One raw stream, so many bytes at a time.
    StreamEcho(usize),
    /// One connection, so many requests for a page at a time.
    HttpGet(usize),
    /// One connection, one request at a time, which a handler answers at once.
    HttpNow,
    /// The same, but an event handler answers.
    HttpLater,
    /// So many streams of events hear each message, of 128 bytes.
    EventStreams(usize),
}

impl Workload {
    pub(crate) const ALL: [Self; 14] = [
        Self::Echo(128),
        Self::Echo(1024),
        Self::Echo(16 * 1024),
        Self::Echo(64 * 1024),
        Self::Pipelined(64),
        Self::Crowd(100),
        Self::Broadcast(100),
        Self::Handshake,
        Self::Event,
        Self::StreamEcho(128),
        Self::HttpGet(16),
        Self::HttpNow,
        Self::HttpLater,
        Self::EventStreams(100),
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Echo(128) => "echo-128",
            Self::Echo(1024) => "echo-1024",
            Self::Echo(16_384) => "echo-16384",
            Self::Echo(_) => "echo-65536",
            Self::Pipelined(_) => "pipelined-20",
            Self::Crowd(_) => "crowd-64",
            Self::Broadcast(_) => "broadcast-128",
            Self::Handshake => "handshake",
            Self::Event => "event",
            Self::StreamEcho(_) => "stream-echo-128",
            Self::HttpGet(_) => "http-get",
            Self::HttpNow => "http-now",
            Self::HttpLater => "http-later",
            Self::EventStreams(_) => "events-delivery",
        }
    }

    /// What is counted of a round: messages, deliveries, connections, events or requests.
    pub(crate) const fn messages_a_round(self) -> usize {
        match self {
            Self::Pipelined(count) | Self::Crowd(count) | Self::Broadcast(count) => count,
            Self::HttpGet(count) | Self::EventStreams(count) => count,
            Self::Event => EVENTS,
            Self::Echo(_) | Self::Handshake | Self::StreamEcho(_) => 1,
            Self::HttpNow | Self::HttpLater => 1,
        }
    }

    pub(crate) fn run(self, rounds: usize) {
        match self {
            Self::Echo(size) => echo(1, size, rounds),
            Self::Pipelined(count) => echo(count, 20, rounds),
            Self::Crowd(connections) => crowd(connections, rounds),
            Self::Broadcast(receivers) => broadcast(receivers, rounds),
            Self::Handshake => handshake(rounds),
            Self::Event => events(rounds),
            Self::StreamEcho(size) => stream_echo(size, rounds),
            Self::HttpGet(count) => http::pages(count, rounds),
            Self::HttpNow => http::answers_now(rounds),
            Self::HttpLater => http::answers_later(rounds),
            Self::EventStreams(receivers) => http::event_streams(receivers, rounds),
        }
    }
}

/// Events in a round: as many as a turn handles in one go.
const EVENTS: usize = 64;

pub(crate) struct Server {
    pub(crate) event_loop: EventLoop<Seen>,
    pub(crate) address: SocketAddr,
    pub(crate) topic: TopicId,
    seen: Seen,
}

/// How many messages, events and requests were handled.
#[derive(Debug, Default)]
pub(crate) struct Seen(pub(crate) usize);

impl Server {
    fn new(handler: fn(TopicId) -> Handler) -> Self {
        Self::with_routes(handler)
    }

    pub(crate) fn with_routes<R, Kind>(routes: impl FnOnce(TopicId) -> R) -> Self
    where
        R: IntoRoutes<Seen, Kind>,
    {
        let config = Config::default().idle(Idle::Block);
        let mut event_loop = EventLoop::new(config).expect("a loop");
        let topic = event_loop.topic("all").expect("room for a topic");
        let server = ServerConfig::default();
        let listener = event_loop.listen("127.0.0.1:0", server, routes(topic)).expect("a port");
        let address = event_loop.local_addr(listener).expect("it listens");
        Self { event_loop, address, topic, seen: Seen::default() }
    }

    /// What callgrind counts, so not to be merged with anything.
    #[inline(never)]
    pub(crate) fn counted_turn(&mut self) {
        self.event_loop.turn(Some(PATIENCE), &mut self.seen).expect("a turn");
    }

    /// Runs until a connection has closed, as applications run a loop. Counted, too.
    #[inline(never)]
    fn counted_run(&mut self) {
        self.event_loop.run(&mut self.seen).expect("a run");
    }

    /// Turns until `count` messages, events or requests were handled in all.
    pub(crate) fn turn_until(&mut self, count: usize) {
        while self.seen.0 < count {
            self.counted_turn();
        }
    }

    fn connect(&mut self) -> TcpStream {
        let mut client = open(self.address);
        let before = self.event_loop.stats().opened;
        while self.event_loop.stats().opened == before {
            self.counted_turn();
        }
        read_head(&mut client);
        client
    }
}

/// Connects to the loop and asks for a WebSocket.
fn open(address: impl ToSocketAddrs) -> TcpStream {
    let mut client = TcpStream::connect(address).expect("it listens");
    client.set_nodelay(true).expect("a socket");
    client.write_all(REQUEST).expect("room for a request");
    client
}

pub(crate) fn read_head(client: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).expect("a response");
        head.extend(byte);
    }
}

#[derive(Debug)]
enum Handler {
    Echo,
    Broadcast(TopicId),
}

impl WebSocketHandler<Seen> for Handler {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut Seen) {
        if let Self::Broadcast(topic) = *self {
            conn.subscribe(topic).expect("room for a subscription");
        }
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, seen: &mut Seen) {
        seen.0 += 1;
        match *self {
            Self::Echo => conn.send(message),
            Self::Broadcast(topic) => conn.broadcast(topic, message),
        };
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, _: &mut Seen) {
        conn.stop();
    }
}

impl StreamHandler<Seen> for Handler {
    fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], seen: &mut Seen) -> usize {
        // A second place that sends would change how the first one is compiled.
        self.on_message(conn, Message::Binary(data), seen);
        data.len()
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, _: &mut Seen) {
        conn.stop();
    }
}

/// `count` frames of a client, one after the other.
fn frames(count: usize, size: usize) -> Vec<u8> {
    let key = [1, 2, 3, 4];
    let mut header = [0; FrameHeader::MAX_LEN];
    let frame = FrameHeader {
        fin: true,
        compressed: false,
        opcode: OpCode::Binary,
        mask: Some(key),
        len: size as u64,
    };
    let len = frame.encode(&mut header);
    let mut payload = vec![b'x'; size];
    apply_mask(&mut payload, key, 0);
    [&header[..len], &payload].concat().repeat(count)
}

/// How long the same frames are without their masks.
const fn answer_len(frames: usize, count: usize) -> usize {
    frames - 4 * count
}

/// A client that waits for its answers before it sends again has the loop to itself, so that each
/// turn finds the same in every run, though the client is another process.
fn echo(count: usize, size: usize, rounds: usize) {
    let mut server = Server::new(|_| Handler::Echo);
    let mut client = Command::new(env::current_exe().expect("this program has a path"))
        .args(["ask", &server.address.to_string()])
        .args([count, size, rounds].map(|number| number.to_string()))
        .spawn()
        .expect("this program starts");
    server.counted_run();
    assert!(client.wait().expect("a child").success());
    assert_eq!(server.seen.0, count * rounds);
}

/// The same for a raw stream, of which a read brings one message.
fn stream_echo(size: usize, rounds: usize) {
    let mut server = Server::new(|_| Handler::Echo);
    let streams = StreamConfig::default();
    let listener = server.event_loop.listen_stream("127.0.0.1:0", streams, Handler::Echo);
    let address = server.event_loop.local_addr(listener.expect("a port")).expect("it listens");
    // A count of zero: the client sends its bytes as they are.
    let mut client = Command::new(env::current_exe().expect("this program has a path"))
        .args(["ask", &address.to_string()])
        .args([0, size, rounds].map(|number| number.to_string()))
        .stdin(Stdio::piped())
        .spawn()
        .expect("this program starts");
    // The read that opens the stream would go on with the first messages.
    while server.event_loop.stats().opened == 0 {
        server.counted_turn();
    }
    let begin = client.stdin.take().map(|mut input| input.write_all(b"\n"));
    begin.expect("an input").expect("room for a byte");
    server.counted_run();
    assert!(client.wait().expect("a child").success());
    assert_eq!(server.seen.0, rounds);
}

/// The client of a raw stream.
fn ask_raw(address: &str, size: usize, rounds: usize) {
    let mut client = TcpStream::connect(address).expect("it listens");
    client.set_nodelay(true).expect("a socket");
    std::io::stdin().read_exact(&mut [0]).expect("the sign to begin");
    let (bytes, mut answer) = (vec![b'x'; size], vec![0; size]);
    for _ in 0..rounds {
        client.write_all(&bytes).expect("room for the bytes");
        client.read_exact(&mut answer).expect("an answer");
    }
    assert_eq!(answer, bytes);
}

/// The client: sends `count` messages of `size` bytes and waits for the answers, so often.
pub(crate) fn ask(address: &str, count: usize, size: usize, rounds: usize) {
    if count == 0 {
        return ask_raw(address, size, rounds);
    }
    let mut client = open(address);
    read_head(&mut client);
    let frames = frames(count, size);
    let mut answers = vec![0; answer_len(frames.len(), count)];
    for _ in 0..rounds {
        client.write_all(&frames).expect("room for the frames");
        client.read_exact(&mut answers).expect("answers");
    }
    let (header, len) =
        FrameHeader::parse(&answers, Role::Client).expect("a frame").expect("whole");
    assert_eq!((header.len, answers[len]), (size as u64, b'x'));
}

fn crowd(connections: usize, rounds: usize) {
    let mut server = Server::new(|_| Handler::Echo);
    let mut clients: Vec<_> = (0..connections).map(|_| server.connect()).collect();
    let frame = frames(1, 64);
    let mut answer = vec![0; answer_len(frame.len(), 1)];
    for round in 1..=rounds {
        for client in &mut clients {
            client.write_all(&frame).expect("room for a frame");
        }
        server.turn_until(round * connections);
        for client in &mut clients {
            client.read_exact(&mut answer).expect("an answer");
        }
    }
}

fn broadcast(receivers: usize, rounds: usize) {
    let mut server = Server::new(Handler::Broadcast);
    let mut clients: Vec<_> = (0..receivers).map(|_| server.connect()).collect();
    let frame = frames(1, 128);
    let mut answer = vec![0; answer_len(frame.len(), 1)];
    for round in 1..=rounds {
        clients[0].write_all(&frame).expect("room for a frame");
        server.turn_until(round);
        for client in &mut clients {
            client.read_exact(&mut answer).expect("a broadcast");
        }
    }
    assert_eq!(server.event_loop.topic("all").expect("the topic"), server.topic);
}

fn handshake(rounds: usize) {
    let mut server = Server::new(|_| Handler::Echo);
    let clients: Vec<_> = (0..rounds).map(|_| server.connect()).collect();
    assert_eq!(server.event_loop.connections(), clients.len());
}

#[derive(Debug)]
struct Number(#[expect(dead_code, reason = "an event has something in it")] usize);

fn events(rounds: usize) {
    let mut server = Server::new(|_| Handler::Echo);
    server.event_loop.on(|_: &mut Context<'_>, _: &Number, seen: &mut Seen| seen.0 += 1);
    let publisher = server.event_loop.publisher();
    for round in 1..=rounds {
        for number in 0..EVENTS {
            publisher.publish(Number(number)).expect("room for an event");
        }
        server.turn_until(round * EVENTS);
    }
}
