//! What connections cost in memory: nothing for each message, and little while they are idle.
//!
//! A binary of its own, because it counts what its allocator hands out. Only the thread that
//! measures is counted: the loop and its clients are on it, and the clients allocate nothing.

#[cfg(feature = "deflate")]
mod compressed;
mod resumed;

use std::hint::black_box;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use allocation_counter::{AllocationInfo, measure};
use eventwire::proto::{Limits, OpCode, write_frame};
use eventwire::{
    Config, Connection, ConnectionId, Context, Envelope, EventLoop, EventStream, Message,
    OverflowPolicy, Routes, ServerConfig, TopicConfig, TopicId, WebSocketHandler,
};

/// How often each exchange is made to warm up, and then to be measured.
const WARM_UP: usize = 30;
const MEASURED: usize = 100;

/// Idle connections, if there are enough descriptors.
const MOST_IDLE: usize = 1_000;

/// What an idle connection may cost, in bytes.
const IDLE_MAX: usize = 512;

/// What the handlers share.
#[derive(Default)]
struct App {
    opened: Vec<ConnectionId>,
    topic: Option<TopicId>,
}

/// What a handler does with a message.
enum Do {
    Echo,
    /// Sends it to the connection that opened after the speaker's.
    Relay,
    /// Broadcasts it this often to all but the speaker, which opened first.
    Broadcast(usize),
}

impl WebSocketHandler<App> for Do {
    fn on_open(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        if let (Self::Broadcast(_), Some(topic)) = (&self, app.topic) {
            if !app.opened.is_empty() {
                // Fast subscribers cost the same by every policy.
                let policy = match app.opened.len() % 3 {
                    0 => OverflowPolicy::Close,
                    1 => OverflowPolicy::DropNewest,
                    _ => OverflowPolicy::KeepLatest,
                };
                conn.subscribe_with(topic, policy).expect("subscribe");
            }
        }
        app.opened.push(conn.id());
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, app: &mut App) {
        match self {
            Self::Echo => {
                conn.send(message);
            }
            Self::Relay => {
                conn.send_to(app.opened[1], message);
            }
            Self::Broadcast(times) => {
                for _ in 0..*times {
                    conn.broadcast(app.topic.expect("a topic"), message);
                }
            }
        }
    }
}

/// A loop and its clients, all on this thread.
struct Bench {
    event_loop: EventLoop<App>,
    app: App,
    address: SocketAddr,
    clients: Vec<TcpStream>,
    /// Where clients receive.
    buffer: Vec<u8>,
}

impl Bench {
    fn new(handler: impl WebSocketHandler<App> + 'static, clients: usize) -> Self {
        Self::with_config(Config::default(), handler, clients)
    }

    fn with_config(
        config: Config,
        handler: impl WebSocketHandler<App> + 'static,
        clients: usize,
    ) -> Self {
        // Deadlines that came up while a slow machine measures would be put back.
        let limits = Limits::default().ping_interval(None).message_timeout(Duration::MAX);
        let mut bench = Self::with_limits(config, handler, limits, clients);
        for _ in 0..clients {
            bench.connect();
        }
        bench
    }

    /// Without clients, but with room for `clients` connections.
    fn with_limits(
        config: Config,
        handler: impl WebSocketHandler<App> + 'static,
        limits: Limits,
        clients: usize,
    ) -> Self {
        let mut event_loop = EventLoop::new(config).expect("make a loop");
        let config = ServerConfig::default().limits(limits);
        let listener = event_loop.listen("127.0.0.1:0", config, handler).expect("listen");
        let address = event_loop.local_addr(listener).expect("an address");
        let topic = Some(event_loop.topic("all").expect("a topic"));
        Self {
            event_loop,
            app: App { opened: Vec::with_capacity(clients), topic },
            address,
            clients: Vec::with_capacity(clients),
            buffer: vec![0; 1024 * 1024],
        }
    }

    /// Connects one client more.
    fn connect(&mut self) {
        const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let client = TcpStream::connect(self.address).expect("connect");
        client.set_nodelay(true).expect("set TCP_NODELAY");
        client.set_nonblocking(true).expect("set O_NONBLOCK");
        self.clients.push(client);
        let opened = self.clients.len();
        self.write(opened - 1, REQUEST);
        self.turn_until(|bench| bench.app.opened.len() == opened);
        let answer = self.read_some(opened - 1);
        assert!(self.buffer[..answer].ends_with(b"\r\n\r\n"));
    }

    fn turn(&mut self) {
        self.event_loop.turn(Some(Duration::ZERO), &mut self.app).expect("turn");
    }

