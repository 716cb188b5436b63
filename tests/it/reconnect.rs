//! Clients that reconnect, over real sockets.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use eventwire::{
    Backoff, ClientConfig, CloseCode, Config, ConnectError, Connection, ConnectionId, Disconnect,
    EventLoop, LinkId, OnPanic, ServerConfig, WebSocketHandler, on_message,
};

use crate::util::{Server, drive_until};

/// Short, so that tests take little time.
fn backoff() -> Backoff {
    Backoff::default().first(Duration::from_millis(20)).longest(Duration::from_millis(400))
}

fn reconnecting() -> ClientConfig {
    ClientConfig::default().reconnect(backoff())
}

/// What handlers saw of links.
#[derive(Debug, Default)]
struct Seen {
    opened: Vec<(Option<LinkId>, ConnectionId)>,
    retries: Vec<Option<Duration>>,
    /// When links may try again.
    promised: HashMap<LinkId, Instant>,
    failures: u64,
}

impl Seen {
    fn note_retry(&mut self, conn: &Connection<'_>) {
        let retry = conn.retry_in();
        self.retries.push(retry);
        if let (Some(link), Some(delay)) = (conn.link(), retry) {
            self.promised.insert(link, conn.now() + delay);
        }
    }

    /// No attempt has an outcome earlier than it was to begin.
    fn check(&mut self, conn: &Connection<'_>) {
        let promised = conn.link().and_then(|link| self.promised.remove(&link));
        assert!(promised.is_none_or(|at| conn.now() >= at), "an attempt was too early");
    }
}

struct Client;

impl WebSocketHandler<Seen> for Client {
    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        seen.check(conn);
        seen.opened.push((conn.link(), conn.id()));
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, seen: &mut Seen) {
        seen.note_retry(conn);
    }

    fn on_connect_error(&mut self, conn: &mut Connection<'_>, _: &ConnectError, seen: &mut Seen) {
        seen.check(conn);
        seen.failures += 1;
        seen.note_retry(conn);
    }
}

fn event_loop() -> (EventLoop<Seen>, Seen) {
    let config = Config::default().on_panic(OnPanic::Propagate);
    (EventLoop::new(config).expect("a loop"), Seen::default())
}

/// A server on this address until the returned value is dropped.
fn serve(address: SocketAddr) -> Server {
    Server::start(Config::default(), move |event_loop: &mut EventLoop<()>| {
        let ignore = on_message(|_, _, _: &mut ()| {});
        let listener = event_loop.listen(address, ServerConfig::default(), ignore).expect("free");
        event_loop.local_addr(listener).expect("an address")
    })
}

/// An address on which nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address")
}

#[test]
fn a_link_comes_back_with_another_connection_each_time() {
    let (mut event_loop, mut seen) = event_loop();
    let address = nobody();
    let url = format!("ws://{address}");
    event_loop.connect(&url, reconnecting(), Client).expect("it is begun");
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.failures >= 2);
    for round in 1..=3 {
        let server = serve(address);
        drive_until(&mut event_loop, &mut seen, |_, seen| seen.opened.len() == round);
        let before = seen.retries.len();
        drop(server);
        drive_until(&mut event_loop, &mut seen, |_, seen| seen.retries.len() > before);
    }
    assert!(seen.retries.iter().all(Option::is_some));
    let [first, second, third] = &seen.opened[..] else { panic!("{seen:?}") };
    assert!(first.0.is_some() && first.0 == second.0 && second.0 == third.0, "one link");
    assert!(first.1 != second.1 && second.1 != third.1, "three connections");
    let stats = event_loop.stats();
    assert_eq!((stats.links, stats.reconnected), (1, 3));
    assert!(stats.reconnect_attempts >= 4);
}

#[test]
fn a_client_that_is_not_told_to_reconnect_has_no_link() {
    let (mut event_loop, mut seen) = event_loop();
    let url = format!("ws://{}", nobody());
    event_loop.connect(&url, ClientConfig::default(), Client).expect("it is begun");
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.failures == 1);
    assert_eq!(seen.retries, [None]);
    assert_eq!((event_loop.stats().links, event_loop.connections()), (0, 0));
}

