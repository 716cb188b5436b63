//! The command line of durable topics.

use std::path::PathBuf;

use clap::Args;

#[cfg(feature = "sqlite")]
use crate::cli::FileArgs;
use crate::cli::parse_bus_rate;

/// Measure durable topics: how fast the journal stores, and how long messages wait for it
///
/// A plain loop stores the same rows in SQLite, in batches of the same size, alternately with the
/// engine. Beside the latencies stands what the device takes to synchronise. Needs a build with
/// `--features sqlite`. It takes half a minute.
#[derive(Args, Debug)]
pub(crate) struct JournalArgs {
    /// Topics, which messages go to in turn while the rate is measured
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) topics: u32,
    /// Payload bytes of each message
    #[arg(short, long, value_name = "BYTES", default_value_t = 256)]
    #[arg(value_parser = clap::value_parser!(u32).range(16..=16_384))]
    pub(crate) size: u32,
    /// Messages per second while latency is measured
    #[arg(long, value_name = "PER_SECOND", default_value = "2000", value_parser = parse_bus_rate)]
    pub(crate) rate: f64,
    /// Where the files are made, which are removed at the end [default: the system's folder for
    /// temporary files]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) directory: Option<PathBuf>,
    /// Write the figures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    pub(crate) quick: bool,
}

#[cfg(feature = "sqlite")]
impl JournalArgs {
    pub(crate) fn files(&self) -> FileArgs {
        FileArgs { json: self.json.clone(), html: None }
    }
}
