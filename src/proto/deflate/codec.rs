//! Compressing and decompressing whole messages (RFC 7692 §7.2).

use std::fmt;

use flate2::{Compress, Compression as Level, Decompress, FlushCompress};

use super::compression::{CompressedMessage, Setting};
use super::config::WINDOW_BITS_MIN;
use super::inflation::{FLUSH_TAIL, History, Inflation, PORTION_BYTES};
use super::negotiation::DeflateAgreement;
use crate::proto::{Buffer, BufferPool, OpCode, ProtocolError, Share};

/// One connection's compression.
pub(in crate::proto) struct Deflate {
    agreement: DeflateAgreement,
    /// Its own, from the first message on, if messages may refer to those before.
    compressor: Option<Compress>,
    /// What the next message that comes may refer to.
    history: History,
    /// The message whose decompression was left off.
    unfinished: Option<Box<Unfinished>>,
    /// The next message must not refer to those that `compressor` saw: the peer saw others.
    needs_reset: bool,
}

/// A message whose decompression goes on in another turn.
#[derive(Debug)]
struct Unfinished {
    inflation: Inflation,
    payload: Buffer,
}

/// Compressors and decompressors that serve all connections, one message at a time.
#[derive(Default)]
pub(in crate::proto) struct Codecs {
    decompressor: Option<Decompress>,
    compressors: Vec<SharedCompressor>,
    /// How many bytes were decompressed in all.
    pub(in crate::proto) inflated: u64,
    /// How often the decompressor was called in all.
    pub(in crate::proto) calls: u64,
    /// How many messages were compressed in all.
    pub(in crate::proto) compressions: u64,
}

/// A compressor that serves all connections with one level and window.
struct SharedCompressor {
    level: u8,
    window: u8,
    codec: Compress,
}

impl Deflate {
    pub(in crate::proto) fn new(agreement: DeflateAgreement) -> Self {
        let history = History::default();
        Self { agreement, compressor: None, history, unfinished: None, needs_reset: false }
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
        if std::mem::take(&mut self.needs_reset) {
            compressor.reset();
        }
        let is_shorter = compress(compressor, message, out);
        self.needs_reset = !is_shorter;
        is_shorter
    }

    /// A message was sent that was compressed elsewhere, by itself.
    pub(in crate::proto) const fn reset_context(&mut self) {
        self.needs_reset = true;
    }

    /// Decompresses a whole message. `None`: that takes more than one share. Give the payload to
    /// [`keep_payload`](Self::keep_payload) then, and call
    /// [`continue_inflating`](Self::continue_inflating) until there is a message.
    pub(in crate::proto) fn decompress(
        &mut self,
        message: CompressedMessage<'_>,
        pool: &mut BufferPool,
        share: &mut Share,
    ) -> Result<Option<Buffer>, ProtocolError> {
        let codec = pool.codecs.decompressor.take().unwrap_or_else(|| Decompress::new(false));
        let CompressedMessage { opcode, payload, limit } = message;
        let inflation = Inflation::begin(codec, opcode, limit, &self.history)?;
        self.advance(Unfinished { inflation, payload: Buffer::default() }, payload, pool, share)
    }

    /// Keeps the payload of the message whose decompression was left off.
    pub(in crate::proto) fn keep_payload(&mut self, payload: Buffer) {
        if let Some(unfinished) = &mut self.unfinished {
            unfinished.payload = payload;
        }
    }

    /// Goes on with the message whose decompression was left off; `None`: once more.
    pub(in crate::proto) fn continue_inflating(
        &mut self,
        pool: &mut BufferPool,
        share: &mut Share,
    ) -> Result<Option<(OpCode, Buffer)>, ProtocolError> {
        let Some(mut unfinished) = self.unfinished.take() else {
            return Ok(None);
        };
        let payload = std::mem::take(&mut unfinished.payload);
        let opcode = unfinished.inflation.opcode();
        let advanced = self.advance(*unfinished, payload.as_slice(), pool, share);
        match self.is_inflating() {
            true => self.keep_payload(payload),
            false => pool.recycle(payload),
        }
        Ok(advanced?.map(|message| (opcode, message)))
    }

    fn advance(
        &mut self,
        mut unfinished: Unfinished,
        payload: &[u8],
        pool: &mut BufferPool,
        share: &mut Share,
    ) -> Result<Option<Buffer>, ProtocolError> {
        let inflation = &mut unfinished.inflation;
        let before = inflation.work();
        let mut portion = PORTION_BYTES;
        let outcome = inflation.advance(payload, &mut portion, pool);
        let after = inflation.work();
        let made = after.bytes - before.bytes;
        pool.codecs.inflated += made as u64;
        pool.codecs.calls += after.calls - before.calls;
        if outcome == Ok(false) {
            share.end_inflation();
            self.unfinished = Some(Box::new(unfinished));
            return Ok(None);
        }
        share.take_inflation(PORTION_BYTES - portion + made);
        let (codec, message) = unfinished.inflation.into_parts();
        pool.codecs.decompressor = Some(codec);
        if let Err(error) = outcome {
            pool.recycle(message);
            return Err(error);
        }
        let receive = self.agreement.receive;
        if receive.context {
            self.history.push(message.as_slice(), 1 << receive.window.max(WINDOW_BITS_MIN));
        }
        Ok(Some(message))
    }

    /// Whether the decompression of a message was left off.
    pub(in crate::proto) const fn is_inflating(&self) -> bool {
        self.unfinished.is_some()
    }

    /// Bytes of storage that the message holds whose decompression was left off.
    pub(in crate::proto) fn buffered_bytes(&self) -> usize {
        let unfinished = self.unfinished.as_ref();
        unfinished.map_or(0, |it| it.inflation.buffered_bytes() + it.payload.capacity())
    }

    /// Gives up the message whose decompression was left off.
    pub(in crate::proto) fn clear(&mut self, pool: &mut BufferPool) {
        if let Some(unfinished) = self.unfinished.take() {
            let (codec, message) = unfinished.inflation.into_parts();
            pool.codecs.decompressor = Some(codec);
            pool.recycle(message);
            pool.recycle(unfinished.payload);
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
        let Setting { level, window, .. } = setting;
        let known = self.compressors.iter().position(|it| (it.level, it.window) == (level, window));
        let place = known.unwrap_or_else(|| {
            let codec = compressor(setting);
            self.compressors.push(SharedCompressor { level, window, codec });
            self.compressors.len() - 1
        });
        self.compressions += 1;
        let compressor = &mut self.compressors[place].codec;
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
    out.resize(message.len() + FLUSH_TAIL.len(), 0);
    let (before_in, before_out) = (compressor.total_in(), compressor.total_out());
    let compressed = compressor.compress(message, out, FlushCompress::Sync);
    let taken = (compressor.total_in() - before_in) as usize;
    let made = (compressor.total_out() - before_out) as usize;
    // The output has room left only if all of it was written (RFC 7692 §7.2.1).
    if compressed.is_err() || taken < message.len() || made == out.len() {
        return false;
    }
    out.truncate(made);
    let is_whole = out.ends_with(&FLUSH_TAIL);
    out.truncate(made.saturating_sub(FLUSH_TAIL.len()));
    is_whole
}

impl fmt::Debug for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflate").field("agreement", &self.agreement).finish_non_exhaustive()
    }
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codecs")
            .field("inflated", &self.inflated)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
