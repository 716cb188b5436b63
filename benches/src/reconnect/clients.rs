//! The clients: one loop, whose connections share one handler.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use eventwire::{
    Backoff, ClientConfig, Config, ConnectError, Connection, Disconnect, EventLoop, Idle, Stats,
    WebSocketHandler,
};

use super::Outcome;
use crate::error::Error;
use crate::load::{Latencies, no_latencies};

/// How long the clients may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The clients' loop.
pub(super) struct Clients {
    event_loop: EventLoop<Seen>,
    seen: Seen,
    count: usize,
    /// The statistics when the server was killed.
    before: Stats,
}

/// What the handlers saw.
#[derive(Debug)]
struct Seen {
    open: usize,
    /// When the server was killed.
    killed: Instant,
    /// From then until each client was back, in nanoseconds.
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

impl Clients {
    /// Connects the clients.
    pub(super) fn connect(
        count: usize,
        server: SocketAddr,
        backoff: Backoff,
    ) -> Result<Self, Error> {
        let mut event_loop = EventLoop::new(Config::default().idle(Idle::Block))?;
        let config = ClientConfig::default().reconnect(backoff);
        let endpoint = event_loop.client_endpoint(config, Client)?;
        let url = format!("ws://{server}");
        for _ in 0..count {
            event_loop.context().connect(endpoint, &url)?;
        }
        let seen = Seen { open: 0, killed: Instant::now(), back: no_latencies(), failed: 0 };
        let before = event_loop.stats();
        let mut clients = Self { event_loop, seen, count, before };
        clients.turn_until(|seen| seen.open == count)?;
        Ok(clients)
    }

    /// Waits until all have noticed that their server is gone.
    pub(super) fn lose(&mut self, killed: Instant) -> Result<(), Error> {
        self.before = self.event_loop.stats();
        self.seen.killed = killed;
        self.seen.back = no_latencies();
        self.seen.failed = 0;
        self.turn_until(|seen| seen.open == 0)
    }

    /// Waits until all are back.
    pub(super) fn come_back(&mut self) -> Result<Outcome, Error> {
        let count = self.count;
        self.turn_until(|seen| seen.open == count)?;
        let (before, after) = (&self.before, self.event_loop.stats());
        Ok(Outcome {
            back: self.seen.back.clone(),
            attempts: after.reconnect_attempts - before.reconnect_attempts,
            failed: self.seen.failed,
            longest_turn: after.turn_time.since(&before.turn_time).percentile(100.0),
        })
    }

    fn turn_until(&mut self, done: impl Fn(&Seen) -> bool) -> Result<(), Error> {
        let start = Instant::now();
        while !done(&self.seen) {
            if start.elapsed() > PATIENCE {
                let outstanding = (self.count - self.seen.open) as u64;
                return Err(Error::Stalled { outstanding, seconds: PATIENCE.as_secs() });
            }
            self.event_loop.turn(Some(Duration::from_millis(100)), &mut self.seen)?;
        }
        Ok(())
    }
}
