//! A loop's statistics in the text format of Prometheus.

use std::fmt::{self, Write};

use crate::engine::stats::snapshot::{Metric, MetricKind, Stats};
use crate::histogram::Histogram;

/// The upper bounds of the histograms' buckets, as powers of two in nanoseconds: from about 1 µs to
/// about 17 s.
const BOUNDS: std::ops::RangeInclusive<u32> = 10..=34;

impl Stats {
    /// The statistics in the text format of Prometheus, version 0.0.4: numbers as gauges and
    /// counters, times as histograms in seconds. Every name begins with `eventwire_`.
    ///
    /// [`Routes::metrics`](crate::Routes::metrics) responds with it. An application may append its
    /// own metrics.
    ///
    /// ```
    /// use eventwire::Stats;
    ///
    /// let text = Stats::default().to_prometheus();
    /// assert!(text.contains("\n# TYPE eventwire_connections gauge\neventwire_connections 0\n"));
    /// assert!(text.contains("\neventwire_messages_received_total 0\n"));
    /// assert!(text.contains("\neventwire_turn_seconds_count 0\n"));
    /// ```
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        for Metric { name, doc, kind, value } in self.metrics() {
            let (suffix, kind) = match kind {
                MetricKind::Gauge => ("", "gauge"),
                MetricKind::Counter => ("_total", "counter"),
            };
            let name = format!("{name}{suffix}");
            family(out, &name, &plain(doc), kind)?;
            writeln!(out, "eventwire_{name} {value}")?;
        }
        histogram(out, "turn_seconds", "How long turns took.", &self.turn_time)?;
        histogram(out, "handler_seconds", "How long handlers took.", &self.handler_time)?;
        let help = "From waking a sleeping loop to the first handler.";
        histogram(out, "wake_seconds", help, &self.wake_latency)
    }
}

/// Begins a metric. Prometheus requires its lines to be contiguous.
fn family(out: &mut String, name: &str, help: &str, kind: &str) -> fmt::Result {
    writeln!(out, "# HELP eventwire_{name} {help}\n# TYPE eventwire_{name} {kind}")
}

fn histogram(out: &mut String, name: &str, help: &str, times: &Histogram) -> fmt::Result {
    family(out, name, help, "histogram")?;
    for power in BOUNDS {
        let nanos = 1_u64 << power;
        let (bound, count) = (nanos as f64 / 1e9, times.count_below(nanos));
        writeln!(out, "eventwire_{name}_bucket{{le=\"{bound}\"}} {count}")?;
    }
    let (count, sum) = (times.count(), times.sum().as_secs_f64());
    writeln!(out, "eventwire_{name}_bucket{{le=\"+Inf\"}} {count}")?;
    writeln!(out, "eventwire_{name}_sum {sum}\neventwire_{name}_count {count}")
}

/// Joins the lines of a doc comment into one line without markup.
fn plain(doc: &[&str]) -> String {
    let joined = doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    let mut plain = String::with_capacity(joined.len());
    let mut rest = joined.as_str();
    while let Some(at) = rest.find(['[', ']', '`']) {
        plain.push_str(&rest[..at]);
        let target = rest[at..].strip_prefix("](").and_then(|target| target.split_once(')'));
        rest = target.map_or(&rest[at + 1..], |(_, behind)| behind);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::histogram::SharedHistogram;

    #[test]
    fn documentation_becomes_plain_text() {
        let doc = [" By [`Policy::Drop`](crate::Policy),", " once for [each](x) `one`."];
        assert_eq!(plain(&doc), "By Policy::Drop, once for each one.");
        assert_eq!(plain(&["a]b(c)"]), "ab(c)");
    }

    #[test]
    fn times_are_counted_up_to_each_bound() {
        let shared = SharedHistogram::default();
        for nanos in [1000, 1023, 1024, 3_000_000, 40_000_000_000] {
            shared.record(Duration::from_nanos(nanos));
        }
        let mut text = String::new();
        histogram(&mut text, "x", "y", &shared.snapshot()).unwrap();
        let values: BTreeMap<_, _> =
            text.lines().filter_map(|line| line.rsplit_once(' ')).collect();
        for (name, value) in [
            ("eventwire_x_bucket{le=\"0.000001024\"}", "2"),
            ("eventwire_x_bucket{le=\"0.000002048\"}", "3"),
            ("eventwire_x_bucket{le=\"0.004194304\"}", "4"),
            ("eventwire_x_bucket{le=\"17.179869184\"}", "4"),
            ("eventwire_x_bucket{le=\"+Inf\"}", "5"),
            ("eventwire_x_count", "5"),
            ("eventwire_x_sum", "40.003003047"),
        ] {
            assert_eq!(values.get(name), Some(&value), "{name}");
        }
    }

    #[test]
    fn every_number_is_there_once_and_what_is_held_now_is_a_gauge() {
        let text = Stats { connections: 7, turns: 9, ..Stats::default() }.to_prometheus();
        let names: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let mut distinct = names.clone();
        distinct.dedup();
        assert_eq!(names.len(), distinct.len());
        assert!(names.contains(&"# TYPE eventwire_inbound_bytes gauge"));
        assert!(names.contains(&"# TYPE eventwire_broadcasts_dropped_total counter"));
        assert!(text.contains("\neventwire_turns_total 9\n"));
        assert!(text.contains("\neventwire_connections 7\n") || text.starts_with("# HELP"));
        assert!(!text.contains('`') && !text.contains("]("));
    }
}
