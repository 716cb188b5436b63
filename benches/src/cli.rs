//! The command line.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::bystander::BystanderArgs;
use crate::compare::CompareArgs;
use crate::contestants::Contestant;
use crate::freshness::FreshnessArgs;
use crate::idle::IdleMode;
use crate::load::{Load, Pace, Shape, Target, Wire};
use crate::service::{Service, ServiceConfig};

/// Benchmark of the eventwire WebSocket engine.
///
/// Without a command it measures an embedded server: the round trip of one connection, 100
/// connections, 10 pipelined ones, and broadcasts to 100 and to 1,000 receivers. Beside each stands
/// the same traffic over raw TCP on a plain loop without WebSocket (the floor), measured in turns
/// with it, and the ratio of the two. It takes less than a minute.
#[derive(Debug, Parser)]
#[command(name = "eventwire-bench", version, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  eventwire-bench
      Measure everything, print the table
  eventwire-bench --idle busy --html report.html --json report.json
      The same with a server that never sleeps; keep a page with plots, and the figures
  eventwire-bench serve echo --listen 127.0.0.1:9001 --idle block --cpu 0
      Serve until SIGTERM or SIGINT, for clients of your own
  eventwire-bench serve echo --as ws-floor
      The same by a WebSocket server that does no more than it must (floor: raw TCP)
  eventwire-bench echo --url ws://127.0.0.1:9001 -c 100 -s 64 -t 10
      100 connections to any WebSocket echo server, each with one message on its way
  eventwire-bench echo --url ws://127.0.0.1:9001 -c 100 --rate 50000 -t 10
      The same at 50,000 messages/s, latency counted from the intended send time
  eventwire-bench broadcast --url ws://127.0.0.1:9002 -c 1000 -s 128 -t 10
      One publisher, 1,000 receivers
  eventwire-bench bus --rate 20000
      Events from threads to other threads and to a client, latency at 20,000/s each
  eventwire-bench bystander -c 1000
      Round trips of one connection while 1,000 others are broadcast to
  eventwire-bench freshness
      How old the updates are that a reader of 100 KB/s gets of 10,000 a second
  eventwire-bench tls
      Round trips, handshakes and memory without TLS and with it
  eventwire-bench compare --quick --against uws=ws://127.0.0.1:9001
      The engine beside the floors, and beside a server that runs already

Latencies are percentiles of an HDR histogram; none is an average of percentiles.
Exit code: 0 when the run was complete, 1 when it failed, 2 for wrong arguments.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve echo or broadcast until SIGTERM or SIGINT, by the engine or by what it is compared to
    ///
    /// Prints the line `listening on ws://ADDR` (or `tcp://ADDR`) when it is ready, and ends in
    /// order, with exit code 0, on SIGTERM or SIGINT.
    Serve(ServeArgs),
    /// Load a WebSocket echo server and check every echo
    ///
    /// Every payload carries its connection and its number, as far as it has room for them, and is
    /// compared byte for byte when it comes back.
    #[command(after_help = "\
