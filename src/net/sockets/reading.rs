//! Whether connections are read from, and how much: pausing, resuming, and slow peers.

use super::registry::Registry;
use crate::net::reading::{ReadDebt, ReadPermission, Replies};
use crate::slots::Key;

impl Registry {
    /// Stops reading from a connection at once; `false` if it is not open, or paused already.
    pub(crate) fn pause(&mut self, conn: Key) -> bool {
        let socket = self.table.get_mut(conn);
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
        let Some(socket) = self.table.get_mut(conn).filter(|socket| socket.paused) else {
            return false;
        };
        socket.paused = false;
        socket.protocol.restart_deadlines(self.now);
        self.set_halted(conn, false);
        // Readiness was ignored meanwhile, and nothing will repeat it.
        self.resume(conn);
        self.arm(conn);
        true
    }

    pub(crate) fn is_paused(&self, conn: Key) -> bool {
        self.table.get(conn).is_some_and(|socket| socket.paused && !socket.is_dead())
    }

    /// Readiness has reported the end or the failure of the stream. A paused connection checks for
    /// that instead of reading.
    pub(crate) fn note_hangup(&mut self, conn: Key) {
        if let Some(socket) = self.table.get_mut(conn) {
            socket.hangup = true;
        }
    }

    /// Halts the connection's input, or goes on with it, if it is being handled.
    pub(crate) fn set_halted(&mut self, conn: Key, is_halted: bool) {
        self.table.clear_fast_path();
        self.input.set_halted(conn, is_halted);
    }

    /// Reads from the connection in this or the next turn, whatever readiness says.
    pub(crate) fn resume(&mut self, conn: Key) {
        if let Some(socket) = self.table.get_mut(conn) {
            self.to_read.push(conn, socket);
        }
    }

    /// Reads from the connection again, if there may be input that was not read.
    pub(crate) fn resume_if_unread(&mut self, conn: Key) {
        let Some(socket) = self.table.get_mut(conn) else {
            return;
        };
        if socket.unread && socket.read_permission(&self.limits) != ReadPermission::Nothing {
            socket.unread = false;
            socket.protocol.restart_deadlines(self.now);
            self.resume(conn);
            self.arm(conn);
        }
    }

    /// Sets whether little is received at once.
    #[cold]
    pub(crate) fn receive_little(&mut self, conn: Key, little: bool) {
        if let Some(socket) = self.table.get_mut(conn) {
            socket.receives_little = little;
        }
    }

    /// Whether a message of the connection is being decompressed.
    pub(crate) fn is_inflating(&self, conn: Key) -> bool {
        let socket = self.table.get(conn);
        socket.is_some_and(|socket| socket.protocol.is_inflating())
    }

    pub(crate) fn next_resumed(&mut self) -> Option<Key> {
        self.to_read.pop(&mut self.table)
    }

    pub(crate) fn resumed_len(&self) -> usize {
        self.to_read.len()
    }

    /// How much to receive from the connection at hand: nothing while it is paused, and little
    /// while its peer is slow.
    pub(crate) fn read_permission(&mut self, conn: Key) -> ReadPermission {
        self.charge(conn, 0);
        let Some(socket) = self.table.get_mut(conn) else {
            return ReadPermission::Nothing;
        };
        if socket.is_paused() || socket.protocol.awaits_response() {
            // Once the request is answered, nothing repeats the readiness.
            socket.unread |= !socket.is_paused();
            self.input.set_halted(conn, true);
            return ReadPermission::Nothing;
        }
        let permission = socket.read_permission(&self.limits);
        socket.unread = permission == ReadPermission::Nothing;
        let is_portioned = permission == ReadPermission::Portion;
        self.input.replies.set_portioned(if is_portioned { conn } else { Key::NONE });
        permission
    }

    /// What is queued for the connection at hand from now on is a reply to its input.
    pub(crate) fn begin_replies(&mut self, conn: Key) {
        let queued = self.queued_so_far(conn);
        self.input.replies.begin(queued);
    }

    /// Charges the connection at hand for the reply to its input, and for input that was received
    /// while its peer is slow.
    pub(crate) fn charge(&mut self, conn: Key, received: usize) {
        let replied = self.input.replies.count(self.queued_so_far(conn));
        if let Some(outbox) = self.table.outbox_mut(conn) {
            outbox.read_debt.charge(received, replied);
        }
        self.begin_replies(conn);
    }

    /// Charges the connection at hand, whose input is handled for now.
    pub(crate) fn end_replies(&mut self, conn: Key) {
        self.charge(conn, 0);
        self.input.replies = Replies::NONE;
    }

    /// Halts a connection whose reply to a portion is long; whether it is. The rest of the input
    /// waits with it.
    pub(super) fn halt_after_long_reply(&mut self, conn: Key) -> bool {
        let replies = &self.input.replies;
        let is_long = replies.is_portioned(conn)
            && replies.count(self.queued_so_far(conn)) > ReadDebt::PORTION_BYTES_MAX;
        if is_long {
            self.set_halted(conn, true);
        }
        is_long
    }

    fn queued_so_far(&self, conn: Key) -> usize {
        self.table.outbox(conn).map_or(0, |outbox| outbox.read_debt.queued())
    }
}
