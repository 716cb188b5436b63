//! Parses the values of options.

use std::ops::RangeInclusive;
use std::time::Duration;

pub(crate) fn parse_connections(text: &str) -> Result<usize, String> {
    parse_integer(text, 1..=60_000)
}

pub(crate) fn parse_depth(text: &str) -> Result<usize, String> {
    parse_integer(text, 1..=65_536)
}

pub(crate) fn parse_size(text: &str) -> Result<usize, String> {
    parse_integer(text, 0..=1 << 26)
}

/// Long enough for the stamp, and short enough for several of them in a topic's backlog.
pub(crate) fn parse_broadcast_size(text: &str) -> Result<usize, String> {
    parse_integer(text, 8..=65_536)
}

pub(crate) fn parse_max_message(text: &str) -> Result<usize, String> {
    parse_integer(text, 1..=1 << 30)
}

pub(crate) fn parse_integer(text: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("must be a whole number from {} to {}", range.start(), range.end())),
    }
}

pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    parse_number(text, 0.01..=86_400.0).map(Duration::from_secs_f64)
}

pub(crate) fn parse_rate(text: &str) -> Result<f64, String> {
    parse_number(text, 0.1..=10_000_000.0)
}

pub(crate) fn parse_number(text: &str, range: RangeInclusive<f64>) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("must be a number from {} to {}", range.start(), range.end())),
    }
}

pub(crate) fn parse_listen(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    match port.map(str::parse::<u16>) {
        Some(Ok(_)) => Ok(text.to_owned()),
        _ => Err("must be HOST:PORT, for instance 127.0.0.1:9001".to_owned()),
    }
}
