//! Clients that pipeline requests with bodies, in pieces, read slowly and leave at any moment, and
//! handlers that answer at once, later, from a responder, twice, never, with streams, with events
//! and with WebSockets.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use eventwire::proto::handshake::{Acceptance, Refusal, UpgradeRequest};
use eventwire::reactor::sim::SimConfig;
use eventwire::reactor::{Reactor, SimReactor};
use eventwire::{
    Answer, CloseCode, Config, Connection, ConnectionId, Context, Disconnect, EventLoop,
    EventStream, HttpHandler, HttpRequest, HttpResponse, Later, Message, OnPanic, OverflowPolicy,
    RequestId, RespondError, Routes, SendStatus, ServerConfig, StreamedResponse, TopicId, Upgrade,
    WebSocketHandler,
};

use super::{Family, OF_CONNECTS, Simulated, UNLIMITED, config, network};
use crate::shared::{Random, SimPeer};
use crate::simulation::world::{Report, print_trace};

/// How long a turn may wait.
const TURN: Duration = Duration::from_millis(2);

/// More turns than any run takes.
const MOST_TURNS: usize = 300_000;

/// The longest body, and the longest stream.
const BODY: usize = 3_000;
const STREAM: usize = 40_000;

/// Invariant: each request is seen at most once, in order, with its body whole. Its answer is its
/// own, in order, and there if nobody has left and nothing was lost.
#[test]
fn requests_get_their_own_answers_in_order() {
    let invariant = everything_was_answered;
    Family { name: "http", absent: OF_CONNECTS.to_vec(), world, invariant }.run();
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Now,
    Later,
    Twice,
    Responder,
    Dropped,
    Never,
    Stream,
    Events,
    Accepted,
    Refused,
}

impl Kind {
    /// Those that may stand before others. The connection ends with each of the rest.
    const FIRST: [Self; 5] = [Self::Now, Self::Later, Self::Twice, Self::Responder, Self::Dropped];
    const LAST: [Self; 6] =
        [Self::Now, Self::Never, Self::Stream, Self::Events, Self::Accepted, Self::Refused];

    fn is_upgrade(self) -> bool {
        matches!(self, Self::Accepted | Self::Refused)
    }
}

/// A byte of what a request brings, and of what its stream brings.
const fn byte(client: usize, number: usize, place: usize) -> u8 {
    b'a' + ((client * 7 + number * 3 + place * 31 + place / 256) % 26) as u8
}

fn bytes(client: usize, number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|place| byte(client, number, place)).collect()
}

#[derive(Clone, Copy, Debug)]
struct Request {
    kind: Kind,
    body: usize,
}

struct Client {
    peer: SimPeer,
    requests: Vec<Request>,
    /// It leaves at any moment.
    is_hasty: bool,
    has_left: bool,
    /// How many of its requests a handler has seen.
    seen: usize,
}

impl Client {
    /// Writes a request, with a length or in chunks.
    fn write(&self, client: usize, number: usize, random: &mut Random) -> Vec<u8> {
        let Request { kind, body } = self.requests[number];
        let path = if kind.is_upgrade() { "ws" } else { "http" };
        let mut out = format!("GET /{path}?{client}-{number} HTTP/1.1\r\nHost: a\r\n").into_bytes();
        if kind.is_upgrade() {
            let fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
            out.extend_from_slice(fields.as_bytes());
            return out;
        }
        let body = bytes(client, number, body);
        if random.percent(50) {
            out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            out.extend_from_slice(&body);
            return out;
        }
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in random.cut(&body, 500) {
            if !chunk.is_empty() {
                out.extend_from_slice(format!("{:x};a=b\r\n", chunk.len()).as_bytes());
                out.extend_from_slice(&chunk);
                out.extend_from_slice(b"\r\n");
            }
        }
        out.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
        out
    }

