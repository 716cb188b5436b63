//! Peers that vanish without a word, or by halves.

use std::time::{Duration, Instant};

use eventwire::proto::{Limits, OpCode};
use eventwire::{Config, ServerConfig};

use super::rig::{KIB, NOISE, Rig, SESSION};
use super::service::Profile;
use crate::util::{Peer, frame, request};

const PING: Duration = Duration::from_millis(500);
const PONG: Duration = Duration::from_millis(1500);

pub(super) fn profile() -> Profile {
    let limits = Limits::default()
        .ping_interval(Some(PING))
        .pong_timeout(PONG)
        .close_timeout(Duration::from_millis(500));
    Profile::new(Config::default(), ServerConfig::default().limits(limits))
}

#[test]
fn who_answers_no_ping_is_cut_and_forgotten() {
    const PEERS: usize = 400;
    let mut rig = Rig::start("dead").sessions(PEERS, SESSION);
    let start = Instant::now();
    let silences = [
        Vec::new(),
        frame(true, OpCode::Text, b"the last word"),
        frame(false, OpCode::Text, b"not the last word"),
        frame(true, OpCode::Binary, &[0; 300])[..100].to_vec(),
        frame(true, OpCode::Text, b"x")[..1].to_vec(),
    ];
    let speak = |number: usize| {
        let mut peer = Peer::connect(rig.echo());
        peer.write(&silences[number % silences.len()]);
        peer
    };
    let mut peers: Vec<_> = (0..PEERS).map(speak).collect();
    rig.progress(10);
    // They keep their ends, and are forgotten all the same.
    rig.until(|rig| rig.peers() == 0);
    // Neither is early; each deadline counts from a turn's beginning.
    assert!(start.elapsed() >= (PING + PONG) / 2, "{:?}", start.elapsed());
    assert_eq!(rig.stat("by_timeout"), PEERS as u64);
    for (number, peer) in peers.iter_mut().enumerate() {
        let mut received = peer.until_end().frames();
        assert_eq!(received.pop(), Some((OpCode::Ping, Vec::new())));
        received.retain(|(opcode, _)| *opcode != OpCode::Ping);
        assert_eq!(received.len(), usize::from(number % silences.len() == 1), "{received:?}");
    }
    rig.assert_held_at_most(PEERS as u64 * 8 * KIB + NOISE);
    rig.end(NOISE);
}

#[test]
fn who_sends_no_more_is_gone() {
    const EACH: usize = 20;
    let request = request("/", "");
    let after = |bytes: &[u8]| [&request, bytes].concat();
    let close = frame(true, OpCode::Close, &1000_u16.to_be_bytes());
    let whole = frame(true, OpCode::Text, b"whole");
    // What they send before they half-close, and how many frames they receive after the head;
    // `None`: not even a head.
    let cases = [
        ("nothing", Vec::new(), None),
        ("half a head", request[..50].to_vec(), None),
        ("all of a head but a byte", request[..request.len() - 1].to_vec(), None),
        ("a head", after(b""), Some(0)),
        ("half a header", after(b"\x81"), Some(0)),
        ("half a payload", after(&whole[..8]), Some(0)),
        ("half a message", after(&frame(false, OpCode::Text, b"half")), Some(0)),
        ("half a ping", after(&frame(true, OpCode::Ping, b"ping")[..7]), Some(0)),
        ("half a close", after(&close[..7]), Some(0)),
        ("a message", after(&whole), Some(1)),
        ("a message and a half", after(&[&whole[..], &whole[..7]].concat()), Some(1)),
        ("a close", after(&close), Some(1)),
    ];
    let mut rig = Rig::start("dead").sessions(cases.len() * EACH, SESSION);
    let mut peers = Vec::new();
    for (name, said, frames) in &cases {
        for _ in 0..EACH {
            let mut peer = Peer::open(rig.echo());
            peer.write(said);
            peer.finish();
            peers.push((name, peer, *frames));
        }
    }
    for (name, peer, frames) in &mut peers {
        let received = peer.until_end();
        match frames {
            None => assert!(received.is_empty(), "{name}: {}", received.text()),
            Some(count) => assert_eq!(received.after_head().frames().len(), *count, "{name}"),
        }
    }
    rig.until(|rig| rig.peers() == 0);
    rig.progress(10);
    rig.assert_held_at_most(peers.len() as u64 * 8 * KIB + NOISE);
    rig.end(NOISE);
}

#[test]
fn who_never_ends_its_stream_after_a_close_is_cut() {
    const PEERS: usize = 200;
    let mut rig = Rig::start("dead").sessions(PEERS, SESSION);
    let endings = [
        (frame(true, OpCode::Close, &1001_u16.to_be_bytes()), 1001),
        (b"\x81\x01x".to_vec(), 1002),
        (frame(true, OpCode::Text, b"\xFF"), 1007),
    ];
    // Each before it would have to answer a ping.
    let end = |number: usize| {
        let mut peer = Peer::connect(rig.echo());
        let (ending, code) = &endings[number % endings.len()];
        peer.write(ending);
        (peer, *code)
    };
    let mut peers: Vec<_> = (0..PEERS).map(end).collect();
    for (peer, code) in &mut peers {
        assert_eq!(peer.until_end().close_code(), *code);
    }
    rig.progress(5);
    rig.until(|rig| rig.peers() == 0);
    rig.assert_held_at_most(PEERS as u64 * 8 * KIB + NOISE);
    // Their ends were there all the time.
    drop(peers);
    rig.end(NOISE);
}
