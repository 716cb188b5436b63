//! What is counted: a loop and its clients, in turns on one thread.

use std::env;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::{
    Config, Connection, Context, Disconnect, EventLoop, Idle, IntoRoutes, Message, ServerConfig,
    StreamConfig, StreamHandler, TopicId, WebSocketHandler,
};

use crate::frames::encode;
use crate::http;

/// Longer than any turn waits while there is something to come.
const PATIENCE: Duration = Duration::from_secs(5);

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// One kind of traffic.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// What is counted of a round: messages, deliveries, connections, events or requests.
    pub(crate) a_round: usize,
    /// Runs so many rounds.
    pub(crate) run: fn(usize),
}

const fn workload(name: &'static str, a_round: usize, run: fn(usize)) -> Workload {
    Workload { name, a_round, run }
}

pub(crate) const WORKLOADS: [Workload; 14] = [
    // One connection, one message at a time.
    workload("echo-128", 1, |rounds| echo(1, 128, rounds)),
    workload("echo-1024", 1, |rounds| echo(1, 1024, rounds)),
    workload("echo-16384", 1, |rounds| echo(1, 16 * 1024, rounds)),
    workload("echo-65536", 1, |rounds| echo(1, 64 * 1024, rounds)),
    // One connection, many messages at a time.
    workload("pipelined-20", 64, |rounds| echo(64, 20, rounds)),
    // Many connections, one message from each at a time.
    workload("crowd-64", 100, |rounds| crowd(100, 64, rounds)),
    // Many connections receive each message.
    workload("broadcast-128", 100, |rounds| broadcast(100, 128, rounds)),
    workload("handshake", 1, handshake),
    // Events from a publisher: as many as a turn handles in one go.
    workload("event", 64, |rounds| events(64, rounds)),
    workload("stream-echo-128", 1, |rounds| stream_echo(128, rounds)),
    // One connection, many requests for a page at a time.
    workload("http-get", 16, |rounds| http::pages(16, rounds)),
    // One request at a time, answered at once or by the handler of an event.
    workload("http-now", 1, |rounds| http::pages(1, rounds)),
    workload("http-later", 1, http::answers_later),
    // Many streams of events receive each message.
    workload("events-delivery", 100, |rounds| http::event_streams(100, 128, rounds)),
];

