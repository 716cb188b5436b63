//! What a connection does with messages that are compressed, whether this was built for it or not.

#[cfg(feature = "deflate")]
use super::deflate::Deflate;
use super::deflate::DeflateAgreement;
use super::share::Share;
use super::{Buffer, BufferPool, OpCode, ProtocolError};

/// What was agreed of compression, and what there is of it for one connection.
#[derive(Debug, Default)]
pub(super) struct Compression {
    #[cfg(feature = "deflate")]
    agreed: Option<Box<Deflate>>,
}

/// How messages are compressed: the same way for all connections of one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(super) level: u8,
    pub(super) window: u8,
    pub(super) min_size: usize,
}

impl Setting {
    /// Messages shorter than this are sent as they are.
    pub(crate) const fn min_size(self) -> usize {
        self.min_size
    }
}

#[cfg(feature = "deflate")]
impl Compression {
    /// What holds from the opening handshake on.
    pub(super) fn agree(&mut self, agreement: Option<DeflateAgreement>) {
        self.agreed = agreement.map(|agreement| Box::new(Deflate::new(agreement)));
    }

    /// Whether compressed messages may come.
    #[inline]
    pub(super) const fn is_agreed(&self) -> bool {
        self.agreed.is_some()
    }

    /// How what is sent is compressed, if it is.
    #[inline]
    pub(super) fn setting(&self) -> Option<Setting> {
        self.agreed.as_ref()?.setting()
    }

    /// Compresses a message into `out`, which is cleared; whether it came out shorter. It must be
    /// sent then.
    pub(super) fn compress(
        &mut self,
        message: &[u8],
        out: &mut Vec<u8>,
        pool: &mut BufferPool,
    ) -> bool {
        self.agreed.as_mut().is_some_and(|deflate| deflate.compress(message, out, pool))
    }

    /// A message was sent that was compressed elsewhere, by itself.
    pub(super) fn passed_by(&mut self) {
        if let Some(deflate) = &mut self.agreed {
            deflate.passed_by();
        }
    }

    /// Decompresses a whole message of at most `limit` bytes. `None`: that takes more than one
    /// share; [`keep`](Self::keep) the payload then, and [`go_on`](Self::go_on).
    pub(super) fn decompress(
        &mut self,
        (opcode, payload): (OpCode, &[u8]),
        limit: usize,
        pool: &mut BufferPool,
        share: &mut Share,
    ) -> Result<Option<Buffer>, ProtocolError> {
        match &mut self.agreed {
            Some(deflate) => deflate.decompress((opcode, payload), limit, pool, share),
            None => Err(ProtocolError::ReservedBits),
        }
    }

    /// Keeps the payload of the message whose decompression was left off.
    pub(super) fn keep(&mut self, payload: Buffer) {
        if let Some(deflate) = &mut self.agreed {
            deflate.keep(payload);
        }
    }

    /// Goes on with the message whose decompression was left off; `None`: once more.
    pub(super) fn go_on(
        &mut self,
        pool: &mut BufferPool,
        share: &mut Share,
    ) -> Result<Option<(OpCode, Buffer)>, ProtocolError> {
        self.agreed.as_mut().map_or(Ok(None), |deflate| deflate.go_on(pool, share))
    }

    /// Whether the decompression of a message was left off.
    #[inline]
    pub(super) fn is_inflating(&self) -> bool {
        self.agreed.as_ref().is_some_and(|deflate| deflate.is_inflating())
    }

    /// Bytes of storage that the message holds whose decompression was left off.
    pub(super) fn held(&self) -> usize {
        self.agreed.as_ref().map_or(0, |deflate| deflate.held())
    }

    /// Gives up the message whose decompression was left off.
    pub(super) fn clear(&mut self, pool: &mut BufferPool) {
        if let Some(deflate) = &mut self.agreed {
            deflate.clear(pool);
        }
    }
}

/// Built without: nothing is ever agreed.
#[cfg(not(feature = "deflate"))]
impl Compression {
    #[expect(clippy::unused_self, reason = "the same as where there is something to agree")]
    pub(super) const fn agree(&mut self, _: Option<DeflateAgreement>) {}

    #[inline]
    pub(super) const fn is_agreed(&self) -> bool {
        false
    }

    #[inline]
    pub(super) const fn setting(&self) -> Option<Setting> {
        None
    }

    pub(super) const fn compress(&mut self, _: &[u8], _: &mut Vec<u8>, _: &mut BufferPool) -> bool {
        false
    }

    pub(super) const fn passed_by(&mut self) {}

    pub(super) const fn decompress(
        &mut self,
        _: (OpCode, &[u8]),
        _: usize,
        _: &mut BufferPool,
        _: &mut Share,
    ) -> Result<Option<Buffer>, ProtocolError> {
        Err(ProtocolError::ReservedBits)
    }

    pub(super) fn keep(&mut self, _: Buffer) {}

    pub(super) const fn go_on(
        &mut self,
        _: &mut BufferPool,
        _: &mut Share,
    ) -> Result<Option<(OpCode, Buffer)>, ProtocolError> {
        Ok(None)
    }

    #[inline]
    pub(super) const fn is_inflating(&self) -> bool {
        false
    }

    pub(super) const fn held(&self) -> usize {
        0
    }

    pub(super) const fn clear(&mut self, _: &mut BufferPool) {}
}
