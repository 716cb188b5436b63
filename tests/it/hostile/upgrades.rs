//! Requests that an intermediary could understand in another way than this server does.

use std::time::Duration;

use eventwire::proto::{Limits, OpCode};
use eventwire::{Config, ServerConfig};

use super::rig::{IN_PIECES, KIB, NOISE, Rig, SESSION, feed_until_cut};
use super::service::Profile;
use crate::util::{Peer, frame, request};

pub(super) fn profile() -> Profile {
    let limits = Limits::default().close_timeout(Duration::from_millis(500));
    Profile::new(Config::default(), ServerConfig::default().limits(limits))
}

/// What a smuggler has follow: a request of its own, and a message.
fn smuggled() -> Vec<u8> {
    [request("/smuggled", ""), frame(true, OpCode::Text, b"smuggled")].concat()
}

/// A good request with `old` replaced by `new`.
fn with(old: &str, new: &str) -> Vec<u8> {
    let good = String::from_utf8(request("/", "")).expect("text");
    assert!(good.contains(old), "{old}");
    good.replacen(old, new, 1).into_bytes()
}

/// A good request with these lines more.
fn plus(lines: &str) -> Vec<u8> {
    request("/", lines)
}

const KEY: &str = "Sec-WebSocket-Key: c2l4dGVlbiBvZiBieXRlcw==\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

