//! What a connection does with messages that are compressed, whether this was built for it or not.

#[cfg(feature = "deflate")]
use super::codec::Deflate;
use super::{CompressedMessage, DeflateAgreement, Setting};
use crate::proto::{Buffer, BufferPool, OpCode, ProtocolError, Share};

/// What was agreed of compression, and what there is of it for one connection.
#[derive(Debug, Default)]
pub(crate) struct Compression {
    #[cfg(feature = "deflate")]
    agreed: Option<Box<Deflate>>,
}

impl Compression {
    /// Whether to try to compress a message of that length.
    #[inline]
    pub(crate) fn applies_to(&self, len: usize) -> bool {
        self.setting().is_some_and(|setting| len >= setting.min_size)
    }
}

#[cfg(feature = "deflate")]
impl Compression {
    /// What holds from the opening handshake on.
    pub(in crate::proto) fn agree(&mut self, agreement: Option<DeflateAgreement>) {
        self.agreed = agreement.map(|agreement| Box::new(Deflate::new(agreement)));
    }

    /// Whether compressed messages may come.
    #[inline]
    pub(in crate::proto) const fn is_agreed(&self) -> bool {
        self.agreed.is_some()
    }

    /// How what is sent is compressed, if it is.
    #[inline]
    pub(crate) fn setting(&self) -> Option<Setting> {
        self.agreed.as_ref()?.setting()
    }

    /// Compresses a message into `out`, which is cleared; whether it came out shorter. It must be
    /// sent then.
    pub(crate) fn compress(
        &mut self,
        message: &[u8],
        out: &mut Vec<u8>,
        pool: &mut BufferPool,
    ) -> bool {
        self.agreed.as_mut().is_some_and(|deflate| deflate.compress(message, out, pool))
    }

    /// A message was sent that was compressed elsewhere, by itself.
    pub(crate) fn reset_context(&mut self) {
        if let Some(deflate) = &mut self.agreed {
            deflate.reset_context();
        }
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
        match &mut self.agreed {
            Some(deflate) => deflate.decompress(message, pool, share),
            None => Err(ProtocolError::ReservedBits),
        }
    }

    /// Keeps the payload of the message whose decompression was left off.
    pub(in crate::proto) fn keep_payload(&mut self, payload: Buffer) {
        if let Some(deflate) = &mut self.agreed {
            deflate.keep_payload(payload);
        }
    }

    /// Goes on with the message whose decompression was left off; `None`: once more.
    pub(in crate::proto) fn continue_inflating(
        &mut self,
        pool: &mut BufferPool,
        share: &mut Share,
    ) -> Result<Option<(OpCode, Buffer)>, ProtocolError> {
        self.agreed.as_mut().map_or(Ok(None), |deflate| deflate.continue_inflating(pool, share))
    }

    /// Whether the decompression of a message was left off.
    #[inline]
    pub(crate) fn is_inflating(&self) -> bool {
        self.agreed.as_ref().is_some_and(|deflate| deflate.is_inflating())
    }

    /// Bytes of storage that the message holds whose decompression was left off.
    pub(in crate::proto) fn buffered_bytes(&self) -> usize {
        self.agreed.as_ref().map_or(0, |deflate| deflate.buffered_bytes())
    }

    /// Gives up the message whose decompression was left off.
    pub(in crate::proto) fn clear(&mut self, pool: &mut BufferPool) {
        if let Some(deflate) = &mut self.agreed {
            deflate.clear(pool);
        }
    }
}

/// Built without: nothing is ever agreed.
#[cfg(not(feature = "deflate"))]
impl Compression {
    #[expect(clippy::unused_self, reason = "the same as where there is something to agree")]
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
        _: &mut Share,
    ) -> Result<Option<Buffer>, ProtocolError> {
        Err(ProtocolError::ReservedBits)
    }

    pub(in crate::proto) fn keep_payload(&mut self, _: Buffer) {}

    pub(in crate::proto) const fn continue_inflating(
        &mut self,
        _: &mut BufferPool,
        _: &mut Share,
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
