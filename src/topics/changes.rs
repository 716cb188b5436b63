//! The topics that have got their first subscriber or lost their last one.

use std::collections::VecDeque;

use super::active::must_purge;
use super::topic::Topic;
use crate::slots::{Key, Slots};

/// Topics that may have changed since they were last reported, each once.
///
/// Invariant: `stale` entries are of removed topics and were last reported without subscribers.
#[derive(Debug, Default)]
pub(super) struct Changes {
    queue: VecDeque<Change>,
    pub(super) stale: usize,
    /// Entries that purging has looked at.
    #[cfg(test)]
    pub(super) steps: usize,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    topic: Key,
    /// Whether the topic had subscribers when it was last reported.
    had_subscribers: bool,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Adds a topic whose first subscriber came, or whose last one left.
    pub(super) fn add(&mut self, topics: &mut Slots<Topic>, key: Key, had_subscribers: bool) {
        if let Some(topic) = topics.get_mut(key).filter(|topic| topic.changing.is_none()) {
            topic.changing = Some(had_subscribers);
            self.queue.push_back(Change { topic: key, had_subscribers });
        }
    }

    /// Reports which topics now have subscribers and had none when last reported, or the reverse.
    /// Stops when `report` returns `false`, which it does when it has no room.
    pub(super) fn report(
        &mut self,
        topics: &mut Slots<Topic>,
        mut report: impl FnMut(Key, bool) -> bool,
    ) {
        while let Some(&Change { topic: key, had_subscribers }) = self.queue.front() {
            let has_subscribers = topics.get(key).is_some_and(|it| !it.subscribers.is_empty());
            if has_subscribers != had_subscribers && !report(key, has_subscribers) {
                return;
            }
            self.queue.pop_front();
            match topics.get_mut(key) {
                Some(topic) => topic.changing = None,
                None if !had_subscribers => self.stale = self.stale.saturating_sub(1),
                None => {}
            }
        }
    }

    /// Counts the entry of a removed topic that was last reported without subscribers, and purges
    /// stale entries if they are many.
    pub(super) fn mark_stale(&mut self, topics: &Slots<Topic>) {
        self.stale += 1;
        debug_assert!(self.stale <= self.queue.len());
        if must_purge(self.stale, self.queue.len()) {
            #[cfg(test)]
            {
                self.steps += self.queue.len();
            }
            self.queue
                .retain(|change| change.had_subscribers || topics.get(change.topic).is_some());
            self.stale = 0;
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.queue.capacity()
    }
}
