use super::buffer::{Buffer, StoragePool};
use super::{FrameHeader, Limits, OpCode, ProtocolError, Utf8Validator};
use crate::time::Time;

/// How much an unfinished message must grow, in bytes, for its time to start again.
const PROGRESS_BYTES_MIN: usize = 64 * 1024;

/// A message that arrives in pieces: in fragments, or in one frame over several receives.
///
/// It holds bytes and counters, and no object for each fragment. So a peer cannot make a message
/// cost more memory than its bytes.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// Text or binary while a message is unfinished.
    opcode: Option<OpCode>,
    /// Whether the message is compressed. Then it is decompressed once it is whole.
    compressed: bool,
    fragments: usize,
    /// When the unfinished message began, or last had grown by `PROGRESS_BYTES_MIN`.
    progress_at: Time,
    /// How long the message was then, in bytes.
    progress_len: usize,
    utf8: Utf8Validator,
    buffer: Buffer,
}

/// A message that has arrived whole.
#[derive(Debug)]
pub(super) struct Assembled {
    pub(super) opcode: OpCode,
    /// The payload is compressed.
    pub(super) compressed: bool,
    pub(super) payload: Buffer,
}

impl Assembler {
    /// When the unfinished message began or last made progress, if there is one.
    pub(super) fn unfinished_since(&self) -> Option<Time> {
        self.opcode.map(|_| self.progress_at)
    }

    /// Whether no part of a message is left here.
    pub(super) fn is_blank(&self) -> bool {
        self.opcode.is_none() && self.fragments == 0 && self.buffer.capacity() == 0
    }

    /// Starts the time of an unfinished message again.
    pub(super) const fn restart(&mut self, now: Time) {
        self.progress_at = now;
    }

    /// Bytes of the unfinished message that have arrived.
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Bytes of storage that the unfinished message takes, with spare room.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// Whether the current frame is the first of its message.
    pub(super) const fn is_first_frame(&self) -> bool {
        self.fragments == 1
    }

    /// Begins a data frame. Checks that it may come here (RFC 6455 §5.4), and the limits.
    #[inline]
    pub(super) fn begin(
        &mut self,
        header: &FrameHeader,
        limits: &Limits,
        now: Time,
    ) -> Result<(), ProtocolError> {
        match (self.opcode, header.opcode) {
            (None, OpCode::Continuation) => return Err(ProtocolError::UnexpectedContinuation),
            (Some(_), OpCode::Continuation) => {}
            (Some(_), _) => return Err(ProtocolError::InterruptedMessage),
            (None, opcode) => {
                self.opcode = Some(opcode);
                self.compressed = header.compressed;
                (self.progress_at, self.progress_len) = (now, 0);
            }
        }
        self.fragments += 1;
        let limit = limits.arriving_frame(self.compressed);
        if header.len > limit as u64 {
            return Err(ProtocolError::FrameTooLarge { len: header.len, limit });
        }
        if header.len > (limits.arriving_message(self.compressed) - self.buffer.len()) as u64 {
            return Err(ProtocolError::MessageTooLarge { limit: limits.message });
        }
        if self.fragments > limits.fragments() && !(self.is_first_frame() && header.fin) {
            return Err(ProtocolError::TooManyFragments { limit: limits.fragments() });
        }
        Ok(())
    }

    /// Appends payload bytes. `unmask` is called with them.
    pub(super) fn append(
        &mut self,
        bytes: &[u8],
        storage: &mut StoragePool,
        now: Time,
        unmask: impl FnOnce(&mut [u8]),
    ) -> Result<(), ProtocolError> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(bytes, storage);
        self.note_progress(now);
        self.check(start, unmask)
    }

    /// Room for at least `want` payload bytes behind the message, to receive into.
    pub(super) fn reserve(&mut self, want: usize, storage: &mut StoragePool) -> &mut [u8] {
        self.buffer.reserve(want, storage)
    }

    /// Appends `count` payload bytes that were received into [`reserve`](Self::reserve). `unmask`
    /// is called with them.
    pub(super) fn advance(
        &mut self,
        count: usize,
        now: Time,
        unmask: impl FnOnce(&mut [u8]),
    ) -> Result<(), ProtocolError> {
        let start = self.buffer.len();
        self.buffer.advance(count);
        self.note_progress(now);
        self.check(start, unmask)
    }

    fn note_progress(&mut self, now: Time) {
        if self.buffer.len() - self.progress_len >= PROGRESS_BYTES_MIN {
            (self.progress_at, self.progress_len) = (now, self.buffer.len());
        }
    }

    fn check(&mut self, start: usize, unmask: impl FnOnce(&mut [u8])) -> Result<(), ProtocolError> {
        let fresh = &mut self.buffer.as_mut_slice()[start..];
        unmask(fresh);
        if self.opcode == Some(OpCode::Text) && !self.compressed {
            self.utf8.feed(fresh).map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        Ok(())
    }

    /// Ends the message after its last frame.
    pub(super) fn finish(&mut self) -> Result<Assembled, ProtocolError> {
        self.utf8.finish().map_err(|_| ProtocolError::InvalidUtf8)?;
        let opcode = self.opcode.take().unwrap_or(OpCode::Binary);
        self.utf8 = Utf8Validator::new();
        self.fragments = 0;
        let payload = std::mem::take(&mut self.buffer);
        Ok(Assembled { opcode, compressed: self.compressed, payload })
    }

    /// Discards an unfinished message.
    pub(super) fn clear(&mut self, storage: &mut StoragePool) {
        storage.recycle(std::mem::take(&mut self.buffer));
        self.utf8 = Utf8Validator::new();
    }
}