    /// How many of its requests have whole answers, each the right one.
    fn answered(&self, client: usize, is_lossless: bool) -> usize {
        let mut rest = self.peer.input();
        for (number, request) in self.requests.iter().enumerate() {
            let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else {
                return number;
            };
            let head = std::str::from_utf8(&rest[..end + 4]).expect("text");
            let status: u16 = head[9..12].parse().expect("a status");
            rest = &rest[end + 4..];
            if !is_lossless && [400, 408, 503, 504].contains(&status) {
                assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
                return number;
            }
            let whole = match request.kind {
                Kind::Stream => stream(rest, client, number),
                Kind::Events => events(rest),
                Kind::Accepted => status == 101,
                kind => {
                    let due = match kind {
                        Kind::Dropped => 500,
                        Kind::Never => 504,
                        Kind::Refused => 403,
                        _ => 200,
                    };
                    assert_eq!(status, due, "{request:?}: {head}");
                    let length = head.split_once("Content-Length: ").expect("a length").1;
                    let length = length.lines().next().expect("a line").parse().expect("a number");
                    let Some(body) = rest.get(..length) else {
                        return number;
                    };
                    let text = format!("{client}-{number}");
                    assert!(due != 200 || body == text.as_bytes(), "the answer to another request");
                    rest = &rest[length..];
                    true
                }
            };
            if !whole {
                return number;
            }
            if matches!(request.kind, Kind::Stream | Kind::Events | Kind::Accepted) {
                return number + 1;
            }
        }
        assert!(rest.is_empty(), "more follows: {}", rest.escape_ascii());
        self.requests.len()
    }
}

/// Checks a stream that was sent in chunks; whether it is whole.
fn stream(mut rest: &[u8], client: usize, number: usize) -> bool {
    let mut place = 0;
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).expect("text");
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            assert!(rest.len() <= end + 4, "more follows");
            return rest.len() == end + 4;
        }
        let data = &rest[end + 2..];
        for byte_came in &data[..size.min(data.len())] {
            assert_eq!(*byte_came, byte(client, number, place));
            place += 1;
        }
        if data.len() < size + 2 {
            return false;
        }
        rest = &data[size + 2..];
    }
    false
}

/// Checks that events come in order; they are never whole.
fn events(rest: &[u8]) -> bool {
    let (text, mut last) = (String::from_utf8_lossy(rest), 0);
    for event in text.split_inclusive("\n\n").filter(|event| event.ends_with("\n\n")) {
        if let Some(data) = event.strip_prefix("data: ") {
            let number: u64 = data.trim_end().parse().expect("a number");
            assert!(number > last, "{number} after {last}");
            last = number;
        }
    }
    true
}

/// What a handler is to do later.
struct Due(usize, RequestId, Kind, String);

/// An event: end the stream of events.
struct EndEvents(ConnectionId);

/// A stream that is open.
#[derive(Debug)]
struct Sending {
    client: usize,
    number: usize,
    place: usize,
    len: usize,
    is_events: bool,
}

struct App {
    random: Random,
    clients: Vec<Client>,
    topic: TopicId,
    policy: OverflowPolicy,
    is_lossless: bool,
    /// What comes in `on_open`.
    begun: HashMap<ConnectionId, Sending>,
    open: HashMap<ConnectionId, Sending>,
    sockets: usize,
}

impl App {
    /// Notes that a handler sees a request.
    fn see(&mut self, query: &str, body: &[u8]) -> (usize, usize, Kind) {
        let (client, number) = query.split_once('-').expect("two numbers");
        let (client, number) =
            (client.parse().expect("a number"), number.parse().expect("a number"));
        let it: &mut Client = &mut self.clients[client];
        assert_eq!(it.seen, number, "a request is seen twice, or out of order");
        it.seen += 1;
        let request = it.requests[number];
        assert!(body == bytes(client, number, request.body), "another body");
        (client, number, request.kind)
    }

    fn put_off(&mut self, client: usize, kind: Kind, conn: &mut Connection<'_>, text: &str) {
        let due = Due(client, conn.request_id(), kind, text.to_owned());
        let after = Duration::from_micros(self.random.below(50_000) as u64);
        conn.set_timer(after, due).expect("room for a timer");
    }

    fn news(&mut self, cx: &mut Context<'_>) {
        let number = cx.topic_sequence(self.topic).expect("the topic stays") + 1;
        cx.broadcast(self.topic, number.to_string());
    }

