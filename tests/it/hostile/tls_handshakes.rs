//! Handshakes of TLS that stall, drip, or have no end.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use eventwire::proto::{Limits, OpCode};
use eventwire::{Config, ServerConfig};

use super::rig::{KIB, NOISE, Rig, SESSION};
use super::service::Profile;
use crate::util::{PATIENCE, Peer, frame};

const TIMEOUT: Duration = Duration::from_secs(1);

fn with(timeout: Duration) -> Profile {
    let limits = Limits::default().handshake_timeout(timeout);
    Profile::new(Config::default(), ServerConfig::default().limits(limits))
}

pub(super) fn profile() -> Profile {
    with(TIMEOUT)
}

/// No deadline expires.
pub(super) fn patient() -> Profile {
    with(Duration::from_secs(3600))
}

/// Peers that stop within their first message are cut in time.
#[track_caller]
fn stall(rig: &mut Rig, count: usize, said: impl Fn(usize, &mut Peer)) -> Vec<Peer> {
    let before = rig.stat("not_opened");
    let start = Instant::now();
    let mut peers: Vec<_> = (0..count).map(|_| Peer::begin(rig.echo())).collect();
    for (number, peer) in peers.iter_mut().enumerate() {
        said(number, peer);
    }
    rig.progress(5);
    rig.until(|rig| rig.peers() == 0);
    assert!(start.elapsed() >= TIMEOUT / 2, "{:?}", start.elapsed());
    assert_eq!(rig.stat("not_opened") - before, count as u64);
    peers
}

#[test]
fn who_stalls_in_the_handshake_of_tls_has_the_time_of_the_opening_handshake() {
    const PEERS: usize = 100;
    let mut rig = Rig::secure("tls handshakes").sessions(PEERS, SESSION);
    let peers = stall(&mut rig, PEERS, |number, peer| {
        let hello = peer.hello();
        let said = [0, 1, 5, hello.len() / 2, hello.len() - 1][number % 5];
        peer.stream().write_all(&hello[..said]).expect("write");
    });
    rig.assert_held_at_most(NOISE);
    drop(peers);
    rig.end(NOISE);
}

#[test]
fn four_hundred_who_stop_behind_their_first_message_hold_a_session_each() {
    const PEERS: usize = 400;
    let mut rig = Rig::secure("tls handshakes").sessions(PEERS, SESSION);
    let peers = stall(&mut rig, PEERS, |_, peer| {
        let hello = peer.hello();
        peer.stream().write_all(&hello).expect("write");
    });
    // Each of them was answered, with a signature that costs more than anything else here.
    for peer in &peers {
        assert_eq!(peer.stream().read(&mut [0; 5]).expect("an answer"), 5);
    }
    rig.assert_held_at_most(NOISE);
    drop(peers);
    rig.end(NOISE);
}

#[test]
fn a_first_message_in_single_bytes_is_understood() {
    const PEERS: usize = 50;
    let rig = Rig::secure("tls handshakes, patient").sessions(PEERS, SESSION);
    let mut peers: Vec<_> = (0..PEERS).map(|_| Peer::begin(rig.echo())).collect();
    let hellos: Vec<_> = peers.iter_mut().map(Peer::hello).collect();
    let longest = hellos.iter().map(Vec::len).max().expect("some");
    for at in 0..longest {
        for (peer, hello) in peers.iter_mut().zip(&hellos) {
            if let Some(byte) = hello.get(at..=at) {
                peer.stream().write_all(byte).expect("write");
            }
        }
    }
    rig.progress(5);
    for peer in peers {
        let mut peer = peer.upgrade();
        peer.write(&frame(true, OpCode::Text, b"hello"));
        assert_eq!(peer.bytes(7), b"\x81\x05hello");
    }
    rig.assert_held_at_most(NOISE);
    rig.end(NOISE);
}

#[test]
fn a_first_message_that_drips_has_one_deadline() {
    const PEERS: usize = 50;
    let mut rig = Rig::secure("tls handshakes").sessions(PEERS, SESSION);
    let mut peers: Vec<_> = (0..PEERS).map(|_| Peer::begin(rig.echo())).collect();
    // Every byte of it is right, and much is to come.
    let hello = endless(60_000);
    let start = Instant::now();
    for byte in &hello {
        peers.retain_mut(|peer| peer.stream().write_all(std::slice::from_ref(byte)).is_ok());
        if peers.is_empty() {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "a drip keeps a handshake alive");
        rig.pass(Duration::from_millis(10));
    }
    assert!(start.elapsed() >= TIMEOUT / 2, "{:?}", start.elapsed());
    rig.progress(5);
    assert_eq!(rig.stat("not_opened"), PEERS as u64);
    rig.assert_held_at_most(NOISE);
    rig.end(NOISE);
}

/// The beginning of a first message that is to be so long, in as many records as it takes.
fn endless(len: u32) -> Vec<u8> {
    let message = [&[1][..], &len.to_be_bytes()[1..], &vec![3; len as usize - 4]].concat();
    let records = message.chunks(16 * 1024).flat_map(|piece| {
        let len = piece.len() as u16;
        [b"\x16\x03\x01", &len.to_be_bytes()[..], piece].concat()
    });
    records.collect()
}

#[test]
fn a_first_message_holds_what_has_come_of_it_and_one_without_end_is_cut() {
    const PEERS: usize = 50;
    /// What TLS holds of a message of the handshake, in storage that doubles.
    const MESSAGE: u64 = SESSION + 128 * KIB;
    let mut rig = Rig::secure("tls handshakes").sessions(PEERS, MESSAGE);
    let unfinished = endless(0xFF00);
    let peers = stall(&mut rig, PEERS, |_, peer| {
        peer.stream().write_all(&unfinished[..unfinished.len() - 100]).expect("write");
    });
    // As long as a message may be that is not looked at before its end, and longer.
    let without_end = endless(0x00FF_FFFF);
    let mut cut: Vec<_> = (0..PEERS).map(|_| Peer::begin(rig.echo())).collect();
    for peer in &mut cut {
        let mut received = Vec::new();
        // It gets an alert as soon as the length is known, while it is still sending.
        let _ = peer.stream().write_all(&without_end[..256 * 1024]);
        let _ = peer.stream().read_to_end(&mut received);
        assert!(received.is_empty() || received.starts_with(b"\x15\x03"), "{received:?}");
    }
    rig.until(|rig| rig.stat("not_opened") == 2 * PEERS as u64);
    rig.progress(5);
    rig.assert_held_at_most(NOISE);
    drop((peers, cut));
    rig.end(NOISE);
}
