//! The latest messages of all topics' keys, and the subscribers that are served from them.

use super::all_topics::Topics;
use super::changes::Changes;
use super::limits::TopicLimits;
use super::memory::Memory;
use super::registry::Registry;
use super::ticks::Ticks;
use super::walks::Serving;

/// What keeps and delivers the latest messages, borrowed from [`Topics`].
pub(crate) struct Conflation<'a> {
    pub(super) registry: &'a mut Registry,
    pub(super) memory: &'a mut Memory,
    pub(super) limits: &'a TopicLimits,
    pub(super) changes: &'a mut Changes,
    pub(super) serving: &'a mut Serving,
    pub(super) ticks: &'a mut Ticks,
}

impl Topics {
    /// What keeps and delivers the latest messages.
    #[inline]
    pub(crate) const fn conflation(&mut self) -> Conflation<'_> {
        let Self { registry, memory, limits, changes, serving, ticks, .. } = self;
        Conflation { registry, memory, limits, changes, serving, ticks }
    }
}
