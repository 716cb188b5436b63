//! The command line of reconnection.

use std::path::PathBuf;

use clap::Args;

use crate::cli::FileArgs;

#[derive(Args, Debug)]
pub(crate) struct ReconnectArgs {
    /// Clients that lose their server
    #[arg(short = 'c', long, value_name = "N", default_value_t = 2_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=9_000))]
    pub(crate) clients: u32,
    /// How often the server is killed
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Write the figures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    pub(crate) quick: bool,
}

impl ReconnectArgs {
    pub(crate) fn files(&self) -> FileArgs {
        FileArgs { json: self.json.clone(), html: None }
    }
}
