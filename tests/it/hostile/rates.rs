//! One address that opens, asks or sends more than its share, and many addresses that come and go.

use std::time::{Duration, Instant};

use eventwire::proto::OpCode;
use eventwire::{AddressLimits, Config, OnExcess, Rate, RateLimits, ServerConfig};

use super::rig::{KEPT_INPUT, KEPT_OUTPUT, KIB, MIB, NOISE, Rig, SESSION};
use super::service::Profile;
use crate::util::{Peer, frame};

/// How many connections an address may have.
const CONNECTIONS: usize = 20;

/// Messages a second, and at once.
const RATE: u64 = 200;
const BURST: u64 = 50;

/// How many addresses are remembered.
const ADDRESSES: usize = 64;

/// The address from which the hostile peers come. The others have no limits.
const HOSTILE: [u8; 4] = [127, 0, 0, 2];

fn limited(on_excess: OnExcess) -> Profile {
    let limits = RateLimits::new()
        .connections(CONNECTIONS)
        .messages(Rate::per_second(RATE).burst(BURST))
        .on_excess(on_excess);
    let others = ["127.0.0.1".parse().expect("an address")];
    let limits = AddressLimits::new(limits).max_addresses(ADDRESSES).exempt(others);
    Profile::new(Config::default().address_limits(limits), ServerConfig::default())
}

pub(super) fn pausing() -> Profile {
    limited(OnExcess::Pause)
}

pub(super) fn closing() -> Profile {
    limited(OnExcess::Close)
}

#[test]
fn one_address_gets_its_connections_and_429_beyond_them() {
    const MORE: usize = 200;
    let mut rig = Rig::start("rates, pausing").sessions(CONNECTIONS + 1, SESSION);
    let mut open: Vec<_> =
        (0..CONNECTIONS).map(|_| Peer::open_from(HOSTILE, rig.echo()).upgrade()).collect();
    for _ in 0..MORE {
        let mut peer = Peer::open_from(HOSTILE, rig.echo());
        peer.write(&crate::util::request("/", ""));
        assert_eq!(peer.until_end().status(), 429);
    }
    rig.progress(5);
    assert_eq!(rig.stat("refused_by_limit"), MORE as u64);
    // Others come in meanwhile, and a place that gets free is taken.
    let mut other = Peer::open_from([127, 0, 0, 3], rig.echo()).upgrade();
    other.send("hello");
    other.expect("hello");
    drop(open.pop());
    rig.until(|rig| rig.peers() == CONNECTIONS as u64);
    open.push(Peer::open_from(HOSTILE, rig.echo()).upgrade());
    drop((open, other));
    rig.assert_held_at_most((CONNECTIONS + 2) as u64 * 32 * KIB + NOISE);
    rig.end(NOISE);
}

#[test]
fn one_address_that_floods_is_read_from_as_fast_as_its_rate_allows() {
    let mut rig = Rig::start("rates, pausing").sessions(4, SESSION);
    let started = Instant::now();
    let mut peers: Vec<_> =
        (0..4).map(|_| Peer::open_from(HOSTILE, rig.echo()).upgrade()).collect();
    let flood = frame(true, OpCode::Text, b"a short message").repeat(3_000);
    for peer in &mut peers {
        peer.pour(&flood);
    }
    rig.progress(20);
    let mut echoes = 0;
    while echoes < 2 * RATE {
        for peer in &mut peers {
            peer.pour(&flood);
            // Two echoes of the next that has some.
            if !peer.is_silent() {
                echoes += peer.bytes(2 * 17).len() as u64 / 17;
            }
        }
        rig.pass(Duration::from_millis(1));
        let most = BURST + RATE * (started.elapsed().as_millis() as u64 + 100) / 1_000;
        assert!(echoes <= most, "{echoes} of {most}");
    }
    rig.progress(5);
    assert!(rig.stat("paused_by_limit") > 0);
    drop(peers);
    rig.assert_held_at_most(4 * MIB + KEPT_INPUT + NOISE);
    rig.end(KEPT_INPUT + KEPT_OUTPUT + NOISE);
}

#[test]
fn one_address_that_floods_is_closed_if_the_server_wants_that() {
    let mut rig = Rig::start("rates, closing").sessions(1, SESSION);
    let flood = frame(true, OpCode::Text, b"a short message").repeat(BURST as usize * 20);
    for _ in 0..5 {
        let mut peer = Peer::open_from(HOSTILE, rig.echo());
        peer.write(&crate::util::request("/", ""));
        // The rate may be used up for the request, too.
        if !peer.head().starts_with("HTTP/1.1 101 ") {
            continue;
        }
        peer.pour(&flood);
        peer.finish();
        assert_eq!(peer.until_end().close_code(), 1008);
    }
    rig.progress(5);
    assert!(rig.stat("by_limit") >= 1);
    rig.assert_held_at_most(4 * MIB + KEPT_INPUT + NOISE);
    rig.end(KEPT_INPUT + KEPT_OUTPUT + NOISE);
}

#[test]
fn thousands_of_addresses_leave_no_more_entries_than_are_remembered() {
    let mut rig = Rig::start("rates, pausing").sessions(1, SESSION);
    for number in 0..2_000_u16 {
        let [high, low] = number.to_be_bytes();
        let mut peer = Peer::open_from([127, 9, high, low], rig.echo()).upgrade();
        peer.send("hello");
        peer.expect("hello");
        assert!(rig.stat("limited_addresses") <= ADDRESSES as u64);
    }
    rig.progress(5);
    rig.assert_held_at_most(NOISE);
    rig.end(NOISE);
}