#[test]
fn a_link_can_be_stopped_while_it_waits_and_while_it_is_connected() {
    let (mut event_loop, mut seen) = event_loop();
    let server = Server::echo();
    let slow = ClientConfig::default().reconnect(Backoff::default().first(Duration::MAX));
    event_loop.connect(&format!("ws://{}", nobody()), slow, Client).expect("it is begun");
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.failures == 1);
    let url = format!("ws://{}", server.address());
    event_loop.connect(&url, reconnecting(), Client).expect("it is begun");
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.opened.len() == 1);
    let stats = event_loop.stats();
    assert_eq!((stats.links, stats.links_waiting), (2, 1));

    let waiting = *seen.promised.keys().next().expect("one waits");
    let (connected, conn) = seen.opened[0];
    let connected = connected.expect("it has a link");
    let mut cx = event_loop.context();
    assert_eq!(cx.link_connection(waiting), None);
    assert_eq!(cx.link_connection(connected), Some(conn));
    for link in [waiting, connected] {
        assert!(cx.stop_reconnecting(link) && !cx.stop_reconnecting(link));
    }
    assert_eq!(cx.link_connection(connected), None);
    assert!(cx.connection(conn).is_open() && cx.connection(conn).link().is_none());
    drop(server);
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.retries.len() == 2);
    assert_eq!(seen.retries[1], None);
    drive_until(&mut event_loop, &mut seen, |event_loop, _| event_loop.connections() == 0);
    assert_eq!(event_loop.stats().links, 0);
}

#[test]
fn a_connection_that_the_application_closes_ends_its_link() {
    let (mut event_loop, mut seen) = event_loop();
    let server = Server::echo();
    let url = format!("ws://{}", server.address());
    event_loop.connect(&url, reconnecting(), Client).expect("it is begun");
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.opened.len() == 1);
    let conn = seen.opened[0].1;
    event_loop.context().connection(conn).close(CloseCode::NORMAL, "");
    drive_until(&mut event_loop, &mut seen, |event_loop, _| event_loop.connections() == 0);
    assert_eq!((&seen.retries[..], event_loop.stats().links), (&[None][..], 0));
}

#[test]
fn a_link_ends_with_its_endpoint() {
    let (mut event_loop, mut seen) = event_loop();
    let endpoint = event_loop.client_endpoint(reconnecting(), Client).expect("valid");
    event_loop.context().connect(endpoint, &format!("ws://{}", nobody())).expect("it is begun");
    assert!(event_loop.context().remove_endpoint(endpoint));
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.failures == 1);
    assert_eq!((&seen.retries[..], event_loop.stats().links), (&[None][..], 0));
}

#[test]
fn no_link_tries_again_while_the_loop_shuts_down() {
    let (mut event_loop, mut seen) = event_loop();
    let server = Server::echo();
    let url = format!("ws://{}", server.address());
    event_loop.connect(&url, reconnecting(), Client).expect("it is begun");
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.opened.len() == 1);
    event_loop.context().shutdown(Duration::from_secs(10));
    event_loop.run(&mut seen).expect("it ends");
    assert_eq!(seen.retries, [None]);
}

#[test]
fn a_link_that_waits_ends_when_its_time_comes_and_its_endpoint_is_gone() {
    let (mut event_loop, mut seen) = event_loop();
    let endpoint = event_loop.client_endpoint(reconnecting(), Client).expect("valid");
    event_loop.context().connect(endpoint, &format!("ws://{}", nobody())).expect("it is begun");
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.failures == 1);
    assert!(event_loop.context().remove_endpoint(endpoint));
    drive_until(&mut event_loop, &mut seen, |event_loop, _| event_loop.stats().links == 0);
    let stats = event_loop.stats();
    assert_eq!((stats.links_waiting, event_loop.connections()), (0, 0));
}

