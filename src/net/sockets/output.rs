//! Output: from handlers and topics to the cork or the outbox.

use std::io::{self, IoSlice};

use super::{REUSE, SendStatus, Sockets};
use crate::net::disconnect::Disconnect;
use crate::net::outbox::end_of_begun;
use crate::net::socket::Socket;
use crate::net::streams::Transmit;
use crate::proto::{
    FrameHeader, MaskKeys, Message, Outgoing, Payload, PreparedMessage, Role, write_payload,
};
use crate::slots::Key;
use crate::topics::{Frames, Run, SendCapacity};

/// Corked output is sent from this length on, without waiting for the handler to return.
const CORK_FULL: usize = 64 * 1024;

/// Storage for compressed messages up to this many bytes is kept.
const COMPRESSED_KEPT: usize = 64 * 1024;

/// Queued output is sent from this length on, without waiting for the turn's end.
const OUTBOX_FULL: usize = 16 * 1024;

impl Sockets {
    /// Corks a short message for the connection that it answers, as most are; `false` if it is not
    /// one of those.
    #[inline]
    pub(crate) fn try_send_short(&mut self, conn: Key, message: Message<'_>) -> bool {
        let Some(role) = self.slots.unhindered(conn) else {
            return false;
        };
        if message.len() >= REUSE || self.cork.len() >= CORK_FULL {
            return false;
        }
        let key = (role == Role::Client).then(|| self.keys.next_key());
        self.cork.push_frame(&message.into(), key);
        self.messages_sent += 1;
        true
    }

    /// Sends a message to a connection that is open.
    pub(crate) fn send(
        &mut self,
        conn: Key,
        outgoing: Outgoing<'_>,
        io: &mut dyn Transmit,
    ) -> SendStatus {
        let status = match outgoing.prepared() {
            Some(prepared) => self.push_prepared(conn, prepared, io),
            None => self.push_message(conn, outgoing, io),
        };
        self.note_message(status)
    }

    fn push_message(
        &mut self,
        conn: Key,
        outgoing: Outgoing<'_>,
        io: &mut dyn Transmit,
    ) -> SendStatus {
        let message = outgoing.message();
        if !outgoing.may_compress() || !self.compresses(conn, message.len()) {
            return self.push_frame(conn, &message.into(), io);
        }
        let mut compressed = std::mem::take(&mut self.compressed);
        let payload = self.compress(conn, message, &mut compressed);
        let status = self.push_frame(conn, &payload, io);
        compressed.clear();
        compressed.shrink_to(COMPRESSED_KEPT);
        self.compressed = compressed;
        status
    }

    /// Sends a message that is encoded already, sharing its bytes.
    fn push_prepared(
        &mut self,
        conn: Key,
        message: &PreparedMessage,
        io: &mut dyn Transmit,
    ) -> SendStatus {
        let (frame, payload, forms) = (message.frame(), message.payload(), message.compressible());
        let compresses = forms.is_some() && self.compresses(conn, payload.bytes.len());
        let is_short = frame.len() < REUSE || self.role(conn) == Role::Client;
        if is_short && !compresses {
            self.push_frame(conn, &payload, io)
        } else {
            let frames = Frames::Shared(frame, 0..frame.len());
            self.push_run(conn, &Run::new(frames, forms, None), io)
        }
    }

    /// Whether a message of that length to the connection is compressed.
    fn compresses(&self, conn: Key, len: usize) -> bool {
        self.slots.get(conn).is_some_and(|socket| socket.protocol.compression().applies_to(len))
    }

    /// Counts a message that was taken, or dropped. One whose stream failed meanwhile is neither.
    fn note_message(&mut self, status: SendStatus) -> SendStatus {
        match status {
            SendStatus::Sent | SendStatus::Queued => self.messages_sent += 1,
            SendStatus::Dropped => self.messages_dropped += 1,
            SendStatus::Gone => {}
        }
        status
    }

    /// Sends a ping.
    pub(crate) fn ping(&mut self, conn: Key, payload: &[u8], io: &mut dyn Transmit) -> SendStatus {
        let queued = self.slots.get(conn).map_or(0, Socket::queued);
        let hard = self.answers.hard_limit(conn, &self.limits);
        if queued > 0 && queued + payload.len() > hard {
            return self.overflow(conn, Disconnect::Overflow);
        }
        if !self.has_room(conn, payload.len(), io) {
            return SendStatus::Dropped;
        }
        match self.answer(conn, |protocol, workspace| protocol.ping(payload, workspace), |_| false)
        {
            Some(true) => self.pushed(conn, io),
            _ => SendStatus::Gone,
        }
    }

