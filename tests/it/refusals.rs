//! What a client learns of the response: of one that opens the connection, and of one that does
//! not.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use eventwire::proto::http::HttpError;
use eventwire::{
    BodyEnd, ClientConfig, CloseCode, Config, ConnectError, Connection, Disconnect, Error,
    EventLoop, Refused, SendStatus, UpgradeResponse, WebSocketHandler,
};

use crate::util::{Outcome, Peer, Server, dial, dial_with, drive_until};

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("listen on a free port")
}

fn address_of(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("an address")
}

/// What a client learns of a server that sends `answer` and ends the stream.
fn refusal(answer: &[u8]) -> Refused {
    let listener = listener();
    let (_client, outcomes) = dial(format!("ws://{}", address_of(&listener)), short());
    let (mut peer, _) = Peer::accept_request(&listener);
    peer.write(answer);
    peer.finish();
    outcomes.refused()
}

/// A handshake that a test can wait for.
fn short() -> ClientConfig {
    ClientConfig::default().connect_timeout(Duration::from_secs(5))
}

#[test]
fn a_handler_learns_the_response_before_the_connection_is_open() {
    let listener = listener();
    let (client, outcomes) = dial(format!("ws://{}", address_of(&listener)), short());
    let (mut peer, request) = Peer::accept_request(&listener);
    peer.answer(&request, "Server: a\r\nX-Text: \u{e9}\r\n");
    let headers = outcomes.open(client.ready);
    let value = |name: &str| headers.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
    assert_eq!((value("Server"), value("X-Text")), (Some("a"), Some("\u{e9}")));
    peer.expect("hello");
}

/// What a handler does with the response.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Close,
    Panic,
}

/// Acts on the response, and notes what follows.
struct Acting(Act);

impl WebSocketHandler<Vec<String>> for Acting {
    fn on_response(
        &mut self,
        conn: &mut Connection<'_>,
        response: &UpgradeResponse<'_>,
        seen: &mut Vec<String>,
    ) {
        seen.push(format!("{:?}", response.subprotocol()));
        assert_eq!((conn.subprotocol(), conn.is_open()), (None, false));
        assert_eq!((conn.send("too early"), conn.ping(b"")), (SendStatus::Gone, SendStatus::Gone));
        match self.0 {
            Act::Close => assert!(conn.close(CloseCode::POLICY, "")),
            Act::Panic => panic!("on purpose"),
        }
    }

    fn on_open(&mut self, _: &mut Connection<'_>, seen: &mut Vec<String>) {
        seen.push("open".to_owned());
    }

    fn on_close(&mut self, _: &mut Connection<'_>, _: &Disconnect, seen: &mut Vec<String>) {
        seen.push("close".to_owned());
    }

    fn on_connect_error(
        &mut self,
        _: &mut Connection<'_>,
        error: &ConnectError,
        seen: &mut Vec<String>,
    ) {
        seen.push(error.to_string());
    }
}

#[test]
fn a_connection_that_is_refused_for_its_response_never_opens() {
    for (act, error) in [
        (Act::Close, "cancelled before the connection was open"),
        (Act::Panic, "the handler panicked: on purpose"),
    ] {
        let listener = listener();
        let url = format!("ws://{}", address_of(&listener));
        let mut event_loop = EventLoop::new(Config::default()).expect("make a loop");
        let config = short().subprotocols(["a", "b"]);
        event_loop.connect(&url, config, Acting(act)).expect("begin to connect");
        let server = std::thread::spawn(move || {
            let (mut peer, request) = Peer::accept_request(&listener);
            // The first message comes with the response.
            let mut answer = Peer::acceptance(&request, "Sec-WebSocket-Protocol: b\r\n");
            answer.extend(b"\x81\x02hi");
            peer.write(&answer);
            peer
        });
        let mut seen = Vec::new();
        drive_until(&mut event_loop, &mut seen, |_, seen| seen.len() == 2);
        assert_eq!(seen, ["Some(\"b\")", error]);
        drive_until(&mut event_loop, &mut seen, |event_loop, _| event_loop.connections() == 0);
        drop(server.join().expect("the server does not panic"));
    }
}