    fn send_some(&mut self, conn: &mut Connection<'_>) {
        let Some(sending) = self.open.get_mut(&conn.id()).filter(|sending| !sending.is_events)
        else {
            return;
        };
        loop {
            let len = self.random.len(5_000).min(sending.len - sending.place);
            let places = sending.place..sending.place + len;
            let piece: Vec<u8> =
                places.map(|place| byte(sending.client, sending.number, place)).collect();
            let status = conn.send(piece);
            if matches!(status, SendStatus::Sent | SendStatus::Queued) {
                sending.place += len;
            }
            if sending.place == sending.len {
                conn.close(CloseCode::NORMAL, "");
            }
            if status != SendStatus::Sent || sending.place == sending.len {
                return;
            }
        }
    }
}

/// Gives the answer that was put off, and then another.
fn answer(cx: &mut Context<'_>, due: &Due, app: &mut App) {
    let Due(client, request, kind, text) = due;
    let answer = match kind {
        Kind::Accepted => Answer::from(Acceptance::new()),
        Kind::Refused => Refusal::new(403).into(),
        _ => HttpResponse::text(text.clone()).into(),
    };
    if !kind.is_upgrade() {
        let opens = cx.respond(*request, Acceptance::new());
        assert!(matches!(opens, Err(RespondError::NoUpgrade | RespondError::Gone)), "{opens:?}");
        assert!(
            opens == Err(RespondError::NoUpgrade) || !app.is_lossless || has_left(app, *client)
        );
    }
    let first = cx.respond(*request, answer);
    if app.is_lossless && !has_left(app, *client) {
        assert_eq!(first, Ok(()), "{kind:?}");
    }
    let again = cx.respond(*request, HttpResponse::text("again"));
    assert!(matches!(again, Err(RespondError::Answered | RespondError::Gone)), "{again:?}");
    app.news(cx);
}

fn has_left(app: &App, client: usize) -> bool {
    app.clients[client].has_left
}

struct Site;

impl HttpHandler<App> for Site {
    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        app: &mut App,
    ) -> Answer {
        assert!(!conn.is_open() && conn.send("no body yet") == SendStatus::Gone);
        let text = request.query().expect("numbers");
        let (client, number, kind) = app.see(text, request.body());
        let respond = HttpResponse::text(text.to_owned());
        let sending = |len, is_events| Sending { client, number, place: 0, len, is_events };
        match kind {
            Kind::Now => respond.into(),
            Kind::Later => {
                app.put_off(client, kind, conn, text);
                Later::default().into()
            }
            Kind::Twice => {
                let id = conn.request_id();
                assert_eq!(conn.respond(id, respond), Ok(()));
                let again = conn.respond(id, HttpResponse::text("again"));
                assert_eq!(again, Err(RespondError::Answered));
                HttpResponse::text("a third time").into()
            }
            Kind::Responder | Kind::Dropped => {
                let responder = conn.responder();
                assert!(responder.is_wanted());
                if kind == Kind::Responder {
                    assert_eq!(responder.respond(respond), Ok(()));
                }
                Later::default().into()
            }
            Kind::Never => Later::within(Duration::from_millis(app.random.below(30) as u64)).into(),
            Kind::Stream => {
                let len = app.random.len(STREAM);
                app.begun.insert(conn.id(), sending(len, false));
                StreamedResponse::new(HttpResponse::text("")).silence(Duration::MAX).into()
            }
            Kind::Events => {
                app.begun.insert(conn.id(), sending(0, true));
                EventStream::new().topic_with("news", app.policy).into()
            }
            Kind::Accepted | Kind::Refused => unreachable!("it asks for a WebSocket"),
        }
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        assert!(conn.is_open());
        let sending = app.begun.remove(&conn.id()).expect("it opens once");
        if sending.is_events {
            let after = Duration::from_micros(app.random.below(50_000) as u64);
            conn.set_timer(after, EndEvents(conn.id())).expect("room for a timer");
        }
        app.open.insert(conn.id(), sending);
        app.send_some(conn);
    }

    fn on_drained(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        app.send_some(conn);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, app: &mut App) {
        app.open.remove(&conn.id()).expect("it was open, and closes once");
        assert!(!conn.is_open() && conn.send("late") == SendStatus::Gone);
    }
}

