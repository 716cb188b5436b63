//! What pages of other origins may do, over real sockets: every response says so.

use std::time::Duration;

use eventwire::{
    Config, Connection, Cors, Error, EventLoop, EventStream, HttpResponse, Later, Refusal, Routes,
    ServerConfig, StreamedResponse,
};

use crate::util::{PATIENCE, Peer, Server, request};

const ORIGIN: &str = "Origin: https://app.example\r\n";
const ALLOWED: &str = "\r\nAccess-Control-Allow-Origin: https://app.example\r\n";

fn routes() -> Routes<()> {
    let app = Cors::origins(["https://app.example"]).expect("an origin");
    let app = app.allow_headers(["Content-Type"]).expect("a name").expose_headers(["ETag"]);
    Routes::new()
        .get("/api/now", |_, _, _| HttpResponse::text("now"))
        .put("/api/now", |_, _, _| HttpResponse::new(422))
        .get("/api/own", |_, _, _| {
            let own = HttpResponse::new(200).header("access-control-allow-origin", "https://own");
            own.and_then(|own| own.header("Vary", "Accept")).expect("headers")
        })
        .options("/api/options", |_, _, _| HttpResponse::text("own"))
        .post("/api/body", |_, _, _| HttpResponse::new(204))
        .get("/api/later", |conn: &mut Connection<'_>, _, _| {
            let responder = conn.responder();
            std::thread::spawn(move || responder.respond(HttpResponse::text("later")));
            Later::within(PATIENCE)
        })
        .get("/api/never", |_, _, _| Later::within(Duration::from_millis(1)))
        .get("/api/refused", |_, _, _| Refusal::new(403))
        .get("/api/stream", |_, _, _| StreamedResponse::new(HttpResponse::text("first")))
        .events("/api/events", EventStream::new())
        .websocket_fn("/api/echo", ServerConfig::default(), |conn, message, _| {
            conn.send(message);
        })
        .page("/page", HttpResponse::html("page"))
        .cors("/api/*", app.expect("a name"))
        .cors("/api/open", Cors::any())
        .page("/api/open", HttpResponse::text("open"))
}

fn serve() -> Server {
    Server::start(Config::default(), |event_loop: &mut EventLoop<()>| {
        let config = ServerConfig::default().max_body(5);
        let listener = event_loop.listen("127.0.0.1:0", config, routes()).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    })
}

