use proptest::prelude::*;

use super::*;
use crate::proto::handshake::OriginPolicy;
use crate::proto::handshake::extensions::EXTENSIONS;

const HEAD: &str = "GET /chat?room=7 HTTP/1.1\r\n\
    Host: example.com:9001\r\n\
    Upgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Origin: http://example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\
    \r\n";

fn parse(head: &[u8]) -> Result<UpgradeRequest<'_>, HandshakeError> {
    UpgradeRequest::parse(head, &HeadLimits::default())
}

/// Parses the sample with `old`, which must occur in it, replaced by `new`.
fn parse_with(old: &str, new: &str) -> Result<(), HandshakeError> {
    assert!(HEAD.contains(old), "{old:?}");
    parse(HEAD.replacen(old, new, 1).as_bytes()).map(drop)
}

#[test]
fn as_many_headers_as_the_limit_allows() {
    for limit in [7, 99, 100, 101, 250] {
        let limits = HeadLimits { headers: limit, ..HeadLimits::default() };
        let more = |count: usize| HEAD.replace("\r\n\r\n", &("\r\na:".repeat(count) + "\r\n\r\n"));
        let head = more(limit - 7);
        let request = UpgradeRequest::parse(head.as_bytes(), &limits).unwrap();
        assert_eq!(request.headers().count(), limit);
        assert_eq!(
            UpgradeRequest::parse(more(limit - 6).as_bytes(), &limits).map(drop),
            Err(HttpError::TooManyHeaders { limit }.into())
        );
    }
}

#[test]
fn a_request_of_a_browser() {
    let request = parse(HEAD.as_bytes()).unwrap();
    assert_eq!(request.target(), "/chat?room=7");
    assert_eq!((request.path(), request.query()), ("/chat", Some("room=7")));
    assert_eq!(request.host(), "example.com:9001");
    assert_eq!(request.origin(), Some("http://example.com"));
    assert_eq!(request.key(), Key::from_nonce(*b"the sample nonce"));
    assert_eq!(request.header("upgrade"), Some("websocket"));
    assert_eq!(request.header("Cookie"), None);
    assert!(request.subprotocols().eq(["chat", "superchat"]));
    assert_eq!(request.headers().count(), 7);
    assert_eq!(request.headers().next(), Some(("Host", &b"example.com:9001"[..])));
}

#[test]
fn what_a_peer_may_vary() {
    for (old, new) in [
        ("/chat?room=7", "/"),
        ("/chat?room=7", "/?"),
        ("/chat?room=7", "//a/%zz?b?c|"),
        ("Host: example.com:9001", "hOST:example.com"),
        ("Host: example.com:9001", "Host: \t[::1]:80 \t"),
        ("Upgrade: websocket", "Upgrade: WebSocket"),
        ("Upgrade: websocket", "Upgrade: h2c,, websocket"),
        ("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket"),
        ("keep-alive, Upgrade", "UPGRADE"),
        ("keep-alive, Upgrade", "keep-alive\r\nConnection: upgrade,"),
        ("b25jZQ==", "b25jZR=="),
        ("dGhlIHNhbXBsZSBub25jZQ==", "AQIDBAUGBwgJCgsMDQ4PEC=="),
        ("Origin: http://example.com\r\n", ""),
        ("Origin: http://example.com", "Origin: null"),
        ("Origin: http://example.com", "Content-Length: 0"),
        ("Origin: http://example.com", "Cookie: a=\"b\tc\" \u{e9}"),
        ("Origin: http://example.com", "Empty:"),
        ("Origin: http://example.com", "Sec-WebSocket-Extensions: permessage-deflate"),
        ("chat, superchat", ""),
        ("chat, superchat", "chat,\r\nSec-WebSocket-Protocol: , superchat"),
        ("chat, superchat", "chat, Chat"),
    ] {
        assert_eq!(parse_with(old, new), Ok(()), "{new:?}");
    }
}

