//! The engine as the measuring client.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use eventwire::{
    ClientConfig, CloseCode, Config, ConnectError, Connection, ConnectionId, Disconnect, EventLoop,
    Idle, Message, TlsClient, WebSocketHandler,
};

use crate::error::Error;
use crate::identity;
use crate::load::{Latencies, no_latencies, pattern};
use crate::scenario::Timing;
use crate::target::Target;

/// How connections are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// Without TLS.
    Plain,
    /// With a full TLS handshake.
    Full,
    /// With a TLS handshake that resumes an earlier session, if there was one.
    Resumed,
}

/// Connects to one server. It does one thing at a time, and waits for its outcome.
pub(super) struct Client {
    event_loop: EventLoop<Outcome>,
    address: SocketAddr,
    opening: Opening,
    /// Caches the session.
    tls: TlsClient,
    outcome: Outcome,
    /// What is sent, and has to come back.
    payload: Vec<u8>,
}

/// What came of it, if that is known.
type Outcome = Option<Result<(), String>>;

/// A connection, with the payload of its messages.
struct Watched(Vec<u8>);

impl WebSocketHandler<Outcome> for Watched {
    fn on_open(&mut self, _: &mut Connection<'_>, outcome: &mut Outcome) {
        *outcome = Some(Ok(()));
    }

    fn on_message(&mut self, _: &mut Connection<'_>, message: Message<'_>, outcome: &mut Outcome) {
        let is_same = message.as_bytes() == self.0;
        let differs = || "an echo differs from its message".to_owned();
        *outcome = Some(is_same.then_some(()).ok_or_else(differs));
    }

    fn on_close(&mut self, _: &mut Connection<'_>, reason: &Disconnect, outcome: &mut Outcome) {
        *outcome = Some(match reason {
            Disconnect::ClosedByApplication { .. } => Ok(()),
            _ => Err(reason.to_string()),
        });
    }

    fn on_connect_error(
        &mut self,
        _: &mut Connection<'_>,
        error: &ConnectError,
        outcome: &mut Outcome,
    ) {
        *outcome = Some(Err(error.to_string()));
    }
}

impl Client {
    /// Sends messages of `size` bytes. With `spin` it never sleeps, so that round trips exclude its
    /// wake-up.
    pub(super) fn new(
        server: &Target,
        opening: Opening,
        size: usize,
        spin: bool,
    ) -> Result<Self, Error> {
        let idle = if spin { Idle::Busy } else { Idle::Block };
        let event_loop = EventLoop::new(Config::default().idle(idle))?;
        let host = server.host.parse::<IpAddr>();
        let host = host.map_err(|_| Error::Settings(format!("{server} has no address")))?;
        let address = SocketAddr::new(host, server.port);
        let (tls, payload) = (identity::client()?, pattern(size));
        Ok(Self { event_loop, address, opening, tls, outcome: None, payload })
    }

    /// Measures round trips on a new connection. Also returns how many there were, those of the
    /// warm-up included.
    pub(super) fn round_trips(&mut self, timing: Timing) -> Result<(Latencies, usize), Error> {
        let conn = self.open()?;
        let warm = Instant::now() + timing.warm_up;
        let (mut latencies, mut count, mut now) = (no_latencies(), 0, Instant::now());
        while now < warm + timing.duration || latencies.is_empty() {
            let sent = now;
            self.round_trip(conn)?;
            now = Instant::now();
            count += 1;
            if sent >= warm {
                latencies.saturating_record((now - sent).as_nanos() as u64);
            }
        }
        Ok((latencies, count))
    }

    /// Opens connections, each of which is closed before the next one. Measures the time until
    /// they are open.
    pub(super) fn openings(&mut self, count: usize) -> Result<(Latencies, usize), Error> {
        let mut latencies = no_latencies();
        for _ in 0..count {
            let start = Instant::now();
            let conn = self.open()?;
            latencies.saturating_record(start.elapsed().as_nanos() as u64);
            self.event_loop.context().connection(conn).close(CloseCode::NORMAL, "");
            self.wait()?;
        }
        Ok((latencies, count))
    }

    /// Opens connections, which stay open after a round trip.
    pub(super) fn hold(&mut self, count: usize) -> Result<(), Error> {
        (0..count).try_for_each(|_| self.open().and_then(|conn| self.round_trip(conn)))
    }

    fn open(&mut self) -> Result<ConnectionId, Error> {
        let config = ClientConfig::default().address(self.address);
        let (url, config) = match self.opening {
            Opening::Plain => ("ws://localhost/", config),
            Opening::Full => ("wss://localhost/", config.tls(identity::client()?)),
            Opening::Resumed => ("wss://localhost/", config.tls(self.tls.clone())),
        };
        let conn = self.event_loop.connect(url, config, Watched(self.payload.clone()))?;
        self.wait().map(|()| conn)
    }

    fn round_trip(&mut self, conn: ConnectionId) -> Result<(), Error> {
        self.event_loop.context().send_to(conn, self.payload.as_slice());
        self.wait()
    }

    /// Waits for the outcome of what was begun.
    fn wait(&mut self) -> Result<(), Error> {
        loop {
            self.event_loop.turn(None, &mut self.outcome)?;
            if let Some(outcome) = self.outcome.take() {
                let failed = |reason| Error::Settings(format!("a connection failed: {reason}"));
                return outcome.map_err(failed);
            }
        }
    }
}
