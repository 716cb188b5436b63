//! The command line of resuming.

use std::time::Duration;

use clap::Args;

use crate::arguments::{parse_rate, parse_time};
use crate::output::FileArgs;
use crate::target::Target;

/// Measure resuming: clients that are dropped at random come back to topics that go on
///
/// It tells whether every message arrives once, when the clients are current again, and what a
/// replay costs. The server has a process of its own. It takes half a minute.
#[derive(Args, Clone, Debug)]
pub(crate) struct ResumeArgs {
    /// Clients
    #[arg(short = 'c', long, value_name = "N", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(super) clients: u32,
    /// Topics; each client is subscribed to one of them
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) topics: u32,
    /// Messages per second, to all topics together
    #[arg(long, default_value = "1000", value_name = "PER_SECOND", value_parser = parse_rate)]
    pub(super) rate: f64,
    /// Payload bytes of each message
    #[arg(short, long, default_value_t = 128, value_name = "BYTES")]
    #[arg(value_parser = clap::value_parser!(u32).range(64..=4_096))]
    pub(super) size: u32,
    /// Seconds to run
    #[arg(short, long, default_value = "20", value_name = "SECONDS", value_parser = parse_time)]
    pub(super) time: Duration,
    /// Have all clients resume 1 MiB of one history at once instead
    #[arg(long, conflicts_with = "socket_io")]
    pub(super) storm: bool,
    /// Load a Socket.IO server with connection state recovery instead, such as
    /// `peers/socket_io.js`
    #[arg(long, value_name = "URL")]
    pub(super) socket_io: Option<Target>,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    pub(super) quick: bool,
    #[command(flatten)]
    pub(crate) files: FileArgs,
}

impl ResumeArgs {
    /// The arguments of the run: small ones for a brief check.
    pub(super) fn effective(&self) -> Self {
        let mut args = self.clone();
        if args.quick {
            (args.clients, args.topics) = (args.clients.min(40), args.topics.min(4));
            args.time = args.time.min(Duration::from_millis(1_000));
        }
        args
    }

    /// For how long of each round clients are dropped.
    pub(super) fn dropping(&self) -> Duration {
        Duration::from_secs(2).min(self.time / 3)
    }

    /// How long a round takes, and the longest that a client is away.
    pub(super) fn round_and_away_max(&self) -> (Duration, Duration) {
        (self.dropping().mul_f64(2.5), self.dropping() / 2)
    }
}
