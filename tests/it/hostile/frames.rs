//! Frames that RFC 6455 does not allow.

use std::time::Duration;

use eventwire::proto::{Limits, OpCode};
use eventwire::{Config, ServerConfig};

use super::rig::{IN_PIECES, KIB, NOISE, Rig, SESSION, feed_until_cut};
use super::service::Profile;
use crate::util::{Peer, frame};

/// The longest message.
const MESSAGE: usize = 1024 * 1024;

pub(super) fn profile() -> Profile {
    let limits = Limits::default()
        .max_message(MESSAGE)
        .message_timeout(Duration::from_secs(3600))
        .close_timeout(Duration::from_millis(500));
    Profile::new(Config::default(), ServerConfig::default().limits(limits))
}

type Case = (&'static str, Vec<u8>, u16);

/// A frame that begins with these bytes, masked with zeros.
fn raw(first: u8, len: &[u8], payload: &[u8]) -> Vec<u8> {
    [&[first][..], len, &[0; 4], payload].concat()
}

/// What a header shows by itself (RFC 6455 §5.2).
fn headers() -> Vec<Case> {
    let mut cases = vec![
        ("no mask", b"\x81\x01x".to_vec(), 1002),
        ("no mask, and no payload", b"\x81\x00".to_vec(), 1002),
        ("RSV1", raw(0xC1, b"\x80", b""), 1002),
        ("RSV2", raw(0xA1, b"\x80", b""), 1002),
        ("RSV3", raw(0x91, b"\x80", b""), 1002),
        ("RSV1 of a ping", raw(0xC9, b"\x80", b""), 1002),
        ("a length of 125 in 16 bits", raw(0x82, b"\xFE\0\x7D", b""), 1002),
        ("a length of 0 in 16 bits", raw(0x82, b"\xFE\0\0", b""), 1002),
        ("a length of 65,535 in 64 bits", raw(0x82, b"\xFF\0\0\0\0\0\0\xFF\xFF", b""), 1002),
        ("a length of 0 in 64 bits", raw(0x82, b"\xFF\0\0\0\0\0\0\0\0", b""), 1002),
        ("a length of 2^63", raw(0x82, b"\xFF\x80\0\0\0\0\0\0\0", b""), 1002),
        ("a length of 2^64 - 1", raw(0x82, &[0xFF; 9], b""), 1002),
        ("a length of 2^63 - 1", raw(0x82, b"\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", b""), 1009),
        ("a length of 2^32", raw(0x82, b"\xFF\0\0\0\x01\0\0\0\0", b""), 1009),
        ("one byte too many", raw(0x82, b"\xFF\0\0\0\0\0\x10\0\x01", b""), 1009),
        ("a ping of 126 bytes", raw(0x89, b"\xFE\0\x7E", &[0; 126]), 1002),
        ("a pong of 64 KiB", raw(0x8A, b"\xFF\0\0\0\0\0\x01\0\0", b""), 1002),
        ("a ping in fragments", raw(0x09, b"\x80", b""), 1002),
        ("a pong in fragments", raw(0x0A, b"\x80", b""), 1002),
        ("a close in fragments", raw(0x08, b"\x80", b""), 1002),
        ("a close of 126 bytes", raw(0x88, b"\xFE\0\x7E", &[3; 126]), 1002),
    ];
    cases.extend(
        (0x3..=0x7)
            .chain(0xB..=0xF)
            .map(|opcode: u8| ("a reserved opcode", raw(0x80 | opcode, b"\x80", b""), 1002)),
    );
    cases
}

/// What is wrong with the order of frames (RFC 6455 §5.4).
fn sequences() -> Vec<Case> {
    let begun = frame(false, OpCode::Text, b"begun");
    let more = |bytes: Vec<u8>| [begun.clone(), bytes].concat();
    let most = frame(false, OpCode::Binary, &vec![0; MESSAGE]);
    vec![
        ("a continuation of nothing", frame(true, OpCode::Continuation, b"x"), 1002),
        ("an open continuation of nothing", frame(false, OpCode::Continuation, b""), 1002),
        (
            "a continuation of what is finished",
            more(frame(true, OpCode::Continuation, b"").repeat(2)),
            1002,
        ),
        ("text inside of a message", more(frame(true, OpCode::Text, b"x")), 1002),
        ("binary inside of a message", more(frame(false, OpCode::Binary, b"x")), 1002),
        (
            "a fragment over the limit",
            [most, frame(true, OpCode::Continuation, b"x")].concat(),
            1009,
        ),
    ]
}

/// Text that is not UTF-8 (RFC 6455 §8.1).
fn texts() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        ("a byte that UTF-8 has not", &b"good\xFF"[..]),
        ("a continuation byte by itself", b"\x80"),
        ("a letter in two bytes", b"\xC1\x81"),
        ("a slash in two bytes", b"\xC0\xAF"),
        ("a slash in three bytes", b"\xE0\x80\xAF"),
        ("a surrogate", b"\xED\xA0\x80"),
        ("above the last character", b"\xF4\x90\x80\x80"),
        ("the end in a character", b"\xE2\x82"),
    ]
    .map(|(name, text)| (name, frame(true, OpCode::Text, text), 1007))
    .into();
    let fragments = [
        frame(false, OpCode::Text, b"\xE2\x82"),
        frame(false, OpCode::Continuation, b""),
        frame(true, OpCode::Continuation, b"x"),
    ];
    cases.push(("a character that fragments break off", fragments.concat(), 1007));
    // Known to be wrong long before its end.
    let unfinished = frame(true, OpCode::Text, &[b"\xFF", &[b'x'; 60_000][..]].concat());
    cases.push(("the first byte of many", unfinished[..20].to_vec(), 1007));
    cases
}

