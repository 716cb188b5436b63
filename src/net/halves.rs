//! How a stream ends: one half after the other, or at once.

/// Which halves of a stream are open.
///
/// ```text
///            our half ends
///     Both ────────────────► Theirs
///      │                       │
///      │ the peer's half ends  │ the peer's half ends
///      ▼                       ▼
///     Ours ────────────────► Neither
///            our half ends
/// ```
///
/// In every state, a stream that fails or is given up becomes `Dead`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halves {
    /// Both halves are open.
    Both,
    /// The peer sends nothing more. What is queued for it still leaves.
    Ours,
    /// We send nothing more. What the peer still sends is thrown away.
    Theirs,
    /// None is open: the stream has ended in order.
    Neither,
    /// The stream is given up. Nothing that is queued leaves.
    Dead,
}

impl Halves {
    /// Our half ends; whether it was open.
    pub(crate) fn end_ours(&mut self) -> bool {
        let was_open = self.has_ours();
        *self = match *self {
            Self::Both => Self::Theirs,
            Self::Ours => Self::Neither,
            other => other,
        };
        was_open
    }

    /// The peer's half ends.
    pub(crate) fn end_theirs(&mut self) {
        *self = match *self {
            Self::Both => Self::Ours,
            Self::Theirs => Self::Neither,
            other => other,
        };
    }

    /// Whether the peer may still send.
    pub(crate) const fn has_theirs(self) -> bool {
        matches!(self, Self::Both | Self::Theirs)
    }

    /// Whether we may still send.
    pub(crate) const fn has_ours(self) -> bool {
        matches!(self, Self::Both | Self::Ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_ends_whichever_half_ends_first() {
        for ours_first in [true, false] {
            let mut halves = Halves::Both;
            if ours_first {
                assert!(halves.end_ours());
                assert_eq!(halves, Halves::Theirs);
                halves.end_theirs();
            } else {
                halves.end_theirs();
                assert_eq!(halves, Halves::Ours);
                assert!(halves.end_ours());
            }
            assert_eq!(halves, Halves::Neither);
            assert!(!halves.end_ours());
        }
    }

    #[test]
    fn a_dead_stream_stays_dead() {
        let mut halves = Halves::Dead;
        halves.end_theirs();
        assert!(!halves.end_ours() && !halves.has_ours());
        assert_eq!(halves, Halves::Dead);
    }
}