    /// How much topics may send the connection.
    pub(crate) fn room(&self, conn: Key) -> SendCapacity {
        match self.slots.get(conn).filter(|socket| socket.blocked && socket.is_open()) {
            Some(socket) => SendCapacity::Waiting {
                backed_up: socket.is_backed_up(&self.limits),
                bytes: self.limits.hard.saturating_sub(socket.queued()),
            },
            None => SendCapacity::Unlimited,
        }
    }

    /// Sends frames of a topic to a connection that was settled up to them; `false` if that was
    /// more than may wait.
    #[inline]
    pub(crate) fn deliver(&mut self, conn: Key, run: &Run<'_>, io: &mut impl Transmit) -> bool {
        let Some(socket) = self.slots.get(conn).filter(|socket| socket.is_open()) else {
            return true;
        };
        let is_direct = socket.outbox.is_none() && socket.protocol.role() == Role::Server;
        if !is_direct || (run.forms.is_some() && socket.protocol.is_compressed()) {
            return self.deliver_any(conn, run, is_direct, io);
        }
        let slice = run.as_slice();
        let sent = io.transmit(conn.index(), &[IoSlice::new(slice)]);
        if !sent.as_ref().is_ok_and(|sent| *sent == slice.len()) {
            self.deliver_rest(conn, run, sent);
        }
        true
    }

    #[inline(never)]
    fn deliver_any(
        &mut self,
        conn: Key,
        run: &Run<'_>,
        is_direct: bool,
        io: &mut impl Transmit,
    ) -> bool {
        let socket = self.slots.get(conn);
        if run.forms.is_some() && socket.is_some_and(|socket| socket.protocol.is_compressed()) {
            if let Some(compressed) = self.compress_run(conn, run) {
                return self.deliver(conn, &Run::form(&compressed, run.source), io);
            }
        }
        if is_direct {
            let verbatim = Run::new(run.frames.clone(), None, run.source);
            return self.deliver(conn, &verbatim, io);
        }
        self.push_frames(conn, run, io) != SendStatus::Dropped
    }

    /// The stream took less than all, or has failed.
    #[cold]
    fn deliver_rest(&mut self, conn: Key, run: &Run<'_>, sent: io::Result<usize>) {
        match sent {
            Ok(sent) => {
                self.queue_run(conn, run, sent);
                self.note_blocked(conn);
                self.relieve_output(conn);
            }
            Err(error) => self.fail(conn, error),
        }
    }

    pub(super) fn push_frame(
        &mut self,
        conn: Key,
        payload: &Payload<'_>,
        io: &mut dyn Transmit,
    ) -> SendStatus {
        let len = payload.bytes.len();
        if !self.has_room(conn, len, io) {
            return SendStatus::Dropped;
        }
        let Some(socket) = self.slots.get_mut(conn) else {
            return SendStatus::Gone;
        };
        let key = self.keys.key_for(socket.protocol.role());
        if let Some(outbox) = &mut socket.outbox {
            let hard = self.answers.hard_limit(conn, &self.limits);
            if socket.blocked && outbox.bytes() + len > hard {
                return self.overflow(conn, Disconnect::Overflow);
            }
            outbox.push_frame(payload, key, &mut self.pool);
        } else if let Some(current) = self.current.as_mut().filter(|current| current.conn == conn) {
            let lent = current.lent.filter(|lent| {
                len >= REUSE && key.is_none() && current.reuse.is_none() && lent.is(payload.bytes)
            });
            let reuse =
                lent.and_then(|lent| self.cork.reuse(payload, lent.payload, lent.assembled));
            if reuse.is_none() && self.cork.copied() + len > self.limits.hard {
                // It cannot be sent while the message that it answers is lent.
                if self.cork.copied() > 0 && !self.cork.is_self_contained() {
                    return self.overflow(conn, Disconnect::Overflow);
                }
            }
            match reuse {
                Some(_) => current.reuse = reuse,
                None => self.cork.push_frame(payload, key),
            }
        } else {
            let mut outbox = self.pool.take();
            outbox.push_frame(payload, key, &mut self.pool);
            socket.outbox = Some(outbox);
        }
        self.pushed(conn, io)
    }

    /// Appends frames of a topic, or of a prepared message, compressed and masked as the
    /// connection needs it.
    pub(crate) fn push_run(
        &mut self,
        conn: Key,
        run: &Run<'_>,
        io: &mut dyn Transmit,
    ) -> SendStatus {
        match self.compress_run(conn, run) {
            Some(compressed) => self.push_frames(conn, &Run::form(&compressed, run.source), io),
            None => self.push_frames(conn, run, io),
        }
    }