/// Close frames (RFC 6455 §5.5.1 and §7.4).
fn closes() -> Vec<Case> {
    let code = |code: u16| frame(true, OpCode::Close, &code.to_be_bytes());
    let mut cases = vec![
        ("a close of one byte", frame(true, OpCode::Close, b"\x03"), 1002),
        ("a reason that is not UTF-8", frame(true, OpCode::Close, b"\x03\xE8\xFF"), 1007),
    ];
    let codes = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];
    cases.extend(codes.map(|number| ("a code that nobody may send", code(number), 1002)));
    cases
}

#[test]
fn violations_are_told_their_code_and_nothing_behind_them_is_understood() {
    let cases: Vec<_> = [headers(), sequences(), texts(), closes()].concat();
    let mut rig = Rig::start("frames").sessions(2 * cases.len(), IN_PIECES);
    let behind = frame(true, OpCode::Text, b"behind").repeat(3);
    let good = frame(true, OpCode::Text, b"good");
    let mut refused = Vec::new();
    for (name, bytes, code) in &cases {
        let mut at_once = Peer::connect(rig.echo());
        at_once.pour(&[&good, &bytes[..], &behind].concat());
        let mut peers = vec![at_once];
        if bytes.len() < 1000 {
            let mut in_pieces = Peer::connect(rig.echo());
            let whole = [&good, &bytes[..]].concat();
            // It may be closed before it has sent everything.
            let _ = whole.iter().all(|byte| in_pieces.try_write(std::slice::from_ref(byte)));
            peers.push(in_pieces);
        }
        for mut peer in peers {
            let received = peer.until_end();
            let frames = received.frames();
            assert_eq!(received.close_code(), *code, "{name}");
            // The echo of what was right comes before it, and of nothing behind it.
            assert_eq!(frames[0].1, b"good", "{name}");
            assert!(frames.iter().all(|(_, payload)| payload != b"behind"), "{name}");
            refused.push(peer);
        }
    }
    rig.progress(10);
    let count = refused.len() as u64;
    feed_until_cut(refused);
    let stats = rig.stats();
    assert_eq!((stats["by_protocol"], stats["by_failure"]), (count, 0));
    // One case has a message of the longest length, in storage that doubles; the others nothing.
    rig.assert_held_at_most(2 * MESSAGE as u64 + count * 4 * KIB + NOISE);
    rig.end(KIB * 4096 + NOISE);
}

#[test]
fn nothing_is_set_aside_for_a_length_that_is_only_declared() {
    const PEERS: usize = 300;
    let mut rig = Rig::start("frames").sessions(PEERS, SESSION);
    // All of them together: 300 MiB.
    let header = &frame(true, OpCode::Binary, &vec![0; MESSAGE])[..14];
    let mut peers: Vec<_> = (0..PEERS).map(|_| Peer::connect(rig.echo())).collect();
    for peer in &mut peers {
        peer.write(header);
    }
    rig.progress(10);
    for peer in &mut peers {
        peer.write(b"a few bytes");
    }
    rig.until(|rig| rig.stat("inbound_bytes") > 0);
    rig.progress(10);
    // The first storage of a payload that is to be long.
    let most = PEERS as u64 * 2 * 16 * KIB;
    let held = rig.stat("inbound_bytes");
    assert!(held <= most, "{held}");
    rig.assert_held_at_most(most + NOISE);
    drop(peers);
    rig.end(4 * 1024 * KIB + NOISE);
}
