//! What a server may send before its final response.

use super::*;
use crate::proto::handshake::HandshakeError;
use crate::proto::http::HttpError;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n";

/// The response that opens the connection, and the first message after it.
fn opened() -> Vec<u8> {
    let mut bytes = Vec::new();
    Acceptance::new().write(&Key::from_nonce([7; 16]), &mut bytes);
    bytes.extend(frame(Role::Client, true, OpCode::Text, b"hello"));
    bytes
}

fn refused(error: HandshakeError) -> Seen {
    Seen::Failed(PeerError::Handshake(error))
}

/// What a client sees of `stream`.
fn seen(stream: &[u8]) -> Vec<Seen> {
    Harness::connecting(Role::Client, &Limits::default()).feed(stream)
}

#[test]
fn interim_responses_are_skipped_whatever_pieces_they_come_in() {
    let stream = [CONTINUE, HINTS, b"HTTP/1.1 199 \r\n\r\n", &opened()].concat();
    assert_eq!(seen(&stream), [text("hello")]);
    for cut in 0..stream.len() {
        let mut harness = Harness::connecting(Role::Client, &Limits::default());
        harness.receive(&stream[..cut]);
        harness.receive(&stream[cut..]);
        assert_eq!(harness.seen, [text("hello")], "cut at {cut}");
    }
    let mut harness = Harness::connecting(Role::Client, &Limits::default());
    stream.chunks(1).for_each(|byte| harness.receive(byte));
    assert_eq!(harness.seen, [text("hello")]);
}

#[test]
fn interim_responses_are_bounded_in_number_and_in_bytes() {
    assert_eq!(seen(&[&HINTS.repeat(10), &opened()[..]].concat()), [text("hello")]);
    let error = refused(HandshakeError::TooManyInterimResponses { limit: 10 });
    assert_eq!(seen(&CONTINUE.repeat(11)), [error]);
    let long = format!("HTTP/1.1 103 \r\nX: {}\r\n\r\n", "x".repeat(8_000)).into_bytes();
    assert_eq!(seen(&[&long.repeat(2), &opened()[..]].concat()), [text("hello")]);
    let error = refused(HttpError::HeadTooLarge { limit: 16 * 1024 }.into());
    assert_eq!(seen(&long.repeat(3)), [error]);
}

#[test]
fn the_response_after_interim_responses_is_checked_as_without_them() {
    use HandshakeError as E;
    use HandshakeError::Http;
    for (answer, error) in [
        (&b"HTTP/1.1 101 Switching Protocols\r\n\r\n"[..], E::MissingUpgrade),
        (b"HTTP/1.1 103 \r\nno header\r\n\r\n", Http(HttpError::InvalidHeaderLine)),
        (b"HTTP/1.1 1000 \r\n\r\n", Http(HttpError::InvalidStartLine)),
    ] {
        assert_eq!(seen(answer), [refused(error)]);
        assert_eq!(seen(&[CONTINUE, HINTS, answer].concat()), [refused(error)]);
    }
}

#[test]
fn interim_responses_do_not_extend_the_deadline() {
    let mut harness = Harness::connecting(Role::Client, &Limits::default());
    for _ in 0..9 {
        harness.receive(CONTINUE);
        assert_eq!(harness.pass(Duration::from_secs(1)), Ok(()));
    }
    assert_eq!(harness.pass(Duration::from_secs(1)), Err(TimedOut::Handshake));
}
