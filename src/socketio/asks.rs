//! Acknowledgements, and questions to clients.

use std::fmt;

use crate::slots::Key;

/// The right to acknowledge one event. Dropping it sends nothing.
#[derive(Clone, Debug)]
#[must_use = "the client waits for the acknowledgement"]
pub struct Ack {
    pub(super) socket: Key,
    pub(super) id: u64,
}

/// Names a question to a client ([`Socket::ask`](super::Socket::ask)). It never refers to another
/// one of that client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub(super) u64);

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoAnswer {
    /// It did not come in time.
    TimedOut,
    /// The client has left.
    Disconnected,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "the client has not answered in time",
            Self::Disconnected => "the client has left",
        })
    }
}

impl std::error::Error for NoAnswer {}
