//! Peers that never read what they are sent.

use std::time::Duration;

use eventwire::proto::{Limits, OpCode};
use eventwire::{Config, ServerConfig};

use super::rig::{KEPT_OUTPUT, KIB, MIB, NOISE, Rig, SESSION, UNSENT, crowd, with_room_for};
use super::service::Profile;
use crate::util::{Peer, frame};

const SOFT: usize = 16 * 1024;
const HARD: usize = 64 * 1024;
const RECEIVE: usize = 16 * 1024;

/// What may wait for all together, where that is what counts.
const OUTBOUND: usize = 8 * 1024 * 1024;

const PEERS: usize = 1000;

fn config() -> Config {
    Config::default().outbox(SOFT, HARD).receive_buffer(RECEIVE)
}

fn server() -> ServerConfig {
    ServerConfig::default().limits(Limits::default().close_timeout(Duration::from_millis(500)))
}

pub(super) fn profile() -> Profile {
    Profile::new(config().outbox_stall(Duration::from_secs(2)), server())
}

/// No deadline expires.
pub(super) fn much_memory() -> Profile {
    let config = config().outbox_stall(Duration::from_secs(3600)).max_outbound(OUTBOUND);
    Profile::new(config, server())
}

/// What may wait for a peer that asks without reading: the soft limit is noticed after a receive.
const fn answers() -> u64 {
    // Each answer of a kilobyte has a shorter header than its question.
    (SOFT + RECEIVE) as u64
}

/// What such an outbox holds at most: a quarter more than what waits, and its list.
const fn held() -> u64 {
    answers() + answers() / 4 + KIB
}

/// Has them ask until the systems of both ends hold all that they can, and the server has stopped
/// reading. What is held for them meanwhile is never more than `most`.
#[track_caller]
fn ask_on(rig: &mut Rig, peers: &mut [Peer], most: u64) {
    let question = frame(true, OpCode::Binary, &[b'x'; 1000]);
    let mut sent = vec![0; peers.len()];
    let mut idle_rounds = 0;
    while idle_rounds < 3 {
        let mut more = 0;
        for (peer, sent) in peers.iter_mut().zip(&mut sent) {
            // From within the question that was begun; one that was cut asks no more.
            let rest = &question[*sent % question.len()..];
            let count = peer.pour(&[rest, &question.repeat(40)].concat()).unwrap_or_default();
            *sent += count;
            more += count;
            assert!(*sent < 64 << 20, "the server reads on though nobody reads its answers");
        }
        let held = rig.stat("outbound_bytes");
        assert!(held <= most, "{held} instead of {most} bytes are held");
        idle_rounds = if more == 0 { idle_rounds + 1 } else { 0 };
        rig.pass(Duration::from_millis(5));
    }
}

#[test]
fn one_who_never_reads_is_not_read_from_and_then_closed() {
    let mut rig = Rig::start("readers").sessions(1, UNSENT);
    let mut peers = [Peer::narrow(rig.echo())];
    ask_on(&mut rig, &mut peers, held());
    assert!(rig.stat("outbound_bytes") > SOFT as u64);
    rig.progress(10);
    rig.until(|rig| rig.stat("by_overflow") == 1);
    // Its end is not up to it.
    rig.until(|rig| rig.peers() == 0);
    rig.assert_held_at_most(2 * answers() + NOISE);
    assert!(peers[0].pour(b"more").is_none());
    rig.end(NOISE);
}

#[test]
fn a_thousand_who_ask_on_and_never_read_are_closed() {
    with_room_for(
        PEERS,
        "hostile::readers::a_thousand_who_ask_on_and_never_read_are_closed",
        || {
            let mut rig = Rig::start("readers").sessions(PEERS, UNSENT);
            let mut peers: Vec<_> = (0..crowd(PEERS)).map(|_| Peer::narrow(rig.echo())).collect();
            let count = peers.len() as u64;
            ask_on(&mut rig, &mut peers, count * held());
            rig.progress(10);
            rig.until(|rig| rig.stat("by_overflow") == count);
            rig.until(|rig| rig.peers() == 0);
            // Storage of answers doubles as it grows; some of it is kept, and with it what the
            // allocator has in between.
            let most = count * 2 * answers() + NOISE;
            rig.assert_held_at_most(most);
            drop(peers);
            rig.end(most);
        },
    );
}

#[test]
fn those_for_whom_most_waits_are_closed_when_too_much_waits_for_all() {
    with_room_for(
        PEERS,
        "hostile::readers::those_for_whom_most_waits_are_closed_when_too_much_waits_for_all",
        || {
            let mut rig = Rig::start("readers, all that memory holds").sessions(PEERS, UNSENT);
            let mut peers: Vec<_> = (0..crowd(PEERS)).map(|_| Peer::narrow(rig.echo())).collect();
            // What was corked may come on top: the answers to one receive.
            ask_on(&mut rig, &mut peers, (OUTBOUND + RECEIVE) as u64);
            rig.progress(10);
            let stats = rig.stats();
            let closed = stats["by_memory_pressure"];
            assert!(closed > 0 && stats["by_overflow"] == 0, "{stats:?}");
            // No connection was closed without need: a sixteenth was to be free, and the last
            // to be closed had as much as one can have. Of each of them the rest of one answer
            // had counted to the end.
            let room = OUTBOUND as u64 / 16 + answers() + closed * KIB;
            let waiting = stats["outbound_bytes"];
            assert!(waiting >= OUTBOUND as u64 - room, "{closed} closed, {waiting} bytes wait");
            rig.assert_held_at_most(2 * OUTBOUND as u64 + KEPT_OUTPUT + NOISE);
            drop(peers);
            rig.end(2 * OUTBOUND as u64 + KEPT_OUTPUT + NOISE);
        },
    );
}

#[test]
fn a_thousand_who_never_read_broadcasts_share_what_waits_and_are_closed() {
    /// Of broadcasts.
    const LEN: usize = 4096;
    with_room_for(
        PEERS,
        "hostile::readers::a_thousand_who_never_read_broadcasts_share_what_waits_and_are_closed",
        || {
            // What was broadcast at once may be records that wait, and is rounded up.
            let mut rig = Rig::start("readers").sessions(PEERS, SESSION + 6 * LEN as u64);
            let peers: Vec<_> = (0..crowd(PEERS)).map(|_| Peer::narrow(rig.feed())).collect();
            let count = peers.len() as u64;
            let mut broadcasts = 0;
            rig.until(|rig| {
                broadcasts += rig.broadcast(4, LEN);
                // More of them at once would be more than a session is allowed.
                rig.deliver_to(peers.len());
                rig.stat("by_overflow") == count
            });
            assert!(broadcasts > HARD / LEN, "{broadcasts}");
            rig.progress(10);
            // The close frame waits behind what is not read, and not for ever.
            rig.until(|rig| rig.peers() == 0);
            // Each has a list of what waits for it; the bytes are there once.
            rig.assert_held_at_most(count * 4 * KIB + HARD as u64 + MIB + NOISE);
            drop(peers);
            rig.end(count * 4 * KIB + NOISE);
        },
    );
}