#[test]
fn a_refusal_has_the_status_the_headers_and_the_body() {
    let answer = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 429 Slow down\r\n\
        Retry-After: 7\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nnot today";
    let refused = refusal(answer);
    assert_eq!((refused.status(), refused.header("retry-after")), (429, Some("7")));
    assert_eq!((refused.body(), refused.body_end()), (&b"not today"[..], BodyEnd::Complete));
    assert_eq!((refused.headers().count(), refused.header("Link")), (3, None));
}

#[test]
fn a_body_may_end_in_every_way() {
    let chunked = b"HTTP/1.1 503 \r\nTransfer-Encoding: chunked\r\n\r\n";
    let known = b"HTTP/1.1 503 \r\nContent-Length: 5\r\n\r\n";
    let conflict = HttpError::ConflictingLengths;
    for (head, body, kept, end) in [
        (&chunked[..], &b"3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n"[..], &b"abc"[..], BodyEnd::Complete),
        (chunked, b"3\r\nabc\r\n", b"abc", BodyEnd::CutShort),
        (chunked, b"3\r\nabcd", b"abc", BodyEnd::Malformed(HttpError::InvalidChunk)),
        (known, b"abcde", b"abcde", BodyEnd::Complete),
        (known, b"abc", b"abc", BodyEnd::CutShort),
        (b"HTTP/1.0 500 \r\n\r\n", b"abc", b"abc", BodyEnd::Complete),
        (b"HTTP/1.1 304 \r\nContent-Length: 3\r\n\r\n", b"", b"", BodyEnd::Complete),
        (
            b"HTTP/1.1 400 \r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"abc",
            b"",
            BodyEnd::Malformed(conflict),
        ),
    ] {
        let refused = refusal(&[head, body].concat());
        assert_eq!((refused.body(), refused.body_end()), (kept, end), "{}", head.escape_ascii());
    }
}

#[test]
fn of_a_body_without_end_the_first_64_kib_are_kept() {
    let listener = listener();
    let (_client, outcomes) = dial(format!("ws://{}", address_of(&listener)), short());
    let (mut peer, _) = Peer::accept_request(&listener);
    peer.write(b"HTTP/1.1 500 \r\nContent-Length: 1000000000000\r\n\r\n");
    // The client ends the connection at some time.
    while peer.try_write(&[b'x'; 16 * 1024]) {}
    let refused = outcomes.refused();
    assert!(refused.body() == [b'x'; Refused::BODY_BYTES_MAX]);
    assert_eq!(refused.body_end(), BodyEnd::Truncated);
}

#[test]
fn a_body_that_never_comes_is_reported_at_the_deadline_of_the_handshake() {
    let listener = listener();
    let time = Duration::from_millis(300);
    let url = format!("ws://{}", address_of(&listener));
    let begun = Instant::now();
    let (_client, outcomes) = dial(url, ClientConfig::default().connect_timeout(time));
    let (mut peer, _) = Peer::accept_request(&listener);
    peer.write(b"HTTP/1.1 401 \r\nContent-Length: 10\r\n\r\nhalf");
    let refused = outcomes.refused();
    assert!(begun.elapsed() >= time);
    assert_eq!((refused.status(), refused.body()), (401, &b"half"[..]));
    assert_eq!(refused.body_end(), BodyEnd::CutShort);
    peer.expect_end();
}

#[test]
fn a_server_that_says_nothing_is_a_timeout_as_before() {
    let listener = listener();
    let time = Duration::from_millis(200);
    let url = format!("ws://{}", address_of(&listener));
    let (_client, outcomes) = dial(url, ClientConfig::default().connect_timeout(time));
    let (mut peer, _) = Peer::accept_request(&listener);
    peer.write(b"HTTP/1.1 401 \r\nContent-");
    assert_eq!(outcomes.next(), Outcome::Failed(ConnectError::TimedOut.to_string()));
}