#[test]
fn the_authority_of_an_absolute_target_replaces_host() {
    for (target, host, path, query) in [
        ("http://a/chat?room=7", "a", "/chat", Some("room=7")),
        ("ws://a:9001/chat", "a:9001", "/chat", None),
        ("WSS://A.example:443/", "A.example:443", "/", None),
        ("https://[::1]:80", "[::1]:80", "/", None),
        ("http://a?b", "a", "/", Some("b")),
    ] {
        let head = HEAD.replacen("/chat?room=7", target, 1);
        let request = parse(head.as_bytes()).unwrap();
        assert_eq!((request.host(), request.target()), (host, target));
        assert_eq!((request.path(), request.query()), (path, query));
        assert_eq!(request.header("Host"), Some("example.com:9001"));
        // A page of the host in the header has another origin.
        let policy = OriginPolicy::SameOrigin;
        assert_eq!(policy.check(&request), Err(HandshakeError::OriginNotAllowed));
        let head = head.replace("Origin: http://example.com", &format!("Origin: http://{host}"));
        let request = parse(head.as_bytes()).unwrap();
        assert_eq!(policy.check(&request), Ok(()), "{target}");
        // The header is required nevertheless.
        let head = head.replace("Host: example.com:9001\r\n", "");
        let missing = HandshakeError::Http(HttpError::MissingHeader("Host"));
        assert_eq!(parse(head.as_bytes()).unwrap_err(), missing);
    }
}

