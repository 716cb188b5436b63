use super::chunk::Chunk;
use super::shared::SharedFrames;
use super::{CHUNK, Outbox, SLICES_MAX};
use crate::proto::BufferPool;

/// How many emptied outboxes and pieces of storage are kept for the next.
const KEPT: usize = 256;

/// Outboxes and storage that no connection uses at the moment, and what several outboxes share.
#[derive(Debug, Default)]
pub(crate) struct OutboxPool {
    /// Empty ones.
    #[expect(clippy::vec_box, reason = "the boxes themselves come and go")]
    outboxes: Vec<Box<Outbox>>,
    /// Cleared ones, none above `CHUNK`.
    storage: Vec<Vec<u8>>,
    /// Storage of assembled messages.
    pub(crate) buffers: BufferPool,
    pub(crate) shared: SharedFrames,
    /// Sum of the bytes that wait in all outboxes: those that several share count in each.
    pub(super) queued: usize,
    /// Sum of the bytes of memory that all outboxes hold by themselves.
    pub(super) held: usize,
}

impl OutboxPool {
    /// Bytes that wait in all outboxes that were taken from here.
    pub(crate) const fn queued(&self) -> usize {
        self.queued
    }

    /// Bytes of memory that all outboxes hold. What several share counts once.
    pub(crate) const fn held(&self) -> usize {
        self.held + self.shared.held()
    }

    /// The same without what several share.
    pub(crate) const fn held_apart(&self) -> usize {
        self.held
    }

    pub(crate) fn take(&mut self) -> Box<Outbox> {
        let mut outbox = self.outboxes.pop().unwrap_or_default();
        outbox.hold(0, size_of::<Outbox>(), self);
        outbox
    }

    /// Takes back an outbox, with whatever is still in it.
    pub(crate) fn give(&mut self, mut outbox: Box<Outbox>) {
        outbox.clear(self);
        if self.outboxes.len() < KEPT && outbox.chunks.capacity() <= SLICES_MAX {
            self.outboxes.push(outbox);
        }
    }

    pub(super) fn take_storage(&mut self) -> Vec<u8> {
        self.storage.pop().unwrap_or_default()
    }

    pub(super) fn recycle(&mut self, chunk: Chunk) {
        match chunk {
            Chunk::Copied { mut bytes, .. } | Chunk::Pong { mut bytes, .. } => {
                if self.storage.len() < KEPT && bytes.capacity() <= CHUNK {
                    bytes.clear();
                    self.storage.push(bytes);
                }
            }
            Chunk::Assembled(storage, _) => self.buffers.give(storage),
            Chunk::Shared { slice, .. } => self.shared.release(&slice),
        }
    }
}
