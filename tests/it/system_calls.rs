//! How many system calls traffic takes: exactly, whatever the machine is busy with.
//!
//! A reactor that counts stands between the loop and the real one, whose methods are one system
//! call each. The loop and its peers take turns on one thread.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::ops::Sub;
use std::time::{Duration, Instant};

use eventwire::proto::OpCode;
use eventwire::reactor::{
    EntropySource, Lookup, MioReactor, Polled, Reactor, Readiness, ResolveDone,
};
use eventwire::{
    Config, Connection, EventLoop, Idle, Message, OverflowPolicy, ServerConfig, Time,
    WebSocketHandler, on_message,
};

use crate::util::{PATIENCE, Peer, request};

/// Calls so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Calls {
    waits: usize,
    received: usize,
    sent: usize,
    accepted: usize,
    registered: usize,
}

impl Sub for Calls {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            waits: self.waits - earlier.waits,
            received: self.received - earlier.received,
            sent: self.sent - earlier.sent,
            accepted: self.accepted - earlier.accepted,
            registered: self.registered - earlier.registered,
        }
    }
}

struct Counting {
    reactor: MioReactor,
    calls: Calls,
    /// The room that the latest receives offered, in bytes.
    offered: Vec<usize>,
    /// How much streams may hold unsent, in the order of the calls.
    unsent: Vec<Option<u32>>,
}

impl Reactor for Counting {
    type Stream = <MioReactor as Reactor>::Stream;
    type Listener = <MioReactor as Reactor>::Listener;
    type Waker = <MioReactor as Reactor>::Waker;

    fn poll(
        &mut self,
        timeout: Option<Duration>,
        ready: &mut Vec<Readiness>,
    ) -> io::Result<Polled> {
        self.calls.waits += 1;
        self.reactor.poll(timeout, ready)
    }

    fn poll_until(
        &mut self,
        now: Time,
        until: Option<Time>,
        ready: &mut Vec<Readiness>,
    ) -> io::Result<Polled> {
        self.calls.waits += 1;
        self.reactor.poll_until(now, until, ready)
    }

    fn now(&mut self) -> Time {
        self.reactor.now()
    }

    fn beginning(&self) -> Instant {
        self.reactor.beginning()
    }

    fn entropy(&mut self) -> io::Result<EntropySource> {
        self.reactor.entropy()
    }

    fn waker(&self) -> Self::Waker {
        self.reactor.waker()
    }

    fn max_connections(&self) -> usize {
        self.reactor.max_connections()
    }

    fn resolve(&mut self, host: &str, port: u16, done: ResolveDone) -> io::Result<Lookup> {
        self.reactor.resolve(host, port, done)
    }

    fn listen(
        &mut self,
        address: SocketAddr,
        backlog: u32,
        key: u64,
    ) -> io::Result<(Self::Listener, SocketAddr)> {
        self.reactor.listen(address, backlog, key)
    }

    fn accept(
        &mut self,
        listener: &mut Self::Listener,
    ) -> io::Result<(Self::Stream, Option<SocketAddr>)> {
        self.calls.accepted += 1;
        self.reactor.accept(listener)
    }

    fn connect(&mut self, address: SocketAddr) -> io::Result<Self::Stream> {
        self.reactor.connect(address)
    }

    fn connect_result(&mut self, stream: &mut Self::Stream) -> io::Result<bool> {
        self.reactor.connect_result(stream)
    }

    fn register(&mut self, stream: &mut Self::Stream, key: u64) -> io::Result<()> {
        self.calls.registered += 1;
        self.reactor.register(stream, key)
    }

    fn rekey(&mut self, stream: &mut Self::Stream, key: u64) -> io::Result<()> {
        self.calls.registered += 1;
        self.reactor.rekey(stream, key)
    }

    fn recv(&mut self, stream: &mut Self::Stream, buffer: &mut [u8]) -> io::Result<usize> {
        self.calls.received += 1;
        self.offered.push(buffer.len());
        self.reactor.recv(stream, buffer)
    }

    fn send(&mut self, stream: &mut Self::Stream, bytes: &[u8]) -> io::Result<usize> {
        self.calls.sent += 1;
        self.reactor.send(stream, bytes)
    }

    fn send_vectored(
        &mut self,
        stream: &mut Self::Stream,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        self.calls.sent += 1;
        self.reactor.send_vectored(stream, slices)
    }

    fn shutdown(&mut self, stream: &mut Self::Stream) -> io::Result<()> {
        self.reactor.shutdown(stream)
    }

    fn limit_unsent(&mut self, stream: &mut Self::Stream, bytes: Option<u32>) {
        self.unsent.push(bytes);
        self.reactor.limit_unsent(stream, bytes);
    }
}

