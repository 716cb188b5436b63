//! Handlers that panic: which connections end, and how.

use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Instant;

use eventwire::proto::OpCode;
use eventwire::proto::handshake::UpgradeRequest;
use eventwire::{
    ClientConfig, CloseCode, Config, ConnectError, Connection, Context, Disconnect, EventHandler,
    EventLoop, Gap, LoopHandle, Message, OnPanic, OverflowPolicy, ServerConfig, Upgrade,
    WebSocketHandler, on_message,
};

use crate::util::{PATIENCE, Peer, drive, drive_until, pattern, request};

/// The methods of handlers that were called, in order.
type Calls = Vec<String>;

/// Echoes messages, and panics in the method of this name.
struct Faulty(&'static str);

impl Faulty {
    fn at(&self, method: &str, calls: &mut Calls) {
        calls.push(method.to_owned());
        assert!(self.0 != method, "{method} failed");
    }
}

impl WebSocketHandler<Calls> for Faulty {
    fn on_upgrade(
        &mut self,
        _: &mut Connection<'_>,
        _: &UpgradeRequest<'_>,
        calls: &mut Calls,
    ) -> Upgrade {
        self.at("on_upgrade", calls);
        Upgrade::accept()
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, calls: &mut Calls) {
        conn.send("welcome");
        if self.0 == "on_gap" {
            let topic = conn.topic("missed").expect("a topic");
            assert_eq!(conn.subscribe_with(topic, OverflowPolicy::DropNewest), Ok(true));
        }
        self.at("on_open", calls);
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, calls: &mut Calls) {
        if message.as_text() == Some("much") {
            conn.send(&pattern(MUCH, 1)[..]);
            let topic = conn.topic("missed").expect("a topic");
            conn.broadcast(topic, "that is too much");
            return;
        }
        conn.send(message);
        if message.as_bytes().first() != Some(&b'-') {
            self.at("on_message", calls);
        }
    }

    fn on_ping(&mut self, _: &mut Connection<'_>, _: &[u8], calls: &mut Calls) {
        self.at("on_ping", calls);
    }

    fn on_pong(&mut self, _: &mut Connection<'_>, _: &[u8], calls: &mut Calls) {
        self.at("on_pong", calls);
    }

    fn on_drained(&mut self, _: &mut Connection<'_>, calls: &mut Calls) {
        self.at("on_drained", calls);
    }

    fn on_gap(&mut self, _: &mut Connection<'_>, _: Gap, calls: &mut Calls) {
        self.at("on_gap", calls);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, why: &Disconnect, calls: &mut Calls) {
        assert!(!conn.is_open());
        calls.push(why.to_string());
        self.at("on_close", calls);
    }

    fn on_connect_error(&mut self, _: &mut Connection<'_>, _: &ConnectError, calls: &mut Calls) {
        self.at("on_connect_error", calls);
    }
}

/// More than a narrow peer's connection takes at once.
const MUCH: usize = 16 * 1024 * 1024;

/// A loop with an echo server beside a faulty one; their addresses.
fn event_loop(at: &'static str) -> (EventLoop<Calls>, SocketAddr, SocketAddr) {
    let mut event_loop = EventLoop::new(Config::default()).expect("a loop");
    let config = ServerConfig::default;
    let faulty = event_loop.listen("127.0.0.1:0", config(), Faulty(at)).expect("a port");
    let echo = on_message(|conn: &mut Connection<'_>, message: Message<'_>, _: &mut Calls| {
        conn.send(message);
    });
    let echo = event_loop.listen("127.0.0.1:0", config(), echo).expect("a port");
    let [faulty, echo] =
        [faulty, echo].map(|listener| event_loop.local_addr(listener).expect("it listens"));
    (event_loop, faulty, echo)
}

/// Runs `client` against a faulty server, with a bystander on the same loop, which must not notice;
/// returns the calls of the faulty handler.
fn calls_when(at: &'static str, client: fn(SocketAddr)) -> Calls {
    let (mut event_loop, faulty, echo) = event_loop(at);
    let mut calls = Calls::new();
    let bystander = drive(&mut event_loop, &mut calls, || {
        let mut bystander = Peer::connect(echo);
        client(faulty);
        bystander.send("still there?");
        bystander.expect("still there?");
        bystander
    });
    drive_until(&mut event_loop, &mut calls, |event_loop, _| event_loop.connections() == 1);
    drop(bystander);
    drive_until(&mut event_loop, &mut calls, |event_loop, _| event_loop.connections() == 0);
    calls
}

fn open(address: SocketAddr) -> Peer {
    let mut peer = Peer::connect(address);
    peer.expect("welcome");
    peer
}

fn expect_1011(mut peer: Peer) {
    peer.expect_close(CloseCode::INTERNAL);
    peer.send("after the panic");
    peer.send_close(1011, "");
    peer.expect_end();
}

/// Reads only once much waits: a peer that reads at once may take it as fast as it comes.
fn have_much_wait(peer: &mut Peer, handle: &LoopHandle) {
    peer.send("much");
    let start = Instant::now();
    while handle.stats().outbound_bytes == 0 {
        assert!(start.elapsed() < PATIENCE, "nothing waits");
        thread::yield_now();
    }
    peer.expect(&pattern(MUCH, 1)[..]);
}

#[test]
fn a_panic_in_on_upgrade_refuses_the_client() {
    let calls = calls_when("on_upgrade", |address| {
        let mut peer = Peer::open(address);
        peer.write(&request("/", ""));
        assert!(peer.head().starts_with("HTTP/1.1 500 Internal Server Error\r\n"));
        peer.expect_end();
    });
    assert_eq!(calls, ["on_upgrade"]);
}

#[test]
fn a_panic_closes_its_connection_and_on_close_is_called() {
    type Provoke = fn(&mut Peer, &LoopHandle);
    let cases: [(&str, Provoke); 6] = [
        ("on_open", |_, _| {}),
        ("on_message", |peer, _| {
            peer.send("hello");
            peer.expect("hello");
        }),
        ("on_ping", |peer, _| {
            peer.send_frame(true, OpCode::Ping, b"?");
            peer.expect_frame(OpCode::Pong, b"?");
        }),
        ("on_pong", |peer, _| peer.send_frame(true, OpCode::Pong, b"!")),
        ("on_drained", have_much_wait),
        ("on_gap", have_much_wait),
    ];
    for (method, provoke) in cases {
        let (mut event_loop, faulty, echo) = event_loop(method);
        let (mut calls, handle) = (Calls::new(), event_loop.handle());
        drive(&mut event_loop, &mut calls, || {
            let mut bystander = Peer::connect(echo);
            let mut peer = Peer::narrow(faulty);
            peer.expect("welcome");
            provoke(&mut peer, &handle);
            expect_1011(peer);
            bystander.send("still there?");
            bystander.expect("still there?");
        });
        drive_until(&mut event_loop, &mut calls, |event_loop, _| event_loop.connections() == 0);
        let closed = format!("the handler panicked: {method} failed");
        let mut expected = vec!["on_upgrade", "on_open"];
        expected.extend(Some("on_drained").filter(|_| method == "on_gap"));
        expected.extend(Some(method).filter(|method| *method != "on_open"));
        expected.extend([closed.as_str(), "on_close"]);
        assert_eq!(calls, expected);
    }
}

#[test]
fn a_panic_in_on_close_frees_the_connection_and_no_method_follows() {
    let calls = calls_when("on_close", |address| {
        let mut peer = open(address);
        peer.send_close(1000, "");
        peer.expect_close(CloseCode::NORMAL);
        peer.expect_end();
        open(address).reset();
    });
    let reasons: Vec<_> = calls.iter().filter(|calls| calls.contains(' ')).collect();
    assert_eq!(reasons.len(), 2, "{calls:?}");
    assert_eq!(calls.len(), 2 * ["on_upgrade", "on_open", "reason", "on_close"].len());
}

#[test]
fn a_reply_sent_before_the_panic_arrives_whole() {
    // Copied, sent from the receive buffer, and received into storage of its own.
    for len in [10, 5_000, 300_000] {
        let (mut event_loop, faulty, _) = event_loop("on_message");
        let mut calls = Calls::new();
        drive(&mut event_loop, &mut calls, || {
            for _ in 0..2 {
                let mut peer = open(faulty);
                let harmless = [b"-", &pattern(len, 2)[..]].concat();
                let fatal = [b"+", &pattern(len, 3)[..]].concat();
                let mut stream = peer.encode_message(&harmless[..]);
                stream.extend(peer.encode_message(&fatal[..]));
                stream.extend(peer.encode_message("after the panic"));
                peer.write(&stream);
                peer.expect(&harmless[..]);
                peer.expect(&fatal[..]);
                expect_1011(peer);
            }
        });
        drive_until(&mut event_loop, &mut calls, |event_loop, _| event_loop.connections() == 0);
        assert_eq!(calls.iter().filter(|calls| *calls == "on_message").count(), 2);
    }
}

#[test]
fn a_panic_in_a_clients_handler_ends_only_its_connection() {
    let (mut event_loop, _, _) = event_loop("");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("an address"));
    let mut calls = Calls::new();
    event_loop.connect(&url, ClientConfig::default(), Faulty("on_open")).expect("connecting");
    drive(&mut event_loop, &mut calls, || {
        let mut peer = Peer::accept(&listener);
        peer.expect("welcome");
        expect_1011(peer);
    });
    drop(listener);
    let faulty = Faulty("on_connect_error");
    event_loop.connect(&url, ClientConfig::default(), faulty).expect("connecting");
    drive_until(&mut event_loop, &mut calls, |event_loop, _| event_loop.connections() == 0);
    let closed = "the handler panicked: on_open failed";
    assert_eq!(calls, ["on_open", closed, "on_close", "on_connect_error"]);
}

