use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_queue::SegQueue;

use super::shutdown::TimeLeft;
use super::stats::Meters;
use crate::queue::Doorbell;
use crate::reactor::Wake;
use crate::slots::Key;

/// Reaches a loop from other threads.
#[derive(Clone)]
pub struct LoopHandle {
    shared: Arc<Shared>,
    meters: Arc<Meters>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// What other threads and the loop have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) doorbell: Doorbell,
    pub(super) left: TimeLeft,
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
    /// Whether something waits for the loop, which has seen that much time left.
    pub(super) fn has_work(&self, seen: u64) -> bool {
        self.left.get() != seen || !self.resolved.is_empty()
    }
}

impl LoopHandle {
    pub(super) fn new(shared: Arc<Shared>, meters: Arc<Meters>, waker: impl Wake) -> Self {
        // A wake that fails has lost its loop, and nobody is left to hear of it.
        let wake = Arc::new(move || drop(waker.wake()));
        Self { shared, meters, wake }
    }

    /// Ends the loop after its present turn: every connection is closed with code 1001, and
    /// [`run`](crate::EventLoop::run) returns. Safe to call from anywhere, and more than once.
    pub fn stop(&self) {
        self.shared.left.stop();
        self.ring();
    }

    /// Drains the loop, which then ends: nobody is accepted from its next turn on, and whoever
    /// connects is refused. Open connections are closed with code 1001 after what they were sent
    /// and what their topics owe them; what they still say is discarded. Clients in their opening
    /// handshake are refused with status 503, and connections that are being made are cancelled.
    ///
    /// Once every connection has ended, publishers are refused with
    /// [`PublishError::Closed`](crate::PublishError), and what they and handlers have published
    /// before is handled yet. After that, or when `deadline` has passed since the loop heard of
    /// this, the rest is cut, and [`run`](crate::EventLoop::run) returns a
    /// [`RunSummary`](crate::RunSummary). A connection whose peer does not answer the close is cut
    /// before that if its own limit is less
    /// ([`Limits::close_timeout`](crate::proto::Limits::close_timeout)).
    ///
    /// Safe to call from anywhere, and more than once: the earliest deadline stands.
    /// [`stop`](Self::stop) ends a shutdown at once.
    ///
    /// ```
    /// use std::{thread, time::Duration};
    /// use eventwire::{Config, EventLoop, RunEnd};
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// let handle = event_loop.handle();
    /// thread::spawn(move || handle.shutdown(Duration::from_secs(10)));
    /// let summary = event_loop.run(&mut ())?;
    /// assert_eq!(summary.end, RunEnd::ShutDown);
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    pub fn shutdown(&self, deadline: Duration) {
        self.shared.left.shut_down(deadline);
        self.ring();
    }

    pub(super) fn push_resolved(&self, resolved: Resolved) {
        self.shared.resolved.push(resolved);
        self.ring();
    }

    pub(super) fn meters(&self) -> &Meters {
        &self.meters
    }

    pub(super) fn ring(&self) {
        if self.shared.doorbell.ring() {
            (self.wake)();
        }
    }

    /// The same, of a caller with a sequentially consistent fence behind what it left.
    pub(super) fn ring_fenced(&self) {
        if self.shared.doorbell.ring_fenced() {
            (self.wake)();
        }
    }
}

impl fmt::Debug for LoopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopHandle").field("stopped", &self.shared.left.is_stopped()).finish()
    }
}
