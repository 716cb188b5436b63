//! What became of broadcasts, in numbers.

use crate::overflow::OverflowPolicy;

/// The counters of one topic, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Broadcasts that a connection missed by [`OverflowPolicy::DropNewest`].
    pub(crate) dropped_newest: u64,
    /// The same by [`OverflowPolicy::DropOldest`].
    pub(crate) dropped_oldest: u64,
    /// The same by [`OverflowPolicy::KeepLatest`].
    pub(crate) conflated: u64,
    /// Connections that were closed because a broadcast exceeded their outbox.
    pub(crate) closed_by_overflow: u64,
    /// Broadcasts that were refused for every subscriber, because a limit was reached.
    pub(crate) refused: u64,
    /// Frames that were appended to connections' output. Counted for all topics together only.
    pub(crate) delivered: u64,
    /// Gaps that were reported.
    pub(crate) gaps: u64,
}

impl Counters {
    pub(super) const fn count_missed(&mut self, policy: OverflowPolicy, count: u64) {
        match policy {
            OverflowPolicy::DropNewest => self.dropped_newest += count,
            OverflowPolicy::KeepLatest => self.conflated += count,
            OverflowPolicy::DropOldest | OverflowPolicy::Close => self.dropped_oldest += count,
        }
    }
}
