//! Messages in pieces that never end.

use std::time::Duration;

use eventwire::proto::{Limits, OpCode};
use eventwire::{Config, ServerConfig};

use super::rig::{HALF_RECORD, KEPT_INPUT, KIB, MIB, NOISE, Rig, SESSION, feed_until_cut};
use super::service::Profile;
use crate::util::{Peer, frame};

const MESSAGE: usize = 64 * 1024;

/// By default a message of this length may have this many fragments.
const FRAGMENTS: usize = MESSAGE / 64;

const TIMEOUT: Duration = Duration::from_secs(2);

/// What all connections together may hold of unfinished messages, where that is what counts.
const INBOUND: usize = 8 * 1024 * 1024;

/// What is received at once, where what waits for the next turn counts: it is kept whole.
const RECEIVED: usize = 16 * 1024;

fn limits() -> Limits {
    Limits::default().max_message(MESSAGE).close_timeout(Duration::from_millis(500))
}

pub(super) fn profile() -> Profile {
    let limits = limits().message_timeout(TIMEOUT);
    Profile::new(Config::default(), ServerConfig::default().limits(limits))
}

/// Nothing stops fragments but the length of their message.
pub(super) fn many() -> Profile {
    let limits = limits().max_fragments(usize::MAX).control_rate(u32::MAX, u32::MAX);
    let config = Config::default().receive_buffer(RECEIVED);
    Profile::new(config, ServerConfig::default().limits(limits))
}

/// Nothing stops the peers but the memory of all together.
pub(super) fn much_memory() -> Profile {
    let limits = limits().message_timeout(Duration::from_secs(3600));
    let config = Config::default().max_inbound(INBOUND);
    Profile::new(config, ServerConfig::default().limits(limits))
}

/// The memory that the unfinished messages of `count` connections may hold.
fn messages(count: usize) -> u64 {
    // Storage doubles: as much again is spare at most.
    count as u64 * 2 * MESSAGE as u64
}

/// Fragments of `len` bytes, the first of them first, none of them last.
fn endless(len: usize, count: usize) -> Vec<u8> {
    let payload = vec![b'x'; len];
    let first = frame(false, OpCode::Text, &payload);
    [first, frame(false, OpCode::Continuation, &payload).repeat(count - 1)].concat()
}

#[test]
fn fragments_are_counted_whatever_their_length() {
    const EACH: usize = 25;
    let mut rig = Rig::start("fragments").sessions(5 * EACH, SESSION);
    let cases = [
        // Empty ones count as control frames do.
        ("empty", endless(0, 400), 1008),
        ("a byte each", endless(1, FRAGMENTS + 1), 1009),
        ("sixty bytes each", endless(60, FRAGMENTS + 1), 1009),
        ("a thousand bytes each", endless(1000, MESSAGE / 1000 + 1), 1009),
        ("half of a message each", endless(MESSAGE / 2, 3), 1009),
    ];
    let mut peers = Vec::new();
    for (name, stream, code) in &cases {
        for _ in 0..EACH {
            let mut peer = Peer::connect(rig.echo());
            peer.pour(stream);
            peers.push((name, peer, code));
        }
    }
    let mut refused = Vec::new();
    for (name, mut peer, code) in peers {
        assert_eq!(peer.until_end().close_code(), *code, "{name}");
        refused.push(peer);
    }
    rig.progress(10);
    let count = refused.len();
    feed_until_cut(refused);
    assert_eq!(rig.stat("by_protocol"), count as u64);
    rig.assert_held_at_most(messages(count) + NOISE);
    rig.end(KEPT_INPUT + NOISE);
}

