//! One load on any server: `echo` and `broadcast`.

use std::time::Duration;

use clap::Args;

use super::figures::{EACH_P50, EACH_P99, LATE_P99, MAX, P50, P99, P999, rate, sample};
use crate::arguments::{
    parse_connections, parse_depth, parse_integer, parse_rate, parse_size, parse_time,
};
use crate::error::Error;
use crate::load::{Load, Pace, Traffic, run};
use crate::machine;
use crate::output::FileArgs;
use crate::results::{Figure, Role};
use crate::scenario::{Plan, Scenario, Timing};
use crate::target::{Target, Wire};

/// Load a WebSocket echo server and check every echo
///
/// Every payload contains its connection and its number, as far as it has room for them. Every echo
/// is compared byte for byte.
#[derive(Args, Debug)]
#[command(after_help = "\
Without --rate the loop is closed: each connection has DEPTH messages in flight, and sends the next
one when an echo arrives. With --rate the loop is open: messages leave at a fixed rate, whether
echoes arrive or not. Latency counts from the intended send time, so that a server which pauses is
charged for every message that it delays.")]
pub(crate) struct EchoArgs {
    /// Messages that each connection has in flight [default: 1, or up to 1024 with --rate]
    #[arg(short, long, display_order = 3, value_parser = parse_depth)]
    depth: Option<usize>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// Load a WebSocket broadcast server: publish, and check that every receiver gets everything
///
/// The server sends each message to all its connections, with or without the publisher. Latencies
/// are those to the last receiver of each message, and to each receiver.
#[derive(Args, Debug)]
pub(crate) struct BroadcastArgs {
    /// Publishing connections, besides the receivers
    #[arg(long, display_order = 3, default_value = "1", value_parser = parse_publishers)]
    publishers: usize,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
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
    cpu: Option<usize>,
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

const RATE: Figure = rate("messages/s");

impl EchoArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let LoadArgs { connections, size, .. } = self.load;
        let in_flight = connections.saturating_mul(self.depth.unwrap_or(1));
        check("connections x depth", in_flight, IN_FLIGHT_MAX)?;
        let title = format!("Echo of {size} B, connections: {connections}");
        let scenario = Scenario::new("echo", title, [RATE, P50, P99, P999, MAX]);
        self.load.plan(scenario, self.depth, |pace| Traffic::Echo { connections, size, pace })
    }
}

impl BroadcastArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let LoadArgs { connections: receivers, size, .. } = self.load;
        let (slow, publishers, bystander) = (0, self.publishers, false);
        let title = format!("Broadcast of {size} B, receivers: {receivers}");
        let figures = [RATE, P50, P99, P999, MAX, EACH_P50, EACH_P99];
        self.load.plan(Scenario::new("broadcast", title, figures), None, |pace| {
            Traffic::Broadcast { receivers, slow, publishers, size, pace, bystander }
        })
    }
}

impl LoadArgs {
    fn plan<'a>(
        &'a self,
        mut scenario: Scenario<'a>,
        depth: Option<usize>,
        traffic: impl FnOnce(Pace) -> Traffic,
    ) -> Result<Plan<'a>, Error> {
        if self.raw && self.url.wire != Wire::Tcp {
            return Err(Error::Arguments("--raw needs a URL that begins with tcp://".to_owned()));
        }
        check("connections x size", self.connections.saturating_mul(self.size), UNSENT_MAX)?;
        let (depth, in_flight_max) = (depth.unwrap_or(1), depth.unwrap_or(OPEN_DEPTH));
        let open = |per_second| Pace::Open { per_second, in_flight_max };
        let pace = self.rate.map_or(Pace::Closed { depth }, open);
        let (target, duration, spin) = (self.url.clone(), self.time, self.spin);
        let warm_up = (duration / 10).min(WARM_UP_MAX);
        let load = Load { target, traffic: traffic(pace), warm_up, duration, spin };
        scenario.figures.extend(self.rate.map(|_| LATE_P99));
        let measure = move |_| {
            machine::run_on(self.cpu, || run(&load, None)).map(|measured| sample(&measured))
        };
        let scenario = scenario.rounds(1).entrant(self.url.to_string(), Role::Peer, measure);
        let rhythm = match self.rate {
            None => format!("Closed loop, {depth} deep"),
            Some(rate) => format!("Open loop, {rate} messages/s, {in_flight_max} unanswered each"),
        };
        let sleep = if spin { ", never sleeps" } else { "" };
        let place = self.cpu.map_or_else(String::new, |cpu| format!(", on CPU {cpu}"));
        let time = format!("{duration:?} after {warm_up:?} to warm up");
        Ok(Plan {
            title: "Load on a server",
            conditions: vec![format!("{rhythm}{sleep}{place}, {time}.")],
            timing: Timing { rounds: 1, warm_up, duration },
            repetition_max: Duration::ZERO,
            scenarios: vec![scenario],
            notes: Vec::new(),
        })
    }
}

fn parse_publishers(text: &str) -> Result<usize, String> {
    parse_integer(text, 1..=64)
}

fn check(what: &str, value: usize, most: usize) -> Result<(), Error> {
    let refused = || Error::Arguments(format!("{what} is {value}, at most {most} may be"));
    if value <= most { Ok(()) } else { Err(refused()) }
}
