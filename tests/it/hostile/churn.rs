//! Connections that come and go by the thousand.

use std::time::Duration;

use eventwire::proto::{Limits, OpCode};
use eventwire::{Config, ServerConfig};

use super::rig::{NOISE, Rig, SESSION};
use super::service::Profile;
use crate::util::{Peer, frame, request};

const CONNECTIONS: usize = 10_000;

/// How many are there at the same time.
const AT_ONCE: usize = 100;

pub(super) fn profile() -> Profile {
    let limits = Limits::default().close_timeout(Duration::from_millis(500));
    Profile::new(Config::default(), ServerConfig::default().limits(limits))
}

/// One life of a connection, whichever way it ends.
type Life = fn(Peer);

/// Those that are opened.
const OPENED: [Life; 5] = [
    // In order.
    |mut peer| {
        peer.write(&frame(true, OpCode::Close, &1000_u16.to_be_bytes()));
        assert_eq!(peer.until_end().close_code(), 1000);
    },
    // Without a word.
    drop,
    Peer::reset,
    // After one wrong word.
    |mut peer| {
        peer.write(b"\xFF\xFF");
        assert_eq!(peer.until_end().close_code(), 1002);
    },
    // In a message.
    |mut peer| {
        peer.write(&frame(false, OpCode::Text, &[b'x'; 5000]));
        peer.reset();
    },
];

/// Those that are not.
const NOT_OPENED: [Life; 5] = [
    drop,
    Peer::reset,
    |mut peer| {
        peer.write(&request("/", "")[..40]);
    },
    |mut peer| {
        peer.write(&request("/", "")[..40]);
        peer.reset();
    },
    |mut peer| {
        peer.write(b"nonsense\r\n\r\n");
        assert_eq!(peer.until_end().status(), 400);
    },
];

/// Lets that many come and go; half of them are opened.
fn churn(rig: &mut Rig, count: usize) {
    for _ in 0..count / AT_ONCE {
        let peers: Vec<_> = (0..AT_ONCE).map(|_| Peer::open(rig.echo())).collect();
        for (number, peer) in peers.into_iter().enumerate() {
            let kind = number / 2 % 5;
            if number % 2 == 0 {
                OPENED[kind](peer.upgrade());
            } else {
                NOT_OPENED[kind](peer);
            }
        }
    }
    rig.until(|rig| rig.peers() == 0);
}

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    let mut rig = Rig::start("churn").sessions(AT_ONCE, SESSION);
    let before = rig.stats();
    // What the first ones leave is there for the next.
    churn(&mut rig, CONNECTIONS / 10);
    let warm = rig.usage();
    churn(&mut rig, CONNECTIONS - CONNECTIONS / 10);
    rig.progress(5);
    let after = rig.usage();
    assert_eq!(after.descriptors, warm.descriptors);
    assert!(after.memory <= warm.memory + NOISE, "{warm:?}, {after:?}");
    let stats = rig.stats();
    let more = |name: &str| stats[name] - before[name];
    let half = CONNECTIONS as u64 / 2;
    assert_eq!((more("opened"), more("not_opened")), (half, half));
    assert_eq!(more("by_peer"), half / 5);
    assert_eq!(more("by_protocol"), half / 5);
    assert_eq!(more("by_failure"), 3 * half / 5);
    rig.assert_held_at_most(NOISE);
    rig.end(NOISE);
}