    fn turn_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < Duration::from_secs(30), "it never happens");
            self.turn();
        }
    }

    fn write(&mut self, client: usize, mut bytes: &[u8]) {
        self.turn_until(|bench| {
            match bench.clients[client].write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            bytes.is_empty()
        });
    }

    /// Reads what there is, at least one byte.
    fn read_some(&mut self, client: usize) -> usize {
        let mut read = 0;
        self.turn_until(|bench| {
            match bench.clients[client].read(&mut bench.buffer) {
                Ok(count) => read = count,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            read > 0
        });
        read
    }

    /// Reads exactly this much, the last of which is the end of `tail`.
    fn read(&mut self, client: usize, len: usize, tail: &[u8]) {
        let mut left = len;
        while left > 0 {
            let count = self.read_some(client);
            left = left.checked_sub(count).expect("no more than was expected");
            if left == 0 {
                let common = count.min(tail.len());
                let (read, expected) =
                    (&self.buffer[count - common..count], &tail[tail.len() - common..]);
                assert!(read == expected, "something else arrived");
            }
        }
    }

    /// Has the first client send `messages` payloads of `len` bytes in one go, and waits until
    /// each of `readers` has received `replies` of them; many times. Tells what was allocated.
    fn exchange(
        &mut self,
        len: usize,
        messages: usize,
        readers: std::ops::Range<usize>,
        replies: usize,
    ) -> AllocationInfo {
        let payload: Vec<_> = (0..len).map(|at| (at % 251) as u8).collect();
        let (mut request, mut reply) = (Vec::new(), Vec::new());
        for _ in 0..messages {
            write_frame(OpCode::Binary, &payload, Some([1, 2, 3, 4]), &mut request);
        }
        write_frame(OpCode::Binary, &payload, None, &mut reply);
        let mut once = || {
            self.write(0, &request);
            for reader in readers.clone() {
                self.read(reader, replies * reply.len(), &reply);
            }
        };
        (0..WARM_UP).for_each(|_| once());
        measure(|| (0..MEASURED).for_each(|_| once()))
    }
}

#[track_caller]
fn assert_nothing(allocated: AllocationInfo) {
    assert_eq!(allocated.count_total, 0, "{allocated:?}");
    // The same counter sees an allocation where there is one.
    assert_eq!(measure(|| drop(black_box(Box::new(1)))).count_total, 1);
}

#[test]
fn echo_of_small_messages_allocates_nothing() {
    assert_nothing(Bench::new(Do::Echo, 1).exchange(20, 1, 0..1, 1));
}

#[test]
fn pipelined_echo_allocates_nothing() {
    assert_nothing(Bench::new(Do::Echo, 1).exchange(20, 100, 0..1, 100));
}

#[test]
fn echo_from_the_receive_buffer_allocates_nothing() {
    assert_nothing(Bench::new(Do::Echo, 1).exchange(8 * 1024, 1, 0..1, 1));
}

#[test]
fn echo_of_assembled_messages_allocates_nothing() {
    assert_nothing(Bench::new(Do::Echo, 1).exchange(300 * 1024, 1, 0..1, 1));
}

#[test]
fn a_relay_allocates_nothing() {
    assert_nothing(Bench::new(Do::Relay, 2).exchange(20, 1, 1..2, 1));
    assert_nothing(Bench::new(Do::Relay, 2).exchange(8 * 1024, 1, 1..2, 1));
}

#[test]
fn a_broadcast_allocates_nothing() {
    assert_nothing(Bench::new(Do::Broadcast(4), 11).exchange(20, 1, 1..11, 4));
    assert_nothing(Bench::new(Do::Broadcast(4), 11).exchange(8 * 1024, 1, 1..11, 4));
}

#[test]
fn a_broadcast_in_an_envelope_allocates_nothing() {
    let config = Config::default().topics("all", TopicConfig::default().envelope(Envelope::json()));
    let mut bench = Bench::with_config(config, Do::Broadcast(4), 11);
    let mut message = Vec::new();
    write_frame(OpCode::Text, b"the news", Some([1, 2, 3, 4]), &mut message);
    let mut once = || {
        bench.write(0, &message);
        for client in 1..11 {
            let mut envelopes = 0;
            while envelopes < 4 {
                let read = bench.read_some(client);
                envelopes += bench.buffer[..read].iter().filter(|byte| **byte == b'}').count();
            }
        }
    };
    (0..WARM_UP).for_each(|_| once());
    assert_nothing(measure(|| (0..MEASURED).for_each(|_| once())));
}

