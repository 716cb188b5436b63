//! The engine's targets.

use super::entrant::{BUSY, ENGINE, FLOOR, WS_FLOOR};
use super::outcome::Metric;
use crate::report::Bound;

/// One figure, and what it has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) scenario: &'static str,
    pub(crate) entrant: &'static str,
    pub(crate) metric: Metric,
    pub(crate) of: Of,
    pub(crate) bound: Bound,
}

/// What it is a multiple of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// Of nothing: it counts as it is.
    Itself,
    Entrant(&'static str),
    /// The peer with the best median.
    BestPeer,
}

/// A ratio from which on two are level.
const LEVEL: f64 = 1.03;

const fn at_most(scenario: &'static str, metric: Metric, limit: f64, of: Of) -> Target {
    Target { scenario, entrant: ENGINE, metric, of, bound: Bound::AtMost(limit) }
}

const fn p50_of_floor(scenario: &'static str) -> Target {
    at_most(scenario, Metric::P50, 1.03, Of::Entrant(FLOOR))
}

const fn p99_of_floor(scenario: &'static str) -> Target {
    at_most(scenario, Metric::P99, 1.10, Of::Entrant(FLOOR))
}

const fn cpu(scenario: &'static str, limit: f64, of: Of) -> Target {
    at_most(scenario, Metric::ServerCpu, limit, of)
}

const fn busy(scenario: &'static str, limit: f64, of: Of) -> Target {
    Target { entrant: BUSY, ..at_most(scenario, Metric::P50, limit, of) }
}

const fn rate_of_best_peer(scenario: &'static str, limit: f64) -> Target {
    Target {
        scenario,
        entrant: ENGINE,
        metric: Metric::Rate,
        of: Of::BestPeer,
        bound: Bound::AtLeast(limit),
    }
}

/// In the order of the scenarios.
pub(crate) const TARGETS: [Target; 28] = [
    p50_of_floor("round-trip-16"),
    p99_of_floor("round-trip-16"),
    p50_of_floor("round-trip-128"),
    p99_of_floor("round-trip-128"),
    busy("round-trip-128", 0.5, Of::Entrant(ENGINE)),
    busy("round-trip-128-blocking", 0.75, Of::Entrant(ENGINE)),
    p50_of_floor("round-trip-1k"),
    p99_of_floor("round-trip-1k"),
    p50_of_floor("round-trip-16k"),
    p99_of_floor("round-trip-16k"),
    p50_of_floor("round-trip-64k"),
    p99_of_floor("round-trip-64k"),
    cpu("connections-100", 1.05, Of::Entrant(WS_FLOOR)),
    cpu("connections-1000", 1.05, Of::Entrant(WS_FLOOR)),
    cpu("depth-64", 1.10, Of::Entrant(WS_FLOOR)),
    cpu("50x16x1k", 1.05, Of::Entrant(WS_FLOOR)),
    cpu("10x16x16k", 1.05, Of::Entrant(WS_FLOOR)),
    at_most("10x16x16k", Metric::SystemCalls, 0.2, Of::Itself),
    cpu("4x1m", LEVEL, Of::BestPeer),
    // The floor writes one buffer to everybody.
    cpu("broadcast-1000", 1.03, Of::Entrant(FLOOR)),
    rate_of_best_peer("broadcast-1000-k16", 1.5),
    cpu("broadcast-5000", 1.03, Of::Entrant(FLOOR)),
    rate_of_best_peer("broadcast-5000-k16", 1.5),
    at_most("broadcast-10000", Metric::BystanderP999, 0.2, Of::BestPeer),
    cpu("handshakes", 1.0, Of::Entrant(WS_FLOOR)),
    at_most("idle-10000", Metric::Memory, 160.0, Of::Itself),
    at_most("publish-cost", Metric::Publish, 100.0, Of::Itself),
    busy("publish-handler", 1000.0, Of::Itself),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::table::{SCENARIOS, find};

    #[test]
    fn every_target_is_of_a_scenario_in_their_order() {
        let place = |target: &Target| {
            SCENARIOS.iter().position(|scenario| scenario.id == target.scenario).unwrap()
        };
        assert!(TARGETS.iter().map(place).is_sorted());
        for target in TARGETS.iter().filter(|target| target.entrant == BUSY) {
            assert!(find(target.scenario).unwrap().with_modes, "{target:?}");
        }
    }
}
