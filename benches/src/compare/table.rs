//! All scenarios, in the order in which they run.

use super::outcome::Metric;
use super::scenario::{Kind, Scenario, Scope};
use crate::bus::Way;

const KIB: usize = 1024;

const fn echo(connections: usize, size: usize, depth: usize) -> Kind {
    Kind::Echo { connections, size, depth, spin: true }
}

const fn open(connections: usize, share: f64) -> Kind {
    Kind::OpenLoop { connections, size: 64, share }
}

const fn broadcast(receivers: usize, batch: usize) -> Kind {
    Kind::Broadcast { receivers, slow: 0, size: 128, batch }
}

const fn round_trip(id: &'static str, title: &'static str, size: usize) -> Scenario {
    Scenario::new(id, title, echo(1, size, 1), Metric::P50).with_modes()
}

const fn of_messages(id: &'static str, title: &'static str, kind: Kind) -> Scenario {
    Scenario::new(id, title, kind, Metric::ServerCpu)
}

const fn of_tail(id: &'static str, title: &'static str, kind: Kind) -> Scenario {
    Scenario::new(id, title, kind, Metric::P99)
}

const fn of_events(id: &'static str, title: &'static str, way: Way, threads: usize) -> Scenario {
    Scenario::new(id, title, Kind::Publish { way, threads }, Metric::P50).with_modes()
}

/// One connection whose client sleeps: its wake-up is part of every latency.
const SLEEPING: Kind = Kind::Echo { connections: 1, size: 128, depth: 1, spin: false };

