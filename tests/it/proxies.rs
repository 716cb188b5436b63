//! Trusted proxies: which client address they report, and which peers may report one.

use std::time::Instant;

use eventwire::proto::handshake::UpgradeRequest;
use eventwire::proto::http::{HttpRequest, HttpResponse};
use eventwire::{
    Answer, CloseCode, Config, Connection, EventLoop, EventStream, HttpHandler, Later, RateLimits,
    Routes, ServerConfig, StreamedResponse, TrustedProxies, Upgrade, WebSocketHandler,
};

use crate::util::{PATIENCE, Peer, Server, request};

/// Sends each connection its peer's address.
struct Who;

impl WebSocketHandler<()> for Who {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        _: &UpgradeRequest<'_>,
        _: &mut (),
    ) -> Upgrade {
        if name(conn).starts_with("192.0.2.") { Upgrade::refuse(403) } else { Upgrade::accept() }
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
        conn.send(name(conn));
    }
}

fn name(conn: &Connection<'_>) -> String {
    conn.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default()
}

fn who(conn: &mut Connection<'_>, _: &HttpRequest<'_>, _: &mut ()) -> HttpResponse {
    HttpResponse::text(name(conn))
}

fn behind(proxies: TrustedProxies) -> Server {
    Server::start(Config::default(), move |event_loop| {
        let config = ServerConfig::default().proxies(proxies);
        let routes = Routes::new().get("/who", who).websocket("/", ServerConfig::default(), Who);
        let listener = event_loop.listen("127.0.0.1:0", config, routes).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    })
}

fn here() -> [eventwire::Network; 1] {
    ["127.0.0.0/8".parse().expect("a network")]
}

/// Sends its client's address once the response is open.
struct WhoStreams;

impl HttpHandler<()> for WhoStreams {
    fn on_request(&mut self, _: &mut Connection<'_>, _: &HttpRequest<'_>, (): &mut ()) -> Answer {
        StreamedResponse::new(HttpResponse::new(200)).into()
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, (): &mut ()) {
        conn.send(name(conn));
        conn.close(CloseCode::NORMAL, "");
    }
}

