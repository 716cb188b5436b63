//! What became of broadcasts, in numbers.

use crate::overflow::OverflowPolicy;

/// Of one topic, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Broadcasts that a connection missed, by the policy of its subscription.
    pub(crate) dropped_newest: u64,
    pub(crate) dropped_oldest: u64,
    pub(crate) conflated: u64,
    /// Connections that were closed because a broadcast was more than may wait.
    pub(crate) closed_by_overflow: u64,
    /// Broadcasts that nobody got, because too much waited already.
    pub(crate) refused: u64,
    /// Frames that were appended to connections' output; of all topics alone.
    pub(crate) delivered: u64,
    /// Gaps that were told.
    pub(crate) gaps: u64,
}

impl Counters {
    pub(super) const fn miss(&mut self, policy: OverflowPolicy, count: u64) {
        match policy {
            OverflowPolicy::DropNewest => self.dropped_newest += count,
            OverflowPolicy::KeepLatest => self.conflated += count,
            OverflowPolicy::DropOldest | OverflowPolicy::Close => self.dropped_oldest += count,
        }
    }
}
