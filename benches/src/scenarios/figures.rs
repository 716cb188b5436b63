//! The figures that several scenarios have.

use crate::load::Measurement;
use crate::results::{Better, Figure, Unit};
use crate::scenario::Sample;

pub(crate) const P50: Figure = Figure::time("p50_ns", "p50");
pub(crate) const P99: Figure = Figure::time("p99_ns", "p99");
pub(crate) const P999: Figure = Figure::time("p99.9_ns", "p99.9");
pub(crate) const MAX: Figure = Figure::time("max_ns", "max");
pub(crate) const EACH_P50: Figure = Figure::time("each_p50_ns", "p50 of each receiver");
pub(crate) const EACH_P99: Figure = Figure::time("each_p99_ns", "p99 of each receiver");
pub(crate) const BYSTANDER_P50: Figure = Figure::time("bystander_p50_ns", "bystander p50");
pub(crate) const BYSTANDER_P99: Figure = Figure::time("bystander_p99_ns", "bystander p99");
pub(crate) const BYSTANDER_P999: Figure = Figure::time("bystander_p99.9_ns", "bystander p99.9");
pub(crate) const LATE_P99: Figure =
    Figure::new("late_p99_ns", "late p99", Unit::Nanoseconds, Better::Neither);
pub(crate) const MEMORY: Figure =
    Figure::new("bytes_per_connection", "memory/connection", Unit::Bytes, Better::Less);
pub(crate) const SERVER_SHARE: Figure =
    Figure::new("server_cpu_share", "server CPU", Unit::Share, Better::Neither);
pub(crate) const SYSTEM_CALLS: Figure =
    Figure::new("system_calls", "system calls", Unit::Ratio, Better::Less);

/// Counted units per second.
pub(crate) const fn rate(title: &'static str) -> Figure {
    Figure::rate("per_second", title)
}

/// The server's CPU time for a counted unit.
pub(crate) const fn server_cpu(title: &'static str) -> Figure {
    Figure::time("server_cpu_ns", title)
}

/// All figures that a load has measured. Of broadcasts, latencies are those of the last receivers.
pub(crate) fn sample(measured: &Measurement) -> Sample {
    let broadcast = !measured.last_receiver.is_empty();
    let latency = if broadcast { &measured.last_receiver } else { &measured.latency };
    let each = [(&EACH_P50, 0.5), (&EACH_P99, 0.99)];
    let bystander = [(&BYSTANDER_P50, 0.5), (&BYSTANDER_P99, 0.99), (&BYSTANDER_P999, 0.999)];
    let seconds = measured.time.as_secs_f64();
    let count = measured.count as f64;
    let share = |time: std::time::Duration| time.as_secs_f64() / seconds;
    let mut sample = Sample::default()
        .percentiles(latency, &[(&P50, 0.5), (&P99, 0.99), (&P999, 0.999), (&MAX, 1.0)])
        .percentiles(&measured.bystander, &bystander)
        .percentiles(&measured.late, &[(&LATE_P99, 0.99)])
        .maybe(&MEMORY, measured.bytes_per_connection)
        .plot(latency.clone());
    if broadcast {
        sample = sample.percentiles(&measured.latency, &each);
    }
    if count > 0.0 && seconds > 0.0 {
        let cpu = measured.server_cpu;
        sample = sample
            .with(&rate(""), count / seconds)
            .maybe(&server_cpu(""), cpu.map(|cpu| cpu.as_nanos() as f64 / count))
            .maybe(&SERVER_SHARE, cpu.map(share));
    }
    if measured.unanswered > 0 {
        sample = sample.note(format!(
            "{} messages were not answered in time: the server does not keep up with the \
             rate, and the latencies say how long they had waited by then",
            measured.unanswered
        ));
    }
    Sample { servers_cpu: measured.server_cpu.unwrap_or_default(), ..sample }
}