/// The head of the response to one request.
fn head(server: &Server, method: &str, target: &str, headers: &str) -> String {
    let mut peer = Peer::open(server.address());
    peer.write(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n").as_bytes());
    peer.head()
}

#[test]
fn every_response_of_the_path_can_be_read_by_an_allowed_page() {
    let server = serve();
    for (method, target, headers, status) in [
        ("GET", "/api/now", "", 200),
        ("HEAD", "/api/now", "", 200),
        ("PUT", "/api/now", "", 422),
        ("DELETE", "/api/now", "", 405),
        ("OPTIONS", "/api/now", "", 204),
        ("OPTIONS", "/api/options", "", 200),
        ("GET", "/api/none", "", 404),
        ("POST", "/api/body", "Content-Length: 5\r\n\r\n12345", 204),
        ("POST", "/api/body", "Content-Length: 6\r\n", 413),
        ("POST", "/api/body", "Transfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n", 413),
        ("POST", "/api/body", "Expect: more\r\n", 417),
        ("GET", "/api/later", "", 200),
        ("GET", "/api/never", "", 504),
        ("GET", "/api/refused", "", 403),
        ("GET", "/api/stream", "", 200),
        ("GET", "/api/events", "", 200),
        ("GET", "/api/echo", "", 426),
    ] {
        let received = head(&server, method, target, &format!("{ORIGIN}{headers}"));
        let line = format!("HTTP/1.1 {status} ");
        assert!(received.starts_with(&line), "{method} {target}: {received}");
        assert_eq!(received.matches(ALLOWED).count(), 1, "{method} {target}: {received}");
        assert_eq!(received.matches("\r\nVary: Origin\r\n").count(), 1, "{received}");
        let exposed = "\r\nAccess-Control-Expose-Headers: ETag\r\n";
        assert_eq!(received.matches(exposed).count(), 1, "{method} {target}: {received}");
    }
}

#[test]
fn other_pages_and_paths_get_nothing() {
    let server = serve();
    let foreign = "Origin: https://evil.example\r\n";
    for (target, headers, varies) in [
        ("/api/now", foreign, true),
        ("/api/now", "", true),
        ("/page", ORIGIN, false),
        ("/api", ORIGIN, false),
    ] {
        let received = head(&server, "GET", target, headers);
        assert!(!received.contains("Access-Control"), "{target}: {received}");
        assert_eq!(received.contains("\r\nVary: Origin\r\n"), varies, "{target}: {received}");
    }
    let open = head(&server, "GET", "/api/open", foreign);
    assert!(open.contains("\r\nAccess-Control-Allow-Origin: *\r\n"), "{open}");
    assert!(!open.contains("Vary"), "{open}");
}

#[test]
fn requests_on_one_connection_have_headers_of_their_own() {
    let server = serve();
    let mut peer = Peer::open(server.address());
    for (target, headers, is_allowed) in
        [("/api/now", ORIGIN, true), ("/api/now", "", false), ("/page", ORIGIN, false)]
    {
        peer.write(format!("HEAD {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n").as_bytes());
        let received = peer.head();
        assert_eq!(received.contains(ALLOWED), is_allowed, "{target}: {received}");
    }
}

#[test]
fn the_headers_of_the_application_take_precedence() {
    let received = head(&serve(), "GET", "/api/own", ORIGIN);
    assert!(received.contains("\r\naccess-control-allow-origin: https://own\r\n"), "{received}");
    assert!(!received.contains(ALLOWED), "{received}");
    assert!(received.contains("\r\nVary: Accept\r\nVary: Origin\r\n"), "{received}");
}

#[test]
fn a_preflight_learns_what_the_path_has() {
    let server = serve();
    let asking = "Access-Control-Request-Method: PUT\r\n";
    for (target, methods) in
        [("/api/now", "GET, HEAD, PUT"), ("/api/options", "OPTIONS"), ("/api/echo", "GET")]
    {
        let received = head(&server, "OPTIONS", target, &format!("{ORIGIN}{asking}"));
        assert!(received.starts_with("HTTP/1.1 204 "), "{target}: {received}");
        assert_eq!(received.matches(ALLOWED).count(), 1, "{received}");
        let methods = format!("\r\nAccess-Control-Allow-Methods: {methods}\r\n");
        assert!(received.contains(&methods), "{target}: {received}");
        assert!(received.contains("\r\nAccess-Control-Allow-Headers: Content-Type\r\n"));
        assert!(received.contains("\r\nVary: Origin\r\n"), "{received}");
        assert!(!received.contains("Expose"), "{received}");
    }
    let received = head(&server, "OPTIONS", "/api/none", &format!("{ORIGIN}{asking}"));
    assert!(received.starts_with("HTTP/1.1 404 "), "{received}");
    let foreign = format!("Origin: https://evil.example\r\n{asking}");
    let received = head(&server, "OPTIONS", "/api/now", &foreign);
    assert!(received.starts_with("HTTP/1.1 204 "), "{received}");
    assert!(!received.contains("Access-Control"), "{received}");
}

#[test]
fn a_web_socket_is_not_concerned() {
    let server = serve();
    let mut peer = Peer::open(server.address());
    peer.write(&request("/api/echo", ORIGIN));
    // It has a policy of its own.
    let received = peer.head();
    assert!(received.starts_with("HTTP/1.1 403 "), "{received}");
}

#[test]
fn the_patterns_of_paths_are_checked() {
    let mut event_loop = EventLoop::<()>::new(Config::default()).expect("make a loop");
    let twice = Routes::new().cors("/{a}", Cors::any()).cors("/{b}", Cors::any());
    let nowhere = Routes::new().cors("api", Cors::any());
    for (routes, text) in
        [(twice, "two routes for Cors \"/{b}\""), (nowhere, "no request has the path \"api\"")]
    {
        let refused = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
        match refused {
            Err(error @ Error::InvalidRoute(_)) => assert_eq!(error.to_string(), text),
            other => panic!("{other:?}"),
        }
    }
}
