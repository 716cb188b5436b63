//! Methods and parameters of routes.

use eventwire::{
    Config, Connection, HttpResponse, Refusal, Routes, ServerConfig, Upgrade, UpgradeRequest,
    WebSocketHandler,
};

use crate::util::{Peer, Server, request};

type Names = Vec<String>;

/// A WebSocket that opens in the room `a b` for the user `1`.
struct Door;

impl WebSocketHandler<()> for Door {
    fn on_upgrade(
        &mut self,
        _: &mut Connection<'_>,
        request: &UpgradeRequest<'_>,
        (): &mut (),
    ) -> Upgrade {
        let is_user = request.query_pairs().any(|pair| pair == ("user".into(), "1".into()));
        match request.param("room").as_deref() {
            Some("a b") if is_user => Upgrade::accept(),
            _ => Refusal::new(403).into(),
        }
    }
}

fn routes() -> Routes<()> {
    let mut names = Names::new();
    Routes::new()
        .get("/rooms/{room}", |_, request, _| {
            HttpResponse::text(request.param("room").unwrap_or_default())
        })
        .get("/rooms/{room}/users/{user}", |_, request, _| {
            let [room, user] = ["room", "user"].map(|name| request.param(name).unwrap_or_default());
            HttpResponse::text(format!("{user} in {room}"))
        })
        .get("/search", |_, request, _| {
            let pairs = request.query_pairs().map(|(name, value)| format!("{name}: {value}"));
            HttpResponse::text(pairs.collect::<Names>().join("\n"))
        })
        .post("/rooms/{room}", move |_, request, _| {
            let Ok(name) = std::str::from_utf8(request.body()) else {
                return HttpResponse::new(400);
            };
            names.push(name.to_owned());
            HttpResponse::text(names.join(" "))
        })
        .put("/put", |_, request, _| HttpResponse::text(request.method()))
        .patch("/put", |_, request, _| HttpResponse::text(request.method()))
        .delete("/put", |_, request, _| HttpResponse::text(request.method()))
        .options("/put", |_, _, _| HttpResponse::text("own"))
        .websocket_fn("/io", ServerConfig::default(), |conn, message, _| {
            conn.send(message);
        })
        .websocket("/doors/{room}", ServerConfig::default(), Door)
        .get("/io", |_, _, _| HttpResponse::text("poll"))
        .post("/io", |_, request, _| HttpResponse::text(format!("{}", request.body().len())))
}

/// The responses to requests that come together, of which the last ends the connection.
fn answers(requests: &[(&str, &str, &str)]) -> Vec<String> {
    let server = serve();
    let mut peer = Peer::open(server.address());
    for (n, (method, target, body)) in requests.iter().enumerate() {
        let last = if n + 1 == requests.len() { "Connection: close\r\n" } else { "" };
        let length = body.len();
        let head = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{last}");
        peer.write(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes());
    }
    let all = peer.rest();
    all.split("HTTP/1.1 ").skip(1).map(str::to_owned).collect()
}

fn serve() -> Server {
    Server::start(Config::default(), |event_loop| {
        let config = ServerConfig::default();
        let listener = event_loop.listen("127.0.0.1:0", config, routes()).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    })
}

#[test]
fn every_method_reaches_its_handler_with_its_parameters_and_its_body() {
    let requests = [
        ("GET", "/rooms/a%2Fb", "", "200", "a/b"),
        ("GET", "http://a/rooms/b?c", "", "200", "b"),
        ("GET", "/rooms/%C3%A9/users/1", "", "200", "1 in \u{e9}"),
        ("POST", "/rooms/a", "one", "200", "one"),
        ("POST", "/rooms/a", "two", "200", "one two"),
        ("PUT", "/put", "x", "200", "PUT"),
        ("PATCH", "/put", "x", "200", "PATCH"),
        ("DELETE", "/put", "x", "200", "DELETE"),
        ("OPTIONS", "/put", "", "200", "own"),
        ("GET", "/search?q=a+b&%71=%", "", "200", "q: a b\nq: %"),
        ("GET", "/rooms/", "", "404", ""),
        ("GET", "/io", "", "200", "poll"),
        ("POST", "/io", "12345", "200", "5"),
    ];
    let asked = requests.map(|(method, target, body, ..)| (method, target, body));
    let answers = answers(&asked);
    assert_eq!(answers.len(), requests.len());
    for ((method, target, _, status, body), answer) in requests.iter().zip(answers) {
        assert!(answer.starts_with(status), "{method} {target}: {answer}");
        let (_, received) = answer.split_once("\r\n\r\n").expect("a head");
        assert_eq!(received, *body, "{method} {target}");
    }
}

#[test]
fn a_path_tells_its_methods() {
    for (method, target, status, allow) in [
        ("DELETE", "/rooms/1", "405", "GET, HEAD, POST"),
        ("OPTIONS", "/rooms/1", "204", "GET, HEAD, POST"),
        ("GET", "/put", "405", "PUT, PATCH, DELETE, OPTIONS"),
        ("HEAD", "/put", "405", "PUT, PATCH, DELETE, OPTIONS"),
        ("PUT", "/io", "405", "GET, HEAD, POST"),
        ("OPTIONS", "*", "204", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    ] {
        let answer = answers(&[(method, target, "")]).pop().expect("an answer");
        assert!(answer.starts_with(status), "{method} {target}: {answer}");
        let listed = answer.lines().find_map(|line| line.strip_prefix("Allow: ")).expect("Allow");
        let [mut listed, mut allow] = [listed, allow].map(|it| it.split(", ").collect::<Vec<_>>());
        listed.sort_unstable();
        allow.sort_unstable();
        assert_eq!(listed, allow, "{method} {target}");
    }
}

#[test]
fn a_parameter_that_is_no_text_is_refused() {
    for target in ["/rooms/%", "/rooms/%zz", "/rooms/%FF"] {
        let answer = answers(&[("GET", target, "")]).pop().expect("an answer");
        assert!(answer.starts_with("400 "), "{target}: {answer}");
    }
}

#[test]
fn a_web_socket_opens_on_a_path_with_other_methods() {
    let server = serve();
    let mut peer = Peer::open(server.address());
    peer.write(b"GET /io HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(peer.head().starts_with("HTTP/1.1 200 "));
    assert_eq!(peer.bytes(4), b"poll");
    peer.write(&request("/io", ""));
    assert!(peer.head().starts_with("HTTP/1.1 101 "));
    peer.send("hello");
    peer.expect("hello");
}

#[test]
fn a_web_socket_has_parameters() {
    let server = serve();
    for (target, status) in [
        ("/doors/a%20b?user=%31", "101"),
        ("/doors/a%20b?user=2", "403"),
        ("/doors/a+b?user=1", "403"),
        ("/doors/%?user=1", "400"),
        ("/doors/", "404"),
    ] {
        let mut peer = Peer::open(server.address());
        peer.write(&request(target, ""));
        let head = peer.head();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {head}");
    }
}
