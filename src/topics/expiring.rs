//! Drops the messages of silent topics whose time is over. Those of others go with the next
//! broadcast.

use std::time::Duration;

use super::all_topics::Topics;
use super::expiry::due;
use crate::slots::Key;
use crate::time::Time;

/// The most topics that are looked at together.
const TOPICS_MAX: usize = 1024;

/// The least time between two looks at all topics.
const PAUSE: Duration = Duration::from_secs(1);

impl Topics {
    /// Drops messages whose time is over, of some topics.
    pub(crate) fn expire(&mut self, now: Time) {
        let backlog = self.limits.backlog;
        let logs = self.memory.logs.range(self.expiry.cursor..).take(TOPICS_MAX);
        let some: Vec<(u64, Key)> = logs.map(|(oldest, topic)| (*oldest, *topic)).collect();
        for &(_, key) in &some {
            let Self { registry, memory, expiry, .. } = self;
            while registry.topics.get(key).is_some_and(|topic| topic.outgrows(backlog, now)) {
                memory.drop_oldest_logged(registry, key);
            }
            memory.count(registry, key);
            let due = registry.topics.get(key).map_or(Time::NEVER, due);
            expiry.soonest = expiry.soonest.min(due);
        }
        let next = match some.last() {
            Some((oldest, _)) if some.len() == TOPICS_MAX => {
                self.expiry.cursor = oldest + 1;
                now
            }
            _ => {
                self.expiry.cursor = 0;
                let soonest = std::mem::replace(&mut self.expiry.soonest, Time::NEVER);
                if soonest == Time::NEVER { soonest } else { soonest.max(now + PAUSE) }
            }
        };
        self.expiry.next = next;
    }
}
