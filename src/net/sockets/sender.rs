//! Sending: to the cork or the outbox of a connection, and on to its stream.

use super::Sockets;
use super::output::CORK_FLUSH_BYTES_MIN;
use crate::net::cork::REUSE_BYTES_MIN;
use crate::net::disconnect::Disconnect;
use crate::net::framing::Framing;
use crate::net::send_status::SendStatus;
use crate::net::socket::Socket;
use crate::net::streams::Transmit;
use crate::proto::{FrameHeader, Payload, PreparedMessage};
use crate::slots::Key;
use crate::topics::{Frames, Run, SendCapacity};

/// Storage for compressed messages up to this many bytes is kept.
const COMPRESSED_KEPT_BYTES_MAX: usize = 64 * 1024;

/// Queued output is sent from this length on, without waiting for the turn's end.
const OUTBOX_FLUSH_BYTES_MIN: usize = 16 * 1024;

/// All connections together with their streams.
pub(crate) struct Sender<'a> {
    pub(super) sockets: &'a mut Sockets,
    pub(super) io: &'a mut dyn Transmit,
}

impl<'a> Sender<'a> {
    #[inline]
    pub(crate) fn new(sockets: &'a mut Sockets, io: &'a mut dyn Transmit) -> Self {
        Self { sockets, io }
    }
}

