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
use super::reading::ReadDebt;
use crate::proto::{FrameHeader, Payload, Role, write_payload};
use crate::time::Time;
use crate::topics::{Run, Source};

pub(crate) use self::chunk::end_of_begun;
pub(crate) use self::pool::OutboxPool;

/// Copied frames are gathered up to this many bytes before another piece of storage is begun.
const CHUNK: usize = 64 * 1024;

/// Slices in one vectored send.
pub(crate) const SLICES_MAX: usize = 64;

/// What a stream is offered in one send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    /// How many slices.
    pub(crate) slices: usize,
    /// Their length in all.
    pub(crate) bytes: usize,
}

/// Output that the socket has not taken, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    chunks: VecDeque<Chunk>,
    /// The front chunk's first frame has begun to be sent.
    begun: bool,
    /// Where in the front chunk its first frame begins that had not begun to be sent when the
    /// chunk was made.
    boundary: usize,
    /// Sum of the lengths of the chunks.
    bytes: usize,
    /// How many of them, at the front, are HTTP responses, and no frames.
    http: usize,
    /// Bytes of memory that the chunks hold by themselves.
    held: usize,
    /// When the socket last took something after it had refused, or refused for the first time.
    pub(crate) progress: Option<Time>,
    /// It has taken something since it refused.
    is_read: bool,
    /// Since when more than the soft limit waits, as far as [`Outbox::note_level`] was told.
    above_soft: Option<Time>,
    pub(crate) read_debt: ReadDebt,
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

    /// Notes that the first `count` bytes are HTTP responses.
    pub(crate) const fn set_http(&mut self, count: usize) {
        self.http = count;
    }

    /// Whether what is sent next is an HTTP response.
    pub(crate) const fn begins_with_http(&self) -> bool {
        self.http > 0
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
        self.read_debt.note_queued(count);
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

    /// Appends frames that were broadcast, which others wait for, too, from `sent` on.
    pub(crate) fn push_run(
        &mut self,
        run: &Run<'_>,
        source: Source,
        sent: usize,
        pool: &mut OutboxPool,
    ) {
        if sent < run.as_slice().len() {
            let slice = pool.shared.share_run(run, source, sent);
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

    /// Lets `pong`, a whole frame, go before all that was not begun, instead of the one that waits
    /// there. `receiver` is the role of the peer.
    pub(crate) fn replace_pong(&mut self, pong: &[u8], receiver: Role, pool: &mut OutboxPool) {
        if self.begun {
            self.split_front(receiver, pool);
        }
        let place = usize::from(self.begun);
        if matches!(self.chunks.get(place), Some(Chunk::Pong { .. })) {
            if let Some(former) = self.chunks.remove(place) {
                self.shrink(former.len(), pool);
                self.drop_chunk(former, pool);
            }
        }
        self.grow(pong.len(), pool);
        self.insert(place, Chunk::Pong { bytes: pong.to_vec(), sent: 0 }, pool);
    }

    /// Lets the front chunk end with the frame that was begun, if it is long and shared: others are
    /// short, or one frame.
    fn split_front(&mut self, receiver: Role, pool: &mut OutboxPool) {
        let Some(front) = self.chunks.front_mut().filter(|front| front.len() > CHUNK) else {
            return;
        };
        let begun = front.begun(self.boundary, receiver, &pool.shared);
        let (len, Chunk::Shared { slice, sent }) = (front.len(), front) else {
            return;
        };
        if begun >= len {
            return;
        }
        let rest = pool.shared.split(slice, *sent + begun);
        self.insert(1, Chunk::Shared { slice: rest, sent: 0 }, pool);
        if begun == 0 {
            // All of that frame was sent.
            self.pop_front(pool);
        }
    }

    fn insert(&mut self, place: usize, chunk: Chunk, pool: &mut OutboxPool) {
        self.hold(0, chunk.held(), pool);
        self.chunks.insert(place, chunk);
    }

    /// Drops the front chunk. Of the one that follows, nothing was sent.
    fn pop_front(&mut self, pool: &mut OutboxPool) {
        if let Some(chunk) = self.chunks.pop_front() {
            self.drop_chunk(chunk, pool);
        }
        self.begun = false;
        self.boundary = 0;
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

    /// Fills in the first slices that wait.
    pub(crate) fn slices<'a>(
        &'a self,
        slices: &mut [IoSlice<'a>; SLICES_MAX],
        pool: &'a OutboxPool,
    ) -> Offer {
        let mut offer = Offer::default();
        for (slot, chunk) in slices.iter_mut().zip(&self.chunks) {
            let slice = chunk.as_slice(&pool.shared);
            offer.bytes += slice.len();
            offer.slices += 1;
            *slot = IoSlice::new(slice);
        }
        offer
    }

    /// The socket took `count` bytes.
    pub(crate) fn consume(&mut self, mut count: usize, pool: &mut OutboxPool, now: Time) {
        // Output that never had to wait causes no event when it has left.
        if let Some(progress) = self.progress.as_mut().filter(|_| count > 0) {
            *progress = now;
            self.is_read = true;
        }
        self.http = self.http.saturating_sub(count);
        self.shrink(count, pool);
        self.read_debt.note_taken(count);
        while let Some(front) = self.chunks.front_mut().filter(|_| count > 0) {
            let len = front.len();
            if count < len {
                front.skip(count);
                self.begun = true;
                return;
            }
            count -= len;
            self.pop_front(pool);
        }
    }

    /// Says that of what is appended next `begun` bytes are the rest of a frame that has begun to
    /// be sent. There is nothing in front of them.
    pub(crate) fn resume_frame(&mut self, begun: usize) {
        debug_assert!(self.chunks.is_empty());
        self.boundary = begun;
        self.begun = begun > 0;
    }

    /// Whether all that waits is the rest of one frame that was begun.
    pub(crate) fn is_all_begun(&self, receiver: Role, pool: &OutboxPool) -> bool {
        let front = self.chunks.front().filter(|_| self.chunks.len() == 1);
        front.is_some_and(|front| front.begun(self.boundary, receiver, &pool.shared) == front.len())
    }

    /// Forgets what was not begun: what remains is the rest of the frame in front, or nothing if
    /// that is none. `receiver` is the role of the peer.
    pub(crate) fn truncate(&mut self, receiver: Role, pool: &mut OutboxPool) {
        let kept = usize::from(!self.begins_with_http());
        self.http = 0;
        while self.chunks.len() > kept {
            if let Some(chunk) = self.chunks.pop_back() {
                self.drop_chunk(chunk, pool);
            }
        }
        if let Some(front) = self.chunks.front_mut() {
            let begun = front.begun(self.boundary, receiver, &pool.shared);
            self.boundary = front.keep(begun);
            self.begun = true;
            if begun == 0 {
                self.pop_front(pool);
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
            self.begun = self.boundary > 0;
            self.insert(0, Chunk::copy(front.as_slice(&pool.shared)), pool);
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
