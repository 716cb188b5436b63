//! Wrong use of requests and streamed responses, by applications and by clients.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use eventwire::proto::handshake::{Acceptance, UpgradeRequest};
use eventwire::{
    Answer, CloseCode, Config, Connection, Disconnect, EventLoop, EventStream, HttpHandler,
    HttpRequest, HttpResponse, Later, Limits, Message, RequestId, RespondError, Routes,
    ServerConfig, StreamedResponse, Upgrade, WebSocketHandler,
};

use crate::util::{PATIENCE, Peer, Server, drive_until};

/// Answers with what a closure returns, and reports what is called.
struct Reporting<F>(Sender<&'static str>, F);

impl<F: FnMut(&mut Connection<'_>, &HttpRequest<'_>) -> Answer> HttpHandler<()> for Reporting<F> {
    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        (): &mut (),
    ) -> Answer {
        self.0.send("request").unwrap_or_default();
        (self.1)(conn, request)
    }

    fn on_open(&mut self, _: &mut Connection<'_>, (): &mut ()) {
        self.0.send("open").unwrap_or_default();
    }

    fn on_close(&mut self, _: &mut Connection<'_>, _: &Disconnect, (): &mut ()) {
        self.0.send("close").unwrap_or_default();
    }
}

fn serve<F>(config: ServerConfig, answer: F) -> (Server, Receiver<&'static str>)
where
    F: FnMut(&mut Connection<'_>, &HttpRequest<'_>) -> Answer + Send + 'static,
{
    let (report, calls) = channel();
    let server = Server::start(Config::default(), move |event_loop: &mut EventLoop<()>| {
        let handler = || {
            Reporting(report.clone(), |_: &mut Connection<'_>, _: &HttpRequest<'_>| {
                HttpResponse::text("post").into()
            })
        };
        let routes = Routes::new().route("POST", "/*", handler());
        let routes = routes.get_handler("/*", Reporting(report.clone(), answer));
        let listener = event_loop.listen("127.0.0.1:0", config, routes).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    });
    (server, calls)
}

fn ask(server: &Server, path: &str) -> Peer {
    let mut peer = Peer::open(server.address());
    peer.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    peer
}

/// What is called until a server ends.
fn all(server: Server, calls: &Receiver<&'static str>) -> Vec<&'static str> {
    drop(server);
    calls.iter().collect()
}

#[test]
fn a_handler_that_closes_its_connection_answers_nothing() {
    let (server, calls) = serve(ServerConfig::default(), |conn, request| {
        assert!(conn.close(CloseCode::NORMAL, ""));
        match request.path() {
            "/pieces" => StreamedResponse::new(HttpResponse::text("first")).into(),
            "/events" => EventStream::of("news").into(),
            "/later" => Later::default().into(),
            _ => HttpResponse::text("at once").into(),
        }
    });
    for path in ["/pieces", "/events", "/later", "/"] {
        ask(&server, path).expect_end();
    }
    assert_eq!(all(server, &calls), ["request"; 4], "nothing has opened");
}

#[test]
fn an_acceptance_is_refused_in_a_handler_whose_request_asks_for_no_websocket() {
    let (server, _calls) = serve(ServerConfig::default(), |conn, _| {
        let request = conn.request_id();
        assert_eq!(conn.respond(request, Acceptance::new()), Err(RespondError::NoUpgrade));
        HttpResponse::text("none").into()
    });
    let mut peer = ask(&server, "/");
    assert!(peer.head().starts_with("HTTP/1.1 200 "));
    assert_eq!(peer.bytes(4), b"none");
}

/// Tries to answer requests for a WebSocket with streams, and then accepts them.
struct Streaming;

impl WebSocketHandler<()> for Streaming {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        _: &UpgradeRequest<'_>,
        (): &mut (),
    ) -> Upgrade {
        let request = conn.request_id();
        let pieces = StreamedResponse::new(HttpResponse::new(200));
        assert_eq!(conn.respond(request, pieces), Err(RespondError::NoStream));
        assert_eq!(conn.respond(request, EventStream::of("news")), Err(RespondError::NoStream));
        Upgrade::accept()
    }

    fn on_message(&mut self, _: &mut Connection<'_>, _: Message<'_>, (): &mut ()) {}
}

#[test]
fn a_stream_is_refused_in_a_handler_whose_request_asks_for_a_websocket() {
    let server = Server::with(Streaming);
    let (_, head) = Peer::ask(server.address(), "");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

#[test]
fn more_time_does_not_replace_the_answer_that_a_handler_returns() {
    let (server, _calls) = serve(ServerConfig::default(), |conn, _| {
        let request = conn.request_id();
        assert_eq!(conn.respond(request, Later::within(PATIENCE)), Ok(()));
        HttpResponse::text("returned").into()
    });
    let mut peer = ask(&server, "/");
    assert!(peer.head().starts_with("HTTP/1.1 200 "));
    assert_eq!(peer.bytes(8), b"returned");
}

#[test]
fn an_answer_that_is_given_before_the_loop_stops_is_sent() {
    let mut event_loop = EventLoop::new(Config::default()).expect("make a loop");
    let routes = Routes::new().get("/", |conn, _, requests: &mut Vec<RequestId>| {
        requests.push(conn.request_id());
        Later::default()
    });
    event_loop.on(|cx, (): &(), requests: &mut Vec<RequestId>| {
        assert_eq!(cx.respond(requests[0], HttpResponse::text("last")), Ok(()));
        cx.stop();
    });
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    let (mut peer, mut requests) = (Peer::open(address), Vec::new());
    peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    drive_until(&mut event_loop, &mut requests, |_, requests| !requests.is_empty());
    event_loop.publisher().publish(()).expect("room");
    event_loop.run(&mut requests).expect("run");
    assert!(peer.head().starts_with("HTTP/1.1 200 "));
    assert_eq!(peer.bytes(4), b"last");
    peer.expect_end();
}

#[test]
fn a_shutdown_ends_open_streams_within_its_time() {
    let (server, calls) = serve(ServerConfig::default(), |_, request| match request.path() {
        "/events" => EventStream::of("news").into(),
        _ => StreamedResponse::new(HttpResponse::text("half")).into(),
    });
    let mut pieces = ask(&server, "/pieces");
    let mut events = ask(&server, "/events");
    assert!(pieces.head().contains("chunked"));
    assert!(events.head().contains("text/event-stream"));
    server.handle.shutdown(PATIENCE);
    assert_eq!(pieces.rest(), "4\r\nhalf\r\n", "the body is seen to be incomplete");
    assert_eq!(events.rest(), "");
    drop((pieces, events));
    server.wait();
    let mut calls: Vec<_> = calls.iter().collect();
    calls.sort_unstable();
    assert_eq!(calls, ["close", "close", "open", "open", "request", "request"]);
}

#[test]
fn a_body_that_ends_too_soon_is_handed_to_nobody() {
    let (server, calls) = serve(ServerConfig::default(), |_, _| HttpResponse::new(200).into());
    for body in ["Content-Length: 5\r\n\r\nhell", "Transfer-Encoding: chunked\r\n\r\n5\r\nhell"] {
        let mut peer = Peer::open(server.address());
        peer.write(format!("POST / HTTP/1.1\r\nHost: a\r\n{body}").as_bytes());
        peer.finish();
        peer.expect_end();
    }
    assert!(all(server, &calls).is_empty());
}

#[test]
fn what_follows_a_body_is_the_next_request() {
    let (server, calls) = serve(ServerConfig::default(), |_, _| HttpResponse::new(200).into());
    let mut peer = Peer::open(server.address());
    peer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody and more\r\n\r\n");
    assert!(peer.head().starts_with("HTTP/1.1 200 "));
    assert_eq!(peer.bytes(4), b"post");
    assert!(peer.head().starts_with("HTTP/1.1 400 "));
    assert_eq!(all(server, &calls), ["request"]);
}

#[test]
fn lines_of_a_body_that_never_end_are_refused() {
    let (server, calls) = serve(ServerConfig::default(), |_, _| HttpResponse::new(200).into());
    for start in ["1;extension=", "1\r\nx\r\n0\r\nTrailer: "] {
        let mut peer = Peer::open(server.address());
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        peer.write(format!("{head}{start}").as_bytes());
        while peer.try_write(&[b'x'; 10_000]) {}
    }
    assert!(all(server, &calls).is_empty());
}

#[test]
fn limits_of_zero_allow_nothing_and_hang_nothing() {
    let limits = Limits::default().body_timeout(Duration::ZERO);
    let config = ServerConfig::default().limits(limits).max_body(0);
    let (server, _calls) = serve(config, |_, request| match request.path() {
        "/later" => Later::within(Duration::ZERO).into(),
        "/pieces" => StreamedResponse::new(HttpResponse::text("")).silence(Duration::ZERO).into(),
        _ => HttpResponse::text("at once").into(),
    });
    let mut peer = ask(&server, "/later");
    assert!(peer.head().starts_with("HTTP/1.1 504 "));
    let mut peer = ask(&server, "/pieces");
    assert!(peer.head().contains("chunked"));
    assert_eq!(peer.rest(), "");
    for (length, status) in [("0", "200"), ("1", "413")] {
        let mut peer = Peer::open(server.address());
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        peer.write(head.as_bytes());
        assert_eq!(&peer.head()[9..12], status);
    }
}
