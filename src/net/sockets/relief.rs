//! Closing of connections when all together hold too much memory.
//!
//! All memory that is held counts: storage including its spare capacity, and what several
//! connections share once. Above the limit, connections are closed for the others only if they hold
//! memory without progress, and only as long as that helps:
//!
//! 1. one that is ending already,
//! 2. one whose peer has taken nothing since its output had to wait, or whose message does not
//!    grow, the longest first,
//! 3. one whose peer has taken nothing for a second.
//!
//! One that holds no more than its share, the limit divided by the greatest number of connections,
//! is left alone: if all did, the limit would hold. Where none of these is left, a connection that
//! asks for more than its share is closed itself.

use super::Sockets;
use super::limited_input::LimitedInput;
use super::output::Output;
use super::registry::Registry;
use crate::net::disconnect::{Disconnect, MemoryLimit};
use crate::net::outbox::Outbox;
use crate::net::rare_state::End;
use crate::net::socket::Socket;
use crate::proto::{CloseCode, State};
use crate::slots::Key;

/// Closing for a limit frees a sixteenth of it, so that those who come next find some.
const FREED_FRACTION: usize = 16;

/// The rest of a frame that a peer may still read ahead of its close frame, though memory is
/// short.
const FRAME_REST_BYTES_MAX: usize = 64 * 1024;

impl Sockets {
    /// Bytes of memory that all connections hold: storage of unfinished messages and of input that
    /// is not handled, or of what waits in outboxes.
    pub(crate) const fn memory(&self, kind: MemoryLimit) -> usize {
        match kind {
            MemoryLimit::Inbound => self.registry.memory.inbound(),
            MemoryLimit::Outbound => self.output.storage.memory(),
        }
    }

    /// Whether the totals are what the connections hold: looks at every one.
    pub(crate) fn totals_are_right(&self) -> bool {
        let (mut inbound, mut queued, mut own_memory) = (0, 0, 0);
        for (_, socket) in self.registry.table.iter() {
            inbound += socket.inbound();
            queued += socket.queued();
            own_memory += socket.outbox.as_ref().map_or(0, |outbox| outbox.memory());
        }
        let storage = &self.output.storage;
        (inbound, queued) == (self.registry.memory.inbound(), storage.queued())
            && own_memory == storage.own_memory()
    }

    /// Frees memory.
    #[inline]
    pub(crate) fn relief(&mut self) -> Relief<'_> {
        Relief { registry: &mut self.registry, output: &mut self.output }
    }
}

/// Frees memory, at the cost of connections.
pub(crate) struct Relief<'a> {
    registry: &'a mut Registry,
    output: &'a mut Output,
}