#[test]
fn bodies_of_refusals_count_as_input_and_are_cut_where_that_is_too_much() {
    let listener = listener();
    let url = format!("ws://{}", address_of(&listener));
    let (tell, outcomes) = std::sync::mpsc::channel();
    let config = Config::default().max_inbound(16 * 1024).max_connections(16);
    let _client = Server::start(config, move |event_loop: &mut EventLoop<()>| {
        let handler = Refusals(tell);
        event_loop.connect(&url, short(), handler).expect("begin to connect")
    });
    let (mut peer, _) = Peer::accept_request(&listener);
    peer.write(b"HTTP/1.1 500 \r\n\r\n");
    peer.try_write(&[b'x'; 60 * 1024]);
    let refused = outcomes.recv().expect("a refusal");
    assert!(refused.body().len() <= 60 * 1024, "{refused:?}");
    assert_eq!(refused.body_end(), BodyEnd::Truncated);
}

struct Refusals(std::sync::mpsc::Sender<Refused>);

impl WebSocketHandler<()> for Refusals {
    fn on_connect_error(&mut self, _: &mut Connection<'_>, error: &ConnectError, _: &mut ()) {
        let ConnectError::Refused(refused) = error else { panic!("{error}") };
        let _ = self.0.send((**refused).clone());
    }
}

// Streams that the application made.

#[test]
fn a_client_handshake_runs_over_a_stream_of_the_applications_own() {
    let listener = listener();
    let address = address_of(&listener);
    let (client, outcomes) = dial_with(move |event_loop, teller| {
        let stream = std::net::TcpStream::connect(address).expect("connect");
        event_loop.connect_over(stream, "ws://example.com/path", short(), teller)
    });
    let (mut peer, request) = Peer::accept_request(&listener);
    assert!(request.starts_with("GET /path HTTP/1.1\r\nHost: example.com\r\n"), "{request}");
    peer.answer(&request, "");
    outcomes.open(client.ready);
    peer.expect("hello");
    peer.send("welcome");
}

#[test]
fn a_unix_stream_may_be_handed_over_too() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let (client, outcomes) = dial_with(move |event_loop, teller| {
        event_loop.connect_over(ours, "ws://example.com/", short(), teller)
    });
    let mut event_loop = EventLoop::<()>::new(Config::default()).expect("make a loop");
    let listener = event_loop
        .listen_fn("127.0.0.1:0", eventwire::ServerConfig::default(), |conn, message, _| {
            conn.send(message);
            conn.stop();
        })
        .expect("listen");
    event_loop.adopt(listener, theirs).expect("adopt");
    event_loop.run(&mut ()).expect("run");
    outcomes.open(client.ready);
}

#[test]
fn a_redirect_over_an_applications_stream_is_a_refusal() {
    let listener = listener();
    let address = address_of(&listener);
    let (_client, outcomes) = dial_with(move |event_loop, teller| {
        let stream = std::net::TcpStream::connect(address).expect("connect");
        event_loop.connect_over(stream, "ws://example.com/", short().redirects(5), teller)
    });
    let (mut peer, _) = Peer::accept_request(&listener);
    peer.write(b"HTTP/1.1 302 \r\nLocation: /other\r\nContent-Length: 2\r\n\r\nno");
    assert_eq!(outcomes.refused().body(), b"no");
}

#[test]
fn a_stream_that_is_not_connected_is_an_error_at_once() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let stream = std::net::TcpStream::from(socket.expect("a socket"));
    let mut event_loop = EventLoop::<()>::new(Config::default()).expect("make a loop");
    let handler = eventwire::on_message(|_, _, _: &mut ()| {});
    let error = event_loop.connect_over(stream, "ws://example.com/", short(), handler);
    assert!(matches!(error, Err(Error::Io { .. })), "{error:?}");
    assert_eq!(event_loop.connections(), 0);
}
