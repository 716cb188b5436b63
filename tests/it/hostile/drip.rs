//! Streams of which each byte comes by itself.

use std::time::{Duration, Instant};

use eventwire::proto::{Limits, OpCode};
use eventwire::{Config, ServerConfig};

use super::rig::{IN_PIECES, KIB, NOISE, Rig, feed_until_cut};
use super::service::Profile;
use crate::util::{PATIENCE, Peer, frame, pattern, request};

/// How long a message may stay unfinished.
const TIMEOUT: Duration = Duration::from_secs(1);

fn with(limits: Limits) -> Profile {
    let limits = limits.close_timeout(Duration::from_millis(500));
    Profile::new(Config::default(), ServerConfig::default().limits(limits))
}

pub(super) fn profile() -> Profile {
    with(Limits::default())
}

pub(super) fn impatient() -> Profile {
    with(Limits::default().message_timeout(TIMEOUT))
}

#[test]
fn whole_conversations_in_single_bytes_are_understood() {
    const PEERS: usize = 50;
    let rig = Rig::start("drip").sessions(PEERS, IN_PIECES);
    let said = [
        request("/", "Cookie: a=b\r\n"),
        frame(false, OpCode::Text, "häl".as_bytes()),
        frame(true, OpCode::Ping, b"ping"),
        frame(true, OpCode::Continuation, "lø".as_bytes()),
        frame(true, OpCode::Binary, &pattern(130, 1)),
        frame(true, OpCode::Close, b"\x03\xE8bye"),
    ]
    .concat();
    let mut peers: Vec<_> = (0..PEERS).map(|_| Peer::open(rig.echo())).collect();
    for byte in &said {
        for peer in &mut peers {
            peer.write(std::slice::from_ref(byte));
        }
    }
    rig.progress(5);
    for peer in &mut peers {
        let expected = [
            (OpCode::Pong, b"ping".to_vec()),
            (OpCode::Text, "hällø".as_bytes().to_vec()),
            (OpCode::Binary, pattern(130, 1)),
            (OpCode::Close, b"\x03\xE8".to_vec()),
        ];
        assert_eq!(peer.until_end().after_head().frames(), expected);
    }
    drop(peers);
    rig.assert_held_at_most(PEERS as u64 * 16 * KIB + NOISE);
    rig.end(NOISE);
}

#[test]
fn a_message_that_drips_has_one_deadline() {
    const PEERS: usize = 50;
    let mut rig = Rig::start("drip, impatient").sessions(PEERS, IN_PIECES);
    let mut peers: Vec<_> = (0..PEERS).map(|_| Peer::connect(rig.echo())).collect();
    // One message, one of many fragments, and one with pings in between.
    let whole = frame(true, OpCode::Binary, &pattern(60_000, 1));
    let fragments = frame(false, OpCode::Continuation, b"x").repeat(10_000);
    let fragments = [frame(false, OpCode::Binary, b""), fragments].concat();
    let pinging = [frame(false, OpCode::Continuation, b"x"), frame(true, OpCode::Ping, b"")];
    let pinging = [frame(false, OpCode::Binary, b""), pinging.concat().repeat(10_000)].concat();
    let streams = [whole, fragments, pinging];
    let mut dripping: Vec<_> = peers.iter_mut().zip(streams.iter().cycle()).collect();
    let start = Instant::now();
    for at in 0.. {
        dripping.retain_mut(|(peer, stream)| peer.pour(&stream[at..=at]).is_some());
        if dripping.is_empty() {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "a drip keeps a message alive");
        rig.pass(Duration::from_millis(5));
    }
    rig.progress(5);
    for peer in &mut peers {
        assert_eq!(peer.until_end().close_code(), 1008);
    }
    assert_eq!(rig.stat("by_timeout"), PEERS as u64);
    feed_until_cut(peers);
    rig.assert_held_at_most(PEERS as u64 * 16 * KIB + NOISE);
    rig.end(NOISE);
}
