//! The command line of the bystander.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{FileArgs, parse_broadcast, parse_connections};
use crate::idle::IdleMode;

#[derive(Args, Debug)]
pub(crate) struct BystanderArgs {
    /// Connections that subscribe to the topic; fewer if the limit on open files is too low
    #[arg(short = 'c', long, default_value = "10000", value_name = "N")]
    #[arg(value_parser = parse_connections)]
    pub(crate) subscribers: usize,
    /// Payload bytes of each broadcast
    #[arg(short, long, default_value = "128", value_name = "BYTES", value_parser = parse_broadcast)]
    pub(crate) size: usize,
    /// How the server waits while nothing is ready
    #[arg(long, value_enum, default_value = "adaptive", value_name = "MODE")]
    pub(crate) idle: IdleMode,
    /// Write the figures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    pub(crate) quick: bool,
}

impl BystanderArgs {
    pub(crate) fn files(&self) -> FileArgs {
        FileArgs { json: self.json.clone(), html: None }
    }
}
