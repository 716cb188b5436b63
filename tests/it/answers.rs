//! Answers that are given later: in the loop, from other threads, too late, twice, to nobody.

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use eventwire::proto::handshake::{Acceptance, Refusal, UpgradeRequest};
use eventwire::{
    Answer, Config, Connection, EventLoop, EventStream, HttpRequest, HttpResponse, Later, Message,
    RequestId, RespondError, Responder, Routes, ServerConfig, StreamedResponse, Upgrade,
    WebSocketHandler,
};

use crate::util::{PATIENCE, Peer, Server, drive_until, request};

/// What the loop's state remembers of requests.
type Requests = Vec<RequestId>;

fn get(peer: &mut Peer, path: &str) {
    peer.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
}

/// The status and the body of the next response.
fn response(peer: &mut Peer) -> (u16, String) {
    let head = peer.head();
    let status = head[9..12].parse().expect("a status");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let length = length.map_or(0, |length| length.parse().expect("a length"));
    (status, String::from_utf8(peer.bytes(length)).expect("text"))
}

/// A loop whose handlers put requests off and remember them.
fn putting_off(routes: Routes<Requests>) -> (EventLoop<Requests>, SocketAddr) {
    let mut event_loop = EventLoop::new(Config::default()).expect("make a loop");
    let routes = routes
        .get("/later", |conn, _, requests: &mut Requests| {
            requests.push(conn.request_id());
            Later::within(PATIENCE)
        })
        .get("/now", |_, _, _| HttpResponse::text("now"));
    let listener =
        event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes).expect("listen");
    let address = event_loop.local_addr(listener).expect("an address");
    (event_loop, address)
}

#[test]
fn an_answer_comes_later_and_before_those_to_the_requests_behind_it() {
    let (mut event_loop, address) = putting_off(Routes::new());
    let (mut peer, mut requests) = (Peer::open(address), Requests::new());
    for round in 0..6 {
        get(&mut peer, "/later");
        if round % 2 == 0 {
            get(&mut peer, "/now");
        }
        drive_until(&mut event_loop, &mut requests, |_, requests| !requests.is_empty());
        if round % 2 == 1 {
            get(&mut peer, "/now");
            // Its readiness comes before the answer.
            event_loop.turn(Some(PATIENCE), &mut requests).expect("turn");
        }
        let request = requests.remove(0);
        let body = format!("answer {round}");
        let mut context = event_loop.context();
        assert_eq!(context.respond(request, HttpResponse::text(body.clone())), Ok(()));
        assert_eq!(context.respond(request, HttpResponse::new(200)), Err(RespondError::Answered));
        drive_until(&mut event_loop, &mut requests, |event_loop, _| {
            event_loop.handle().stats().requests == 2 * (round + 1)
        });
        assert_eq!(response(&mut peer), (200, body));
        assert_eq!(response(&mut peer), (200, "now".to_owned()));
    }
}

#[test]
fn an_answer_to_a_client_that_has_left_is_refused() {
    let (mut event_loop, address) = putting_off(Routes::new());
    let mut requests = Requests::new();
    for resets in [false, true] {
        let mut peer = Peer::open(address);
        get(&mut peer, "/later");
        drive_until(&mut event_loop, &mut requests, |_, requests| !requests.is_empty());
        if resets {
            peer.reset();
        } else {
            drop(peer);
        }
        drive_until(&mut event_loop, &mut requests, |event_loop, _| event_loop.connections() == 0);
        let gone = event_loop.context().respond(requests.remove(0), HttpResponse::new(200));
        assert_eq!(gone, Err(RespondError::Gone));
    }
}

#[test]
fn a_request_that_nobody_answers_gets_504() {
    let server = Server::start(Config::default(), |event_loop: &mut EventLoop<()>| {
        let routes = Routes::new()
            .get("/never", |_, _, _| Later::within(Duration::from_millis(20)))
            .get("/extended", |conn, _, _| {
                let request = conn.request_id();
                assert_eq!(conn.respond(request, Later::within(Duration::from_millis(1))), Ok(()));
                Later::default()
            });
        let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
        event_loop.local_addr(listener.expect("listen")).expect("an address")
    });
    for path in ["/never", "/extended"] {
        let mut peer = Peer::open(server.address());
        get(&mut peer, path);
        assert_eq!(response(&mut peer), (504, "no response in time".to_owned()));
        peer.expect_end();
    }
}

