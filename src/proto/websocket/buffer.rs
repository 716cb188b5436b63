use std::fmt;

use super::state_machine::Partial;
#[cfg(feature = "deflate")]
use crate::proto::deflate::Codecs;
use crate::proto::deflate::Setting;

/// Room kept free in front of a message, so that a server can answer with the same payload from
/// where it lies: the longest unmasked header (RFC 6455 §5.2).
pub(crate) const HEADROOM_BYTES: usize = 10;

/// The first storage of a message: enough for most, and little to hold for many connections.
const SMALL_STORAGE_BYTES: usize = 4 * 1024;

/// How many frames and messages in progress there is room kept for, some 300 bytes each.
const PARTIALS_MAX: usize = 1024;

/// Bytes of one message as they were received.
///
/// Storage grows with the bytes that arrive, never by a length that the peer declares.
#[derive(Default)]
pub struct Buffer {
    /// Initialised to its whole length, so that receiving into it never has to clear it again.
    /// Empty, or at least `HEADROOM_BYTES` long.
    storage: Vec<u8>,
    /// The payload ends here in `storage`; it starts after `HEADROOM_BYTES`. Zero, or at least
    /// that.
    end: usize,
}

impl Buffer {
    /// The bytes received so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.storage.get(HEADROOM_BYTES..self.end).unwrap_or_default()
    }

    pub(in crate::proto) fn as_mut_slice(&mut self) -> &mut [u8] {
        self.storage.get_mut(HEADROOM_BYTES..self.end).unwrap_or_default()
    }

    pub(in crate::proto) fn len(&self) -> usize {
        self.end.saturating_sub(HEADROOM_BYTES)
    }

    /// Bytes of storage, used or not.
    pub(in crate::proto) fn capacity(&self) -> usize {
        self.storage.len()
    }

    pub(in crate::proto) fn extend_from_slice(&mut self, bytes: &[u8], pool: &mut BufferPool) {
        let spare = self.reserve(bytes.len(), pool);
        spare[..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// At least `want` initialised bytes behind the payload; [`Buffer::advance`] makes them part
    /// of it.
    pub(in crate::proto) fn reserve(&mut self, want: usize, pool: &mut BufferPool) -> &mut [u8] {
        if self.storage.is_empty() {
            self.storage = pool.take(want + HEADROOM_BYTES);
            self.end = HEADROOM_BYTES;
        }
        let needed = self.end + want;
        if self.storage.len() < needed {
            let doubled = self.storage.len().saturating_mul(2);
            self.storage.resize(needed.max(doubled).max(SMALL_STORAGE_BYTES), 0);
        }
        &mut self.storage[self.end..]
    }

    pub(in crate::proto) fn advance(&mut self, count: usize) {
        self.end += count;
        debug_assert!(self.end <= self.storage.len());
    }

    /// The storage, with the payload from `HEADROOM_BYTES` to the returned end.
    pub(crate) fn into_storage(self) -> (Vec<u8>, usize) {
        (self.storage, self.end)
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} of {} bytes)", self.len(), self.storage.len())
    }
}

/// Storage that no connection uses at the moment.
///
/// Connections borrow from it while a message is incomplete, so that thousands of idle ones own
/// nothing and busy ones allocate nothing. The same goes for what compresses and decompresses,
/// with the feature `deflate`.
#[derive(Debug)]
pub struct BufferPool {
    /// Every one initialised to its whole length, the longest last within its kind.
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    /// Sum of the lengths of both kinds, at most `limit`.
    bytes: usize,
    limit: usize,
    /// For frames and messages in progress: nothing is in progress in these.
    #[expect(clippy::vec_box, reason = "connections hold them by their boxes")]
    partials: Vec<Box<Partial>>,
    #[cfg(feature = "deflate")]
    pub(in crate::proto) codecs: Codecs,
}

impl Default for BufferPool {
    /// Keeps at most 4 MiB.
    fn default() -> Self {
        Self::new(4 * 1024 * 1024)
    }
}

