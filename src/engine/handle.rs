use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_queue::SegQueue;

use crate::queue::Doorbell;
use crate::reactor::Wake;
use crate::slots::Key;

/// Reaches a loop from other threads.
#[derive(Clone)]
pub struct LoopHandle {
    shared: Arc<Shared>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// What other threads and the loop have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) doorbell: Doorbell,
    stop: AtomicBool,
    /// Names looked up: at most one entry for each connection that is being made.
    pub(super) resolved: SegQueue<Resolved>,
}

/// The addresses that a connection is to be made to, or why there are none.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) conn: Key,
    pub(super) addresses: io::Result<Vec<SocketAddr>>,
}

impl Shared {
    /// Whether something waits for the loop.
    pub(super) fn has_work(&self) -> bool {
        self.is_stopped() || !self.resolved.is_empty()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

impl LoopHandle {
    pub(super) fn new(shared: Arc<Shared>, waker: impl Wake) -> Self {
        // A wake that fails has lost its loop, and nobody is left to hear of it.
        let wake = Arc::new(move || drop(waker.wake()));
        Self { shared, wake }
    }

    /// Ends the loop after its present turn: every connection is closed with code 1001, and
    /// [`run`](crate::EventLoop::run) returns. Safe to call from anywhere, and more than once.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.ring();
    }

    pub(super) fn push_resolved(&self, resolved: Resolved) {
        self.shared.resolved.push(resolved);
        self.ring();
    }

    pub(super) fn ring(&self) {
        if self.shared.doorbell.ring() {
            (self.wake)();
        }
    }
}

impl fmt::Debug for LoopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopHandle").field("stopped", &self.shared.is_stopped()).finish()
    }
}
