//! How much is done for one connection before others have their turn.

/// What may still be done for a connection in this turn.
///
/// The peer decides into how many frames it divides its bytes, and how much work a compressed
/// message is. So both are bounded beside the number of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkBudget {
    /// Whole frames of any kind, and heads.
    frames: usize,
    /// Work of decompression, in bytes.
    inflation: usize,
}

impl WorkBudget {
    pub(crate) const UNLIMITED: Self = Self::new(usize::MAX, usize::MAX);

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

    /// Lets at most `count` frames be handled.
    pub(crate) fn limit_frames(&mut self, count: usize) {
        self.frames = self.frames.min(count);
    }

    /// Notes that `count` frames were handled.
    #[inline]
    pub(crate) const fn take_frames(&mut self, count: usize) {
        self.frames = self.frames.saturating_sub(count);
    }

    /// Notes work of decompression, in bytes.
    #[cfg(feature = "deflate")]
    pub(in crate::proto) const fn take_inflation(&mut self, work: usize) {
        self.inflation = self.inflation.saturating_sub(work);
    }

    /// Ends the turn. The decompression of a message has stopped before its end.
    #[cfg(feature = "deflate")]
    pub(in crate::proto) const fn end_inflation(&mut self) {
        self.inflation = 0;
    }
}
