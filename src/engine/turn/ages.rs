//! Connections that have reached their maximum age.

use crate::engine::event_loop::EventLoop;
use crate::reactor::Reactor;
use crate::slots::Key;

/// How many connections are closed in one turn for their age, so that a great many that are due at
/// once do not delay the others.
const CLOSED_PER_TURN_MAX: usize = 256;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Draws the age of a connection that has just opened, if its configuration has a maximum.
    #[inline(never)]
    pub(crate) fn draw_age(&mut self, conn: Key, handler: usize) {
        let configured = self.handlers.get(handler);
        let Some(max_age) = configured.and_then(|handler| handler.max_age.as_ref()) else {
            return;
        };
        let random = u32::from_ne_bytes(self.core.sockets.output.mask_keys.next_key());
        // An age beyond the clock's range is never reached.
        if let Some(due) = self.core.now().checked_add(max_age.draw(random)) {
            let sockets = &self.core.sockets;
            self.core.ages.add(conn, due);
            self.core.ages.purge(sockets.len(), |conn| sockets.get(conn).is_some());
        }
    }

    /// Closes connections that have reached their maximum age.
    #[inline(never)]
    pub(crate) fn close_aged(&mut self) {
        for _ in 0..CLOSED_PER_TURN_MAX {
            let Some(conn) = self.core.ages.expire(self.core.now()) else {
                return;
            };
            let socket = self.core.sockets.get(conn).filter(|socket| socket.is_open());
            let handler = socket.and_then(|socket| self.handlers.get(socket.handler()));
            if let Some(max_age) = handler.and_then(|handler| handler.max_age.as_ref()) {
                let closes = self.core.erased().close(conn, max_age.code, &max_age.reason);
                self.tally.max_age_reached += u64::from(closes);
            }
        }
    }
}
