//! Reconnection: many clients lose their server, which is killed and started again.

use std::time::{Duration, Instant};

use clap::Args;
use eventwire::{
    Backoff, ClientConfig, Config, ConnectError, Connection, Disconnect, EventLoop, Idle,
    WebSocketHandler,
};

use crate::error::Error;
use crate::load::{Latencies, no_latencies};
use crate::output::FileArgs;
use crate::process::{Launch, Server};
use crate::results::{Better, Bound, Figure, Role, To, Unit};
use crate::scenario::{ENGINE, Plan, Sample, Scenario, Timing};

/// How long the clients may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a turn of the clients' loop may take, in nanoseconds.
const TURN_MAX: f64 = 10_000_000.0;

static FIGURES: [Figure; 6] = [
    Figure::time("back_p50_ns", "back, p50"),
    Figure::time("back_p99_ns", "back, p99"),
    Figure::time("back_max_ns", "all back"),
    Figure::new("attempts", "attempts/client", Unit::Ratio, Better::Less),
    Figure::new("failed", "failed", Unit::Count, Better::Less),
    Figure::time("turn_max_ns", "longest turn"),
];

/// Measure reconnection: many clients in one loop, whose server is killed and started again
#[derive(Args, Debug)]
pub(crate) struct ReconnectArgs {
    /// Clients that lose their server
    #[arg(short = 'c', long, value_name = "N", default_value_t = 2_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=9_000))]
    clients: u32,
    /// How often the server is killed
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    quick: bool,
    #[command(flatten)]
    pub(crate) files: FileArgs,
}

impl ReconnectArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let (count, rounds, first_delay) = match self.quick {
            true => (20, 1, 10),
            false => (self.clients, self.rounds, 500),
        };
        let backoff = Backoff::default().first(Duration::from_millis(first_delay));
        let mut fleet = None;
        let kill = move |_| match &mut fleet {
            Some(fleet) => kill_server(fleet),
            none => kill_server(none.insert(Fleet::connect(count as usize, backoff)?)),
        };
        let scenario = Scenario::new("reconnect", "the server is killed", FIGURES.to_vec())
            .entrant(ENGINE, Role::Engine, kill)
            .target(&FIGURES[5], To::Itself, Bound::AtMost(TURN_MAX));
        let what = "clients in one loop, whose server is killed and started again at once";
        let (warm_up, duration) = (Duration::ZERO, Duration::ZERO);
        Ok(Plan {
            title: "reconnection",
            conditions: vec![format!("{count} {what}"), format!("{backoff:?}")],
            timing: Timing { rounds: rounds as usize, warm_up, duration },
            repetition_max: Duration::ZERO,
            scenarios: vec![scenario],
            notes: Vec::new(),
        })
    }
}

/// The clients' loop, and their server.
struct Fleet {
    count: usize,
    event_loop: EventLoop<Seen>,
    seen: Seen,
    server: Option<Server>,
    address: String,
}

/// What the handlers saw since the server was killed.
struct Seen {
    killed: Instant,
    open: usize,
    /// Until each client was back, in nanoseconds.
    back: Latencies,
    failed: u64,
}

struct Client;

impl WebSocketHandler<Seen> for Client {
    fn on_open(&mut self, _: &mut Connection<'_>, seen: &mut Seen) {
        seen.open += 1;
        seen.back.saturating_record(seen.killed.elapsed().as_nanos() as u64);
    }

    fn on_close(&mut self, _: &mut Connection<'_>, _: &Disconnect, seen: &mut Seen) {
        seen.open -= 1;
    }

    fn on_connect_error(&mut self, _: &mut Connection<'_>, _: &ConnectError, seen: &mut Seen) {
        seen.failed += 1;
    }
}

impl Fleet {
    fn connect(count: usize, backoff: Backoff) -> Result<Self, Error> {
        let server = start_server("127.0.0.1:0")?;
        let mut event_loop = EventLoop::new(Config::default().idle(Idle::Block))?;
        let config = ClientConfig::default().reconnect(backoff);
        let endpoint = event_loop.client_endpoint(config, Client)?;
        for _ in 0..count {
            event_loop.context().connect(endpoint, &server.target().to_string())?;
        }
        let seen = Seen { killed: Instant::now(), open: 0, back: no_latencies(), failed: 0 };
        let address = format!("{}:{}", server.target().host, server.target().port);
        let mut fleet = Self { count, event_loop, seen, server: Some(server), address };
        fleet.turn_until_open(count)?;
        Ok(fleet)
    }

    fn turn_until_open(&mut self, count: usize) -> Result<(), Error> {
        let start = Instant::now();
        while self.seen.open != count {
            if start.elapsed() > PATIENCE {
                let outstanding = self.seen.open.abs_diff(count) as u64;
                return Err(Error::Stalled { outstanding, seconds: PATIENCE.as_secs() });
            }
            self.event_loop.turn(Some(Duration::from_millis(100)), &mut self.seen)?;
        }
        Ok(())
    }
}

fn start_server(address: &str) -> Result<Server, Error> {
    let words = ["serve", "echo", "--idle", "block", "--end-with-parent", "--listen", address];
    Launch::own(ENGINE, words).start()
}

/// Kills the server, starts it again, and waits until all clients are back.
fn kill_server(fleet: &mut Fleet) -> Result<Sample, Error> {
    let before = fleet.event_loop.stats();
    (fleet.seen.killed, fleet.seen.back, fleet.seen.failed) = (Instant::now(), no_latencies(), 0);
    if let Some(server) = fleet.server.take() {
        server.kill();
    }
    fleet.turn_until_open(0)?;
    fleet.server = Some(start_server(&fleet.address)?);
    fleet.turn_until_open(fleet.count)?;
    let (after, seen) = (fleet.event_loop.stats(), &fleet.seen);
    let attempts = (after.reconnect_attempts - before.reconnect_attempts) as f64;
    let turn_max = after.turn_time.since(&before.turn_time).percentile(100.0);
    let [p50, p99, all, per_client, failed, turn] = &FIGURES;
    Ok(Sample::default()
        .percentiles(&seen.back, &[(p50, 0.5), (p99, 0.99), (all, 1.0)])
        .with(per_client, attempts / fleet.count as f64)
        .with(failed, seen.failed as f64)
        .with(turn, turn_max.as_nanos() as f64)
        .plot(seen.back.clone()))
}
