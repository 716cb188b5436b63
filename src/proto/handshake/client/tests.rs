use proptest::prelude::*;

use super::*;
use crate::proto::handshake::{Acceptance, UpgradeRequest};

const HEAD: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    Sec-WebSocket-Protocol: chat\r\n\
    X-Extra: a\r\n\
    \r\n";

fn key() -> Key {
    Key::from_nonce(*b"the sample nonce")
}

fn asked() -> ClientRequest {
    let url = WsUrl::parse("ws://example.com:9001/chat?room=7").unwrap();
    ClientRequest::new(url).subprotocol("superchat").unwrap().subprotocol("chat").unwrap()
}

fn check(head: &[u8]) -> Result<UpgradeResponse<'_>, HandshakeError> {
    asked().check_response(head, &HeadLimits::default(), &key())
}

/// What the sample gives when `old`, which has to occur in it, is replaced.
fn check_with(old: &str, new: &str) -> Result<(), HandshakeError> {
    assert!(HEAD.contains(old), "{old:?}");
    check(HEAD.replacen(old, new, 1).as_bytes()).map(drop)
}

#[test]
fn request_to_the_byte() {
    let mut out = b"before ".to_vec();
    let request = asked().origin("http://example.com").unwrap().header("Cookie", "a=b").unwrap();
    request.write(&key(), &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "before GET /chat?room=7 HTTP/1.1\r\nHost: example.com:9001\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\nOrigin: http://example.com\r\n\
         Sec-WebSocket-Protocol: superchat, chat\r\nCookie: a=b\r\n\r\n"
    );
}

#[test]
fn refuses_to_ask_for_nonsense() {
    use InvalidHeader as E;
    let refused = |request: Result<ClientRequest, E>| request.unwrap_err();
    assert_eq!(refused(asked().origin("example.com")), E::Value("Origin".to_owned()));
    assert_eq!(refused(asked().origin("http://a\r\nX: b")), E::Value("Origin".to_owned()));
    assert_eq!(refused(asked().subprotocol("a b")), E::Subprotocol("a b".to_owned()));
    assert_eq!(refused(asked().subprotocol("")), E::Subprotocol(String::new()));
    assert_eq!(refused(asked().subprotocol("chat")), E::RepeatedSubprotocol("chat".to_owned()));
    assert_eq!(refused(asked().header("Host", "evil.org")), E::Reserved("Host".to_owned()));
    assert_eq!(refused(asked().header("Cookie", "a\r\nX: b")), E::Value("Cookie".to_owned()));
}

#[test]
fn an_answer_that_opens() {
    let accepted = check(HEAD.as_bytes()).unwrap();
    assert_eq!(accepted.subprotocol(), Some("chat"));
    assert_eq!(accepted.header("x-extra"), Some("a"));
    assert_eq!(accepted.headers().count(), 5);
    for (old, new) in [
        (" Switching Protocols", ""),
        (" Switching Protocols", " \u{e9}"),
        ("websocket", "WebSocket"),
        ("Connection: Upgrade", "connection: keep-alive, upgrade"),
        ("Sec-WebSocket-Protocol: chat\r\n", ""),
        ("X-Extra: a", "Content-Length: 0"),
        ("X-Extra: a", "Content-Length: 5"),
        ("X-Extra: a", "Content-Length: 5\r\nContent-Length: many"),
        ("X-Extra: a", "Transfer-Encoding: chunked"),
        ("X-Extra: a", "Sec-WebSocket-Extensions:"),
    ] {
        assert_eq!(check_with(old, new), Ok(()), "{new:?}");
    }
}

#[test]
fn answers_that_do_not() {
    use HandshakeError as E;
    use HandshakeError::Http;
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    for (old, new, error) in [
        ("101 Switching Protocols", "200 OK", E::UnexpectedStatus(200)),
        ("101 Switching Protocols", "302 Found", E::UnexpectedStatus(302)),
        ("HTTP/1.1 101", "HTTP/1.0 403", E::UnexpectedStatus(403)),
        ("101 Switching Protocols", "000", E::UnexpectedStatus(0)),
        ("HTTP/1.1", "HTTP/1.0", Http(HttpError::UnsupportedVersion)),
        ("HTTP/1.1", "HTTP/2.0", Http(HttpError::InvalidStartLine)),
        ("HTTP/1.1", "ICY", Http(HttpError::InvalidStartLine)),
        ("101", "1o1", Http(HttpError::InvalidStartLine)),
        ("101", "1010", Http(HttpError::InvalidStartLine)),
        ("HTTP/1.1", "\r\nHTTP/1.1", Http(HttpError::LeadingEmptyLine)),
        ("Upgrade: websocket\r\n", "", E::MissingUpgrade),
        ("Upgrade: websocket", "Upgrade: websocket, h2c", E::MissingUpgrade),
        ("websocket", "websocket\r\nUpgrade: h2c", Http(HttpError::RepeatedHeader("Upgrade"))),
        ("Connection: Upgrade\r\n", "", E::MissingConnection),
        ("Connection: Upgrade", "Connection: close", E::MissingConnection),
        (accept, "X: a", Http(HttpError::MissingHeader("Sec-WebSocket-Accept"))),
        ("xOo=", "xOo", E::WrongAccept),
        ("s3p", "S3p", E::WrongAccept),
        ("xOo=", "xOo=, a", E::WrongAccept),
        ("X-Extra: a", accept, Http(HttpError::RepeatedHeader("Sec-WebSocket-Accept"))),
        ("Protocol: chat", "Protocol: Chat", E::UnaskedSubprotocol),
        ("Protocol: chat", "Protocol: other", E::UnaskedSubprotocol),
        ("Protocol: chat", "Protocol: chat, superchat", E::UnaskedSubprotocol),
        ("Protocol: chat", "Protocol:", E::UnaskedSubprotocol),
        ("Protocol: chat", "Protocol: \u{e9}", E::UnaskedSubprotocol),
        (
            "X-Extra: a",
            "Sec-WebSocket-Protocol: superchat",
            Http(HttpError::RepeatedHeader("Sec-WebSocket-Protocol")),
        ),
        ("X-Extra: a", "Sec-WebSocket-Extensions: permessage-deflate", E::UnaskedExtension),
        ("X-Extra: a", "X-Extra : a", Http(HttpError::InvalidHeaderLine)),
        ("X-Extra: a", " folded", Http(HttpError::LineFolding)),
        ("X-Extra: a\r\n", "X-Extra: a\n", Http(HttpError::InvalidLineEnding)),
        ("\r\n\r\n", "\r\n", Http(HttpError::HeadBoundary)),
        ("\r\n\r\n", "\r\n\r\n\u{1}", Http(HttpError::HeadBoundary)),
    ] {
        assert_eq!(check_with(old, new), Err(error), "{new:?}");
    }
    let other = Key::from_nonce(*b"another nonce...");
    let answer = asked().check_response(HEAD.as_bytes(), &HeadLimits::default(), &other);
    assert_eq!(answer.unwrap_err(), E::WrongAccept);
    let quiet = ClientRequest::new(asked().url);
    let answer = quiet.check_response(HEAD.as_bytes(), &HeadLimits::default(), &key());
    assert_eq!(answer.unwrap_err(), E::UnaskedSubprotocol);
}