#[test]
fn http_1_0_asks_for_pages_and_opens_nothing() {
    let limits = HeadLimits::default();
    let parse_plain = |head: &'static str| HttpRequest::parse(head.as_bytes(), &limits);
    let request = parse_plain("GET /health HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!((request.path(), request.host(), request.is_last()), ("/health", "", true));
    let head = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    let request = parse_plain(head).unwrap();
    assert_eq!((request.host(), request.is_last()), ("a", true));
    for (head, status) in [
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost:\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/0.9\r\n\r\n", 505),
        ("GET / HTTP/2.0\r\n\r\n", 505),
    ] {
        assert_eq!(parse_plain(head).unwrap_err().status(), status, "{head}");
    }
    let error = parse_with("HTTP/1.1", "HTTP/1.0").unwrap_err();
    assert_eq!(error, HttpError::UnsupportedVersion.into());
}

#[test]
fn malformed_request_lines() {
    for (line, status) in [
        ("POST / HTTP/1.1", 405),
        ("get / HTTP/1.1", 405),
        ("HEAD / HTTP/1.1", 405),
        ("CONNECT example.com:80 HTTP/1.1", 405),
        ("GET / HTTP/1.0", 505),
        ("GET / HTTP/2.0", 505),
        ("PRI * HTTP/2.0", 505),
        ("GET / HTTP/0.9", 505),
        ("GET / HTTP/1.10", 400),
        ("GET / http/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        ("GET /", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET /  HTTP/1.1", 400),
        ("GET\t/ HTTP/1.1", 400),
        ("GET /a b HTTP/1.1", 400),
        ("GET /a HTTP/1.1 HTTP/2.0", 400),
        (" GET / HTTP/1.1", 400),
        ("G@T / HTTP/1.1", 400),
        ("GET chat HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET ?room=7 HTTP/1.1", 400),
        ("GET http:example.com/ HTTP/1.1", 400),
        ("GET http:///chat HTTP/1.1", 400),
        ("GET http://a@example.com/ HTTP/1.1", 400),
        ("GET http://example.com/#top HTTP/1.1", 400),
        ("GET ftp://example.com/ HTTP/1.1", 400),
        ("GET /#top HTTP/1.1", 400),
        ("GET /\u{e9} HTTP/1.1", 400),
        ("GET /\0 HTTP/1.1", 400),
        ("\r\nGET / HTTP/1.1", 400),
    ] {
        let error = parse_with("GET /chat?room=7 HTTP/1.1", line).unwrap_err();
        assert_eq!(error.status(), status, "{line:?}: {error}");
    }
}

/// Replaces the first text of each case by the second, and expects the error.
fn assert_refused(cases: &[(&str, &str, HandshakeError)]) {
    for (old, new, error) in cases {
        let status = match error {
            HandshakeError::MissingUpgrade | HandshakeError::UnsupportedWebSocketVersion => 426,
            _ => 400,
        };
        assert_eq!(error.status(), status);
        assert_eq!(parse_with(old, new).as_ref(), Err(error), "{new:?}");
    }
}

#[test]
fn malformed_lines_and_hosts() {
    use HandshakeError::Http;
    assert_refused(&[
        ("Host: example.com:9001\r\n", "", Http(HttpError::MissingHeader("Host"))),
        ("example.com:9001", "", Http(HttpError::MalformedHeader("Host"))),
        ("example.com:9001", "a\r\nHost: a", Http(HttpError::RepeatedHeader("Host"))),
        ("example.com:9001", "a\r\nHost: b", Http(HttpError::RepeatedHeader("Host"))),
        ("example.com:9001", "a, b", Http(HttpError::MalformedHeader("Host"))),
        ("example.com:9001", "a,b", Http(HttpError::MalformedHeader("Host"))),
        ("example.com:9001", "a/b", Http(HttpError::MalformedHeader("Host"))),
        ("example.com:9001", "user@a", Http(HttpError::MalformedHeader("Host"))),
        ("example.com:9001", "a:70000", Http(HttpError::MalformedHeader("Host"))),
        ("example.com:9001", "[::1", Http(HttpError::MalformedHeader("Host"))),
        ("example.com:9001", "\u{e9}", Http(HttpError::MalformedHeader("Host"))),
        ("Host: example", " Host: example", Http(HttpError::LineFolding)),
        ("Host: example", "Host : example", Http(HttpError::InvalidHeaderLine)),
        ("Host: example", "Host\t: example", Http(HttpError::InvalidHeaderLine)),
        ("Upgrade: websocket", "Upgrade websocket", Http(HttpError::InvalidHeaderLine)),
        ("Upgrade: websocket", ": websocket", Http(HttpError::InvalidHeaderLine)),
        ("Upgrade: websocket", "Upgrade\u{e9}: websocket", Http(HttpError::InvalidHeaderLine)),
        ("Upgrade: websocket", "X: a\r\n\twebsocket", Http(HttpError::LineFolding)),
        ("Upgrade: websocket\r\n", "Upgrade: websocket\n", Http(HttpError::InvalidLineEnding)),
        ("Upgrade: websocket\r\n", "Upgrade: websocket\r", Http(HttpError::InvalidLineEnding)),
        ("Upgrade: websocket", "Upgrade: web\0socket", Http(HttpError::InvalidByte(0))),
        ("Upgrade: websocket", "Upgrade: websocket\x7f", Http(HttpError::InvalidByte(0x7f))),
    ]);
}

#[test]
fn malformed_headers() {
    use HandshakeError as E;
    use HandshakeError::Http;
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let version = "Sec-WebSocket-Version: 13";
    assert_refused(&[
        ("Upgrade: websocket\r\n", "", E::MissingUpgrade),
        ("Upgrade: websocket", "Upgrade: h2c", E::MissingUpgrade),
        ("Upgrade: websocket", "Upgrade: websocket/13", E::MissingUpgrade),
        ("Upgrade: websocket", "Upgrade: web socket", E::MissingUpgrade),
        ("Connection: keep-alive, Upgrade\r\n", "", E::MissingConnection),
        ("keep-alive, Upgrade", "keep-alive", E::MissingConnection),
        ("keep-alive, Upgrade", "keep-alive; Upgrade", E::MissingConnection),
        (key, "X: a", Http(HttpError::MissingHeader("Sec-WebSocket-Key"))),
        (key, "Sec-WebSocket-Key:", Http(HttpError::MalformedHeader("Sec-WebSocket-Key"))),
        ("b25jZQ==", "b25jZQ", Http(HttpError::MalformedHeader("Sec-WebSocket-Key"))),
        ("b25jZQ==", "b25jZSEh", Http(HttpError::MalformedHeader("Sec-WebSocket-Key"))),
        ("b25jZQ==", "b25j ZQ==", Http(HttpError::MalformedHeader("Sec-WebSocket-Key"))),
        (version, key, E::UnsupportedWebSocketVersion),
        (version, "X: a", E::UnsupportedWebSocketVersion),
        ("Version: 13", "Version: 8", E::UnsupportedWebSocketVersion),
        ("Version: 13", "Version: 013", E::UnsupportedWebSocketVersion),
        ("Version: 13", "Version: 13, 8", E::UnsupportedWebSocketVersion),
        ("http://example.com", "", Http(HttpError::MalformedHeader("Origin"))),
        ("http://example.com", "http://a http://b", Http(HttpError::MalformedHeader("Origin"))),
        ("http://example.com", "http://\u{e9}", Http(HttpError::MalformedHeader("Origin"))),
        (
            "http://example.com",
            "http://a\r\nOrigin: http://a",
            Http(HttpError::RepeatedHeader("Origin")),
        ),
        ("Origin: http://example.com", "Content-Length: 1", Http(HttpError::BodyNotAllowed)),
        ("Origin: http://example.com", "Content-Length:", Http(HttpError::BodyNotAllowed)),
        ("Origin: http://example.com", "Content-Length: +0", Http(HttpError::BodyNotAllowed)),
        ("Origin: http://example.com", "Content-Length: 0, 5", Http(HttpError::BodyNotAllowed)),
        (
            "Origin: http://example.com",
            "Transfer-Encoding: chunked",
            Http(HttpError::BodyNotAllowed),
        ),
        (
            "Origin: http://example.com",
            "transfer-encoding: identity",
            Http(HttpError::BodyNotAllowed),
        ),
        (
            "Origin: http://example.com",
            "Content-Length: 0\r\nContent-Length: 5",
            Http(HttpError::RepeatedHeader("Content-Length")),
        ),
        ("chat, superchat", "chat, super chat", E::InvalidSubprotocol),
        ("chat, superchat", "chat, \"super\"", E::InvalidSubprotocol),
        ("chat, superchat", "\u{e9}", E::InvalidSubprotocol),
        ("chat, superchat", "chat, chat", E::RepeatedSubprotocol),
        ("chat, superchat", "chat\r\nSec-WebSocket-Protocol: chat", E::RepeatedSubprotocol),
        ("\r\n\r\n", "\r\n", Http(HttpError::HeadBoundary)),
        ("\r\n\r\n", "\r\n\r\n\r\n", Http(HttpError::HeadBoundary)),
        ("\r\n\r\n", "\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n", Http(HttpError::HeadBoundary)),
        ("\r\n\r\n", "\r\n\r", Http(HttpError::HeadBoundary)),
        ("\r\n\r\n", "\r\n\n", Http(HttpError::InvalidLineEnding)),
    ]);
}

#[test]
fn too_much_of_anything() {
    let long = "a".repeat(9000);
    for (old, new, status) in [
        ("/chat", format!("/{long}"), 414),
        ("Origin: http://example.com", format!("Cookie: {long}"), 431),
        ("Origin: http://example.com\r\n", format!("C: {}\r\n", &long[..8000]).repeat(3), 431),
        ("Origin: http://example.com\r\n", "A: b\r\n".repeat(95), 431),
        ("chat, superchat", (0..65).map(|n| format!("p{n},")).collect(), 431),
    ] {
        assert_eq!(parse_with(old, &new).unwrap_err().status(), status, "{}", &new[..20]);
    }
    let fits = "A: b\r\n".repeat(94);
    assert_eq!(parse_with("Origin: http://example.com\r\n", &fits), Ok(()));
    let offers: String = (0..64).map(|n| format!("p{n},")).collect();
    assert_eq!(parse_with("chat, superchat", &offers), Ok(()));
}

/// Heads of about 16 KiB that are mostly lists.
fn heads_of_lists() -> impl Iterator<Item = String> {
    let names = [
        "Connection",
        "Upgrade",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Content-Length",
        "Transfer-Encoding",
        "X-Forwarded-For",
        "Accept",
    ];
    let commas = ",".repeat(7_800);
    let tokens = |count: usize| (0..count).map(|n| format!("p{n:03}, ")).collect::<String>();
    let parameters = format!("a{}", "; b=c".repeat(1_500));
    let long = format!("{}, b", "a".repeat(7_800));
    let values = [
        format!("{commas}{}", tokens(64)),
        tokens(64),
        tokens(1_300),
        "a,".repeat(3_900),
        parameters,
        long,
        "\"a,\\\"".repeat(1_500),
    ];
    names.into_iter().flat_map(move |name| {
        let head = |value: &String| {
            let line = format!("{name}: {value}\r\n");
            HEAD.replacen("Host: ", &format!("{}Host: ", line.repeat(2)), 1)
        };
        values.iter().map(head).collect::<Vec<_>>()
    })
}

#[test]
fn the_time_to_read_a_head_is_proportional_to_its_bytes() {
    use crate::proto::http::walked;
    let limits = HeadLimits { bytes: 64 * 1024, line: 16 * 1024, headers: 1_000 };
    for head in heads_of_lists() {
        walked::take();
        let parsed = UpgradeRequest::parse(head.as_bytes(), &limits);
        if let Ok(request) = &parsed {
            assert!(request.subprotocols().count() <= HeadLimits::ELEMENTS_MAX);
        }
        let _ = HttpRequest::parse(head.as_bytes(), &limits);
        let walked = walked::take();
        assert!(walked <= 3 * head.len(), "{walked} bytes for {head:.80}: {parsed:?}");
    }
}

#[test]
fn the_elements_of_a_list_are_limited_and_empty_ones_count() {
    let many = |count: usize| "a;".repeat(count);
    for (old, header, list, fits) in [
        ("chat, superchat", "Sec-WebSocket-Protocol", ",".repeat(64), true),
        ("chat, superchat", "Sec-WebSocket-Protocol", ",".repeat(65), false),
        ("chat, superchat", "Sec-WebSocket-Protocol", format!("{}a", ",".repeat(64)), false),
        ("chat, superchat", "Sec-WebSocket-Protocol", format!("a{}", " ,".repeat(8_000)), false),
        ("keep-alive, Upgrade", "Connection", format!("{}Upgrade", "a,".repeat(63)), true),
        ("keep-alive, Upgrade", "Connection", format!("{}Upgrade", "a,".repeat(64)), false),
        ("keep-alive, Upgrade", "Connection", format!("Upgrade{}", ",a".repeat(64)), false),
        ("Upgrade: websocket", "Upgrade", format!("Upgrade: {}websocket", ",".repeat(63)), true),
        ("Upgrade: websocket", "Upgrade", format!("Upgrade: websocket{}", ",".repeat(65)), false),
        ("Origin", EXTENSIONS, format!("{EXTENSIONS}: {}a\r\nOrigin", many(63)), true),
        ("Origin", EXTENSIONS, format!("{EXTENSIONS}: {}a\r\nOrigin", many(64)), false),
        ("Origin", EXTENSIONS, format!("{EXTENSIONS}: {}\r\nOrigin", "a,".repeat(65)), false),
    ] {
        let limits = HeadLimits { line: 16_384, bytes: 32_768, ..HeadLimits::default() };
        let head = HEAD.replacen(old, &list, 1);
        let error = HandshakeError::Http(HttpError::too_many_elements(header));
        let expected = if fits { Ok(()) } else { Err(error) };
        assert_eq!(
            UpgradeRequest::parse(head.as_bytes(), &limits).map(drop),
            expected,
            "{list:.80}"
        );
        assert_eq!(error.status(), 431);
    }
    // Over however many lines.
    let lines = "Sec-WebSocket-Protocol:\r\n".repeat(65) + "Origin";
    assert_eq!(parse_with("Origin", &lines), Ok(()));
    let lines = "Sec-WebSocket-Protocol: ,\r\n".repeat(64) + "Origin";
    assert_eq!(parse_with("Origin", &lines).unwrap_err().status(), 431);
    // A request that opens no WebSocket is refused for its list, too.
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {}\r\n\r\n", ",".repeat(65));
    let parsed = HttpRequest::parse(head.as_bytes(), &HeadLimits::default());
    assert_eq!(parsed.unwrap_err().status(), 431);
}

#[test]
fn a_generous_limit_costs_a_small_head_nothing() {
    let limits = HeadLimits { bytes: usize::MAX, line: usize::MAX, headers: usize::MAX };
    assert!(UpgradeRequest::parse(HEAD.as_bytes(), &limits).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_without_panic(
        head in proptest::collection::vec(any::<u8>(), 0..256),
        limits in (0_usize..300, 0_usize..100, 0_usize..10),
    ) {
        let (bytes, line, headers) = limits;
        let _ = UpgradeRequest::parse(&head, &HeadLimits { bytes, line, headers });
    }

    #[test]
    fn a_mutated_request_is_parsed_without_panic(
        edits in proptest::collection::vec(
            (0..HEAD.len(), 0_usize..4, "[\\x00-\\x7f]{0,4}|\r\n|\r\n\r\n|: |,|Host: a\r\n"),
            1..4,
        ),
    ) {
        let mut head = HEAD.as_bytes().to_vec();
        for (at, cut, text) in edits {
            let at = at.min(head.len());
            let end = (at + cut).min(head.len());
            head.splice(at..end, text.into_bytes());
        }
        if let Ok(request) = parse(&head) {
            prop_assert!(request.path().starts_with('/'));
            prop_assert!(!request.host().is_empty());
            prop_assert!(request.subprotocols().all(|name| is_token(name.as_bytes())));
            prop_assert!(request.headers().count() >= 5);
            prop_assert!(request.headers().all(|(name, _)| is_token(name.as_bytes())));
        }
    }
}
