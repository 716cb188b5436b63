//! The command line.

use clap::{Args, Parser, Subcommand};

use crate::arguments::{parse_listen, parse_max_message};
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
