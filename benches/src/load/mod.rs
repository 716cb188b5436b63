//! The load: one thread, one mio poll, any number of client connections.
//!
//! The generator must cost less than the server that it measures. Messages are encoded and masked
//! once, and only stamped before they leave. Arriving data is compared in place in the receive
//! buffer. A connection costs one `recv` and one `send` per readiness, and a message no allocation.
//!
//! A *closed* loop sends the next message when an answer has arrived: it measures the round trip
//! and the highest throughput. An *open* loop sends at a fixed rate, whether answers arrive or not,
//! and counts every latency from the intended send time: a server that pauses is charged for every
//! message that it delays.

mod batch;
mod broadcast;
mod echo;
pub(crate) mod fan_out;
pub(crate) mod flood;
mod frame;
mod handshake;
pub(crate) mod handshakes;
pub(crate) mod hold;
mod links;
mod meter;
mod opening;
mod payload;
mod probe;
mod scanner;
mod schedule;

use std::time::Duration;

use crate::error::Error;
use crate::machine::{self, CpuClock};

use crate::target::{Target, Wire};
pub(crate) use frame::overhead as frame_overhead;
pub(crate) use links::{Links, ReadOutcome};
pub(crate) use meter::{Latencies, Measurement, no_latencies};
pub(crate) use payload::{Stamp, pattern};
pub(crate) use probe::Probe;
pub(crate) use scanner::Fault;
pub(crate) use schedule::Schedule;

/// One run of load.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) target: Target,
    pub(crate) shape: Shape,
    /// Payload bytes of each message.
    pub(crate) size: usize,
    pub(crate) pace: Pace,
    /// The load's duration before the measured time.
    pub(crate) warm_up: Duration,
    /// The measured time.
    pub(crate) duration: Duration,
    /// Poll without ever sleeping.
    pub(crate) spin: bool,
}

/// The senders and receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Each connection gets its own messages back.
    Echo { connections: usize },
    /// Each receiver gets every message of every publisher. Publishers are separate connections.
    /// The server may send to them, too.
    Broadcast { receivers: usize, publishers: usize },
}

impl Shape {
    /// All connections.
    pub(crate) const fn connections(self) -> usize {
        match self {
            Self::Echo { connections } => connections,
            Self::Broadcast { receivers, publishers } => receivers + publishers,
        }
    }
}

/// When messages leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Each sender keeps `depth` messages unanswered, and sends the next one after an answer.
    Closed { depth: usize },
    /// The senders send alternately, `per_second` messages in total. A sender with `in_flight_max`
    /// unanswered messages waits, but latency still counts from the intended send time.
    Open { per_second: f64, in_flight_max: usize },
}

impl Pace {
    /// The limit on unanswered messages of one sender.
    const fn in_flight_max(self) -> usize {
        match self {
            Self::Closed { depth } => depth,
            Self::Open { in_flight_max, .. } => in_flight_max,
        }
    }
}

/// If answers are missing and the server sends nothing for this long, it has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an open loop waits for missing answers after its time is over.
const GRACE: Duration = Duration::from_secs(2);
/// Open files that the program needs besides its sockets.
const OTHER_FILES: usize = 64;

/// Opens the connections, runs the load and measures. `server` reads the server's CPU time, if that
/// is possible.
pub(crate) fn run(load: &Load, server: Option<&CpuClock>) -> Result<Measurement, Error> {
    if load.target.wire == Wire::Tcp && load.size == 0 {
        let reason = "raw TCP has no empty messages: the size must be at least 1 byte";
        return Err(Error::Settings(reason.to_owned()));
    }
    make_room(load.shape.connections())?;
    match load.shape {
        Shape::Echo { connections } => echo::run(load, connections, server),
        Shape::Broadcast { receivers, publishers } => {
            broadcast::run(load, receivers, publishers, server)
        }
    }
}

/// Raises the limit on open files for the connections.
fn make_room(connections: usize) -> Result<(), Error> {
    let wanted = (connections + OTHER_FILES) as u64;
    let limit = machine::raise_file_limit(wanted);
    if limit < wanted {
        return Err(Error::Settings(format!(
            "{connections} connections need {wanted} open files, the limit is {limit} (ulimit -n)"
        )));
    }
    Ok(())
}

/// The time limit of one wait, which ends earlier when something arrives.
const fn pause(spin: bool) -> Duration {
    if spin { Duration::ZERO } else { schedule::WAIT_MAX }
}

#[cfg(test)]
mod contestant_tests;
