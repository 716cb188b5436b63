//! What waits to be sent to one connection.

mod chunk;
mod pool;
mod shared;

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

use bytes::Bytes;

use self::chunk::Chunk;
use self::shared::Slice;
use crate::proto::{FrameHeader, Payload, Role, write_payload};
use crate::slots::Key;
use crate::time::Time;

pub(crate) use self::chunk::end_of_begun;
pub(crate) use self::pool::OutboxPool;

/// Copied frames are gathered up to this many bytes before another piece of storage is begun.
const CHUNK: usize = 64 * 1024;

/// Slices in one vectored send.
pub(crate) const MAX_SLICES: usize = 64;

/// Output that the socket has not taken yet, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    chunks: VecDeque<Chunk>,
    /// The newest pong that waits, written whole. It goes out at the next boundary between
    /// chunks; an older one that still waits is replaced (RFC 6455 §5.5.3 allows it), so that
    /// pings cannot fill the memory of a peer that does not read.
    pong: Option<Vec<u8>>,
    /// Where in the front chunk its first frame begins that had not begun to be sent when the
    /// chunk was made.
    boundary: usize,
    /// Sum of the lengths of the chunks and the pong.
    bytes: usize,
    /// How many of them, at the front, are answers to requests, and no frames.
    plain: usize,
    /// Bytes of memory that the chunks hold by themselves.
    held: usize,
    /// When the socket last took something after it had refused, or refused for the first time.
    pub(crate) progress: Option<Time>,
    /// It has taken something since it refused.
    is_read: bool,
    /// Since when more than the soft limit waits, as far as [`Outbox::note_level`] was told.
    above_soft: Option<Time>,
}

impl Outbox {
    /// Bytes that wait.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Bytes of memory that it holds by itself.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    /// Bytes that wait, or bytes of memory that it holds by itself if that is more.
    pub(crate) fn cost(&self) -> usize {
        self.bytes.max(self.held)
    }

    /// Whether the peer has taken something after it had refused.
    pub(crate) const fn is_read(&self) -> bool {
        self.is_read
    }

    /// Notes that the first `count` bytes are no frames.
    pub(crate) const fn set_plain(&mut self, count: usize) {
        self.plain = count;
    }

    /// Whether what is sent next is no frame.
    pub(crate) const fn is_plain(&self) -> bool {
        self.plain > 0
    }

    /// Notes whether more than `soft` waits while the socket takes nothing.
    pub(crate) fn note_level(&mut self, soft: usize, now: Time) {
        if self.bytes <= soft {
            self.above_soft = None;
        } else {
            self.above_soft.get_or_insert(now);
        }
    }

    /// Since when more than the soft limit waits without progress.
    pub(crate) fn stalled_since(&self) -> Option<Time> {
        Some(self.progress?.max(self.above_soft?))
    }

    const fn grow(&mut self, count: usize, pool: &mut OutboxPool) {
        self.bytes += count;
        pool.queued += count;
    }

    const fn shrink(&mut self, count: usize, pool: &mut OutboxPool) {
        self.bytes -= count;
        pool.queued -= count;
    }

    /// Counts memory that is held in place of so many bytes before.
    const fn hold(&mut self, before: usize, after: usize, pool: &mut OutboxPool) {
        self.held = self.held - before + after;
        pool.held = pool.held - before + after;
    }

    fn push(&mut self, chunk: Chunk, pool: &mut OutboxPool) {
        self.hold(0, chunk.held(), pool);
        self.chunks.push_back(chunk);
    }

    fn drop_chunk(&mut self, chunk: Chunk, pool: &mut OutboxPool) {
        self.hold(chunk.held(), 0, pool);
        pool.recycle(chunk);
    }

    pub(crate) fn push_frame(
        &mut self,
        payload: &Payload<'_>,
        key: Option<[u8; 4]>,
        pool: &mut OutboxPool,
    ) {
        self.append(payload.bytes.len(), pool, |storage| write_payload(payload, key, storage));
    }

    pub(crate) fn push_bytes(&mut self, bytes: &[u8], pool: &mut OutboxPool) {
        if !bytes.is_empty() {
            self.append(bytes.len(), pool, |storage| storage.extend_from_slice(bytes));
        }
    }

