//! Panics that handlers raise on purpose.

use std::panic::resume_unwind;

use eventwire::{ConnectionId, Context};

use super::app::{App, Phase};

/// The message of every panic.
pub(super) const INJECTED: &str = "injected";

impl App {
    /// Panics now and then, at the end of a handler's method.
    pub(super) fn may_panic(&mut self, conn: Option<ConnectionId>, cx: &mut Context<'_>) {
        if self.panicking == 0 || self.random.below(1000) >= self.panicking {
            return;
        }
        if let Some(conn) = conn {
            self.expect_panic(conn, cx);
        }
        self.counts.panics += 1;
        // Past the panic hook, which would print each of them.
        resume_unwind(Box::new(INJECTED.to_owned()));
    }

    fn expect_panic(&mut self, conn: ConnectionId, cx: &mut Context<'_>) {
        self.link_of(conn).rude = true;
        let phase = self.known(conn).phase;
        if !matches!(phase, Phase::Open | Phase::Closing(_) | Phase::Overflowed) {
            return;
        }
        if phase == Phase::Open {
            self.known(conn).since = cx.now();
            self.known(conn).closes_late = cx.connection(conn).buffered_bytes() > 0;
        }
        if cx.connection(conn).is_open() {
            self.sends(conn).close(1011);
            self.leave_topics(conn);
        }
        self.known(conn).phase = Phase::Panicked;
        self.known(conn).paused = false;
    }
}
