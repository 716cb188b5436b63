//! Messages that are short while they are compressed.

use std::io::Write;
use std::thread;
use std::time::Duration;

use eventwire::proto::{DeflateConfig, Limits, OpCode};
use eventwire::{Config, ServerConfig};
use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::rig::{
    HALF_RECORD, KEPT_INPUT, KEPT_OUTPUT, KIB, NOISE, Rig, SESSION, UNSENT, feed_until_cut,
};
use super::service::Profile;
use crate::util::{Peer, frame};

const MESSAGE: usize = 256 * 1024;

/// How many peers do the same.
const EACH: usize = 20;

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

fn with(config: DeflateConfig) -> Profile {
    let limits = Limits::default().max_message(MESSAGE).close_timeout(Duration::from_millis(500));
    // Answers come as they are.
    let config = config.min_size(usize::MAX);
    Profile::new(Config::default(), ServerConfig::default().limits(limits).deflate(config))
}

pub(super) fn profile() -> Profile {
    with(DeflateConfig::default())
}

pub(super) fn contexts() -> Profile {
    with(DeflateConfig::default().context_takeover(true, true))
}

/// A message as RFC 7692 §7.2.1 has it compressed.
fn compressed(message: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(message).expect("into memory");
    encoder.flush().expect("into memory");
    let mut bytes = encoder.get_ref().clone();
    bytes.truncate(bytes.len() - 4);
    bytes
}

/// A message in `count` fragments, the first of which says that it is compressed.
fn fragments(payload: &[u8], count: usize) -> Vec<u8> {
    let mut stream = Vec::new();
    let len = payload.len().div_ceil(count).max(1);
    let last = payload.len().div_ceil(len).max(1) - 1;
    for (number, piece) in payload.chunks(len).enumerate() {
        let opcode = if number == 0 { OpCode::Binary } else { OpCode::Continuation };
        let mut frame = frame(number == last, opcode, piece);
        frame[0] |= if number == 0 { 0x40 } else { 0 };
        stream.extend(frame);
    }
    stream
}

fn peer(rig: &Rig) -> Peer {
    Peer::open(rig.echo()).upgrade_with(OFFER)
}

/// What a loop may hold for messages that are inflated one after the other: the one in progress,
/// whose storage doubles, and what is kept for the next.
const INFLATING: u64 = 2 * MESSAGE as u64 + KEPT_INPUT;

#[test]
fn a_bomb_is_told_1009_at_the_limit_however_it_comes() {
    for profile in ["inflate", "inflate, contexts"] {
        let mut rig = Rig::start(profile).sessions(4 * EACH, HALF_RECORD);
        // A thousand to one, and 64 MiB in all.
        let bomb = compressed(&vec![0; 64 * 1024 * 1024]);
        let stored = compressed(&vec![0; MESSAGE + 1]);
        let mut peers = Vec::new();
        for stream in [fragments(&bomb, 1), fragments(&bomb, 3), fragments(&bomb, 1000)] {
            for _ in 0..EACH {
                let mut peer = peer(&rig);
                peer.pour(&stream);
                peers.push(peer);
            }
        }
        for _ in 0..EACH {
            let mut peer = peer(&rig);
            peer.pour(&fragments(&stored, 1));
            peers.push(peer);
        }
        for peer in &mut peers {
            assert_eq!(peer.until_end().close_code(), 1009);
        }
        rig.progress(3);
        assert_eq!(rig.stat("by_protocol"), peers.len() as u64);
        // Garbage after the limit, and more of the bomb.
        for peer in &mut peers {
            peer.pour(&fragments(&bomb, 2));
        }
        let held = peers.len() as u64;
        feed_until_cut(peers);
        // Compressed, each is held until it is whole; with contexts each has a window.
        let each = bomb.len() as u64 * 2 + 64 * KIB;
        rig.assert_held_at_most(held * each + INFLATING + NOISE);
        rig.end(KEPT_INPUT + NOISE);
    }
}

#[test]
fn what_cannot_be_inflated_is_told_1007() {
    let rig = Rig::start("inflate").sessions(4 * EACH, SESSION);
    let hello = compressed(&b"hello, ".repeat(50));
    let mut truncated = fragments(&hello[..hello.len() - 3], 1);
    truncated.extend(frame(true, OpCode::Ping, b"after it"));
    let cases = [
        ("no block", fragments(&[0xFF; 100], 1)),
        ("noise in fragments", fragments(&[0x55; 3000], 30)),
        ("a block that is cut", truncated),
        ("codes that are cut", fragments(&[0x04], 1)),
    ];
    let mut peers = Vec::new();
    for (name, stream) in &cases {
        for _ in 0..EACH {
            let mut peer = peer(&rig);
            peer.pour(stream);
            peers.push((name, peer));
        }
    }
    let mut refused = Vec::new();
    for (name, mut peer) in peers {
        assert_eq!(peer.until_end().close_code(), 1007, "{name}");
        refused.push(peer);
    }
    rig.progress(3);
    feed_until_cut(refused);
    rig.assert_held_at_most(INFLATING + NOISE);
    rig.end(KEPT_INPUT + NOISE);
}

#[test]
fn messages_at_the_limit_without_end_hold_up_nobody() {
    const MESSAGES: usize = 400;
    let rig = Rig::start("inflate").sessions(4, UNSENT);
    // 100 MiB come of less than 200 KiB, and none of it is too long.
    let longest = fragments(&compressed(&vec![0; MESSAGE]), 1);
    let stream = longest.repeat(MESSAGES);
    let peers: Vec<_> = (0..4)
        .map(|_| {
            let mut peer = peer(&rig);
            let stream = stream.clone();
            thread::spawn(move || {
                peer.write(&stream);
                for _ in 0..MESSAGES {
                    // Without a mask a header of such a length has ten bytes.
                    assert!(peer.bytes(10 + MESSAGE)[10..].iter().all(|byte| *byte == 0));
                }
                peer
            })
        })
        .collect();
    rig.progress(20);
    for peer in peers {
        let mut peer = peer.join().expect("its answers");
        peer.finish();
    }
    // What is inflated for each of them in a turn, and answers that wait for slow readers.
    rig.assert_held_at_most(4 * (3 * 1024 * KIB + 2 * MESSAGE as u64) + INFLATING + NOISE);
    rig.end(KEPT_INPUT + KEPT_OUTPUT + NOISE);
}