    /// Appends `range` of bytes that somebody else holds, too.
    pub(crate) fn push_shared(
        &mut self,
        bytes: &Bytes,
        range: Range<usize>,
        pool: &mut OutboxPool,
    ) {
        if !range.is_empty() {
            let slice = pool.shared.share(bytes, range);
            self.push_slice(slice, pool);
        }
    }

    /// Appends `range` of a batch of that topic, which others wait for, too.
    pub(crate) fn push_batch(
        &mut self,
        topic: Key,
        batch: &Bytes,
        range: Range<usize>,
        pool: &mut OutboxPool,
    ) {
        if !range.is_empty() {
            let slice = pool.shared.share_batch(topic, batch, range);
            self.push_slice(slice, pool);
        }
    }

    fn push_slice(&mut self, slice: Slice, pool: &mut OutboxPool) {
        self.grow(slice.range.len(), pool);
        let apart = match self.chunks.back_mut() {
            Some(Chunk::Shared { slice: last, .. }) => last.append(slice, &mut pool.shared),
            _ => Some(slice),
        };
        if let Some(slice) = apart {
            self.trim_last(pool);
            self.push(Chunk::Shared { slice, sent: 0 }, pool);
        }
    }

    pub(crate) fn push_assembled(
        &mut self,
        storage: Vec<u8>,
        range: Range<usize>,
        pool: &mut OutboxPool,
    ) {
        self.grow(range.len(), pool);
        self.push(Chunk::Assembled(storage, range), pool);
    }

    /// Lets `pong`, a whole frame, wait instead of the one that waits.
    pub(crate) fn replace_pong(&mut self, pong: &[u8], pool: &mut OutboxPool) {
        let mut kept = self.pong.take().unwrap_or_default();
        self.shrink(kept.len(), pool);
        let held = kept.capacity();
        kept.clear();
        kept.extend_from_slice(pong);
        self.hold(held, kept.capacity(), pool);
        self.grow(kept.len(), pool);
        self.pong = Some(kept);
    }

    /// Lets the pong that waits go before whatever is appended next.
    pub(crate) fn append_pong(&mut self, pool: &mut OutboxPool) {
        if let Some(chunk) = self.take_pong(pool) {
            self.push(chunk, pool);
        }
    }

    /// Appends about `len` bytes to copied frames.
    fn append(&mut self, len: usize, pool: &mut OutboxPool, write: impl FnOnce(&mut Vec<u8>)) {
        let fits = match self.chunks.back() {
            Some(Chunk::Copied { bytes, .. }) => bytes.len() + len <= CHUNK,
            _ => false,
        };
        if !fits {
            self.trim_last(pool);
            // What waits should hold no more than it needs.
            let waits = self.progress.is_some();
            let bytes = if waits { Vec::new() } else { pool.take_storage() };
            self.push(Chunk::Copied { bytes, sent: 0 }, pool);
        }
        let Some(Chunk::Copied { bytes, .. }) = self.chunks.back_mut() else {
            unreachable!("a copied chunk was just seen or made");
        };
        let (before, capacity) = (bytes.len(), bytes.capacity());
        make_room(bytes, len + FrameHeader::MAX_LEN);
        write(bytes);
        let (len, grown) = (bytes.len() - before, bytes.capacity());
        self.hold(capacity, grown, pool);
        self.grow(len, pool);
    }

    /// The first slices that wait, and their length in all.
    pub(crate) fn slices<'a>(
        &'a self,
        slices: &mut [IoSlice<'a>; MAX_SLICES],
        pool: &'a OutboxPool,
    ) -> (usize, usize) {
        let mut bytes = 0;
        let mut count = 0;
        for (slot, chunk) in slices.iter_mut().zip(&self.chunks) {
            let slice = chunk.as_slice(&pool.shared);
            bytes += slice.len();
            count += 1;
            *slot = IoSlice::new(slice);
        }
        if let Some(pong) = self.pong.as_deref().filter(|_| count == 0) {
            slices[0] = IoSlice::new(pong);
            return (1, pong.len());
        }
        (count, bytes)
    }

