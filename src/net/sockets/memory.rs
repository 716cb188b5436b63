//! What all connections hold together, and which are closed when that is too much.
//!
//! What counts is the memory that is held: storage with its spare room, and what several
//! connections share once. When it is more than it may be, a connection is closed for the others
//! only if it costs without progress, and only as long as that helps:
//!
//! 1. one that is ending already,
//! 2. one whose peer has taken nothing since its output had to wait, or whose message does not
//!    grow, the longest first,
//! 3. one whose peer has taken nothing for a second.
//!
//! One that holds no more than its share, the limit divided by the number of connections that
//! there may be, is left alone: if all did, the limit would hold. Where none of these is left, a
//! connection that asks for more than its share is closed itself.

use std::time::Duration;

use super::Sockets;
use crate::net::aside::End;
use crate::net::disconnect::{Disconnect, MemoryLimit};
use crate::net::holders::{Activity, Rank};
use crate::net::socket::Socket;
use crate::net::streams::Transmit;
use crate::proto::{CloseCode, State};
use crate::slots::Key;
use crate::time::Time;

/// What is closed for one limit makes room for a sixteenth of it, so that those who come next find
/// some.
const ROOM: usize = 16;

/// A peer that has taken something after it had to wait reads, for as long as this after it did.
const READS: Duration = Duration::from_secs(1);

/// The rest of a frame that a peer may still read ahead of its close frame, though memory is
/// short.
const REST: usize = 64 * 1024;

impl Sockets {
    /// Bytes of memory that all connections hold: storage of unfinished messages and of what is
    /// left over of paused input, or of what waits in outboxes.
    pub(crate) const fn held(&self, kind: MemoryLimit) -> usize {
        match kind {
            MemoryLimit::Inbound => self.inbound,
            MemoryLimit::Outbound => self.pool.held(),
        }
    }

    const fn cap(&self, kind: MemoryLimit) -> usize {
        match kind {
            MemoryLimit::Inbound => self.caps.inbound,
            MemoryLimit::Outbound => self.caps.outbound,
        }
    }

    /// What a connection may hold whatever the others do.
    const fn fair_share(&self, kind: MemoryLimit) -> usize {
        self.cap(kind) / self.caps.connections
    }

    /// Whether the totals are what the connections hold: looks at every one.
    pub(crate) fn totals_are_right(&self) -> bool {
        let (mut inbound, mut queued, mut held) = (0, 0, 0);
        for (_, socket) in self.slots.iter() {
            inbound += socket.inbound();
            queued += socket.queued();
            held += socket.outbox.as_ref().map_or(0, |outbox| outbox.held());
        }
        (inbound, queued) == (self.inbound, self.pool.queued()) && held == self.pool.held_apart()
    }

    /// Counts what the connection holds of its input, after that may have changed.
    pub(crate) fn count_inbound(&mut self, conn: Key) {
        let share = self.fair_share(MemoryLimit::Inbound);
        if let Some(socket) = self.slots.get_mut(conn) {
            let held = socket.inbound();
            if held == 0 && socket.inbound_counted == 0 {
                return;
            }
            self.inbound = self.inbound - socket.inbound_counted + held;
            socket.inbound_counted = held;
            let rank = (held > share).then(|| Rank::new(Activity::Idle, self.now, held));
            self.input_holders.set(conn, rank);
        }
    }

    /// Notes how the connection stands among those with output that waits, after that may have
    /// changed.
    pub(super) fn rank_output(&mut self, conn: Key) {
        let share = self.fair_share(MemoryLimit::Outbound);
        let rank = self.slots.get(conn).and_then(|socket| output_rank(socket, share));
        self.output_holders.set(conn, rank);
    }

    /// Forgets a connection that is gone.
    pub(super) fn forget_holder(&mut self, conn: Key) {
        self.input_holders.set(conn, None);
        self.output_holders.set(conn, None);
    }

    /// Closes connections if the input of all together holds more than it may.
    #[inline]
    pub(crate) fn relieve_input(&mut self) {
        if self.inbound > self.caps.inbound {
            self.shed_input();
        }
    }

    #[cold]
    fn shed_input(&mut self) {
        let goal = self.caps.inbound - self.caps.inbound / ROOM;
        while self.inbound > goal {
            let Some((_, conn)) = self.input_holders.first() else {
                return;
            };
            self.give_up_input(conn);
            // Whatever it holds yet cannot be taken from it.
            self.input_holders.set(conn, None);
        }
    }

    /// Closes connections if the output that waits for all together holds more than it may, after
    /// some was appended for `conn`. Whether that is none of them.
    #[inline]
    pub(crate) fn relieve_output(&mut self, conn: Key) -> bool {
        !self.is_short_of_memory() || self.shed_output(conn, 0)
    }

    /// Whether `len` more bytes may wait for a connection, after room was made for them.
    #[inline]
    pub(super) fn has_room(&mut self, conn: Key, len: usize, io: &mut dyn Transmit) -> bool {
        self.pool.held() + len <= self.caps.outbound
            // What is corked may leave at once.
            || self.is_corked(conn)
            || self.make_room(conn, len, io)
    }

