//! What handlers do with their loop: connect, listen, adopt, publish.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;

use eventwire::{
    ClientConfig, Config, ConnectError, Connection, Context, EndpointId, Error, EventLoop,
    ListenerId, Message, PublishError, ServerConfig, WebSocketHandler, on_message,
};

use crate::util::{Peer, Recorder, Server, drive, drive_until};

/// What handlers brought about.
#[derive(Debug, Default)]
struct Seen {
    messages: Vec<String>,
    failures: Vec<String>,
    listener: Option<ListenerId>,
}

/// Greets, notes the reply, and notes failures.
struct Client;

impl WebSocketHandler<Seen> for Client {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut Seen) {
        conn.send(conn.id().to_string());
    }

    fn on_message(&mut self, _: &mut Connection<'_>, message: Message<'_>, seen: &mut Seen) {
        seen.messages.extend(message.as_text().map(str::to_owned));
    }

    fn on_connect_error(&mut self, _: &mut Connection<'_>, error: &ConnectError, seen: &mut Seen) {
        seen.failures.push(error.to_string());
    }
}

/// Something to do in a handler.
type Act = Box<dyn Fn(&mut Context<'_>, &mut Seen) + Send>;

/// A loop that runs what is published to it.
fn acting() -> EventLoop<Seen> {
    let mut event_loop = EventLoop::new(Config::default()).expect("a loop");
    event_loop.on(|cx, act: &Act, seen: &mut Seen| act(cx, seen));
    event_loop
}

fn act(
    event_loop: &mut EventLoop<Seen>,
    seen: &mut Seen,
    act: impl Fn(&mut Context<'_>, &mut Seen) + Send + 'static,
) {
    let act: Act = Box::new(act);
    event_loop.publisher().publish(act).expect("the queue has room");
    event_loop.turn(Some(Duration::ZERO), seen).expect("a turn");
}

fn echo_endpoint(event_loop: &mut EventLoop<Seen>) -> EndpointId {
    let echo = on_message(|conn, message, _: &mut Seen| {
        conn.send(message);
    });
    event_loop.server_endpoint(ServerConfig::default(), echo).expect("an endpoint")
}

#[test]
fn a_handler_connects_any_number_of_times_with_one_registered_handler() {
    let server = Server::echo();
    let url = format!("ws://{}", server.address());
    let mut event_loop = acting();
    let endpoint = event_loop.client_endpoint(ClientConfig::default(), Client).expect("valid");
    let mut seen = Seen::default();
    act(&mut event_loop, &mut seen, move |cx, _| {
        for _ in 0..50 {
            cx.connect(endpoint, &url).expect("it is begun");
        }
    });
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.messages.len() == 50);
    seen.messages.sort_unstable();
    seen.messages.dedup();
    assert_eq!(seen.messages.len(), 50, "each connection has its own id");
}

#[test]
fn a_failure_to_connect_reaches_the_registered_handler() {
    let mut event_loop = acting();
    let endpoint = event_loop.client_endpoint(ClientConfig::default(), Client).expect("valid");
    let unused = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let mut seen = Seen::default();
    act(&mut event_loop, &mut seen, move |cx, seen| {
        cx.connect(endpoint, &format!("ws://{unused}")).expect("it is begun");
        assert!(matches!(cx.connect(endpoint, "http://localhost"), Err(Error::Url(_))));
        assert!(seen.failures.is_empty(), "no handler is called inside another");
    });
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.failures.len() == 1);
}

#[test]
fn a_handler_listens_and_closes_the_listener_and_its_connections_stay() {
    let mut event_loop = acting();
    let endpoint = echo_endpoint(&mut event_loop);
    let mut seen = Seen::default();
    act(&mut event_loop, &mut seen, move |cx, seen| {
        seen.listener = cx.listen(endpoint, "127.0.0.1:0").ok();
    });
    let listener = seen.listener.expect("it listens");
    let address = event_loop.local_addr(listener).expect("it has an address");
    let mut peer = drive(&mut event_loop, &mut seen, || {
        let mut peer = Peer::connect(address);
        peer.send("one");
        peer.expect("one");
        peer
    });
    act(&mut event_loop, &mut seen, move |cx, _| {
        assert!(cx.close_listener(listener) && !cx.close_listener(listener));
        assert_eq!(cx.local_addr(listener), None);
    });
    assert_eq!(refusal(address), ErrorKind::ConnectionRefused);
    drive(&mut event_loop, &mut seen, || {
        peer.send("two");
        peer.expect("two");
    });
}

