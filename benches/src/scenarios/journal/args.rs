use std::path::PathBuf;

use clap::Args;

use crate::arguments::{parse_integer, parse_number};
use crate::error::Error;
use crate::output::FileArgs;
use crate::scenario::Plan;

/// Measure durable topics: how fast the journal stores, and how long messages wait for it
///
/// A plain loop stores the same rows in SQLite, in batches of the same size, alternately with the
/// engine. Beside the latencies stands what the device takes to synchronise. Needs a build with
/// `--features sqlite`. It takes half a minute.
#[derive(Args, Debug)]
pub(crate) struct JournalArgs {
    /// Topics, which messages go to in turn while the rate is measured
    #[arg(long, value_name = "N", default_value = "1")]
    #[arg(value_parser = |text: &str| parse_integer(text, 1..=1_000))]
    topics: usize,
    /// Payload bytes of each message
    #[arg(short, long, value_name = "BYTES", default_value = "256")]
    #[arg(value_parser = |text: &str| parse_integer(text, 16..=16_384))]
    size: usize,
    /// Messages per second while latency is measured
    #[arg(long, value_name = "PER_SECOND", default_value = "2000")]
    #[arg(value_parser = |text: &str| parse_number(text, 100.0..=1_000_000.0))]
    rate: f64,
    /// Where the files are made, which are removed at the end [default: the system's folder for
    /// temporary files]
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    quick: bool,
    #[command(flatten)]
    pub(crate) files: FileArgs,
}

impl JournalArgs {
    #[cfg(not(feature = "sqlite"))]
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        Err(Error::without_sqlite())
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let directory = self.directory.clone().unwrap_or_else(std::env::temp_dir);
        let Self { topics, size, rate, quick, .. } = *self;
        super::plan::plan(super::setting::Setting { topics, size, rate, directory }, quick)
    }
}
