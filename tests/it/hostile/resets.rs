//! Streams that are reset in the middle of everything.

use std::time::Duration;

use eventwire::proto::{Limits, OpCode};
use eventwire::{Config, ServerConfig};

use super::rig::{HALF_RECORD, KEPT_INPUT, KEPT_OUTPUT, KIB, MIB, NOISE, Rig, UNSENT};
use super::service::Profile;
use crate::util::{Peer, frame, request};

/// How often each is done.
const EACH: usize = 40;

pub(super) fn profile() -> Profile {
    let limits = Limits::default().close_timeout(Duration::from_secs(2));
    Profile::new(Config::default(), ServerConfig::default().limits(limits))
}

#[test]
fn a_reset_ends_one_connection_wherever_it_comes() {
    let mut rig = Rig::start("resets").sessions(EACH, HALF_RECORD);
    let request = request("/", "");
    let large = frame(true, OpCode::Binary, &vec![b'x'; 1 << 20]);
    let fragment = frame(false, OpCode::Text, &[b'x'; 10_000]);
    // What was said before, and whether a WebSocket was opened first.
    let cases = [
        ("before anything", Vec::new(), false),
        ("in the first line", request[..5].to_vec(), false),
        ("in the head", request[..60].to_vec(), false),
        ("before the last byte of the head", request[..request.len() - 1].to_vec(), false),
        ("right behind the head", request.clone(), false),
        ("behind a head that is refused", b"nonsense\r\n\r\n".to_vec(), false),
        ("on an idle connection", Vec::new(), true),
        ("in a header", large[..5].to_vec(), true),
        ("at the start of a large payload", large[..14].to_vec(), true),
        ("in a large payload", large[..500_000].to_vec(), true),
        ("before the last byte of a message", large[..large.len() - 1].to_vec(), true),
        ("between fragments", fragment.clone(), true),
        ("in a ping between fragments", [&fragment[..], b"\x89\x85"].concat(), true),
        ("behind a large message", large.clone(), true),
        ("behind many messages", frame(true, OpCode::Text, b"x").repeat(5000), true),
        ("behind a close", frame(true, OpCode::Close, b"\x03\xE8"), true),
        ("behind nonsense", vec![0xFF; 5000], true),
    ];
    for (name, said, opened) in &cases {
        let before = rig.stats();
        for _ in 0..EACH {
            let mut peer = Peer::open(rig.echo());
            if *opened {
                peer = peer.upgrade();
            }
            peer.pour(said);
            peer.reset();
        }
        rig.until(|rig| rig.peers() == 0);
        rig.progress(1);
        let stats = rig.stats();
        let more = |name: &str| stats[name] - before[name];
        assert_eq!(more("opened") + more("not_opened"), EACH as u64, "{name}");
        if *opened {
            // The loop may have read all that was said before it met with the reset, or none.
            assert_eq!(more("opened"), EACH as u64, "{name}");
            let ends = ["by_failure", "by_peer", "by_protocol"].map(more);
            assert_eq!(ends.iter().sum::<u64>(), EACH as u64, "{name}: {ends:?}");
        }
    }
    // One large message and its answer are the most that any of them had.
    rig.assert_held_at_most(EACH as u64 * 16 * KIB + KEPT_INPUT + 4 * MIB + NOISE);
    rig.end(KEPT_INPUT + 4 * MIB + NOISE);
}

#[test]
fn a_reset_ends_those_whose_output_waits() {
    let mut rig = Rig::start("resets").sessions(EACH, UNSENT);
    // Everyone has all that may wait for it: what is written is more than systems hold.
    let questions = frame(true, OpCode::Binary, &[b'x'; 60_000]).repeat(200);
    let mut peers: Vec<_> = (0..EACH).map(|_| Peer::narrow(rig.echo())).collect();
    let mut sent = [0; EACH];
    rig.until(|rig| {
        for (peer, sent) in peers.iter_mut().zip(&mut sent) {
            *sent += peer.pour(&questions[*sent..]).expect("nobody is cut");
            assert!(*sent < questions.len());
        }
        rig.stat("outbound_bytes") > 0
    });
    rig.progress(5);
    // Soft limit and the answers to one receive, in storage that doubles.
    let most = EACH as u64 * 2 * (64 + 64 + 60) * KIB;
    rig.assert_held_at_most(most + NOISE);
    for peer in peers {
        peer.reset();
    }
    rig.until(|rig| rig.peers() == 0);
    let stats = rig.stats();
    assert_eq!((stats["outbound_bytes"], stats["by_failure"]), (0, EACH as u64));
    rig.end(KEPT_OUTPUT.min(most) + NOISE);
}

#[test]
fn a_reset_ends_those_who_are_broadcast_to() {
    let mut rig = Rig::start("resets").sessions(EACH, UNSENT);
    for round in 0..10 {
        let mut peers: Vec<_> = (0..EACH).map(|_| Peer::narrow(rig.feed())).collect();
        rig.broadcast(20, 10_000);
        for peer in peers.drain(..EACH / 2) {
            peer.reset();
        }
        // Some are dead already when it is sent, and the loop does not know it.
        rig.broadcast(20, 10_000);
        for peer in peers {
            peer.reset();
        }
        rig.broadcast(1, 10_000);
        rig.until(|rig| rig.peers() == 0);
        assert_eq!(rig.stat("by_failure"), (round + 1) * EACH as u64);
    }
    rig.progress(5);
    // Broadcasts are kept once for all.
    rig.assert_held_at_most(40 * 10 * KIB + MIB + NOISE);
    rig.end(MIB + NOISE);
}
