//! The command line of the benchmark of event streams.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{FileArgs, parse_connections};

#[derive(Args, Debug)]
pub(crate) struct EventsStreamArgs {
    /// Connections of each kind
    #[arg(short = 'c', long, default_value = "500", value_name = "N")]
    #[arg(value_parser = parse_connections)]
    pub(crate) connections: usize,
    /// Write the figures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    pub(crate) quick: bool,
}

impl EventsStreamArgs {
    pub(crate) fn files(&self) -> FileArgs {
        FileArgs { json: self.json.clone(), html: None }
    }
}
