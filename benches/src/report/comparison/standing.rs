//! The scenarios in which a peer is ahead of the engine.

use super::ScenarioReport;
use super::spread::Spread;
use super::verdict::best_peer;
use super::words;
use crate::compare::{ENGINE, Metric};

/// A sentence on the scenario if a peer is ahead of the engine. Otherwise `None`.
pub(super) fn not_first(scenario: &ScenarioReport) -> Option<String> {
    let key = scenario.key;
    let (engine, peer) = (scenario.entry(ENGINE)?, best_peer(scenario, key)?);
    let (own, best) = (scenario.standing(engine, key)?, scenario.standing(peer, key)?);
    let behind = behind(key, own, best)?;
    let noise = scenario.noise.get(&key).map_or(0.0, Spread::apart);
    let doubt = if behind > noise { "" } else { ", within the noise" };
    let figures = match scenario.base_in(key) {
        Some(base) => {
            format!("{} against {} of {}", words::times(best), words::times(own), base.name)
        }
        None => format!("{} against {}", words::value(key, best), words::value(key, own)),
    };
    Some(format!(
        "{}: {} is ahead of the engine in {}, {figures}{doubt}",
        scenario.title,
        peer.name,
        words::name(key, scenario.kind),
    ))
}

/// How far the engine is behind, as a share of the better figure. `None` if it is not behind.
fn behind(metric: Metric, own: f64, best: f64) -> Option<f64> {
    let ratio = if metric.is_gain() { best / own } else { own / best };
    (ratio > 1.0).then_some(ratio - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_better_of_rates_alone() {
        let close = |share: Option<f64>| (share.unwrap() - 0.25).abs() < 1e-9;
        assert!(close(behind(Metric::Rate, 80.0, 100.0)));
        assert!(close(behind(Metric::P50, 100.0, 80.0)));
        assert_eq!(behind(Metric::Rate, 100.0, 80.0), None);
        assert_eq!(behind(Metric::P50, 80.0, 80.0), None);
    }
}
