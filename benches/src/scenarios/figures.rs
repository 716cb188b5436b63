//! The figures that many scenarios have.

use crate::results::{Better, Figure, Unit};

pub(super) const P50: Figure = Figure::time("p50_ns", "p50");
pub(super) const P99: Figure = Figure::time("p99_ns", "p99");
pub(super) const P999: Figure = Figure::time("p99.9_ns", "p99.9");
pub(super) const MAX: Figure = Figure::time("max_ns", "max");
/// The server's memory for each idle connection.
pub(super) const BYTES_PER_CONNECTION: Figure =
    Figure::new("bytes_per_connection", "memory per connection", Unit::Bytes, Better::Less);

/// The percentiles of latencies, with their quantiles.
pub(super) const PERCENTILES: [(&Figure, f64); 4] =
    [(&P50, 0.5), (&P99, 0.99), (&P999, 0.999), (&MAX, 1.0)];

/// Units per second, for instance "messages/s".
pub(super) const fn per_second(title: &'static str) -> Figure {
    Figure::rate("per_second", title)
}

/// The server's CPU time for each unit, for instance "server CPU per message".
pub(super) const fn server_cpu(title: &'static str) -> Figure {
    Figure::time("server_cpu_ns", title)
}
