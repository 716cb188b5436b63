//! The opening handshake: which requests are accepted, and how others are refused.

use std::net::SocketAddr;

use eventwire::proto::handshake::{Acceptance, OriginPolicy, Refusal, UpgradeRequest};
use eventwire::{
    ClientConfig, CloseCode, Config, Connection, Disconnect, EventLoop, ServerConfig, Upgrade,
    WebSocketHandler,
};

use crate::util::{Call, Peer, Recorder, Server, request};

/// The status and the rest of the answer to a refused client.
fn refusal(address: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut peer = Peer::open(address);
    peer.write(request);
    let answer = peer.rest();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains("\r\nConnection: close"), "{head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{answer}");
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|head| head[..3].parse().ok());
    (status.expect("a status"), answer)
}

fn listen(config: ServerConfig) -> Server {
    Server::listen(Config::default(), config, Recorder::new().0)
}

/// Accepts and refuses by the path, and sends the requested path to each open connection.
struct Gate;

impl WebSocketHandler<()> for Gate {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        request: &UpgradeRequest<'_>,
        _: &mut (),
    ) -> Upgrade {
        assert!(!conn.is_open());
        assert!(conn.peer_addr().is_some_and(|peer| peer.ip().is_loopback()));
        match request.path() {
            "/secret" => Upgrade::refuse(404),
            "/members" => match request.header("Authorization") {
                Some("Bearer abc") => Upgrade::accept(),
                _ => Refusal::new(401)
                    .header("WWW-Authenticate", "Bearer")
                    .expect("a valid header")
                    .body("who are you?")
                    .into(),
            },
            "/hang-up" => {
                assert!(conn.close(CloseCode::NORMAL, ""));
                Upgrade::accept()
            }
            _ => {
                let query = request.query().unwrap_or("none");
                let acceptance = Acceptance::new().header("X-Query", query);
                acceptance.and_then(|it| it.subprotocol("gate.v1")).expect("valid headers").into()
            }
        }
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
        conn.send("welcome");
    }
}

