//! The command line of conflation by key.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{KEY_LEN, Update};
use crate::cli::{FileArgs, parse_rate, parse_time};

/// Measure conflation by key: how old the values of many keys are at many slow readers
///
/// Each reader gets the latest message of every key, as fast as it reads. The server and the
/// readers have a thread each, in this program. It takes a quarter of a minute.
#[derive(Args, Debug)]
pub(crate) struct KeyedArgs {
    /// Keys of the topic
    #[arg(short, long, default_value = "10000", value_parser = within(1..=65_536))]
    pub(crate) keys: u64,
    /// Which key an update changes
    #[arg(long, value_enum, default_value_t)]
    pub(crate) order: Order,
    /// Updates per second, of all keys together
    #[arg(long, default_value = "100000", value_name = "PER_SECOND", value_parser = parse_rate)]
    pub(crate) rate: f64,
    /// Slow readers
    #[arg(short = 'c', long, default_value = "1000", value_parser = within(1..=20_000))]
    pub(crate) readers: u64,
    /// Bytes that each reader reads per second
    #[arg(long, default_value = "100000", value_name = "BYTES", value_parser = within(READER))]
    pub(crate) reader: u64,
    /// Payload bytes of each update
    #[arg(short, long, default_value = "64", value_name = "BYTES", value_parser = within(SIZE))]
    pub(crate) size: u64,
    /// Have the readers subscribe with an interval of so many milliseconds
    #[arg(long, value_name = "MS", value_parser = within(1..=60_000))]
    pub(crate) every: Option<u64>,
    /// Seconds to run; during the first third, the buffers fill
    #[arg(short, long, default_value = "12", value_name = "SECONDS", value_parser = parse_time)]
    pub(crate) time: Duration,
    /// Write the figures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    quick: bool,
}

/// The order in which keys change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// Each key in its turn
    #[default]
    RoundRobin,
    /// Any key
    Random,
}

const READER: RangeInclusive<u64> = 1_000..=1_000_000_000;

/// Room for the stamp and the key.
const SIZE: RangeInclusive<u64> = (Update::LEN + KEY_LEN) as u64..=65_535;

fn within(range: RangeInclusive<u64>) -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(range)
}

impl KeyedArgs {
    pub(crate) fn files(&self) -> FileArgs {
        FileArgs { json: self.json.clone(), html: None }
    }

    /// The arguments of the run: small ones for a brief check.
    pub(crate) fn effective(mut self) -> Self {
        if self.quick {
            (self.keys, self.readers) = (self.keys.min(500), self.readers.min(20));
            (self.rate, self.time) = (self.rate.min(20_000.0), Duration::from_millis(600));
        }
        self
    }
}
