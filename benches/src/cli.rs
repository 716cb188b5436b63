//! The command line.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::idle::IdleMode;
use crate::output::ShowArgs;
use crate::scenarios::{
    BroadcastArgs, BusArgs, BystanderArgs, CompareArgs, EchoArgs, EventsStreamArgs, FreshnessArgs,
    HttpArgs, JobsArgs, JournalArgs, KeyedArgs, OverviewArgs, ReconnectArgs, ResumeArgs,
    SocketIoArgs, TlsArgs,
};
use crate::servers::Implementation;
use crate::service::{Service, ServiceConfig};

/// Benchmark of the eventwire WebSocket engine.
///
/// Without a command it measures the round trip of one connection, 100 connections, 10 pipelined
/// ones, and broadcasts to 100 and to 1,000 receivers. Alternately it measures the same traffic
/// over raw TCP on a plain loop without WebSocket (the floor), and prints the ratio of the two. It
/// takes less than a minute.
#[derive(Debug, Parser)]
#[command(name = "eventwire-bench", version, after_help = include_str!("examples.txt"))]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) run: OverviewArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(ServeArgs),
    Echo(EchoArgs),
    Broadcast(BroadcastArgs),
    Bus(BusArgs),
    Bystander(BystanderArgs),
    EventsStream(EventsStreamArgs),
    Http(HttpArgs),
    Freshness(FreshnessArgs),
    Jobs(JobsArgs),
    Journal(JournalArgs),
    Keyed(KeyedArgs),
    Reconnect(ReconnectArgs),
    Resume(ResumeArgs),
    Socketio(SocketIoArgs),
    Tls(TlsArgs),
    Compare(CompareArgs),
    Show(ShowArgs),
    #[command(hide = true)]
    Exec(ExecArgs),
}

/// Serve until SIGTERM or SIGINT, with the engine or another implementation
///
/// Prints the line `listening on ws://ADDR` (or `tcp://ADDR`) when it is ready. On SIGTERM or
/// SIGINT it shuts down in order, with exit code 0.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// What to do with each message
    #[arg(value_enum)]
    service: Service,
    /// What serves
    #[arg(long = "as", value_enum, default_value = "eventwire", value_name = "NAME")]
    pub(crate) implementation: Implementation,
    /// Host and port to listen on; port 0 chooses a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    #[arg(value_parser = parse_listen)]
    listen: String,
    /// How to wait while nothing is ready [default: adaptive, or block if there is no other mode]
    #[arg(long, value_enum, value_name = "MODE")]
    idle: Option<IdleMode>,
    /// Run on CPU N only
    #[arg(long, value_name = "N")]
    cpu: Option<usize>,
    /// Refuse longer messages [default: the engine's]
    #[arg(long, value_name = "BYTES", value_parser = parse_max_message)]
    max_message: Option<usize>,
    /// Compress messages for clients that offer permessage-deflate
    #[arg(long)]
    deflate: bool,
    /// Use TLS, with a test certificate for localhost (needs --features tls)
    #[arg(long)]
    tls: bool,
    /// End when the parent process ends
    #[arg(long, hide = true)]
    pub(crate) end_with_parent: bool,
}

impl ServeArgs {
    pub(crate) fn config(self) -> ServiceConfig {
        let idle = self.idle.unwrap_or(self.implementation.default_idle());
        let Self { service, listen: address, cpu, max_message, deflate, tls, .. } = self;
        ServiceConfig { service, address, idle, cpu, max_message, deflate, tls }
    }
}

/// Become another program, which ends with this program's parent
#[derive(Args, Debug)]
pub(crate) struct ExecArgs {
    /// Run on CPU N only
    #[arg(long, value_name = "N")]
    pub(crate) cpu: Option<usize>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<String>,
}

pub(crate) fn parse_connections(text: &str) -> Result<usize, String> {
    parse_integer(text, 1..=60_000)
}

pub(crate) fn parse_depth(text: &str) -> Result<usize, String> {
    parse_integer(text, 1..=65_536)
}

pub(crate) fn parse_size(text: &str) -> Result<usize, String> {
    parse_integer(text, 0..=1 << 26)
}

/// Long enough for the stamp, and short enough for several of them in a topic's backlog.
pub(crate) fn parse_broadcast_size(text: &str) -> Result<usize, String> {
    parse_integer(text, 8..=65_536)
}

fn parse_max_message(text: &str) -> Result<usize, String> {
    parse_integer(text, 1..=1 << 30)
}

pub(crate) fn parse_integer(text: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("must be a whole number from {} to {}", range.start(), range.end())),
    }
}

pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    parse_number(text, 0.01..=86_400.0).map(Duration::from_secs_f64)
}

pub(crate) fn parse_rate(text: &str) -> Result<f64, String> {
    parse_number(text, 0.1..=10_000_000.0)
}

pub(crate) fn parse_number(text: &str, range: RangeInclusive<f64>) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("must be a number from {} to {}", range.start(), range.end())),
    }
}

fn parse_listen(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    match port.map(str::parse::<u16>) {
        Some(Ok(_)) => Ok(text.to_owned()),
        _ => Err("must be HOST:PORT, for instance 127.0.0.1:9001".to_owned()),
    }
}
