use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

use bytes::Bytes;

use super::chunk::{CHUNK_BYTES_MAX, Chunk};
use super::shared::Slice;
use super::storage::FrameStorage;
use crate::net::framing::{Envelope, Framing};
use crate::net::reading::ReadDebt;
use crate::proto::{FrameHeader, Payload};
use crate::time::Time;
use crate::topics::{Run, Source};

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

/// Output that the stream has not taken, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    chunks: VecDeque<Chunk>,
    /// Some of the front chunk's first frame was sent.
    begun: bool,
    /// Where, in the front chunk, the first frame begins of which nothing was sent when the chunk
    /// was made.
    boundary: usize,
    /// The sum of the lengths of the chunks.
    bytes: usize,
    /// How many of them, at the front, are HTTP responses, and no frames.
    http: usize,
    /// Bytes of memory that the chunks hold by themselves.
    memory: usize,
    /// When the stream last took something after it had blocked, or blocked first.
    pub(crate) progress: Option<Time>,
    /// The stream has taken something since it blocked.
    is_read: bool,
    /// Since when more than the soft limit waits, see [`Outbox::note_level`].
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
    pub(crate) const fn memory(&self) -> usize {
        self.memory
    }

    /// Bytes that wait, or bytes of memory that it holds by itself if that is more.
    pub(crate) fn cost(&self) -> usize {
        self.bytes.max(self.memory)
    }

    /// Whether the stream has taken something since it blocked.
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

    /// Notes whether more than `soft` waits while the stream is blocked.
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

    const fn grow(&mut self, count: usize, storage: &mut FrameStorage) {
        self.bytes += count;
        self.read_debt.note_queued(count);
        storage.queued += count;
    }

    const fn shrink(&mut self, count: usize, storage: &mut FrameStorage) {
        self.bytes -= count;
        storage.queued -= count;
    }

    /// Counts memory that is held instead of `before` bytes.
    pub(super) const fn count_memory(
        &mut self,
        before: usize,
        after: usize,
        storage: &mut FrameStorage,
    ) {
        self.memory = self.memory - before + after;
        storage.own_memory = storage.own_memory - before + after;
    }

    fn push(&mut self, chunk: Chunk, storage: &mut FrameStorage) {
        self.count_memory(0, chunk.memory(), storage);
        self.chunks.push_back(chunk);
    }

    fn drop_chunk(&mut self, chunk: Chunk, storage: &mut FrameStorage) {
        self.count_memory(chunk.memory(), 0, storage);
        storage.recycle(chunk);
    }

    pub(crate) fn push_frame(
        &mut self,
        payload: &Payload<'_>,
        envelope: Envelope,
        storage: &mut FrameStorage,
    ) {
        self.append(payload.bytes.len(), storage, |storage| envelope.write(payload, storage));
    }

    pub(crate) fn push_bytes(&mut self, bytes: &[u8], storage: &mut FrameStorage) {
        if !bytes.is_empty() {
            self.append(bytes.len(), storage, |storage| storage.extend_from_slice(bytes));
        }
    }

    /// Appends `range` of bytes that others hold, too.
    pub(crate) fn push_shared(
        &mut self,
        bytes: &Bytes,
        range: Range<usize>,
        storage: &mut FrameStorage,
    ) {
        if !range.is_empty() {
            let slice = storage.shared.share(bytes, range);
            self.push_slice(slice, storage);
        }
    }

    /// Appends frames that were broadcast, from `sent` on. Others wait for them, too.
    pub(crate) fn push_run(
        &mut self,
        run: &Run<'_>,
        source: Source,
        sent: usize,
        storage: &mut FrameStorage,
    ) {
        if sent < run.as_slice().len() {
            let slice = storage.shared.share_run(run, source, sent);
            self.push_slice(slice, storage);
        }
    }

    fn push_slice(&mut self, slice: Slice, storage: &mut FrameStorage) {
        self.grow(slice.range.len(), storage);
        let apart = match self.chunks.back_mut() {
            Some(Chunk::Shared { slice: last, .. }) => last.append(slice, &mut storage.shared),
            _ => Some(slice),
        };
        if let Some(slice) = apart {
            self.trim_last(storage);
            self.push(Chunk::Shared { slice, sent: 0 }, storage);
        }
    }

    pub(crate) fn push_assembled(
        &mut self,
        message: Vec<u8>,
        range: Range<usize>,
        storage: &mut FrameStorage,
    ) {
        self.grow(range.len(), storage);
        self.push(Chunk::Assembled(message, range), storage);
    }

    /// Inserts `pong`, a whole frame, before all frames of which nothing was sent, in place of an
    /// older pong.
    pub(crate) fn replace_pong(
        &mut self,
        pong: &[u8],
        framing: Framing,
        storage: &mut FrameStorage,
    ) {
        if self.begun {
            self.split_front(framing, storage);
        }
        let place = usize::from(self.begun);
        if matches!(self.chunks.get(place), Some(Chunk::Pong { .. })) {
            if let Some(former) = self.chunks.remove(place) {
                self.shrink(former.len(), storage);
                self.drop_chunk(former, storage);
            }
        }
        self.grow(pong.len(), storage);
        self.insert(place, Chunk::Pong { bytes: pong.to_vec(), sent: 0 }, storage);
    }

    /// Splits the front chunk behind the frame that was begun, if it is long and shared: others are
    /// short, or one frame.
    fn split_front(&mut self, framing: Framing, storage: &mut FrameStorage) {
        let Some(front) = self.chunks.front_mut().filter(|front| front.len() > CHUNK_BYTES_MAX)
        else {
            return;
        };
        let begun = front.begun(self.boundary, framing, &storage.shared);
        let (len, Chunk::Shared { slice, sent }) = (front.len(), front) else {
            return;
        };
        if begun >= len {
            return;
        }
        let rest = storage.shared.split(slice, *sent + begun);
        self.insert(1, Chunk::Shared { slice: rest, sent: 0 }, storage);
        if begun == 0 {
            // All of that frame was sent.
            self.pop_front(storage);
        }
    }

    fn insert(&mut self, place: usize, chunk: Chunk, storage: &mut FrameStorage) {
        self.count_memory(0, chunk.memory(), storage);
        self.chunks.insert(place, chunk);
    }

    /// Drops the front chunk. Nothing was sent of the one that follows.
    fn pop_front(&mut self, storage: &mut FrameStorage) {
        if let Some(chunk) = self.chunks.pop_front() {
            self.drop_chunk(chunk, storage);
        }
        self.begun = false;
        self.boundary = 0;
    }

    /// Appends about `len` bytes to copied frames.
    fn append(&mut self, len: usize, storage: &mut FrameStorage, write: impl FnOnce(&mut Vec<u8>)) {
        let fits = match self.chunks.back() {
            Some(Chunk::Copied { bytes, .. }) => bytes.len() + len <= CHUNK_BYTES_MAX,
            _ => false,
        };
        if !fits {
            self.trim_last(storage);
            // Output that waits should hold no more memory than it needs.
            let waits = self.progress.is_some();
            let bytes = if waits { Vec::new() } else { storage.take() };
            self.push(Chunk::Copied { bytes, sent: 0 }, storage);
        }
        let Some(Chunk::Copied { bytes, .. }) = self.chunks.back_mut() else {
            unreachable!("a copied chunk was just seen or made");
        };
        let (before, capacity) = (bytes.len(), bytes.capacity());
        reserve(bytes, len + FrameHeader::MAX_LEN);
        write(bytes);
        let (len, grown) = (bytes.len() - before, bytes.capacity());
        self.count_memory(capacity, grown, storage);
        self.grow(len, storage);
    }

    /// Fills in the first slices that wait.
    pub(crate) fn slices<'a>(
        &'a self,
        slices: &mut [IoSlice<'a>; SLICES_MAX],
        storage: &'a FrameStorage,
    ) -> Offer {
        let mut offer = Offer::default();
        for (slot, chunk) in slices.iter_mut().zip(&self.chunks) {
            let slice = chunk.as_slice(&storage.shared);
            offer.bytes += slice.len();
            offer.slices += 1;
            *slot = IoSlice::new(slice);
        }
        offer
    }

    /// The stream took `count` bytes.
    pub(crate) fn consume(&mut self, mut count: usize, storage: &mut FrameStorage, now: Time) {
        // Only blocked connections get `on_drained`.
        if let Some(progress) = self.progress.as_mut().filter(|_| count > 0) {
            *progress = now;
            self.is_read = true;
        }
        self.http = self.http.saturating_sub(count);
        self.shrink(count, storage);
        self.read_debt.note_taken(count);
        while let Some(front) = self.chunks.front_mut().filter(|_| count > 0) {
            let len = front.len();
            if count < len {
                front.skip(count);
                self.begun = true;
                return;
            }
            count -= len;
            self.pop_front(storage);
        }
    }

    /// Notes that `begun` bytes of what is appended next are the rest of a frame that was begun.
    /// The outbox is empty.
    pub(crate) fn resume_frame(&mut self, begun: usize) {
        debug_assert!(self.chunks.is_empty());
        self.boundary = begun;
        self.begun = begun > 0;
    }

    /// Whether all that waits is the rest of one frame that was begun.
    pub(crate) fn is_all_begun(&self, framing: Framing, storage: &FrameStorage) -> bool {
        let front = self.chunks.front().filter(|_| self.chunks.len() == 1);
        front.is_some_and(|front| {
            front.begun(self.boundary, framing, &storage.shared) == front.len()
        })
    }

    /// Drops all frames of which nothing was sent, and HTTP responses: the rest of the front frame
    /// remains, if it was begun.
    pub(crate) fn truncate(&mut self, framing: Framing, storage: &mut FrameStorage) {
        let kept = usize::from(!self.begins_with_http());
        self.http = 0;
        while self.chunks.len() > kept {
            if let Some(chunk) = self.chunks.pop_back() {
                self.drop_chunk(chunk, storage);
            }
        }
        if let Some(front) = self.chunks.front_mut() {
            let begun = front.begun(self.boundary, framing, &storage.shared);
            self.boundary = front.keep(begun);
            self.begun = true;
            if begun == 0 {
                self.pop_front(storage);
            }
        }
        let left = self.chunks.front().map_or(0, Chunk::len);
        self.shrink(self.bytes - left, storage);
        self.trim(framing, storage);
    }

    /// Gives back memory that is much more than what waits in it: at the front, where bytes were
    /// sent, and at the back, where they are appended. Other chunks have none to spare.
    pub(crate) fn trim(&mut self, framing: Framing, storage: &mut FrameStorage) {
        let front = if self.chunks.front().is_some_and(Chunk::is_wasteful) {
            self.chunks.pop_front()
        } else {
            None
        };
        if let Some(front) = front {
            self.boundary = front.begun(self.boundary, framing, &storage.shared);
            self.begun = self.boundary > 0;
            self.insert(0, Chunk::copy(front.as_slice(&storage.shared)), storage);
            self.drop_chunk(front, storage);
        }
        self.trim_last(storage);
    }

    fn trim_last(&mut self, storage: &mut FrameStorage) {
        // The front one has a boundary, too.
        if self.chunks.len() > 1 && self.chunks.back().is_some_and(Chunk::is_wasteful) {
            if let Some(last) = self.chunks.pop_back() {
                self.push(Chunk::copy(last.as_slice(&storage.shared)), storage);
                self.drop_chunk(last, storage);
            }
        }
    }

    /// For how many chunks it has capacity.
    pub(super) fn capacity(&self) -> usize {
        self.chunks.capacity()
    }

    /// Empties it, and resets all of its state.
    pub(super) fn clear(&mut self, storage: &mut FrameStorage) {
        self.shrink(self.bytes, storage);
        while let Some(chunk) = self.chunks.pop_front() {
            self.drop_chunk(chunk, storage);
        }
        self.count_memory(self.memory, 0, storage);
        *self = Self { chunks: std::mem::take(&mut self.chunks), ..Self::default() };
    }
}

/// Reserves capacity for `len` more bytes, and for a quarter more at most: less than a vector does
/// by itself, because the spare capacity of thousands of outboxes counts.
fn reserve(bytes: &mut Vec<u8>, len: usize) {
    let needed = bytes.len() + len;
    if needed > bytes.capacity() {
        let target = needed.max(CHUNK_BYTES_MAX.min(needed + needed / 4));
        bytes.reserve_exact(target - bytes.len());
    }
}

#[cfg(test)]
mod tests;