pub(crate) struct Server {
    pub(crate) event_loop: EventLoop<Seen>,
    address: SocketAddr,
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
    fn counted_turn(&mut self) {
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

    /// Turns until a connection or a stream has opened.
    fn turn_until_opened(&mut self) {
        let before = self.event_loop.stats().opened;
        while self.event_loop.stats().opened == before {
            self.counted_turn();
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// A client whose request was answered with the head of a response.
    pub(crate) fn open(&mut self, request: &[u8]) -> TcpStream {
        let mut client = self.connect();
        client.write_all(request).expect("room for a request");
        self.turn_until_opened();
        read_head(&mut client);
        client
    }

    /// In each round the first `senders` of the clients send, and then all receive.
    pub(crate) fn exchange(
        &mut self,
        clients: &mut [TcpStream],
        senders: usize,
        messages: &Messages,
        rounds: usize,
    ) {
        for round in 1..=rounds {
            for client in &mut clients[..senders] {
                client.write_all(&messages.sent).expect("room for messages");
            }
            self.turn_until(round * senders * messages.count);
            for client in &mut *clients {
                messages.receive(client);
            }
        }
    }
}

/// What clients send at a time, and what they receive then.
pub(crate) struct Messages {
    /// How many are sent at a time.
    pub(crate) count: usize,
    pub(crate) sent: Vec<u8>,
    pub(crate) received: Vec<u8>,
}

impl Messages {
    /// The same frame several times, of which the loop sends each back.
    fn frames(count: usize, size: usize) -> Self {
        // Not by `write_frame`: a second place that calls it would change how the loop is compiled.
        let [sent, received] = [Some([1, 2, 3, 4]), None]
            .map(|mask| encode(true, OpCode::Binary, mask, &vec![b'x'; size]).repeat(count));
        Self { count, sent, received }
    }

    fn receive(&self, client: &mut TcpStream) {
        let mut received = vec![0; self.received.len()];
        client.read_exact(&mut received).expect("an answer");
        assert!(received == self.received);
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).expect("it listens");
    client.set_nodelay(true).expect("a socket");
    client
}

fn read_head(client: &mut TcpStream) {
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

fn echo(count: usize, size: usize, rounds: usize) {
    let server = Server::new(|_| Handler::Echo);
    let address = server.address;
    ask_from_outside(server, address, "websocket", [count, size, rounds]);
}

/// The same for a raw stream, of which a read brings one message.
fn stream_echo(size: usize, rounds: usize) {
    let mut server = Server::new(|_| Handler::Echo);
    let streams = StreamConfig::default();
    let listener = server.event_loop.listen_stream("127.0.0.1:0", streams, Handler::Echo);
    let address = server.event_loop.local_addr(listener.expect("a port")).expect("it listens");
    ask_from_outside(server, address, "stream", [1, size, rounds]);
}

/// A client that waits for its answers before it sends again has the loop to itself, so that each
/// turn finds the same in every run, though the client is another process.
fn ask_from_outside(mut server: Server, address: SocketAddr, kind: &str, numbers: [usize; 3]) {
    let mut client = Command::new(env::current_exe().expect("this program has a path"))
        .args(["ask", &address.to_string(), kind])
        .args(numbers.map(|number| number.to_string()))
        .stdin(Stdio::piped())
        .spawn()
        .expect("this program starts");
    // The read that opens a stream would go on with the first messages.
    server.turn_until_opened();
    let begin = client.stdin.take().map(|mut input| input.write_all(b"\n"));
    begin.expect("an input").expect("room for a byte");
    server.counted_run();
    assert!(client.wait().expect("a child").success());
    let [count, _, rounds] = numbers;
    assert_eq!(server.seen.0, count * rounds);
}

/// The client: sends `count` messages of `size` bytes and waits for the answers, so often.
pub(crate) fn ask(address: &str, kind: &str, [count, size, rounds]: [usize; 3]) {
    let mut client = connect(address.parse().expect("an address"));
    let messages = if kind == "websocket" {
        client.write_all(REQUEST).expect("room for a request");
        read_head(&mut client);
        Messages::frames(count, size)
    } else {
        Messages { count, sent: vec![b'x'; size], received: vec![b'x'; size] }
    };
    std::io::stdin().read_exact(&mut [0]).expect("the sign to begin");
    for _ in 0..rounds {
        client.write_all(&messages.sent).expect("room for messages");
        messages.receive(&mut client);
    }
}

fn crowd(connections: usize, size: usize, rounds: usize) {
    let mut server = Server::new(|_| Handler::Echo);
    let mut clients: Vec<_> = (0..connections).map(|_| server.open(REQUEST)).collect();
    server.exchange(&mut clients, connections, &Messages::frames(1, size), rounds);
}

fn broadcast(receivers: usize, size: usize, rounds: usize) {
    let mut server = Server::new(Handler::Broadcast);
    let mut clients: Vec<_> = (0..receivers).map(|_| server.open(REQUEST)).collect();
    server.exchange(&mut clients, 1, &Messages::frames(1, size), rounds);
}

fn handshake(rounds: usize) {
    let mut server = Server::new(|_| Handler::Echo);
    let clients: Vec<_> = (0..rounds).map(|_| server.open(REQUEST)).collect();
    assert_eq!(server.event_loop.connections(), clients.len());
}

#[derive(Debug)]
struct Number(#[expect(dead_code, reason = "an event has something in it")] usize);

fn events(count: usize, rounds: usize) {
    let mut server = Server::new(|_| Handler::Echo);
    server.event_loop.on(|_: &mut Context<'_>, _: &Number, seen: &mut Seen| seen.0 += 1);
    let publisher = server.event_loop.publisher();
    for round in 1..=rounds {
        for number in 0..count {
            publisher.publish(Number(number)).expect("room for an event");
        }
        server.turn_until(round * count);
    }
}
