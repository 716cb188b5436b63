//! Routes: how a listener answers requests, with WebSocket endpoints and without them.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use eventwire::proto::http::{HttpRequest, HttpResponse};
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::SimConfig;
use eventwire::{
    Answer, CloseCode, Config, Connection, Error, EventLoop, Later, Message, Routes, ServerConfig,
    on_message,
};

use crate::util::{Peer, Server, request};

/// Longer than all that is sent without being shared.
const LONG: usize = 3_000_000;

fn echo(conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
    conn.send(message);
}

fn shout(conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
    conn.send(message.as_text().unwrap_or_default().to_uppercase().as_str());
}

fn mirror(conn: &mut Connection<'_>, request: &HttpRequest<'_>, _: &mut ()) -> HttpResponse {
    assert!(!conn.is_open());
    let (path, query) = (request.path(), request.query().unwrap_or("none"));
    let peer = conn.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default();
    let agent = request.header("User-Agent").unwrap_or("nobody");
    HttpResponse::text(format!("{} {path} {query} {peer} {agent}", request.method()))
}

/// A long answer of which no two are the same storage.
fn fresh(_: &mut Connection<'_>, _: &HttpRequest<'_>, _: &mut ()) -> HttpResponse {
    HttpResponse::html(vec![b'x'; LONG])
}

fn broken(_: &mut Connection<'_>, _: &HttpRequest<'_>, _: &mut ()) -> HttpResponse {
    panic!("a mistake");
}

fn routes() -> Routes<()> {
    Routes::new()
        .page("/", HttpResponse::html("<!doctype html><title>Home</title>"))
        .page("/long", HttpResponse::html(vec![b'x'; LONG]))
        .get("/fresh", fresh)
        .get("/mirror", mirror)
        .get("/under/*", mirror)
        .metrics("/metrics")
        .websocket("/echo", ServerConfig::default().max_message(10), on_message(echo))
        .websocket("/shout/*", ServerConfig::default(), on_message(shout))
}

fn serve(config: Config, server: ServerConfig) -> Server {
    Server::start(config, move |event_loop| {
        let listener = event_loop.listen("127.0.0.1:0", server, routes()).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    })
}

/// A client that asks for one thing after the other.
struct Browser(Peer);

impl Browser {
    fn new(address: SocketAddr) -> Self {
        Self(Peer::open(address))
    }

