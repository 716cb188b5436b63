//! The load of each kind of scenario against a server.

use std::time::Duration;

use super::outcome::Outcome;
use super::process::Server;
use super::scenario::Kind;
use crate::error::Error;
use crate::load::fan_out::{self, FanOut, FanOutMeasurement};
use crate::load::flood::{self, Flood};
use crate::load::handshakes::{self, Handshakes, Storm};
use crate::load::hold::hold;
use crate::load::{self, Load, Pace, Shape, Target, Wire, frame_overhead};

/// The load to run, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) kind: Kind,
    /// Messages per second of an open loop.
    pub(crate) rate: Option<f64>,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    /// Whether the client may spin.
    pub(crate) spins: bool,
}

/// How many messages of one connection may be unanswered in an open loop.
const IN_FLIGHT_MAX: usize = 1024;
/// How many handshakes run at the same time.
pub(super) const HANDSHAKES: usize = 16;

pub(crate) fn run(order: &Order, server: &Server) -> Result<Outcome, Error> {
    match order.kind {
        Kind::Echo { connections, size, depth, spin } => {
            let spin = spin && order.spins;
            order.echo(server, connections, size, Pace::Closed { depth }, spin)
        }
        Kind::OpenLoop { connections, size, .. } => {
            let per_second = order.rate.unwrap_or(1.0);
            let pace = Pace::Open { per_second, in_flight_max: IN_FLIGHT_MAX };
            order.echo(server, connections, size, pace, order.spins)
        }
        Kind::Broadcast { receivers, slow, size, batch } => {
            order.broadcast(server, receivers, slow, size, batch)
        }
        Kind::Flood { quiet } => order.flood(server, quiet),
        Kind::Handshakes => order.handshakes(server),
        Kind::Storm { connections } => order.storm(server, connections),
        Kind::Idle { connections } => idle(server, connections),
        Kind::Publish { .. } | Kind::PublishCost => {
            Err(Error::Settings("events need no server".to_owned()))
        }
    }
}

/// How many bytes raw TCP has to send for the same size on the wire as frames with `size` bytes of
/// payload. A client's frames are masked. For broadcasts, the server's frames count.
fn bytes_on_wire(target: &Target, size: usize, masked: bool) -> usize {
    match target.wire {
        Wire::WebSocket => size,
        Wire::Tcp => size + frame_overhead(size, masked),
    }
}

impl Order {
    fn echo(
        &self,
        server: &Server,
        connections: usize,
        size: usize,
        pace: Pace,
        spin: bool,
    ) -> Result<Outcome, Error> {
        let target = server.target().clone();
        let load = Load {
            size: bytes_on_wire(&target, size, true),
            target,
            shape: Shape::Echo { connections },
            pace,
            warm_up: self.warm_up,
            duration: self.duration,
            spin,
        };
        load::run(&load, server.cpu().as_ref()).map(Outcome::from)
    }

    fn broadcast(
        &self,
        server: &Server,
        receivers: usize,
        slow: usize,
        size: usize,
        burst: usize,
    ) -> Result<Outcome, Error> {
        let target = server.target().clone();
        let load = FanOut {
            size: bytes_on_wire(&target, size, false),
            target,
            receivers,
            slow,
            burst,
            bystander: true,
            warm_up: self.warm_up,
            duration: self.duration,
            spin: self.spins,
        };
        let FanOutMeasurement { broadcasts, bystander } =
            fan_out::run(&load, server.cpu().as_ref())?;
        let bystander = (!bystander.is_empty()).then_some(bystander);
        Ok(Outcome { bystander, ..Outcome::from(broadcasts) })
    }

    fn flood(&self, server: &Server, quiet: usize) -> Result<Outcome, Error> {
        /// Messages of each quiet connection per second.
        const RATE: f64 = 20.0;
        const SIZE: usize = 64;
        /// In-flight messages of the flooding connection.
        const DEPTH: usize = 1024;
        let target = server.target().clone();
        let load = Flood {
            size: bytes_on_wire(&target, SIZE, true),
            target,
            quiet,
            per_second: quiet as f64 * RATE,
            depth: DEPTH,
            warm_up: self.warm_up,
            duration: self.duration,
            spin: self.spins,
        };
        let measured = flood::run(&load, server.cpu().as_ref())?;
        let mut outcome = Outcome::from(measured.quiet);
        // The server's CPU time covers both.
        outcome.count += measured.flooded;
        Ok(outcome)
    }

    fn handshakes(&self, server: &Server) -> Result<Outcome, Error> {
        let load = Handshakes {
            target: server.target().clone(),
            connections: HANDSHAKES,
            warm_up: self.warm_up,
            duration: self.duration,
            spin: self.spins,
        };
        handshakes::run(&load, server.cpu().as_ref()).map(Outcome::from)
    }

    fn storm(&self, server: &Server, connections: usize) -> Result<Outcome, Error> {
        const PATIENCE: Duration = Duration::from_secs(10);
        let target = server.target().clone();
        let storm = Storm { target, connections, patience: PATIENCE, spin: self.spins };
        let time = || server.cpu().and_then(|cpu| cpu.time());
        let before = time();
        let measured = handshakes::storm(&storm)?;
        let used = time().zip(before).map(|(after, before)| after.saturating_sub(before));
        Ok(Outcome {
            count: measured.opened,
            time: measured.time,
            latency: (!measured.latency.is_empty()).then_some(measured.latency),
            unanswered: measured.failed,
            server_cpu: used,
            ..Outcome::default()
        })
    }
}

/// The server's memory for each idle connection.
fn idle(server: &Server, connections: usize) -> Result<Outcome, Error> {
    let memory = || {
        let bytes = server.memory();
        bytes.ok_or_else(|| Error::Settings("its memory is unknown".to_owned()))
    };
    let (before, after) = hold(server.target(), connections, memory)?;
    let bytes = after.saturating_sub(before) as f64 / connections as f64;
    Ok(Outcome { bytes_per_connection: Some(bytes), ..Outcome::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_tcp_carries_as_many_bytes_as_frames_have() {
        let target = |url: &str| url.parse().unwrap();
        for (size, masked, bytes) in [(16, true, 22), (16, false, 18), (1 << 20, true, 1_048_590)] {
            assert_eq!(bytes_on_wire(&target("tcp://h:1"), size, masked), bytes);
            assert_eq!(bytes_on_wire(&target("ws://h:1"), size, masked), size);
        }
    }
}
