//! What is in progress in one connection.

use crate::proto::BufferPool;
use crate::proto::websocket::partial::{Frame, Partial};
use crate::time::Time;

/// What is in progress in one connection, if anything.
#[derive(Debug, Default)]
pub(super) struct InProgress(Option<Box<Partial>>);

impl InProgress {
    #[inline]
    pub(super) fn get(&self) -> Option<&Partial> {
        self.0.as_deref()
    }

    /// What is in progress, or empty room from the pool.
    #[inline]
    pub(super) fn get_or_take(&mut self, pool: &mut BufferPool) -> &mut Partial {
        self.0.get_or_insert_with(|| pool.take_partial())
    }

    /// The frame whose payload has not arrived whole.
    #[inline]
    pub(super) fn frame(&self) -> Option<Frame> {
        self.get()?.frame
    }

    /// When the unfinished message began or last made progress, if there is one.
    #[inline]
    pub(super) fn unfinished_since(&self) -> Option<Time> {
        self.get()?.message.unfinished_since()
    }

    /// Bytes of storage that an unfinished message takes.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.get().map_or(0, |partial| partial.message.buffered_bytes())
    }

    /// Starts the time of an unfinished message again.
    pub(super) fn restart(&mut self, now: Time) {
        if let Some(partial) = &mut self.0 {
            partial.message.restart(now);
        }
    }

    /// Gives the room back to the pool if nothing is in progress. After an error call
    /// [`discard`](Self::discard) instead: no other connection may get what the error left.
    #[inline]
    pub(super) fn release(&mut self, pool: &mut BufferPool) {
        if let Some(partial) = self.0.take_if(|partial| partial.is_blank()) {
            pool.give_partial(partial);
        }
    }

    /// Discards the bytes of an unfinished message.
    pub(super) fn clear_message(&mut self, pool: &mut BufferPool) {
        if let Some(partial) = &mut self.0 {
            partial.message.clear(&mut pool.storage);
        }
    }

    /// Discards whatever is in progress.
    pub(super) fn discard(&mut self, pool: &mut BufferPool) {
        if let Some(mut partial) = self.0.take() {
            partial.message.clear(&mut pool.storage);
            *partial = Partial::default();
            pool.give_partial(partial);
        }
    }
}
