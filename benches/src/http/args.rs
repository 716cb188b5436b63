//! The command line of the HTTP benchmark.

use std::path::PathBuf;

use clap::Args;

use super::servers::HttpServer;
use crate::cli::{FileArgs, parse_connections, parse_depth};
use crate::idle::IdleMode;
use crate::service::{Service, ServiceConfig};

#[derive(Args, Debug)]
pub(crate) struct HttpArgs {
    /// Connections
    #[arg(short = 'c', long, default_value = "64", value_name = "N")]
    #[arg(value_parser = parse_connections)]
    pub(crate) connections: usize,
    /// Requests that each connection has in flight
    #[arg(short = 'd', long, default_value = "16", value_parser = parse_depth)]
    pub(crate) depth: usize,
    /// Rounds of each server
    #[arg(long, default_value = "9", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=101))]
    pub(crate) rounds: u16,
    /// Write the figures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    pub(crate) quick: bool,
    /// Be this server, until a signal arrives
    #[arg(long, hide = true, value_enum)]
    pub(crate) serve: Option<HttpServer>,
    /// The CPU of the server
    #[arg(long, hide = true, requires = "serve")]
    cpu: Option<usize>,
}

impl HttpArgs {
    pub(crate) fn files(&self) -> FileArgs {
        FileArgs { json: self.json.clone(), html: None }
    }

    /// How to be a server. All of them sleep while nothing is ready.
    pub(crate) fn server_config(&self) -> ServiceConfig {
        ServiceConfig::embedded(Service::Echo, IdleMode::Block, self.cpu)
    }
}