pub(crate) const SCENARIOS: [Scenario; 44] = [
    round_trip("round-trip-16", "1 connection, 16 B", 16).scope(Scope::Quick),
    round_trip("round-trip-128", "1 connection, 128 B", 128).scope(Scope::Always),
    Scenario::new(
        "round-trip-128-blocking",
        "1 connection, 128 B, client blocks",
        SLEEPING,
        Metric::P50,
    )
    .with_modes()
    .scope(Scope::Quick),
    round_trip("round-trip-1k", "1 connection, 1 KiB", KIB),
    round_trip("round-trip-16k", "1 connection, 16 KiB", 16 * KIB).scope(Scope::Quick),
    round_trip("round-trip-64k", "1 connection, 64 KiB", 64 * KIB),
    of_messages("connections-100", "100 connections, 64 B", echo(100, 64, 1))
        .with_modes()
        .scope(Scope::Always),
    of_messages("connections-1000", "1,000 connections, 64 B", echo(1000, 64, 1))
        .scope(Scope::Quick),
    of_messages("connections-10000", "10,000 connections, 64 B", echo(10_000, 64, 1)),
    of_tail("open-100-30", "100 connections at 30 %", open(100, 0.3)),
    of_tail("open-100-70", "100 connections at 70 %", open(100, 0.7)).scope(Scope::Quick),
    of_tail("open-100-90", "100 connections at 90 %", open(100, 0.9)),
    of_tail("open-1000-30", "1,000 connections at 30 %", open(1000, 0.3)),
    of_tail("open-1000-70", "1,000 connections at 70 %", open(1000, 0.7)),
    of_tail("open-1000-90", "1,000 connections at 90 %", open(1000, 0.9)),
    of_tail("open-10000-30", "10,000 connections at 30 %", open(10_000, 0.3)),
    of_tail("open-10000-70", "10,000 connections at 70 %", open(10_000, 0.7)),
    of_tail("open-10000-90", "10,000 connections at 90 %", open(10_000, 0.9)),
    of_messages("depth-1", "100 connections × 1 × 20 B", echo(100, 20, 1)),
    of_messages("depth-8", "100 connections × 8 × 20 B", echo(100, 20, 8)),
    of_messages("depth-32", "100 connections × 32 × 20 B", echo(100, 20, 32)),
    of_messages("depth-64", "100 connections × 64 × 20 B", echo(100, 20, 64)).scope(Scope::Always),
    of_messages("depth-128", "100 connections × 128 × 20 B", echo(100, 20, 128)),
    of_messages("50x16x1k", "50 connections × 16 × 1 KiB", echo(50, KIB, 16)).scope(Scope::Quick),
    of_messages("10x16x16k", "10 connections × 16 × 16 KiB", echo(10, 16 * KIB, 16))
        .scope(Scope::Always),
    of_messages("4x1m", "4 connections × 1 MiB", echo(4, KIB * KIB, 1)).scope(Scope::Quick),
    of_messages("broadcast-100", "broadcast to 100, K = 1", broadcast(100, 1)),
    of_messages("broadcast-100-k16", "broadcast to 100, K = 16", broadcast(100, 16)),
    of_messages("broadcast-1000", "broadcast to 1,000, K = 1", broadcast(1000, 1))
        .scope(Scope::Always),
    of_messages("broadcast-1000-k16", "broadcast to 1,000, K = 16", broadcast(1000, 16))
        .scope(Scope::Quick),
    of_messages("broadcast-5000", "broadcast to 5,000, K = 1", broadcast(5000, 1)),
    of_messages("broadcast-5000-k16", "broadcast to 5,000, K = 16", broadcast(5000, 16)),
    of_messages("broadcast-10000", "broadcast to 10,000, K = 1", broadcast(10_000, 1)),
    of_messages("broadcast-10000-k16", "broadcast to 10,000, K = 16", broadcast(10_000, 16)),
    of_tail("flood", "1 flooding peer among 100 quiet ones", Kind::Flood { quiet: 100 })
        .scope(Scope::Quick),
    of_tail(
        "slow-readers",
        "broadcast to 1,000, 10 of which do not read",
        Kind::Broadcast { receivers: 1000, slow: 10, size: 128, batch: 1 },
    ),
    of_messages("handshakes", "handshakes, 16 beside each other", Kind::Handshakes)
        .scope(Scope::Quick),
    of_tail("storm-5000", "5,000 handshakes at once", Kind::Storm { connections: 5000 }),
    Scenario::new(
        "idle-10000",
        "10,000 idle connections",
        Kind::Idle { connections: 10_000 },
        Metric::Memory,
    ),
    Scenario::new(
        "idle-100000",
        "100,000 idle connections",
        Kind::Idle { connections: 100_000 },
        Metric::Memory,
    ),
    Scenario::new(
        "publish-cost",
        "publishing to an awake loop",
        Kind::PublishCost,
        Metric::Publish,
    )
    .scope(Scope::Quick),
    of_events("publish-handler", "1 thread to a handler", Way::Handler, 1).scope(Scope::Quick),
    of_events("publish-wire", "1 thread to the wire", Way::Socket, 1).scope(Scope::Quick),
    of_events("publish-wire-4", "4 threads to the wire", Way::Socket, 4),
];

/// The scenario of that name.
pub(crate) fn find(id: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_has_its_own_name_which_a_shell_takes_as_it_is() {
        for (index, scenario) in SCENARIOS.iter().enumerate() {
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            assert!(scenario.id.bytes().all(plain), "{}", scenario.id);
            for other in &SCENARIOS[..index] {
                assert_ne!(scenario.id, other.id);
                assert_ne!(scenario.title, other.title);
            }
        }
    }

    #[test]
    fn scenarios_of_a_group_stand_together() {
        let mut groups: Vec<_> = SCENARIOS.iter().map(|one| one.kind.group()).collect();
        groups.dedup();
        for (index, group) in groups.iter().enumerate() {
            assert!(!groups[..index].contains(group), "{group:?}");
        }
    }

    #[test]
    fn a_rate_is_known_before_it_is_shared() {
        for (index, scenario) in SCENARIOS.iter().enumerate() {
            if let Kind::OpenLoop { connections, size, .. } = scenario.kind {
                let saturating = echo(connections, size, 1);
                assert!(SCENARIOS[..index].iter().any(|earlier| earlier.kind == saturating));
            }
        }
    }

    #[test]
    fn quick_runs_are_short() {
        let count = |scope| SCENARIOS.iter().filter(|scenario| scenario.scope >= scope).count();
        assert!((5..=6).contains(&count(Scope::Always)), "{}", count(Scope::Always));
        assert!((12..=18).contains(&count(Scope::Quick)), "{}", count(Scope::Quick));
    }
}