/// Headers that are allowed: the names cannot be reserved ones, the values are plain text.
fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let header = ("X-[!#$%&'*+.^_`|~0-9A-Za-z-]{0,8}", "|[!-~]|[!-~][ -~\t]{0,20}[!-~]");
    proptest::collection::vec(header, 0..5)
}

proptest! {
    #[test]
    fn what_one_side_writes_the_other_accepts(
        target in "(/[a-z0-9._~!$&'()*+,;=:@/-]{0,20})?(\\?([a-z/?]|%[0-9A-F]{2}){0,9})?",
        port in proptest::option::of(1_u16..),
        nonce in any::<[u8; 16]>(),
        origin in proptest::option::of("null|https?://[a-z0-9.-]{1,20}(:[1-9][0-9]{0,3})?"),
        offered in proptest::collection::btree_set("[!#-'*+.0-9A-Z^-z|~-]{1,8}", 0..5),
        asked_headers in headers(),
        answered_headers in headers(),
    ) {
        let (key, limits) = (Key::from_nonce(nonce), HeadLimits::default());
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let url = WsUrl::parse(&format!("ws://example.com{port}{target}")).unwrap();
        let mut asked = ClientRequest::new(url);
        for name in &offered {
            asked = asked.subprotocol(name).unwrap();
        }
        for (name, value) in &asked_headers {
            asked = asked.header(name, value).unwrap();
        }
        if let Some(origin) = &origin {
            asked = asked.origin(origin).unwrap();
        }
        let mut to_server = Vec::new();
        asked.write(&key, &mut to_server);

        let request = UpgradeRequest::parse(&to_server, &limits).unwrap();
        prop_assert_eq!(request.target(), asked.url().target());
        prop_assert_eq!(request.host(), asked.url().host_header());
        prop_assert_eq!(request.origin(), origin.as_deref());
        prop_assert_eq!(request.key(), key);
        prop_assert!(request.subprotocols().eq(offered.iter().map(String::as_str)));
        prop_assert!(request.headers().filter(|(name, _)| name.starts_with("X-")).eq(
            asked_headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
        ));

        let mut answer = Acceptance::new();
        if let Some(name) = offered.last() {
            answer = answer.subprotocol(name).unwrap();
        }
        for (name, value) in &answered_headers {
            answer = answer.header(name, value).unwrap();
        }
        let mut to_client = Vec::new();
        answer.write(&request.key(), &mut to_client);
        let accepted = asked.check_response(&to_client, &limits, &key).unwrap();
        prop_assert_eq!(accepted.subprotocol(), answer.chosen_subprotocol());
        let headers = 3 + usize::from(!offered.is_empty()) + answered_headers.len();
        prop_assert_eq!(accepted.headers().count(), headers);
    }

    #[test]
    fn any_answer_is_checked_without_panic(
        head in proptest::collection::vec(any::<u8>(), 0..256),
    ) {
        let _ = check(&head);
    }

    #[test]
    fn a_mutated_answer_opens_only_with_the_right_accept(
        edits in proptest::collection::vec(
            (0..HEAD.len(), 0_usize..4, "[\\x00-\\x7f]{0,4}|\r\n|\r\n\r\n|: |,"),
            1..4,
        ),
    ) {
        let mut head = HEAD.as_bytes().to_vec();
        for (at, cut, text) in edits {
            let at = at.min(head.len());
            let end = (at + cut).min(head.len());
            head.splice(at..end, text.into_bytes());
        }
        if let Ok(accepted) = check(&head) {
            let accept = accepted.header("Sec-WebSocket-Accept").unwrap_or_default();
            prop_assert_eq!(accept.as_bytes(), key().accept());
        }
    }
}
