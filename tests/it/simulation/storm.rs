//! A storm of clients that reconnect, in virtual time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::SimConfig;
use eventwire::{
    Backoff, ClientConfig, CloseCode, Config, ConnectError, Connection, ConnectionId, Disconnect,
    EventLoop, Idle, LinkId, ServerConfig, WebSocketHandler,
};

const CLIENTS: usize = 2_000;

/// How long the server is away.
const AWAY: Duration = Duration::from_secs(5);

/// What the handlers saw.
#[derive(Debug, Default)]
struct Seen {
    /// When each link last said that it would try again.
    promised: BTreeMap<LinkId, Instant>,
    open: usize,
    failures: u64,
    reopened: Vec<Instant>,
    served: Vec<ConnectionId>,
}

struct Client;

impl WebSocketHandler<Seen> for Client {
    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        seen.open += 1;
        let link = conn.link().expect("it reconnects");
        if let Some(promised) = seen.promised.remove(&link) {
            assert!(conn.now() >= promised, "an attempt was too early");
            seen.reopened.push(conn.now());
        }
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, seen: &mut Seen) {
        seen.open -= 1;
        note_retry(conn, seen);
    }

    fn on_connect_error(&mut self, conn: &mut Connection<'_>, _: &ConnectError, seen: &mut Seen) {
        seen.failures += 1;
        note_retry(conn, seen);
    }
}

fn note_retry(conn: &Connection<'_>, seen: &mut Seen) {
    let (link, delay) = (conn.link().expect("it reconnects"), conn.retry_in().expect("it waits"));
    if let Some(promised) = seen.promised.insert(link, conn.now() + delay) {
        assert!(conn.now() >= promised, "an attempt was too early");
    }
}

struct Server;

impl WebSocketHandler<Seen> for Server {
    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        seen.served.push(conn.id());
    }
}

struct Storm {
    event_loop: EventLoop<Seen, SimReactor>,
    seen: Seen,
}

impl Storm {
    fn run(&mut self, time: Duration) {
        let end = self.event_loop.reactor_mut().elapsed() + time;
        while self.event_loop.reactor_mut().elapsed() < end {
            let left = end - self.event_loop.reactor_mut().elapsed();
            self.event_loop.turn(Some(left), &mut self.seen).expect("a poll");
        }
    }
}

#[test]
fn two_thousand_clients_come_back_spread_over_time_without_an_attempt_too_many() {
    let config = Config::default().idle(Idle::Block).max_connections(3 * CLIENTS);
    let reactor = SimReactor::new(7, SimConfig::calm());
    let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
    let server = event_loop.server_endpoint(ServerConfig::default(), Server).expect("valid");
    let listener = event_loop.context().listen(server, "127.0.0.1:0").expect("a port");
    let address = event_loop.local_addr(listener).expect("an address");
    let config = ClientConfig::default().reconnect(Backoff::default());
    let client = event_loop.client_endpoint(config, Client).expect("valid");
    let url = format!("ws://{address}");
    for _ in 0..CLIENTS {
        event_loop.context().connect(client, &url).expect("it is begun");
    }
    let mut storm = Storm { event_loop, seen: Seen::default() };
    storm.run(Duration::from_secs(30));
    assert_eq!(storm.seen.open, CLIENTS);

    // The server goes away with all its connections, and nobody listens for a while.
    let mut cx = storm.event_loop.context();
    assert!(cx.close_listener(listener));
    for conn in std::mem::take(&mut storm.seen.served) {
        cx.connection(conn).close(CloseCode::GOING_AWAY, "");
    }
    let before = storm.event_loop.stats();
    assert_eq!(before.reconnect_attempts, 0);
    storm.run(AWAY);
    assert_eq!((storm.seen.open, storm.seen.promised.len()), (0, CLIENTS));
    storm.event_loop.context().listen(server, address).expect("its port is free");
    let back = storm.event_loop.context().now();
    storm.run(Duration::from_secs(60));

    let (stats, seen) = (storm.event_loop.stats(), &storm.seen);
    assert_eq!((seen.open, stats.links_waiting), (CLIENTS, 0));
    assert_eq!(stats.reconnected, CLIENTS as u64);
    assert_eq!(stats.reconnect_attempts, seen.failures + CLIENTS as u64, "attempts");
    // They doubled their delays for five seconds, so that the rest comes within about eight.
    let times: Vec<_> = seen.reopened.iter().map(|at| at.duration_since(back)).collect();
    let within = |from: u64, to: u64| {
        let range = Duration::from_millis(from)..Duration::from_millis(to);
        times.iter().filter(|time| range.contains(time)).count()
    };
    for second in 0..3 {
        let count = within(second * 1_000, (second + 1) * 1_000);
        assert!((CLIENTS / 20..CLIENTS / 2).contains(&count), "{count} in second {second}");
    }
    assert!(within(0, 100) < CLIENTS / 10, "they all come at once");
}
