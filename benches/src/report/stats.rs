use serde::Serialize;

use super::Metric;
use super::curve::Curve;
use crate::load::{Latencies, Measurement, Shape, no_latencies};

/// The results of one server over all rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Side {
    /// Messages that arrived per second: the median over the rounds.
    pub(crate) messages_per_second: f64,
    /// The latency to each receiver.
    pub(crate) latency_ns: Summary,
    /// The latency to the last receiver of each broadcast.
    pub(crate) last_receiver_ns: Option<Summary>,
    /// How late messages of an open loop left.
    pub(crate) late_ns: Option<Summary>,
    /// Messages that were unanswered when the run was abandoned.
    pub(crate) unanswered: u64,
    /// The server's CPU time per message, in nanoseconds: the median over the rounds.
    pub(crate) server_cpu_ns_per_message: Option<f64>,
    pub(crate) rounds: Vec<Round>,
    /// The latencies of all rounds together. For a broadcast, to the last receivers.
    pub(crate) percentiles: Curve,
}

/// The results of one server in one round.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) messages: u64,
    pub(crate) seconds: f64,
    pub(crate) messages_per_second: f64,
    /// The median of the scenario's key latency: for a broadcast, to the last receiver.
    pub(crate) median_ns: u64,
    /// CPU time of the server and of the load, in seconds.
    pub(crate) server_cpu_seconds: Option<f64>,
    pub(crate) load_cpu_seconds: Option<f64>,
}

/// Percentiles in nanoseconds: medians over the rounds. Minimum and maximum are of all rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) min: u64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    #[serde(rename = "p99.9")]
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

/// A comparison of a server with the floor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Ratio {
    /// The ratios of paired rounds: the median, the lowest and the highest.
    pub(crate) median: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
    /// The largest relative change of the floor from one of its rounds to the next. Smaller
    /// differences to the floor are noise. `None` with a single round.
    pub(crate) floor_noise: Option<f64>,
}

impl Side {
    /// At least one round.
    pub(crate) fn of_rounds(measurements: &[Measurement], shape: Shape) -> Self {
        let broadcast = matches!(shape, Shape::Broadcast { .. });
        let each: Vec<&Latencies> = measurements.iter().map(|round| &round.latency).collect();
        let last: Vec<&Latencies> = measurements.iter().map(|round| &round.last_receiver).collect();
        let late: Vec<&Latencies> = measurements.iter().map(|round| &round.late).collect();
        let judged = if broadcast { &last } else { &each };
        let rounds: Vec<Round> = measurements
            .iter()
            .zip(judged)
            .map(|(measurement, judged)| Round::of(measurement, judged))
            .collect();
        let cpu = rounds.iter().filter_map(Round::server_cpu_ns_per_message).collect();
        Self {
            messages_per_second: median(
                rounds.iter().map(|round| round.messages_per_second).collect(),
            )
            .unwrap_or(0.0),
            latency_ns: Summary::of_rounds(&each),
            last_receiver_ns: broadcast.then(|| Summary::of_rounds(&last)),
            late_ns: late.iter().any(|late| !late.is_empty()).then(|| Summary::of_rounds(&late)),
            unanswered: measurements.iter().map(|round| round.unanswered).sum(),
            server_cpu_ns_per_message: median(cpu),
            percentiles: Curve::of(&merged(judged)),
            rounds,
        }
    }
}

impl Round {
    fn of(measurement: &Measurement, judged: &Latencies) -> Self {
        let seconds = measurement.time.as_secs_f64();
        Self {
            messages: measurement.answered,
            seconds,
            messages_per_second: measurement.answered as f64 / seconds,
            median_ns: judged.value_at_quantile(0.5),
            server_cpu_seconds: measurement.server_cpu.map(|time| time.as_secs_f64()),
            load_cpu_seconds: measurement.load_cpu.map(|time| time.as_secs_f64()),
        }
    }

    fn server_cpu_ns_per_message(&self) -> Option<f64> {
        let seconds = self.server_cpu_seconds.filter(|_| self.messages > 0)?;
        Some(seconds * 1e9 / self.messages as f64)
    }
}

