//! What waits to be sent to one connection.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

use bytes::Bytes;

use super::hearing::Hearing;
use crate::proto::{BufferPool, FrameHeader, Payload, Role, write_payload};
use crate::time::Time;

/// Copied frames are gathered up to this many bytes before another piece of storage is begun.
const CHUNK: usize = 64 * 1024;

/// Slices in one vectored send.
pub(crate) const MAX_SLICES: usize = 64;

/// How many emptied outboxes and pieces of storage are kept for the next.
const KEPT: usize = 256;

/// Output that the socket has not taken yet, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    chunks: VecDeque<Chunk>,
    /// The front chunk's first frame has begun to be sent.
    begun: bool,
    /// Where in the front chunk's storage its first frame begins that had not begun to be sent
    /// when the chunk was made.
    boundary: usize,
    /// Sum of the lengths of the chunks.
    bytes: usize,
    /// How many of them, at the front, are answers to requests, and no frames.
    plain: usize,
    /// When the socket last took something after it had refused, or refused for the first time.
    pub(crate) progress: Option<Time>,
    /// Since when more than the soft limit waits, as far as [`Outbox::note_level`] was told.
    above_soft: Option<Time>,
    pub(crate) hearing: Hearing,
}

/// A run of whole frames; only the front one may have lost bytes at its start. The number is how
/// many bytes of its storage have been sent.
#[derive(Debug)]
enum Chunk {
    /// Frames copied here; as the last chunk it still grows.
    Copied(Vec<u8>, usize),
    /// An assembled message in its own storage, its header in the headroom.
    Assembled(Vec<u8>, Range<usize>),
    /// Frames that other connections are sent too.
    Shared(Bytes, usize),
    /// The newest pong that waits. It is the first that goes out of what was not begun; an older
    /// one that still waits there is replaced (RFC 6455 §5.5.3 allows it), so that pings cannot
    /// fill the memory of a peer that does not read.
    Pong(Vec<u8>, usize),
}

impl Chunk {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Copied(bytes, start) | Self::Pong(bytes, start) => &bytes[*start..],
            Self::Assembled(storage, range) => &storage[range.clone()],
            Self::Shared(bytes, start) => &bytes[*start..],
        }
    }

    fn skip(&mut self, count: usize) {
        match self {
            Self::Copied(_, start) | Self::Pong(_, start) => *start += count,
            Self::Assembled(_, range) => range.start += count,
            Self::Shared(_, start) => *start += count,
        }
    }

    /// What is to be sent of it if only a frame that was begun is: one in which `boundary` lies, or
    /// another from there on.
    fn into_begun(self, boundary: usize, receiver: Role, pool: &mut OutboxPool) -> Option<Self> {
        let rest = match &self {
            Self::Copied(bytes, sent) => {
                let end = end_of_begun(bytes, boundary, *sent, receiver);
                (*sent < end).then(|| Self::Copied(bytes[*sent..end].to_vec(), 0))
            }
            Self::Shared(bytes, sent) => {
                let end = end_of_begun(bytes, boundary, *sent, receiver);
                (*sent < end).then(|| Self::Shared(bytes.slice(*sent..end), 0))
            }
            Self::Pong(_, 0) => None,
            // One frame.
            Self::Assembled(..) | Self::Pong(..) => return Some(self),
        };
        pool.recycle(self);
        rest
    }
}

/// The end of the frame that was begun when `sent` bytes of `frames` were sent, or `sent` if none
/// was. Frames begin at `from`; what does not look like one counts as begun. `receiver` is the
/// peer's role.
pub(crate) fn end_of_begun(frames: &[u8], from: usize, sent: usize, receiver: Role) -> usize {
    let mut end = from;
    while end < sent {
        match FrameHeader::parse_agreed(&frames[end..], receiver, true) {
            Ok(Some((header, len))) => end += len + header.len as usize,
            _ => return frames.len(),
        }
    }
    end
}

