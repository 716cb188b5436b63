//! The command line of freshness.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::update::Update;
use crate::cli::{FileArgs, parse_rate, parse_time};

#[derive(Args, Debug)]
pub(crate) struct FreshnessArgs {
    /// Bytes that the reader reads per second
    #[arg(long, default_value = "100000", value_name = "BYTES", value_parser = parse_reader)]
    pub(crate) reader: usize,
    /// Updates per second
    #[arg(long, default_value = "10000", value_name = "PER_SECOND", value_parser = parse_rate)]
    pub(crate) rate: f64,
    /// Payload bytes of each update
    #[arg(short, long, default_value = "64", value_name = "BYTES", value_parser = parse_update)]
    pub(crate) size: usize,
    /// Seconds to run with each policy; during the first third, the buffers fill
    #[arg(short, long, default_value = "12", value_name = "SECONDS", value_parser = parse_time)]
    pub(crate) time: Duration,
    /// Write the figures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    pub(crate) quick: bool,
}

impl FreshnessArgs {
    pub(crate) fn files(&self) -> FileArgs {
        FileArgs { json: self.json.clone(), html: None }
    }
}

fn parse_reader(text: &str) -> Result<usize, String> {
    parse_within(text, 1_000..=1_000_000_000)
}

/// Long enough for the stamp.
fn parse_update(text: &str) -> Result<usize, String> {
    parse_within(text, Update::LEN..=65_535)
}

fn parse_within(text: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("must be a whole number from {} to {}", range.start(), range.end())),
    }
}
