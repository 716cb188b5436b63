use crate::shared::Random;

/// An input that is taken apart from its front; past its end there are zeros.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub(crate) fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// A length: one byte, or 255 and a number. So most are short, and an input takes little time.
    pub(crate) fn length(&mut self) -> usize {
        match self.byte() {
            255 => self.number().into(),
            short => short.into(),
        }
    }

    /// The next `len` bytes, or all there are.
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// As many bytes as the next one says.
    pub(crate) fn chunk(&mut self) -> &'a [u8] {
        let len = self.byte();
        self.take(len.into())
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.take(usize::MAX)
    }
}

/// Cuts `bytes` into pieces of lengths that follow from `seed`.
pub(crate) fn pieces(bytes: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut random = Random::new(seed.into());
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let longest = 1 << random.below(16);
        let (piece, after) = rest.split_at(random.between(1, longest).min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}