#[test]
fn an_unfinished_message_holds_its_bytes_and_nothing_for_each_fragment() {
    const PEERS: usize = 50;
    let mut rig = Rig::start("fragments, by their number").sessions(PEERS, HALF_RECORD);
    // 64 KiB of payload each, in 64 Ki fragments, every other one empty: 150 MB of objects if each
    // of them were kept as one.
    let pair = [frame(false, OpCode::Continuation, b"x"), frame(false, OpCode::Continuation, b"")];
    let stream = [frame(false, OpCode::Text, b""), pair.concat().repeat(MESSAGE)].concat();
    let mut peers: Vec<_> = (0..PEERS).map(|_| Peer::connect(rig.echo())).collect();
    for peer in &mut peers {
        peer.write(&stream);
    }
    rig.until(|rig| rig.stat("bytes_received") > (PEERS * stream.len()) as u64);
    rig.progress(10);
    // What waits its turn is counted, too.
    rig.until(|rig| rig.stat("inbound_bytes") <= messages(PEERS) + PEERS as u64 * KIB);
    let waiting = (PEERS * RECEIVED) as u64;
    rig.assert_held_at_most(messages(PEERS) + waiting + KEPT_INPUT + NOISE);
    // Each of them is still what it was: a message that may end now.
    for peer in &mut peers {
        peer.write(&frame(true, OpCode::Continuation, b""));
        assert_eq!(peer.bytes(10)[..2], [0x81, 127]);
    }
    drop(peers);
    rig.end(KEPT_INPUT + waiting + MIB + NOISE);
}

#[test]
fn a_message_that_is_never_finished_is_given_up() {
    const PEERS: usize = 100;
    let mut rig = Rig::start("fragments").sessions(PEERS, HALF_RECORD);
    let beginnings = [
        endless(1, 1),
        endless(MESSAGE / 4, 3),
        frame(true, OpCode::Binary, &[0; 1000])[..500].to_vec(),
        frame(true, OpCode::Binary, &[0; MESSAGE])[..MESSAGE].to_vec(),
    ];
    let mut peers: Vec<_> = (0..PEERS).map(|_| Peer::connect(rig.echo())).collect();
    for (peer, beginning) in peers.iter_mut().zip(beginnings.iter().cycle()) {
        peer.write(beginning);
    }
    rig.progress(10);
    for peer in &mut peers {
        assert_eq!(peer.until_end().close_code(), 1008);
    }
    rig.until(|rig| rig.stat("inbound_bytes") == 0);
    assert_eq!(rig.stat("by_timeout"), PEERS as u64);
    feed_until_cut(peers);
    rig.assert_held_at_most(messages(PEERS) + NOISE);
    rig.end(KEPT_INPUT + NOISE);
}

#[test]
fn those_who_hold_most_are_closed_when_all_hold_too_much() {
    const PEERS: usize = 400;
    let mut rig = Rig::start("fragments, all that memory holds").sessions(PEERS, HALF_RECORD);
    // The allocator keeps what was once given back to it.
    let most = INBOUND as u64 + KEPT_INPUT + NOISE;
    let stream = endless(1000, 60);
    for round in 1..=3 {
        let mut peers: Vec<_> = (0..PEERS).map(|_| Peer::connect(rig.echo())).collect();
        // Four times as much as all may hold.
        for peer in &mut peers {
            peer.pour(&stream);
        }
        for peer in &mut peers {
            peer.try_write(&frame(true, OpCode::Ping, b"still there?"));
            assert!(rig.stat("inbound_bytes") <= INBOUND as u64);
        }
        rig.progress(10);
        let (mut open, mut refused) = (Vec::new(), Vec::new());
        for mut peer in peers {
            // A pong, or a close frame.
            if peer.bytes(1) == [0x8A] { open.push(peer) } else { refused.push(peer) }
        }
        let closed = rig.stat("by_memory_pressure");
        assert!(refused.len() > PEERS / 2 && open.len() > PEERS / 10, "{closed} were closed");
        for peer in &mut refused {
            assert_eq!(peer.bytes(3)[1..], 1013_u16.to_be_bytes());
        }
        feed_until_cut(refused);
        drop(open);
        rig.until(|rig| rig.peers() == 0);
        rig.assert_held_at_most(most);
        assert_eq!(rig.stat("inbound_bytes"), 0, "round {round}");
    }
    rig.end(most);
}