/// A server of echoes and its messages so far.
struct Server {
    event_loop: EventLoop<usize, Counting>,
    address: SocketAddr,
    messages: usize,
}

impl Server {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let echo =
            on_message(|conn: &mut Connection<'_>, message: Message<'_>, count: &mut usize| {
                *count += 1;
                conn.send(message);
            });
        Self::serving(config, ServerConfig::default(), echo)
    }

    fn serving(
        config: Config,
        server: ServerConfig,
        handler: impl WebSocketHandler<usize> + 'static,
    ) -> Self {
        let reactor = MioReactor::new().expect("a reactor");
        let calls = Calls::default();
        let reactor = Counting { reactor, calls, offered: Vec::new(), unsent: Vec::new() };
        let config = config.idle(Idle::Block);
        let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
        let listener = event_loop.listen("127.0.0.1:0", server, handler).expect("a port");
        let address = event_loop.local_addr(listener).expect("it listens");
        Self { event_loop, address, messages: 0 }
    }

    fn calls(&mut self) -> Calls {
        self.event_loop.reactor_mut().calls
    }

    fn turn(&mut self) {
        self.event_loop.turn(Some(PATIENCE), &mut self.messages).expect("a turn");
    }

    fn connect(&mut self) -> Peer {
        let mut peer = Peer::open(self.address);
        peer.write(&request("/", ""));
        let opened = self.event_loop.stats().opened;
        while self.event_loop.stats().opened == opened {
            self.turn();
        }
        assert!(peer.head().starts_with("HTTP/1.1 101 "));
        // Registration has reported readiness that was used already.
        self.event_loop.turn(Some(Duration::ZERO), &mut self.messages).expect("a turn");
        peer
    }

    /// The room that the first receive offers when `frames` come, which are one message.
    fn offered_first(&mut self, peer: &mut Peer, frames: &[u8], message: &[u8]) -> usize {
        self.event_loop.reactor_mut().offered.clear();
        peer.write(frames);
        self.calls_of(1);
        peer.expect(message);
        self.event_loop.reactor_mut().offered[0]
    }

    /// The calls that it takes to receive and answer `count` messages.
    fn calls_of(&mut self, count: usize) -> Calls {
        let (before, wanted) = (self.calls(), self.messages + count);
        while self.messages < wanted {
            self.turn();
        }
        self.calls() - before
    }
}

const ONE_OF_EACH: Calls = Calls { waits: 1, received: 1, sent: 1, accepted: 0, registered: 0 };

/// How often traffic is tried again that a busy machine has delivered in pieces.
const TRIES: usize = 50;

/// Sends `count` messages in one piece, and checks that they take `expected` calls. Pieces take
/// more: what always does fails every try.
#[track_caller]
fn check(server: &mut Server, peer: &mut Peer, (count, len): (usize, usize), expected: Calls) {
    let message = vec![7; len];
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let frames: Vec<_> = (0..count).map(|_| peer.encode_message(&message)).collect();
        peer.write(&frames.concat());
        seen.push(server.calls_of(count));
        for _ in 0..count {
            peer.expect(&message);
        }
        if seen.last() == Some(&expected) {
            return;
        }
    }
    panic!("{count} messages of {len} bytes: {seen:?}");
}

#[test]
fn an_echo_takes_one_wait_one_receive_and_one_send() {
    let mut server = Server::new();
    let mut peer = server.connect();
    for len in [0, 128, 1_024, 16_384, 60_000] {
        check(&mut server, &mut peer, (1, len), ONE_OF_EACH);
    }
}

#[test]
fn messages_that_arrive_together_are_answered_in_one_send() {
    let mut server = Server::new();
    let mut peer = server.connect();
    for messages in [(64, 20), (16, 1_024), (4, 16_384)] {
        check(&mut server, &mut peer, messages, ONE_OF_EACH);
    }
}

#[test]
fn a_large_message_after_another_is_received_where_it_stays() {
    const ROOM: usize = 32 * 1024;
    let mut server = Server::with(Config::default().receive_buffer(ROOM));
    let mut peer = server.connect();
    let mut offered_first = |len: usize| {
        let message = vec![7; len];
        let frame = peer.encode_message(&message);
        server.offered_first(&mut peer, &frame, &message)
    };
    assert_eq!(offered_first(60_000), ROOM);
    let little = offered_first(60_000);
    assert!(little < ROOM / 2, "{little}");
    assert_eq!(offered_first(60_000), little);
    assert_eq!(offered_first(100), little);
    assert_eq!(offered_first(100), ROOM);
    assert_eq!(offered_first(60_000), ROOM);
}

