//! Pausing: connections that are not read from until the application says so.

use super::Sockets;
use crate::net::aside::Leftover;
use crate::slots::Key;

impl Sockets {
    /// Leaves off reading from a connection at once; `false` if it is not open, or paused already.
    pub(crate) fn pause(&mut self, conn: Key) -> bool {
        let socket = self.slots.get_mut(conn);
        let Some(socket) = socket.filter(|socket| socket.is_open() && !socket.paused) else {
            return false;
        };
        socket.paused = true;
        self.set_halted(conn, true);
        true
    }

    /// Reads from a paused connection again, in this turn or the next; `false` if it was not
    /// paused.
    pub(crate) fn unpause(&mut self, conn: Key) -> bool {
        let now = self.now;
        let Some(socket) = self.slots.get_mut(conn).filter(|socket| socket.paused) else {
            return false;
        };
        socket.paused = false;
        socket.protocol.restart_deadlines(now);
        self.set_halted(conn, false);
        // Readiness was passed over meanwhile, and nothing will repeat it.
        self.resume(conn);
        self.arm(conn);
        true
    }

    pub(crate) fn is_paused(&self, conn: Key) -> bool {
        self.slots.get(conn).is_some_and(|socket| socket.paused && !socket.is_dead())
    }

    /// Readiness tells of the end or the failure of the stream. A paused connection looks into it
    /// instead of reading.
    pub(crate) fn note_hangup(&mut self, conn: Key) {
        if let Some(socket) = self.slots.get_mut(conn) {
            socket.hangup = true;
        }
    }

    /// Whether what else was received of the connection whose input is being handled waits.
    pub(crate) fn set_halted(&mut self, conn: Key, halted: bool) {
        self.slots.forget();
        if let Some(current) = self.current.as_mut().filter(|current| current.conn == conn) {
            current.halted = halted;
        }
    }

    /// Whether the connection whose input is being handled was paused.
    #[inline]
    pub(crate) fn is_halted(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.halted)
    }

    /// Keeps what was received behind the message at which reading was left off.
    pub(crate) fn keep_leftover(&mut self, conn: Key, bytes: &[u8]) {
        if let Some(socket) = self.slots.get_mut(conn) {
            let storage = self.pool.buffers.copy(bytes);
            socket.set_leftover(Leftover { storage, range: 0..bytes.len() });
        }
    }

    /// Takes what is left over, to handle it.
    pub(crate) fn take_leftover(&mut self, conn: Key) -> Option<Leftover> {
        self.slots.get_mut(conn)?.take_leftover()
    }

    /// Keeps what is still left over, or takes its storage back.
    pub(crate) fn return_leftover(&mut self, conn: Key, leftover: Leftover) {
        match self.slots.get_mut(conn) {
            Some(socket) if !leftover.range.is_empty() => socket.set_leftover(leftover),
            _ => self.pool.buffers.give(leftover.storage),
        }
    }
}
