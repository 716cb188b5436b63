//! When the messages of silent topics go.

use super::topic::Topic;
use crate::time::Time;

/// When the topics are looked at for messages whose time is over.
#[derive(Debug)]
pub(crate) struct Expiry {
    /// Nothing is due before this time.
    pub(super) next: Time,
    /// Topics whose oldest broadcast is older were looked at.
    pub(super) cursor: u64,
    /// When the next message of those is due.
    pub(super) soonest: Time,
}

impl Default for Expiry {
    fn default() -> Self {
        Self { next: Time::NEVER, cursor: 0, soonest: Time::NEVER }
    }
}

impl Expiry {
    /// When topics are to be looked at next.
    #[inline]
    pub(crate) const fn next(&self) -> Time {
        self.next
    }

    /// Notes that a message was logged.
    pub(super) fn note(&mut self, topic: &Topic) {
        self.next = self.next.min(due(topic));
    }
}

/// When the time of the topic's oldest message is over.
pub(super) fn due(topic: &Topic) -> Time {
    let oldest = topic.history.as_ref().zip(topic.log.front());
    oldest.map_or(Time::NEVER, |(history, batch)| history.expiry_of(batch.delivered))
}
