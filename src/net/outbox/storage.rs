use super::chunk::{CHUNK_BYTES_MAX, Chunk};
use super::shared::SharedFrames;
use crate::proto::BufferPool;

/// How many pieces of storage are kept for the next.
const KEPT_MAX: usize = 256;

/// The storage of all outboxes: what none of them uses at the moment, what several share, and how
/// much all of them hold.
#[derive(Debug, Default)]
pub(crate) struct FrameStorage {
    /// For copied frames: cleared, none above `CHUNK_BYTES_MAX`.
    copies: Vec<Vec<u8>>,
    /// For assembled messages.
    pub(crate) buffers: BufferPool,
    pub(crate) shared: SharedFrames,
    /// The sum of the bytes that wait in all outboxes: those that several share count in each.
    pub(super) queued: usize,
    /// The sum of the bytes of memory that all outboxes hold by themselves.
    pub(super) own_memory: usize,
}

impl FrameStorage {
    /// Bytes that wait in all outboxes.
    pub(crate) const fn queued(&self) -> usize {
        self.queued
    }

    /// Bytes of memory that all outboxes hold. What several share counts once.
    pub(crate) const fn memory(&self) -> usize {
        self.own_memory + self.shared.memory()
    }

    /// The same without what several share.
    pub(crate) const fn own_memory(&self) -> usize {
        self.own_memory
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        self.copies.pop().unwrap_or_default()
    }

    pub(super) fn recycle(&mut self, chunk: Chunk) {
        match chunk {
            Chunk::Copied { mut bytes, .. } | Chunk::Pong { mut bytes, .. } => {
                if self.copies.len() < KEPT_MAX && bytes.capacity() <= CHUNK_BYTES_MAX {
                    bytes.clear();
                    self.copies.push(bytes);
                }
            }
            Chunk::Assembled(storage, _) => self.buffers.give(storage),
            Chunk::Shared { slice, .. } => self.shared.release(&slice),
        }
    }
}
