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
            let (count, offered) = outbox.slices(&mut slices, &self.pool);
            let sent = match io.transmit(conn.index(), &slices[..count]) {
                Ok(sent) => sent,
                Err(error) => return self.fail(conn, error),
            };
            outbox.consume(sent, &mut self.pool, self.now);
            if sent > 0 && outbox.progress.is_some() {
                // It had to wait for the peer, which has read: that shows that it lives, though our
                // ping waits behind all this, or its pong lies unread.
                socket.protocol.note_progress(self.now);
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
        let receiver = self.receiver(conn);
        let Some(socket) = self.slots.get_mut(conn) else {
            return;
        };
        socket.blocked = true;
        if let Some(outbox) = &mut socket.outbox {
            outbox.progress.get_or_insert(self.now);
            outbox.trim(receiver, &mut self.pool);
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
        self.rank_output(conn);
        self.arm(conn);
    }

    pub(super) fn note_empty(&mut self, conn: Key, io: &mut dyn Transmit) {
        let Some(socket) = self.slots.get_mut(conn) else {
            return;
        };
        if let Some(outbox) = socket.outbox.take() {
            let is_told = outbox.progress.is_some() && socket.protocol.is_open() && socket.opened;
            if is_told && !socket.drained {
                socket.drained = true;
                self.drained.push_back(conn);
            }
            self.pool.give(outbox);
            self.output_holders.set(conn, None);
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
        let conn = self.drained.pop_front()?;
        if let Some(socket) = self.slots.get_mut(conn) {
            socket.drained = false;
        }
        Some(conn)
    }

    pub(crate) fn drained_len(&self) -> usize {
        self.drained.len()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::net::peer::PeerAddr;
    use crate::net::places::PlaceLimits;
    use crate::net::socket::{MemoryCaps, OutboxLimits, Socket, SocketLimits};
    use crate::proto::{Limits, MaskKeys, Role, WebSocket};
    use crate::time::Time;

    /// A stream that takes so many bytes more.
    struct Narrow(usize);

    impl Transmit for Narrow {
        fn transmit(&mut self, _: usize, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let sent = slices.iter().map(|slice| slice.len()).sum::<usize>().min(self.0);
            self.0 -= sent;
            Ok(sent)
        }

        fn is_flushed(&mut self, _: usize) -> bool {
            true
        }

        fn limit_unsent(&mut self, _: usize, _: Option<u32>) {}

        fn now(&mut self) -> Time {
            Time::BEGINNING
        }

        fn beginning(&self) -> Instant {
            Instant::now()
        }
    }

    fn sockets() -> (Sockets, Key) {
        let outbox = OutboxLimits { soft: 1000, hard: 2000, stall: Duration::from_secs(1) };
        let memory = MemoryCaps { inbound: 10_000, outbound: 10_000, connections: 1 };
        let places = PlaceLimits { asking: 1, idle: 1 };
        let limits = SocketLimits { outbox, memory, places };
        let keys = MaskKeys::new(|bytes: &mut [u8]| bytes.fill(7));
        let mut sockets = Sockets::new(1, keys, Time::BEGINNING, limits);
        let limits = Arc::new(Limits::default());
        let protocol = WebSocket::opened(Role::Server, limits, Time::BEGINNING);
        let conn = sockets.insert(Socket::accepted(protocol, 0, PeerAddr::None));
        sockets.slots.get_mut(conn).expect("it is there").opened = true;
        (sockets, conn)
    }

    #[test]
    fn a_connection_is_in_the_drained_queue_once_however_often_its_outbox_empties() {
        let (mut sockets, conn) = sockets();
        let wait_and_drain = |sockets: &mut Sockets| {
            sockets.ping(conn, b"ping", &mut Narrow(0));
            sockets.flush_dirty(&mut Narrow(0));
            sockets.unblock(conn, &mut Narrow(1000));
        };
        for _ in 0..2 {
            (0..5).for_each(|_| wait_and_drain(&mut sockets));
            assert_eq!(sockets.drained_len(), 1);
            assert_eq!(sockets.next_drained(), Some(conn));
            assert_eq!(sockets.next_drained(), None);
        }
        // One that is gone was not told, and its slot's next connection is another.
        wait_and_drain(&mut sockets);
        sockets.remove(conn);
        assert_eq!((sockets.next_drained(), sockets.drained_len()), (Some(conn), 0));
    }
}
