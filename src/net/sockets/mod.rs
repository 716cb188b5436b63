//! All connections of a loop, and what can be done with them.

mod compression;
mod ending;
mod flush;
mod input;
mod memory;
mod output;
mod pausing;
mod standing;
mod table;
mod unsent;

use std::collections::VecDeque;

use self::table::Table;
use super::cork::{Cork, Reuse};
use super::hearing::Answers;
use super::holders::Holders;
use super::outbox::OutboxPool;
use super::places::{Places, Standing};
use super::socket::{MemoryCaps, OutboxLimits, Socket, SocketLimits};
use crate::proto::{MaskKeys, Message, Role, WebSocket, WorkBudget, Workspace};
use crate::slots::Key;
use crate::time::Time;
use crate::timers::DeadlineWheel;

pub(crate) use self::input::CORK_MOST;
pub(crate) use super::cork::REUSE;

/// What became of a message that was sent. Nothing of it is an error: a peer that reads slowly or
/// is gone is part of the business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendStatus {
    /// Taken; it leaves with this turn at the latest.
    Sent,
    /// Taken; it waits until the peer has read what was sent before. The handler's `on_drained`
    /// says when nothing waits any more.
    Queued,
    /// Not taken: more waits than the limit allows. A connection is being closed with code 1013.
    Dropped,
    /// Not taken: there is no such connection or topic, or it is not open.
    Gone,
}

/// Every connection, and the lists of those that something is to be done for.
#[derive(Debug)]
pub(crate) struct Sockets {
    slots: Table,
    pub(crate) pool: OutboxPool,
    pub(crate) keys: MaskKeys,
    cork: Cork,
    /// Where control frames are written for a connection that is not corked.
    scratch: Vec<u8>,
    /// Where a message is compressed for one connection.
    compressed: Vec<u8>,
    /// Whose input is being handled.
    current: Option<Current>,
    /// How much more of that may be handled in this turn.
    share: WorkBudget,
    answers: Answers,
    /// Those with output to flush; each once, with `Socket::dirty` set.
    dirty: Vec<Key>,
    /// Those whose end is to be told or carried on; may name one twice, or one that is gone. Every
    /// turn empties it.
    ended: Vec<Key>,
    /// Those to be read without readiness; each once, with `Socket::resumed` set.
    resumed: VecDeque<Key>,
    /// Those whose outbox emptied after it had waited for the peer; each once, with
    /// `Socket::drained` set, or gone.
    drained: VecDeque<Key>,
    wheel: DeadlineWheel,
    pub(crate) now: Time,
    limits: OutboxLimits,
    caps: MemoryCaps,
    pub(crate) places: Places,
    /// Sum of `Socket::inbound_counted`.
    inbound: usize,
    /// Connections with an unfinished message, or with input that is left over.
    input_holders: Holders,
    /// Connections with output that waits for the peer.
    output_holders: Holders,
    /// Messages that were taken for a connection.
    pub(crate) messages_sent: u64,
    /// Messages that were not, because too much waited.
    pub(crate) messages_dropped: u64,
}

/// The connection whose input is being handled: its output is corked.
#[derive(Debug)]
struct Current {
    conn: Key,
    /// The message that its handler is lent.
    lent: Option<Lent>,
    /// How that message is sent back from where it lies.
    reuse: Option<Reuse>,
    /// It was paused: what else was received waits.
    halted: bool,
}

/// Where a lent message lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lent {
    /// Its payload's address: compared, never followed.
    address: usize,
    len: usize,
    /// Where the payload begins in its storage.
    payload: usize,
    assembled: bool,
}

impl Lent {
    /// A message that begins at `payload` of its storage: the receive buffer, or its own.
    pub(crate) fn new(message: Message<'_>, payload: usize, assembled: bool) -> Self {
        let bytes = message.as_bytes();
        Self { address: bytes.as_ptr() as usize, len: bytes.len(), payload, assembled }
    }

    fn is(&self, payload: &[u8]) -> bool {
        self.address == payload.as_ptr() as usize && self.len == payload.len()
    }
}

impl Sockets {
    /// Bytes for each connection, its entry in the wheel of deadlines included.
    pub(crate) const SIZE: usize = Table::SIZE + size_of::<Key>();

