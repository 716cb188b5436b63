//! All connections of a loop, and what can be done with their output.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Instant;

use super::cork::{Cork, REUSE, Reuse};
use super::disconnect::{ConnectError, Disconnect};
use super::outbox::{MAX_SLICES, OutboxPool};
use super::socket::{End, OutboxLimits, Socket};
use super::streams::Transmit;
use crate::proto::handshake::{Acceptance, Refusal, Request};
use crate::proto::{
    Buffer, BufferPool, CloseCode, Connection, Event, FrameHeader, MaskKeys, Message, OpCode,
    PeerError, PreparedMessage, Role, State, TimedOut, Workspace, write_frame,
};
use crate::slots::{Key, Slots};
use crate::timers::{DeadlineWheel, Tick};
use crate::topics::{Run, Topics};

/// Corked output is sent from this length on, without waiting for the handler to return.
const CORK_FULL: usize = 64 * 1024;

/// Queued output is sent from this length on, without waiting for the turn's end.
const OUTBOX_FULL: usize = 16 * 1024;

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
    slots: Slots<Socket>,
    pub(crate) pool: OutboxPool,
    pub(crate) keys: MaskKeys,
    cork: Cork,
    /// Where control frames are written for a connection that is not corked.
    scratch: Vec<u8>,
    /// Whose input is being handled.
    current: Option<Current>,
    /// Those with output to flush; each has `Socket::dirty` set.
    dirty: Vec<Key>,
    /// Those whose end is to be told or carried on; may name one twice, or one that is gone.
    ended: Vec<Key>,
    /// Those to be read without readiness; each has `Socket::resumed` set.
    resumed: VecDeque<Key>,
    /// Those whose outbox emptied after it had waited for the peer.
    drained: Vec<Key>,
    wheel: DeadlineWheel,
    pub(crate) now: Instant,
    limits: OutboxLimits,
}

/// The connection whose input is being handled: its output is corked.
#[derive(Debug)]
struct Current {
    conn: Key,
    /// The message that its handler is lent.
    lent: Option<Lent>,
    /// How that message is sent back from where it lies.
    reuse: Option<Reuse>,
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
    pub(crate) fn new(keys: MaskKeys, now: Instant, limits: OutboxLimits) -> Self {
        Self {
            slots: Slots::with_capacity(0),
            pool: OutboxPool::default(),
            keys,
            cork: Cork::default(),
            scratch: Vec::new(),
            current: None,
            dirty: Vec::new(),
            ended: Vec::new(),
            resumed: VecDeque::new(),
            drained: Vec::new(),
            wheel: DeadlineWheel::new(now),
            now,
            limits,
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
        self.arm(conn);
        conn
    }

    pub(crate) fn remove(&mut self, conn: Key) -> Option<Socket> {
        let mut socket = self.slots.remove(conn)?;
        if let Some(outbox) = socket.outbox.take() {
            self.pool.give(outbox);
        }
        Some(socket)
    }

    // Input.

    /// Corks the output of `conn` until [`Sockets::uncork`].
    pub(crate) fn cork(&mut self, conn: Key) {
        debug_assert!(self.cork.is_empty());
        self.current = Some(Current { conn, lent: None, reuse: None });
    }

    /// Feeds input to the connection's protocol; `None` if there is no such connection.
    #[inline]
    pub(crate) fn receive<'a>(
        &mut self,
        conn: Key,
        input: &'a mut [u8],
    ) -> Option<Result<(usize, Option<Event<'a>>), PeerError>> {
        self.answer(
            conn,
            |protocol, workspace| protocol.receive(input, workspace),
            |received| matches!(received, Ok((_, Some(Event::Ping(_))))),
        )
    }