    /// The socket took `count` bytes.
    pub(crate) fn consume(&mut self, mut count: usize, pool: &mut OutboxPool, now: Time) {
        // Whoever never had to wait has nothing to be told of when it is empty.
        if let Some(progress) = self.progress.as_mut().filter(|_| count > 0) {
            *progress = now;
            self.is_read = true;
        }
        self.plain = self.plain.saturating_sub(count);
        self.shrink(count, pool);
        if self.chunks.is_empty() {
            self.place_pong(pool);
        }
        while let Some(front) = self.chunks.front_mut() {
            let len = front.len();
            if count < len {
                front.skip(count);
                return;
            }
            count -= len;
            if let Some(chunk) = self.chunks.pop_front() {
                self.drop_chunk(chunk, pool);
            }
            self.boundary = 0;
            if count == 0 {
                self.place_pong(pool);
                return;
            }
        }
    }

    /// Between chunks: the pong is the next to go.
    fn place_pong(&mut self, pool: &mut OutboxPool) {
        if let Some(chunk) = self.take_pong(pool) {
            self.hold(0, chunk.held(), pool);
            self.chunks.push_front(chunk);
        }
    }

    /// The pong that waits, which counts nowhere then.
    fn take_pong(&mut self, pool: &mut OutboxPool) -> Option<Chunk> {
        let bytes = self.pong.take()?;
        self.hold(bytes.capacity(), 0, pool);
        Some(Chunk::Copied { bytes, sent: 0 })
    }

    /// Says that of what is appended next `begun` bytes are the rest of a frame that has begun to
    /// be sent. There is nothing in front of them.
    pub(crate) fn resume_frame(&mut self, begun: usize) {
        debug_assert!(self.chunks.is_empty());
        self.boundary = begun;
    }

    /// Forgets what was not begun: what remains is the rest of the frame in front, or nothing if
    /// that is none. `receiver` is the role of the peer.
    pub(crate) fn truncate(&mut self, receiver: Role, pool: &mut OutboxPool) {
        let kept = usize::from(!self.is_plain());
        self.plain = 0;
        self.take_pong(pool);
        while self.chunks.len() > kept {
            if let Some(chunk) = self.chunks.pop_back() {
                self.drop_chunk(chunk, pool);
            }
        }
        if let Some(mut front) = self.chunks.pop_front() {
            let begun = front.begun(self.boundary, receiver, &pool.shared);
            self.boundary = front.keep(begun);
            if begun == 0 {
                self.drop_chunk(front, pool);
            } else {
                self.chunks.push_front(front);
            }
        }
        let left = self.chunks.front().map_or(0, Chunk::len);
        self.shrink(self.bytes - left, pool);
        self.trim(receiver, pool);
    }

    /// Gives back memory that is much more than what waits in it, where bytes were sent and where
    /// some are appended: nowhere else is there any.
    pub(crate) fn trim(&mut self, receiver: Role, pool: &mut OutboxPool) {
        let front = if self.chunks.front().is_some_and(Chunk::is_wasteful) {
            self.chunks.pop_front()
        } else {
            None
        };
        if let Some(front) = front {
            self.boundary = front.begun(self.boundary, receiver, &pool.shared);
            let trimmed = Chunk::copy(front.as_slice(&pool.shared));
            self.hold(0, trimmed.held(), pool);
            self.chunks.push_front(trimmed);
            self.drop_chunk(front, pool);
        }
        self.trim_last(pool);
    }

    fn trim_last(&mut self, pool: &mut OutboxPool) {
        // The front one has a boundary, too.
        if self.chunks.len() > 1 && self.chunks.back().is_some_and(Chunk::is_wasteful) {
            if let Some(last) = self.chunks.pop_back() {
                self.push(Chunk::copy(last.as_slice(&pool.shared)), pool);
                self.drop_chunk(last, pool);
            }
        }
    }

    /// Empties it, and forgets all that is known of it.
    fn clear(&mut self, pool: &mut OutboxPool) {
        self.shrink(self.bytes, pool);
        self.take_pong(pool);
        while let Some(chunk) = self.chunks.pop_front() {
            self.drop_chunk(chunk, pool);
        }
        self.hold(self.held, 0, pool);
        *self = Self { chunks: std::mem::take(&mut self.chunks), ..Self::default() };
    }
}

/// Makes room for `len` more bytes, and for a quarter of a chunk more at most: less than a vector
/// does by itself, because what waits in thousands of outboxes counts with its spare room.
fn make_room(bytes: &mut Vec<u8>, len: usize) {
    let needed = bytes.len() + len;
    if needed > bytes.capacity() {
        let target = needed.max(CHUNK.min(needed + needed / 4));
        bytes.reserve_exact(target - bytes.len());
    }
}

#[cfg(test)]
mod tests;
