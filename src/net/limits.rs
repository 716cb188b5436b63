//! What the connections of a loop may hold.

use std::time::Duration;

use super::places::PlaceLimits;

/// When queued output is too much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboxLimits {
    /// Above this many bytes a server does not read from the peer, which must make progress.
    pub(crate) soft: usize,
    /// No message is queued that makes it more than this many bytes.
    pub(crate) hard: usize,
    /// How long the outbox may stay above `soft` without progress.
    pub(crate) stall: Duration,
}

impl OutboxLimits {
    /// How long the reply may be, on top of the hard limit, to a portion that was read from a slow
    /// peer.
    pub(super) const fn reply(&self) -> usize {
        self.hard / 2
    }
}

/// What all connections of a loop may hold together, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemoryCaps {
    /// Unfinished messages, and received input that is not handled.
    pub(crate) inbound: usize,
    /// Outboxes.
    pub(crate) outbound: usize,
    /// How many connections there may be: each has an equal share of both.
    pub(crate) connections: usize,
}

/// The limits of a loop's connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketLimits {
    pub(crate) outbox: OutboxLimits,
    pub(crate) memory: MemoryCaps,
    pub(crate) places: PlaceLimits,
}
