//! Where broadcasts go, and when they fit.

use super::batch::Run;
use crate::overflow::OverflowPolicy;
use crate::slots::Key;

/// The outputs of connections.
pub(crate) trait Output {
    /// How much may be appended for a connection.
    fn capacity(&self, conn: Key) -> SendCapacity;

    /// Appends frames to a connection's output. Returns `false` if they exceeded its limit; the
    /// connection is then being closed.
    fn append(&mut self, conn: Key, run: &Run<'_>) -> bool;
}

/// How much a connection can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendCapacity {
    /// No output waits, or the connection is gone. Anything may be appended.
    Unlimited,
    /// Output waits for the peer.
    Waiting {
        /// More than the soft limit waits.
        backed_up: bool,
        /// How many more bytes may wait.
        bytes: usize,
    },
}

impl SendCapacity {
    pub(crate) const fn is_waiting(self) -> bool {
        matches!(self, Self::Waiting { .. })
    }

    pub(super) const fn is_backed_up(self) -> bool {
        matches!(self, Self::Waiting { backed_up: true, .. })
    }

    /// Whether a subscription with this policy is sent a run of `len` bytes now.
    pub(super) const fn admits(self, policy: OverflowPolicy, len: usize) -> bool {
        match (self, policy) {
            (Self::Unlimited, _) | (_, OverflowPolicy::Close) => true,
            (Self::Waiting { backed_up, bytes }, OverflowPolicy::DropNewest) => {
                !backed_up && len <= bytes
            }
            (
                Self::Waiting { bytes, .. },
                OverflowPolicy::DropOldest | OverflowPolicy::KeepLatest,
            ) => len <= bytes,
        }
    }
}

impl OverflowPolicy {
    /// Whether broadcasts are kept in the log while the connection does not keep up.
    pub(super) const fn allows_lag(self) -> bool {
        matches!(self, Self::DropOldest | Self::KeepLatest)
    }
}
