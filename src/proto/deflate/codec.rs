//! Compressing and decompressing whole messages (RFC 7692 §7.2).

use std::fmt;

use flate2::{Compress, Compression as Level, Decompress, FlushCompress, FlushDecompress, Status};

use super::config::SMALLEST_WINDOW;
use super::negotiation::{DeflateAgreement, Way};
use crate::proto::compression::Setting;
use crate::proto::{Buffer, BufferPool, OpCode, ProtocolError, Utf8Validator};

/// What every compressed message ends with, and what is left off (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// A last block with nothing in it.
const LAST: [u8; 2] = [3, 0];

/// How much is decompressed before its length is looked at again.
const STEP: usize = 16 * 1024;

/// One connection's compression.
pub(in crate::proto) struct Deflate {
    agreement: DeflateAgreement,
    /// Its own, from the first message on, if messages may refer to those before.
    compressor: Option<Compress>,
    decompressor: Option<Decompress>,
    /// The next message must not refer to those that `compressor` saw: the peer saw others.
    is_behind: bool,
}

/// Compressors and decompressors that serve all connections, one message at a time.
#[derive(Default)]
pub(in crate::proto) struct Codecs {
    decompressor: Option<Decompress>,
    /// By level and window.
    compressors: Vec<((u8, u8), Compress)>,
    /// How many bytes were decompressed in all.
    pub(in crate::proto) inflated: u64,
    /// How many messages were compressed in all.
    pub(in crate::proto) compressions: u64,
}

impl Deflate {
    pub(in crate::proto) const fn new(agreement: DeflateAgreement) -> Self {
        Self { agreement, compressor: None, decompressor: None, is_behind: false }
    }

    /// How what is sent is compressed, if it is.
    pub(in crate::proto) fn setting(&self) -> Option<Setting> {
        let DeflateAgreement { level, min_size, .. } = self.agreement;
        self.agreement.send.map(|send| Setting { level, window: send.window, min_size })
    }

    /// Compresses a message into `out`, which is cleared; whether it came out shorter. It must be
    /// sent then.
    pub(in crate::proto) fn compress(
        &mut self,
        message: &[u8],
        out: &mut Vec<u8>,
        pool: &mut BufferPool,
    ) -> bool {
        let Some((setting, send)) = self.setting().zip(self.agreement.send) else {
            return false;
        };
        if !send.context {
            return pool.codecs.compress(setting, message, out);
        }
        pool.codecs.compressions += 1;
        let compressor = self.compressor.get_or_insert_with(|| compressor(setting));
        if std::mem::take(&mut self.is_behind) {
            compressor.reset();
        }
        let is_shorter = compress(compressor, message, out);
        self.is_behind = !is_shorter;
        is_shorter
    }

    /// A message was sent that was compressed elsewhere, by itself.
    pub(in crate::proto) const fn passed_by(&mut self) {
        self.is_behind = true;
    }

    /// Decompresses a whole message of at most `limit` bytes.
    pub(in crate::proto) fn decompress(
        &mut self,
        opcode: OpCode,
        payload: &[u8],
        limit: usize,
        pool: &mut BufferPool,
    ) -> Result<Buffer, ProtocolError> {
        let Way { context, window } = self.agreement.receive;
        let shared = if context { None } else { pool.codecs.decompressor.take() };
        let own = self.decompressor.take().or(shared);
        let mut codec = own.unwrap_or_else(|| {
            let window = if context { window.max(SMALLEST_WINDOW) } else { 15 };
            Decompress::new_with_window_bits(false, window)
        });
        if !context {
            codec.reset(false);
        }
        let mut message = Inflating::new(opcode, limit);
        let outcome = message.feed(&mut codec, payload, pool);
        let outcome = outcome.and_then(|()| message.end(&mut codec, context, pool));
        pool.codecs.inflated += message.buffer.len() as u64;
        let place = if context { &mut self.decompressor } else { &mut pool.codecs.decompressor };
        *place = Some(codec);
        match outcome {
            Ok(()) => Ok(message.buffer),
            Err(error) => {
                pool.recycle(message.buffer);
                Err(error)
            }
        }
    }
}

impl Codecs {
    /// Compresses a message by itself into `out`, which is cleared; whether it came out shorter.
    pub(in crate::proto) fn compress(
        &mut self,
        setting: Setting,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        let kind = (setting.level, setting.window);
        let known = self.compressors.iter().position(|(known, _)| *known == kind);
        let place = known.unwrap_or_else(|| {
            self.compressors.push((kind, compressor(setting)));
            self.compressors.len() - 1
        });
        self.compressions += 1;
        let compressor = &mut self.compressors[place].1;
        compressor.reset();
        compress(compressor, message, out)
    }
}