/// Streams of server-sent events of the topic, and a WebSocket that broadcasts to it.
fn event_streams(events: &EventStream, count: usize) -> Bench {
    let mut bench = Bench::new(Do::Broadcast(4), 1);
    let routes = Routes::new().events("/", events.clone());
    let listener = bench.event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
    let address = bench.event_loop.local_addr(listener.expect("listen")).expect("an address");
    for client in 1..=count {
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_nonblocking(true).expect("set O_NONBLOCK");
        bench.clients.push(stream);
        bench.write(client, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let head = bench.read_some(client);
        assert!(bench.buffer[..head].ends_with(b"\r\n\r\n"));
    }
    bench
}

/// What four broadcasts to this many streams allocate, many times.
fn broadcast_events(events: &EventStream, count: usize) -> AllocationInfo {
    let mut bench = event_streams(events, count);
    let mut message = Vec::new();
    write_frame(OpCode::Text, b"the news", Some([1, 2, 3, 4]), &mut message);
    let mut once = || {
        bench.write(0, &message);
        for client in 1..=count {
            let mut events = 0;
            while events < 4 {
                let read = bench.read_some(client);
                let bytes = &bench.buffer[..read];
                events += bytes.windows(2).filter(|bytes| bytes == b"\n\n").count();
                assert!(events < 4 || bytes.ends_with(b"data: the news\n\n"));
            }
        }
    };
    (0..WARM_UP).for_each(|_| once());
    measure(|| (0..MEASURED).for_each(|_| once()))
}

#[test]
fn the_delivery_of_server_sent_events_allocates_nothing() {
    // Heartbeats that came up while a slow machine measures would be in the way.
    let events = EventStream::of("all").heartbeat(None);
    for events in [events.clone(), events.named()] {
        let few = broadcast_events(&events, 1);
        let many = broadcast_events(&events, 12);
        // The events are written once for all streams.
        assert_eq!(few.count_total, many.count_total, "{few:?} {many:?}");
        assert!(few.count_total <= 2 * 4 * MEASURED as u64, "{few:?}");
        assert_eq!(few.count_current, 0, "{few:?}");
    }
}

#[test]
fn an_event_allocates_nothing() {
    let mut event_loop = EventLoop::new(Config::default().inbox(64)).expect("make a loop");
    event_loop.on(|cx: &mut Context<'_>, event: &u64, _: &mut u64| {
        cx.publish(*event as u32).expect("room");
    });
    event_loop.on(|_: &mut Context<'_>, event: &u32, sum: &mut u64| *sum += u64::from(*event));
    let publisher = event_loop.publisher::<u64>();
    let mut sum = 0;
    let mut exchange = |times: usize| {
        measure(|| {
            for _ in 0..times {
                for event in 0..64 {
                    publisher.publish(event).expect("room");
                }
                event_loop.turn(Some(Duration::ZERO), &mut sum).expect("turn");
            }
        })
    };
    exchange(WARM_UP);
    assert_nothing(exchange(MEASURED));
    assert_eq!(sum, (WARM_UP + MEASURED) as u64 * 63 * 64 / 2);
}

/// Tags every connection with its place and with that of all, and reads all lists in each message.
struct Lists;

const TEXT_TAG: &str = "all of the connections";

impl WebSocketHandler<App> for Lists {
    fn on_open(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        conn.tag(app.opened.len() as u64).expect("tagged");
        conn.tag(TEXT_TAG).expect("tagged");
        conn.subscribe(app.topic.expect("a topic")).expect("subscribed");
        app.opened.push(conn.id());
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, app: &mut App) {
        let topic = app.topic.expect("a topic");
        let count = app.opened.len();
        assert_eq!(conn.tagged(TEXT_TAG).filter(|id| app.opened.contains(id)).count(), count);
        assert_eq!(conn.members(topic).filter(|id| app.opened.contains(id)).count(), count);
        assert!(conn.tagged(0_u64).eq([app.opened[0]]) && conn.tagged("nobody").len() == 0);
        assert!(conn.tags().count() == 2 && conn.is_tagged(TEXT_TAG) && !conn.is_tagged("x"));
        assert!(conn.topics().eq([topic]) && conn.is_subscribed(topic));
        // One that others have, too, is left and taken again in place.
        assert_eq!((conn.untag(TEXT_TAG), conn.tag(TEXT_TAG)), (true, Ok(true)));
        assert_eq!(conn.send_tagged(TEXT_TAG, message), count);
    }
}

#[test]
fn tags_and_members_are_read_without_an_allocation() {
    assert_nothing(Bench::new(Lists, 5).exchange(20, 1, 0..5, 1));
}

#[test]
fn an_event_for_subscribers_allocates_nothing() {
    let mut event_loop = EventLoop::new(Config::default().inbox(64)).expect("make a loop");
    let policies = [OverflowPolicy::Close, OverflowPolicy::DropOldest, OverflowPolicy::KeepLatest];
    let mut subscribers = policies.map(|policy| event_loop.subscriber::<u64>(64, policy));
    // Never receives anything.
    let slow = event_loop.subscriber::<u64>(64, OverflowPolicy::DropOldest);
    let publisher = event_loop.publisher::<u64>();
    let mut received = [0; 3];
    let mut exchange = |times: usize| {
        measure(|| {
            for _ in 0..times {
                for event in 0..64 {
                    publisher.publish(event).expect("room");
                }
                event_loop.turn(Some(Duration::ZERO), &mut ()).expect("turn");
                for (subscriber, received) in subscribers.iter_mut().zip(&mut received) {
                    while subscriber.try_recv().is_ok() {
                        *received += 1;
                    }
                }
            }
        })
    };
    exchange(WARM_UP);
    assert_nothing(exchange(MEASURED));
    let times = WARM_UP + MEASURED;
    assert_eq!(received, [64 * times, 64 * times, times]);
    assert_eq!(slow.missed(), 64 * (times as u64 - 1));
}

#[test]
fn timers_that_are_set_cancelled_and_due_allocate_nothing() {
    let mut event_loop: EventLoop<usize> = EventLoop::new(Config::default()).expect("make a loop");
    event_loop.on(|cx: &mut Context<'_>, number: &u64, arrived: &mut usize| {
        *arrived += 1;
        let far = cx.set_timer(Duration::from_secs(3600), *number).expect("a timer");
        assert!(cx.cancel_timer(far));
        cx.set_timer(Duration::ZERO, *number).expect("a timer");
    });
    for number in 0..100_u64 {
        event_loop.set_timer(Duration::ZERO, number).expect("a timer");
    }
    let mut arrived = 0;
    let mut once = || event_loop.turn(Some(Duration::ZERO), &mut arrived).expect("turn");
    (0..WARM_UP).for_each(|_| once());
    let allocated = measure(|| (0..MEASURED).for_each(|_| once()));
    assert_nothing(allocated);
    assert_eq!(arrived, 100 * (WARM_UP + MEASURED));
}