/// Upgrades that are decided later.
struct Socket;

impl WebSocketHandler<App> for Socket {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        request: &UpgradeRequest<'_>,
        app: &mut App,
    ) -> Upgrade {
        let text = request.query().expect("numbers");
        let (client, _, kind) = app.see(text, &[]);
        app.put_off(client, kind, conn, text);
        Later::default().into()
    }

    fn on_open(&mut self, _: &mut Connection<'_>, app: &mut App) {
        app.sockets += 1;
    }

    fn on_message(&mut self, _: &mut Connection<'_>, _: Message<'_>, _: &mut App) {}

    fn on_close(&mut self, _: &mut Connection<'_>, _: &Disconnect, app: &mut App) {
        app.sockets -= 1;
    }
}

struct HttpWorld {
    event_loop: EventLoop<App, SimReactor>,
    app: App,
    address: SocketAddr,
    random: Random,
    to_come: usize,
    turns: usize,
    tracing: bool,
}

fn world(seed: u64, tracing: bool) -> HttpWorld {
    let mut random = Random::new(seed);
    let is_lossless = random.percent(50);
    let window = random.pick(&[300, 4096, 65_536]);
    let sim = network(&mut random, window, is_lossless);
    let config = config(&mut random).outbox(random.pick(&[500, 5_000, 64 * 1024]), UNLIMITED);
    HttpWorld::new(seed, random, sim, config.on_panic(OnPanic::Propagate), (is_lossless, tracing))
}

impl HttpWorld {
    fn new(
        seed: u64,
        mut random: Random,
        sim: SimConfig,
        config: Config,
        (is_lossless, tracing): (bool, bool),
    ) -> Self {
        let mut reactor = SimReactor::new(seed, sim);
        if tracing {
            reactor.keep_trace_lines();
        }
        let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
        let topic = event_loop.topic("news").expect("room for a topic");
        let routes = Routes::new().get_handler("/http", Site).websocket(
            "/ws",
            ServerConfig::default(),
            Socket,
        );
        let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
        let address = event_loop.local_addr(listener.expect("a port")).expect("a listener");
        event_loop.on(answer);
        event_loop.on(|cx: &mut Context<'_>, end: &EndEvents, _: &mut App| {
            cx.connection(end.0).close(CloseCode::NORMAL, "");
        });
        let policies = [
            OverflowPolicy::Close,
            OverflowPolicy::DropNewest,
            OverflowPolicy::DropOldest,
            OverflowPolicy::KeepLatest,
        ];
        let app = App {
            clients: Vec::new(),
            topic,
            policy: random.pick(&policies),
            is_lossless,
            begun: HashMap::new(),
            open: HashMap::new(),
            sockets: 0,
            random: Random::new(seed ^ 0x5EED),
        };
        let to_come = random.between(1, 8);
        Self { event_loop, app, address, random, to_come, turns: 0, tracing }
    }

    fn arrive(&mut self) {
        self.to_come -= 1;
        let random = &mut self.random;
        let mut requests = Vec::new();
        for _ in 0..random.below(6) {
            requests.push(Request { kind: random.pick(&Kind::FIRST), body: random.len(BODY) });
        }
        let kind = random.pick(&Kind::LAST);
        let body = if kind.is_upgrade() { 0 } else { random.len(BODY) };
        requests.push(Request { kind, body });
        let peer = SimPeer::connect(self.event_loop.reactor_mut(), self.address);
        let is_hasty = random.percent(30);
        let mut client = Client { peer, requests, is_hasty, has_left: false, seen: 0 };
        let number = self.app.clients.len();
        let said: Vec<u8> = (0..client.requests.len())
            .flat_map(|request| client.write(number, request, &mut self.random))
            .collect();
        let longest = self.random.pick(&[3, 100, 5_000]);
        client.peer.queue(self.random.cut(&said, longest));
        self.app.clients.push(client);
    }

    /// Has every client send, read, stop reading and leave.
    fn act(&mut self) {
        let is_lossless = self.app.is_lossless;
        for number in 0..self.app.clients.len() {
            let (client, random) = (&mut self.app.clients[number], &mut self.random);
            if client.has_left {
                continue;
            }
            let reactor = self.event_loop.reactor_mut();
            client.peer.send_some(reactor, random);
            if client.peer.is_paused() {
                if random.percent(20) {
                    client.peer.resume(reactor);
                }
            } else if random.percent(5) {
                client.peer.stop_reading(reactor);
            }
            // What a client that does not read has received comes later.
            client.peer.receive(reactor);
            let answered = client.answered(number, is_lossless);
            let is_done = client.peer.is_closed(reactor) && !client.peer.is_paused();
            let opened = client.requests.last().is_some_and(|last| last.kind == Kind::Accepted);
            let is_stuck_open = opened || client.requests.last().expect("one").kind == Kind::Now;
            if is_done || (is_stuck_open && answered == client.requests.len()) {
                client.has_left = true;
                client.peer.finish(reactor);
            } else if client.is_hasty && random.percent(2) {
                client.has_left = true;
                match random.below(3) {
                    0 => client.peer.finish(reactor),
                    1 => client.peer.reset(reactor),
                    _ => client.peer.vanish(reactor),
                }
                if client.peer.is_paused() {
                    client.peer.resume(reactor);
                }
            }
        }
    }

    fn turn(&mut self) {
        self.event_loop.turn(Some(TURN), &mut self.app).expect("a poll");
        self.act();
        let stats = self.event_loop.stats();
        assert!((self.app.open.len() + self.app.sockets) as u64 <= stats.connections);
        assert!(stats.requests_waiting <= stats.connections);
        self.turns += 1;
        assert!(self.turns < MOST_TURNS, "no end: {:?}", self.app.open);
    }
}

