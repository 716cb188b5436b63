//! Numbers with their units, in readable form.

use crate::results::Unit;

/// A figure with its unit.
pub(super) fn value(unit: Unit, figure: f64) -> String {
    if figure < 0.0 {
        return format!("-{}", value(unit, -figure));
    }
    match unit {
        Unit::Nanoseconds => time(figure),
        Unit::PerSecond | Unit::Count => count(figure),
        Unit::Bytes => format!("{} B", grouped(figure)),
        Unit::Share => percent(figure),
        Unit::Ratio => three_digits(figure),
    }
}

/// A share as a percentage. It is 0 % or 100 % only if it is exactly that.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 => "0 %".to_owned(),
        ..0.1 => "< 0.1 %".to_owned(),
        ..9.95 | 98.95..99.9 => format!("{percent:.1} %"),
        99.9..100.0 => "> 99.9 %".to_owned(),
        _ => format!("{percent:.0} %"),
    }
}

/// Nanoseconds with three digits and a unit.
pub(super) fn time(nanoseconds: f64) -> String {
    if nanoseconds == 0.0 {
        return "0 ns".to_owned();
    }
    for (unit, length) in [("ns", 1.0), ("µs", 1e3), ("ms", 1e6)] {
        if nanoseconds / length < 999.5 {
            return format!("{} {unit}", three_digits(nanoseconds / length));
        }
    }
    format!("{} s", three_digits(nanoseconds / 1e9))
}

/// A whole or large number in groups of three digits, any other number with three digits.
fn count(figure: f64) -> String {
    match figure {
        _ if figure.fract() == 0.0 => grouped(figure),
        ..0.01 => "< 0.01".to_owned(),
        _ => three_digits(figure),
    }
}

fn grouped(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// For numbers without a unit, such as ratios.
pub(super) fn three_digits(figure: f64) -> String {
    match figure {
        ..9.995 => format!("{figure:.2}"),
        ..99.95 => format!("{figure:.1}"),
        _ => grouped(figure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_their_units() {
        let times = [(0.0, "0 ns"), (28.54, "28.5 ns"), (999.6, "1.00 µs"), (-2e9, "-2.00 s")];
        let counts = [(1_234_567.8, "1,234,568"), (16.0, "16"), (0.189, "0.19"), (0.004, "< 0.01")];
        let shares = [(0.5312, "53 %"), (0.0234, "2.3 %"), (0.99996, "> 99.9 %"), (1.0, "100 %")];
        let ratios = [(1.0, "1.00"), (61.72, "61.7"), (804.4, "804"), (10_000.0, "10,000")];
        for (unit, figures) in [
            (Unit::Nanoseconds, times),
            (Unit::Count, counts),
            (Unit::Share, shares),
            (Unit::Ratio, ratios),
        ] {
            for (figure, text) in figures {
                assert_eq!(value(unit, figure), text);
            }
        }
        assert_eq!(value(Unit::Bytes, 1024.4), "1,024 B");
    }
}
