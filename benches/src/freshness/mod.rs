//! Measures the age of a topic's updates at a subscriber that reads less than is broadcast.

mod args;
mod reader;
mod server;
mod update;

use std::thread;
use std::time::{Duration, Instant};

use eventwire::OverflowPolicy;

pub(crate) use args::FreshnessArgs;
pub(crate) use reader::{dial, frame};
pub(crate) use update::Update;

use crate::error::Error;
use crate::load::Latencies;
use crate::progress_bar;
use crate::report::freshness::FreshnessReport;

use reader::Reader;
use server::Server;

/// If the server sends nothing for this long, it has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// The duration of a brief check.
const QUICK: Duration = Duration::from_millis(300);

/// A small receive buffer, in bytes. The system doubles it.
pub(crate) const SMALL: usize = 8 * 1024;

/// One case to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) policy: OverflowPolicy,
    /// The reader's receive buffer in bytes. `None`: the system's default.
    pub(crate) receive_buffer: Option<usize>,
}

const CASES: [Case; 3] = [
    Case { policy: OverflowPolicy::KeepLatest, receive_buffer: None },
    Case { policy: OverflowPolicy::KeepLatest, receive_buffer: Some(SMALL) },
    Case { policy: OverflowPolicy::DropOldest, receive_buffer: None },
];

/// What a reader received after the buffers had filled.
#[derive(Debug)]
pub(crate) struct Observed {
    /// The age of each update, in nanoseconds.
    pub(crate) age: Latencies,
    /// Bytes that were unread in the reader's own receive buffer.
    pub(crate) waiting: Latencies,
    pub(crate) received: u64,
    pub(crate) skipped: u64,
}

/// Runs all measurements.
pub(crate) fn run(args: &FreshnessArgs) -> Result<FreshnessReport, Error> {
    let bar = progress_bar(CASES.len() as u64);
    let mut report = FreshnessReport::new(args);
    for case in CASES {
        report.add(case, &measure(args, case)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(report)
}

fn measure(args: &FreshnessArgs, case: Case) -> Result<Observed, Error> {
    let time = if args.quick { QUICK } else { args.time };
    let start = Instant::now();
    let server = Server::start(case, args.rate, args.size, start)?;
    let observed = thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let reader = Reader::connect(server.address, case, start, time / 3)?;
            reader.run(args, Instant::now() + time)
        });
        reading.join().unwrap_or(Err(Error::Thread("reader")))
    });
    // If both failed, the server's error is the cause.
    server.stop()?;
    observed
}
