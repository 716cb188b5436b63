//! What waits to be sent to one connection.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

use bytes::Bytes;

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
    /// The newest pong that waits, written whole. It goes out at the next boundary between
    /// chunks; an older one that still waits is replaced (RFC 6455 §5.5.3 allows it), so that
    /// pings cannot fill the memory of a peer that does not read.
    pong: Option<Vec<u8>>,
    /// Where in the front chunk's storage its first frame begins that had not begun to be sent
    /// when the chunk was made.
    boundary: usize,
    /// Sum of the lengths of the chunks and the pong.
    bytes: usize,
    /// How many of them, at the front, are answers to requests, and no frames.
    plain: usize,
    /// When the socket last took something after it had refused, or refused for the first time.
    pub(crate) progress: Option<Time>,
    /// Since when more than the soft limit waits, as far as [`Outbox::note_level`] was told.
    above_soft: Option<Time>,
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
}

impl Chunk {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Copied(bytes, start) => &bytes[*start..],
            Self::Assembled(storage, range) => &storage[range.clone()],
            Self::Shared(bytes, start) => &bytes[*start..],
        }
    }

    fn skip(&mut self, count: usize) {
        match self {
            Self::Copied(_, start) => *start += count,
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
            // One frame.
            Self::Assembled(..) => return Some(self),
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

    /// Lets `pong`, a whole frame, wait instead of the one that waits.
    pub(crate) fn replace_pong(&mut self, pong: &[u8], pool: &mut OutboxPool) {
        let mut kept = self.pong.take().unwrap_or_default();
        self.shrink(kept.len(), pool);
        kept.clear();
        kept.extend_from_slice(pong);
        self.grow(kept.len(), pool);
        self.pong = Some(kept);
    }

    /// Lets the pong that waits go before whatever is appended next.
    pub(crate) fn append_pong(&mut self) {
        if let Some(pong) = self.pong.take() {
            self.chunks.push_back(Chunk::Copied(pong, 0));
        }
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
        }
        self.plain = self.plain.saturating_sub(count);
        self.shrink(count, pool);
        if self.chunks.is_empty() {
            self.place_pong();
        }
        while let Some(front) = self.chunks.front_mut() {
            let len = front.as_slice().len();
            if count < len {
                front.skip(count);
                return;
            }
            count -= len;
            if let Some(chunk) = self.chunks.pop_front() {
                pool.recycle(chunk);
            }
            self.boundary = 0;
            if count == 0 {
                self.place_pong();
                return;
            }
        }
    }

    /// Between chunks: the pong is the next to go.
    fn place_pong(&mut self) {
        if let Some(pong) = self.pong.take() {
            self.chunks.push_front(Chunk::Copied(pong, 0));
        }
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
        while self.chunks.len() > kept {
            if let Some(chunk) = self.chunks.pop_back() {
                pool.recycle(chunk);
            }
        }
        self.pong = None;
        let front = self.chunks.pop_front();
        let rest = front.and_then(|front| front.into_begun(self.boundary, receiver, pool));
        self.boundary = rest.as_ref().map_or(0, |rest| rest.as_slice().len());
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
            outbox.pong = None;
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
            Chunk::Copied(mut bytes, _) => {
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
mod tests {
    use super::*;
    use crate::proto::Message;

    /// Takes up to `count` bytes, as a socket would.
    fn drain(outbox: &mut Outbox, pool: &mut OutboxPool, count: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let (used, bytes) = outbox.slices(&mut slices);
        for slice in &slices[..used] {
            taken.extend_from_slice(slice);
        }
        assert_eq!(taken.len(), bytes);
        taken.truncate(count);
        outbox.consume(taken.len(), pool, Time::BEGINNING);
        taken
    }

    fn filled(pool: &mut OutboxPool) -> (Outbox, Vec<u8>) {
        let mut outbox = Outbox::default();
        outbox.push_frame(&Message::Binary(b"one").into(), None, pool);
        outbox.push_shared(Bytes::from_static(b"shared"), pool);
        outbox.push_frame(&Message::Text("two").into(), None, pool);
        outbox.push_bytes(b"three", pool);
        outbox.push_assembled(b"....four..".to_vec(), 4..8, pool);
        (outbox, b"\x82\x03oneshared\x81\x03twothreefour".to_vec())
    }

    #[test]
    fn bytes_leave_in_order_however_the_socket_takes_them() {
        for step in 1..40 {
            let mut pool = OutboxPool::default();
            let (mut outbox, expected) = filled(&mut pool);
            assert_eq!(outbox.bytes(), expected.len());
            let mut sent = Vec::new();
            while !outbox.is_empty() {
                sent.extend(drain(&mut outbox, &mut pool, step));
                assert_eq!(outbox.bytes(), expected.len() - sent.len());
            }
            assert_eq!(sent, expected);
        }
    }

    #[test]
    fn only_the_latest_pong_waits_and_goes_between_chunks() {
        for step in 1..40 {
            let mut pool = OutboxPool::default();
            let (mut outbox, _) = filled(&mut pool);
            let mut sent = drain(&mut outbox, &mut pool, 2);
            outbox.replace_pong(b"<old>", &mut pool);
            outbox.replace_pong(b"<pong>", &mut pool);
            while !outbox.is_empty() {
                sent.extend(drain(&mut outbox, &mut pool, step));
            }
            let pong = sent.windows(6).position(|bytes| bytes == b"<pong>").unwrap();
            sent.drain(pong..pong + 6);
            assert_eq!(sent, filled(&mut pool).1, "{step}");
        }
    }

    #[test]
    fn a_pong_alone_leaves_in_pieces() {
        let mut pool = OutboxPool::default();
        let mut outbox = Outbox::default();
        outbox.replace_pong(b"<pong>", &mut pool);
        let mut sent = drain(&mut outbox, &mut pool, 4);
        outbox.replace_pong(b"<next>", &mut pool);
        while !outbox.is_empty() {
            sent.extend(drain(&mut outbox, &mut pool, 4));
        }
        assert_eq!(sent, b"<pong><next>");
    }

    #[test]
    fn truncation_keeps_what_was_begun() {
        let mut pool = OutboxPool::default();
        let (mut outbox, _) = filled(&mut pool);
        drain(&mut outbox, &mut pool, 3);
        outbox.replace_pong(b"<pong>", &mut pool);
        outbox.truncate(Role::Client, &mut pool);
        assert_eq!(outbox.bytes(), 2);
        outbox.push_bytes(b"<close>", &mut pool);
        assert_eq!(drain(&mut outbox, &mut pool, 20), b"ne<close>");
        assert!(outbox.is_empty());
    }
    #[test]
    fn truncation_forgets_every_frame_that_was_not_begun() {
        let frames = [&b"\x82\x03one"[..], b"\x81\x00", b"\x82\x05three"].concat();
        let shared = Bytes::from(frames.clone());
        // How much was sent, and how much of that before the rest was queued.
        for sent in 0..=frames.len() {
            for before in 0..=sent {
                for copied in [true, false] {
                    let mut pool = OutboxPool::default();
                    let mut outbox = Outbox::default();
                    let begun = end_of_begun(&frames, 0, before, Role::Client) - before;
                    outbox.resume_frame(begun);
                    if copied {
                        outbox.push_bytes(&frames[before..], &mut pool);
                    } else {
                        outbox.push_shared(shared.slice(before..), &mut pool);
                    }
                    outbox.push_shared(shared.clone(), &mut pool);
                    drain(&mut outbox, &mut pool, sent - before);
                    outbox.truncate(Role::Client, &mut pool);
                    let end = [0, 5, 7, 14].into_iter().find(|end| *end >= sent).unwrap();
                    assert_eq!(outbox.bytes(), end - sent, "{sent}, {before}, {copied}");
                    assert_eq!(pool.queued(), outbox.bytes());
                    assert_eq!(drain(&mut outbox, &mut pool, 20), frames[sent..end]);
                }
            }
        }
    }

    #[test]
    fn truncation_keeps_what_is_no_frame() {
        let mut pool = OutboxPool::default();
        let mut outbox = Outbox::default();
        outbox.push_bytes(b"HTTP/1.1 101 Switching Protocols", &mut pool);
        drain(&mut outbox, &mut pool, 5);
        outbox.truncate(Role::Client, &mut pool);
        assert_eq!(drain(&mut outbox, &mut pool, 100), b"1.1 101 Switching Protocols");
    }
}