#[test]
fn after_any_small_message_no_large_one_is_expected() {
    const ROOM: usize = 32 * 1024;
    let mut server = Server::with(Config::default().receive_buffer(ROOM));
    let mut peer = server.connect();
    // A large message whose last bytes come by themselves raises no expectation.
    let was_expected = (0..TRIES).any(|_| {
        let large = peer.encode_message(&[7; 60_000]);
        server.offered_first(&mut peer, &large, &[7; 60_000]);
        let parts = [(false, OpCode::Binary), (true, OpCode::Continuation)];
        let parts = parts.map(|(fin, opcode)| peer.encode(fin, opcode, &[7]));
        let offered = server.offered_first(&mut peer, &parts.concat(), &[7, 7]);
        let small = peer.encode_message(&[7]);
        assert_eq!(server.offered_first(&mut peer, &small, &[7]), ROOM);
        offered < ROOM / 2
    });
    assert!(was_expected);
}

#[test]
fn a_message_in_pieces_that_would_have_fitted_makes_no_large_one_expected() {
    const ROOM: usize = 128 * 1024;
    let mut server = Server::with(Config::default().receive_buffer(ROOM));
    let mut peer = server.connect();
    let message = [7; 60_000];
    let frame = peer.encode_message(&message);
    let (first, rest) = frame.split_at(20_000);
    peer.write(first);
    let before = server.calls().received;
    while server.calls().received == before {
        server.turn();
    }
    assert!(server.offered_first(&mut peer, rest, &message) < ROOM);
    let frame = peer.encode_message(&message);
    assert_eq!(server.offered_first(&mut peer, &frame, &message), ROOM);
}

#[test]
fn connections_that_are_ready_together_share_one_wait() {
    let mut server = Server::new();
    let mut peers: Vec<_> = (0..10).map(|_| server.connect()).collect();
    let expected = Calls { received: 10, sent: 10, ..ONE_OF_EACH };
    let mut tries = (0..TRIES).map(|_| {
        for peer in &mut peers {
            peer.send("hello");
        }
        let calls = server.calls_of(10);
        for peer in &mut peers {
            peer.expect("hello");
        }
        calls
    });
    assert!(tries.any(|calls| calls == expected));
}

#[test]
fn a_connection_is_registered_once_and_read_when_its_request_is_there() {
    // The second try to accept says that there are no more, the second wait that a request came.
    let expected = Calls { accepted: 2, registered: 1, waits: 2, ..ONE_OF_EACH };
    let mut server = Server::new();
    let mut tries = (0..TRIES).map(|_| {
        let mut peer = Peer::open(server.address);
        peer.write(&request("/", ""));
        let (before, opened) = (server.calls(), server.event_loop.stats().opened);
        while server.event_loop.stats().opened == opened {
            server.turn();
        }
        let calls = server.calls() - before;
        assert!(peer.head().starts_with("HTTP/1.1 101 "));
        drop(peer);
        // Its end is none of the next one's calls.
        while server.event_loop.connections() > 0 {
            server.turn();
        }
        calls
    });
    assert!(tries.any(|calls| calls == expected));
}

/// Subscribes to the topic by the policy that is named, or ends the subscription.
fn subscribe(conn: &mut Connection<'_>, message: Message<'_>, count: &mut usize) {
    *count += 1;
    let words = message.as_text().and_then(|text| text.split_once(' '));
    let (what, name) = words.expect("a policy and a name");
    let topic = conn.topic(name).expect("a topic");
    let policy = match what {
        "latest" => OverflowPolicy::KeepLatest,
        "oldest" => OverflowPolicy::DropOldest,
        _ => return assert!(conn.unsubscribe(topic)),
    };
    assert!(conn.subscribe_with(topic, policy).is_ok());
}

#[test]
fn what_streams_may_hold_unsent_changes_with_the_first_and_the_last_that_conflates() {
    const LITTLE: Option<u32> = Some(16 * 1024);
    for (own, more) in [(0, None), (8 * 1024, Some(8 * 1024)), (64 * 1024, Some(64 * 1024))] {
        let server = ServerConfig::default();
        let server = if own > 0 { server.unsent_limit(own) } else { server };
        let mut server = Server::serving(Config::default(), server, on_message(subscribe));
        let mut peer = server.connect();
        let mut expected: Vec<_> = more.map(Some).into_iter().collect();
        for (words, change) in [
            ("oldest a", None),
            ("latest a", Some(LITTLE)),
            ("latest b", None),
            ("leave a", None),
            ("oldest b", Some(more)),
            ("latest b", Some(LITTLE)),
            ("leave b", Some(more)),
        ] {
            peer.send(words);
            server.calls_of(1);
            // A limit that is lower anyhow stays.
            expected.extend(change.filter(|_| own != 8 * 1024));
            assert_eq!(server.event_loop.reactor_mut().unsent, expected, "{own}, {words}");
        }
    }
}