#[test]
fn a_link_that_waits_ends_when_its_time_comes_during_a_shutdown() {
    let (mut event_loop, mut seen) = event_loop();
    let url = format!("ws://{}", nobody());
    event_loop.connect(&url, reconnecting(), Client).expect("it is begun");
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.failures == 1);
    let hold = event_loop.context().hold();
    event_loop.context().shutdown(Duration::from_secs(3600));
    drive_until(&mut event_loop, &mut seen, |event_loop, _| event_loop.stats().links == 0);
    assert_eq!((event_loop.stats().links_waiting, event_loop.is_stopping()), (0, false));
    drop(hold);
    event_loop.run(&mut seen).expect("it ends");
}

#[test]
fn a_link_that_finds_no_room_waits_again_until_there_is_some() {
    let config = Config::default().max_connections(1).on_panic(OnPanic::Propagate);
    let (mut event_loop, mut seen) = (EventLoop::new(config).expect("a loop"), Seen::default());
    let server = Server::echo();
    let address = nobody();
    event_loop.connect(&format!("ws://{address}"), reconnecting(), Client).expect("it is begun");
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.failures == 1);
    let other = format!("ws://{}", server.address());
    let other = event_loop.connect(&other, ClientConfig::default(), Client).expect("there is room");
    let attempts = event_loop.stats().reconnect_attempts;
    drive_until(&mut event_loop, &mut seen, |event_loop, _| {
        event_loop.stats().reconnect_attempts >= attempts + 3
    });
    assert_eq!((event_loop.stats().links, event_loop.connections()), (1, 1));
    let _link = serve(address);
    event_loop.context().connection(other).close(CloseCode::NORMAL, "");
    drive_until(&mut event_loop, &mut seen, |event_loop, _| event_loop.stats().reconnected == 1);
    assert_eq!(event_loop.stats().links_waiting, 0);
}

/// Two thousand clients lose their server, which comes back. Each failure is followed by one
/// attempt, not before its time, and the attempts are spread over the time that the delays allow.
#[test]
fn a_storm_of_clients_comes_back_spread_over_time() {
    const CLIENTS: usize = 2_000;
    let address = nobody();
    let server = serve(address);
    let (tell, told) = channel();
    let clients = thread::spawn(move || {
        let (mut event_loop, mut seen) = event_loop();
        let endpoint = event_loop.client_endpoint(reconnecting(), Client).expect("valid");
        for _ in 0..CLIENTS {
            let url = format!("ws://{address}");
            event_loop.context().connect(endpoint, &url).expect("it is begun");
        }
        drive_until(&mut event_loop, &mut seen, |_, seen| seen.opened.len() == CLIENTS);
        tell.send(()).expect("the test waits");
        drive_until(&mut event_loop, &mut seen, |_, seen| seen.opened.len() == 2 * CLIENTS);
        (event_loop.stats(), seen)
    });
    told.recv().expect("all are connected");
    // The server is killed: its connections end at once, and nobody listens.
    server.handle.stop();
    server.wait();
    let server = serve(address);
    let (stats, seen) = clients.join().expect("no panic");
    drop(server);

    assert_eq!(stats.reconnected, CLIENTS as u64);
    assert_eq!((stats.links, stats.links_waiting), (CLIENTS as u64, 0));
    let outcomes = seen.opened.len() as u64 + seen.failures;
    assert_eq!(stats.reconnect_attempts, outcomes - CLIENTS as u64, "attempts after the first");
    assert_eq!(stats.reconnect_attempts, seen.retries.len() as u64, "one for each failure");
    // The first delays are spread over 20 ms: a fifth of them lies in each fifth of that.
    let mut fifths = [0; 5];
    for delay in seen.retries[..CLIENTS].iter().flatten() {
        if let Some(count) = fifths.get_mut(delay.as_micros() as usize / 4_000) {
            *count += 1;
        }
    }
    assert!(fifths.iter().all(|count| *count > CLIENTS / 10), "{fifths:?}");
}
