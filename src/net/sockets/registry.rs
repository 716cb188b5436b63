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
use crate::net::socket::Socket;
use crate::proto::{CloseFrame, PeerError};
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
    pub(super) to_read: WorkQueue,
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

    #[inline]
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

    /// What the peer did wrong has been replied to; ends the connection.
    pub(crate) fn end_by_peer_error(&mut self, conn: Key, error: PeerError) {
        self.end(
            conn,
            match error {
                PeerError::Handshake(error) => End::Connect(ConnectError::Handshake(error)),
                PeerError::Refused(refused) => End::Connect(ConnectError::Refused(refused)),
                PeerError::ProxyRefused(refused) => End::Connect(ConnectError::Proxy(refused)),
                PeerError::Protocol(error) => End::Disconnect(Disconnect::Protocol(error)),
            },
        );
    }

    /// The peer's close frame has come, with this payload.
    pub(crate) fn end_by_close_frame(&mut self, conn: Key, payload: &[u8]) {
        if let Some(socket) = self.table.get_mut(conn) {
            socket.lingering.set_done(true);
        }
        // The payload was checked when it arrived.
        let frame = CloseFrame::parse(payload).ok().flatten();
        let code = frame.map(|frame| frame.code);
        let reason = frame.map_or_else(String::new, |frame| frame.reason.to_owned());
        self.end(conn, End::Disconnect(Disconnect::ClosedByPeer { code, reason }));
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

    /// Takes the connections that have ended, `most` of them at most. The others stay.
    pub(crate) fn take_reapable(&mut self, most: usize) -> Vec<Key> {
        let rest = self.reapable.split_off(self.reapable.len().min(most));
        std::mem::replace(&mut self.reapable, rest)
    }

    #[inline]
    pub(crate) fn reapable_len(&self) -> usize {
        self.reapable.len()
    }

    /// Gives the list back, to be filled again.
    pub(crate) fn return_reapable(&mut self, mut list: Vec<Key>) {
        if self.reapable.is_empty() {
            list.clear();
            self.reapable = list;
        }
    }

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
}