/// Notes events and the ends of batches, and panics at each.
struct FaultyEvents;

impl EventHandler<u8, Calls> for FaultyEvents {
    fn on_event(&mut self, _: &mut Context<'_>, event: &u8, calls: &mut Calls) {
        calls.push(format!("faulty {event}"));
        panic!("event {event} failed");
    }

    fn on_batch_end(&mut self, _: &mut Context<'_>, calls: &mut Calls) {
        calls.push("faulty end".to_owned());
        panic!("the batch failed");
    }
}

#[test]
fn an_events_other_handlers_are_called_and_the_loop_goes_on() {
    let mut event_loop = EventLoop::new(Config::default()).expect("a loop");
    event_loop.on_handler(FaultyEvents);
    event_loop.on(|cx: &mut Context<'_>, event: &u8, calls: &mut Calls| {
        calls.push(format!("sound {event}"));
        if *event == 2 {
            cx.stop();
        }
    });
    let events = event_loop.publisher::<u8>();
    for event in [1, 2] {
        events.publish(event).expect("room");
    }
    let mut calls = Calls::new();
    event_loop.run(&mut calls).expect("run");
    assert_eq!(calls, ["faulty 1", "sound 1", "faulty 2", "sound 2", "faulty end"]);
}

#[test]
fn a_panic_can_propagate_to_the_caller() {
    let config = Config::default().on_panic(OnPanic::Propagate);
    let mut event_loop = EventLoop::new(config.clone()).expect("a loop");
    event_loop.on_handler(FaultyEvents);
    event_loop.publisher().publish(7_u8).expect("room");
    let run = catch_unwind(AssertUnwindSafe(|| event_loop.run(&mut Calls::new())));
    let message = run.expect_err("a panic").downcast::<String>().expect("text");
    assert_eq!(*message, "event 7 failed");

    let mut event_loop = EventLoop::new(config).expect("a loop");
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), Faulty("on_message"));
    let address = event_loop.local_addr(listener.expect("a port")).expect("an address");
    let driven = catch_unwind(AssertUnwindSafe(|| {
        drive(&mut event_loop, &mut Calls::new(), || open(address).send("hello"));
        drive_until(&mut event_loop, &mut Calls::new(), |_, _| false);
    }));
    let message = driven.expect_err("a panic").downcast::<String>().expect("text");
    assert_eq!(*message, "on_message failed");
}