impl Sender<'_> {
    /// How much topics may send the connection.
    pub(crate) fn send_capacity(&self, conn: Key) -> SendCapacity {
        self.sockets.registry.send_capacity(conn)
    }

    /// Sends a message to a connection that is open.
    pub(crate) fn send(
        &mut self,
        conn: Key,
        payload: Payload<'_>,
        may_compress: bool,
    ) -> SendStatus {
        let status = if may_compress && self.compresses(conn, payload.bytes.len()) {
            self.push_compressed(conn, payload)
        } else {
            self.push_frame(conn, &payload)
        };
        self.sockets.output.count_message(status);
        status
    }

    fn push_compressed(&mut self, conn: Key, payload: Payload<'_>) -> SendStatus {
        let Sockets { registry, output } = &mut *self.sockets;
        let mut compressed = std::mem::take(&mut output.compressed);
        let payload = output.compress(&mut registry.table, conn, payload, &mut compressed);
        let status = self.push_frame(conn, &payload);
        compressed.clear();
        compressed.shrink_to(COMPRESSED_KEPT_BYTES_MAX);
        self.sockets.output.compressed = compressed;
        status
    }

    /// Sends a message that is encoded already to a connection that is open, sharing its bytes.
    pub(crate) fn send_prepared(&mut self, conn: Key, message: &PreparedMessage) -> SendStatus {
        let (frame, payload, forms) = (message.frame(), message.payload(), message.compressible());
        let compresses = forms.is_some() && self.compresses(conn, payload.bytes.len());
        let is_shareable = self.sockets.registry.table.framing(conn) == Framing::Unmasked;
        let status = if !compresses && (!is_shareable || frame.len() < REUSE_BYTES_MIN) {
            self.push_frame(conn, &payload)
        } else {
            let frames = Frames::Shared(frame, 0..frame.len());
            self.push_run(conn, &Run::new(frames, forms, None))
        };
        self.sockets.output.count_message(status);
        status
    }

    /// Whether a message of that length to the connection is compressed.
    fn compresses(&self, conn: Key, len: usize) -> bool {
        let socket = self.sockets.get(conn);
        socket.is_some_and(|socket| socket.protocol.compresses(len))
    }

    pub(crate) fn ping(&mut self, conn: Key, payload: &[u8]) -> SendStatus {
        if !self.sockets.registry.table.framing(conn).is_framed() {
            return SendStatus::Gone;
        }
        let queued = self.sockets.get(conn).map_or(0, Socket::queued);
        let Sockets { registry, output } = &mut *self.sockets;
        let hard = registry.input.replies.hard_limit(conn, &registry.limits);
        if queued > 0 && queued + payload.len() + FrameHeader::MAX_LEN > hard {
            return output.overflow(registry, conn, Disconnect::Overflow);
        }
        if !self.has_capacity(conn, payload.len()) {
            return SendStatus::Dropped;
        }
        let Sockets { registry, output } = &mut *self.sockets;
        match output.write_frames(registry, conn, |socket, work| socket.ping(payload, work)) {
            Some(true) => self.pushed(conn),
            _ => SendStatus::Gone,
        }
    }

    fn push_frame(&mut self, conn: Key, payload: &Payload<'_>) -> SendStatus {
        if !self.has_capacity(conn, payload.bytes.len()) {
            return SendStatus::Dropped;
        }
        let Sockets { registry, output } = &mut *self.sockets;
        match output.push_frame(registry, conn, payload) {
            Ok(()) => self.pushed(conn),
            Err(status) => status,
        }
    }

    /// Appends frames of a topic, or of a prepared message, compressed and masked as the
    /// connection needs it.
    pub(crate) fn push_run(&mut self, conn: Key, run: &Run<'_>) -> SendStatus {
        let Sockets { registry, output } = &mut *self.sockets;
        match output.compress_run(&mut registry.table, conn, run) {
            Some(compressed) => self.push_frames(conn, &Run::form(&compressed, run.source)),
            None => self.push_frames(conn, run),
        }
    }

    /// Appends frames as they are, but for their masks, or their headers on a raw stream.
    pub(super) fn push_frames(&mut self, conn: Key, run: &Run<'_>) -> SendStatus {
        let frames = run.as_slice();
        let Sockets { registry, output } = &mut *self.sockets;
        let Some(socket) = registry.table.get(conn).filter(|socket| socket.is_open()) else {
            return SendStatus::Gone;
        };
        let framing = socket.protocol.framing();
        let queued = socket.queued() + frames.len();
        if socket.blocked && queued > registry.input.replies.hard_limit(conn, &registry.limits) {
            return output.overflow(registry, conn, Disconnect::Overflow);
        }
        if !self.has_capacity(conn, frames.len()) {
            return SendStatus::Dropped;
        }
        let Sockets { registry, output } = &mut *self.sockets;
        match framing {
            Framing::Unmasked => output.push_run(registry, conn, run, 0),
            Framing::Masked => output.push_reframed(registry, conn, frames),
            Framing::Raw | Framing::Chunks | Framing::Events | Framing::NamedEvents => {
                output.push_unframed(registry, conn, run);
            }
        }
        self.pushed(conn)
    }

    /// Whether `len` more bytes may wait for a connection, after memory was freed for them.
    #[inline]
    fn has_capacity(&mut self, conn: Key, len: usize) -> bool {
        self.sockets.relief().has_memory(len)
            // What is corked may leave at once.
            || self.sockets.registry.is_corked(conn)
            || self.free_memory(conn, len)
    }

    #[cold]
    fn free_memory(&mut self, conn: Key, len: usize) -> bool {
        // Output that can leave now leaves first.
        self.flush_dirty();
        self.sockets.relief().shed_output(conn, len)
    }

    /// After output was appended: sends it if it is much, or notes that it is to be flushed.
    fn pushed(&mut self, conn: Key) -> SendStatus {
        let is_short_of_memory = !self.sockets.relief().has_memory(0);
        let Sockets { registry, output } = &mut *self.sockets;
        if registry.is_corked(conn) {
            let is_much = output.cork.len() >= CORK_FLUSH_BYTES_MIN;
            if is_much && output.cork.is_self_contained() {
                self.flush_cork(&[]);
            }
        } else if let Some(socket) = registry.table.get_mut(conn) {
            let is_much = socket.queued() >= OUTBOX_FLUSH_BYTES_MIN || is_short_of_memory;
            if socket.blocked {
                if socket.is_backed_up(&registry.limits) {
                    registry.note_level(conn);
                }
            } else if is_much {
                self.flush(conn);
            } else {
                output.dirty.push(conn, socket);
            }
        }
        if !self.sockets.relief().has_memory(0) {
            let mut relief = self.sockets.relief();
            let is_begun = relief.has_only_begun(conn);
            if !relief.relieve_output(conn) {
                if is_begun {
                    // A message with the status `Dropped` must not arrive.
                    relief.cut_output(conn);
                }
                return SendStatus::Dropped;
            }
        }
        match self.sockets.get(conn) {
            Some(socket) if socket.is_dead() => SendStatus::Gone,
            Some(socket) if socket.blocked => SendStatus::Queued,
            Some(_) => SendStatus::Sent,
            None => SendStatus::Gone,
        }
    }
}