impl Relief<'_> {
    /// Closes connections if the input of all together holds more than it may.
    #[inline]
    pub(crate) fn relieve_input(&mut self) {
        let memory = &self.registry.memory;
        if memory.inbound() > memory.cap(MemoryLimit::Inbound) {
            self.shed_input();
        }
    }

    #[cold]
    fn shed_input(&mut self) {
        let cap = self.registry.memory.cap(MemoryLimit::Inbound);
        let goal = cap - cap / FREED_FRACTION;
        while self.registry.memory.inbound() > goal {
            let Some(conn) = self.registry.memory.first_input_holder() else {
                return;
            };
            self.give_up_input(conn);
            // What it still holds cannot be taken from it.
            self.registry.memory.pass_over_input(conn);
        }
    }

    /// Closes connections if the output that waits for all together holds more than it may, after
    /// some was appended for `conn`. Whether `conn` is none of them.
    #[inline]
    pub(crate) fn relieve_output(&mut self, conn: Key) -> bool {
        self.has_memory(0) || self.shed_output(conn, 0)
    }

    /// Whether `len` more bytes of output may be held.
    #[inline]
    pub(super) const fn has_memory(&self, len: usize) -> bool {
        self.output.storage.memory() + len <= self.registry.memory.cap(MemoryLimit::Outbound)
    }

    /// Frees memory for `wanted` bytes more that are to wait for `conn`; whether that is not closed
    /// for it. It is if there is too little, and it has more than its share.
    #[cold]
    pub(super) fn shed_output(&mut self, conn: Key, wanted: usize) -> bool {
        let cap = self.registry.memory.cap(MemoryLimit::Outbound);
        let goal = (cap - cap / FREED_FRACTION).saturating_sub(wanted);
        if self.registry.table.get(conn).is_none_or(Socket::is_being_made) {
            return true;
        }
        let mut is_closed = self.cost(conn) + wanted > cap;
        let mut closed = Vec::new();
        while !is_closed && self.output.storage.memory() > goal {
            let Some(holder) = self.registry.memory.first_output_holder(self.registry.now) else {
                is_closed = !self.has_memory(wanted) && self.asks_too_much(conn, wanted);
                break;
            };
            is_closed = holder == conn;
            if !is_closed {
                self.give_up_output(holder);
                // That it is ending does not make it the first to be cut for the same bytes.
                self.registry.memory.pass_over_output(holder);
                closed.push(holder);
            }
        }
        if is_closed {
            self.give_up_output(conn);
        }
        closed.into_iter().for_each(|holder| self.registry.rank_output(holder));
        !is_closed
    }

    /// Whether more than its share waits for a connection, with `wanted` bytes more.
    fn asks_too_much(&self, conn: Key, wanted: usize) -> bool {
        self.registry.table.get(conn).is_some_and(|socket| socket.blocked)
            && self.cost(conn) + wanted > self.registry.memory.fair_share(MemoryLimit::Outbound)
    }

    fn cost(&self, conn: Key) -> usize {
        self.registry.table.outbox(conn).map_or(0, Outbox::cost)
    }

    /// Closes a connection and drops its input, that which is still to come included.
    fn give_up_input(&mut self, conn: Key) {
        if self
            .registry
            .table
            .get(conn)
            .is_none_or(|socket| socket.protocol.state() == State::Closed)
        {
            return;
        }
        let Self { registry, output } = self;
        // What has come of a response that refused says why there is no connection.
        let refusal = output
            .write_frames(registry, conn, |socket, work| socket.handshake().truncate_refusal(work));
        if let Some(Some(error)) = refusal {
            registry.end_by_peer_error(conn, error);
            return;
        }
        let code = CloseCode::TRY_AGAIN_LATER;
        output.write(registry, conn, |protocol, work| protocol.close_immediately(code, work));
        let leftover = registry.table.get_mut(conn).and_then(|socket| socket.rare.take_leftover());
        if let Some(leftover) = leftover {
            output.storage.buffers.give(leftover.storage);
        }
        LimitedInput::new(registry, conn).end_pauses();
        let reason = Disconnect::MemoryPressure(MemoryLimit::Inbound);
        registry.end(conn, End::Disconnect(reason));
    }

    /// Closes a connection and drops its output, HTTP responses included. One that is ending
    /// already is cut, and so is one where the rest of a long frame is in the way of the close
    /// frame.
    fn give_up_output(&mut self, conn: Key) {
        let Self { registry, output } = self;
        let is_http = registry.table.outbox(conn).is_some_and(Outbox::begins_with_http);
        let is_ending = !registry.table.is_open(conn) && !is_http;
        if !is_ending {
            let reason = Disconnect::MemoryPressure(MemoryLimit::Outbound);
            output.overflow(registry, conn, reason);
        }
        let queued = self.registry.table.get(conn).map_or(0, Socket::queued);
        if is_ending || queued > FRAME_REST_BYTES_MAX {
            self.cut_output(conn);
        }
        self.registry.rank_output(conn);
    }

    /// Cuts a connection with all that waits for it.
    #[cold]
    pub(super) fn cut_output(&mut self, conn: Key) {
        if let Some(outbox) = self.registry.table.get_mut(conn).and_then(Socket::take_outbox) {
            self.output.give_back(outbox);
            self.registry.kill(conn);
        }
        self.registry.rank_output(conn);
    }

    /// Whether all that waits for the connection is the rest of one frame that was begun.
    #[cold]
    pub(super) fn has_only_begun(&self, conn: Key) -> bool {
        let table = &self.registry.table;
        let outbox = table.outbox(conn);
        outbox.is_some_and(|outbox| outbox.is_all_begun(table.framing(conn), &self.output.storage))
    }
}