impl Outbox {
    /// Bytes that wait.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes == 0
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
        self.hearing.note_queued(count);
        pool.queued += count;
    }

    const fn shrink(&mut self, count: usize, pool: &mut OutboxPool) {
        self.bytes -= count;
        pool.queued -= count;
    }

    pub(crate) fn push_frame(
        &mut self,
        payload: &Payload<'_>,
        key: Option<[u8; 4]>,
        pool: &mut OutboxPool,
    ) {
        let storage = self.tail(payload.bytes.len(), pool);
        let before = storage.len();
        write_payload(payload, key, storage);
        let count = storage.len() - before;
        self.grow(count, pool);
    }

    pub(crate) fn push_bytes(&mut self, bytes: &[u8], pool: &mut OutboxPool) {
        if !bytes.is_empty() {
            self.tail(bytes.len(), pool).extend_from_slice(bytes);
            self.grow(bytes.len(), pool);
        }
    }

    pub(crate) fn push_shared(&mut self, bytes: Bytes, pool: &mut OutboxPool) {
        if !bytes.is_empty() {
            self.grow(bytes.len(), pool);
            self.chunks.push_back(Chunk::Shared(bytes, 0));
        }
    }

    pub(crate) fn push_assembled(
        &mut self,
        storage: Vec<u8>,
        range: Range<usize>,
        pool: &mut OutboxPool,
    ) {
        self.grow(range.len(), pool);
        self.chunks.push_back(Chunk::Assembled(storage, range));
    }

    /// Lets `pong`, a whole frame, go before all that was not begun, instead of the one that waits
    /// there. `receiver` is the role of the peer.
    pub(crate) fn replace_pong(&mut self, pong: &[u8], receiver: Role, pool: &mut OutboxPool) {
        if self.begun {
            self.split_front(receiver);
        }
        let place = usize::from(self.begun);
        if let Some(Chunk::Pong(former, _)) = self.chunks.get(place) {
            self.shrink(former.len(), pool);
            self.chunks.remove(place);
        }
        self.grow(pong.len(), pool);
        self.chunks.insert(place, Chunk::Pong(pong.to_vec(), 0));
    }

    /// Lets the front chunk end with the frame that was begun, if it is long and shared: others are
    /// short, or one frame.
    fn split_front(&mut self, receiver: Role) {
        let Some(Chunk::Shared(bytes, sent)) = self.chunks.front_mut() else {
            return;
        };
        let end = end_of_begun(bytes, self.boundary, *sent, receiver);
        if bytes.len() - *sent <= CHUNK || end >= bytes.len() {
            return;
        }
        let rest = Chunk::Shared(bytes.split_off(end), 0);
        if *sent < end {
            self.chunks.insert(1, rest);
        } else {
            // All of that frame was sent.
            self.chunks[0] = rest;
            self.begin_chunk();
        }
    }

    /// Another chunk is in front, of which nothing was sent.
    const fn begin_chunk(&mut self) {
        self.begun = false;
        self.boundary = 0;
    }

    /// The storage that copied frames are appended to.
    fn tail(&mut self, len: usize, pool: &mut OutboxPool) -> &mut Vec<u8> {
        let fits = match self.chunks.back() {
            Some(Chunk::Copied(bytes, _)) => bytes.len() + len <= CHUNK,
            _ => false,
        };
        if !fits {
            self.chunks.push_back(Chunk::Copied(pool.take_storage(), 0));
        }
        match self.chunks.back_mut() {
            Some(Chunk::Copied(bytes, _)) => bytes,
            _ => unreachable!("a copied chunk was just seen or made"),
        }
    }

    /// The first slices that wait, and their length in all.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> (usize, usize) {
        let mut bytes = 0;
        let mut count = 0;
        for (slot, chunk) in slices.iter_mut().zip(&self.chunks) {
            let slice = chunk.as_slice();
            bytes += slice.len();
            count += 1;
            *slot = IoSlice::new(slice);
        }
        (count, bytes)
    }

    /// The socket took `count` bytes.
    pub(crate) fn consume(&mut self, mut count: usize, pool: &mut OutboxPool, now: Time) {
        // Whoever never had to wait has nothing to be told of when it is empty.
        if let Some(progress) = self.progress.as_mut().filter(|_| count > 0) {
            *progress = now;
        }
        self.plain = self.plain.saturating_sub(count);
        self.shrink(count, pool);
        self.hearing.note_taken(count);
        while let Some(front) = self.chunks.front_mut().filter(|_| count > 0) {
            let len = front.as_slice().len();
            if count < len {
                front.skip(count);
                self.begun = true;
                return;
            }
            count -= len;
            if let Some(chunk) = self.chunks.pop_front() {
                pool.recycle(chunk);
            }
            self.begin_chunk();
        }
    }

    /// Says that of what is appended next `begun` bytes are the rest of a frame that has begun to
    /// be sent. There is nothing in front of them.
    pub(crate) fn resume_frame(&mut self, begun: usize) {
        debug_assert!(self.chunks.is_empty());
        self.boundary = begun;
        self.begun = begun > 0;
    }

    /// Forgets what was not begun: what remains is the rest of the frame in front, or nothing if
    /// that is none. `receiver` is the role of the peer.
    pub(crate) fn truncate(&mut self, receiver: Role, pool: &mut OutboxPool) {
        let kept = usize::from(!self.is_plain());
        self.plain = 0;
        while self.chunks.len() > kept {
            if let Some(chunk) = self.chunks.pop_back() {
                pool.recycle(chunk);
            }
        }
        let front = self.chunks.pop_front();
        let rest = front.and_then(|front| front.into_begun(self.boundary, receiver, pool));
        self.boundary = rest.as_ref().map_or(0, |rest| rest.as_slice().len());
        self.begun = rest.is_some();
        self.chunks.extend(rest);
        let left = self.chunks.front().map_or(0, |chunk| chunk.as_slice().len());
        self.shrink(self.bytes - left, pool);
    }
}

