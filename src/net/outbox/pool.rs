use super::queue::{Outbox, SLICES_MAX};
use super::storage::FrameStorage;

/// How many emptied outboxes are kept for the next.
const KEPT_MAX: usize = 256;

/// Empty outboxes that no connection uses at the moment.
#[derive(Debug, Default)]
pub(crate) struct OutboxPool {
    #[expect(clippy::vec_box, reason = "the boxes themselves come and go")]
    outboxes: Vec<Box<Outbox>>,
}

impl OutboxPool {
    pub(crate) fn take(&mut self, storage: &mut FrameStorage) -> Box<Outbox> {
        let mut outbox = self.outboxes.pop().unwrap_or_default();
        outbox.count_memory(0, size_of::<Outbox>(), storage);
        outbox
    }

    /// Takes back an outbox, with whatever is still in it.
    pub(crate) fn give(&mut self, mut outbox: Box<Outbox>, storage: &mut FrameStorage) {
        outbox.clear(storage);
        if self.outboxes.len() < KEPT_MAX && outbox.capacity() <= SLICES_MAX {
            self.outboxes.push(outbox);
        }
    }
}