    fn ask(&mut self, method: &str, target: &str, headers: &str) -> (String, String) {
        self.0.write(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n").as_bytes());
        let head = self.0.head();
        let length =
            header(&head, "Content-Length").map_or(0, |length| length.parse().expect("a number"));
        let body = if method == "HEAD" { Vec::new() } else { self.0.bytes(length) };
        (head, String::from_utf8(body).expect("text"))
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn pages_and_handlers_answer_one_request_after_the_other_on_one_connection() {
    let server = serve(Config::default(), ServerConfig::default());
    let mut browser = Browser::new(server.address());
    for _ in 0..3 {
        let (head, body) = browser.ask("GET", "/", "");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert_eq!(header(&head, "Content-Type"), Some("text/html; charset=utf-8"));
        assert_eq!(body, "<!doctype html><title>Home</title>");
        let (head, body) = browser.ask("GET", "/mirror?a=b?", "User-Agent: test\r\n");
        assert_eq!(header(&head, "Connection"), None);
        assert_eq!(body, "GET /mirror a=b? 127.0.0.1 test");
        let (_, body) = browser.ask("GET", "/under/a/b", "");
        assert_eq!(body, "GET /under/a/b none 127.0.0.1 nobody");
    }
    // And then opens a WebSocket on it.
    browser.0.write(&request("/echo", ""));
    assert!(browser.0.head().starts_with("HTTP/1.1 101 "));
    browser.0.send("hello");
    browser.0.expect("hello");
    assert_eq!(server.handle.stats().requests, 9);
}

#[test]
fn a_head_request_gets_the_headers_of_the_body_alone() {
    let server = serve(Config::default(), ServerConfig::default());
    let mut browser = Browser::new(server.address());
    let (head, _) = browser.ask("HEAD", "/long", "");
    assert_eq!(header(&head, "Content-Length"), Some(LONG.to_string().as_str()));
    let (_, body) = browser.ask("HEAD", "/mirror", "");
    assert_eq!(body, "");
    // Nothing of a body was in between.
    assert_eq!(browser.ask("GET", "/mirror", "").1, "GET /mirror none 127.0.0.1 nobody");
}

#[test]
fn a_head_request_is_refused_without_a_body() {
    let server = serve(Config::default(), ServerConfig::default());
    for (request, status) in [
        ("HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("HEAD / HTTP/1.1\r\n\r\n", 400),
        ("HEAD /echo HTTP/1.0\r\n\r\n", 505),
        ("HEAD / HTTP/2.0\r\n\r\n", 505),
        ("HEAD / HTTP/1.1\r\nHost: a\0", 400),
    ] {
        let mut peer = Peer::open(server.address());
        peer.write(request.as_bytes());
        let answer = peer.rest();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[test]
fn a_missing_page_is_404_and_an_unknown_method_405() {
    let server = serve(Config::default(), ServerConfig::default());
    let mut browser = Browser::new(server.address());
    for target in ["/nothing", "/under", "/echo/more", "/metrics/"] {
        let (head, _) = browser.ask("GET", target, "");
        assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{target}: {head}");
    }
    for method in ["PUT", "DELETE", "get"] {
        let (head, _) = browser.ask(method, "/", "");
        assert!(head.starts_with("HTTP/1.1 405 "), "{method}: {head}");
        assert_eq!(header(&head, "Allow"), Some("GET, HEAD"));
    }
    // The body is not read.
    let (head, _) = browser.ask("POST", "/", "Content-Length: 5\r\n");
    assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
    assert_eq!(header(&head, "Connection"), Some("close"));
    browser.0.write(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(browser.0.rest(), "");
}

#[test]
fn options_are_the_methods_that_a_route_knows() {
    let server = serve(Config::default(), ServerConfig::default());
    let mut browser = Browser::new(server.address());
    for (target, allow) in [
        ("/", "GET, HEAD"),
        ("/mirror?a", "GET, HEAD"),
        ("/under/a", "GET, HEAD"),
        ("/metrics", "GET, HEAD"),
        ("/echo", "GET"),
        ("*", "GET, HEAD"),
        ("http://b/", "GET, HEAD"),
    ] {
        let (head, _) = browser.ask("OPTIONS", target, "");
        assert!(head.starts_with("HTTP/1.1 204 No Content\r\n"), "{target}: {head}");
        assert_eq!(header(&head, "Allow"), Some(allow), "{target}");
        assert_eq!(header(&head, "Connection"), None);
    }
    let (head, _) = browser.ask("OPTIONS", "/nothing", "");
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    for request in [
        "OPTIONS * HTTP/1.1\r\n\r\n",
        "OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS a HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut peer = Peer::open(server.address());
        peer.write(request.as_bytes());
        assert!(peer.rest().starts_with("HTTP/1.1 400 "), "{request}");
    }
}

#[test]
fn http_1_0_is_answered_and_the_connection_ends() {
    let server = serve(Config::default(), ServerConfig::default());
    for (request, status) in [
        ("GET / HTTP/1.0\r\n\r\n", "200 OK"),
        ("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "200 OK"),
        ("HEAD /metrics HTTP/1.0\r\n\r\n", "200 OK"),
        ("OPTIONS / HTTP/1.0\r\n\r\n", "204 No Content"),
        ("OPTIONS /echo HTTP/1.0\r\n\r\n", "204 No Content"),
        ("OPTIONS * HTTP/1.0\r\n\r\n", "204 No Content"),
        ("GET /none HTTP/1.0\r\n\r\n", "404 Not Found"),
        ("PUT / HTTP/1.0\r\n\r\n", "405 Method Not Allowed"),
        ("GET http://a/ HTTP/1.0\r\n\r\n", "200 OK"),
    ] {
        let mut peer = Peer::open(server.address());
        peer.write(request.as_bytes());
        let answer = peer.rest();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {answer}");
        assert_eq!(header(&answer, "Connection"), Some("close"), "{request}");
    }
    // But it opens no WebSocket.
    let mut peer = Peer::open(server.address());
    let request = String::from_utf8(request("/echo", "")).unwrap();
    peer.write(request.replace("HTTP/1.1", "HTTP/1.0").as_bytes());
    assert!(peer.rest().starts_with("HTTP/1.1 505 "));
}

#[test]
fn a_target_in_absolute_form_is_the_path_in_it() {
    let server = serve(Config::default(), ServerConfig::default());
    let mut browser = Browser::new(server.address());
    for target in ["http://b/mirror?c", "https://b:81/mirror?c", "HTTP://[::1]/mirror?c"] {
        let (_, body) = browser.ask("GET", target, "");
        assert_eq!(body, "GET /mirror c 127.0.0.1 nobody", "{target}");
    }
    let (head, _) = browser.ask("GET", "http://b", "");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    for (scheme, page, status) in [
        ("ws", "b", "101"),
        ("wss", "b", "101"),
        ("http", "b", "101"),
        ("https", "b", "101"),
        ("ws", "localhost", "403"),
    ] {
        let mut peer = Peer::open(server.address());
        let target = format!("{scheme}://b/echo");
        peer.write(&request(&target, &format!("Origin: http://{page}\r\n")));
        let head = peer.head();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {head}");
    }
}

#[test]
fn endpoints_have_a_handler_and_limits_each() {
    let server = serve(Config::default(), ServerConfig::default());
    for (target, answer) in [("/echo", "hello"), ("/shout/", "HELLO"), ("/shout/a?b", "HELLO")] {
        let mut peer = Peer::open(server.address());
        peer.write(&request(target, ""));
        assert!(peer.head().starts_with("HTTP/1.1 101 "), "{target}");
        peer.send("hello");
        peer.expect(answer);
        peer.send("more than ten bytes");
        match target {
            "/echo" => drop(peer.expect_close(CloseCode::TOO_BIG)),
            _ => peer.expect("MORE THAN TEN BYTES"),
        }
    }
    // A plain request for an endpoint learns what is there.
    let (head, _) = Browser::new(server.address()).ask("GET", "/echo", "");
    assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
}

#[test]
fn requests_that_come_together_are_answered_in_their_order() {
    let server = serve(Config::default(), ServerConfig::default());
    let mut peer = Peer::open(server.address());
    let one = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let together: String = (0..500).map(|n| one(&format!("/mirror?{n}"))).collect();
    peer.write(together.as_bytes());
    for n in 0..500 {
        let head = peer.head();
        let length = header(&head, "Content-Length").unwrap().parse().unwrap();
        let body = String::from_utf8(peer.bytes(length)).unwrap();
        assert_eq!(body, format!("GET /mirror {n} 127.0.0.1 nobody"));
    }
}

#[test]
fn a_client_that_does_not_read_gets_no_more_answers() {
    let config = Config::default();
    let server = serve(config, ServerConfig::default());
    let mut peer = Peer::open(server.address());
    let mut writer = peer.stream();
    let asking = std::thread::spawn(move || {
        use std::io::Write;
        for _ in 0..200 {
            writer.write_all(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n").expect("write");
        }
    });
    // Two hundred times three megabytes, of which little more than one may wait at a time.
    for _ in 0..200 {
        let head = peer.head();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(peer.bytes(LONG).len(), LONG);
        let waiting = server.handle.stats().outbound_bytes;
        assert!(waiting <= 2 * LONG as u64, "{waiting} bytes wait");
    }
    asking.join().expect("everything was asked");
}

/// What comes, after a page, to a client that then sends `more` and waits for ten minutes, and
/// how many connections are left and were not opened. In virtual time.
fn answer_to_silence(more: &[u8]) -> (String, usize, u64) {
    let reactor = SimReactor::new(1, SimConfig::calm());
    let mut event_loop = EventLoop::with_reactor(reactor, Config::default()).expect("a loop");
    let listener = event_loop.listen("127.0.0.1:9001", ServerConfig::default(), routes());
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    let peer = event_loop.reactor_mut().peer_connect(address);
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    event_loop.reactor_mut().peer_send(peer, &[&request[..], more].concat());
    while event_loop.reactor_mut().elapsed() < Duration::from_secs(600) {
        event_loop.turn(Some(Duration::from_secs(1)), &mut ()).expect("a turn");
    }
    let answer = event_loop.reactor_mut().peer_received(peer);
    let answer = String::from_utf8(answer).expect("text");
    let (_, rest) = answer.split_once("</title>").expect("the page");
    (rest.to_owned(), event_loop.connections(), event_loop.stats().not_opened)
}

#[test]
fn an_idle_client_is_disconnected_without_an_answer() {
    assert_eq!(answer_to_silence(b""), (String::new(), 0, 0));
    // A request that has begun is answered.
    let (answer, connections, not_opened) = answer_to_silence(b"GET / HT");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!((connections, not_opened), (0, 0));
}

#[test]
fn the_connection_ends_with_the_answer_if_the_client_wants_that() {
    let server = serve(Config::default(), ServerConfig::default());
    let mut peer = Peer::open(server.address());
    peer.write(b"GET /long HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let answer = peer.rest();
    assert!(answer.contains("\r\nConnection: close\r\n"));
    assert!(answer.ends_with(&"x".repeat(LONG)));
}

#[test]
fn a_half_closed_client_gets_its_answer() {
    let reactor = SimReactor::new(1, SimConfig::calm().window(1_000));
    let mut event_loop = EventLoop::with_reactor(reactor, Config::default()).expect("a loop");
    let routes = Routes::new().page("/", HttpResponse::html(vec![b'x'; 50_000]));
    let listener = event_loop.listen("127.0.0.1:9001", ServerConfig::default(), routes);
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    let sim = event_loop.reactor_mut();
    let peer = sim.peer_connect(address);
    sim.peer_send(peer, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    sim.peer_close(peer);
    while !event_loop.reactor_mut().peer_is_closed(peer) {
        event_loop.turn(None, &mut ()).expect("a turn");
    }
    let answer = event_loop.reactor_mut().peer_received(peer);
    assert!(answer.ends_with(&[b'x'; 50_000]), "{} bytes", answer.len());
    assert_eq!(event_loop.connections(), 0);
}

#[test]
fn no_frame_interrupts_an_answer() {
    let reactor = SimReactor::new(1, SimConfig::calm());
    let config = Config::default().outbox(LONG + 4096, 2 * LONG).max_outbound(LONG + 4096);
    let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
    let listener = event_loop.listen("127.0.0.1:9001", ServerConfig::default(), routes());
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    let long = b"GET /fresh HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut arrive = |requests: &[u8]| {
        let peer = event_loop.reactor_mut().peer_connect(address);
        event_loop.reactor_mut().peer_stop_reading(peer);
        event_loop.reactor_mut().peer_send(peer, requests);
        for _ in 0..10 {
            event_loop.turn(Some(Duration::from_millis(1)), &mut ()).expect("a turn");
        }
        peer
    };
    // It opens behind the page, and then has to go for another that waits as long.
    let first = arrive(&[&long[..], &request("/echo", "")].concat());
    arrive(long);
    let stats = event_loop.stats();
    assert_eq!((stats.opened, stats.closed_by_memory_pressure), (1, 1));
    assert!(stats.outbound_bytes <= (LONG + 4096) as u64, "{} bytes", stats.outbound_bytes);
    event_loop.reactor_mut().peer_resume(first);
    while !event_loop.reactor_mut().peer_is_closed(first) {
        event_loop.turn(Some(Duration::from_millis(1)), &mut ()).expect("a turn");
    }
    let answer = event_loop.reactor_mut().peer_received(first);
    assert!(answer.ends_with(b"x"), "{}", answer[answer.len() - 9..].escape_ascii());
}

#[test]
fn no_pong_overtakes_the_answer_that_opens_the_connection() {
    // With its head it fills the window just so often: the pong might go behind it.
    const PAGE: usize = 50_000 - 82;
    let reactor = SimReactor::new(1, SimConfig::calm().window(1_000));
    let mut event_loop = EventLoop::with_reactor(reactor, Config::default()).expect("a loop");
    let routes = Routes::new().page("/", HttpResponse::html(vec![b'x'; PAGE])).websocket(
        "/echo",
        ServerConfig::default(),
        on_message(echo),
    );
    let listener = event_loop.listen("127.0.0.1:9001", ServerConfig::default(), routes);
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    let peer = event_loop.reactor_mut().peer_connect(address);
    event_loop.reactor_mut().peer_stop_reading(peer);
    let requests = [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &request("/echo", "")].concat();
    event_loop.reactor_mut().peer_send(peer, &requests);
    while event_loop.stats().opened == 0 {
        event_loop.turn(None, &mut ()).expect("a turn");
    }
    event_loop.reactor_mut().peer_send(peer, b"\x89\x80\0\0\0\0");
    for _ in 0..10 {
        event_loop.turn(Some(Duration::from_millis(1)), &mut ()).expect("a turn");
    }
    event_loop.reactor_mut().peer_resume(peer);
    for _ in 0..200 {
        event_loop.turn(Some(Duration::from_millis(1)), &mut ()).expect("a turn");
    }
    let answer = event_loop.reactor_mut().peer_received(peer);
    assert!(answer.ends_with(b"\r\n\r\n\x8A\x00"), "a pong lies elsewhere");
    assert_eq!(answer.windows(PAGE).filter(|bytes| bytes.iter().all(|b| *b == b'x')).count(), 1);
}

/// Lets one more peer ask for a page that it never reads, until `count` have asked.
fn ask_without_reading(
    event_loop: &mut EventLoop<(), SimReactor>,
    address: SocketAddr,
    count: u64,
) {
    let peer = event_loop.reactor_mut().peer_connect(address);
    event_loop.reactor_mut().peer_stop_reading(peer);
    event_loop.reactor_mut().peer_send(peer, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    while event_loop.stats().requests < count {
        event_loop.turn(None, &mut ()).expect("a turn");
    }
}

/// Has many clients ask for a page of 50,000 bytes and not read it.
fn ask_for_pages<A: Into<Answer> + 'static>(
    mut answer: impl FnMut(&mut Connection<'_>, HttpResponse) -> A + 'static,
) {
    const PAGE: usize = 50_000;
    let reactor = SimReactor::new(1, SimConfig::calm().window(1_000));
    let config = Config::default().max_outbound(4 * PAGE);
    let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
    let page = move |conn: &mut Connection<'_>, _: &HttpRequest<'_>, _: &mut ()| {
        answer(conn, HttpResponse::html(vec![b'x'; PAGE]))
    };
    let routes = Routes::new().get("/", page);
    let listener = event_loop.listen("127.0.0.1:9001", ServerConfig::default(), routes);
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    for count in 1..=20 {
        ask_without_reading(&mut event_loop, address, count);
        let waiting = event_loop.stats().outbound_bytes;
        assert!(waiting <= 4 * PAGE as u64, "{waiting} bytes wait for {count}");
    }
}

#[test]
fn unread_answers_count_against_max_outbound() {
    ask_for_pages(|_, page| page);
}

#[test]
fn unread_later_answers_count_against_max_outbound() {
    ask_for_pages(|conn, page| {
        conn.responder().respond(page).expect("it is wanted");
        Later::default()
    });
}

#[test]
fn a_page_that_many_wait_for_is_held_once() {
    const PAGE: usize = 50_000;
    let reactor = SimReactor::new(1, SimConfig::calm().window(1_000));
    let config = Config::default().max_outbound(2 * PAGE);
    let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
    let routes = Routes::new().page("/", HttpResponse::html(vec![b'x'; PAGE]));
    let listener = event_loop.listen("127.0.0.1:9001", ServerConfig::default(), routes);
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    for count in 1..=20 {
        ask_without_reading(&mut event_loop, address, count);
    }
    let stats = event_loop.stats();
    assert_eq!((stats.connections, stats.closed_by_memory_pressure), (20, 0));
    assert!(stats.outbound_bytes < 2 * PAGE as u64, "{} bytes", stats.outbound_bytes);
}

#[test]
fn a_shutdown_waits_for_answers_in_progress() {
    let reactor = SimReactor::new(1, SimConfig::calm());
    let mut event_loop = EventLoop::with_reactor(reactor, Config::default()).expect("a loop");
    let listener = event_loop.listen("127.0.0.1:9001", ServerConfig::default(), routes());
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    let sim = event_loop.reactor_mut();
    let (asking, idle) = (sim.peer_connect(address), sim.peer_connect(address));
    sim.peer_send(asking, b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
    sim.peer_send(idle, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    while event_loop.stats().requests < 2 {
        event_loop.turn(None, &mut ()).expect("a turn");
    }
    event_loop.handle().shutdown(Duration::from_secs(60));
    event_loop.run(&mut ()).expect("an end in order");
    let sim = event_loop.reactor_mut();
    let answer = String::from_utf8(sim.peer_received(asking)).expect("text");
    assert!(answer.ends_with(&"x".repeat(LONG)), "{} bytes", answer.len());
    assert!(sim.peer_is_closed(asking) && sim.peer_is_closed(idle));
}

#[test]
fn a_half_closed_client_that_reads_slowly_gets_its_whole_answer() {
    for len in [100, 66_000, 100_000, 128_000, 131_000, 600_000] {
        let reactor = SimReactor::new(1, SimConfig::calm());
        let mut event_loop = EventLoop::with_reactor(reactor, Config::default()).expect("a loop");
        let routes = Routes::new().page("/", HttpResponse::html(vec![b'x'; len]));
        let listener = event_loop.listen("127.0.0.1:9001", ServerConfig::default(), routes);
        let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
        let peer = event_loop.reactor_mut().peer_connect(address);
        let sim = event_loop.reactor_mut();
        sim.peer_stop_reading(peer);
        sim.peer_send(peer, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        sim.peer_close(peer);
        let mut answer = Vec::new();
        // It reads now and then, for longer than the end of a stream may take without progress.
        for _ in 0..12 {
            for _ in 0..1_000 {
                let wait = Duration::from_millis(1);
                event_loop.turn(Some(wait), &mut ()).expect("a turn");
            }
            let sim = event_loop.reactor_mut();
            sim.peer_resume(peer);
            sim.peer_stop_reading(peer);
            answer.extend(sim.peer_received(peer));
        }
        let answer = String::from_utf8(answer).expect("text");
        assert!(answer.ends_with(&"x".repeat(len)), "{} of {len}", answer.len());
        assert_eq!(event_loop.connections(), 0);
    }
}

#[test]
fn what_a_client_sends_behind_its_last_request_has_a_limit() {
    let reactor = SimReactor::new(1, SimConfig::calm());
    let mut event_loop = EventLoop::with_reactor(reactor, Config::default()).expect("a loop");
    let listener = event_loop.listen("127.0.0.1:9001", ServerConfig::default(), routes());
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    let peer = event_loop.reactor_mut().peer_connect(address);
    let mut stream = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec();
    stream.resize(8 << 20, b'x');
    event_loop.reactor_mut().peer_send(peer, &stream);
    for _ in 0..1_000 {
        event_loop.turn(Some(Duration::from_millis(1)), &mut ()).expect("a turn");
    }
    assert_eq!(event_loop.connections(), 0);
    let sim = event_loop.reactor_mut();
    // What came with the request, and what came with what was too much.
    assert!(sim.bytes_received() <= 3 * 64 * 1024, "{}", sim.bytes_received());
    assert!(sim.peer_received(peer).starts_with(b"HTTP/1.1 200 "));
}

#[test]
fn a_panic_in_a_handler_costs_only_its_answer() {
    let mut event_loop = EventLoop::new(Config::default()).unwrap();
    let routes = Routes::new().get("/broken", broken).get("/mirror", mirror);
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes).unwrap();
    let address = event_loop.local_addr(listener).unwrap();
    let handle = event_loop.handle();
    let client = std::thread::spawn(move || {
        let mut browser = Browser::new(address);
        let (head, _) = browser.ask("GET", "/broken", "");
        assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
        assert_eq!(browser.ask("GET", "/mirror", "").1, "GET /mirror none 127.0.0.1 nobody");
        handle.stop();
    });
    event_loop.run(&mut ()).unwrap();
    client.join().unwrap();
    assert_eq!(event_loop.stats().panics, 1);
}

#[test]
fn metrics_are_a_page_of_their_own() {
    let server = serve(Config::default(), ServerConfig::default());
    let mut browser = Browser::new(server.address());
    browser.ask("GET", "/", "");
    let (head, body) = browser.ask("GET", "/metrics", "");
    let expected = Some("text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(header(&head, "Content-Type"), expected);
    assert!(
        body.contains("\neventwire_connections 1\n")
            || body.contains("gauge\neventwire_connections 1\n")
    );
    assert!(body.contains("\neventwire_requests_total 1\n"), "{body}");
}

#[test]
fn invalid_routes_are_refused_when_they_are_made() {
    let mut event_loop = EventLoop::<()>::new(Config::default()).unwrap();
    let mut listen = |routes| event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
    for routes in [Routes::new().metrics("metrics"), routes().metrics("/")] {
        let error = listen(routes).unwrap_err();
        assert!(matches!(error, Error::InvalidRoute(_)), "{error}");
    }
    let unspeakable = ServerConfig::default().subprotocols(["a b"]);
    let error = listen(Routes::new().websocket("/", unspeakable, on_message(echo))).unwrap_err();
    assert!(matches!(error, Error::Header(_)), "{error}");
}

#[test]
fn sockets_opened_outside_the_loop_are_served() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It waits since before there was a loop.
    let mut early = Peer::open(address);
    early.write(&request("/echo", ""));
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(other.local_addr().unwrap()).unwrap();
    let (accepted, _) = other.accept().unwrap();
    let server = Server::start(Config::default(), move |event_loop| {
        let config = ServerConfig::default();
        let listener = event_loop.listen_on(listener, config, routes()).expect("listen");
        event_loop.adopt(listener, accepted).expect("adopt");
        event_loop.local_addr(listener).expect("an address")
    });
    assert_eq!(server.address(), address);
    assert!(early.head().starts_with("HTTP/1.1 101 "));
    early.send("hello");
    early.expect("hello");
    let mut adopted = Browser(Peer::client(client));
    assert_eq!(adopted.ask("GET", "/mirror", "").1, "GET /mirror none 127.0.0.1 nobody");
}