    #[cold]
    fn make_room(&mut self, conn: Key, len: usize, io: &mut dyn Transmit) -> bool {
        // Whatever needs not wait leaves first.
        self.flush_dirty(io);
        self.shed_output(conn, len)
    }

    /// Whether so much is held that what is appended has to leave at once.
    pub(super) const fn is_short_of_memory(&self) -> bool {
        self.pool.held() > self.caps.outbound
    }

    /// Makes room for `wanted` bytes more that are to wait for `conn`; whether that is not closed
    /// for it. It is if there is no room, and it has more than its share.
    #[cold]
    fn shed_output(&mut self, conn: Key, wanted: usize) -> bool {
        let cap = self.caps.outbound;
        let goal = (cap - cap / ROOM).saturating_sub(wanted);
        if self.slots.get(conn).is_none_or(Socket::is_being_made) {
            return true;
        }
        let mut is_closed = self.cost(conn) + wanted > cap;
        let mut closed = Vec::new();
        while !is_closed && self.pool.held() > goal {
            let first = self.output_holders.first();
            let Some((_, holder)) = first.filter(|(rank, _)| rank.may_be_closed(self.now)) else {
                is_closed = self.pool.held() + wanted > cap && self.asks_too_much(conn, wanted);
                break;
            };
            is_closed = holder == conn;
            if !is_closed {
                self.give_up_output(holder);
                // That it is ending does not make it the first to be cut for the same bytes.
                self.output_holders.set(holder, None);
                closed.push(holder);
            }
        }
        if is_closed {
            self.give_up_output(conn);
        }
        closed.into_iter().for_each(|holder| self.rank_output(holder));
        !is_closed
    }

    /// Whether output waits for a connection that is more than its share, with so much more.
    fn asks_too_much(&self, conn: Key, wanted: usize) -> bool {
        self.slots.get(conn).is_some_and(|socket| socket.blocked)
            && self.cost(conn) + wanted > self.fair_share(MemoryLimit::Outbound)
    }

    fn cost(&self, conn: Key) -> usize {
        let outbox = self.slots.get(conn).and_then(|socket| socket.outbox.as_ref());
        outbox.map_or(0, |outbox| outbox.cost())
    }

    /// Closes a connection and forgets its input, that which is still to come included.
    fn give_up_input(&mut self, conn: Key) {
        if self.slots.get(conn).is_none_or(|socket| socket.protocol.state() == State::Closed) {
            return;
        }
        let code = CloseCode::TRY_AGAIN_LATER;
        self.answer(conn, |protocol, work| protocol.close_immediately(code, work), |()| false);
        if let Some(leftover) = self.slots.get_mut(conn).and_then(Socket::take_leftover) {
            self.pool.buffers.give(leftover.storage);
        }
        self.unpause(conn);
        self.end(conn, End::Disconnect(Disconnect::MemoryPressure(MemoryLimit::Inbound)));
    }

    /// Closes a connection and forgets its output, answers to requests included. One that is
    /// ending already is cut, and so is one where the rest of a long frame is in the way of the
    /// close frame.
    fn give_up_output(&mut self, conn: Key) {
        let outbox = self.slots.get(conn).and_then(|socket| socket.outbox.as_ref());
        let is_ending = !self.is_open(conn) && !outbox.is_some_and(|outbox| outbox.is_plain());
        if !is_ending {
            self.overflow(conn, Disconnect::MemoryPressure(MemoryLimit::Outbound));
        }
        if is_ending || self.slots.get(conn).is_some_and(|socket| socket.queued() > REST) {
            self.cut_output(conn);
        }
        self.rank_output(conn);
    }

    /// Cuts a connection with all that waits for it.
    #[cold]
    pub(super) fn cut_output(&mut self, conn: Key) {
        if let Some(outbox) = self.slots.get_mut(conn).and_then(Socket::take_outbox) {
            self.pool.give(outbox);
            self.kill(conn);
        }
        self.rank_output(conn);
    }
}

impl Rank {
    /// Whether the connection may be closed for others.
    fn may_be_closed(self, now: Time) -> bool {
        let reads = now.as_nanos().saturating_sub(READS.as_nanos() as u64);
        self.activity() != Activity::Reading || self.is_before(Time::from_nanos(reads))
    }
}

/// How a connection stands among those with output that waits, if it holds more than its share. One
/// that is being made has no more than its request.
fn output_rank(socket: &Socket, share: usize) -> Option<Rank> {
    let waits = socket.blocked && !socket.is_being_made();
    let outbox = socket.outbox.as_ref().filter(|_| waits)?;
    let (progress, cost) = (outbox.progress.unwrap_or(Time::BEGINNING), outbox.cost());
    let activity = match socket.protocol.state() {
        State::Closing | State::Closed => Activity::Ending,
        State::Connecting | State::Open if outbox.is_read() => Activity::Reading,
        State::Connecting | State::Open => Activity::Idle,
    };
    (activity == Activity::Ending || cost > share).then(|| Rank::new(activity, progress, cost))
}
