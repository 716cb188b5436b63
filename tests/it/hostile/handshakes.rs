//! Opening handshakes that take too long, are too big, or never begin.

use std::time::{Duration, Instant};

use eventwire::proto::Limits;
use eventwire::proto::http::HeadLimits;
use eventwire::{Config, ServerConfig};

use super::rig::{HALF_RECORD, IN_PIECES, KIB, NOISE, Rig, SESSION, feed_until_cut, with_room_for};
use super::service::Profile;
use crate::util::{PATIENCE, Peer, request};

const TIMEOUT: Duration = Duration::from_secs(1);

/// Handshakes that may be under way at once.
const PENDING: usize = 256;

pub(super) fn profile() -> Profile {
    let limits =
        Limits::default().handshake_timeout(TIMEOUT).close_timeout(Duration::from_millis(500));
    Profile::new(Config::default(), ServerConfig::default().limits(limits))
}

/// None of them is ever late.
pub(super) fn many_pending() -> Profile {
    let limits = Limits::default().handshake_timeout(Duration::from_secs(3600));
    let config = Config::default().max_pending_handshakes(PENDING);
    Profile::new(config, ServerConfig::default().limits(limits))
}

/// The memory that the heads of `count` connections may hold, by the configuration.
fn heads(count: usize) -> u64 {
    // Storage that grows by doubling has as much spare room at most.
    count as u64 * 2 * HeadLimits::default().bytes as u64
}

#[test]
fn a_handshake_has_one_deadline_however_slowly_it_drips() {
    const SILENT: usize = 100;
    const DRIPPING: usize = 100;
    let mut rig = Rig::start("handshakes").sessions(SILENT + DRIPPING, SESSION);
    let start = Instant::now();
    let mut silent: Vec<_> = (0..SILENT).map(|_| Peer::open(rig.echo())).collect();
    // Half of them have said nearly as much as they may.
    let much = request("/", &x_lines(1000, 15));
    for peer in silent.iter_mut().take(SILENT / 2) {
        peer.pour(&much[..much.len() - 1]);
    }
    let mut dripping: Vec<_> = (0..DRIPPING).map(|_| Peer::open(rig.echo())).collect();
    // Long enough never to be whole at this pace.
    let drip = request("/", &format!("X-Padding: {}\r\n", "x".repeat(4000)));
    let mut alive: Vec<_> = dripping.iter_mut().collect();
    for byte in &drip {
        alive.retain_mut(|peer| peer.pour(std::slice::from_ref(byte)).is_some());
        if alive.is_empty() || start.elapsed() > PATIENCE {
            break;
        }
        rig.pass(Duration::from_millis(10));
    }
    assert!(alive.is_empty(), "a drip keeps a handshake alive");
    assert!(start.elapsed() >= TIMEOUT / 2, "{:?}", start.elapsed());
    rig.progress(10);
    // Connections without a request get no answer.
    for mut peer in silent.split_off(SILENT / 2) {
        let received = peer.until_end();
        assert!(received.is_empty(), "{:?}", received.text());
    }
    for mut peer in silent.into_iter().chain(dripping) {
        assert_eq!(peer.until_end().status(), 408);
    }
    rig.assert_held_at_most(heads(SILENT + DRIPPING) + NOISE);
    rig.end(NOISE);
}

#[test]
fn silent_connections_keep_nobody_out_and_the_oldest_make_room() {
    const SILENT: usize = 1000;
    with_room_for(
        SILENT,
        "hostile::handshakes::silent_connections_keep_nobody_out_and_the_oldest_make_room",
        || {
            let mut rig = Rig::start("handshakes, many pending").sessions(PENDING + 10, SESSION);
            let mut silent = Vec::new();
            for round in 0..SILENT / 10 {
                silent.extend((0..10).map(|_| Peer::open(rig.echo())));
                // A peer that sends its request is served in turn, which silent ones delay by a
                // second for each time that they fill all places.
                let mut honest = Peer::connect(rig.echo());
                honest.finish();
                honest.until_end();
                assert!(rig.peers() <= (PENDING + 10) as u64, "round {round}");
            }
            rig.until(|rig| rig.peers() <= PENDING as u64);
            rig.progress(10);
            // The last honest one had its place among them for a moment.
            for mut peer in silent.drain(..SILENT - PENDING + 1) {
                let received = peer.until_end();
                assert!(received.is_empty(), "{:?}", received.text());
            }
            // The newest still have their chance.
            for peer in &mut silent {
                peer.write(&request("/", ""));
                assert!(peer.bytes(17).starts_with(b"HTTP/1.1 101 "));
            }
            drop(silent);
            rig.assert_held_at_most(heads(SILENT) + NOISE);
            rig.end(NOISE);
        },
    );
}

