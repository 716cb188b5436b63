//! All cases of the comparison, in the order in which they run.

use crate::contestants::{FLOOR, WS_FLOOR};
use crate::idle::IdleMode;
use crate::load::{Pace, Traffic};
use crate::results::Bound::{AtLeast, AtMost};
use crate::results::{Figure, To};
use crate::scenarios::figures::{
    BYSTANDER_P999, EACH_P50, EACH_P99, MAX, MEMORY, P50, P99, P999, SERVER_SHARE, SYSTEM_CALLS,
    rate, server_cpu,
};
use crate::scenarios::saturation;
use crate::scenarios::traffic::Case;

const KIB: usize = 1024;

/// The runs that a case belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// Only the whole comparison.
    Full,
    /// Also the quick run, if only the engine and the floors take part.
    Quick,
    /// Every run.
    Always,
}

/// All cases, with the runs that they belong to.
pub(super) fn all() -> Vec<(Scope, Case)> {
    [
        round_trips(),
        connections(),
        open_loops(),
        pipelines(),
        broadcasts(),
        neighbours(),
        openings(),
    ]
    .concat()
}

fn to(entrant: &str) -> To {
    To::Entrant(entrant.to_owned())
}

const fn messages() -> Figure {
    server_cpu("CPU/message")
}

fn echo(connections: usize, size: usize, depth: usize) -> Traffic {
    Traffic::Echo { connections, size, pace: Pace::Closed { depth } }
}

fn round_trips() -> Vec<(Scope, Case)> {
    use Scope::{Always, Full, Quick};
    let case = |id, title, size| {
        let figures = [P50, P99, P999, messages(), SERVER_SHARE];
        let case = Case::new(id, title, echo(1, size, 1), figures).group("Round trip").with_modes();
        case.target(&P50, to(FLOOR), AtMost(1.03)).target(&P99, to(FLOOR), AtMost(1.10))
    };
    let busy = format!("eventwire ({})", IdleMode::Busy.name());
    let than_block =
        |case: Case, limit| case.target_of(&busy, &P50, to(crate::scenario::ENGINE), AtMost(limit));
    let asleep = case("round-trip-128-blocking", "1 connection, 128 B, client blocks", 128);
    vec![
        (Quick, case("round-trip-16", "1 connection, 16 B", 16)),
        (Always, than_block(case("round-trip-128", "1 connection, 128 B", 128), 0.5)),
        (Quick, than_block(asleep.sleeping(), 0.75)),
        (Full, case("round-trip-1k", "1 connection, 1 KiB", KIB)),
        (Quick, case("round-trip-16k", "1 connection, 16 KiB", 16 * KIB)),
        (Full, case("round-trip-64k", "1 connection, 64 KiB", 64 * KIB)),
    ]
}

fn connections() -> Vec<(Scope, Case)> {
    use Scope::{Always, Full, Quick};
    let case = |id, title, connections| {
        let figures = [messages(), rate("messages/s"), P50, P99, SERVER_SHARE];
        Case::new(id, title, echo(connections, 64, 1), figures).group("Many connections")
    };
    let at_most = |case: Case| case.target(&messages(), to(WS_FLOOR), AtMost(1.05));
    let hundred = case("connections-100", "100 connections, 64 B", 100).with_modes();
    vec![
        (Always, at_most(hundred)),
        (Quick, at_most(case("connections-1000", "1,000 connections, 64 B", 1_000))),
        (Full, case("connections-10000", "10,000 connections, 64 B", 10_000)),
    ]
}

/// Fixed rates: a share of what saturates the WebSocket floor.
fn open_loops() -> Vec<(Scope, Case)> {
    const IN_FLIGHT_MAX: usize = 1024;
    let case = |id, title, connections, share| {
        let pace = Pace::Open { per_second: 0.0, in_flight_max: IN_FLIGHT_MAX };
        let traffic = Traffic::Echo { connections, size: saturation::SIZE, pace };
        let figures = [P99, P50, P999, messages(), SERVER_SHARE];
        let case = Case::new(id, title, traffic, figures).group("Fixed rates").share(share);
        (if id == "open-100-70" { Scope::Quick } else { Scope::Full }, case.longer(2))
    };
    vec![
        case("open-100-30", "100 connections at 30 %", 100, 0.3),
        case("open-100-70", "100 connections at 70 %", 100, 0.7),
        case("open-100-90", "100 connections at 90 %", 100, 0.9),
        case("open-1000-30", "1,000 connections at 30 %", 1_000, 0.3),
        case("open-1000-70", "1,000 connections at 70 %", 1_000, 0.7),
        case("open-1000-90", "1,000 connections at 90 %", 1_000, 0.9),
        case("open-10000-30", "10,000 connections at 30 %", 10_000, 0.3),
        case("open-10000-70", "10,000 connections at 70 %", 10_000, 0.7),
        case("open-10000-90", "10,000 connections at 90 %", 10_000, 0.9),
    ]
}