#[test]
fn the_answer_is_the_one_that_the_key_asks_for() {
    let server = listen(ServerConfig::default());
    let mut peer = Peer::open(server.address());
    let text = String::from_utf8(request("/", "")).unwrap();
    let key = text.lines().find(|line| line.starts_with("Sec-WebSocket-Key")).unwrap();
    // The example of RFC 6455 §1.3.
    peer.write(text.replace(key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==").as_bytes());
    assert_eq!(
        peer.head(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
}

#[test]
fn a_request_may_come_a_byte_at_a_time() {
    let server = Server::echo();
    let mut peer = Peer::open(server.address());
    for byte in request("/", "X-Padding: value\r\n") {
        peer.write(&[byte]);
    }
    assert!(peer.head().starts_with("HTTP/1.1 101 "));
    peer.send("hello");
    peer.expect("hello");
}

#[test]
fn messages_may_follow_the_request_at_once() {
    let server = Server::echo();
    for len in [5, 5_000, 30_000] {
        let message = crate::util::pattern(len, 0);
        let mut peer = Peer::open(server.address());
        let mut stream = request("/", "");
        stream.extend(peer.encode_message(&message));
        stream.extend(peer.encode_message("and more"));
        peer.write(&stream);
        assert!(peer.head().starts_with("HTTP/1.1 101 "));
        peer.expect(&message);
        peer.expect("and more");
    }
}

#[test]
fn the_servers_favourite_among_the_offered_subprotocols_is_chosen() {
    let server = listen(ServerConfig::default().subprotocols(["chat.v2", "chat.v1"]));
    let chosen = |offer: &str| {
        let header = if offer.is_empty() {
            String::new()
        } else {
            format!("Sec-WebSocket-Protocol: {offer}\r\n")
        };
        let (_, head) = Peer::ask(server.address(), &header);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        head.lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "))
            .map(str::to_owned)
    };
    assert_eq!(chosen("chat.v1, chat.v2").as_deref(), Some("chat.v2"));
    assert_eq!(chosen("other, chat.v1").as_deref(), Some("chat.v1"));
    assert_eq!(chosen("CHAT.V1"), None);
    assert_eq!(chosen(""), None);
}

#[test]
fn the_handlers_answer_comes_before_the_configured_one() {
    let config = ServerConfig::default().subprotocols(["other"]);
    let server = Server::listen(Config::default(), config, Gate);
    let mut peer = Peer::open(server.address());
    peer.write(&request("/any?room=7", "Sec-WebSocket-Protocol: other, gate.v1\r\n"));
    let head = peer.head();
    assert!(head.contains("\r\nSec-WebSocket-Protocol: gate.v1\r\n"), "{head}");
    assert!(head.contains("\r\nX-Query: room=7\r\n"), "{head}");
    peer.expect("welcome");
}

#[test]
fn a_handler_refuses_with_any_status_headers_and_body() {
    let server = Server::with(Gate);
    let (status, answer) = refusal(server.address(), &request("/members", ""));
    assert_eq!(status, 401);
    assert!(answer.contains("\r\nWWW-Authenticate: Bearer\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nwho are you?"), "{answer}");
    assert_eq!(refusal(server.address(), &request("/secret", "")).0, 404);
    let mut peer = Peer::open(server.address());
    peer.write(&request("/members", "Authorization: Bearer abc\r\n"));
    assert!(peer.head().starts_with("HTTP/1.1 101 "));
    peer.expect("welcome");
}

#[test]
fn a_connection_closed_before_it_is_open_ends_without_an_answer() {
    let server = Server::with(Gate);
    let mut peer = Peer::open(server.address());
    peer.write(&request("/hang-up", ""));
    peer.expect_end();
}

#[test]
fn pages_of_other_origins_are_refused() {
    let listed = || vec!["https://friend.example".to_owned()];
    let foreign = "Origin: https://evil.example\r\n";
    let friend = "Origin: https://friend.example\r\n";
    let same = "Origin: http://localhost\r\n";
    for (policy, passing, refused) in [
        (OriginPolicy::SameOrigin, vec!["", same], vec![foreign, friend, "Origin: null\r\n"]),
        (OriginPolicy::Listed(listed()), vec!["", same, friend], vec![foreign]),
        (OriginPolicy::Any, vec!["", same, friend, foreign], vec![]),
    ] {
        let server = listen(ServerConfig::default().origins(policy));
        for headers in passing {
            let (_, head) = Peer::ask(server.address(), headers);
            assert!(head.starts_with("HTTP/1.1 101 "), "{headers}: {head}");
        }
        for headers in refused {
            assert_eq!(refusal(server.address(), &request("/", headers)).0, 403, "{headers}");
        }
    }
}

#[test]
fn an_unsupported_version_is_answered_with_the_supported_one() {
    let server = listen(ServerConfig::default());
    let text = String::from_utf8(request("/", "")).unwrap();
    for version in ["8", "14", "13, 8", ""] {
        let asked = format!("Sec-WebSocket-Version: {version}");
        let request = text.replace("Sec-WebSocket-Version: 13", &asked);
        let (status, answer) = refusal(server.address(), request.as_bytes());
        assert_eq!(status, 426, "{version}");
        assert!(answer.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{answer}");
        assert!(answer.contains("\r\nUpgrade: websocket\r\n"), "{answer}");
    }
}

#[test]
fn invalid_opening_requests_get_their_http_status() {
    let server = listen(ServerConfig::default());
    let good = String::from_utf8(request("/", "")).unwrap();
    let long = "x".repeat(9_000);
    let many = "X: y\r\n".repeat(101);
    let much = format!("X: {}\r\n", "y".repeat(8_000)).repeat(3);
    for (wrong, status) in [
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 426),
        (good.replace("GET", "POST"), 405),
        (good.replace("HTTP/1.1", "HTTP/1.0"), 505),
        (good.replace("GET / ", &format!("GET /{long} ")), 414),
        (good.replace("Host: localhost\r\n", ""), 400),
        (good.replace("Connection: Upgrade\r\n", ""), 400),
        (good.replace("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: x"), 400),
        (good.replace("\r\n\r\n", &format!("\r\nX: {long}\r\n\r\n")), 431),
        (good.replace("\r\n\r\n", &format!("\r\n{many}\r\n")), 431),
        (good.replace("\r\n\r\n", &format!("\r\n{much}\r\n")), 431),
        (good.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n"), 400),
        ("\x16\x03\x01\x02\0\x01\0".to_owned(), 400),
    ] {
        let (refused, answer) = refusal(server.address(), wrong.as_bytes());
        assert_eq!(refused, status, "{wrong:.80}: {answer}");
    }
}

#[test]
fn no_handler_is_called_for_connections_that_never_opened() {
    let (recorder, log) = Recorder::new();
    let server = Server::with(recorder);
    refusal(server.address(), b"GET / HTTP/1.0\r\n\r\n");
    let mut peer = Peer::open(server.address());
    peer.write(b"GET / HT");
    peer.finish();
    assert!(peer.rest().is_empty());
    Peer::open(server.address()).reset();
    let mut peer = Peer::connect(server.address());
    peer.send("hello");
    peer.expect("hello");
    drop(server);
    let calls = log.rest();
    let [Call::Open(opened), Call::Message(_), Call::Close(closed, _)] = &calls[..] else {
        panic!("{calls:?}")
    };
    assert_eq!(opened, closed);
}

/// Notes the subprotocol of its connections, when they open and when they have ended.
struct Subprotocols(&'static str);

impl WebSocketHandler<Vec<String>> for Subprotocols {
    fn on_open(&mut self, conn: &mut Connection<'_>, notes: &mut Vec<String>) {
        notes.push(format!("{} opens: {:?}", self.0, conn.subprotocol()));
        if self.0 == "client" {
            conn.close(CloseCode::NORMAL, "");
        }
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, notes: &mut Vec<String>) {
        notes.push(format!("{} closes: {:?}", self.0, conn.subprotocol()));
    }
}

#[test]
fn both_ends_know_the_subprotocol_for_as_long_as_the_connection_lasts() {
    let mut event_loop = EventLoop::new(Config::default()).expect("a loop");
    let config = ServerConfig::default().subprotocols(["chat.v2", "chat.v1"]);
    let listener = event_loop.listen("127.0.0.1:0", config, Subprotocols("server"));
    let address = event_loop.local_addr(listener.expect("a port")).expect("an address");
    let chosen = Some("chat.v1");
    // The second connection has the slots of the first one, and no subprotocol.
    for (offers, agreed) in [(&["chat.v1", "other"][..], chosen), (&[], None)] {
        let mut notes = Vec::new();
        let config = ClientConfig::default().subprotocols(offers.iter().copied());
        let url = format!("ws://{address}");
        event_loop.connect(&url, config, Subprotocols("client")).expect("connecting");
        while event_loop.connections() > 0 || notes.len() < 4 {
            event_loop.turn(None, &mut notes).expect("a turn");
        }
        notes.sort();
        let expected = ["client closes", "client opens", "server closes", "server opens"];
        assert_eq!(notes, expected.map(|what| format!("{what}: {agreed:?}")));
    }
}
