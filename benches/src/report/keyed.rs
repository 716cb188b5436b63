//! The report on the age of values at many slow readers.

use serde::Serialize;

use super::stats::Summary;
use super::table::align;
use super::{Header, Printable, text};
use crate::keyed::{KeyedArgs, Observed, Order};

/// The report on one run of `keyed`.
#[derive(Debug, Serialize)]
pub(crate) struct KeyedReport {
    #[serde(flatten)]
    header: Header,
    keys: u64,
    order: Order,
    readers: u64,
    /// Updates that were broadcast per second.
    updates_per_second: f64,
    /// Values that all readers received per second.
    values_per_second: f64,
    /// Bytes that all readers received per second.
    bytes_per_second: f64,
    /// The age of the received values, in nanoseconds.
    age_ns: Summary,
    /// How many keys the reader that got the fewest has got.
    keys_min: u64,
    turn_p99_ns: u64,
    longest_turn_ns: u64,
    /// The share of one CPU that the server used.
    server_cpu: Option<f64>,
}

impl KeyedReport {
    pub(crate) fn new(args: &KeyedArgs, observed: &Observed) -> Self {
        let KeyedArgs { keys, order, readers, .. } = *args;
        let seconds = observed.time.as_secs_f64();
        let settings = vec![format!(
            "{} updates/s of {} B to {} keys{}, {} readers of {} B/s each{}, \
             over loopback for {:?}",
            text::count(args.rate),
            args.size,
            text::count(keys as f64),
            match order {
                Order::RoundRobin => " in turn",
                Order::Random => " at random",
            },
            text::count(readers as f64),
            text::count(args.reader as f64),
            args.every.map_or(String::new(), |ms| format!(" at most every {ms} ms")),
            args.time,
        )];
        Self {
            header: Header::new(settings),
            keys,
            order,
            readers,
            updates_per_second: observed.updates as f64 / seconds,
            values_per_second: observed.received as f64 / seconds,
            bytes_per_second: observed.bytes as f64 / seconds,
            age_ns: Summary::of_rounds(&[&observed.age]),
            keys_min: observed.keys_min,
            turn_p99_ns: observed.turn_p99.as_nanos() as u64,
            longest_turn_ns: observed.longest_turn.as_nanos() as u64,
            server_cpu: observed.cpu.map(|cpu| cpu.as_secs_f64() / seconds),
        }
    }
}

impl Printable for KeyedReport {
    fn table(&self) -> String {
        let per_second = |count: f64, unit: &str| format!("{}{unit}/s", text::count(count));
        let rows = [
            ("updates broadcast", per_second(self.updates_per_second, "")),
            ("values received", per_second(self.values_per_second, "")),
            ("bytes received", per_second(self.bytes_per_second, " B")),
            ("age of a value, p50", text::time(self.age_ns.p50)),
            ("age of a value, p99", text::time(self.age_ns.p99)),
            ("age of a value, max", text::time(self.age_ns.max)),
            ("keys at each reader, at least", text::count(self.keys_min as f64)),
            ("turn of the server, p99", text::time(self.turn_p99_ns)),
            ("longest turn of the server", text::time(self.longest_turn_ns)),
            (
                "CPU of the server",
                match self.server_cpu {
                    Some(share) => format!("{:.0} %", 100.0 * share),
                    None => "unknown".to_owned(),
                },
            ),
        ];
        let rows: Vec<_> =
            rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
        format!("{}\n{}", self.header.lines(), align(&rows))
    }
}