fn refusal(address: SocketAddr) -> ErrorKind {
    TcpStream::connect(address).expect_err("nobody listens").kind()
}

#[test]
fn a_port_in_use_is_an_error_for_a_handler_and_leaves_nothing_behind() {
    let mut event_loop = acting();
    let endpoint = echo_endpoint(&mut event_loop);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound");
    let mut seen = Seen::default();
    act(&mut event_loop, &mut seen, move |cx, seen| {
        let Err(Error::Io { action, source }) = cx.listen(endpoint, address) else {
            panic!("the port is taken");
        };
        assert_eq!(source.kind(), ErrorKind::AddrInUse);
        seen.failures.push(action);
    });
    assert_eq!(seen.failures, [format!("listen on {address}")]);
    drop(taken);
    act(&mut event_loop, &mut seen, move |cx, seen| {
        seen.listener = cx.listen(endpoint, address).ok();
    });
    assert!(seen.listener.is_some());
}

#[test]
fn an_endpoint_is_used_for_its_own_kind_and_not_after_it_was_removed() {
    let mut event_loop = acting();
    let server = echo_endpoint(&mut event_loop);
    let client = event_loop.client_endpoint(ClientConfig::default(), Client).expect("valid");
    let mut seen = Seen::default();
    act(&mut event_loop, &mut seen, move |cx, seen| {
        let listened = cx.listen(client, "127.0.0.1:0");
        assert!(matches!(listened, Err(Error::WrongEndpoint)), "{listened:?}");
        let connected = cx.connect(server, "ws://127.0.0.1:1");
        assert!(matches!(connected, Err(Error::WrongEndpoint)), "{connected:?}");
        seen.listener = cx.listen(server, "127.0.0.1:0").ok();
        for endpoint in [server, client] {
            assert!(cx.remove_endpoint(endpoint) && !cx.remove_endpoint(endpoint));
        }
        let listened = cx.listen(server, "127.0.0.1:0");
        assert!(matches!(listened, Err(Error::UnknownEndpoint)), "{listened:?}");
        let connected = cx.connect(client, "ws://127.0.0.1:1");
        assert!(matches!(connected, Err(Error::UnknownEndpoint)), "{connected:?}");
    });
    let address = event_loop.local_addr(seen.listener.expect("it listened before")).expect("bound");
    drive(&mut event_loop, &mut seen, || {
        let mut peer = Peer::connect(address);
        peer.send("still here");
        peer.expect("still here");
    });
}

#[test]
fn a_handler_is_dropped_after_the_last_use_of_its_removed_endpoint() {
    let (handler, log) = Recorder::new();
    let mut event_loop = EventLoop::<()>::new(Config::default()).expect("a loop");
    let endpoint = event_loop.server_endpoint(ServerConfig::default(), handler).expect("valid");
    let listener = event_loop.context().listen(endpoint, "127.0.0.1:0").expect("it listens");
    assert!(event_loop.context().remove_endpoint(endpoint));
    event_loop.turn(Some(Duration::ZERO), &mut ()).expect("a turn");
    assert!(event_loop.context().close_listener(listener));
    event_loop.turn(Some(Duration::ZERO), &mut ()).expect("a turn");
    assert_eq!(log.rest(), []);
}

