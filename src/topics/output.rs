//! Where broadcasts go, and what becomes of them when there is no room.

use super::batch::Run;
use crate::overflow::OverflowPolicy;
use crate::slots::Key;

/// The outputs of connections.
pub(crate) trait Output {
    /// How much may be appended for a connection.
    fn room(&self, conn: Key) -> Room;

    /// Appends frames to a connection's output; `false` if that was more than may wait, and the
    /// connection is being closed.
    fn append(&mut self, conn: Key, run: &Run<'_>) -> bool;
}

/// How much a connection may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It takes what it is sent, or is none any more.
    Unlimited,
    /// Output waits for it.
    Waiting {
        /// More than what a peer should have waiting.
        backed_up: bool,
        /// So many bytes more may wait.
        bytes: usize,
    },
}

impl Room {
    pub(super) const fn is_waiting(self) -> bool {
        matches!(self, Self::Waiting { .. })
    }

    pub(super) const fn is_backed_up(self) -> bool {
        matches!(self, Self::Waiting { backed_up: true, .. })
    }

    /// Whether a subscription of this policy is sent a run of that length now.
    pub(super) const fn takes(self, policy: OverflowPolicy, len: usize) -> bool {
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
    /// Whether broadcasts are put off while the connection does not keep up.
    pub(super) const fn puts_off(self) -> bool {
        matches!(self, Self::DropOldest | Self::KeepLatest)
    }
}
