//! The command line of the Socket.IO benchmark.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::loads::Timing;
use super::scenario::{SCENARIOS, Scenario};
use super::serving::Serving;
use crate::cli::FileArgs;
use crate::idle::IdleMode;
use crate::service::{Service, ServiceConfig};

/// Measure Socket.IO: servers in turns, beside a plain WebSocket server of the engine
///
/// It measures the memory of idle sessions, acknowledged events, events to all sessions and storms
/// of connecting clients, over WebSocket and over polling. Every server has a process of its own
/// on one CPU, and every packet is checked. With `--features peers` Rust's socketioxide takes part,
/// and with --node Node's socket.io. It takes five minutes.
#[derive(Args, Debug)]
pub(crate) struct SocketIoArgs {
    /// Measure briefly with few sessions: a check that everything works, without meaningful figures
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure Node's socket.io, too: the folder `node_modules` that has it
    #[arg(long, value_name = "FOLDER")]
    pub(crate) node: Option<PathBuf>,
    /// The command of the engine's server, to which `PORT load` is appended
    #[arg(long, value_name = "COMMAND", value_parser = parse_command)]
    pub(crate) eventwire: Option<Command>,
    /// How the servers of this program wait while nothing is ready, where that can be chosen
    #[arg(long, value_enum, default_value = "block", value_name = "MODE")]
    pub(crate) idle: IdleMode,
    /// Rounds of each scenario
    #[arg(long, default_value = "5", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=101))]
    rounds: u16,
    /// Scenarios to run, all by default
    #[arg(long, value_delimiter = ',', value_name = "NAMES", value_parser = parse_scenario)]
    only: Vec<&'static Scenario>,
    /// Write the figures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with the figures to FILE
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Be this server, until a signal arrives
    #[arg(long, hide = true, value_enum)]
    pub(crate) serve: Option<Serving>,
    /// The CPU of the server
    #[arg(long, hide = true)]
    pub(crate) cpu: Option<usize>,
    /// The command to become
    #[arg(last = true, hide = true)]
    pub(crate) become_command: Vec<String>,
}

/// A program and its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Command(pub(crate) Vec<String>);

fn parse_command(text: &str) -> Result<Command, String> {
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if words.is_empty() { Err("a command has a program".to_owned()) } else { Ok(Command(words)) }
}

fn parse_scenario(id: &str) -> Result<&'static Scenario, String> {
    SCENARIOS.iter().find(|scenario| scenario.id == id).ok_or_else(|| {
        let known: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.id).collect();
        format!("the scenarios are {}", known.join(", "))
    })
}

impl SocketIoArgs {
    pub(crate) fn files(&self) -> FileArgs {
        FileArgs { json: self.json.clone(), html: self.html.clone() }
    }

    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds.into() }
    }

    /// The scenarios to run, in their order.
    pub(crate) fn scenarios(&self) -> Vec<&'static Scenario> {
        let is_chosen = |scenario: &&Scenario| {
            self.only.is_empty() || self.only.iter().any(|only| only.id == scenario.id)
        };
        SCENARIOS.iter().filter(is_chosen).collect()
    }

    pub(crate) const fn timing(&self) -> Timing {
        let (warm_up, measured) = if self.quick { (20, 100) } else { (300, 1_000) };
        Timing {
            warm_up: Duration::from_millis(warm_up),
            measured: Duration::from_millis(measured),
        }
    }

    /// How to be a server.
    pub(crate) fn server_config(&self) -> ServiceConfig {
        ServiceConfig::embedded(Service::Echo, self.idle, self.cpu)
    }
}