impl Summary {
    pub(crate) fn of_rounds(rounds: &[&Latencies]) -> Self {
        let at = |quantile: f64| {
            let values = rounds.iter().map(|round| round.value_at_quantile(quantile) as f64);
            median(values.collect()).unwrap_or(0.0) as u64
        };
        let filled = || rounds.iter().filter(|round| !round.is_empty());
        Self {
            count: rounds.iter().map(|round| round.len()).sum(),
            min: filled().map(|round| round.min()).min().unwrap_or(0),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: filled().map(|round| round.max()).max().unwrap_or(0),
        }
    }
}

impl Ratio {
    /// Compares round by round. `None` if a round of the floor has no result.
    pub(crate) fn between(server: &Side, floor: &Side, metric: Metric) -> Option<Self> {
        let of = |side: &Side| -> Vec<f64> {
            let value = |round: &Round| match metric {
                Metric::Median => round.median_ns as f64,
                Metric::Throughput => round.messages_per_second,
            };
            side.rounds.iter().map(value).collect()
        };
        Self::of_rounds(&of(server), &of(floor))
    }

    /// Compares one figure round by round. `None` if a round of the floor has no result.
    pub(crate) fn of_rounds(server: &[f64], floor: &[f64]) -> Option<Self> {
        if floor.iter().any(|&value| value <= 0.0) {
            return None;
        }
        let ratios: Vec<f64> =
            server.iter().zip(floor).map(|(server, floor)| server / floor).collect();
        let changes = floor.windows(2).map(|pair| (pair[1] / pair[0] - 1.0).abs());
        Some(Self {
            lowest: ratios.iter().copied().reduce(f64::min)?,
            highest: ratios.iter().copied().reduce(f64::max)?,
            floor_noise: changes.reduce(f64::max),
            median: median(ratios)?,
        })
    }
}

/// The median: the middle value, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { (values[middle - 1] + upper) / 2.0 })
}

/// All rounds in one histogram.
fn merged(rounds: &[&Latencies]) -> Latencies {
    let mut all = no_latencies();
    for round in rounds {
        all.add(*round).expect("all histograms have the same bounds");
    }
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn round(latencies: &[u64], answered: u64) -> Measurement {
        let mut latency = no_latencies();
        for &value in latencies {
            latency.saturating_record(value);
        }
        Measurement {
            time: Duration::from_millis(500),
            answered,
            unanswered: 0,
            latency,
            last_receiver: no_latencies(),
            late: no_latencies(),
            server_cpu: Some(Duration::from_millis(100)),
            load_cpu: None,
        }
    }

    fn side(rounds: &[Measurement]) -> Side {
        Side::of_rounds(rounds, Shape::Echo { connections: 1 })
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn a_side_is_the_median_of_its_rounds_with_the_extremes_of_all() {
        let side = side(&[round(&[10, 900], 100), round(&[20], 300), round(&[30], 200)]);
        assert!((side.messages_per_second - 400.0).abs() < 1e-9);
        let summary = side.latency_ns;
        assert_eq!((summary.count, summary.min, summary.p50, summary.max), (4, 10, 20, 900));
        let cpu = side.server_cpu_ns_per_message.unwrap();
        assert!((cpu - 500_000.0).abs() < 1e-6);
        assert!(side.last_receiver_ns.is_none());
    }

    #[test]
    fn ratios_pair_the_rounds() {
        let server = side(&[round(&[110], 90), round(&[240], 90), round(&[105], 90)]);
        let floor = side(&[round(&[100], 100), round(&[200], 100), round(&[100], 100)]);
        let ratio = Ratio::between(&server, &floor, Metric::Median).unwrap();
        assert!((ratio.median - 1.1).abs() < 1e-9);
        assert!((ratio.lowest - 1.05).abs() < 1e-9);
        assert!((ratio.highest - 1.2).abs() < 1e-9);
        assert_eq!(ratio.floor_noise, Some(1.0));
        let ratio = Ratio::between(&server, &floor, Metric::Throughput).unwrap();
        assert!((ratio.median - 0.9).abs() < 1e-9);
        assert_eq!(ratio.floor_noise, Some(0.0));
    }

    #[test]
    fn an_empty_floor_gives_no_ratio() {
        let (server, floor) = (side(&[round(&[1], 1)]), side(&[round(&[], 0)]));
        assert_eq!(Ratio::between(&server, &floor, Metric::Median), None);
        assert_eq!(Ratio::between(&server, &floor, Metric::Throughput), None);
    }
}
