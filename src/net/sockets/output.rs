//! What is written for connections and not sent: to the cork of the one whose input is being
//! handled, and to the outboxes of the others.

use bytes::Bytes;

use super::limited_input::LimitedInput;
use super::registry::Registry;
use super::table::Table;
use super::unframed::{UnframedRuns, reframe};
use super::work_queue::WorkQueue;
use crate::net::cork::{Cork, Lent, REUSE_BYTES_MIN};
use crate::net::disconnect::Disconnect;
use crate::net::framing::Framing;
use crate::net::lists::Lists;
use crate::net::outbox::{FrameStorage, Outbox, OutboxPool, end_of_begun};
use crate::net::protocol::Protocol;
use crate::net::rare_state::End;
use crate::net::send_status::SendStatus;
use crate::proto::{Buffer, CloseCode, MaskKeys, Payload, WebSocket, Workspace};
use crate::slots::Key;
use crate::topics::{Frames, Run};

/// Corked output is sent from this length on, without waiting for the handler to return.
pub(super) const CORK_FLUSH_BYTES_MIN: usize = 64 * 1024;

/// The output of all connections.
#[derive(Debug)]
pub(crate) struct Output {
    pub(super) cork: Cork,
    pub(super) outboxes: OutboxPool,
    pub(crate) storage: FrameStorage,
    pub(crate) mask_keys: MaskKeys,
    /// Where control frames are written for a connection that is not corked.
    scratch: Vec<u8>,
    pub(super) unframed: UnframedRuns,
    /// Where a message is compressed for one connection.
    pub(super) compressed: Vec<u8>,
    /// Connections with output to flush.
    pub(super) dirty: WorkQueue,
    /// Connections whose outbox emptied after it had waited for the peer.
    pub(super) drained: WorkQueue,
    /// Messages that were taken for a connection.
    pub(crate) messages_sent: u64,
    /// Messages that were not, because too much waited.
    pub(crate) messages_dropped: u64,
}

impl Output {
    pub(super) fn new(mask_keys: MaskKeys) -> Self {
        Self {
            cork: Cork::new(),
            outboxes: OutboxPool::default(),
            storage: FrameStorage::default(),
            mask_keys,
            scratch: Vec::new(),
            unframed: UnframedRuns::default(),
            compressed: Vec::new(),
            dirty: WorkQueue::new(Lists::TO_FLUSH),
            drained: WorkQueue::new(Lists::DRAINED),
            messages_sent: 0,
            messages_dropped: 0,
        }
    }

    /// Bytes gathered for the connection whose input is being handled.
    #[inline]
    pub(crate) fn corked_bytes(&self) -> usize {
        self.cork.len()
    }

    #[inline]
    pub(super) fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Whether the outbox of some has emptied after it had waited for the peer.
    pub(crate) fn has_drained(&self) -> bool {
        !self.drained.is_empty()
    }

    /// Queues a connection again whose outbox is empty, and for which there is more.
    pub(crate) fn drain_again(&mut self, registry: &mut Registry, conn: Key) {
        if let Some(socket) = registry.table.get_mut(conn) {
            self.drained.push(conn, socket);
        }
    }

    pub(crate) fn drained_len(&self) -> usize {
        self.drained.len()
    }

    /// An outbox with these bytes.
    pub(super) fn outbox_with(&mut self, bytes: &[u8]) -> Box<Outbox> {
        let mut outbox = self.outboxes.take(&mut self.storage);
        outbox.push_bytes(bytes, &mut self.storage);
        outbox
    }

    /// Takes an outbox back, with whatever is still in it.
    pub(super) fn give_back(&mut self, outbox: Box<Outbox>) {
        self.outboxes.give(outbox, &mut self.storage);
    }

    /// Clears the cache of batches that were copied: no connection gets them any more.
    pub(crate) fn clear_batch_cache(&mut self) {
        self.storage.shared.clear_batch_cache();
        self.unframed.clear();
    }