#[test]
fn an_answer_within_the_handler_counts_and_a_second_one_does_not() {
    let (mut event_loop, address) = putting_off(
        Routes::new()
            .get("/early", |conn, _, _| {
                let request = conn.request_id();
                assert_eq!(conn.respond(request, HttpResponse::text("early")), Ok(()));
                let again = conn.respond(request, HttpResponse::text("again"));
                assert_eq!(again, Err(RespondError::Answered));
                Later::default()
            })
            .get("/both", |conn, _, requests: &mut Requests| {
                let request = conn.request_id();
                requests.push(request);
                assert_eq!(conn.respond(request, HttpResponse::text("given")), Ok(()));
                HttpResponse::text("returned")
            })
            .get("/opens", |_, _, _| Answer::Accept(Acceptance::new())),
    );
    let (mut peer, mut requests) = (Peer::open(address), Requests::new());
    for path in ["/early", "/both", "/opens"] {
        get(&mut peer, path);
    }
    drive_until(&mut event_loop, &mut requests, |event_loop, _| {
        event_loop.handle().stats().requests == 3
    });
    assert_eq!(response(&mut peer), (200, "early".to_owned()));
    assert_eq!(response(&mut peer), (200, "given".to_owned()));
    assert_eq!(response(&mut peer), (500, String::new()));
    let late = event_loop.context().respond(requests[0], HttpResponse::new(200));
    assert_eq!(late, Err(RespondError::Answered));
}

/// A server whose handlers hand their responders out.
fn handing_out(server: ServerConfig) -> (Server, Receiver<Responder>) {
    let (sender, responders) = channel();
    let server = Server::start(Config::default(), move |event_loop: &mut EventLoop<()>| {
        let upgrades = Deciding(sender.clone());
        let routes = Routes::new()
            .get("/later", move |conn, request: &HttpRequest<'_>, _: &mut ()| {
                assert!(request.body().is_empty() || request.body() == b"body");
                sender.send(conn.responder()).expect("the test waits");
                Later::within(PATIENCE)
            })
            .websocket("/socket", ServerConfig::default(), upgrades);
        let listener = event_loop.listen("127.0.0.1:0", server, routes).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    });
    (server, responders)
}

struct Deciding(Sender<Responder>);

impl WebSocketHandler<()> for Deciding {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        _: &UpgradeRequest<'_>,
        (): &mut (),
    ) -> Upgrade {
        self.0.send(conn.responder()).expect("the test waits");
        Later::within(PATIENCE).into()
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, (): &mut ()) {
        conn.send("welcome");
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, (): &mut ()) {
        conn.send(message);
    }
}

#[test]
fn other_threads_answer_and_a_responder_that_is_dropped_answers_500() {
    let (server, responders) = handing_out(ServerConfig::default());
    let mut peer = Peer::open(server.address());
    get(&mut peer, "/later");
    let responder = responders.recv_timeout(PATIENCE).expect("a responder");
    assert!(responder.is_wanted());
    let answering = thread::spawn(move || responder.respond(HttpResponse::text("from afar")));
    assert_eq!(answering.join().expect("no panic"), Ok(()));
    assert_eq!(response(&mut peer), (200, "from afar".to_owned()));
    get(&mut peer, "/later");
    drop(responders.recv_timeout(PATIENCE).expect("a responder"));
    assert_eq!(response(&mut peer), (500, String::new()));
    get(&mut peer, "/later");
    let responder = responders.recv_timeout(PATIENCE).expect("a responder");
    assert_eq!(responder.respond(Acceptance::new()), Err(RespondError::NoUpgrade));
    assert_eq!(response(&mut peer), (500, String::new()), "it asked for no WebSocket");
    get(&mut peer, "/later");
    let responder = responders.recv_timeout(PATIENCE).expect("a responder");
    drop(peer);
    while responder.is_wanted() {
        thread::yield_now();
    }
    assert_eq!(responder.respond(HttpResponse::new(200)), Err(RespondError::Gone));
}

#[test]
fn a_responder_outlives_its_loop() {
    let (server, responders) = handing_out(ServerConfig::default());
    let mut peer = Peer::open(server.address());
    get(&mut peer, "/later");
    let responder = responders.recv_timeout(PATIENCE).expect("a responder");
    drop(server);
    assert!(!responder.is_wanted());
    assert_eq!(responder.respond(HttpResponse::new(200)), Err(RespondError::Gone));
    peer.expect_end();
}

