//! What has arrived of a frame and of a message, while either is not whole.

use super::receiving::Frame;
use crate::proto::websocket::assembler::Assembler;
use crate::proto::websocket::control::ControlPayload;
use crate::proto::{BufferPool, FrameHeader};
use crate::time::Time;

/// A frame and a message in progress. Lent by the [`BufferPool`] to the few connections that have
/// either at a time.
#[derive(Debug, Default)]
pub(in crate::proto) struct Partial {
    /// The start of a frame header whose rest has not arrived: `header[..header_len]`.
    pub(super) header: [u8; FrameHeader::MAX_LEN],
    pub(super) header_len: u8,
    /// The frame whose payload has not arrived whole.
    pub(super) frame: Option<Frame>,
    pub(super) message: Assembler,
    /// The payload so far of a control frame that has not arrived whole.
    pub(super) control: Option<ControlPayload>,
}

impl Partial {
    /// Whether nothing is in progress any more.
    fn is_blank(&self) -> bool {
        self.header_len == 0
            && self.frame.is_none()
            && self.control.is_none()
            && self.message.is_blank()
    }
}

/// What is in progress in one connection, if anything.
#[derive(Debug, Default)]
pub(super) struct InProgress(Option<Box<Partial>>);

impl InProgress {
    #[inline]
    pub(super) fn get(&self) -> Option<&Partial> {
        self.0.as_deref()
    }

    /// What is in progress, or room for it.
    #[inline]
    pub(super) fn get_or_take(&mut self, pool: &mut BufferPool) -> &mut Partial {
        self.0.get_or_insert_with(|| pool.take_partial())
    }

    /// The frame whose payload has not arrived whole.
    #[inline]
    pub(super) fn frame(&self) -> Option<Frame> {
        self.get()?.frame
    }

    /// When the message began that is not whole, if there is one.
    #[inline]
    pub(super) fn unfinished_since(&self) -> Option<Time> {
        self.get()?.message.unfinished_since()
    }

    /// Bytes of storage that an unfinished message holds.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.get().map_or(0, |partial| partial.message.buffered_bytes())
    }

    /// Gives an unfinished message its whole time again.
    pub(super) fn restart(&mut self, now: Time) {
        if let Some(partial) = &mut self.0 {
            partial.message.restart(now);
        }
    }

    /// Gives back what is not in use any more. Not after an error, which [`discard`](Self::discard)
    /// follows: what it has left must not come to another connection.
    #[inline]
    pub(super) fn release(&mut self, pool: &mut BufferPool) {
        if let Some(partial) = self.0.take_if(|partial| partial.is_blank()) {
            pool.give_partial(partial);
        }
    }

    /// Gives up the bytes of an unfinished message.
    pub(super) fn clear_message(&mut self, pool: &mut BufferPool) {
        if let Some(partial) = &mut self.0 {
            partial.message.clear(pool);
        }
    }

    /// Gives up whatever is in progress.
    pub(super) fn discard(&mut self, pool: &mut BufferPool) {
        if let Some(mut partial) = self.0.take() {
            partial.message.clear(pool);
            *partial = Partial::default();
            pool.give_partial(partial);
        }
    }
}