fn compressor(setting: Setting) -> Compress {
    Compress::new_with_window_bits(Level::new(setting.level.into()), false, setting.window)
}

/// Compresses a message into `out`, which is cleared; whether it came out shorter. If not,
/// `compressor` has to be reset.
fn compress(compressor: &mut Compress, message: &[u8], out: &mut Vec<u8>) -> bool {
    // Whatever does not fit in there is no gain.
    out.clear();
    out.resize(message.len() + TAIL.len(), 0);
    let (before_in, before_out) = (compressor.total_in(), compressor.total_out());
    let compressed = compressor.compress(message, out, FlushCompress::Sync);
    let taken = (compressor.total_in() - before_in) as usize;
    let made = (compressor.total_out() - before_out) as usize;
    // The output has room left only if all of it was written (RFC 7692 §7.2.1).
    if compressed.is_err() || taken < message.len() || made == out.len() {
        return false;
    }
    out.truncate(made);
    let is_whole = out.ends_with(&TAIL);
    out.truncate(made.saturating_sub(TAIL.len()));
    is_whole
}

/// A message that is being decompressed.
struct Inflating {
    opcode: OpCode,
    limit: usize,
    buffer: Buffer,
    utf8: Utf8Validator,
    /// A last block has come.
    has_ended: bool,
}

impl Inflating {
    fn new(opcode: OpCode, limit: usize) -> Self {
        let (buffer, utf8) = (Buffer::default(), Utf8Validator::new());
        Self { opcode, limit, buffer, utf8, has_ended: false }
    }

    /// Decompresses `input`, and stops at the limit: of what is longer, one step more than the
    /// limit is made at most.
    fn feed(
        &mut self,
        codec: &mut Decompress,
        mut input: &[u8],
        pool: &mut BufferPool,
    ) -> Result<(), ProtocolError> {
        loop {
            // One byte more than allowed, so that a message at the limit is told from a longer.
            let room = (self.limit - self.buffer.len()).saturating_add(1).min(STEP);
            let spare = &mut self.buffer.spare(room, pool)[..room];
            let (before_in, before_out) = (codec.total_in(), codec.total_out());
            let status = codec
                .decompress(input, spare, FlushDecompress::Sync)
                .map_err(|_| ProtocolError::InvalidDeflate)?;
            let taken = (codec.total_in() - before_in) as usize;
            let made = (codec.total_out() - before_out) as usize;
            self.take(made)?;
            input = &input[taken..];
            if status == Status::StreamEnd {
                // Whatever follows a last block begins anew (RFC 7692 §7.2.3.4).
                codec.reset(false);
                self.has_ended = true;
            }
            if made < room && (input.is_empty() || taken + made == 0) {
                break;
            }
        }
        if input.is_empty() { Ok(()) } else { Err(ProtocolError::InvalidDeflate) }
    }

    /// `made` bytes more are in the buffer's spare room.
    fn take(&mut self, made: usize) -> Result<(), ProtocolError> {
        let start = self.buffer.len();
        self.buffer.advance(made);
        if self.buffer.len() > self.limit {
            return Err(ProtocolError::MessageTooLarge { limit: self.limit });
        }
        if self.opcode == OpCode::Text {
            let fresh = &self.buffer.as_slice()[start..];
            self.utf8.feed(fresh).map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        Ok(())
    }

    /// Ends the message, which must not be in the middle of anything: what was left off its end
    /// has nothing in it, and a block may begin there.
    fn end(
        &mut self,
        codec: &mut Decompress,
        goes_on: bool,
        pool: &mut BufferPool,
    ) -> Result<(), ProtocolError> {
        let (len, had_ended) = (self.buffer.len(), self.has_ended);
        self.feed(codec, &TAIL, pool)?;
        if had_ended {
            codec.reset(false);
        } else if !goes_on {
            // Whoever goes on cannot be asked; the next message will tell.
            self.feed(codec, &LAST, pool)?;
        }
        if self.buffer.len() > len || !(had_ended || goes_on || self.has_ended) {
            return Err(ProtocolError::InvalidDeflate);
        }
        self.utf8.finish().map_err(|_| ProtocolError::InvalidUtf8)
    }
}

impl fmt::Debug for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflate").field("agreement", &self.agreement).finish_non_exhaustive()
    }
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codecs").field("inflated", &self.inflated).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