#[test]
fn a_handler_takes_over_sockets_that_others_opened() {
    let mut event_loop = acting();
    let endpoint = echo_endpoint(&mut event_loop);
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("bound");
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let other_address = other.local_addr().expect("bound");
    let mut seen = Seen::default();
    act(&mut event_loop, &mut seen, move |cx, seen| {
        let socket = socket.try_clone().expect("a descriptor");
        seen.listener = cx.listen_on(endpoint, socket).ok();
    });
    let listener = seen.listener.expect("it listens");
    assert_eq!(event_loop.local_addr(listener), Some(address));
    let peers: Vec<_> = [address, other_address]
        .map(|address| {
            std::thread::spawn(move || {
                let mut peer = Peer::connect(address);
                peer.send("hello");
                peer.expect("hello");
            })
        })
        .into();
    let (stream, _) = other.accept().expect("a connection");
    act(&mut event_loop, &mut seen, move |cx, _| {
        let stream = stream.try_clone().expect("a descriptor");
        cx.adopt(listener, stream).expect("it is added");
    });
    drive_until(&mut event_loop, &mut seen, |_, _| peers.iter().all(JoinHandle::is_finished));
    peers.into_iter().for_each(|peer| peer.join().expect("it was answered"));
    let late = TcpStream::connect(address).expect("a connection");
    act(&mut event_loop, &mut seen, move |cx, _| {
        assert!(cx.close_listener(listener));
        let late = late.try_clone().expect("a descriptor");
        assert!(matches!(cx.adopt(listener, late), Err(Error::UnknownListener)));
    });
}

#[test]
fn a_handler_makes_publishers_of_types_that_are_registered() {
    struct Known;
    struct Unknown;
    let mut event_loop = acting();
    event_loop.on(|_, _: &Known, seen: &mut Seen| seen.messages.push("known".into()));
    let mut seen = Seen::default();
    act(&mut event_loop, &mut seen, |cx, _| {
        assert!(matches!(cx.publisher::<Unknown>(), Err(PublishError::NoHandler(()))));
        let publisher = cx.publisher().expect("it is registered");
        std::thread::spawn(move || publisher.publish(Known))
            .join()
            .expect("no panic")
            .expect("room");
    });
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.messages == ["known"]);
}

/// Connects to its own loop again for every connection that opens.
struct Ouroboros {
    endpoint: Rc<Cell<Option<(EndpointId, SocketAddr)>>>,
}

impl WebSocketHandler<Seen> for Ouroboros {
    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        seen.messages.push(conn.id().to_string());
        let (endpoint, address) = self.endpoint.get().expect("it is set before");
        if let Err(error) = conn.connect(endpoint, &format!("ws://{address}")) {
            assert!(matches!(error, Error::ConnectionLimit), "{error}");
            seen.failures.push(error.to_string());
        }
    }
}

#[test]
fn a_loop_that_connects_to_itself_without_end_meets_the_limit_on_connections() {
    let mut event_loop = EventLoop::new(Config::default().max_connections(40)).expect("a loop");
    let known = Rc::default();
    let endpoint = event_loop
        .client_endpoint(ClientConfig::default(), Ouroboros { endpoint: Rc::clone(&known) })
        .expect("valid");
    let ignore = on_message(|_, _, _: &mut Seen| {});
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), ignore);
    let address = event_loop.local_addr(listener.expect("a port")).expect("an address");
    known.set(Some((endpoint, address)));
    let mut seen = Seen::default();
    event_loop.context().connect(endpoint, &format!("ws://{address}")).expect("it is begun");
    drive_until(&mut event_loop, &mut seen, |_, seen| !seen.failures.is_empty());
    assert!(event_loop.connections() <= 40);
    assert!(seen.messages.len() >= 19, "each takes two places: {seen:?}");
}

#[test]
fn a_loop_that_shuts_down_begins_nothing() {
    let mut event_loop = acting();
    let server = echo_endpoint(&mut event_loop);
    let client = event_loop.client_endpoint(ClientConfig::default(), Client).expect("valid");
    let mut seen = Seen::default();
    let _pending = event_loop.context().listen(server, "127.0.0.1:0").expect("it listens");
    act(&mut event_loop, &mut seen, |cx, _| cx.shutdown(Duration::from_secs(1)));
    event_loop.turn(Some(Duration::ZERO), &mut seen).expect("a turn");
    let mut cx = event_loop.context();
    assert!(matches!(cx.connect(client, "ws://127.0.0.1:1"), Err(Error::ShuttingDown)));
    assert!(matches!(cx.listen(server, "127.0.0.1:0"), Err(Error::ShuttingDown)));
}
