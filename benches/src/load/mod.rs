//! The load: one thread, one mio poll, any number of client connections.
//!
//! The generator must cost less than the server that it measures. Messages are encoded and masked
//! once and only stamped before they leave; what arrives is compared where it lies in the receive
//! buffer; a connection costs one `recv` and one `send` per readiness, and a message no allocation.
//!
//! A *closed* loop sends the next message when an answer has come: it finds the round trip and the
//! highest throughput. An *open* loop sends at a fixed rate, whatever comes back, and counts every
//! latency from the moment at which the message was meant to leave: a server that pauses is charged
//! with everybody whom it kept waiting.

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
mod target;

use std::time::Duration;

use crate::error::Error;
use crate::machine::{self, ThreadCpu};

pub(crate) use frame::overhead as frame_overhead;
pub(crate) use links::{Links, ReadOutcome};
pub(crate) use meter::{Latencies, Measurement, no_latencies};
pub(crate) use payload::{Stamp, pattern};
pub(crate) use probe::Probe;
pub(crate) use scanner::Fault;
pub(crate) use schedule::Schedule;
pub(crate) use target::{Target, Wire};

/// One run of load.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) target: Target,
    pub(crate) shape: Shape,
    /// Payload bytes of each message.
    pub(crate) size: usize,
    pub(crate) pace: Pace,
    /// Load before anything is measured.
    pub(crate) warm_up: Duration,
    /// How long is measured.
    pub(crate) duration: Duration,
    /// Poll without ever sleeping.
    pub(crate) spin: bool,
}

/// Who sends, and who receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Each connection gets its own messages back.
    Echo { connections: usize },
    /// Each receiver gets every message of every publisher. Publishers are connections of their
    /// own; whether the server sends to them too does not matter.
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
    /// Each sender keeps `depth` messages unanswered, and sends the next when an answer comes.
    Closed { depth: usize },
    /// The senders in turn, `per_second` messages in all. A sender with `in_flight_max` messages
    /// unanswered waits; the latency counts from the intended time even so.
    Open { per_second: f64, in_flight_max: usize },
}

impl Pace {
    /// The most messages that one sender leaves unanswered.
    const fn in_flight_max(self) -> usize {
        match self {
            Self::Closed { depth } => depth,
            Self::Open { in_flight_max, .. } => in_flight_max,
        }
    }
}

/// A server that owes answers and sends nothing for this long has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an open loop waits for the answers that are missing when its time is over.
const GRACE: Duration = Duration::from_secs(2);
/// Open files that the program needs besides its sockets.
const OTHER_FILES: usize = 64;

/// Opens the connections, runs the load and measures. `server` tells the server's CPU time, if it
/// can be watched.
pub(crate) fn run(load: &Load, server: Option<&ThreadCpu>) -> Result<Measurement, Error> {
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

/// Lets as many connections be open.
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

/// How long one wait may take that ends anyway when something arrives.
const fn pause(spin: bool) -> Duration {
    if spin { Duration::ZERO } else { schedule::WAIT_MAX }
}

#[cfg(test)]
mod contestant_tests;
