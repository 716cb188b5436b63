//! The command line.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::bystander::BystanderArgs;
use crate::compare::CompareArgs;
use crate::contestants::Contestant;
use crate::events_stream::EventsStreamArgs;
use crate::freshness::FreshnessArgs;
use crate::http::HttpArgs;
use crate::idle::IdleMode;
use crate::jobs::JobsArgs;
use crate::journal::JournalArgs;
use crate::keyed::KeyedArgs;
use crate::load::{Load, Pace, Shape, Target, Wire};
use crate::reconnect::ReconnectArgs;
use crate::resume::ResumeArgs;
use crate::service::{Service, ServiceConfig};
use crate::socketio::SocketIoArgs;

/// Benchmark of the eventwire WebSocket engine.
///
/// Without a command it measures an embedded server: the round trip of one connection, 100
/// connections, 10 pipelined ones, and broadcasts to 100 and to 1,000 receivers. Alternately it
/// measures the same traffic over raw TCP on a plain loop without WebSocket (the floor), and prints
/// the ratio of the two. It takes less than a minute.
#[derive(Debug, Parser)]
#[command(name = "eventwire-bench", version, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const EXAMPLES: &str = include_str!("examples.txt");

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve echo or broadcast until SIGTERM or SIGINT, with the engine or another contestant
    ///
    /// Prints the line `listening on ws://ADDR` (or `tcp://ADDR`) when it is ready. On SIGTERM or
    /// SIGINT it shuts down in order, with exit code 0.
    Serve(ServeArgs),
    /// Load a WebSocket echo server and check every echo
    ///
    /// Every payload contains its connection and its number, as far as it has room for them. Every
    /// echo is compared byte for byte.
    #[command(after_help = "\
Without --rate the loop is closed: each connection has DEPTH messages in flight, and sends the next
one when an echo arrives. With --rate the loop is open: messages leave at a fixed rate, whether
echoes arrive or not. Latency counts from the intended send time, so that a server which pauses is
charged for every message that it delays.")]
    Echo(EchoArgs),
    /// Load a WebSocket broadcast server: publish, and check that every receiver gets everything
    ///
    /// The server sends each message to all its connections, with or without the publisher. Reports
    /// the latency to each receiver, and to the last receiver of each message.
    Broadcast(BroadcastArgs),
    /// Measure the event bus: from threads to a handler, a subscriber's thread and a client
    ///
    /// One, two and four threads publish to a loop that never sleeps and to one that sleeps at
    /// once: as fast as events are accepted, and at a fixed rate. Latency counts from the time at
    /// which an event was meant to be published. Alternately it measures the standard library's
    /// bounded channel to a plain thread (the floor). Checks that no event is lost, and that each
    /// thread's events arrive in order. It takes less than a minute.
    Bus(BusArgs),
    /// Measure how broadcasts to many connections delay another connection
    ///
    /// One connection measures round trips, alternately during broadcasts to all other connections
    /// and without them. Checks that every subscriber gets every broadcast in order. Both ends of
    /// all connections are in this program.
    Bystander(BystanderArgs),
    /// Measure broadcasts to streams of server-sent events beside WebSockets of the same loop
    ///
    /// The loop broadcasts messages of 128 B to the connections of one kind, and to those of the
    /// other, in turns. Checks that every connection gets every byte. It takes a quarter of a
    /// minute.
    EventsStream(EventsStreamArgs),
    /// Measure HTTP: requests for a page of 13 bytes, 16 in flight on each of 64 connections
    ///
    /// Every server has a process of its own on one CPU, in turns with the others. With `--features
    /// peers` hyper and `may_minihttp` take part. It takes half a minute.
    Http(HttpArgs),
    /// Measure the age of the messages that a slow subscriber gets, for each policy
    ///
    /// A reader reads less than is broadcast: first with the policy that keeps the latest, then
    /// with that policy and a small receive buffer, then with the policy that drops the oldest.
    Freshness(FreshnessArgs),
    /// Measure jobs: from a handler to a worker thread and back, one at a time and in batches
    ///
    /// Alternately it measures two of the standard library's bounded channels, there and back (the
    /// floor). It takes a quarter of a minute.
    Jobs(JobsArgs),
    Journal(JournalArgs),
    Keyed(KeyedArgs),
    /// Measure reconnection: many clients in one loop, whose server is killed and started again
    ///
    /// It tells when the clients are back, how many attempts that takes, and the longest turn of
    /// their loop. It takes less than a minute.
    Reconnect(ReconnectArgs),
    Resume(ResumeArgs),
    Socketio(SocketIoArgs),
    /// Measure what TLS adds to round trips, to opening a connection, and to its memory
    ///
    /// The engine is at both ends, alternately without TLS and with it. The server has a process of
    /// its own. Needs a build with `--features tls`. It takes less than a minute.
    Tls(TlsArgs),
    /// Compare the engine with a raw TCP floor, a WebSocket floor, and its peers
    ///
    /// Every server runs in a process of its own on one CPU, and the load on another. Each round
    /// runs all servers, one after the other. The engine runs twice: how far it differs from itself
    /// is the noise, and smaller differences mean nothing. The full matrix takes half an hour.
    /// Peers need a build with `--features peers`; --against adds other servers.
    Compare(CompareArgs),
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Measure the raw TCP floor with each scenario (the default)
    #[arg(long, overrides_with = "no_floor")]
    floor: bool,
    /// Do not measure the floor, and print no ratios
    #[arg(long)]
    no_floor: bool,
    /// How server and floor wait while nothing is ready
    #[arg(long, value_enum, default_value = "adaptive", value_name = "MODE")]
    pub(crate) idle: IdleMode,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Measure very briefly: a check that everything works, without meaningful figures
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
    /// Measure very briefly: a check that everything works, without meaningful figures
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
    /// Connections that are held open, to measure the memory of each
    #[arg(short = 'c', long, default_value = "2000", value_name = "N")]
    #[arg(value_parser = parse_connections)]
    pub(crate) connections: usize,
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
    /// Which contestant serves
    #[arg(long = "as", value_enum, default_value = "eventwire", value_name = "NAME")]
    contestant: Contestant,
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
    /// Messages that each connection has in flight [default: 1, or up to 1024 with --rate]
    #[arg(short, long, display_order = 3, value_parser = parse_depth)]
    depth: Option<usize>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

