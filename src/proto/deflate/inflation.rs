//! Decompressing a message (RFC 7692 §7.2.2) in portions of bounded work.

use std::collections::VecDeque;
use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use crate::proto::{Buffer, OpCode, ProtocolError, StoragePool, Utf8Validator};

/// The end of every compressed message, which is not sent (RFC 7692 §7.2.1).
pub(super) const FLUSH_TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// An empty last block.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// How much is decompressed between two checks of the message's length.
pub(super) const STEP_BYTES: usize = 16 * 1024;

/// How many compressed bytes of a message are taken in one call. Even the slowest input of this
/// length, which describes codes and never uses them, takes only milliseconds.
pub(super) const PORTION_BYTES: usize = 64 * 1024;

/// The work of a last block beyond its bytes: the codec is reset for what follows.
pub(super) const LAST_BLOCK_COST_BYTES: usize = 8;

/// The last bytes of earlier messages, which the next message may refer to.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<u8>);

impl History {
    /// Appends `bytes`, and removes what is further back than a window.
    pub(super) fn push(&mut self, bytes: &[u8], window: usize) {
        let bytes = &bytes[bytes.len().saturating_sub(window)..];
        let excess = (self.0.len() + bytes.len()).saturating_sub(window);
        self.0.drain(..excess);
        let needed = self.0.len() + bytes.len();
        if self.0.capacity() < needed {
            // The capacity doubles and ends at a window: all windows are powers of two.
            self.0.reserve_exact(needed.next_power_of_two() - self.0.len());
        }
        self.0.extend(bytes);
    }

    /// Gives the history to `codec`, which has just been reset.
    fn recall(&self, codec: &mut Decompress) -> Result<(), ProtocolError> {
        let (older, newer) = self.0.as_slices();
        for part in [older, newer].into_iter().filter(|part| !part.is_empty()) {
            codec.set_dictionary(part).map_err(|_| ProtocolError::InvalidDeflate)?;
        }
        Ok(())
    }
}

/// A message that is being decompressed.
///
/// It is a stream of its own, with the [`History`] as its dictionary. At its end a last block is
/// added: only if the codec takes it, the message was whole.
pub(super) struct Inflation {
    codec: Decompress,
    opcode: OpCode,
    limit: usize,
    /// How many bytes of the payload were taken.
    at: usize,
    message: Buffer,
    utf8: Utf8Validator,
    /// Whether the last input was the end of a last block.
    has_ended: bool,
    /// How often the codec was called.
    calls: u64,
}

/// The work that was done for a message.
pub(super) struct Work {
    /// Decompressed bytes.
    pub(super) bytes: usize,
    /// Calls of the codec.
    pub(super) calls: u64,
}

/// The result of one call of the codec.
struct Step {
    /// Bytes of input that were taken.
    taken: usize,
    /// Bytes of output that were written.
    made: usize,
    /// Whether the output had room for more.
    has_room: bool,
    /// Whether nothing happened, so that another call makes no sense.
    is_stuck: bool,
}

impl Inflation {
    /// Begins a message of at most `limit` bytes.
    pub(super) fn begin(
        mut codec: Decompress,
        opcode: OpCode,
        limit: usize,
        history: &History,
    ) -> Result<Self, ProtocolError> {
        codec.reset(false);
        history.recall(&mut codec)?;
        Ok(Self {
            codec,
            opcode,
            limit,
            at: 0,
            message: Buffer::default(),
            utf8: Utf8Validator::new(),
            has_ended: false,
            calls: 0,
        })
    }

    pub(super) const fn opcode(&self) -> OpCode {
        self.opcode
    }

    /// Bytes of storage that the message takes so far.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.message.capacity()
    }

    /// The work for the message so far.
    pub(super) fn work(&self) -> Work {
        Work { bytes: self.message.len(), calls: self.calls }
    }

    /// The codec, and the message as far as it was decompressed.
    pub(super) fn into_parts(self) -> (Decompress, Buffer) {
        (self.codec, self.message)
    }

    /// Decompresses until `portion`, in bytes of input, is used up. Returns whether the message is
    /// whole. Pass the same payload in every call.
    pub(super) fn advance(
        &mut self,
        payload: &[u8],
        portion: &mut usize,
        storage: &mut StoragePool,
    ) -> Result<bool, ProtocolError> {
        while *portion > 0 {
            let step = self.step(&payload[self.at..], portion, storage)?;
            self.at += step.taken;
            if step.has_room && self.at == payload.len() {
                return self.end(storage).map(|()| true);
            }
            if step.is_stuck {
                return Err(ProtocolError::InvalidDeflate);
            }
        }
        Ok(false)
    }

    /// Calls the codec once.
    fn step(
        &mut self,
        input: &[u8],
        portion: &mut usize,
        storage: &mut StoragePool,
    ) -> Result<Step, ProtocolError> {
        // One byte more than allowed, to distinguish a message at the limit from a longer one.
        let room = (self.limit - self.message.len()).saturating_add(1).min(STEP_BYTES);
        let spare = &mut self.message.reserve(room, storage)[..room];
        let (before_in, before_out) = (self.codec.total_in(), self.codec.total_out());
        let input = &input[..input.len().min(*portion)];
        self.calls += 1;
        let status = self
            .codec
            .decompress(input, spare, FlushDecompress::Sync)
            .map_err(|_| ProtocolError::InvalidDeflate)?;
        let taken = (self.codec.total_in() - before_in) as usize;
        let made = (self.codec.total_out() - before_out) as usize;
        *portion = portion.saturating_sub(taken);
        self.take(made)?;
        let has_ended = status == Status::StreamEnd;
        if has_ended {
            // After a last block a new stream may begin (RFC 7692 §7.2.3.4).
            self.codec.reset(false);
            *portion = portion.saturating_sub(LAST_BLOCK_COST_BYTES);
            self.has_ended = true;
        } else if taken > 0 {
            self.has_ended = false;
        }
        let is_stuck = taken + made == 0 && !has_ended;
        Ok(Step { taken, made, has_room: made < room, is_stuck })
    }

    /// Appends the `made` bytes that were written behind the message, and checks them.
    fn take(&mut self, made: usize) -> Result<(), ProtocolError> {
        let start = self.message.len();
        self.message.advance(made);
        if self.message.len() > self.limit {
            return Err(ProtocolError::MessageTooLarge { limit: self.limit });
        }
        if self.opcode == OpCode::Text {
            let fresh = &self.message.as_slice()[start..];
            self.utf8.feed(fresh).map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        Ok(())
    }

    /// Checks that the message is whole: its omitted tail and an empty last block must be valid
    /// there and yield nothing. A message that ended with a last block is whole already.
    fn end(&mut self, storage: &mut StoragePool) -> Result<(), ProtocolError> {
        let mut portion = usize::MAX;
        if !self.has_ended {
            for mut end in [&FLUSH_TAIL[..], &LAST_BLOCK] {
                while !end.is_empty() {
                    let step = self.step(end, &mut portion, storage)?;
                    if step.made > 0 || step.is_stuck {
                        return Err(ProtocolError::InvalidDeflate);
                    }
                    end = &end[step.taken..];
                }
            }
        }
        if !self.has_ended {
            return Err(ProtocolError::InvalidDeflate);
        }
        self.utf8.finish().map_err(|_| ProtocolError::InvalidUtf8)
    }
}

impl fmt::Debug for Inflation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflation")
            .field("opcode", &self.opcode)
            .field("at", &self.at)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}
