//! The report on the age of updates at a slow reader.

use eventwire::OverflowPolicy;
use serde::Serialize;

use super::stats::Summary;
use super::table::align;
use super::{Header, Printable, text};
use crate::freshness::{Case, FreshnessArgs, Observed};

/// The report on one run of `freshness`.
#[derive(Debug, Serialize)]
pub(crate) struct FreshnessReport {
    #[serde(flatten)]
    header: Header,
    /// Bytes that the reader reads per second.
    reader: usize,
    cases: Vec<CaseReport>,
}

#[derive(Debug, Serialize)]
struct CaseReport {
    policy: &'static str,
    /// The reader's receive buffer in bytes. `None`: the system's default.
    receive_buffer: Option<usize>,
    /// The age of the received updates, in nanoseconds.
    age_ns: Summary,
    received: u64,
    skipped: u64,
    /// Unread bytes in the reader's own receive buffer: the median.
    waiting_at_reader: u64,
}

impl FreshnessReport {
    pub(crate) fn new(args: &FreshnessArgs) -> Self {
        let FreshnessArgs { reader, rate, size, .. } = args;
        let (reader, rate) = (*reader, *rate);
        let settings = vec![
            format!(
                "{} updates/s of {size} B to a reader of {} B/s, over loopback",
                text::count(rate),
                text::count(reader as f64)
            ),
            format!("{:?} with each policy, the first third of it to fill the buffers", args.time),
        ];
        Self { header: Header::new(settings), reader, cases: Vec::new() }
    }

    /// Adds the measurements.
    pub(crate) fn add(&mut self, case: Case, observed: &Observed) {
        self.cases.push(CaseReport {
            policy: match case.policy {
                OverflowPolicy::Close => "close",
                OverflowPolicy::DropNewest => "drop newest",
                OverflowPolicy::DropOldest => "drop oldest",
                OverflowPolicy::KeepLatest => "keep latest",
            },
            receive_buffer: case.receive_buffer,
            age_ns: Summary::of_rounds(&[&observed.age]),
            received: observed.received,
            skipped: observed.skipped,
            waiting_at_reader: observed.waiting.value_at_quantile(0.5),
        });
    }
}

impl Printable for FreshnessReport {
    fn table(&self) -> String {
        let head = ["policy", "receive buffer", "age p50", "max", "received", "skipped", "at it"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for case in &self.cases {
            let buffer = case.receive_buffer.map_or_else(
                || "the system's".to_owned(),
                |bytes| format!("{} KiB", 2 * bytes / 1024),
            );
            let waiting = case.waiting_at_reader as f64;
            let time = waiting / self.reader as f64 * 1e9;
            rows.push(vec![
                case.policy.to_owned(),
                buffer,
                text::time(case.age_ns.p50),
                text::time(case.age_ns.max),
                text::count(case.received as f64),
                text::count(case.skipped as f64),
                format!("{} B, {}", text::count(waiting), text::time(time as u64)),
            ]);
        }
        format!(
            "{}\n{}\nat it: the median of unread bytes in the reader's own receive buffer, and the \
             time to read them\n",
            self.header.lines(),
            align(&rows)
        )
    }
}