Without --rate the loop is closed: each connection has DEPTH messages on their way and sends the
next when an echo comes. With --rate it is open: messages leave at their time whatever comes back,
and latency counts from the time at which they were meant to leave, so that a server which pauses
is charged with all that it kept waiting.")]
    Echo(EchoArgs),
    /// Load a WebSocket broadcast server: publish, and check that every receiver gets everything
    ///
    /// The server sends each message to all its connections; whether to the publisher too does
    /// not matter. Reports the latency to each receiver and to the last one of each message.
    Broadcast(BroadcastArgs),
    /// Measure the event bus: from threads to a handler, a subscriber's thread and a client
    ///
    /// One, two and four threads publish to a loop that never sleeps and to one that sleeps at
    /// once: as fast as events are taken, and at a fixed rate, with latency counted from the time
    /// at which an event was meant to be published. Beside it stands the standard library's
    /// bounded channel to a plain thread (the floor), measured in turns with it. Checks that no
    /// event is lost and that each thread's come in order. It takes less than a minute.
    Bus(BusArgs),
    /// Measure what broadcasts to many cost a connection that has nothing to do with them
    ///
    /// One connection measures round trips while everybody else's topic is broadcast to again and
    /// again, and while it is not, in turns. Checks that every subscriber gets every broadcast in
    /// order. Both ends of all connections are in this program.
    Bystander(BystanderArgs),
    /// Measure how old what a slow reader of a topic gets is, by its policy
    ///
    /// A reader takes less than is broadcast, in turns with the policy that keeps the latest, with
    /// that and a small receive buffer of its own, and with the one that drops the oldest.
    Freshness(FreshnessArgs),
    /// Measure what TLS adds: to round trips, to opening a connection, and to what one holds
    ///
    /// The engine is at both ends, without TLS and with it in turns; the server has a process of
    /// its own. Needs a build with `--features tls`. It takes less than a minute.
    Tls(TlsArgs),
    /// Compare the engine with a raw TCP floor, a WebSocket floor, and its peers
    ///
    /// Every server runs in a process of its own on one CPU, the load on another; everybody in
    /// turn in each round. The engine runs twice: how far it differs from itself is the noise,
    /// and smaller differences do not exist. The full matrix takes half an hour. Peers are there
    /// if the program was built with `--features peers`, and others by --against.
    Compare(CompareArgs),
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Measure the raw TCP floor beside each scenario (the default)
    #[arg(long, overrides_with = "no_floor")]
    floor: bool,
    /// Leave the floor, and so the ratios, out
    #[arg(long)]
    no_floor: bool,
    /// What server and floor do while nothing is ready
    #[arg(long, value_enum, default_value = "adaptive", value_name = "MODE")]
    pub(crate) idle: IdleMode,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Measure for moments only: shows that everything works, not how fast
    #[arg(long, hide = true)]
    pub(crate) quick: bool,
}

impl RunArgs {
    /// Whether the floor is measured.
    pub(crate) fn with_floor(&self) -> bool {
        self.floor || !self.no_floor
    }
}

#[derive(Args, Debug)]
pub(crate) struct FileArgs {
    /// Write the figures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write a page with the table and the latency plots to FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct BusArgs {
    /// Events per second of each thread while latency is measured
    #[arg(long, default_value = "10000", value_name = "PER_SECOND", value_parser = parse_bus_rate)]
    pub(crate) rate: f64,
    /// Write the figures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure for moments only: shows that everything works, not how fast
    #[arg(long, hide = true)]
    pub(crate) quick: bool,
}

impl BusArgs {
    pub(crate) fn files(&self) -> FileArgs {
        FileArgs { json: self.json.clone(), html: None }
    }
}

#[derive(Args, Debug)]
pub(crate) struct TlsArgs {
    /// Connections that are held open, to see what each takes
    #[arg(short = 'c', long, default_value = "2000", value_name = "N")]
    #[arg(value_parser = parse_connections)]
    pub(crate) connections: usize,
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

#[cfg(feature = "tls")]
impl TlsArgs {
    pub(crate) fn files(&self) -> FileArgs {
        FileArgs { json: self.json.clone(), html: None }
    }
}

#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// What to do with each message
    #[arg(value_enum)]
    service: Service,
    /// Who serves
    #[arg(long = "as", value_enum, default_value = "eventwire", value_name = "NAME")]
    contestant: Contestant,
    /// Host and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    #[arg(value_parser = parse_listen)]
    listen: String,
    /// What to do while nothing is ready [default: adaptive, or block where there is nothing else]
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
    /// Speak TLS, as localhost, by a certificate that is made for tests (needs --features tls)
    #[arg(long)]
    tls: bool,
    /// End when the program that started this one does
    #[arg(long, hide = true)]
    pub(crate) end_with_parent: bool,
}

impl ServeArgs {
    pub(crate) fn contestant(&self) -> Contestant {
        self.contestant
    }