#[test]
fn heads_without_end_are_refused_at_their_limits() {
    /// How often each is tried, at the same time.
    const TIMES: usize = 10;
    let begin = "GET / HTTP/1.1\r\nHost: localhost\r\n";
    let much = 4 * 1024 * KIB as usize;
    let names = (0..70).map(|n| format!("name{n}, ")).collect::<String>();
    let cases = [
        ("a target without end", format!("GET /{}", "x".repeat(much)), 414),
        ("a method without end", "G".repeat(much), 414),
        ("a header name without end", format!("{begin}{}", "X".repeat(much)), 431),
        ("a header value without end", format!("{begin}Cookie: {}", "x".repeat(much)), 431),
        ("headers without end", format!("{begin}{}", "X: y\r\n".repeat(much / 6)), 431),
        ("long lines without end", format!("{begin}{}", x_lines(8000, much / 8000)), 431),
        ("names without end", format!("{begin}{}", x_lines(150, much / 150)), 431),
        (
            "seventy subprotocols",
            String::from_utf8(request("/", &format!("Sec-WebSocket-Protocol: {names}\r\n")))
                .expect("text"),
            431,
        ),
    ];
    let rig = Rig::start("handshakes").sessions(TIMES * cases.len(), HALF_RECORD);
    let mut refused = Vec::new();
    for (name, head, status) in &cases {
        for _ in 0..TIMES {
            let mut peer = Peer::open(rig.echo());
            // The server reads on, and is not interested any more.
            peer.pour(head.as_bytes());
            assert_eq!(peer.until_end().status(), *status, "{name}");
            refused.push(peer);
        }
    }
    rig.progress(10);
    feed_until_cut(refused);
    rig.assert_held_at_most(heads(TIMES * cases.len()) + NOISE);
    rig.end(NOISE);
}

/// `count` header lines of `len` bytes.
fn x_lines(len: usize, count: usize) -> String {
    format!("X: {}\r\n", "y".repeat(len - 3)).repeat(count)
}

#[test]
fn a_head_may_be_as_long_as_the_limit_and_not_a_byte_longer() {
    let limits = HeadLimits::default();
    let rig = Rig::start("handshakes").sessions(5, IN_PIECES);
    let whole = |bytes: usize| {
        let lines = x_lines(limits.line, 1);
        let rest = bytes - request("/", &lines).len() - "X: \r\n".len();
        request("/", &format!("{lines}X: {}\r\n", "y".repeat(rest)))
    };
    for (head, status) in [
        (whole(limits.bytes), 101),
        (whole(limits.bytes + 1), 431),
        (request("/", &x_lines(limits.line + 1, 1)), 431),
        (request("/", &"X: y\r\n".repeat(limits.headers - 5)), 101),
        (request("/", &"X: y\r\n".repeat(limits.headers - 4)), 431),
    ] {
        let mut peer = Peer::open(rig.echo());
        // Each byte by itself.
        for byte in &head {
            if peer.pour(std::slice::from_ref(byte)).is_none() {
                break;
            }
        }
        if status == 101 {
            assert!(peer.bytes(17).starts_with(b"HTTP/1.1 101 "), "{}", head.len());
        } else {
            assert_eq!(peer.until_end().status(), status, "{}", head.len());
        }
    }
    rig.progress(5);
    rig.assert_held_at_most(heads(5) + NOISE);
    rig.end(NOISE);
}
