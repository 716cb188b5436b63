//! Connections whose input has rate limits.

use super::registry::Registry;
use crate::net::reading::RateState;
use crate::slots::Key;

/// The input of one connection, which may have rate limits.
pub(crate) struct LimitedInput<'a> {
    registry: &'a mut Registry,
    conn: Key,
}

impl<'a> LimitedInput<'a> {
    pub(crate) const fn new(registry: &'a mut Registry, conn: Key) -> Self {
        Self { registry, conn }
    }

    /// Sets whether it has limits. If it has from now on, what has arrived and is not handled waits
    /// until they are looked at.
    pub(crate) fn set_limited(self, is_limited: bool) {
        let Some(socket) = self.registry.table.get_mut(self.conn) else {
            return;
        };
        match (socket.rate, is_limited) {
            (RateState::Unlimited, true) => {
                socket.rate = RateState::Limited;
                self.registry.set_halted(self.conn, true);
            }
            (RateState::Limited, false) => socket.rate = RateState::Unlimited,
            _ => {}
        }
    }

    /// Stops reading because of a limit.
    pub(crate) fn pause(self) {
        if let Some(socket) = self.registry.table.get_mut(self.conn) {
            debug_assert!(socket.is_open(), "the limits are for open connections");
            socket.rate = RateState::Paused;
            self.registry.set_halted(self.conn, true);
        }
    }

    /// Reads again, in this turn or the next, if a limit has paused it.
    pub(crate) fn resume(self) {
        let socket = self.registry.table.get_mut(self.conn);
        let Some(socket) = socket.filter(|socket| socket.rate == RateState::Paused) else {
            return;
        };
        socket.rate = RateState::Limited;
        socket.protocol.restart_deadlines(self.registry.now);
        self.registry.set_halted(self.conn, false);
        self.registry.resume(self.conn);
        self.registry.arm(self.conn);
    }

    /// Reads on, whatever has paused the connection: its end has begun, and the peer's is awaited.
    pub(super) fn end_pauses(self) {
        self.registry.unpause(self.conn);
        self.resume();
    }
}