/// Where one body ends and the next request begins.
fn bodies() -> Vec<(&'static str, Vec<u8>, u16)> {
    vec![
        ("a length", plus("Content-Length: 5\r\n"), 400),
        ("a length and chunks", plus("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400),
        ("chunks and a length", plus("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), 400),
        ("chunks", plus("Transfer-Encoding: chunked\r\n"), 400),
        ("chunks in disguise", plus("Transfer-Encoding: xchunked\r\n"), 400),
        ("chunks, twice", plus("Transfer-Encoding: chunked, chunked\r\n"), 400),
        ("chunks behind a tab", plus("Transfer-Encoding:\tchunked\r\n"), 400),
        ("two lengths", plus("Content-Length: 0\r\nContent-Length: 5\r\n"), 400),
        ("the same length twice", plus("Content-Length: 0\r\nContent-Length: 0\r\n"), 400),
        ("a list of lengths", plus("Content-Length: 0, 0\r\n"), 400),
        ("a length with a sign", plus("Content-Length: +0\r\n"), 400),
        ("a length in hexadecimal", plus("Content-Length: 0x0\r\n"), 400),
        ("a length below zero", plus("Content-Length: -1\r\n"), 400),
        ("a length over 64 bits", plus("Content-Length: 18446744073709551616\r\n"), 400),
        ("no length at all", plus("Content-Length:\r\n"), 400),
    ]
}

/// Where one line ends and the next begins.
fn lines() -> Vec<(&'static str, Vec<u8>, u16)> {
    vec![
        ("a bare line feed", with("localhost\r\n", "localhost\n"), 400),
        ("a bare carriage return", with("localhost\r\n", "localhost\rX: y\r\n"), 400),
        ("line feed, carriage return", with("localhost\r\n", "localhost\n\r"), 400),
        ("two carriage returns", with("localhost\r\n", "localhost\r\r\n"), 400),
        ("only line feeds", String::from_utf8_lossy(&plus("")).replace('\r', "").into(), 400),
        ("a folded line", plus("X: y\r\n z\r\n"), 400),
        ("a line folded with a tab", plus("X: y\r\n\tz\r\n"), 400),
        ("a fold before the first header", with("Host:", " Host:"), 400),
        ("an empty line first", [b"\r\n", &plus("")[..]].concat(), 400),
        ("a null in a value", plus("X: a\0b\r\n"), 400),
        ("a null in a name", plus("X\0: a\r\n"), 400),
        ("a vertical tab", plus("X: a\x0Bb\r\n"), 400),
        ("a delete", plus("X: a\x7Fb\r\n"), 400),
        ("white space before the colon", plus("Content-Length : 5\r\n"), 400),
        ("a tab before the colon", plus("Content-Length\t: 5\r\n"), 400),
        ("white space in a name", plus("Content Length: 5\r\n"), 400),
        ("a name of no bytes", plus(": y\r\n"), 400),
        ("a line without a colon", plus("Content-Length\r\n"), 400),
        ("a name that is not ASCII", plus("Contént-Length: 5\r\n"), 400),
        ("a name in quotes", plus("\"X\": y\r\n"), 400),
    ]
}

/// The request line, its target and its version.
fn targets() -> Vec<(&'static str, Vec<u8>, u16)> {
    let host = "Host: localhost\r\n";
    vec![
        ("no host", with(host, ""), 400),
        ("two hosts", plus("Host: localhost\r\n"), 400),
        ("two hosts that differ", plus("host: evil.example\r\n"), 400),
        ("two hosts in one", with(host, "Host: localhost, evil.example\r\n"), 400),
        ("a host with a user", with(host, "Host: user@localhost\r\n"), 400),
        ("a host with a path", with(host, "Host: localhost/path\r\n"), 400),
        ("a host with a port over 16 bits", with(host, "Host: localhost:65616\r\n"), 400),
        ("a URL with a user", with("GET / ", "GET http://localhost@evil.example/ "), 400),
        ("a URL without a host", with("GET / ", "GET ws:///evil.example "), 400),
        ("a URL of another scheme", with("GET / ", "GET ftp://evil.example/ "), 400),
        ("an authority", with("GET / ", "GET evil.example:80 "), 400),
        ("an asterisk", with("GET / ", "GET * "), 400),
        ("a fragment", with("GET / ", "GET /#x "), 400),
        ("a null in the target", with("GET / ", "GET /\0 "), 400),
        ("a space in the target", with("GET / ", "GET /a b "), 400),
        ("two spaces", with("GET / ", "GET  / "), 400),
        ("a tunnel", with("GET / ", "CONNECT evil.example:80 "), 405),
        ("another method", with("GET ", "POST "), 405),
        ("a method in small letters", with("GET ", "get "), 405),
        ("a method with more to it", with("GET ", "GETX "), 405),
        ("HTTP/1.0", with("HTTP/1.1", "HTTP/1.0"), 505),
        ("HTTP/2", with("HTTP/1.1", "HTTP/2.0"), 505),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 505),
        ("HTTP/1.1 in small letters", with("HTTP/1.1", "http/1.1"), 400),
        ("HTTP/01.1", with("HTTP/1.1", "HTTP/01.1"), 400),
        ("no version", with(" HTTP/1.1", ""), 400),
        ("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xFC\x03\x03".to_vec(), 400),
        ("a frame instead of a request", frame(true, OpCode::Text, b"hello"), 400),
    ]
}

/// A header with as many elements.
fn list(header: &str, element: &str, count: usize) -> String {
    let colon = if header.contains(':') { "" } else { ": " };
    format!("{header}{colon}{}\r\n", element.repeat(count))
}

/// Whether it is a WebSocket that is asked for.
fn openings() -> Vec<(&'static str, Vec<u8>, u16)> {
    let upgrade = "Upgrade: websocket\r\n";
    let connection = "Connection: Upgrade\r\n";
    vec![
        ("no upgrade", with(upgrade, ""), 426),
        ("another upgrade", with(upgrade, "Upgrade: h2c\r\n"), 426),
        ("an upgrade with more to it", with(upgrade, "Upgrade: websocketx\r\n"), 426),
        ("no connection", with(connection, ""), 400),
        ("a connection that closes", with(connection, "Connection: close\r\n"), 400),
        ("a connection in quotes", with(connection, "Connection: \"Upgrade\"\r\n"), 400),
        ("no key", with(KEY, ""), 400),
        ("two keys", plus(KEY), 400),
        ("a key of 15 bytes", with(KEY, "Sec-WebSocket-Key: c2l4dGVlbiBvZiBieXRl\r\n"), 400),
        ("a key of 17 bytes", with(KEY, "Sec-WebSocket-Key: c2l4dGVlbiBvZiBieXRlc3M=\r\n"), 400),
        ("a key without padding", with(KEY, "Sec-WebSocket-Key: c2l4dGVlbiBvZiBieXRlcw\r\n"), 400),
        ("a key that is none", with(KEY, "Sec-WebSocket-Key: ************************\r\n"), 400),
        ("no version", with(VERSION, ""), 426),
        ("two versions", plus(VERSION), 426),
        ("version 12", with(VERSION, "Sec-WebSocket-Version: 12\r\n"), 426),
        ("version 8", with(VERSION, "Sec-WebSocket-Version: 8\r\n"), 426),
        ("versions in a list", with(VERSION, "Sec-WebSocket-Version: 13, 8\r\n"), 426),
        ("version 013", with(VERSION, "Sec-WebSocket-Version: 013\r\n"), 426),
        ("a subprotocol that is no token", plus("Sec-WebSocket-Protocol: a b\r\n"), 400),
        ("a subprotocol twice", plus("Sec-WebSocket-Protocol: a, a\r\n"), 400),
        ("subprotocols of commas", plus(&list("Sec-WebSocket-Protocol", ",", 6_000)), 431),
        ("many subprotocols", plus(&list("Sec-WebSocket-Protocol", "a,", 3_000)), 431),
        ("extensions of commas", plus(&list("Sec-WebSocket-Extensions", ",", 6_000)), 431),
        ("many parameters", plus(&list("Sec-WebSocket-Extensions: a", ";b", 3_000)), 431),
        ("a connection of commas", plus(&list("Connection", ",", 6_000)), 431),
        ("many upgrades", plus(&list("Upgrade", "h2c,", 1_000)), 431),
    ]
}

#[test]
fn malformed_upgrades_get_one_answer_and_nothing_behind_them_is_understood() {
    let cases: Vec<_> = [bodies(), lines(), targets(), openings()].concat();
    let mut rig = Rig::start("upgrades").sessions(2 * cases.len(), IN_PIECES);
    let mut refused = Vec::new();
    for (name, head, status) in &cases {
        // With something behind it, and by itself in single bytes.
        let mut at_once = Peer::open(rig.echo());
        at_once.pour(&[head, &smuggled()[..]].concat());
        let mut in_pieces = Peer::open(rig.echo());
        let complete = head.iter().all(|byte| in_pieces.try_write(std::slice::from_ref(byte)));
        for mut peer in [at_once, in_pieces] {
            let received = peer.until_end();
            assert_eq!(received.status(), *status, "{name}, {complete}: {}", received.text());
            refused.push(peer);
        }
    }
    rig.progress(10);
    feed_until_cut(refused);
    let stats = rig.stats();
    assert_eq!(stats["not_opened"], 2 * cases.len() as u64);
    assert_eq!((stats["by_failure"], stats["by_protocol"]), (0, 0));
    rig.assert_held_at_most(2 * cases.len() as u64 * 16 * KIB + NOISE);
    rig.end(NOISE);
}

#[test]
fn nothing_is_a_request_behind_an_accepted_one() {
    let rig = Rig::start("upgrades").sessions(20, SESSION);
    let mut refused = Vec::new();
    for _ in 0..20 {
        let mut peer = Peer::open(rig.echo());
        peer.write(&[plus(""), smuggled()].concat());
        let received = peer.until_end();
        let text = received.text();
        assert!(
            text.starts_with("HTTP/1.1 101 ") && text.matches("HTTP/1.1").count() == 1,
            "{text}"
        );
        // "GE" would be a frame with a reserved bit.
        assert_eq!(received.after_head().close_code(), 1002);
        refused.push(peer);
    }
    rig.progress(5);
    feed_until_cut(refused);
    rig.assert_held_at_most(NOISE);
    rig.end(NOISE);
}

#[test]
fn frames_ahead_of_the_answer_are_messages_only_once_it_is_an_acceptance() {
    let mut rig = Rig::start("upgrades").sessions(2, SESSION);
    let messages = frame(true, OpCode::Text, b"early").repeat(3);
    let ending = frame(true, OpCode::Close, &1000_u16.to_be_bytes());
    let ahead = |head: Vec<u8>| [head, messages.clone(), ending.clone()].concat();

    // RFC 6455 §4.1 has a client wait; one that does not gains and loses nothing.
    let mut accepted = Peer::open(rig.echo());
    accepted.write(&ahead(plus("")));
    let received = accepted.until_end().after_head();
    assert_eq!(received.frames().len(), 4);
    assert_eq!(received.close_code(), 1000);

    let before = rig.stat("messages_received");
    let mut refused = Peer::open(rig.echo());
    refused.write(&ahead(with("Version: 13", "Version: 12")));
    assert_eq!(refused.until_end().status(), 426);
    // Bystanders apart, whose messages begin with a round.
    rig.progress(5);
    assert!(rig.stat("messages_received") > before);
    assert_eq!(rig.stat("opened"), 1 + 100 + 1);
    feed_until_cut(vec![refused]);
    drop(accepted);
    rig.assert_held_at_most(NOISE);
    rig.end(NOISE);
}
