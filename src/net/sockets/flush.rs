//! Flushing: from the cork and the outboxes to the streams.

use std::io::IoSlice;

use super::Sockets;
use crate::net::outbox::MAX_SLICES;
use crate::net::streams::Transmit;
use crate::proto::State;
use crate::slots::Key;

impl Sockets {
    /// Sends what was gathered for the current connection, in one call if it takes it.
    #[inline]
    pub(crate) fn flush_cork(&mut self, received: &[u8], io: &mut dyn Transmit) {
        let Some(conn) = self.current.as_ref().map(|current| current.conn) else {
            return;
        };
        let len = self.cork.len();
        if len == 0 {
            return;
        }
        let (sent, offered) = match self.cork.as_slice(received) {
            Some(slice) => (io.transmit(conn.index(), &[IoSlice::new(slice)]), len),
            None => {
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                let (count, offered) = self.cork.slices(received, &mut slices);
                (io.transmit(conn.index(), &slices[..count]), offered)
            }
        };
        match sent {
            Ok(sent) if sent == len => self.cork.clear(&mut self.pool),
            Ok(sent) => self.spill(conn, sent, sent < offered, received, io),
            Err(error) => {
                self.cork.clear(&mut self.pool);
                self.fail(conn, error);
            }
        }
    }

    pub(super) fn spill(
        &mut self,
        conn: Key,
        sent: usize,
        blocked: bool,
        received: &[u8],
        io: &mut dyn Transmit,
    ) {
        let mut outbox = self.pool.take();
        let receiver = self.receiver(conn);
        self.cork.spill(sent, received, receiver, &mut outbox, &mut self.pool);
        if let Some(socket) = self.slots.get_mut(conn) {
            socket.outbox = Some(outbox);
        }
        if blocked {
            self.note_blocked(conn);
        } else {
            self.flush(conn, io);
        }
    }

    /// Ends the corking of the current connection; whether that was paused meanwhile.
    pub(crate) fn uncork(&mut self) -> bool {
        debug_assert!(self.cork.is_empty());
        let halted = self.is_halted();
        self.slots.forget();
        self.current = None;
        halted
    }

    /// Sends what is queued for a connection, until it is empty or the stream takes no more.
    pub(crate) fn flush(&mut self, conn: Key, io: &mut dyn Transmit) {
        loop {
            let Some(socket) = self.slots.get_mut(conn).filter(|socket| !socket.blocked) else {
                return;
            };
            let Some(outbox) = &mut socket.outbox else {
                return;
            };
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let (count, offered) = outbox.slices(&mut slices);
            let sent = match io.transmit(conn.index(), &slices[..count]) {
                Ok(sent) => sent,
                Err(error) => return self.fail(conn, error),
            };
            outbox.consume(sent, &mut self.pool, self.now);
            if sent > 0 && outbox.progress.is_some() {
                // It had to wait for the peer, which has read: that shows that it lives, though our
                // ping waits behind all this, or its pong lies unread.
                socket.protocol.note_life(self.now);
            }
            if sent < offered {
                return self.note_blocked(conn);
            }
            if outbox.is_empty() {
                return self.note_empty(conn, io);
            }
        }
    }

    /// Flushes those that others' handlers wrote to.
    #[inline]
    pub(crate) fn flush_dirty(&mut self, io: &mut dyn Transmit) {
        if !self.dirty.is_empty() {
            self.flush_all_dirty(io);
        }
    }

    #[inline(never)]
    fn flush_all_dirty(&mut self, io: &mut dyn Transmit) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for conn in dirty.drain(..) {
            if let Some(socket) = self.slots.get_mut(conn) {
                socket.dirty = false;
                self.flush(conn, io);
            }
        }
        self.dirty = dirty;
    }

    /// The stream may take more.
    pub(crate) fn unblock(&mut self, conn: Key, io: &mut dyn Transmit) {
        if let Some(socket) = self.slots.get_mut(conn).filter(|socket| socket.blocked) {
            socket.blocked = false;
            self.flush(conn, io);
        }
    }

    pub(super) fn note_blocked(&mut self, conn: Key) {
        let Some(socket) = self.slots.get_mut(conn) else {
            return;
        };
        socket.blocked = true;
        if let Some(outbox) = &mut socket.outbox {
            outbox.progress.get_or_insert(self.now);
        }
        self.resume_if_unread(conn);
        self.note_level(conn);
    }

    /// What waits for a peer that takes nothing has changed: from the soft limit on, the peer must
    /// make progress.
    pub(super) fn note_level(&mut self, conn: Key) {
        let (soft, now) = (self.limits.soft, self.now);
        if let Some(outbox) = self.slots.get_mut(conn).and_then(|socket| socket.outbox.as_mut()) {
            outbox.note_level(soft, now);
        }
        self.arm(conn);
    }

    pub(super) fn note_empty(&mut self, conn: Key, io: &mut dyn Transmit) {
        let Some(socket) = self.slots.get_mut(conn) else {
            return;
        };
        if let Some(outbox) = socket.outbox.take() {
            if outbox.progress.is_some() && socket.protocol.is_open() && socket.opened {
                self.drained.push_back(conn);
            }
            self.pool.give(outbox);
        }
        let state = socket.protocol.state();
        if state == State::Closed {
            self.ended.push(conn);
        }
        // Having read, the peer may be due for its next ping sooner than for its last pong.
        self.arm(conn);
        self.resume_if_unread(conn);
        if matches!(state, State::Connecting | State::Closed) {
            let is_flushed = io.is_flushed(conn.index());
            self.note_standing(conn, is_flushed);
        }
    }

    pub(crate) fn next_drained(&mut self) -> Option<Key> {
        self.drained.pop_front()
    }
}
