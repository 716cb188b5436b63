//! Figures in readable form.

use super::spread::Spread;
use crate::compare::{Kind, Metric};
use crate::report::text;

/// A figure's name.
pub(super) fn name(metric: Metric, kind: Kind) -> String {
    let unit = kind.unit();
    match metric {
        Metric::Rate => format!("{}/s", plural(unit)),
        Metric::P50 => "p50".to_owned(),
        Metric::P99 => "p99".to_owned(),
        Metric::P999 => "p99.9".to_owned(),
        Metric::Max => "max".to_owned(),
        Metric::BystanderP50 => "bystander p50".to_owned(),
        Metric::BystanderP99 => "bystander p99".to_owned(),
        Metric::BystanderP999 => "bystander p99.9".to_owned(),
        Metric::ServerCpu => format!("CPU/{unit}"),
        Metric::ServerShare => "server CPU".to_owned(),
        Metric::LoadShare => "load CPU".to_owned(),
        Metric::Stolen => "stolen".to_owned(),
        Metric::Memory => "memory/connection".to_owned(),
        Metric::Tables => "tables/connection".to_owned(),
        Metric::SystemCalls => format!("system calls/{unit}"),
        Metric::Publish => "publish".to_owned(),
    }
}

fn plural(unit: &str) -> String {
    match unit.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{unit}s"),
    }
}

/// A figure with its unit.
pub(super) fn value(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Rate => text::count(value),
        Metric::ServerShare | Metric::LoadShare => format!("{:.0} %", value * 100.0),
        Metric::Stolen => format!("{:.1} %", value * 100.0),
        Metric::Memory | Metric::Tables => format!("{} B", text::count(value)),
        Metric::SystemCalls => times(value),
        Metric::Publish | Metric::ServerCpu if value < 100.0 => format!("{value:.1} ns"),
        _ => text::time(value as u64),
    }
}

/// A ratio with its spread.
pub(super) fn ratio(spread: Spread) -> String {
    let Spread { median, lowest, highest } = spread;
    format!("{} ({}-{})", times(median), times(lowest), times(highest))
}

/// A ratio with three digits.
pub(super) fn times(ratio: f64) -> String {
    match ratio {
        ..9.995 => format!("{ratio:.2}"),
        ..99.95 => format!("{ratio:.1}"),
        _ => format!("{ratio:.0}"),
    }
}

/// A difference as a percentage.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_their_units() {
        for (metric, figure, text) in [
            (Metric::Rate, 1234.0, "1,234"),
            (Metric::P50, 16_149.0, "16.1 µs"),
            (Metric::ServerCpu, 96.32, "96.3 ns"),
            (Metric::ServerCpu, 4857.0, "4.86 µs"),
            (Metric::ServerShare, 0.995, "100 %"),
            (Metric::Memory, 67.6, "68 B"),
            (Metric::SystemCalls, 0.1894, "0.19"),
        ] {
            assert_eq!(value(metric, figure), text);
        }
        assert_eq!([1.0, 1.234, 12.34, 123.4].map(times), ["1.00", "1.23", "12.3", "123"]);
    }

    #[test]
    fn rates_are_named_after_what_they_count() {
        let names = [
            Kind::Handshakes,
            Kind::Broadcast { receivers: 1, slow: 0, size: 1, batch: 1 },
            Kind::Idle { connections: 1 },
        ];
        let names = names.map(|kind| name(Metric::Rate, kind));
        assert_eq!(names, ["handshakes/s", "deliveries/s", "messages/s"]);
    }
}