    /// Lets the protocol write, into the cork or behind what is queued.
    #[inline]
    pub(super) fn write<T>(
        &mut self,
        registry: &mut Registry,
        conn: Key,
        act: impl FnOnce(&mut Protocol, &mut Workspace<'_>) -> T,
    ) -> Option<T> {
        self.write_or_pong(registry, conn, act, |_| false)
    }

    /// The same for what only WebSockets do; `None` if the connection is not one.
    pub(super) fn write_frames<T>(
        &mut self,
        registry: &mut Registry,
        conn: Key,
        act: impl FnOnce(&mut WebSocket, &mut Workspace<'_>) -> T,
    ) -> Option<T> {
        let act = |protocol: &mut Protocol, work: &mut Workspace<'_>| {
            Some(act(protocol.web_socket_mut()?, work))
        };
        self.write(registry, conn, act).flatten()
    }

    /// The same. `is_ping` says of the result whether all that was written is a pong, which
    /// replaces an older one that waits.
    #[inline]
    pub(super) fn write_or_pong<T>(
        &mut self,
        registry: &mut Registry,
        conn: Key,
        act: impl FnOnce(&mut Protocol, &mut Workspace<'_>) -> T,
        is_ping: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        let corked = registry.is_corked(conn);
        let now = registry.now;
        let socket = registry.table.get_mut(conn)?;
        let out = if corked { self.cork.bytes_mut() } else { &mut self.scratch };
        let pool = &mut self.storage.buffers;
        let mut workspace = Workspace { out, mask_keys: &mut self.mask_keys, pool, now };
        let result = act(&mut socket.protocol, &mut workspace);
        if !corked && !self.scratch.is_empty() {
            let framing = socket.protocol.framing();
            let is_waiting_ping = socket.blocked && is_ping(&result);
            let is_event_stream = socket.is_event_stream();
            match &mut socket.outbox {
                // A heartbeat. What waits shows that the stream lives, and may begin in the midst
                // of an event.
                Some(_) if is_waiting_ping && is_event_stream => self.scratch.clear(),
                Some(outbox) if is_waiting_ping && !outbox.begins_with_http() => {
                    outbox.replace_pong(&self.scratch, framing, &mut self.storage);
                    self.scratch.clear();
                    registry.note_level(conn);
                }
                _ => self.queue_scratch(registry, conn),
            }
        }
        Some(result)
    }

    /// Queues what was written to the scratch buffer.
    fn queue_scratch(&mut self, registry: &mut Registry, conn: Key) {
        let corked = registry.is_corked(conn);
        if let Some(socket) = registry.table.get_mut(conn) {
            if corked {
                self.cork.bytes_mut().extend_from_slice(&self.scratch);
            } else {
                let outbox =
                    socket.outbox.get_or_insert_with(|| self.outboxes.take(&mut self.storage));
                outbox.push_bytes(&self.scratch, &mut self.storage);
                if socket.blocked {
                    registry.note_level(conn);
                } else {
                    self.dirty.push(conn, socket);
                }
            }
        }
        self.scratch.clear();
    }

    /// Corks a short message for the connection that it replies to, as most are; `false` if it is
    /// none of those.
    #[inline]
    pub(super) fn try_cork(&mut self, table: &Table, conn: Key, payload: Payload<'_>) -> bool {
        if !table.is_fast_server(conn) {
            return self.try_cork_otherwise(table, conn, payload);
        }
        if payload.bytes.len() >= REUSE_BYTES_MIN || self.cork.len() >= CORK_FLUSH_BYTES_MIN {
            return false;
        }
        self.cork.push_frame(&payload);
        self.messages_sent += 1;
        true
    }

    /// Apart from the usual frames of servers.
    #[inline(never)]
    fn try_cork_otherwise(&mut self, table: &Table, conn: Key, payload: Payload<'_>) -> bool {
        let Some(framing) = table.fast_path(conn) else {
            return false;
        };
        if payload.bytes.len() >= REUSE_BYTES_MIN || self.cork.len() >= CORK_FLUSH_BYTES_MIN {
            return false;
        }
        if framing == Framing::Raw {
            self.cork.bytes_mut().extend_from_slice(payload.bytes);
        } else {
            framing.next(&mut self.mask_keys).write(&payload, self.cork.bytes_mut());
        }
        self.messages_sent += 1;
        true
    }

    /// Counts a message that was taken, or dropped. One whose stream failed meanwhile is neither.
    pub(super) const fn count_message(&mut self, status: SendStatus) {
        match status {
            SendStatus::Sent | SendStatus::Queued => self.messages_sent += 1,
            SendStatus::Dropped => self.messages_dropped += 1,
            SendStatus::Gone => {}
        }
    }

    /// Appends a frame with this payload; what is wrong if it may not wait.
    pub(super) fn push_frame(
        &mut self,
        registry: &mut Registry,
        conn: Key,
        payload: &Payload<'_>,
    ) -> Result<(), SendStatus> {
        let Some(socket) = registry.table.get_mut(conn) else {
            return Err(SendStatus::Gone);
        };
        let envelope = socket.protocol.next_envelope(&mut self.mask_keys, registry.now);
        let is_taken = if let Some(outbox) = &mut socket.outbox {
            let hard = registry.input.replies.hard_limit(conn, &registry.limits);
            let fits = !socket.blocked || outbox.bytes() + payload.bytes.len() <= hard;
            if fits {
                outbox.push_frame(payload, envelope, &mut self.storage);
            }
            fits
        } else if registry.input.conn() == conn {
            self.cork.push_payload(payload, envelope, registry.limits.hard)
        } else {
            let mut outbox = self.outboxes.take(&mut self.storage);
            outbox.push_frame(payload, envelope, &mut self.storage);
            socket.outbox = Some(outbox);
            true
        };
        if is_taken { Ok(()) } else { Err(self.overflow(registry, conn, Disconnect::Overflow)) }
    }

    /// Appends a server's frames as the connection sends them: masked, or without their headers.
    pub(super) fn push_reframed(&mut self, registry: &mut Registry, conn: Key, frames: &[u8]) {
        let framing = registry.table.framing(conn);
        self.scratch.clear();
        reframe(frames, framing, &mut self.mask_keys, &mut self.scratch);
        self.queue_scratch(registry, conn);
    }

    /// Appends bytes as they are to the outbox.
    pub(super) fn queue_bytes(&mut self, registry: &mut Registry, conn: Key, bytes: &[u8]) {
        self.scratch.clear();
        self.scratch.extend_from_slice(bytes);
        self.queue_scratch(registry, conn);
    }

    /// Appends what follows the first `sent` bytes of a run.
    pub(super) fn push_run(
        &mut self,
        registry: &mut Registry,
        conn: Key,
        run: &Run<'_>,
        sent: usize,
    ) {
        let corked = registry.is_corked(conn);
        let Some(socket) = registry.table.get_mut(conn) else {
            return;
        };
        let rest = &run.as_slice()[sent..];
        if corked {
            match &run.frames {
                Frames::Shared(bytes, range) if rest.len() >= REUSE_BYTES_MIN => {
                    self.cork.push_shared(bytes.slice(range.start + sent..range.end));
                }
                _ => self.cork.bytes_mut().extend_from_slice(rest),
            }
            return;
        }
        // What is about to leave is cheaper to copy; what waits may wait for many.
        let waits = socket.blocked || sent > 0 || rest.len() >= REUSE_BYTES_MIN;
        let outbox = socket.outbox.get_or_insert_with(|| self.outboxes.take(&mut self.storage));
        if sent > 0 {
            // Runs are a server's frames.
            let end = end_of_begun(run.as_slice(), 0, sent, Framing::Unmasked);
            outbox.resume_frame(end - sent);
        }
        match (&run.frames, run.source) {
            (_, Some(source)) if waits => outbox.push_run(run, source, sent, &mut self.storage),
            (Frames::Shared(bytes, range), None) if rest.len() >= REUSE_BYTES_MIN => {
                let range = range.start + sent..range.end;
                outbox.push_shared(bytes, range, &mut self.storage);
            }
            _ => outbox.push_bytes(rest, &mut self.storage),
        }
    }

    /// Appends the long body of an HTTP response. It is shared, not copied.
    pub(super) fn push_body(&mut self, registry: &mut Registry, conn: Key, body: &Bytes) {
        if registry.is_corked(conn) {
            self.cork.push_shared(body.clone());
        } else if let Some(outbox) = registry.table.outbox_mut(conn) {
            // Behind its head.
            outbox.push_shared(body, 0..body.len(), &mut self.storage);
        }
    }

    /// Appends a run to what waits for a connection without frames.
    pub(super) fn push_unframed(&mut self, registry: &mut Registry, conn: Key, run: &Run<'_>) {
        let framing = registry.table.framing(conn);
        let bytes = self.unframed.write(run, framing, &mut self.mask_keys);
        self.queue_shared(registry, conn, &bytes);
    }

    /// Appends bytes that others may get, too. Short ones are copied.
    pub(super) fn queue_shared(&mut self, registry: &mut Registry, conn: Key, bytes: &Bytes) {
        if bytes.len() < REUSE_BYTES_MIN {
            return self.queue_bytes(registry, conn, bytes);
        }
        if registry.is_corked(conn) {
            return self.cork.push_shared(bytes.clone());
        }
        let Some(socket) = registry.table.get_mut(conn) else {
            return;
        };
        let outbox = socket.outbox.get_or_insert_with(|| self.outboxes.take(&mut self.storage));
        outbox.push_shared(bytes, 0..bytes.len(), &mut self.storage);
        if socket.blocked {
            registry.note_level(conn);
        } else {
            self.dirty.push(conn, socket);
        }
    }

    /// All that waits so far is HTTP responses, and no frames.
    pub(super) fn mark_http(&mut self, registry: &mut Registry, conn: Key) {
        if registry.is_corked(conn) {
            self.cork.mark_http();
        } else if let Some(outbox) = registry.table.outbox_mut(conn) {
            outbox.set_http(outbox.bytes());
        }
    }

    /// The stream takes nothing more for now.
    pub(super) fn note_blocked(&mut self, registry: &mut Registry, conn: Key) {
        let framing = registry.table.framing(conn);
        let now = registry.now;
        let Some(socket) = registry.table.get_mut(conn) else {
            return;
        };
        socket.blocked = true;
        if let Some(outbox) = &mut socket.outbox {
            outbox.progress.get_or_insert(now);
            outbox.trim(framing, &mut self.storage);
        }
        registry.resume_if_unread(conn);
        registry.note_level(conn);
    }

    /// The peer does not read: drops what is queued, and closes the connection with 1013. A raw
    /// stream, or a response, is cut: after its end in order, the peer would take what it got for
    /// all.
    pub(super) fn overflow(
        &mut self,
        registry: &mut Registry,
        conn: Key,
        reason: Disconnect,
    ) -> SendStatus {
        let framing = registry.table.framing(conn);
        if let Some(socket) = registry.table.get_mut(conn) {
            let is_http = socket.outbox.as_ref().is_some_and(|outbox| outbox.begins_with_http());
            let is_raw = !framing.is_framed();
            if let Some(outbox) = socket.outbox.as_mut().filter(|_| !is_raw) {
                outbox.truncate(framing, &mut self.storage);
            }
            let dropped = (is_http || is_raw).then(|| socket.take_outbox()).flatten();
            if let Some(outbox) = dropped {
                self.give_back(outbox);
            }
            let close = |protocol: &mut Protocol, work: &mut Workspace<'_>| match is_http || is_raw
            {
                // A frame would lie in the midst of a response.
                true => protocol.terminate(work),
                false => protocol.close(CloseCode::TRY_AGAIN_LATER, "", work),
            };
            self.write(registry, conn, close);
            registry.rank_output(conn);
            LimitedInput::new(registry, conn).end_pauses();
            registry.end(conn, End::Disconnect(reason));
            if is_raw {
                registry.kill(conn);
            }
        }
        SendStatus::Dropped
    }

    /// The handler of the connection at hand is lent a message. Sending it back needs no copy.
    pub(crate) const fn lend(&mut self, message: Lent) {
        self.cork.lend(message);
    }

    /// Takes back the input of a raw stream. It needs no header.
    pub(crate) const fn take_back_data(&mut self) {
        self.cork.take_back();
    }

    /// Takes back a message that lies in the receive buffer, if one is lent.
    pub(crate) fn take_back_received(&mut self, buffer: &mut [u8]) {
        if let Some(reuse) = self.cork.take_back() {
            reuse.write_header(buffer);
        }
    }

    /// Takes back a message with its own storage.
    pub(crate) fn take_back_assembled(&mut self, buffer: Buffer) {
        match self.cork.take_back() {
            Some(reuse) => self.cork.fill_assembled(&reuse, buffer.into_storage().0),
            None => self.storage.buffers.recycle(buffer),
        }
    }
}
