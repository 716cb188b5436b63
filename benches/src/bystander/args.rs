//! The command line of the bystander.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{FileArgs, parse_broadcast, parse_connections};
use crate::idle::IdleMode;

#[derive(Args, Debug)]
pub(crate) struct BystanderArgs {
    /// Connections that are broadcast to; fewer if there may not be as many open files
    #[arg(short = 'c', long, default_value = "10000", value_name = "N")]
    #[arg(value_parser = parse_connections)]
    pub(crate) subscribers: usize,
    /// Payload bytes of each broadcast
    #[arg(short, long, default_value = "128", value_name = "BYTES", value_parser = parse_broadcast)]
    pub(crate) size: usize,
    /// What the server does while nothing is ready
    #[arg(long, value_enum, default_value = "adaptive", value_name = "MODE")]
    pub(crate) idle: IdleMode,
    /// Write the figures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure for moments only: shows that everything works, not how fast
    #[arg(long, hide = true)]
    pub(crate) quick: bool,
}

impl BystanderArgs {
    pub(crate) fn files(&self) -> FileArgs {
        FileArgs { json: self.json.clone(), html: None }
    }
}
