//! One connection's compression. Without the feature `deflate` it does nothing.

#[cfg(feature = "deflate")]
use super::codec::Deflate;
use super::{CompressedMessage, DeflateAgreement, Setting};
use crate::proto::{Buffer, BufferPool, OpCode, ProtocolError, WorkBudget};

/// One connection's compression, if the opening handshake agreed on any.
#[derive(Debug, Default)]
pub(crate) struct Compression {
    #[cfg(feature = "deflate")]
    agreed: Option<Box<Deflate>>,
}

impl Compression {
    /// Whether a message of `len` bytes is to be compressed.
    #[inline]
    pub(crate) fn applies_to(&self, len: usize) -> bool {
        self.setting().is_some_and(|setting| len >= setting.min_size)
    }
}

#[cfg(feature = "deflate")]
impl Compression {
    /// Sets what the opening handshake agreed on.
    pub(in crate::proto) fn agree(&mut self, agreement: Option<DeflateAgreement>) {
        self.agreed = agreement.map(|agreement| Box::new(Deflate::new(agreement)));
    }

    /// Whether the peer may send compressed messages.
    #[inline]
    pub(in crate::proto) const fn is_agreed(&self) -> bool {
        self.agreed.is_some()
    }

    /// How sent messages are compressed. `None` if they are not.
    #[inline]
    pub(crate) fn setting(&self) -> Option<Setting> {
        self.agreed.as_ref()?.setting()
    }

    /// Compresses a message into `out`, which is cleared. Returns whether it came out shorter. If
    /// so, it must be sent: the next message may refer to it.
    pub(crate) fn compress(
        &mut self,
        message: &[u8],
        out: &mut Vec<u8>,
        pool: &mut BufferPool,
    ) -> bool {
        self.agreed.as_mut().is_some_and(|deflate| deflate.compress(message, out, pool))
    }

    /// Notes that a message was sent which was compressed without this connection's context. The
    /// next message must not refer to earlier ones.
    pub(crate) fn reset_context(&mut self) {
        if let Some(deflate) = &mut self.agreed {
            deflate.reset_context();
        }
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
        match &mut self.agreed {
            Some(deflate) => deflate.decompress(message, pool, budget),
            None => Err(ProtocolError::ReservedBits),
        }
    }

    /// Keeps the payload of the message that is partly decompressed.
    pub(in crate::proto) fn keep_payload(&mut self, payload: Buffer) {
        if let Some(deflate) = &mut self.agreed {
            deflate.keep_payload(payload);
        }
    }

    /// Continues to decompress a message. Returns `None` if it takes another call.
    pub(in crate::proto) fn continue_inflating(
        &mut self,
        pool: &mut BufferPool,
        budget: &mut WorkBudget,
    ) -> Result<Option<(OpCode, Buffer)>, ProtocolError> {
        self.agreed.as_mut().map_or(Ok(None), |deflate| deflate.continue_inflating(pool, budget))
    }

    /// Whether a message is partly decompressed.
    #[inline]
    pub(crate) fn is_inflating(&self) -> bool {
        self.agreed.as_ref().is_some_and(|deflate| deflate.is_inflating())
    }

    /// Bytes of storage that the partly decompressed message takes.
    pub(in crate::proto) fn buffered_bytes(&self) -> usize {
        self.agreed.as_ref().map_or(0, |deflate| deflate.buffered_bytes())
    }

    /// Discards the partly decompressed message.
    pub(in crate::proto) fn clear(&mut self, pool: &mut BufferPool) {
        if let Some(deflate) = &mut self.agreed {
            deflate.clear(pool);
        }
    }
}

/// Without the feature, nothing is ever agreed.
#[cfg(not(feature = "deflate"))]
impl Compression {
    #[expect(clippy::unused_self, reason = "the same signature as with the feature")]
    pub(in crate::proto) const fn agree(&mut self, _: Option<DeflateAgreement>) {}

    #[inline]
    pub(in crate::proto) const fn is_agreed(&self) -> bool {
        false
    }

    #[inline]
    pub(crate) const fn setting(&self) -> Option<Setting> {
        None
    }

    pub(crate) const fn compress(&mut self, _: &[u8], _: &mut Vec<u8>, _: &mut BufferPool) -> bool {
        false
    }

    pub(crate) const fn reset_context(&mut self) {}

    pub(in crate::proto) const fn decompress(
        &mut self,
        _: CompressedMessage<'_>,
        _: &mut BufferPool,
        _: &mut WorkBudget,
    ) -> Result<Option<Buffer>, ProtocolError> {
        Err(ProtocolError::ReservedBits)
    }

    pub(in crate::proto) fn keep_payload(&mut self, _: Buffer) {}

    pub(in crate::proto) const fn continue_inflating(
        &mut self,
        _: &mut BufferPool,
        _: &mut WorkBudget,
    ) -> Result<Option<(OpCode, Buffer)>, ProtocolError> {
        Ok(None)
    }

    #[inline]
    pub(crate) const fn is_inflating(&self) -> bool {
        false
    }

    pub(in crate::proto) const fn buffered_bytes(&self) -> usize {
        0
    }

    pub(in crate::proto) const fn clear(&mut self, _: &mut BufferPool) {}
}