    fn push_frames(&mut self, conn: Key, run: &Run<'_>, io: &mut dyn Transmit) -> SendStatus {
        let Some(socket) = self.slots.get(conn).filter(|socket| socket.is_open()) else {
            return SendStatus::Gone;
        };
        let queued = socket.queued() + run.as_slice().len();
        if socket.blocked && queued > self.answers.hard_limit(conn, &self.limits) {
            return self.overflow(conn, Disconnect::Overflow);
        }
        if !self.has_room(conn, run.as_slice().len(), io) {
            return SendStatus::Dropped;
        }
        if self.role(conn) == Role::Client {
            self.scratch.clear();
            mask_frames(run.as_slice(), &mut self.keys, &mut self.scratch);
            self.take_scratch(conn);
        } else {
            self.queue_run(conn, run, 0);
        }
        self.pushed(conn, io)
    }

    /// Appends what follows the first `sent` bytes of a run.
    pub(super) fn queue_run(&mut self, conn: Key, run: &Run<'_>, sent: usize) {
        let corked = self.is_corked(conn);
        let Some(socket) = self.slots.get_mut(conn) else {
            return;
        };
        let rest = &run.as_slice()[sent..];
        if corked {
            match &run.frames {
                Frames::Shared(bytes, range) if rest.len() >= REUSE => {
                    self.cork.push_shared(bytes.slice(range.start + sent..range.end));
                }
                _ => self.cork.bytes_mut().extend_from_slice(rest),
            }
            return;
        }
        // What is about to leave is cheaper to copy; what waits may wait for many.
        let waits = socket.blocked || sent > 0 || rest.len() >= REUSE;
        let outbox = socket.outbox.get_or_insert_with(|| self.pool.take());
        if sent > 0 {
            // Runs are a server's frames.
            let end = end_of_begun(run.as_slice(), 0, sent, Role::Client);
            outbox.resume_frame(end - sent);
        }
        match (&run.frames, run.source) {
            (_, Some(source)) if waits => outbox.push_run(run, source, sent, &mut self.pool),
            (Frames::Shared(bytes, range), None) if rest.len() >= REUSE => {
                let range = range.start + sent..range.end;
                outbox.push_shared(bytes, range, &mut self.pool);
            }
            _ => outbox.push_bytes(rest, &mut self.pool),
        }
    }

    /// Forgets where batches were copied to: no connection gets them any more.
    pub(crate) fn forget_batches(&mut self) {
        self.pool.shared.forget_batches();
    }

    /// After output was appended: sends it if it is much, or notes that it is to be flushed.
    pub(super) fn pushed(&mut self, conn: Key, io: &mut dyn Transmit) -> SendStatus {
        if self.is_corked(conn) {
            if self.cork.len() >= CORK_FULL && self.cork.is_self_contained() {
                self.flush_cork(&[], io);
            }
        } else if let Some(socket) = self.slots.get_mut(conn) {
            let is_much = socket.queued() >= OUTBOX_FULL || self.pool.held() > self.caps.outbound;
            if !socket.blocked && is_much {
                self.flush(conn, io);
            } else if socket.blocked && socket.is_backed_up(&self.limits) {
                self.note_level(conn);
            } else if !socket.blocked && !socket.dirty {
                socket.dirty = true;
                self.dirty.push(conn);
            }
        }
        if self.is_short_of_memory() {
            let is_begun = self.is_all_begun(conn);
            if !self.relieve_output(conn) {
                if is_begun {
                    // A message with the status `Dropped` must not arrive.
                    self.cut_output(conn);
                }
                return SendStatus::Dropped;
            }
        }
        match self.slots.get(conn) {
            Some(socket) if socket.is_dead() => SendStatus::Gone,
            Some(socket) if socket.blocked => SendStatus::Queued,
            Some(_) => SendStatus::Sent,
            None => SendStatus::Gone,
        }
    }

    /// Whether all that waits for the connection is the rest of one frame that was begun.
    #[cold]
    fn is_all_begun(&self, conn: Key) -> bool {
        let outbox = self.slots.get(conn).and_then(|socket| socket.outbox.as_ref());
        outbox.is_some_and(|outbox| outbox.is_all_begun(self.receiver(conn), &self.pool))
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
}

/// Writes a server's frames again as a client sends them.
fn mask_frames(mut frames: &[u8], keys: &mut MaskKeys, out: &mut Vec<u8>) {
    while let Ok(Some((header, len))) = FrameHeader::parse_agreed(frames, Role::Client, true) {
        let (frame, rest) = frames.split_at(len + header.len as usize);
        let FrameHeader { opcode, compressed, .. } = header;
        let payload = Payload { opcode, compressed, bytes: &frame[len..] };
        write_payload(&payload, Some(keys.next_key()), out);
        frames = rest;
    }
}