#[test]
fn a_websocket_opens_once_the_application_has_decided() {
    let (server, responders) = handing_out(ServerConfig::default());
    let mut peer = Peer::open(server.address());
    peer.write(&request("/socket", ""));
    peer.send("sent before the answer");
    let responder = responders.recv_timeout(PATIENCE).expect("a responder");
    assert_eq!(responder.respond(Acceptance::new()), Ok(()));
    assert!(peer.head().starts_with("HTTP/1.1 101 "));
    peer.expect("welcome");
    peer.expect("sent before the answer");

    for (answer, given, status) in [
        (Answer::from(Refusal::new(403).body("no")), Ok(()), 403),
        (HttpResponse::new(403).into(), Ok(()), 403),
        (EventStream::of("news").into(), Err(RespondError::NoStream), 500),
        (StreamedResponse::new(HttpResponse::new(200)).into(), Err(RespondError::NoStream), 500),
    ] {
        let mut peer = Peer::open(server.address());
        peer.write(&request("/socket", ""));
        let responder = responders.recv_timeout(PATIENCE).expect("a responder");
        assert_eq!(responder.respond(answer), given);
        assert_eq!(response(&mut peer).0, status);
        peer.expect_end();
    }
}

#[test]
fn a_shutdown_waits_for_answers_that_the_application_has_in_hand() {
    let (server, responders) = handing_out(ServerConfig::default());
    let mut peer = Peer::open(server.address());
    get(&mut peer, "/later");
    let responder = responders.recv_timeout(PATIENCE).expect("a responder");
    server.handle.shutdown(PATIENCE);
    // The listener is closed once the shutdown has begun.
    while TcpStream::connect(server.address()).is_ok() {
        thread::yield_now();
    }
    assert_eq!(responder.respond(HttpResponse::text("last")), Ok(()));
    assert_eq!(response(&mut peer), (200, "last".to_owned()));
    peer.expect_end();
    drop(peer);
    server.wait();
}

#[test]
fn no_websocket_opens_once_a_shutdown_has_begun() {
    let (server, responders) = handing_out(ServerConfig::default());
    let mut peer = Peer::open(server.address());
    peer.write(&request("/socket", ""));
    let responder = responders.recv_timeout(PATIENCE).expect("a responder");
    server.handle.shutdown(PATIENCE);
    while TcpStream::connect(server.address()).is_ok() {
        thread::yield_now();
    }
    assert_eq!(responder.respond(Acceptance::new()), Ok(()));
    assert_eq!(response(&mut peer).0, 503);
    peer.expect_end();
    drop(peer);
    server.wait();
}

/// Puts off whether WebSockets open.
struct Undecided;

impl WebSocketHandler<Requests> for Undecided {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        _: &UpgradeRequest<'_>,
        requests: &mut Requests,
    ) -> Upgrade {
        requests.push(conn.request_id());
        Later::within(PATIENCE).into()
    }

    fn on_message(&mut self, _: &mut Connection<'_>, _: Message<'_>, _: &mut Requests) {}
}

#[test]
fn an_answer_that_is_given_after_a_stop_is_sent_at_the_end() {
    let routes = Routes::new().websocket("/socket", ServerConfig::default(), Undecided);
    let (mut event_loop, address) = putting_off(routes);
    let (mut requests, mut peers) = (Requests::new(), Vec::new());
    for asked in [b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n", &request("/socket", "")[..]] {
        peers.push(Peer::open(address));
        peers[requests.len()].write(asked);
        let expected = peers.len();
        drive_until(&mut event_loop, &mut requests, |_, requests| requests.len() == expected);
    }
    event_loop.context().stop();
    let answers = [Answer::from(HttpResponse::text("last")), Acceptance::new().into()];
    for (request, answer) in requests.iter().zip(answers) {
        assert_eq!(event_loop.context().respond(*request, answer), Ok(()));
    }
    event_loop.run(&mut requests).expect("run");
    for (mut peer, expected) in peers.into_iter().zip([(200, "last"), (503, "")]) {
        assert_eq!(response(&mut peer), (expected.0, expected.1.to_owned()));
        peer.expect_end();
    }
}

