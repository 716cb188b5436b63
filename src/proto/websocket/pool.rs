use super::buffer::{Buffer, StoragePool};
use super::partial::Partial;
#[cfg(feature = "deflate")]
use crate::proto::deflate::Codecs;
use crate::proto::deflate::Setting;

/// How many [`Partial`]s the pool keeps, some 300 bytes each.
const PARTIALS_MAX: usize = 1024;

/// Storage that no connection uses at the moment.
///
/// A connection borrows from the pool while a message is incomplete. So thousands of idle
/// connections own nothing, and busy ones allocate nothing. With the feature `deflate` the pool
/// also has the compressors and decompressors that connections share.
#[derive(Debug)]
pub struct BufferPool {
    pub(in crate::proto) storage: StoragePool,
    /// Nothing is in progress in these.
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
    /// A pool that keeps at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            storage: StoragePool::new(limit),
            partials: Vec::new(),
            #[cfg(feature = "deflate")]
            codecs: Codecs::default(),
        }
    }

    /// How many bytes were decompressed, and by how many calls.
    #[cfg(all(test, feature = "deflate"))]
    pub(in crate::proto) const fn inflated(&self) -> (u64, u64) {
        (self.codecs.inflated, self.codecs.calls)
    }

    /// How many messages were compressed.
    pub(crate) fn compressions(&self) -> u64 {
        #[cfg(feature = "deflate")]
        return self.codecs.compressions;
        #[cfg(not(feature = "deflate"))]
        return 0;
    }

    /// Compresses a message without context into `out`, which is cleared. Returns whether it came
    /// out shorter.
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

    /// Room for a frame and a message in progress.
    pub(super) fn take_partial(&mut self) -> Box<Partial> {
        self.partials.pop().unwrap_or_default()
    }

    /// Takes back room in which nothing is in progress.
    pub(super) fn give_partial(&mut self, partial: Box<Partial>) {
        if self.partials.len() < PARTIALS_MAX {
            self.partials.push(partial);
        }
    }

    /// Initialised storage that begins with a copy of `bytes`.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.storage.copy(bytes)
    }

    /// Takes storage back, and keeps it if the limit allows.
    pub(crate) fn give(&mut self, storage: Vec<u8>) {
        self.storage.give(storage);
    }

    /// Takes back the buffer of a message that was handled.
    pub fn recycle(&mut self, buffer: Buffer) {
        self.storage.recycle(buffer);
    }
}