fn everything_was_answered(world: &mut HttpWorld) {
    assert!(world.app.open.is_empty(), "streams that opened and did not close");
    assert!(world.app.begun.is_empty(), "streams that were begun and did not open");
    assert_eq!(world.app.sockets, 0, "WebSockets that opened and did not close");
    let is_lossless = world.app.is_lossless;
    for (number, client) in world.app.clients.iter().enumerate() {
        let answered = client.answered(number, is_lossless);
        assert!(answered <= client.seen, "an answer without a call");
        if is_lossless && !client.is_hasty {
            let kinds: Vec<_> = client.requests.iter().map(|request| request.kind).collect();
            assert_eq!(answered, client.requests.len(), "client {number}: {kinds:?}");
        }
    }
}

impl Simulated for HttpWorld {
    fn run(mut self, invariant: fn(&mut Self)) -> Report {
        let is_at_work = |world: &Self| {
            let clients = &world.app.clients;
            world.to_come > 0 || clients.iter().any(|client| !client.has_left)
        };
        while is_at_work(&self) || self.event_loop.connections() > 0 {
            if self.to_come > 0 && self.random.percent(20) {
                self.arrive();
            }
            self.turn();
        }
        invariant(&mut self);
        let stats = self.event_loop.stats();
        assert_eq!((stats.connections, stats.requests_waiting), (0, 0));
        self.event_loop.handle().stop();
        self.event_loop.run(&mut self.app).expect("a poll");
        let stats = self.event_loop.stats();
        assert_eq!((stats.inbound_bytes, stats.outbound_bytes), (0, 0));
        let turns = self.turns;
        let reactor = self.event_loop.reactor_mut();
        reactor.set_config(SimConfig::calm());
        let mut ready = Vec::new();
        reactor.poll(Some(Duration::from_secs(1)), &mut ready).expect("a poll");
        assert_eq!(reactor.open_descriptors(), 0, "descriptors are left open");
        Report { trace_hash: reactor.trace_hash(), faults: reactor.fault_counts(), turns }
    }
}

impl Drop for HttpWorld {
    fn drop(&mut self) {
        if self.tracing {
            print_trace(self.event_loop.reactor_mut());
        }
    }
}
