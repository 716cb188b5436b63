//! What is done for one connection before others have their turn.

/// What may still be done for a connection: a peer decides how many frames its bytes are, and how
/// much work a compressed message is, so both are counted beside the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// Whole frames, whichever kind, and heads.
    frames: usize,
    /// Work of decompression, as much of it as goes into a byte.
    inflation: usize,
}

impl Share {
    /// No bound.
    pub(crate) const WHOLE: Self = Self::new(usize::MAX, usize::MAX);

    pub(crate) const fn new(frames: usize, inflation: usize) -> Self {
        Self { frames, inflation }
    }

    /// Whether the rest has to wait.
    #[inline]
    pub(crate) const fn is_used_up(&self) -> bool {
        self.frames == 0 || self.inflation == 0
    }

    /// How many frames may still be handled.
    #[inline]
    pub(crate) const fn frames(&self) -> usize {
        self.frames
    }

    /// So many frames were handled.
    #[inline]
    pub(crate) const fn take_frames(&mut self, count: usize) {
        self.frames = self.frames.saturating_sub(count);
    }

    /// So much was decompressed.
    #[cfg(feature = "deflate")]
    pub(in crate::proto) const fn take_inflation(&mut self, work: usize) {
        self.inflation = self.inflation.saturating_sub(work);
    }

    /// A message is left in the middle of its decompression.
    #[cfg(feature = "deflate")]
    pub(in crate::proto) const fn end_inflation(&mut self) {
        self.inflation = 0;
    }
}
