//! The state of all connections, and what is kept about them beside it.

use std::io;

use super::deadlines::Deadlines;
use super::input::Input;
use super::memory::Memory;
use super::table::Table;
use super::work_queue::WorkQueue;
use crate::net::disconnect::{ConnectError, Disconnect};
use crate::net::halves::Halves;
use crate::net::limits::{OutboxLimits, SocketLimits};
use crate::net::lists::Lists;
use crate::net::places::{Places, Standing};
use crate::net::rare_state::End;
use crate::net::reading::{ReadDebt, ReadPermission, Replies};
use crate::net::socket::Socket;
use crate::proto::PeerError;
use crate::slots::Key;
use crate::time::Time;
use crate::topics::SendCapacity;

/// All connections, with their deadlines, places and memory, and the lists of those with pending
/// work. Their output is apart: see [`Output`](super::output::Output).
#[derive(Debug)]
pub(crate) struct Registry {
    pub(super) table: Table,
    pub(crate) input: Input,
    pub(crate) deadlines: Deadlines,
    pub(super) memory: Memory,
    pub(crate) places: Places,
    pub(super) limits: OutboxLimits,
    pub(super) now: Time,
    /// Connections that have ended, to be reaped at the turn's end: their handlers are called,
    /// their streams closed and their slots freed as far as possible. May name one twice, or one
    /// that is gone.
    reapable: Vec<Key>,
    /// Connections to be read from though no readiness says so.
    to_read: WorkQueue,
}

impl Registry {
    pub(super) fn new(capacity: usize, now: Time, limits: SocketLimits) -> Self {
        Self {
            table: Table::with_capacity(capacity),
            input: Input::new(),
            deadlines: Deadlines::new(now),
            memory: Memory::new(limits.memory),
            places: Places::new(limits.places),
            limits: limits.outbox,
            now,
            reapable: Vec::new(),
            to_read: WorkQueue::new(Lists::TO_READ),
        }
    }

    pub(crate) fn insert(&mut self, socket: Socket) -> Key {
        let conn = self.table.insert(socket);
        self.note_standing(conn, true);
        self.arm(conn);
        conn
    }

    pub(super) fn remove(&mut self, conn: Key) -> Option<Socket> {
        self.stand(conn, Standing::Gone);
        let socket = self.table.remove(conn)?;
        self.memory.remove(conn, &socket);
        Some(socket)
    }

    /// Whether the connection's output is corked: its input is being handled, and it has no outbox.
    #[inline]
    pub(super) fn is_corked(&self, conn: Key) -> bool {
        self.input.conn() == conn
            && self.table.get(conn).is_some_and(|socket| socket.outbox.is_none())
    }

    // How connections end.

    /// What the peer did wrong has been replied to; ends the connection.
    pub(crate) fn end_by_peer_error(&mut self, conn: Key, error: PeerError) {
        self.end(
            conn,
            match error {
                PeerError::Handshake(error) => End::Connect(ConnectError::Handshake(error)),
                PeerError::Protocol(error) => End::Disconnect(Disconnect::Protocol(error)),
            },
        );
    }

    /// The stream failed.
    pub(crate) fn fail(&mut self, conn: Key, error: io::Error) {
        let was_open = self.table.get(conn).is_some_and(|socket| socket.life.was_open());
        self.end(
            conn,
            if was_open {
                End::Disconnect(Disconnect::Io(error))
            } else {
                End::Connect(ConnectError::Io(error))
            },
        );
        self.kill(conn);
    }

    /// Notes why the connection is about to end, without ending it. The first reason stands.
    pub(crate) fn note_end(&mut self, conn: Key, disconnect: Disconnect) {
        if let Some(socket) = self.table.get_mut(conn) {
            socket.rare.note_end(End::Disconnect(disconnect));
        }
    }

    /// Ends the connection: its handler is called, and its stream is closed after what is queued.
    pub(crate) fn end(&mut self, conn: Key, end: End) {
        if let Some(socket) = self.table.get_mut(conn) {
            socket.rare.note_end(end);
            self.reapable.push(conn);
            self.note_standing(conn, true);
            self.count_inbound(conn);
            self.arm(conn);
        }
    }

