//! The outcome of one round of one entrant, in any scenario.

use std::time::Duration;

use serde::Serialize;

use crate::load::{Latencies, Measurement};

/// The measurements of one round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// How many units the scenario counted: messages, deliveries or handshakes.
    pub(crate) count: u64,
    pub(crate) time: Duration,
    /// Units per second, if that is measured separately.
    pub(crate) rate: Option<f64>,
    /// The latency that the scenario is compared by. For broadcasts, to the last receiver of each.
    pub(crate) latency: Option<Latencies>,
    /// Round trips of a connection that does not take part in the load.
    pub(crate) bystander: Option<Latencies>,
    pub(crate) server_cpu: Option<Duration>,
    pub(crate) load_cpu: Option<Duration>,
    /// The server's own memory for each connection, in bytes.
    pub(crate) bytes_per_connection: Option<f64>,
    /// The part of it that is in the server's own tables. Known for the engine only.
    pub(crate) tables_per_connection: Option<f64>,
    /// The server's system calls per counted unit, from a round of its own.
    pub(crate) system_calls: Option<f64>,
    /// The time that publishing one event takes.
    pub(crate) publish_ns: Option<f64>,
    /// The share of all CPU time that the hypervisor took away in that time.
    pub(crate) stolen: Option<f64>,
    /// How many messages were unanswered when the round was abandoned.
    pub(crate) unanswered: u64,
    /// Open loop: how late messages left, as median and 99th percentile.
    pub(crate) late: Option<Latencies>,
}

impl From<Measurement> for Outcome {
    fn from(measurement: Measurement) -> Self {
        let Measurement {
            time,
            answered,
            unanswered,
            latency,
            last_receiver,
            late,
            server_cpu,
            load_cpu,
        } = measurement;
        let filled = |latencies: Latencies| (!latencies.is_empty()).then_some(latencies);
        Self {
            count: answered,
            time,
            latency: filled(last_receiver).or(filled(latency)),
            server_cpu,
            load_cpu,
            unanswered,
            late: filled(late),
            ..Self::default()
        }
    }
}

/// One figure of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Metric {
    #[serde(rename = "per_second")]
    Rate,
    #[serde(rename = "p50_ns")]
    P50,
    #[serde(rename = "p99_ns")]
    P99,
    #[serde(rename = "p99.9_ns")]
    P999,
    #[serde(rename = "max_ns")]
    Max,
    #[serde(rename = "bystander_p50_ns")]
    BystanderP50,
    #[serde(rename = "bystander_p99_ns")]
    BystanderP99,
    #[serde(rename = "bystander_p99.9_ns")]
    BystanderP999,
    #[serde(rename = "server_cpu_ns")]
    ServerCpu,
    #[serde(rename = "server_cpu_share")]
    ServerShare,
    #[serde(rename = "load_cpu_share")]
    LoadShare,
    #[serde(rename = "stolen_share")]
    Stolen,
    #[serde(rename = "bytes_per_connection")]
    Memory,
    #[serde(rename = "table_bytes_per_connection")]
    Tables,
    #[serde(rename = "system_calls")]
    SystemCalls,
    #[serde(rename = "publish_ns")]
    Publish,
}

impl Metric {
    pub(crate) const ALL: [Self; 16] = [
        Self::Rate,
        Self::P50,
        Self::P99,
        Self::P999,
        Self::Max,
        Self::BystanderP50,
        Self::BystanderP99,
        Self::BystanderP999,
        Self::ServerCpu,
        Self::ServerShare,
        Self::LoadShare,
        Self::Stolen,
        Self::Memory,
        Self::Tables,
        Self::SystemCalls,
        Self::Publish,
    ];

    /// Whether more is better.
    pub(crate) const fn is_gain(self) -> bool {
        matches!(self, Self::Rate)
    }

    /// Whether entrants are compared by it.
    pub(crate) const fn is_compared(self) -> bool {
        !matches!(self, Self::ServerShare | Self::LoadShare | Self::Stolen)
    }

    /// Its value in one round, if it was measured.
    pub(crate) fn of(self, outcome: &Outcome) -> Option<f64> {
        let at = |latencies: &Option<Latencies>, quantile: f64| {
            Some(latencies.as_ref()?.value_at_quantile(quantile) as f64)
        };
        let seconds = outcome.time.as_secs_f64();
        let share = |time: Option<Duration>| {
            Some(time?.as_secs_f64() / seconds).filter(|share| share.is_finite())
        };
        match self {
            Self::Rate => outcome.rate.or_else(|| {
                (outcome.count > 0 && seconds > 0.0).then(|| outcome.count as f64 / seconds)
            }),
            Self::P50 => at(&outcome.latency, 0.5),
            Self::P99 => at(&outcome.latency, 0.99),
            Self::P999 => at(&outcome.latency, 0.999),
            Self::Max => at(&outcome.latency, 1.0),
            Self::BystanderP50 => at(&outcome.bystander, 0.5),
            Self::BystanderP99 => at(&outcome.bystander, 0.99),
            Self::BystanderP999 => at(&outcome.bystander, 0.999),
            Self::ServerCpu => {
                let time = outcome.server_cpu.filter(|_| outcome.count > 0)?;
                Some(time.as_nanos() as f64 / outcome.count as f64)
            }
            Self::ServerShare => share(outcome.server_cpu),
            Self::LoadShare => share(outcome.load_cpu),
            Self::Stolen => outcome.stolen,
            Self::Memory => outcome.bytes_per_connection,
            Self::Tables => outcome.tables_per_connection,
            Self::SystemCalls => outcome.system_calls,
            Self::Publish => outcome.publish_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::no_latencies;

    #[test]
    fn figures_come_from_what_was_measured() {
        let mut latency = no_latencies();
        for value in 1..=1000 {
            latency.saturating_record(value);
        }
        let outcome = Outcome {
            count: 1000,
            time: Duration::from_millis(500),
            latency: Some(latency),
            server_cpu: Some(Duration::from_millis(250)),
            ..Outcome::default()
        };
        let value = |metric: Metric| metric.of(&outcome);
        assert_eq!(value(Metric::Rate), Some(2000.0));
        assert_eq!(value(Metric::P50), Some(500.0));
        assert_eq!(value(Metric::P99), Some(990.0));
        assert_eq!(value(Metric::Max), Some(1000.0));
        assert_eq!(value(Metric::ServerCpu), Some(250_000.0));
        assert_eq!(value(Metric::ServerShare), Some(0.5));
        assert_eq!(value(Metric::LoadShare), None);
        assert_eq!(value(Metric::BystanderP999), None);
        assert_eq!(value(Metric::Memory), None);
    }

    #[test]
    fn an_empty_round_has_no_figures() {
        for metric in Metric::ALL {
            assert_eq!(metric.of(&Outcome::default()), None, "{metric:?}");
        }
    }

    #[test]
    fn a_broadcast_is_judged_by_its_last_receivers() {
        let latencies = |value: u64| {
            let mut latencies = no_latencies();
            latencies.saturating_record(value);
            latencies
        };
        let measurement = |last_receiver| Measurement {
            time: Duration::from_secs(1),
            answered: 1,
            unanswered: 0,
            latency: latencies(10),
            last_receiver,
            late: no_latencies(),
            server_cpu: None,
            load_cpu: None,
        };
        let p50 = |measurement| Metric::P50.of(&Outcome::from(measurement));
        assert_eq!(p50(measurement(latencies(20))), Some(20.0));
        assert_eq!(p50(measurement(no_latencies())), Some(10.0));
    }
}
