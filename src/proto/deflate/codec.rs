//! How one connection compresses and decompresses whole messages (RFC 7692 §7.2).

use std::fmt;

use flate2::{Compress, Decompress};

use super::codecs::{compress, compressor};
use super::config::WINDOW_BITS_MIN;
use super::inflation::{History, Inflation, PORTION_BYTES};
use super::{CompressedMessage, DeflateAgreement, Setting};
use crate::proto::{Buffer, BufferPool, OpCode, ProtocolError, WorkBudget};

/// One connection's compression.
pub(in crate::proto) struct Deflate {
    agreement: DeflateAgreement,
    /// The connection's own compressor, from the first message on, if messages may refer to earlier
    /// ones.
    compressor: Option<Compress>,
    /// The received bytes that the next received message may refer to.
    history: History,
    /// The message that is partly decompressed.
    unfinished: Option<Box<Unfinished>>,
    /// Whether the next sent message must not refer to earlier ones: `compressor` did not see the
    /// same messages as the peer.
    needs_reset: bool,
}

/// A message whose decompression continues in another turn.
#[derive(Debug)]
struct Unfinished {
    inflation: Inflation,
    payload: Buffer,
}

impl Deflate {
    pub(in crate::proto) fn new(agreement: DeflateAgreement) -> Self {
        let history = History::default();
        Self { agreement, compressor: None, history, unfinished: None, needs_reset: false }
    }

    /// How sent messages are compressed. `None` if they are not.
    pub(in crate::proto) fn setting(&self) -> Option<Setting> {
        let DeflateAgreement { level, min_size, .. } = self.agreement;
        self.agreement.send.map(|send| Setting { level, window: send.window, min_size })
    }

    /// Compresses a message into `out`, which is cleared. Returns whether it came out shorter. If
    /// so, it must be sent: the next message may refer to it.
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

    /// Notes that a message was sent which was compressed without this connection's context. The
    /// next message must not refer to earlier ones.
    pub(in crate::proto) const fn reset_context(&mut self) {
        self.needs_reset = true;
    }

    /// Decompresses a whole message. Returns `None` if that takes more than the budget. Then give
    /// the payload to [`keep_payload`](Self::keep_payload), and call
    /// [`continue_inflating`](Self::continue_inflating) until it returns the message.
    pub(in crate::proto) fn decompress(
        &mut self,
        message: CompressedMessage<'_>,
        pool: &mut BufferPool,
        budget: &mut WorkBudget,
    ) -> Result<Option<Buffer>, ProtocolError> {
        let codec = pool.codecs.decompressor.take().unwrap_or_else(|| Decompress::new(false));
        let CompressedMessage { opcode, payload, limit } = message;
        let inflation = Inflation::begin(codec, opcode, limit, &self.history)?;
        self.advance(Unfinished { inflation, payload: Buffer::default() }, payload, pool, budget)
    }

    /// Keeps the payload of the message that is partly decompressed.
    pub(in crate::proto) fn keep_payload(&mut self, payload: Buffer) {
        if let Some(unfinished) = &mut self.unfinished {
            unfinished.payload = payload;
        }
    }

    /// Continues to decompress a message. Returns `None` if it takes another call.
    pub(in crate::proto) fn continue_inflating(
        &mut self,
        pool: &mut BufferPool,
        budget: &mut WorkBudget,
    ) -> Result<Option<(OpCode, Buffer)>, ProtocolError> {
        let Some(mut unfinished) = self.unfinished.take() else {
            return Ok(None);
        };
        let payload = std::mem::take(&mut unfinished.payload);
        let opcode = unfinished.inflation.opcode();
        let advanced = self.advance(*unfinished, payload.as_slice(), pool, budget);
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
        budget: &mut WorkBudget,
    ) -> Result<Option<Buffer>, ProtocolError> {
        let inflation = &mut unfinished.inflation;
        let before = inflation.work();
        let mut portion = PORTION_BYTES;
        let outcome = inflation.advance(payload, &mut portion, &mut pool.storage);
        let after = inflation.work();
        let made = after.bytes - before.bytes;
        pool.codecs.inflated += made as u64;
        pool.codecs.calls += after.calls - before.calls;
        if outcome == Ok(false) {
            budget.end_inflation();
            self.unfinished = Some(Box::new(unfinished));
            return Ok(None);
        }
        budget.take_inflation(PORTION_BYTES - portion + made);
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

    /// Whether a message is partly decompressed.
    pub(in crate::proto) const fn is_inflating(&self) -> bool {
        self.unfinished.is_some()
    }

    /// Bytes of storage that the partly decompressed message takes.
    pub(in crate::proto) fn buffered_bytes(&self) -> usize {
        let unfinished = self.unfinished.as_ref();
        unfinished.map_or(0, |it| it.inflation.buffered_bytes() + it.payload.capacity())
    }

    /// Discards the partly decompressed message.
    pub(in crate::proto) fn clear(&mut self, pool: &mut BufferPool) {
        if let Some(unfinished) = self.unfinished.take() {
            let (codec, message) = unfinished.inflation.into_parts();
            pool.codecs.decompressor = Some(codec);
            pool.recycle(message);
            pool.recycle(unfinished.payload);
        }
    }
}

impl fmt::Debug for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflate").field("agreement", &self.agreement).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
