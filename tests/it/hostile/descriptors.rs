//! More connections than a process may have descriptors.

use std::time::Duration;

use eventwire::{Config, Idle, ServerConfig};

use super::rig::{KIB, NOISE, Rig, SESSION, with_room_for};
use super::service::Profile;
use crate::util::Peer;

const DESCRIPTORS: usize = 256;

/// Those that the engine leaves to the rest of the program by default.
const RESERVED: usize = 64;

const PEERS: usize = 1000;

pub(super) fn profile() -> Profile {
    Profile::new(Config::default().idle(Idle::Block), ServerConfig::default())
        .descriptors(DESCRIPTORS)
}

/// The server assumes more descriptors than there are.
pub(super) fn too_few() -> Profile {
    let config = Config::default().idle(Idle::Block).max_connections(10_000);
    Profile::new(config, ServerConfig::default()).descriptors(DESCRIPTORS)
}

#[test]
fn by_default_connections_leave_descriptors_to_the_program() {
    let mut rig = Rig::start("descriptors").sessions(DESCRIPTORS, SESSION);
    let taken = rig.stat("connections") as usize;
    let room = DESCRIPTORS - RESERVED - taken;
    let mut peers: Vec<_> = (0..2 * room).map(|_| Peer::dial(rig.echo())).collect();
    rig.until(|rig| rig.peers() == room as u64);
    rig.progress(10);
    assert_eq!(rig.peers(), room as u64);
    assert!(rig.usage().descriptors < DESCRIPTORS - RESERVED / 2);
    // In the order in which they came.
    for served in peers.drain(..room) {
        drop(served);
    }
    for peer in &mut peers {
        assert_eq!(peer.bytes(13), b"HTTP/1.1 101 ");
    }
    drop(peers);
    rig.assert_held_at_most(room as u64 * 16 * KIB + NOISE);
    rig.end(NOISE);
}

#[test]
fn descriptors_that_ran_out_hurt_nobody_and_are_taken_as_they_come_back() {
    with_room_for(
        PEERS,
        "hostile::descriptors::\
            descriptors_that_ran_out_hurt_nobody_and_are_taken_as_they_come_back",
        || {
            let mut rig = Rig::start("descriptors, too few").sessions(DESCRIPTORS, SESSION);
            let room = DESCRIPTORS - rig.usage().descriptors;
            let mut peers: Vec<_> = (0..PEERS).map(|_| Peer::dial(rig.echo())).collect();
            rig.until(|rig| rig.peers() == room as u64);
            rig.progress(20);
            assert_eq!(rig.usage().descriptors, DESCRIPTORS);
            // Their descriptors are taken at once, and then there are none again.
            rig.dismiss_bystanders();
            rig.until(|rig| rig.usage().descriptors == DESCRIPTORS);
            let before = rig.stat("turns");
            rig.pass(Duration::from_secs(1));
            // It tries now and then; it does not spin.
            let turns = rig.stat("turns") - before;
            assert!(turns < 200, "{turns} turns with nothing to do");
            // Everyone is served in the end.
            while !peers.is_empty() {
                for mut peer in peers.drain(..peers.len().min(50)) {
                    assert_eq!(peer.bytes(13), b"HTTP/1.1 101 ");
                }
            }
            rig.until(|rig| rig.peers() == 0);
            rig.recall_bystanders();
            rig.progress(10);
            rig.assert_held_at_most(DESCRIPTORS as u64 * 16 * KIB + NOISE);
            rig.end(NOISE);
        },
    );
}
