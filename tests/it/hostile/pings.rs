//! Floods of pings and pongs, with answers that are not read.

use std::time::Duration;

use eventwire::proto::{Limits, OpCode};
use eventwire::{Config, ServerConfig};

use super::rig::{KIB, MIB, NOISE, Rig, SESSION, UNSENT, feed_until_cut};
use super::service::Profile;
use crate::util::{Peer, frame};

/// Control frames a second, and at once.
const RATE: (u32, u32) = (100, 200);

pub(super) fn profile() -> Profile {
    let limits =
        Limits::default().control_rate(RATE.0, RATE.1).close_timeout(Duration::from_millis(500));
    Profile::new(Config::default(), ServerConfig::default().limits(limits))
}

/// The answers are all that bounds them.
pub(super) fn without_a_rate() -> Profile {
    let limits = Limits::default().control_rate(u32::MAX, u32::MAX);
    Profile::new(Config::default(), ServerConfig::default().limits(limits))
}

#[test]
fn a_flood_of_control_frames_is_told_1008_after_its_burst() {
    const EACH: usize = 20;
    let mut rig = Rig::start("pings").sessions(5 * EACH, SESSION);
    let longest = [b'x'; 125];
    let mut peers = Vec::new();
    for flood in [
        frame(true, OpCode::Ping, b""),
        frame(true, OpCode::Ping, &longest),
        frame(true, OpCode::Pong, b""),
        frame(true, OpCode::Pong, &longest),
        [frame(true, OpCode::Ping, b"x"), frame(true, OpCode::Text, b"x")].concat(),
    ] {
        for _ in 0..EACH {
            let mut peer = Peer::connect(rig.echo());
            peer.pour(&flood.repeat(2000));
            peers.push(peer);
        }
    }
    for peer in &mut peers {
        let received = peer.until_end();
        assert_eq!(received.close_code(), 1008);
        let pongs = received.frames().iter().filter(|(opcode, _)| *opcode == OpCode::Pong).count();
        // None in 20 s of a slow machine would be as many again as all at once.
        assert!(pongs < 2000, "{pongs}");
    }
    rig.progress(10);
    assert_eq!(rig.stat("by_protocol"), peers.len() as u64);
    feed_until_cut(peers);
    rig.assert_held_at_most(100 * 16 * KIB + NOISE);
    rig.end(NOISE);
}

#[test]
fn pings_of_somebody_who_never_reads_leave_one_pong_waiting() {
    const PINGS: usize = 1_000_000;
    let mut rig = Rig::start("pings, without a rate").sessions(4, UNSENT);
    // Little enough to be answered at once, and much more in all than systems hold.
    let some = frame(true, OpCode::Ping, &[b'x'; 125]).repeat(500);
    let mut peers: Vec<_> = (0..4).map(|_| Peer::narrow(rig.echo())).collect();
    for round in 0..PINGS / 500 {
        // Peers that do not read are still read from: a pong is no reason to wait.
        peers[round % 4].write(&some);
    }
    rig.progress(10);
    let answers = peers.len() as u64 * (PINGS / 4) as u64 * 127;
    let waiting = rig.stat("outbound_bytes");
    assert!(waiting <= peers.len() as u64 * 64 * KIB, "{waiting} of {answers} bytes wait");
    // What was received at once is answered at once, before anything has to wait.
    rig.assert_held_at_most(peers.len() as u64 * 2 * 64 * KIB + NOISE);
    // No peer lost anything.
    for mut peer in peers {
        peer.write(&frame(true, OpCode::Close, &1000_u16.to_be_bytes()));
        let received = peer.until_end();
        assert_eq!(received.close_code(), 1000);
        assert!(received.frames().len() > 2);
    }
    rig.end(MIB + NOISE);
}