    /// Room for `capacity` connections, so that no growth of their number makes the loop move
    /// them all. Untouched memory costs nothing.
    pub(crate) fn new(capacity: usize, keys: MaskKeys, now: Time, limits: SocketLimits) -> Self {
        Self {
            slots: Table::with_capacity(capacity),
            pool: OutboxPool::default(),
            keys,
            cork: Cork::default(),
            scratch: Vec::new(),
            compressed: Vec::new(),
            current: None,
            share: WorkBudget::UNLIMITED,
            answers: Answers::NONE,
            dirty: Vec::new(),
            ended: Vec::new(),
            resumed: VecDeque::new(),
            drained: VecDeque::new(),
            wheel: DeadlineWheel::new(now),
            now,
            limits: limits.outbox,
            caps: limits.memory,
            places: Places::new(limits.places),
            inbound: 0,
            input_holders: Holders::default(),
            output_holders: Holders::default(),
            messages_sent: 0,
            messages_dropped: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        self.slots.iter().map(|(key, _)| key).collect()
    }

    #[inline]
    pub(crate) fn get(&self, conn: Key) -> Option<&Socket> {
        self.slots.get(conn)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, conn: Key) -> Option<&mut Socket> {
        self.slots.get_mut(conn)
    }

    pub(crate) fn insert(&mut self, socket: Socket) -> Key {
        let conn = self.slots.insert(socket);
        self.note_standing(conn, true);
        self.arm(conn);
        conn
    }

    pub(crate) fn remove(&mut self, conn: Key) -> Option<Socket> {
        self.stand(conn, Standing::Gone);
        let mut socket = self.slots.remove(conn)?;
        self.forget_holder(conn);
        if let Some(outbox) = socket.outbox.take() {
            self.pool.give(outbox);
        }
        if let Some(leftover) = socket.take_leftover() {
            self.pool.buffers.give(leftover.storage);
        }
        self.inbound -= socket.inbound_counted;
        Some(socket)
    }

    /// Lets the protocol write, into the cork or behind what is queued. `is_ping` tells from the
    /// result that the only thing written is a pong.
    #[inline]
    fn answer<T>(
        &mut self,
        conn: Key,
        act: impl FnOnce(&mut WebSocket, &mut Workspace<'_>) -> T,
        is_ping: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        let corked = self.is_corked(conn);
        let socket = self.slots.get_mut(conn)?;
        let out = if corked { self.cork.bytes_mut() } else { &mut self.scratch };
        let pool = &mut self.pool.buffers;
        let mut workspace = Workspace { out, mask_keys: &mut self.keys, pool, now: self.now };
        let result = act(&mut socket.protocol, &mut workspace);
        if !corked && !self.scratch.is_empty() {
            let receiver = peer_of(socket.protocol.role());
            match &mut socket.outbox {
                Some(outbox) if socket.blocked && !outbox.is_plain() && is_ping(&result) => {
                    outbox.replace_pong(&self.scratch, receiver, &mut self.pool);
                    self.scratch.clear();
                    self.note_level(conn);
                }
                _ => self.take_scratch(conn),
            }
        }
        Some(result)
    }

    /// Queues what was written to the scratch buffer.
    fn take_scratch(&mut self, conn: Key) {
        let corked = self.is_corked(conn);
        if let Some(socket) = self.slots.get_mut(conn) {
            if corked {
                self.cork.bytes_mut().extend_from_slice(&self.scratch);
            } else {
                let outbox = socket.outbox.get_or_insert_with(|| self.pool.take());
                outbox.push_bytes(&self.scratch, &mut self.pool);
                if socket.blocked {
                    self.note_level(conn);
                } else if !socket.dirty {
                    socket.dirty = true;
                    self.dirty.push(conn);
                }
            }
        }
        self.scratch.clear();
    }

    /// Whether something is left that no readiness will bring up.
    pub(crate) fn has_work(&self) -> bool {
        self.has_resumed() || !self.dirty.is_empty() || self.has_ended() || self.has_drained()
    }

    /// Whether some are to be read without readiness.
    pub(crate) fn has_resumed(&self) -> bool {
        !self.resumed.is_empty()
    }

    /// Whether the end of some is to be told or carried on.
    pub(crate) fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Whether the outbox of some has emptied after it had waited for the peer.
    pub(crate) fn has_drained(&self) -> bool {
        !self.drained.is_empty()
    }

    #[inline]
    fn is_corked(&self, conn: Key) -> bool {
        self.current.as_ref().is_some_and(|current| current.conn == conn)
            && self.slots.get(conn).is_some_and(|socket| socket.outbox.is_none())
    }

    pub(crate) fn is_open(&self, conn: Key) -> bool {
        self.slots.get(conn).is_some_and(Socket::is_open)
    }

    fn role(&self, conn: Key) -> Role {
        self.slots.get(conn).map_or(Role::Server, |socket| socket.protocol.role())
    }

    /// The role of the connection's peer.
    fn receiver(&self, conn: Key) -> Role {
        peer_of(self.role(conn))
    }

    /// Bytes gathered for the connection whose input is being handled.
    #[inline]
    pub(crate) fn corked_bytes(&self) -> usize {
        self.cork.len()
    }

    /// Bytes that wait to be sent to the connection.
    pub(crate) fn buffered_bytes(&self, conn: Key) -> usize {
        let corked = if self.is_corked(conn) { self.cork.len() } else { 0 };
        corked + self.slots.get(conn).map_or(0, Socket::queued)
    }

    /// The same of all connections together.
    pub(crate) fn buffered_total(&self) -> usize {
        self.corked_bytes() + self.pool.queued()
    }
}

/// The role of the other end.
const fn peer_of(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}