    pub(crate) fn config(self) -> ServiceConfig {
        let idle = self.idle.unwrap_or(self.contestant.default_idle());
        let Self { service, listen: address, cpu, max_message, deflate, tls, .. } = self;
        ServiceConfig { service, address, idle, cpu, max_message, deflate, tls }
    }
}

#[derive(Args, Debug)]
pub(crate) struct EchoArgs {
    /// Messages each connection leaves unanswered [default: 1, or up to 1024 with --rate]
    #[arg(short, long, display_order = 3, value_parser = parse_depth)]
    depth: Option<usize>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

impl EchoArgs {
    /// The load that the arguments ask for. Ends the program when they cannot be.
    pub(crate) fn load(&self) -> Load {
        let connections = self.load.connections;
        self.load.load(Shape::Echo { connections }, self.depth)
    }
}

#[derive(Args, Debug)]
pub(crate) struct BroadcastArgs {
    /// Connections that publish, besides the receivers
    #[arg(long, display_order = 3, default_value = "1", value_parser = parse_publishers)]
    publishers: usize,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

impl BroadcastArgs {
    /// The load that the arguments ask for. Ends the program when they cannot be.
    pub(crate) fn load(&self) -> Load {
        let (receivers, publishers) = (self.load.connections, self.publishers);
        self.load.load(Shape::Broadcast { receivers, publishers }, None)
    }
}

#[derive(Args, Debug)]
pub(crate) struct LoadArgs {
    #[arg(long, help = URL_HELP)]
    url: Target,
    /// Connections (of a broadcast: receivers)
    #[arg(short, long, default_value = "1", value_parser = parse_connections)]
    connections: usize,
    /// Payload bytes of each message
    #[arg(short, long, default_value = "64", value_name = "BYTES", value_parser = parse_size)]
    size: usize,
    /// Seconds to measure, after a tenth of them (at most one) to warm up
    #[arg(short, long, default_value = "10", value_name = "SECONDS", value_parser = parse_time)]
    time: Duration,
    /// Messages to send per second over all connections: makes the loop an open one
    #[arg(long, value_name = "PER_SECOND", value_parser = parse_rate)]
    rate: Option<f64>,
    /// Never sleep while waiting for the server: uses a whole core, excludes our own wake-up
    #[arg(long)]
    spin: bool,
    /// Raw TCP without WebSocket; a tcp:// URL says the same
    #[arg(long)]
    raw: bool,
    /// Run the load on CPU N only
    #[arg(long, value_name = "N")]
    pub(crate) cpu: Option<usize>,
    #[command(flatten)]
    pub(crate) files: FileArgs,
}

const URL_HELP: &str =
    "The server: ws://HOST[:PORT][/PATH], or tcp://HOST:PORT for raw TCP without WebSocket";
/// In-flight messages of one connection of an open loop, unless said otherwise.
const OPEN_DEPTH: usize = 1024;
/// Messages on their way over all connections.
const IN_FLIGHT_MAX: usize = 1 << 24;
/// Bytes that may have to be kept for connections that take no more.
const UNSENT_MAX: usize = 1 << 32;
/// The longest time to warm up.
const WARM_UP_MAX: Duration = Duration::from_secs(1);

impl LoadArgs {
    fn load(&self, shape: Shape, depth: Option<usize>) -> Load {
        let pace = match self.rate {
            None => Pace::Closed { depth: depth.unwrap_or(1) },
            Some(per_second) => {
                Pace::Open { per_second, in_flight_max: depth.unwrap_or(OPEN_DEPTH) }
            }
        };
        if self.raw && self.url.wire != Wire::Tcp {
            refuse("--raw needs a URL that begins with tcp://");
        }
        let in_flight = self.connections.saturating_mul(depth.unwrap_or(1));
        if in_flight > IN_FLIGHT_MAX {
            refuse(&format!("connections x depth is {in_flight}, at most {IN_FLIGHT_MAX} may be"));
        }
        let unsent = self.connections.saturating_mul(self.size);
        if unsent > UNSENT_MAX {
            refuse(&format!("connections x size is {unsent}, at most {UNSENT_MAX} may be"));
        }
        Load {
            target: self.url.clone(),
            shape,
            size: self.size,
            pace,
            warm_up: (self.time / 10).min(WARM_UP_MAX),
            duration: self.time,
            spin: self.spin,
        }
    }
}

/// Ends the program as for any wrong argument.
fn refuse(reason: &str) -> ! {
    Cli::command().error(ErrorKind::ValueValidation, reason).exit()
}

pub(crate) fn parse_connections(text: &str) -> Result<usize, String> {
    parse_integer(text, 1..=60_000)
}

fn parse_publishers(text: &str) -> Result<usize, String> {
    parse_integer(text, 1..=64)
}

fn parse_depth(text: &str) -> Result<usize, String> {
    parse_integer(text, 1..=65_536)
}

fn parse_size(text: &str) -> Result<usize, String> {
    parse_integer(text, 0..=1 << 26)
}

/// Room for the stamp, and short enough for some of them to wait in a topic's backlog.
pub(crate) fn parse_broadcast(text: &str) -> Result<usize, String> {
    parse_integer(text, 8..=65_536)
}

fn parse_max_message(text: &str) -> Result<usize, String> {
    parse_integer(text, 1..=1 << 30)
}

fn parse_integer(text: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
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

/// Fewer events would leave nothing to take percentiles of.
fn parse_bus_rate(text: &str) -> Result<f64, String> {
    parse_number(text, 100.0..=1_000_000.0)
}

fn parse_number(text: &str, range: RangeInclusive<f64>) -> Result<f64, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_floor_is_on_unless_turned_off() {
        let floor = |arguments: &[&str]| {
            let arguments = [&["eventwire-bench"], arguments].concat();
            Cli::try_parse_from(arguments).unwrap().run.with_floor()
        };
        assert!(floor(&[]));
        assert!(floor(&["--floor"]));
        assert!(!floor(&["--no-floor"]));
        assert!(floor(&["--no-floor", "--floor"]));
    }

    #[test]
    fn bad_values_are_refused() {
        for arguments in [
            "--idle never",
            "serve",
            "serve chat",
            "serve echo --listen 9001",
            "serve echo --listen :9001",
            "serve echo --listen h:70000",
            "serve echo --cpu x",
            "serve echo --as nobody",
            "serve echo --max-message 0",
            "echo",
            "echo --url http://h",
            "echo --url ws://h -c 0",
            "echo --url ws://h -c 1000000",
            "echo --url ws://h -d 0",
            "echo --url ws://h -s -1",
            "echo --url ws://h -s 999999999",
            "echo --url ws://h -t 0",
            "echo --url ws://h -t NaN",
            "echo --url ws://h -t inf",
            "echo --url ws://h --rate 0",
            "echo --url ws://h --rate -5",
            "broadcast --url ws://h -d 2",
            "broadcast --url ws://h --publishers 0",
            "--quick echo",
            "bus --rate 0",
            "bus --idle busy",
            "bystander -c 0",
            "bystander -s 7",
            "freshness --reader 0",
            "freshness -s 15",
        ] {
            let words = ["eventwire-bench"].into_iter().chain(arguments.split(' '));
            assert!(Cli::try_parse_from(words).is_err(), "{arguments}");
        }
    }

    #[test]
    fn the_arguments_become_the_load() {
        let line = "eventwire-bench echo --url ws://h -c 5 -s 0 -d 3 -t 0.5 --spin";
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let Some(Command::Echo(echo)) = cli.command else {
            panic!("another command");
        };
        let load = echo.load();
        assert_eq!(load.shape, Shape::Echo { connections: 5 });
        assert_eq!(load.pace, Pace::Closed { depth: 3 });
        assert_eq!((load.size, load.spin), (0, true));
        assert_eq!(load.duration, Duration::from_millis(500));
        assert_eq!(load.warm_up, Duration::from_millis(50));
    }
}