#[test]
fn a_request_that_waits_keeps_its_clients_address_and_the_next_has_its_own() {
    let server = Server::start(Config::default(), |event_loop: &mut EventLoop<()>| {
        let config = ServerConfig::default().proxies(TrustedProxies::x_forwarded_for(here()));
        let routes = Routes::new()
            .get("/later", |conn, _, ()| {
                let (name, responder) = (name(conn), conn.responder());
                std::thread::spawn(move || responder.respond(HttpResponse::text(name)));
                Later::default()
            })
            .get_handler("/stream", WhoStreams);
        let listener = event_loop.listen("127.0.0.1:0", config, routes).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    });
    let mut proxy = Peer::open(server.address());
    for client in ["203.0.113.9", "2001:db8::1", "203.0.113.10"] {
        let head = format!("GET /later HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n");
        proxy.write(head.as_bytes());
        assert!(proxy.head().starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(proxy.bytes(client.len()), client.as_bytes());
    }
    proxy.write(b"GET /stream HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n");
    proxy.head();
    assert_eq!(proxy.rest(), "b\r\n203.0.113.7\r\n0\r\n\r\n");
}

/// Streams with one connection allowed for each address, behind a proxy that names its clients.
fn limited_streams() -> Server {
    let config = Config::default().address_limits(RateLimits::new().connections(1));
    Server::start(config, |event_loop: &mut EventLoop<()>| {
        let config = ServerConfig::default().proxies(TrustedProxies::x_forwarded_for(here()));
        let pieces = || StreamedResponse::new(HttpResponse::new(200));
        let routes = Routes::new()
            .get("/who", who)
            .get("/pieces", move |_, _, ()| pieces())
            .get("/later", move |conn, _, ()| {
                let responder = conn.responder();
                std::thread::spawn(move || responder.respond(pieces()));
                Later::default()
            })
            .get_handler("/ends", WhoStreams)
            .events("/events", EventStream::of("news"))
            .websocket("/", ServerConfig::default(), Who);
        let listener = event_loop.listen("127.0.0.1:0", config, routes).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    })
}

/// What a proxy gets that asks for a path for the client with that address.
fn ask_for(server: &Server, client: &str, path: &str) -> (Peer, String) {
    let mut proxy = Peer::open(server.address());
    let client = format!("X-Forwarded-For: {client}\r\n");
    proxy.write(&match path {
        "/" => request(path, &client),
        _ => format!("GET {path} HTTP/1.1\r\nHost: a\r\n{client}\r\n").into_bytes(),
    });
    let head = proxy.head();
    let status = head.split(' ').nth(1).expect("a status").to_owned();
    (proxy, status)
}

/// The same, once the client's connections before have ended.
fn ask_in_turn(server: &Server, client: &str, path: &str) -> Peer {
    let start = Instant::now();
    loop {
        match ask_for(server, client, path) {
            (peer, status) if status == "200" => return peer,
            (_, status) => assert_eq!(status, "429", "{path}"),
        }
        assert!(start.elapsed() < PATIENCE, "{path}");
    }
}

#[test]
fn a_stream_counts_as_a_connection_of_its_client_to_its_end() {
    let (server, client) = (limited_streams(), "203.0.113.9");
    for path in ["/pieces", "/events", "/later"] {
        let _stream = ask_in_turn(&server, client, path);
        for other in ["/pieces", "/events", "/later", "/"] {
            let (mut refused, status) = ask_for(&server, client, other);
            assert_eq!(status, "429", "{path}, then {other}");
            assert_eq!(refused.rest(), "too many connections");
        }
        // A response that is whole at once is no connection of its client.
        assert_eq!(ask_for(&server, client, "/who").1, "200");
        ask_in_turn(&server, "203.0.113.10", path);
    }
    // Each ends by itself.
    for _ in 0..3 {
        let mut stream = ask_in_turn(&server, client, "/ends");
        assert_eq!(stream.rest(), "b\r\n203.0.113.9\r\n0\r\n\r\n");
    }
    let _stream = ask_in_turn(&server, client, "/events");
    assert_eq!(ask_for(&server, client, "/").1, "429");
}

#[test]
fn each_request_on_a_proxy_connection_may_come_from_another_client() {
    let server = behind(TrustedProxies::x_forwarded_for(here()));
    let mut proxy = Peer::open(server.address());
    for client in ["203.0.113.9", "2001:db8::1", "203.0.113.10"] {
        let head = format!("GET /who HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n");
        proxy.write(head.as_bytes());
        let head = proxy.head();
        assert!(head.contains(&format!("Content-Length: {}\r\n", client.len())), "{head}");
        assert_eq!(proxy.bytes(client.len()), client.as_bytes());
    }
    // Without a client's address, the proxy itself is the peer.
    proxy.write(b"GET /who HTTP/1.1\r\nHost: a\r\n\r\n");
    proxy.head();
    assert_eq!(proxy.bytes(9), b"127.0.0.1");
    proxy.write(&request("/", "X-Forwarded-For: 203.0.113.11\r\n"));
    assert!(proxy.head().starts_with("HTTP/1.1 101 "));
    proxy.expect("203.0.113.11");
}

#[test]
fn a_handler_may_refuse_by_the_clients_address() {
    let server = behind(TrustedProxies::forwarded(here()));
    let (_, head) = Peer::ask(server.address(), "Forwarded: for=192.0.2.7\r\n");
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
}

#[test]
fn headers_of_untrusted_peers_are_ignored() {
    let elsewhere = ["10.0.0.0/8".parse().unwrap()];
    let server = behind(TrustedProxies::x_forwarded_for(elsewhere));
    let (mut peer, head) = Peer::ask(server.address(), "X-Forwarded-For: 192.0.2.7\r\n");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    peer.expect("127.0.0.1");
}

/// The header of version 2 for a client with that address.
fn proxied(ip: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C".to_vec();
    header.extend(ip);
    header.extend([127, 0, 0, 1, 0x30, 0x39, 0, 80]);
    header
}

#[test]
fn the_proxy_protocol_goes_before_the_request_in_any_pieces() {
    let server = behind(TrustedProxies::proxy_protocol(here()));
    let binary = [proxied([203, 0, 113, 9]), request("/", "")].concat();
    let line = b"PROXY TCP4 203.0.113.9 127.0.0.1 12345 80\r\n".to_vec();
    let text = [&line[..], &request("/", "")].concat();
    let cuts = |whole: &Vec<u8>, cuts: &[usize]| -> Vec<(Vec<u8>, usize)> {
        cuts.iter().map(|&cut| (whole.clone(), cut)).collect()
    };
    let binary_cuts = cuts(&binary, &[1, 12, 15, 16, 27, 28, 29, binary.len()]);
    let text_cuts = cuts(&text, &[1, 6, 7, line.len() - 1, line.len(), line.len() + 1, text.len()]);
    for (whole, cut) in binary_cuts.into_iter().chain(text_cuts) {
        let mut proxy = Peer::open(server.address());
        let (first, second) = whole.split_at(cut);
        let before = server.handle.stats().bytes_received;
        proxy.write(first);
        // Until it has come, or the two would come together.
        while server.handle.stats().bytes_received < before + cut as u64 {
            std::thread::yield_now();
        }
        proxy.write(second);
        assert!(proxy.head().starts_with("HTTP/1.1 101 "), "{cut}");
        proxy.expect("203.0.113.9");
    }
}

#[test]
fn extra_proxy_fields_are_skipped_and_without_a_client_the_proxy_is_the_peer() {
    let server = behind(TrustedProxies::proxy_protocol(here()));
    let mut much = proxied([203, 0, 113, 9]);
    much[14..16].copy_from_slice(&(12_u16 + 3 + 4_000).to_be_bytes());
    much.extend([0x04, 0x0F, 0xA0]);
    much.resize(much.len() + 4_000, 0);
    for (header, client) in [
        (&much[..], "203.0.113.9"),
        (b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "2001:db8::1"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"PROXY UNKNOWN 1 2 3 4\r\n", "127.0.0.1"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "127.0.0.1"),
    ] {
        let mut proxy = Peer::open(server.address());
        proxy.write(&[header, &request("/", "")[..]].concat());
        assert!(proxy.head().starts_with("HTTP/1.1 101 "), "{}", header.escape_ascii());
        proxy.expect(client);
    }
    for wrong in [&b"PROXY TCP4 203.0.113.9 127.0.0.1 1\r\n"[..], b"PROXY \r\n", b"PROXYTCP4"] {
        let mut proxy = Peer::open(server.address());
        proxy.write(&[wrong, &request("/", "")[..]].concat());
        assert!(proxy.rest().starts_with("HTTP/1.1 400 "), "{}", wrong.escape_ascii());
    }
}

#[test]
fn without_the_proxy_header_nobody_is_served() {
    let server = behind(TrustedProxies::proxy_protocol(here()));
    let mut peer = Peer::open(server.address());
    peer.write(&request("/", ""));
    assert!(peer.rest().starts_with("HTTP/1.1 400 "));
    // Where it was not announced, it is no request.
    let elsewhere = ["10.0.0.0/8".parse().unwrap()];
    let server = behind(TrustedProxies::proxy_protocol(elsewhere));
    let mut peer = Peer::open(server.address());
    peer.write(&[proxied([192, 0, 2, 7]), request("/", "")].concat());
    assert!(peer.rest().starts_with("HTTP/1.1 400 "));
}
