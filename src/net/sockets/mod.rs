//! All connections of a loop, and what can be done with them.
//!
//! ```text
//!   Sender      sends and flushes: what needs the streams
//!     │
//!   Sockets     handles input, ends connections, frees memory
//!     ├──► Output      cork, outboxes, compression: what is written and not sent
//!     │      │
//!     └──► Registry ◄┘ the connections' state
//!            ├── Table      slots, and the mark of the fast path
//!            ├── Input      what is being handled, and how much of it may be
//!            ├── Deadlines
//!            ├── Memory     who holds how much
//!            └── Places     who makes room for newcomers
//! ```
//!
//! Each knows only those below it.

mod compression;
mod deadlines;
mod deliver;
mod ending;
mod flush;
mod handling;
mod handshakes;
mod input;
mod limited_input;
mod memory;
mod output;
mod reading;
mod registry;
mod relief;
mod responding;
mod sender;
mod streaming;
mod table;
mod unframed;
mod unsent;
mod work_queue;

use self::output::Output;
use self::registry::Registry;
use super::limits::SocketLimits;
use super::rare_state::Leftover;
use super::socket::Socket;
use crate::proto::{BufferPool, MaskKeys, Payload};
use crate::slots::Key;
use crate::time::Time;

pub(crate) use self::handling::CORK_BYTES_MAX;
pub(crate) use self::limited_input::LimitedInput;
pub(crate) use self::responding::Streaming;
pub(crate) use self::sender::Sender;
pub(crate) use self::streaming::NextInput;
pub(crate) use self::table::{Kept, Whole};
pub(crate) use super::cork::{Lent, REUSE_BYTES_MIN};

/// All connections of a loop.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) registry: Registry,
    pub(crate) output: Output,
}

impl Sockets {
    /// Bytes for each connection, its entry in the wheel of deadlines included.
    pub(crate) const SIZE: usize = table::Table::SIZE + size_of::<Key>();

    /// Capacity for `capacity` connections, so that no growth of their number makes the loop move
    /// them all. Untouched memory costs nothing.
    pub(crate) fn new(
        capacity: usize,
        mask_keys: MaskKeys,
        now: Time,
        limits: SocketLimits,
    ) -> Self {
        Self { registry: Registry::new(capacity, now, limits), output: Output::new(mask_keys) }
    }

    pub(crate) fn len(&self) -> usize {
        self.registry.table.len()
    }

    pub(crate) fn ids(&self) -> Vec<Key> {
        self.registry.table.iter().map(|(conn, _)| conn).collect()
    }

    #[inline]
    pub(crate) fn get(&self, conn: Key) -> Option<&Socket> {
        self.registry.table.get(conn)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, conn: Key) -> Option<&mut Socket> {
        self.registry.table.get_mut(conn)
    }

    pub(crate) fn is_open(&self, conn: Key) -> bool {
        self.registry.table.is_open(conn)
    }

    /// The time of the turn.
    #[inline]
    pub(crate) const fn now(&self) -> Time {
        self.registry.now
    }

    pub(crate) const fn set_now(&mut self, now: Time) {
        self.registry.now = now;
    }

    pub(crate) fn remove(&mut self, conn: Key) -> Option<Socket> {
        let mut socket = self.registry.remove(conn)?;
        if let Some(outbox) = socket.outbox.take() {
            self.output.give_back(outbox);
        }
        if let Some(leftover) = socket.rare.take_leftover() {
            self.output.storage.buffers.give(leftover.storage);
        }
        Some(socket)
    }

    /// Whether something is left to do that no readiness will bring up.
    pub(crate) fn has_work(&self) -> bool {
        self.registry.resumed_len() > 0
            || self.output.has_dirty()
            || self.registry.reapable_len() > 0
            || self.output.has_drained()
    }

    /// The connection, with the storage that it may take for a message.
    pub(crate) fn with_buffers(&mut self, conn: Key) -> Option<(&mut Socket, &mut BufferPool)> {
        Some((self.registry.table.get_mut(conn)?, &mut self.output.storage.buffers))
    }

    /// Corks a short message for the connection that it replies to, as most are; `false` if it is
    /// none of those.
    #[inline]
    pub(crate) fn try_cork(&mut self, conn: Key, payload: Payload<'_>) -> bool {
        self.output.try_cork(&self.registry.table, conn, payload)
    }

    /// Bytes that wait to be sent to the connection.
    pub(crate) fn buffered_bytes(&self, conn: Key) -> usize {
        let is_corked = self.registry.is_corked(conn);
        let corked = if is_corked { self.output.corked_bytes() } else { 0 };
        corked + self.get(conn).map_or(0, Socket::queued)
    }

    /// Bytes that wait to be sent to all connections.
    pub(crate) fn buffered_total(&self) -> usize {
        self.output.corked_bytes() + self.output.storage.queued()
    }

    /// Keeps what was received behind the message at which reading stopped.
    pub(crate) fn keep_leftover(&mut self, conn: Key, bytes: &[u8]) {
        if let Some(socket) = self.registry.table.get_mut(conn) {
            let storage = self.output.storage.buffers.copy(bytes);
            socket.rare.set_leftover(Leftover { storage, range: 0..bytes.len() });
        }
    }

    /// Keeps what is still left over, or takes its storage back.
    pub(crate) fn return_leftover(&mut self, conn: Key, leftover: Leftover) {
        match self.registry.table.get_mut(conn) {
            Some(socket) if !leftover.range.is_empty() => socket.rare.set_leftover(leftover),
            _ => self.output.storage.buffers.give(leftover.storage),
        }
    }

    /// The next connection whose outbox emptied after it had waited for the peer.
    pub(crate) fn next_drained(&mut self) -> Option<Key> {
        self.output.drained.pop(&mut self.registry.table)
    }
}