    /// Ends a connection whose request was under way for too long while others waited.
    pub(crate) fn end_asking(&mut self, conn: Key) {
        self.end(conn, End::Connect(ConnectError::TimedOut));
        self.kill(conn);
    }

    /// Gives the stream up.
    pub(crate) fn kill(&mut self, conn: Key) {
        if let Some(socket) = self.table.get_mut(conn) {
            socket.halves = Halves::Dead;
            self.reapable.push(conn);
            self.stand(conn, Standing::Gone);
        }
    }

    /// Queues a connection that has ended for reaping.
    pub(crate) fn queue_reaping(&mut self, conn: Key) {
        self.reapable.push(conn);
    }

    pub(crate) fn has_reapable(&self) -> bool {
        !self.reapable.is_empty()
    }

    pub(crate) fn take_reapable(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.reapable)
    }

    /// Gives the list back, to be filled again.
    pub(crate) fn return_reapable(&mut self, mut list: Vec<Key>) {
        if self.reapable.is_empty() {
            list.clear();
            self.reapable = list;
        }
    }

    // What changes with a connection.

    /// Ensures that the connection comes up at its next deadline.
    pub(crate) fn arm(&mut self, conn: Key) {
        if let Some(socket) = self.table.get_mut(conn) {
            self.deadlines.arm(conn, socket, &self.limits);
        }
    }

    /// Whether anything is pending that the connection's deadline, place or memory may depend on.
    #[inline]
    pub(crate) fn has_pending_state(&self, conn: Key) -> bool {
        self.table.get(conn).is_some_and(Socket::has_pending_state)
    }

    /// Counts what the connection holds of its input, after that may have changed.
    pub(crate) fn count_inbound(&mut self, conn: Key) {
        if let Some(socket) = self.table.get_mut(conn) {
            self.memory.count_inbound(conn, socket, self.now);
        }
    }

    /// Ranks the connection among those with output that waits, after that may have changed.
    pub(super) fn rank_output(&mut self, conn: Key) {
        self.memory.rank_output(conn, self.table.get(conn));
    }

    /// The output has changed that waits for a peer which takes nothing: above the soft limit, the
    /// peer must make progress.
    pub(super) fn note_level(&mut self, conn: Key) {
        let (soft, now) = (self.limits.soft, self.now);
        if let Some(outbox) = self.table.outbox_mut(conn) {
            outbox.note_level(soft, now);
        }
        self.rank_output(conn);
        self.arm(conn);
    }

    /// Notes where a connection stands, after that may have changed; `is_flushed`: its stream has
    /// sent all that it took.
    pub(crate) fn note_standing(&mut self, conn: Key, is_flushed: bool) {
        let Some(socket) = self.table.get(conn) else {
            return;
        };
        let standing = match socket.standing() {
            Standing::Idle | Standing::Leaving if !is_flushed => Standing::Answering,
            standing => standing,
        };
        self.stand(conn, standing);
    }

    pub(crate) fn stand(&mut self, conn: Key, standing: Standing) {
        if let Some(socket) = self.table.get_mut(conn) {
            self.places.change(conn, &mut socket.place, standing, self.now);
        }
    }

    /// How much topics may send the connection.
    pub(crate) fn send_capacity(&self, conn: Key) -> SendCapacity {
        match self.table.get(conn).filter(|socket| socket.blocked && socket.is_open()) {
            Some(socket) => SendCapacity::Waiting {
                backed_up: socket.is_backed_up(&self.limits),
                bytes: self.limits.hard.saturating_sub(socket.queued()),
            },
            None => SendCapacity::Unlimited,
        }
    }

    // Whether connections are read from.

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

    pub(super) fn resume_if_unread(&mut self, conn: Key) {
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
        if socket.paused {
            self.input.set_halted(conn, true);
            return ReadPermission::Nothing;
        }
        let permission = socket.read_permission(&self.limits);
        socket.unread = permission == ReadPermission::Nothing;
        let is_portioned = permission == ReadPermission::Portion;
        self.input.replies.set_portioned(if is_portioned { conn } else { Key::NONE });
        permission
    }

    // What is replied to a slow peer.

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