impl BufferPool {
    /// A pool which keeps at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            small: Vec::new(),
            large: Vec::new(),
            bytes: 0,
            limit,
            partials: Vec::new(),
            #[cfg(feature = "deflate")]
            codecs: Codecs::default(),
        }
    }

    /// How many bytes were decompressed in all, and by how many calls.
    #[cfg(all(test, feature = "deflate"))]
    pub(in crate::proto) const fn inflated(&self) -> (u64, u64) {
        (self.codecs.inflated, self.codecs.calls)
    }

    /// How many messages were compressed in all.
    pub(crate) fn compressions(&self) -> u64 {
        #[cfg(feature = "deflate")]
        return self.codecs.compressions;
        #[cfg(not(feature = "deflate"))]
        return 0;
    }

    /// Compresses a message by itself into `out`, which is cleared; whether it came out shorter.
    #[cfg_attr(not(feature = "deflate"), expect(clippy::unused_self, reason = "there is no codec"))]
    pub(crate) fn compress(&mut self, setting: Setting, message: &[u8], out: &mut Vec<u8>) -> bool {
        #[cfg(feature = "deflate")]
        return self.codecs.compress(setting, message, out);
        #[cfg(not(feature = "deflate"))]
        return {
            let _ = (setting, message, out);
            false
        };
    }

    /// Where a frame and a message in progress are kept.
    pub(super) fn take_partial(&mut self) -> Box<Partial> {
        self.partials.pop().unwrap_or_default()
    }

    /// Takes one back in which nothing is in progress any more.
    pub(super) fn give_partial(&mut self, partial: Box<Partial>) {
        if self.partials.len() < PARTIALS_MAX {
            self.partials.push(partial);
        }
    }

    /// Initialised storage, probably but not surely as long as `want`.
    pub(crate) fn take(&mut self, want: usize) -> Vec<u8> {
        let first = if want > SMALL_STORAGE_BYTES { &mut self.large } else { &mut self.small };
        let storage = first.pop().unwrap_or_default();
        self.bytes -= storage.len();
        storage
    }

    /// Initialised storage that begins with a copy of `bytes`.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut storage = self.take(bytes.len());
        if storage.len() < bytes.len() {
            storage.resize(bytes.len(), 0);
        }
        storage[..bytes.len()].copy_from_slice(bytes);
        storage
    }

    /// Takes back what a connection no longer needs; keeps it if there is room.
    pub(crate) fn give(&mut self, mut storage: Vec<u8>) {
        if storage.len() < storage.capacity() {
            storage.resize(storage.capacity(), 0);
        }
        if storage.is_empty() || self.bytes + storage.len() > self.limit {
            return;
        }
        self.bytes += storage.len();
        if storage.len() > 2 * SMALL_STORAGE_BYTES { &mut self.large } else { &mut self.small }
            .push(storage);
    }

    /// Takes back the buffer of a message that was dealt with.
    pub fn recycle(&mut self, buffer: Buffer) {
        self.give(buffer.storage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_follows_what_arrives_and_returns_to_the_pool() {
        let mut pool = BufferPool::default();
        let mut buffer = Buffer::default();
        assert_eq!(buffer.as_slice(), b"");
        buffer.extend_from_slice(b"abc", &mut pool);
        buffer.extend_from_slice(&[b'd'; 10_000], &mut pool);
        assert_eq!(buffer.len(), 10_003);
        assert_eq!(&buffer.as_slice()[..4], b"abcd");
        let storage = buffer.storage.as_ptr();
        pool.recycle(buffer);
        let mut again = Buffer::default();
        again.extend_from_slice(&[1; 9_000], &mut pool);
        assert_eq!(again.storage.as_ptr(), storage);
        assert_eq!(again.as_slice(), [1; 9_000]);
    }

    #[test]
    fn the_pool_keeps_no_more_than_its_limit() {
        let mut pool = BufferPool::new(10_000);
        pool.give(vec![0; 8_000]);
        pool.give(vec![0; 8_000]);
        pool.give(Vec::new());
        assert_eq!(pool.bytes, 8_000);
        assert_eq!(pool.take(1).len(), 8_000);
        assert_eq!(pool.take(1).len(), 0);
        assert_eq!(pool.bytes, 0);
    }
}