#[test]
fn a_body_is_handed_over_whole_however_it_comes() {
    let server = Server::start(Config::default(), |event_loop: &mut EventLoop<()>| {
        let routes = Routes::new().get("/body", |_, request: &HttpRequest<'_>, _| {
            HttpResponse::text(String::from_utf8_lossy(request.body()).into_owned())
        });
        let config = ServerConfig::default().max_body(8);
        let listener = event_loop.listen("127.0.0.1:0", config, routes).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    });
    let mut peer = Peer::open(server.address());
    let head = "GET /body HTTP/1.1\r\nHost: a\r\n";
    for (fields, body, text) in [
        ("Content-Length: 5\r\n", "hello", "hello"),
        ("Content-Length: 0\r\n", "", ""),
        ("Content-Length: 8\r\n", "12345678", "12345678"),
        ("Transfer-Encoding: chunked\r\n", "3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nT: u\r\n\r\n", "hello"),
        ("Transfer-Encoding: Chunked\r\n", "0\r\n\r\n", ""),
    ] {
        let request = format!("{head}{fields}\r\n{body}");
        for split in 1..=request.len() {
            peer.write(&request.as_bytes()[..split]);
            peer.write(&request.as_bytes()[split..]);
            assert_eq!(response(&mut peer), (200, text.to_owned()), "{request:?} at {split}");
        }
        // A request directly behind a body.
        peer.write(format!("{request}{request}").as_bytes());
        assert_eq!(response(&mut peer), (200, text.to_owned()));
        assert_eq!(response(&mut peer), (200, text.to_owned()));
    }
    peer.write(format!("{head}Content-Length: 2\r\nExpect: 100-continue\r\n\r\n").as_bytes());
    assert_eq!(peer.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    peer.write(b"ok");
    assert_eq!(response(&mut peer), (200, "ok".to_owned()));
}

#[test]
fn a_body_whose_end_is_in_doubt_or_too_far_is_refused() {
    let server = Server::start(Config::default(), |event_loop: &mut EventLoop<()>| {
        let routes = Routes::new()
            .get("/body", |_, _: &HttpRequest<'_>, _: &mut ()| HttpResponse::new(200))
            .page("/page", HttpResponse::text("page"));
        let config = ServerConfig::default().max_body(8);
        let listener = event_loop.listen("127.0.0.1:0", config, routes).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    });
    for (path, fields, body, status) in [
        ("/body", "Content-Length: 9\r\n", "", 413),
        ("/body", "Content-Length: 18446744073709551616\r\n", "", 400),
        ("/body", "Content-Length: +1\r\n", "", 400),
        ("/body", "Content-Length: 1, 1\r\n", "", 400),
        ("/body", "Content-Length: 1\r\nContent-Length: 1\r\n", "", 400),
        ("/page", "Content-Length: 1\r\nContent-Length: 2\r\n", "", 400),
        ("/body", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "", 400),
        ("/page", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "", 400),
        ("/body", "Transfer-Encoding: gzip, chunked\r\n", "", 501),
        ("/body", "Transfer-Encoding: chunked, identity\r\n", "", 501),
        ("/body", "Transfer-Encoding: chunked\r\n", "4\r\n1234\r\n5\r\n", 0),
        ("/body", "Transfer-Encoding: chunked\r\n", "4\r\n1234\r\n5\r\n12345", 413),
        ("/body", "Transfer-Encoding: chunked\r\n", "0x1\r\n", 400),
        ("/body", "Transfer-Encoding: chunked\r\n", "1\n", 400),
        ("/body", "Transfer-Encoding: chunked\r\n", "1\r\nab", 400),
        ("/body", "Content-Length: 1\r\n folded\r\n", "", 400),
        ("/body", "Content-Length: 1\r\nExpect: something\r\n", "", 417),
    ] {
        let mut peer = Peer::open(server.address());
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}");
        peer.write(request.as_bytes());
        if status > 0 {
            assert_eq!(response(&mut peer).0, status, "{request:?}");
            peer.expect_end();
        }
    }
    // A version without chunks.
    let mut peer = Peer::open(server.address());
    peer.write(b"GET /body HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(response(&mut peer).0, 501);
}

#[test]
fn a_client_that_never_sends_the_rest_of_a_body_gets_408() {
    let server = Server::start(Config::default(), |event_loop: &mut EventLoop<()>| {
        let limits = eventwire::Limits::default().body_timeout(Duration::from_millis(20));
        let routes =
            Routes::new().get("/", |_, _: &HttpRequest<'_>, _: &mut ()| HttpResponse::new(200));
        let config = ServerConfig::default().limits(limits);
        let listener = event_loop.listen("127.0.0.1:0", config, routes).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    });
    let mut peer = Peer::open(server.address());
    peer.write(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell");
    assert_eq!(response(&mut peer).0, 408);
    peer.expect_end();
}
