//! The engine as the measuring client.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use eventwire::{
    ClientConfig, CloseCode, Config, ConnectError, Connection, Disconnect, EventLoop, Idle,
    Message, TlsClient, WebSocketHandler,
};

use crate::error::Error;
use crate::identity;
use crate::load::{Latencies, no_latencies};

/// How a connection is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Without TLS.
    Plain,
    /// With a full TLS handshake.
    Full,
    /// With a TLS handshake that resumes an earlier session.
    Resumed,
}

/// Connects to one server.
pub(super) struct Client {
    event_loop: EventLoop<Progress>,
    address: SocketAddr,
    /// The TLS configuration with its session cache. `None`: without TLS.
    tls: Option<TlsClient>,
    progress: Progress,
}

/// The client's progress.
#[derive(Debug)]
struct Progress {
    opened: usize,
    answered: usize,
    closed: usize,
    /// Why a connection failed.
    failed: Option<String>,
    latencies: Latencies,
}

/// What a connection does.
enum Errand {
    /// Closes as soon as it is open.
    Open,
    /// Sends one message, and stays open.
    Stay,
    /// Sends the next message when the last echo arrives, and records round trips between
    /// `noting_from` and `until`.
    Repeat { payload: Vec<u8>, sent: Instant, noting_from: Instant, until: Instant },
}

impl WebSocketHandler<Progress> for Errand {
    fn on_open(&mut self, conn: &mut Connection<'_>, progress: &mut Progress) {
        progress.opened += 1;
        match self {
            Self::Open => drop(conn.close(CloseCode::NORMAL, "")),
            Self::Stay => drop(conn.send("hello")),
            Self::Repeat { payload, sent, .. } => {
                *sent = Instant::now();
                conn.send(&payload[..]);
            }
        }
    }

    fn on_message(
        &mut self,
        conn: &mut Connection<'_>,
        message: Message<'_>,
        progress: &mut Progress,
    ) {
        progress.answered += 1;
        let Self::Repeat { payload, sent, noting_from, until } = self else {
            return;
        };
        let now = Instant::now();
        if message.as_bytes() != *payload {
            progress.failed = Some("an echo differs from its message".to_owned());
        }
        if *sent >= *noting_from {
            progress.latencies.saturating_record((now - *sent).as_nanos() as u64);
        }
        if now > *until {
            conn.close(CloseCode::NORMAL, "");
        } else {
            *sent = now;
            conn.send(message);
        }
    }

    fn on_close(&mut self, _: &mut Connection<'_>, reason: &Disconnect, progress: &mut Progress) {
        progress.closed += 1;
        if !matches!(reason, Disconnect::ClosedByApplication { .. }) {
            progress.failed = Some(reason.to_string());
        }
    }

    fn on_connect_error(
        &mut self,
        _: &mut Connection<'_>,
        error: &ConnectError,
        progress: &mut Progress,
    ) {
        progress.failed = Some(error.to_string());
    }
}

impl Client {
    /// With `spin` it never sleeps, so that round trips exclude its wake-up.
    pub(super) fn new(address: SocketAddr, secure: bool, spin: bool) -> Result<Self, Error> {
        let idle = if spin { Idle::Busy } else { Idle::Block };
        let progress =
            Progress { opened: 0, answered: 0, closed: 0, failed: None, latencies: no_latencies() };
        let event_loop = EventLoop::new(Config::default().idle(idle))?;
        let tls = if secure { Some(identity::client()?) } else { None };
        Ok(Self { event_loop, address, tls, progress })
    }

    /// Measures round trips of messages of `size` bytes on a new connection for `time`, after a
    /// warm-up of a tenth of it. Also returns how many there were in total.
    pub(super) fn round_trips(
        &mut self,
        size: usize,
        time: Duration,
    ) -> Result<(Latencies, usize), Error> {
        let start = Instant::now();
        let noting_from = start + time / 10;
        let until = noting_from + time;
        let (closed, answered) = (self.progress.closed, self.progress.answered);
        let payload = vec![b'x'; size];
        self.connect(Errand::Repeat { payload, sent: start, noting_from, until }, false)?;
        self.until(|progress| progress.closed > closed)?;
        let latencies = std::mem::replace(&mut self.progress.latencies, no_latencies());
        Ok((latencies, self.progress.answered - answered))
    }

    /// Opens a connection and closes it again. Returns the time until it was open.
    pub(super) fn open(&mut self, opening: Opening) -> Result<Duration, Error> {
        let (opened, closed) = (self.progress.opened, self.progress.closed);
        let start = Instant::now();
        self.connect(Errand::Open, opening == Opening::Full)?;
        self.until(|progress| progress.opened > opened)?;
        let time = start.elapsed();
        self.until(|progress| progress.closed > closed)?;
        Ok(time)
    }

    /// Opens `count` connections, which stay open.
    pub(super) fn hold(&mut self, count: usize) -> Result<(), Error> {
        // So that no connection waits for the limit on pending handshakes.
        const AT_ONCE: usize = 64;
        let answered = self.progress.answered;
        for opened in (0..count).step_by(AT_ONCE) {
            let some = AT_ONCE.min(count - opened);
            for _ in 0..some {
                self.connect(Errand::Stay, false)?;
            }
            self.until(|progress| progress.answered == answered + opened + some)?;
        }
        Ok(())
    }

    fn connect(&mut self, errand: Errand, anew: bool) -> Result<(), Error> {
        let config = ClientConfig::default().address(self.address);
        let (scheme, config) = match &self.tls {
            None => ("ws", config),
            Some(_) if anew => ("wss", config.tls(identity::client()?)),
            Some(tls) => ("wss", config.tls(tls.clone())),
        };
        self.event_loop.connect(&format!("{scheme}://localhost/"), config, errand)?;
        Ok(())
    }

    fn until(&mut self, done: impl Fn(&Progress) -> bool) -> Result<(), Error> {
        while !done(&self.progress) {
            self.event_loop.turn(None, &mut self.progress)?;
            if let Some(reason) = &self.progress.failed {
                return Err(Error::Settings(format!("a connection failed: {reason}")));
            }
        }
        Ok(())
    }
}
