//! What brings a server back, and what its handler is still to learn.

use crate::slots::Key;
use crate::socketio::asks::{AskId, NoAnswer};
use crate::socketio::reason::DisconnectReason;

/// Something that the application's handler is to learn.
#[derive(Debug)]
pub(in crate::socketio) enum Report {
    Disconnected(Key, DisconnectReason),
    Unanswered(Key, AskId, NoAnswer),
    /// The handler has learned that a socket ended. What becomes of it is to be decided.
    Decided(Key),
}

/// An event that brings a server back: for its deadlines, and for what handlers elsewhere did.
#[derive(Debug)]
pub(in crate::socketio) enum Call {
    /// Something is due.
    Due(HubId),
    /// Reports wait, or polls are to be answered.
    Settle(HubId),
    /// A question has not been answered in time.
    AskExpired(HubId, Key, AskId),
}

/// Names a server of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::socketio) struct HubId(u64);

impl HubId {
    pub(in crate::socketio) fn next() -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Call {
    pub(in crate::socketio) const fn hub(&self) -> HubId {
        match self {
            Self::Due(hub) | Self::Settle(hub) | Self::AskExpired(hub, ..) => *hub,
        }
    }
}
