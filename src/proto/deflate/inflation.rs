//! Decompressing a message (RFC 7692 §7.2.2), as much of it at a time as a peer may ask for.

use std::collections::VecDeque;
use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use crate::proto::{Buffer, OpCode, ProtocolError, StoragePool, Utf8Validator};

/// What every compressed message ends with, and what is left off (RFC 7692 §7.2.1).
pub(super) const FLUSH_TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// A last block with nothing in it.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// How much is decompressed before its length is looked at again.
pub(super) const STEP_BYTES: usize = 16 * 1024;

/// How many compressed bytes of a message are taken at a time, however little they stand for. The
/// worst that they can be, descriptions of codes that nothing is written in, takes milliseconds.
pub(super) const PORTION_BYTES: usize = 64 * 1024;

/// What a last block costs beyond its bytes: what follows it begins anew.
pub(super) const LAST_BLOCK_COST_BYTES: usize = 8;

/// The end of what was decompressed before, which the next message may refer to.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<u8>);

impl History {
    /// Appends `bytes`, and forgets what is further back than a window.
    pub(super) fn push(&mut self, bytes: &[u8], window: usize) {
        let bytes = &bytes[bytes.len().saturating_sub(window)..];
        let excess = (self.0.len() + bytes.len()).saturating_sub(window);
        self.0.drain(..excess);
        let needed = self.0.len() + bytes.len();
        if self.0.capacity() < needed {
            // Doubled as it grows, and a window in the end: all windows are powers of two.
            self.0.reserve_exact(needed.next_power_of_two() - self.0.len());
        }
        self.0.extend(bytes);
    }

    /// Lets `codec`, which has just been reset, know it.
    fn recall(&self, codec: &mut Decompress) -> Result<(), ProtocolError> {
        let (older, newer) = self.0.as_slices();
        for part in [older, newer].into_iter().filter(|part| !part.is_empty()) {
            codec.set_dictionary(part).map_err(|_| ProtocolError::InvalidDeflate)?;
        }
        Ok(())
    }
}

/// A message that is being decompressed. It is a stream of its own, which begins with what came
/// before it as its dictionary and is ended with a last block: that shows whether it was whole.
pub(super) struct Inflation {
    codec: Decompress,
    opcode: OpCode,
    limit: usize,
    /// How much of the payload was taken.
    at: usize,
    message: Buffer,
    utf8: Utf8Validator,
    /// A last block has come, and nothing after it.
    has_ended: bool,
    /// How often the codec was called.
    calls: u64,
}

/// What was done for a message.
pub(super) struct Work {
    /// Bytes that were decompressed.
    pub(super) bytes: usize,
    /// How often the codec was called for that.
    pub(super) calls: u64,
}

/// What one call of the codec came to.
struct Step {
    /// How much of the input was taken.
    taken: usize,
    /// How much was made of it.
    made: usize,
    /// There was room for more.
    has_room: bool,
    /// Nothing happened.
    is_stuck: bool,
}

impl Inflation {
    /// The beginning of a message of at most `limit` bytes.
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

    /// Bytes of storage that the message holds so far.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.message.capacity()
    }

    /// What was done for the message so far.
    pub(super) fn work(&self) -> Work {
        Work { bytes: self.message.len(), calls: self.calls }
    }

    /// Gives up the message, if it was not finished, and its codec.
    pub(super) fn into_parts(self) -> (Decompress, Buffer) {
        (self.codec, self.message)
    }

    /// Goes on with the message, whose payload is the same at every call, until `portion` is used
    /// up. Whether that was all of it.
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
            // Whatever follows a last block begins anew (RFC 7692 §7.2.3.4).
            self.codec.reset(false);
            *portion = portion.saturating_sub(LAST_BLOCK_COST_BYTES);
            self.has_ended = true;
        } else if taken > 0 {
            self.has_ended = false;
        }
        let is_stuck = taken + made == 0 && !has_ended;
        Ok(Step { taken, made, has_room: made < room, is_stuck })
    }

    /// `made` bytes more are in the message's spare room.
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

    /// Ends the message, which must not be in the middle of anything: what was left off its end
    /// has nothing in it, and a last block may follow. One that ended with a last block is whole
    /// already.
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