impl EchoArgs {
    /// The load that the arguments describe. Ends the program if they are invalid.
    pub(crate) fn load(&self) -> Load {
        let connections = self.load.connections;
        self.load.load(Shape::Echo { connections }, self.depth)
    }
}

#[derive(Args, Debug)]
pub(crate) struct BroadcastArgs {
    /// Publishing connections, besides the receivers
    #[arg(long, display_order = 3, default_value = "1", value_parser = parse_publishers)]
    publishers: usize,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

impl BroadcastArgs {
    /// The load that the arguments describe. Ends the program if they are invalid.
    pub(crate) fn load(&self) -> Load {
        let (receivers, publishers) = (self.load.connections, self.publishers);
        self.load.load(Shape::Broadcast { receivers, publishers }, None)
    }
}

#[derive(Args, Debug)]
pub(crate) struct LoadArgs {
    #[arg(long, help = URL_HELP)]
    url: Target,
    /// Connections; for a broadcast, receivers
    #[arg(short, long, default_value = "1", value_parser = parse_connections)]
    connections: usize,
    /// Payload bytes of each message
    #[arg(short, long, default_value = "64", value_name = "BYTES", value_parser = parse_size)]
    size: usize,
    /// Seconds to measure, after a warm-up of a tenth of that time (at most one second)
    #[arg(short, long, default_value = "10", value_name = "SECONDS", value_parser = parse_time)]
    time: Duration,
    /// Messages per second over all connections; makes the loop open
    #[arg(long, value_name = "PER_SECOND", value_parser = parse_rate)]
    rate: Option<f64>,
    /// Never sleep while waiting for the server: uses a whole core, and excludes the load's own
    /// wake-up from latencies
    #[arg(long)]
    spin: bool,
    /// Raw TCP without WebSocket, as with a tcp:// URL
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
/// The default limit on in-flight messages of one connection in an open loop.
const OPEN_DEPTH: usize = 1024;
/// The limit on in-flight messages over all connections.
const IN_FLIGHT_MAX: usize = 1 << 24;
/// The limit on unsent bytes over all connections.
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

/// Ends the program with the usual error for wrong arguments.
fn refuse(reason: &str) -> ! {
    Cli::command().error(ErrorKind::ValueValidation, reason).exit()
}

pub(crate) fn parse_connections(text: &str) -> Result<usize, String> {
    parse_integer(text, 1..=60_000)
}

fn parse_publishers(text: &str) -> Result<usize, String> {
    parse_integer(text, 1..=64)
}

pub(crate) fn parse_depth(text: &str) -> Result<usize, String> {
    parse_integer(text, 1..=65_536)
}

fn parse_size(text: &str) -> Result<usize, String> {
    parse_integer(text, 0..=1 << 26)
}

/// Long enough for the stamp, and short enough for several of them in a topic's backlog.
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

/// Fewer events would be too few for percentiles.
pub(crate) fn parse_bus_rate(text: &str) -> Result<f64, String> {
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
            "events-stream -c 0",
            "http -c 0",
            "http -d 0",
            "http --rounds 0",
            "keyed --keys 0",
            "keyed -s 20",
            "keyed --every 0",
            "keyed --order any",
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
