//! Measures conflation by key: the age of the latest values of many keys at many slow readers.

mod args;
mod readers;
mod server;

use std::thread;
use std::time::{Duration, Instant};

pub(crate) use args::{KeyedArgs, Order};

pub(crate) use crate::freshness::{Update, frame};

use crate::error::Error;
use crate::load::Latencies;
use crate::machine;
use crate::report::keyed::KeyedReport;

use readers::Readers;
use server::Server;

/// The length of a key in a payload, behind the stamp.
pub(crate) const KEY_LEN: usize = 5;

/// What the readers received after the buffers had filled, and what it cost.
#[derive(Debug)]
pub(crate) struct Observed {
    /// The age of each value, in nanoseconds.
    pub(crate) age: Latencies,
    pub(crate) received: u64,
    pub(crate) bytes: u64,
    /// How many keys the reader that got the fewest has got.
    pub(crate) keys_min: u64,
    /// How long they read.
    pub(crate) time: Duration,
    /// Updates that were broadcast in that time.
    pub(crate) updates: u64,
    /// The longest turn of the server.
    pub(crate) longest_turn: Duration,
    /// The turn at the 99th percentile.
    pub(crate) turn_p99: Duration,
    /// CPU time of the server.
    pub(crate) cpu: Option<Duration>,
}

/// Runs the measurement.
pub(crate) fn run(args: KeyedArgs) -> Result<KeyedReport, Error> {
    let args = args.effective();
    machine::raise_file_limit(2 * args.readers + 64);
    let start = Instant::now();
    let server = Server::start(&args, start)?;
    let observed = thread::scope(|scope| {
        let reading = scope.spawn(|| Readers::connect(&args, &server, start)?.run());
        reading.join().unwrap_or(Err(Error::Thread("readers")))
    });
    // If both failed, the server's error is the cause.
    server.stop()?;
    Ok(KeyedReport::new(&args, &observed?))
}