/// Outboxes and storage that no connection uses at the moment.
#[derive(Debug, Default)]
pub(crate) struct OutboxPool {
    /// Empty ones.
    #[expect(clippy::vec_box, reason = "the boxes themselves come and go")]
    outboxes: Vec<Box<Outbox>>,
    /// Cleared ones, none above `CHUNK`.
    storage: Vec<Vec<u8>>,
    /// Storage of assembled messages.
    pub(crate) buffers: BufferPool,
    /// Sum of the bytes of all outboxes that are not empty: those of a chunk that several share
    /// count in each.
    queued: usize,
}

impl OutboxPool {
    /// Bytes that wait in all outboxes that were taken from here.
    pub(crate) const fn queued(&self) -> usize {
        self.queued
    }

    pub(crate) fn take(&mut self) -> Box<Outbox> {
        self.outboxes.pop().unwrap_or_default()
    }

    /// Takes back an outbox, with whatever is still in it.
    pub(crate) fn give(&mut self, mut outbox: Box<Outbox>) {
        self.queued -= outbox.bytes;
        while let Some(chunk) = outbox.chunks.pop_front() {
            self.recycle(chunk);
        }
        if self.outboxes.len() < KEPT && outbox.chunks.capacity() <= MAX_SLICES {
            outbox.bytes = 0;
            outbox.plain = 0;
            outbox.boundary = 0;
            outbox.begun = false;
            outbox.hearing = Hearing::default();
            outbox.progress = None;
            outbox.above_soft = None;
            self.outboxes.push(outbox);
        }
    }

    fn take_storage(&mut self) -> Vec<u8> {
        self.storage.pop().unwrap_or_default()
    }

    fn recycle(&mut self, chunk: Chunk) {
        match chunk {
            Chunk::Copied(mut bytes, _) | Chunk::Pong(mut bytes, _) => {
                if self.storage.len() < KEPT && bytes.capacity() <= CHUNK {
                    bytes.clear();
                    self.storage.push(bytes);
                }
            }
            Chunk::Assembled(storage, _) => self.buffers.give(storage),
            Chunk::Shared(..) => {}
        }
    }
}

#[cfg(test)]
mod tests;
