//! What all connections hold together, and who is closed when that is too much.

use super::Sockets;
use crate::net::aside::End;
use crate::net::disconnect::{Disconnect, MemoryLimit};
use crate::net::socket::Socket;
use crate::proto::{CloseCode, State};
use crate::slots::Key;

/// What is closed for one limit makes room for a sixteenth of it, so that the search for those
/// who hold most is not made again at once.
const ROOM: usize = 16;

/// The rest of a frame that a peer may still read ahead of its close frame, though memory is
/// short.
const REST: usize = 64 * 1024;

impl Sockets {
    /// Bytes that all connections hold: storage of unfinished messages and of what is left over
    /// of paused input, or what waits in outboxes.
    pub(crate) const fn held(&self, kind: MemoryLimit) -> usize {
        match kind {
            MemoryLimit::Inbound => self.inbound,
            MemoryLimit::Outbound => self.pool.queued(),
        }
    }

    const fn cap(&self, kind: MemoryLimit) -> usize {
        match kind {
            MemoryLimit::Inbound => self.caps.inbound,
            MemoryLimit::Outbound => self.caps.outbound,
        }
    }

    /// Whether the totals are what the connections hold: looks at every one.
    pub(crate) fn totals_are_right(&self) -> bool {
        let mut totals = (0, 0);
        for (_, socket) in self.slots.iter() {
            totals = (totals.0 + socket.inbound(), totals.1 + socket.queued());
        }
        totals == (self.inbound, self.pool.queued())
    }

    /// Counts what the connection holds of its input, after that may have changed.
    pub(crate) fn count_inbound(&mut self, conn: Key) {
        if let Some(socket) = self.slots.get_mut(conn) {
            let held = socket.inbound();
            self.inbound = self.inbound - socket.inbound_counted + held;
            socket.inbound_counted = held;
        }
    }

    /// Closes those who hold most, if all together hold more than they may.
    #[inline]
    pub(crate) fn relieve(&mut self, kind: MemoryLimit) {
        if self.held(kind) > self.cap(kind) {
            self.shed(kind, None);
        }
    }

    /// Whether `len` more bytes may wait for a connection, after those were closed who hold most.
    /// If it is one of them itself, they may not.
    #[inline]
    pub(super) fn has_room(&mut self, conn: Key, len: usize) -> bool {
        self.held(MemoryLimit::Outbound) + len <= self.caps.outbound
            // What is corked may leave at once.
            || self.is_corked(conn)
            || self.make_room(conn, len)
    }

    #[cold]
    fn make_room(&mut self, conn: Key, len: usize) -> bool {
        self.shed(MemoryLimit::Outbound, Some((conn, len)));
        self.is_open(conn)
    }

    /// Closes those who hold most. `wanted` counts as if it were held already.
    #[cold]
    fn shed(&mut self, kind: MemoryLimit, mut wanted: Option<(Key, usize)>) {
        let cap = self.cap(kind);
        let goal = cap - cap / ROOM;
        let holds = |conn: Key, socket: &Socket| match kind {
            MemoryLimit::Inbound => socket.inbound(),
            MemoryLimit::Outbound => {
                socket.queued() + wanted.map_or(0, |(by, len)| if by == conn { len } else { 0 })
            }
        };
        let sockets = self.slots.iter();
        let mut holders: Vec<_> =
            sockets.map(|(conn, socket)| (holds(conn, socket), conn)).collect();
        holders.sort_unstable_by(|one, other| other.cmp(one));
        for (held, conn) in holders {
            if held == 0 || self.held(kind) + wanted.map_or(0, |(_, len)| len) <= goal {
                return;
            }
            match kind {
                MemoryLimit::Inbound => self.give_up_input(conn),
                MemoryLimit::Outbound => self.give_up_output(conn),
            }
            wanted = wanted.filter(|(by, _)| *by != conn);
        }
    }

    /// Closes a connection and forgets its input, that which is still to come included.
    fn give_up_input(&mut self, conn: Key) {
        if self.slots.get(conn).is_none_or(|socket| socket.protocol.state() == State::Closed) {
            return;
        }
        let code = CloseCode::TRY_AGAIN_LATER;
        self.answer(conn, |protocol, work| protocol.abort(code, work), |()| false);
        if let Some(leftover) = self.slots.get_mut(conn).and_then(Socket::take_leftover) {
            self.pool.buffers.give(leftover.storage);
        }
        self.unpause(conn);
        self.end(conn, End::Disconnect(Disconnect::MemoryPressure(MemoryLimit::Inbound)));
    }

    /// Closes a connection and forgets its output, answers to requests included. Where the rest of
    /// a long frame is in the way of the close frame, the stream is cut instead.
    fn give_up_output(&mut self, conn: Key) {
        let outbox = self.slots.get(conn).and_then(|socket| socket.outbox.as_ref());
        if self.is_open(conn) || outbox.is_some_and(|outbox| outbox.is_plain()) {
            self.overflow(conn, Disconnect::MemoryPressure(MemoryLimit::Outbound));
        }
        let socket = self.slots.get_mut(conn).filter(|socket| socket.queued() > REST);
        if let Some(outbox) = socket.and_then(Socket::take_outbox) {
            self.pool.give(outbox);
            self.kill(conn);
        }
    }
}
