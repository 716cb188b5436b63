//! A frame and a message of which the rest has not arrived.

use super::assembler::Assembler;
use super::control::ControlPayload;
use super::{FrameHeader, OpCode, apply_mask};

/// A frame in progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) fin: bool,
    pub(super) opcode: OpCode,
    pub(super) mask: Option<[u8; 4]>,
    /// How many payload bytes have arrived, modulo 4: the phase of the mask.
    pub(super) offset: usize,
    /// How many payload bytes are still to come.
    pub(super) remaining: usize,
}

impl Frame {
    pub(super) fn unmask(&mut self, bytes: &mut [u8]) {
        if let Some(key) = self.mask {
            apply_mask(bytes, key, self.offset);
        }
        self.offset = (self.offset + bytes.len()) % 4;
        self.remaining -= bytes.len();
    }
}

/// A frame and a message in progress. Few connections have either at a time, so the
/// [`BufferPool`](super::BufferPool) lends these to them.
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
    /// Whether nothing is in progress.
    pub(super) fn is_blank(&self) -> bool {
        self.header_len == 0
            && self.frame.is_none()
            && self.control.is_none()
            && self.message.is_blank()
    }
}