fn pipelines() -> Vec<(Scope, Case)> {
    use Scope::{Always, Full, Quick};
    let case = |id, title, connections, size, depth| {
        let figures = [messages(), rate("messages/s"), P50, P99, SYSTEM_CALLS];
        Case::new(id, title, echo(connections, size, depth), figures)
            .group("Pipelined and long messages")
    };
    let at_most = |case: Case, limit| case.target(&messages(), to(WS_FLOOR), AtMost(limit));
    let long = case("10x16x16k", "10 connections × 16 × 16 KiB", 10, 16 * KIB, 16);
    let long = long.target(&SYSTEM_CALLS, To::Itself, AtMost(0.2));
    let longest = case("4x1m", "4 connections × 1 MiB", 4, KIB * KIB, 1);
    let longest = longest.target(&messages(), To::BestPeer, AtMost(1.03));
    vec![
        (Full, case("depth-1", "100 connections × 1 × 20 B", 100, 20, 1)),
        (Full, case("depth-8", "100 connections × 8 × 20 B", 100, 20, 8)),
        (Full, case("depth-32", "100 connections × 32 × 20 B", 100, 20, 32)),
        (Always, at_most(case("depth-64", "100 connections × 64 × 20 B", 100, 20, 64), 1.15)),
        (Full, case("depth-128", "100 connections × 128 × 20 B", 100, 20, 128)),
        (Full, at_most(case("10x16x20", "10 connections × 16 × 20 B", 10, 20, 16), 1.05)),
        (Quick, at_most(case("50x16x1k", "50 connections × 16 × 1 KiB", 50, KIB, 16), 1.08)),
        (Always, at_most(long, 1.08)),
        (Quick, at_most(longest, 0.85)),
    ]
}

const fn deliveries() -> Figure {
    server_cpu("CPU/delivery")
}

fn broadcast(id: &'static str, title: &'static str, receivers: usize, burst: usize) -> Case {
    let pace = Pace::Closed { depth: burst };
    let traffic =
        Traffic::Broadcast { receivers, slow: 0, publishers: 1, size: 128, pace, bystander: true };
    let figures =
        [deliveries(), rate("deliveries/s"), P50, P99, EACH_P50, EACH_P99, BYSTANDER_P999];
    let case = Case::new(id, title, traffic, figures).group("Broadcast");
    if receivers < 5_000 { case } else { case.longer(2) }
}

fn broadcasts() -> Vec<(Scope, Case)> {
    use Scope::{Always, Full, Quick};
    // The floor writes one buffer to everybody.
    let of_floor = |case: Case, limit| case.target(&deliveries(), to(FLOOR), AtMost(limit));
    let of_peers = |case: Case| case.target(&rate("deliveries/s"), To::BestPeer, AtLeast(1.5));
    let most = broadcast("broadcast-10000", "broadcast to 10,000, K = 1", 10_000, 1);
    let thousand = broadcast("broadcast-1000", "broadcast to 1,000, K = 1", 1_000, 1);
    let bursts = broadcast("broadcast-1000-k16", "broadcast to 1,000, K = 16", 1_000, 16);
    let more_bursts = broadcast("broadcast-5000-k16", "broadcast to 5,000, K = 16", 5_000, 16);
    vec![
        (Full, broadcast("broadcast-100", "broadcast to 100, K = 1", 100, 1)),
        (Full, broadcast("broadcast-100-k16", "broadcast to 100, K = 16", 100, 16)),
        (Always, of_floor(thousand, 1.05)),
        (Quick, of_peers(bursts)),
        (Full, of_floor(broadcast("broadcast-5000", "broadcast to 5,000, K = 1", 5_000, 1), 1.03)),
        (Full, of_peers(more_bursts)),
        (Full, most.target(&BYSTANDER_P999, To::BestPeer, AtMost(0.2))),
        (Full, broadcast("broadcast-10000-k16", "broadcast to 10,000, K = 16", 10_000, 16)),
    ]
}

/// Peers that misbehave beside others.
fn neighbours() -> Vec<(Scope, Case)> {
    let flood = Traffic::Flood { quiet: 100, per_second: 2_000.0, depth: 1024, size: 64 };
    let flood = Case::new(
        "flood",
        "1 flooding peer among 100 quiet ones",
        flood,
        [P99, P50, P999, messages()],
    );
    let pace = Pace::Closed { depth: 1 };
    let (receivers, slow, publishers) = (1_000, 10, 1);
    let slow = Traffic::Broadcast { receivers, slow, publishers, size: 128, pace, bystander: true };
    let slow = Case::new(
        "slow-readers",
        "broadcast to 1,000, 10 of which do not read",
        slow,
        [P99, P50, deliveries(), rate("deliveries/s")],
    );
    vec![(Scope::Quick, flood.group("Bad neighbours")), (Scope::Full, slow.group("Bad neighbours"))]
}

fn openings() -> Vec<(Scope, Case)> {
    const OPENINGS: Figure = rate("openings/s");
    const CPU: Figure = server_cpu("CPU/opening");
    let handshakes = Case::new(
        "handshakes",
        "handshakes, 16 beside each other",
        Traffic::Handshakes { at_once: 16 },
        [CPU, OPENINGS, P50, P99],
    );
    let storm = Case::new(
        "storm-5000",
        "5,000 handshakes at once",
        Traffic::Storm { connections: 5_000 },
        [P99, P50, MAX, OPENINGS, CPU],
    );
    let idle = |id, title, connections| {
        let figures = [MEMORY, OPENINGS, CPU];
        Case::new(id, title, Traffic::Idle { connections }, figures).group("Idle connections")
    };
    let ten = idle("idle-10000", "10,000 idle connections", 10_000);
    let ten = ten.target(&MEMORY, To::Itself, AtMost(160.0)).target(
        &OPENINGS,
        to(WS_FLOOR),
        AtLeast(1.0),
    );
    let handshakes = handshakes.target(&OPENINGS, to(WS_FLOOR), AtLeast(0.95));
    vec![
        (Scope::Quick, handshakes.group("Handshakes")),
        (Scope::Full, storm.group("Handshakes")),
        (Scope::Full, ten),
        (Scope::Full, idle("idle-100000", "100,000 idle connections", 100_000)),
    ]
}
