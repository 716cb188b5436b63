//! Responses that refuse a client, of its server or its proxy.

use super::*;
use crate::proto::ClientHandshake;
use crate::proto::handshake::{BodyEnd, HandshakeError, HttpProxy, Refused};
use crate::proto::http::HttpError;

const CHUNKED: &[u8] =
    b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n3;a\r\nw? \r\n0\r\n\r\n";

fn client() -> Harness {
    Harness::connecting(Role::Client, &Limits::default())
}

/// A client behind a proxy that requires credentials.
fn tunnelled() -> Harness {
    let mut harness = client();
    let proxy = HttpProxy::new("http://proxy:3128").expect("a proxy");
    let proxy = proxy.credentials("Aladdin", "open sesame").expect("credentials");
    harness.out.clear();
    harness.connection = harness.with(|_, workspace| {
        let limits = Arc::new(Limits::default());
        ClientHandshake::behind_proxy(&proxy, asked(), Key::from_nonce([7; 16]), limits, workspace)
    });
    harness
}

fn opened() -> Vec<u8> {
    let mut head = Vec::new();
    Acceptance::new().write(&Key::from_nonce([7; 16]), &mut head);
    [&head[..], &frame(Role::Client, true, OpCode::Text, b"hello")].concat()
}

/// The response that the client saw last.
fn refused(harness: &Harness) -> &Refused {
    match harness.seen.last() {
        Some(Seen::Failed(PeerError::Refused(refused) | PeerError::ProxyRefused(refused))) => {
            refused
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refusal_is_reported_with_its_body_however_it_is_split() {
    for cut in 0..CHUNKED.len() {
        let mut harness = client();
        harness.receive(&CHUNKED[..cut]);
        assert_eq!((harness.seen.len(), harness.state()), (0, State::Connecting), "cut at {cut}");
        harness.receive(&CHUNKED[cut..]);
        let refused = refused(&harness);
        assert_eq!((refused.status(), refused.body()), (503, &b"now? "[..]));
        assert_eq!(refused.body_end(), BodyEnd::Complete);
        assert_eq!(harness.state(), State::Closed);
    }
}

#[test]
fn a_refusal_without_a_body_is_reported_at_its_head() {
    for (head, status) in [
        (&b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"[..], 401),
        (b"HTTP/1.1 204 \r\n\r\n", 204),
        (b"HTTP/1.1 103 \r\n\r\nHTTP/1.0 304 \r\nContent-Length: 5\r\n\r\n", 304),
        (b"HTTP/1.1 404 \r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 404),
        (b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 000 \r\nContent-Length: 0\r\n\r\n", 0),
    ] {
        let mut harness = client();
        harness.receive(head);
        assert_eq!(refused(&harness).status(), status, "{}", head.escape_ascii());
        assert_eq!(harness.state(), State::Closed);
    }
}

#[test]
fn at_the_deadline_a_refusal_is_taken_as_far_as_it_has_come() {
    let mut harness = client();
    let bytes = b"HTTP/1.1 500 \r\n\r\nsorry";
    harness.receive(&bytes[..10]);
    assert_eq!(harness.with(|it, work| it.handshake().take_refusal(work)), None);
    harness.receive(&bytes[10..]);
    assert!(harness.connection.buffered_bytes() >= 5);
    assert_eq!(
        harness.time_left(),
        Some(Duration::from_secs(10)),
        "the body has no time of its own"
    );
    let Some(PeerError::Refused(refused)) =
        harness.with(|it, work| it.handshake().take_refusal(work))
    else {
        panic!("it has come");
    };
    assert_eq!((refused.body(), refused.body_end()), (&b"sorry"[..], BodyEnd::CutShort));
    assert_eq!((harness.state(), harness.connection.buffered_bytes()), (State::Closed, 0));
}

#[test]
fn the_end_of_the_stream_ends_the_handshake() {
    let end = |bytes: &[u8]| {
        let mut harness = client();
        harness.receive(bytes);
        let ended = harness.with(|it, work| it.handshake().end(work));
        assert_eq!(harness.state(), State::Closed);
        ended.expect_err("it was not open")
    };
    for (bytes, body_end) in [
        (&b"HTTP/1.1 500 \r\n\r\nabc"[..], BodyEnd::Complete),
        (b"HTTP/1.1 500 \r\nContent-Length: 4\r\n\r\nabc", BodyEnd::CutShort),
    ] {
        let PeerError::Refused(refused) = end(bytes) else { panic!("a refusal") };
        assert_eq!((refused.body(), refused.body_end()), (&b"abc"[..], body_end));
    }
    for bytes in [&b""[..], b"HTTP/1.1 500 \r\n"] {
        assert_eq!(end(bytes), PeerError::Handshake(HandshakeError::ConnectionEnded));
    }
}

#[test]
fn the_body_of_a_redirect_that_is_followed_is_not_read() {
    let bytes = b"HTTP/1.1 302 \r\nLocation: /b\r\nContent-Length: 5\r\n\r\n";
    let mut harness = client();
    harness.receive(bytes);
    assert!(harness.seen.is_empty());
    let request = asked().following_redirects(true);
    let mut harness = client();
    harness.connection = harness.with(|_, workspace| {
        let limits = Arc::new(Limits::default());
        WebSocket::client(request, Key::from_nonce([7; 16]), limits, workspace)
    });
    harness.receive(bytes);
    assert_eq!(refused(&harness).header("location"), Some("/b"));
}

#[test]
fn a_tunnel_comes_before_the_handshake_however_it_is_split() {
    for response in [
        &b"HTTP/1.1 200 Connection established\r\n\r\n"[..],
        b"HTTP/1.0 200 OK\r\nVia: a\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 299 \r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let stream = [response, &opened()].concat();
        for cut in 0..stream.len() {
            let mut harness = tunnelled();
            let asked_for = String::from_utf8(std::mem::take(&mut harness.out)).expect("text");
            assert!(asked_for.starts_with("CONNECT example.com:80 HTTP/1.1\r\nHost: example.com"));
            harness.receive(&stream[..cut]);
            let is_through = cut >= response.len();
            assert_eq!(harness.out.starts_with(b"GET /chat HTTP/1.1\r\n"), is_through);
            assert!(!String::from_utf8_lossy(&harness.out).contains("Proxy-Authorization"));
            harness.receive(&stream[cut..]);
            assert_eq!(harness.seen, [text("hello")], "cut at {cut}");
        }
    }
}

#[test]
fn a_proxy_that_refuses_is_not_the_server() {
    for (bytes, status, body) in [
        (&b"HTTP/1.1 407 \r\nContent-Length: 2\r\n\r\nno"[..], 407, &b"no"[..]),
        (b"HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 101, b""),
        (b"HTTP/1.1 302 \r\nLocation: /\r\nContent-Length: 1\r\n\r\na", 302, b"a"),
    ] {
        let mut harness = tunnelled();
        harness.receive(bytes);
        let Some(Seen::Failed(PeerError::ProxyRefused(refused))) = harness.seen.first() else {
            panic!("{:?}", harness.seen);
        };
        assert_eq!((refused.status(), refused.body()), (status, body));
    }
    let mut harness = tunnelled();
    harness.receive(b"SSH-2.0-OpenSSH\r\n\r\n");
    let error = HandshakeError::Http(HttpError::InvalidStartLine);
    assert_eq!(harness.seen, [Seen::Failed(PeerError::Handshake(error))]);
}

#[test]
fn the_tunnel_is_part_of_the_time_for_the_handshake() {
    let mut harness = tunnelled();
    assert_eq!(harness.pass(Duration::from_secs(9)), Ok(()));
    harness.receive(b"HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(harness.time_left(), Some(Duration::from_secs(1)));
    assert_eq!(harness.pass(Duration::from_secs(1)), Err(TimedOut::Handshake));
}

#[test]
fn interim_responses_of_the_proxy_and_the_server_are_bounded_together() {
    let mut harness = tunnelled();
    let interim = b"HTTP/1.1 103 \r\n\r\n";
    harness.receive(&interim.repeat(6));
    harness.receive(b"HTTP/1.1 200 \r\n\r\n");
    harness.receive(&interim.repeat(4));
    assert!(harness.seen.is_empty());
    harness.receive(interim);
    let error = HandshakeError::TooManyInterimResponses { limit: 10 };
    assert_eq!(harness.seen, [Seen::Failed(PeerError::Handshake(error))]);
}
