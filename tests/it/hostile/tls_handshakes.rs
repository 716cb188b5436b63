//! Handshakes of TLS that stall, drip, or have no end.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use eventwire::proto::{Limits, OpCode};
use eventwire::{Config, ServerConfig};

use super::foe::{Foe, frame};
use super::rig::{KIB, NOISE, Rig, SESSION};
use super::service::Profile;
use crate::util::PATIENCE;

const TIMEOUT: Duration = Duration::from_secs(1);

fn with(timeout: Duration) -> Profile {
    let limits = Limits::default().handshake_timeout(timeout);
    Profile::new(Config::default(), ServerConfig::default().limits(limits))
}

pub(super) fn profile() -> Profile {
    with(TIMEOUT)
}

/// Nobody is ever late.
pub(super) fn patient() -> Profile {
    with(Duration::from_secs(3600))
}

/// Those who have said this much of their first message, and say no more, are cut in their time.
#[track_caller]
fn stall(rig: &mut Rig, count: usize, said: impl Fn(usize, &mut Foe)) -> Vec<Foe> {
    let before = rig.stat("not_opened");
    let start = Instant::now();
    let mut foes: Vec<_> = (0..count).map(|_| Foe::begin(rig.echo())).collect();
    for (number, foe) in foes.iter_mut().enumerate() {
        said(number, foe);
    }
    rig.progress(5);
    rig.until(|rig| rig.foes() == 0);
    assert!(start.elapsed() >= TIMEOUT / 2, "{:?}", start.elapsed());
    assert_eq!(rig.stat("not_opened") - before, count as u64);
    foes
}

#[test]
fn who_stalls_in_the_handshake_of_tls_has_the_time_of_the_opening_handshake() {
    const FOES: usize = 100;
    let mut rig = Rig::secure("tls handshakes").sessions(FOES, SESSION);
    let foes = stall(&mut rig, FOES, |number, foe| {
        let hello = foe.hello();
        let said = [0, 1, 5, hello.len() / 2, hello.len() - 1][number % 5];
        foe.socket().write_all(&hello[..said]).expect("write");
    });
    rig.assert_held_at_most(NOISE);
    drop(foes);
    rig.end(NOISE);
}

#[test]
fn four_hundred_who_stop_behind_their_first_message_hold_a_session_each() {
    const FOES: usize = 400;
    let mut rig = Rig::secure("tls handshakes").sessions(FOES, SESSION);
    let foes = stall(&mut rig, FOES, |_, foe| {
        let hello = foe.hello();
        foe.socket().write_all(&hello).expect("write");
    });
    // Each of them was answered, with a signature that costs more than anything else here.
    for foe in &foes {
        assert_eq!(foe.socket().read(&mut [0; 5]).expect("an answer"), 5);
    }
    rig.assert_held_at_most(NOISE);
    drop(foes);
    rig.end(NOISE);
}

#[test]
fn a_first_message_in_single_bytes_is_understood() {
    const FOES: usize = 50;
    let rig = Rig::secure("tls handshakes, patient").sessions(FOES, SESSION);
    let mut foes: Vec<_> = (0..FOES).map(|_| Foe::begin(rig.echo())).collect();
    let hellos: Vec<_> = foes.iter_mut().map(Foe::hello).collect();
    let longest = hellos.iter().map(Vec::len).max().expect("some");
    for at in 0..longest {
        for (foe, hello) in foes.iter_mut().zip(&hellos) {
            if let Some(byte) = hello.get(at..=at) {
                foe.socket().write_all(byte).expect("write");
            }
        }
    }
    rig.progress(5);
    for foe in foes {
        let mut foe = foe.upgrade();
        assert!(foe.write(&frame(true, OpCode::Text, b"hello")));
        assert_eq!(foe.read(7), b"\x81\x05hello");
    }
    rig.assert_held_at_most(NOISE);
    rig.end(NOISE);
}

#[test]
fn a_first_message_that_drips_has_one_deadline() {
    const FOES: usize = 50;
    let mut rig = Rig::secure("tls handshakes").sessions(FOES, SESSION);
    let mut foes: Vec<_> = (0..FOES).map(|_| Foe::begin(rig.echo())).collect();
    // Every byte of it is right, and much is to come.
    let hello = endless(60_000);
    let start = Instant::now();
    for byte in &hello {
        foes.retain_mut(|foe| foe.socket().write_all(std::slice::from_ref(byte)).is_ok());
        if foes.is_empty() {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "a drip keeps a handshake alive");
        rig.pass(Duration::from_millis(10));
    }
    assert!(start.elapsed() >= TIMEOUT / 2, "{:?}", start.elapsed());
    rig.progress(5);
    assert_eq!(rig.stat("not_opened"), FOES as u64);
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
    const FOES: usize = 50;
    /// What TLS holds of a message of the handshake, in storage that doubles.
    const MESSAGE: u64 = SESSION + 128 * KIB;
    let mut rig = Rig::secure("tls handshakes").sessions(FOES, MESSAGE);
    let unfinished = endless(0xFF00);
    let foes = stall(&mut rig, FOES, |_, foe| {
        foe.socket().write_all(&unfinished[..unfinished.len() - 100]).expect("write");
    });
    // As long as a message may be that is not looked at before its end, and longer.
    let without_end = endless(0x00FF_FFFF);
    let mut cut: Vec<_> = (0..FOES).map(|_| Foe::begin(rig.echo())).collect();
    for foe in &mut cut {
        let mut heard = Vec::new();
        // It is told as soon as the length is known, in the middle of what it says.
        let _ = foe.socket().write_all(&without_end[..256 * 1024]);
        let _ = foe.socket().read_to_end(&mut heard);
        assert!(heard.is_empty() || heard.starts_with(b"\x15\x03"), "{heard:?}");
    }
    rig.until(|rig| rig.stat("not_opened") == 2 * FOES as u64);
    rig.progress(5);
    rig.assert_held_at_most(NOISE);
    drop((foes, cut));
    rig.end(NOISE);
}
