use std::time::Duration;

use crate::target::Target;

/// One run of load.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) target: Target,
    pub(crate) traffic: Traffic,
    /// The load's duration before the measured time.
    pub(crate) warm_up: Duration,
    /// The measured time.
    pub(crate) duration: Duration,
    /// Poll without ever sleeping.
    pub(crate) spin: bool,
}

/// What connections do. `size` is the payload of a WebSocket message in bytes: raw TCP carries as
/// much more as the header of its frame has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Traffic {
    /// Each connection gets its own messages back.
    Echo { connections: usize, size: usize, pace: Pace },
    /// Each receiver gets every message of every publisher. Publishers are separate connections,
    /// and the server may send to them, too. In a closed loop, a publisher sends `depth` messages
    /// in one write when all receivers have the last ones.
    Broadcast {
        receivers: usize,
        /// How many of them never read. They have small buffers.
        slow: usize,
        publishers: usize,
        size: usize,
        pace: Pace,
        /// Whether another connection, which gets no broadcasts, measures round trips meanwhile.
        bystander: bool,
    },
    /// One connection floods with `depth` unanswered messages. The quiet ones send `per_second`
    /// messages in all, and only their latencies are measured.
    Flood { quiet: usize, per_second: f64, depth: usize, size: usize },
    /// So many handshakes at the same time, again and again. Each connection is reset when it is
    /// open, so that ports do not run out. Latencies are from connecting to the response.
    Handshakes { at_once: usize },
    /// All connect at once, and stay until the last one is open. Latencies count from the beginning
    /// of the storm.
    Storm { connections: usize },
    /// Opened one after the other, and left idle while the server's memory is read.
    Idle { connections: usize },
}

/// When messages leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Each sender has `depth` messages unanswered.
    Closed { depth: usize },
    /// The senders send alternately, `per_second` messages in total. A sender with `in_flight_max`
    /// unanswered messages waits, but latency still counts from the intended send time.
    Open { per_second: f64, in_flight_max: usize },
}

impl Traffic {
    /// All connections that are open at the same time.
    pub(crate) fn connections(self) -> usize {
        match self {
            Self::Broadcast { receivers, publishers, bystander, .. } => {
                receivers + publishers + usize::from(bystander)
            }
            Self::Flood { quiet, .. } => quiet + 1,
            Self::Handshakes { at_once: connections }
            | Self::Echo { connections, .. }
            | Self::Storm { connections }
            | Self::Idle { connections } => connections,
        }
    }
}