/// Bytes that a loop holds with room for `count` connections, all open and idle.
fn held(count: usize) -> usize {
    let mut bench = None;
    let empty = measure(|| {
        let config = Config::default().max_connections(count);
        // What the test itself holds does not depend on the count.
        bench = Some(Bench::with_limits(config, Do::Echo, Limits::default(), MOST_IDLE));
    });
    let mut bench = bench.expect("it was made");
    let connected = measure(|| (0..count).for_each(|_| bench.connect()));
    let used = measure(|| {
        for client in 0..count {
            bench.write(client, b"\x82\x82\0\0\0\0hi");
            bench.read(client, 4, b"\x82\x02hi");
        }
    });
    let held = empty.bytes_current + connected.bytes_current + used.bytes_current;
    usize::try_from(held).expect("more is held than was given back")
}

#[test]
fn an_idle_connection_costs_little() {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let descriptors = limits
        .lines()
        .find_map(|line| {
            line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok()
        })
        .unwrap_or(256);
    // Two descriptors each, and some for the other tests.
    let count = MOST_IDLE.min((descriptors - 100_usize) / 2);
    let each = (held(count) - held(1)) / (count - 1);
    println!("an idle connection costs {each} bytes");
    assert!(each <= IDLE_MAX, "an idle connection costs {each} bytes");
    assert!(each >= size_of::<u64>(), "nothing was measured");
}

#[test]
fn a_closed_listener_leaves_nothing() {
    let mut event_loop = EventLoop::<App>::new(Config::default()).expect("make a loop");
    let mut app = App { opened: Vec::new(), topic: None };
    let stays = event_loop.listen("127.0.0.1:0", ServerConfig::default(), Do::Echo);
    let taken = stays.ok().and_then(|listener| event_loop.local_addr(listener));
    let taken = taken.expect("an address");
    let mut once = || {
        let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), Do::Echo);
        event_loop.turn(Some(Duration::ZERO), &mut app).expect("turn");
        assert!(event_loop.close_listener(listener.expect("listen")));
        assert!(event_loop.listen(taken, ServerConfig::default(), Do::Echo).is_err());
        event_loop.turn(Some(Duration::ZERO), &mut app).expect("turn");
    };
    (0..WARM_UP).for_each(|_| once());
    let left = measure(|| (0..MEASURED).for_each(|_| once()));
    assert_eq!((left.count_current, left.bytes_current), (0, 0), "{left:?}");
    assert!(left.count_total > 0, "nothing was measured");
}
