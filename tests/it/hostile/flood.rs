//! One peer that sends as fast as it can, among a thousand that are quiet.

use std::io::Read;
use std::net::Shutdown;
use std::thread;

use eventwire::proto::{Limits, OpCode};
use eventwire::{Config, ServerConfig};

use super::rig::{KEPT_INPUT, KEPT_OUTPUT, KIB, MIB, NOISE, Rig, SESSION, crowd, with_room_for};
use super::service::Profile;
use crate::util::{Peer, frame, pattern};

const QUIET: usize = 1000;

pub(super) fn profile() -> Profile {
    let limits = Limits::default().control_rate(u32::MAX, u32::MAX);
    Profile::new(Config::default(), ServerConfig::default().limits(limits))
}

/// Sends the stream over and over, reads whatever comes back, until the connection is ended.
fn flood(mut peer: Peer, bytes: &[u8]) {
    // It is not interested enough to decrypt it.
    let mut socket = peer.stream();
    thread::scope(|scope| {
        scope.spawn(|| while peer.try_write(bytes) {});
        scope.spawn(|| {
            let mut buffer = vec![0; 256 * 1024];
            while socket.read(&mut buffer).is_ok_and(|count| count > 0) {}
        });
    });
}

/// Each of the quiet ones makes a few round trips.
fn talk(quiet: &mut [Peer]) {
    for round in 0..3 {
        let said = format!("round {round}");
        for peer in &mut *quiet {
            peer.write(&frame(true, OpCode::Text, said.as_bytes()));
        }
        for peer in &mut *quiet {
            assert_eq!(peer.bytes(2 + said.len())[2..], *said.as_bytes());
        }
    }
}

#[test]
fn one_who_floods_leaves_the_others_their_turns() {
    with_room_for(QUIET, "hostile::flood::one_who_floods_leaves_the_others_their_turns", || {
        let mut rig = Rig::start("flood").sessions(QUIET, SESSION);
        let mut quiet: Vec<_> = (0..crowd(QUIET)).map(|_| Peer::connect(rig.echo())).collect();
        let fragments = [
            frame(false, OpCode::Binary, b""),
            frame(false, OpCode::Continuation, b"x").repeat(5000),
            frame(true, OpCode::Continuation, b""),
        ];
        for bytes in [
            frame(true, OpCode::Text, b"a short message").repeat(3000),
            frame(true, OpCode::Ping, b"").repeat(10_000),
            frame(true, OpCode::Binary, &pattern(1 << 20, 1)),
            fragments.concat(),
        ] {
            let flooding = Peer::connect(rig.echo());
            let end = flooding.stream();
            let thread = thread::spawn(move || flood(flooding, &bytes));
            let before = rig.stat("bytes_received");
            talk(&mut quiet);
            rig.progress(5);
            // The flooding peer is served, too.
            rig.until(|rig| rig.stat("bytes_received") - before > 10 * MIB);
            assert!(!thread.is_finished());
            end.shutdown(Shutdown::Both).expect("shut down");
            thread.join().expect("the flood ends");
        }
        let count = quiet.len() as u64;
        drop(quiet);
        // A message that is received, one that is sent, and what was kept of either.
        rig.assert_held_at_most(count * 4 * KIB + 4 * MIB + KEPT_INPUT + NOISE);
        rig.end(KEPT_INPUT + KEPT_OUTPUT + NOISE);
    });
}