    /// Tells the protocol that `count` bytes were received straight into its message.
    pub(crate) fn received(
        &mut self,
        conn: Key,
        count: usize,
    ) -> Option<Result<Option<Event<'static>>, PeerError>> {
        self.answer(conn, |protocol, workspace| protocol.received(count, workspace), |_| false)
    }

    /// Lends the current connection's handler a message, so that sending it back needs no copy.
    pub(crate) fn lend(&mut self, lent: Lent) {
        if let Some(current) = &mut self.current {
            current.lent = Some(lent);
        }
    }

    /// Takes back a message that lies in the receive buffer; the caller writes the header.
    pub(crate) fn take_back(&mut self) -> Option<Reuse> {
        let current = self.current.as_mut()?;
        current.lent = None;
        current.reuse.take()
    }

    /// Takes back a message with its own storage.
    pub(crate) fn take_back_assembled(&mut self, buffer: Buffer) {
        match self.take_back() {
            Some(reuse) => self.cork.fill_assembled(&reuse, buffer.into_storage().0),
            None => self.pool.buffers.recycle(buffer),
        }
    }

    /// The connection, with the storage that it may take for a message.
    pub(crate) fn with_buffers(&mut self, conn: Key) -> Option<(&mut Socket, &mut BufferPool)> {
        Some((self.slots.get_mut(conn)?, &mut self.pool.buffers))
    }

    /// Accepts a client's request.
    pub(crate) fn accept(&mut self, conn: Key, request: &Request<'_>, acceptance: &Acceptance) {
        self.answer(conn, |protocol, work| protocol.accept(request, acceptance, work), |()| false);
    }

    /// Refuses a client's request.
    pub(crate) fn refuse(&mut self, conn: Key, refusal: &Refusal) {
        self.answer(conn, |protocol, work| protocol.refuse(refusal, work), |()| false);
    }

    // Output.

    /// Sends a message to a connection that is open.
    pub(crate) fn send(
        &mut self,
        conn: Key,
        message: Message<'_>,
        topics: &mut Topics,
        io: &mut dyn Transmit,
    ) -> SendStatus {
        if !self.is_open(conn) {
            return SendStatus::Gone;
        }
        self.settle(conn, topics, io);
        self.push_frame(conn, message.opcode(), message.as_bytes(), io)
    }

    /// Sends a message that is encoded already, sharing its bytes.
    pub(crate) fn send_prepared(
        &mut self,
        conn: Key,
        message: &PreparedMessage,
        topics: &mut Topics,
        io: &mut dyn Transmit,
    ) -> SendStatus {
        if !self.is_open(conn) {
            return SendStatus::Gone;
        }
        self.settle(conn, topics, io);
        let frame = message.frame();
        let (opcode, payload) = message.parts();
        if frame.len() < REUSE || self.role(conn) == Role::Client {
            return self.push_frame(conn, opcode, payload, io);
        }
        self.push_run(conn, &Run::Shared(frame, 0..frame.len()), io)
    }

    /// Sends a ping.
    pub(crate) fn ping(&mut self, conn: Key, payload: &[u8], io: &mut dyn Transmit) -> SendStatus {
        match self.answer(conn, |protocol, workspace| protocol.ping(payload, workspace), |_| false)
        {
            Some(true) => self.pushed(conn, io),
            _ => SendStatus::Gone,
        }
    }

    /// Begins the closing handshake, or ends a connection that is not open yet; `false` if it is
    /// ending already.
    pub(crate) fn close(
        &mut self,
        conn: Key,
        code: CloseCode,
        reason: &str,
        topics: &mut Topics,
        io: &mut dyn Transmit,
    ) -> bool {
        let Some(state) = self.slots.get(conn).map(|socket| socket.protocol.state()) else {
            return false;
        };
        match state {
            State::Open => {
                self.settle(conn, topics, io);
                self.answer(conn, |protocol, work| protocol.close(code, reason, work), |()| false);
                self.note_end(conn, Disconnect::ClosedByApplication { code });
                self.arm(conn);
                true
            }
            State::Connecting => {
                self.answer(conn, |protocol, work| protocol.close(code, reason, work), |()| false);
                self.end(conn, End::Connect(ConnectError::Cancelled));
                self.kill(conn);
                true
            }
            State::Closing | State::Closed => false,
        }
    }

    /// Appends whatever topics owe the connection, so that what follows comes after it.
    #[inline]
    pub(crate) fn settle(&mut self, conn: Key, topics: &mut Topics, io: &mut dyn Transmit) {
        if !topics.is_settled() {
            topics.settle(conn, |run| {
                self.push_run(conn, run, io);
            });
        }
    }

    /// Sends frames of a topic to a connection that was settled up to them.
    pub(crate) fn deliver(&mut self, conn: Key, run: &Run<'_>, io: &mut dyn Transmit) {
        let Some(socket) = self.slots.get(conn).filter(|socket| socket.protocol.is_open()) else {
            return;
        };
        let direct = socket.outbox.is_none() && socket.protocol.role() == Role::Server;
        if !direct {
            self.push_run(conn, run, io);
            return;
        }
        let slice = run.as_slice();
        match io.transmit(conn.index(), &[IoSlice::new(slice)]) {
            Ok(sent) if sent == slice.len() => {}
            Ok(sent) => {
                self.queue_run(conn, run, sent);
                self.note_blocked(conn);
            }
            Err(error) => self.fail(conn, error),
        }
    }

    fn push_frame(
        &mut self,
        conn: Key,
        opcode: OpCode,
        payload: &[u8],
        io: &mut dyn Transmit,
    ) -> SendStatus {
        let Some(socket) = self.slots.get_mut(conn) else {
            return SendStatus::Gone;
        };
        let key = socket.protocol.mask_key(&mut self.keys);
        if let Some(outbox) = &mut socket.outbox {
            if outbox.bytes() + payload.len() > self.limits.hard {
                return self.overflow(conn);
            }
            outbox.push_frame(opcode, payload, key, &mut self.pool);
        } else if let Some(current) = self.current.as_mut().filter(|current| current.conn == conn) {
            let lent = current.lent.filter(|lent| {
                payload.len() >= REUSE
                    && key.is_none()
                    && current.reuse.is_none()
                    && lent.is(payload)
            });
            match lent {
                None => self.cork.push_frame(opcode, payload, key),
                Some(lent) if lent.assembled => {
                    let reuse = self.cork.reuse_assembled(opcode, lent.payload, lent.len);
                    current.reuse = Some(reuse);
                }
                Some(lent) => {
                    let reuse = self.cork.reuse_received(opcode, lent.payload, lent.len);
                    current.reuse = Some(reuse);
                }
            }
        } else {
            let mut outbox = self.pool.take();
            outbox.push_frame(opcode, payload, key, &mut self.pool);
            socket.outbox = Some(outbox);
        }
        self.pushed(conn, io)
    }

    /// Appends frames of a topic, or of a prepared message, masked if the connection needs it.
    fn push_run(&mut self, conn: Key, run: &Run<'_>, io: &mut dyn Transmit) -> SendStatus {
        let Some(socket) = self.slots.get(conn).filter(|socket| socket.protocol.is_open()) else {
            return SendStatus::Gone;
        };
        let len = run.as_slice().len();
        if socket.outbox.as_ref().is_some_and(|outbox| outbox.bytes() + len > self.limits.hard) {
            return self.overflow(conn);
        }
        if socket.protocol.role() == Role::Client {
            self.scratch.clear();
            mask_frames(run.as_slice(), &mut self.keys, &mut self.scratch);
            self.take_scratch(conn);
        } else {
            self.queue_run(conn, run, 0);
        }
        self.pushed(conn, io)
    }

    /// Appends what follows the first `sent` bytes of a run.
    fn queue_run(&mut self, conn: Key, run: &Run<'_>, sent: usize) {
        let corked = self.is_corked(conn);
        let Some(socket) = self.slots.get_mut(conn) else {
            return;
        };
        let rest = &run.as_slice()[sent..];
        let shared = match run {
            Run::Shared(bytes, range) if rest.len() >= REUSE => {
                Some(bytes.slice(range.start + sent..range.end))
            }
            _ => None,
        };
        if corked {
            match shared {
                Some(bytes) => self.cork.push_shared(bytes),
                None => self.cork.bytes_mut().extend_from_slice(rest),
            }
            return;
        }
        let outbox = socket.outbox.get_or_insert_with(|| self.pool.take());
        match shared {
            Some(bytes) => outbox.push_shared(bytes),
            None => outbox.push_bytes(rest, &mut self.pool),
        }
    }

    /// After output was appended: sends it if it is much, or notes that it is to be flushed.
    fn pushed(&mut self, conn: Key, io: &mut dyn Transmit) -> SendStatus {
        if self.is_corked(conn) {
            if self.cork.len() >= CORK_FULL && self.cork.is_self_contained() {
                self.flush_cork(&[], io);
            }
        } else if let Some(socket) = self.slots.get_mut(conn) {
            if !socket.blocked && socket.queued() >= OUTBOX_FULL {
                self.flush(conn, io);
            } else if !socket.blocked && !socket.dirty {
                socket.dirty = true;
                self.dirty.push(conn);
            }
        }
        match self.slots.get(conn) {
            Some(socket) if socket.dead => SendStatus::Gone,
            Some(socket) if socket.blocked => SendStatus::Queued,
            Some(_) => SendStatus::Sent,
            None => SendStatus::Gone,
        }
    }

    /// Lets the protocol write, into the cork or behind what is queued. `is_ping` tells from the
    /// result that the only thing written is a pong.
    #[inline]
    fn answer<T>(
        &mut self,
        conn: Key,
        act: impl FnOnce(&mut Connection, &mut Workspace<'_>) -> T,
        is_ping: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        let corked = self.is_corked(conn);
        let socket = self.slots.get_mut(conn)?;
        let out = if corked { self.cork.bytes_mut() } else { &mut self.scratch };
        let pool = &mut self.pool.buffers;
        let mut workspace = Workspace { out, keys: &mut self.keys, pool, now: self.now };
        let result = act(&mut socket.protocol, &mut workspace);
        if !corked && !self.scratch.is_empty() {
            match &mut socket.outbox {
                Some(outbox) if socket.blocked && is_ping(&result) => {
                    outbox.replace_pong(&self.scratch);
                    self.scratch.clear();
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
                if !socket.dirty && !socket.blocked {
                    socket.dirty = true;
                    self.dirty.push(conn);
                }
            }
        }
        self.scratch.clear();
    }

    /// Writes the opening request of a connection that is being made: it leaves once it is made.
    pub(crate) fn hold(&mut self, conn: Key, request: &[u8]) {
        if let Some(socket) = self.slots.get_mut(conn) {
            let mut outbox = self.pool.take();
            outbox.push_bytes(request, &mut self.pool);
            socket.outbox = Some(outbox);
            socket.blocked = true;
        }
    }

    // Flushing.

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
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let (count, offered) = self.cork.slices(received, &mut slices);
        match io.transmit(conn.index(), &slices[..count]) {
            Ok(sent) if sent == len => self.cork.clear(&mut self.pool),
            Ok(sent) => self.spill(conn, sent, sent < offered, received, io),
            Err(error) => {
                self.cork.clear(&mut self.pool);
                self.fail(conn, error);
            }
        }
    }

    fn spill(
        &mut self,
        conn: Key,
        sent: usize,
        blocked: bool,
        received: &[u8],
        io: &mut dyn Transmit,
    ) {
        let mut outbox = self.pool.take();
        self.cork.spill(sent, received, &mut outbox, &mut self.pool);
        if let Some(socket) = self.slots.get_mut(conn) {
            socket.outbox = Some(outbox);
        }
        if blocked {
            self.note_blocked(conn);
        } else {
            self.flush(conn, io);
        }
    }

    /// Ends the corking of the current connection.
    pub(crate) fn uncork(&mut self) {
        debug_assert!(self.cork.is_empty());
        self.current = None;
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
            if sent < offered {
                return self.note_blocked(conn);
            }
            if outbox.is_empty() {
                return self.note_empty(conn);
            }
        }
    }

    /// Flushes those that others' handlers wrote to.
    pub(crate) fn flush_dirty(&mut self, io: &mut dyn Transmit) {
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

    fn note_blocked(&mut self, conn: Key) {
        let Some(socket) = self.slots.get_mut(conn) else {
            return;
        };
        socket.blocked = true;
        if let Some(outbox) = &mut socket.outbox {
            outbox.progress.get_or_insert(self.now);
        }
        self.resume_if_unread(conn);
        self.arm(conn);
    }

    fn note_empty(&mut self, conn: Key) {
        let Some(socket) = self.slots.get_mut(conn) else {
            return;
        };
        if let Some(outbox) = socket.outbox.take() {
            if outbox.progress.is_some() && socket.protocol.is_open() && socket.opened {
                self.drained.push(conn);
            }
            self.pool.give(outbox);
        }
        if socket.protocol.state() == State::Closed {
            self.ended.push(conn);
        }
        self.resume_if_unread(conn);
    }

    // Reading on without readiness.

    /// Reads from the connection in this or the next turn, whatever readiness says.
    pub(crate) fn resume(&mut self, conn: Key) {
        if let Some(socket) = self.slots.get_mut(conn).filter(|socket| !socket.resumed) {
            socket.resumed = true;
            self.resumed.push_back(conn);
        }
    }

    fn resume_if_unread(&mut self, conn: Key) {
        let limits = self.limits;
        let Some(socket) = self.slots.get_mut(conn) else {
            return;
        };
        if socket.unread && !socket.is_backed_up(&limits) {
            socket.unread = false;
            self.resume(conn);
        }
    }

    /// Leaves off reading while too much waits for this peer; whether it did.
    #[inline]
    pub(crate) fn hold_back(&mut self, conn: Key) -> bool {
        let Some(socket) = self.slots.get_mut(conn) else {
            return true;
        };
        let Some(outbox) = &socket.outbox else {
            return false;
        };
        socket.unread = socket.protocol.is_open() && outbox.bytes() > self.limits.soft;
        socket.unread
    }

    pub(crate) fn next_resumed(&mut self) -> Option<Key> {
        let conn = self.resumed.pop_front()?;
        if let Some(socket) = self.slots.get_mut(conn) {
            socket.resumed = false;
        }
        Some(conn)
    }

    pub(crate) fn resumed_len(&self) -> usize {
        self.resumed.len()
    }

    pub(crate) fn next_drained(&mut self) -> Option<Key> {
        self.drained.pop()
    }

    /// Whether something is left that no readiness will bring up.
    pub(crate) fn has_work(&self) -> bool {
        !(self.resumed.is_empty()
            && self.dirty.is_empty()
            && self.ended.is_empty()
            && self.drained.is_empty())
    }

    // Ends.

    /// What the peer did wrong has been answered; ends the connection.
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
        let open = self.slots.get(conn).is_some_and(|socket| socket.opened);
        self.end(
            conn,
            if open {
                End::Disconnect(Disconnect::Io(error))
            } else {
                End::Connect(ConnectError::Io(error))
            },
        );
        self.kill(conn);
    }

    /// Notes why the connection is about to end, without ending it yet. The first reason stands.
    pub(crate) fn note_end(&mut self, conn: Key, disconnect: Disconnect) {
        if let Some(socket) = self.slots.get_mut(conn) {
            socket.end.get_or_insert_with(|| Box::new(End::Disconnect(disconnect)));
        }
    }

    /// Ends the connection: its handler is told, and its stream is closed after what is queued.
    pub(crate) fn end(&mut self, conn: Key, end: End) {
        if let Some(socket) = self.slots.get_mut(conn) {
            socket.end.get_or_insert_with(|| Box::new(end));
            self.ended.push(conn);
            self.arm(conn);
        }
    }

    /// The stream is of no more use.
    pub(crate) fn kill(&mut self, conn: Key) {
        if let Some(socket) = self.slots.get_mut(conn) {
            socket.dead = true;
            self.ended.push(conn);
        }
    }

    /// Looks at a connection again that has ended before.
    pub(crate) fn revisit(&mut self, conn: Key) {
        self.ended.push(conn);
    }

    pub(crate) fn take_ended(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.ended)
    }

    /// Gives the list back, to be filled again.
    pub(crate) fn return_ended(&mut self, mut list: Vec<Key>) {
        if self.ended.is_empty() {
            list.clear();
            self.ended = list;
        }
    }

    /// The peer does not read: what is queued is forgotten, and it is told with 1013.
    fn overflow(&mut self, conn: Key) -> SendStatus {
        if let Some(socket) = self.slots.get_mut(conn) {
            if let Some(outbox) = &mut socket.outbox {
                outbox.truncate(&mut self.pool);
            }
            self.answer(
                conn,
                |protocol, work| protocol.close(CloseCode::TRY_AGAIN_LATER, "", work),
                |()| false,
            );
            self.end(conn, End::Disconnect(Disconnect::Overflow));
        }
        SendStatus::Dropped
    }

    // Deadlines.

    /// Sees to it that the connection comes up when its next deadline does.
    pub(crate) fn arm(&mut self, conn: Key) {
        let limits = self.limits;
        let Some(socket) = self.slots.get_mut(conn) else {
            return;
        };
        if let Some(deadline) = socket.deadline(&limits) {
            socket.armed = self.wheel.arm(conn, deadline, socket.armed);
        }
    }

    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        self.wheel.next()
    }

    /// Acts on the deadlines that have come.
    pub(crate) fn expire(&mut self, io: &mut dyn Transmit) {
        for _ in 0..DeadlineWheel::budget() {
            let Some((conn, tick)) = self.wheel.expire(self.now) else {
                return;
            };
            let Some(socket) = self.slots.get_mut(conn).filter(|socket| socket.armed == tick)
            else {
                continue;
            };
            socket.armed = Tick::NEVER;
            self.act_on_deadline(conn, io);
            self.arm(conn);
        }
    }

    fn act_on_deadline(&mut self, conn: Key, io: &mut dyn Transmit) {
        let limits = self.limits;
        let Some(socket) = self.slots.get(conn).filter(|socket| !socket.dead) else {
            return;
        };
        if socket.stall_deadline(&limits).is_some_and(|deadline| deadline <= self.now) {
            self.overflow(conn);
            return;
        }
        let handled = self.answer(conn, Connection::handle_timeout, Result::is_ok);
        let Some(Err(timed_out)) = handled else {
            return;
        };
        let opened = self.slots.get(conn).is_some_and(|socket| socket.opened);
        self.end(
            conn,
            if opened {
                End::Disconnect(Disconnect::TimedOut(timed_out))
            } else {
                End::Connect(ConnectError::TimedOut)
            },
        );
        self.flush(conn, io);
        if matches!(timed_out, TimedOut::Close | TimedOut::Pong) {
            self.kill(conn);
        }
    }

    // Questions.

    #[inline]
    fn is_corked(&self, conn: Key) -> bool {
        self.current.as_ref().is_some_and(|current| current.conn == conn)
            && self.slots.get(conn).is_some_and(|socket| socket.outbox.is_none())
    }

    pub(crate) fn is_open(&self, conn: Key) -> bool {
        self.slots.get(conn).is_some_and(|socket| socket.protocol.is_open() && !socket.dead)
    }

    fn role(&self, conn: Key) -> Role {
        self.slots.get(conn).map_or(Role::Server, |socket| socket.protocol.role())
    }

    /// Bytes that wait to be sent to the connection.
    pub(crate) fn buffered_bytes(&self, conn: Key) -> usize {
        let corked = if self.is_corked(conn) { self.cork.len() } else { 0 };
        corked + self.slots.get(conn).map_or(0, Socket::queued)
    }
}

/// Writes a server's frames again as a client sends them.
fn mask_frames(mut frames: &[u8], keys: &mut MaskKeys, out: &mut Vec<u8>) {
    while let Ok(Some((header, len))) = FrameHeader::parse(frames, Role::Client) {
        let (frame, rest) = frames.split_at(len + header.len as usize);
        write_frame(header.opcode, &frame[len..], Some(keys.next_key()), out);
        frames = rest;
    }
}
