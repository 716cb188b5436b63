//! Numbers and commands in readable form.

/// A time in nanoseconds, with three digits and a unit.
pub(crate) fn time(nanoseconds: u64) -> String {
    let value = nanoseconds as f64;
    match nanoseconds {
        0..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => format!("{} µs", three_digits(value / 1e3)),
        1_000_000..1_000_000_000 => format!("{} ms", three_digits(value / 1e6)),
        _ => format!("{} s", three_digits(value / 1e9)),
    }
}

/// A number without decimals, in groups of three digits.
pub(crate) fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A small number with three digits.
pub(crate) fn small(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        ..0.001 => "< 0.001".to_owned(),
        ..1.0 => format!("{value:.3}"),
        _ => three_digits(value),
    }
}

/// A command line, quoted for a shell.
pub(crate) fn command(words: impl Iterator<Item = String>) -> String {
    let quoted: Vec<String> = words.map(|word| quote(&word)).collect();
    quoted.join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn three_digits(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        for (nanoseconds, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (16_149, "16.1 µs"),
            (99_960, "100 µs"),
            (1_234_567, "1.23 ms"),
            (2_000_000_000, "2.00 s"),
        ] {
            assert_eq!(time(nanoseconds), text);
        }
    }

    #[test]
    fn small_numbers_have_three_digits() {
        for (value, text) in
            [(0.0, "0"), (0.0001, "< 0.001"), (0.25, "0.250"), (1.5, "1.50"), (1000.0, "1000")]
        {
            assert_eq!(small(value), text);
        }
    }

    #[test]
    fn counts_have_groups() {
        assert_eq!(count(0.4), "0");
        assert_eq!(count(999.0), "999");
        assert_eq!(count(1_234_567.8), "1,234,568");
    }

    #[test]
    fn commands_are_quoted_where_a_shell_needs_it() {
        let words = ["bench", "--url", "ws://h/?a=1&b", "it's"].map(str::to_owned);
        assert_eq!(command(words.into_iter()), r"bench --url 'ws://h/?a=1&b' 'it'\''s'");
    }
}
