use std::fmt;

/// Room in front of a message, so that a server can send the same payload back from where it lies:
/// the longest unmasked header (RFC 6455 §5.2).
pub(crate) const HEADROOM_BYTES: usize = 10;

/// The first storage of a message. Most messages fit, and thousands of connections can hold one.
const SMALL_STORAGE_BYTES: usize = 4 * 1024;

/// The received bytes of one message.
///
/// Its storage grows with the bytes that have arrived, whatever length the peer declares.
#[derive(Default)]
pub struct Buffer {
    /// Initialised to its whole length, so that it need not be cleared to be received into. Empty,
    /// or at least `HEADROOM_BYTES` long.
    storage: Vec<u8>,
    /// Where the payload ends in `storage`. It starts at `HEADROOM_BYTES`. While `storage` is
    /// empty, this is zero.
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

    pub(in crate::proto) fn extend_from_slice(&mut self, bytes: &[u8], pool: &mut StoragePool) {
        let spare = self.reserve(bytes.len(), pool);
        spare[..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// At least `want` initialised bytes behind the payload. [`Buffer::advance`] makes them part of
    /// the payload.
    pub(in crate::proto) fn reserve(&mut self, want: usize, pool: &mut StoragePool) -> &mut [u8] {
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

    /// The storage, and where the payload ends in it. The payload starts at `HEADROOM_BYTES`.
    pub(crate) fn into_storage(self) -> (Vec<u8>, usize) {
        (self.storage, self.end)
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} of {} bytes)", self.len(), self.storage.len())
    }
}

/// Storage for buffers that no connection uses at the moment.
#[derive(Debug)]
pub(in crate::proto) struct StoragePool {
    /// Each is initialised to its whole length.
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    /// The sum of the lengths of both kinds, at most `limit`.
    bytes: usize,
    limit: usize,
}

impl StoragePool {
    /// A pool that keeps at most `limit` bytes.
    pub(super) const fn new(limit: usize) -> Self {
        Self { small: Vec::new(), large: Vec::new(), bytes: 0, limit }
    }

    /// Initialised storage. It may be shorter than `want`.
    pub(in crate::proto) fn take(&mut self, want: usize) -> Vec<u8> {
        let first = if want > SMALL_STORAGE_BYTES { &mut self.large } else { &mut self.small };
        let storage = first.pop().unwrap_or_default();
        self.bytes -= storage.len();
        storage
    }

    /// Initialised storage that begins with a copy of `bytes`.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut storage = self.take(bytes.len());
        if storage.len() < bytes.len() {
            storage.resize(bytes.len(), 0);
        }
        storage[..bytes.len()].copy_from_slice(bytes);
        storage
    }

    /// Takes storage back, and keeps it if the limit allows.
    pub(super) fn give(&mut self, mut storage: Vec<u8>) {
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

    /// Takes the storage of a buffer back.
    pub(in crate::proto) fn recycle(&mut self, buffer: Buffer) {
        self.give(buffer.storage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_follows_what_arrives_and_returns_to_the_pool() {
        let mut pool = StoragePool::new(4 * 1024 * 1024);
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
        let mut pool = StoragePool::new(10_000);
        pool.give(vec![0; 8_000]);
        pool.give(vec![0; 8_000]);
        pool.give(Vec::new());
        assert_eq!(pool.bytes, 8_000);
        assert_eq!(pool.take(1).len(), 8_000);
        assert_eq!(pool.take(1).len(), 0);
        assert_eq!(pool.bytes, 0);
    }
}
