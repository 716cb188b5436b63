//! What has arrived of a frame and of a message, while either is not whole.

use super::WebSocket;
use super::frames::Frame;
use crate::proto::websocket::assembler::Assembler;
use crate::proto::websocket::control::ControlPayload;
use crate::proto::{BufferPool, FrameHeader};

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

impl WebSocket {
    /// Whatever is in progress, or room for it.
    pub(super) fn partial_mut(&mut self, pool: &mut BufferPool) -> &mut Partial {
        self.partial.get_or_insert_with(|| pool.take_partial())
    }

    /// The frame whose payload has not arrived whole.
    #[inline]
    pub(super) fn frame(&self) -> Option<Frame> {
        self.partial.as_ref()?.frame
    }

    /// Gives back what is not in use any more. Not after an error, which
    /// [`discard_partial`](Self::discard_partial) follows: what it has left must not come to
    /// another connection.
    #[inline]
    pub(super) fn release_partial(&mut self, pool: &mut BufferPool) {
        if let Some(partial) = self.partial.take_if(|partial| partial.is_blank()) {
            pool.give_partial(partial);
        }
    }

    /// Gives up whatever is in progress.
    pub(super) fn discard_partial(&mut self, pool: &mut BufferPool) {
        if let Some(mut partial) = self.partial.take() {
            partial.message.clear(pool);
            *partial = Partial::default();
            pool.give_partial(partial);
        }
    }
}
