//! Compressing and decompressing whole messages (RFC 7692 §7.2).

use std::fmt;

use flate2::{Compress, Decompress};

use super::codecs::{compress, compressor};
use super::config::WINDOW_BITS_MIN;
use super::inflation::{History, Inflation, PORTION_BYTES};
use super::{CompressedMessage, DeflateAgreement, Setting};
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
        let outcome = inflation.advance(payload, &mut portion, &mut pool.storage);
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

impl fmt::Debug for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflate").field("agreement", &self.agreement).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
