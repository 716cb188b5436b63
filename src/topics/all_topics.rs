//! All topics of a loop: creating and removing them, broadcasting, and asking about them.

use std::collections::BTreeMap;

use super::active::ActiveTopics;
use super::changes::Changes;
use super::configs::{TopicConfig, TopicConfigs};
use super::counters::Counters;
use super::expiry::Expiry;
use super::gaps::MissedRange;
use super::limits::{NAME_BYTES_MAX, TopicError, TopicLimits};
use super::memory::Memory;
use super::pending::Pending;
use super::registry::Registry;
use super::ticks::Ticks;
use super::topic::Topic;
use super::walks::Serving;
use crate::slots::Key;

/// All topics of a loop.
#[derive(Debug)]
pub(crate) struct Topics {
    /// Ordered, not hashed: peers choose names, and no choice of names makes a tree slow.
    pub(super) names: BTreeMap<Box<str>, Key>,
    pub(super) configs: TopicConfigs,
    /// Where the next epoch comes from.
    pub(super) seed: u64,
    /// Durable topics can be made.
    pub(super) has_journal: bool,
    pub(super) registry: Registry,
    pub(super) active: ActiveTopics,
    pub(super) changes: Changes,
    pub(super) memory: Memory,
    pub(super) limits: TopicLimits,
    /// Reused by each [`Topics::deliver_pending`].
    pub(super) pending: Pending,
    /// Reused by each [`Conflation::catch_up`](super::conflation::Conflation::catch_up).
    pub(super) serving: Serving,
    pub(crate) ticks: Ticks,
    pub(crate) expiry: Expiry,
    /// Reused by each broadcast to a topic with an envelope.
    pub(super) enveloped: String,
}

impl Topics {
    /// No topics yet. Random bits decide their epochs.
    pub(crate) fn new(limits: TopicLimits, configs: TopicConfigs, seed: u64) -> Self {
        Self {
            names: BTreeMap::new(),
            configs,
            seed,
            has_journal: false,
            registry: Registry::new(),
            active: ActiveTopics::default(),
            changes: Changes::default(),
            memory: Memory::new(limits.bytes),
            limits,
            pending: Pending::default(),
            serving: Serving::default(),
            ticks: Ticks::default(),
            expiry: Expiry::default(),
            enveloped: String::new(),
        }
    }

    /// The topic with this name, which is created if there is none.
    pub(crate) fn topic(&mut self, name: &str) -> Result<Key, TopicError> {
        match self.names.get(name) {
            Some(topic) => Ok(*topic),
            None => {
                let config = self.configs.of(name);
                make(self, name, &config)
            }
        }
    }

    /// Removes a topic without subscribers. Returns whether it did.
    pub(crate) fn remove_topic(&mut self, key: Key) -> bool {
        let topics = &mut self.registry.topics;
        let found = topics.get(key).filter(|topic| topic.subscribers.is_empty());
        if found.is_none() {
            return false;
        }
        let Some(removed) = topics.remove(key) else {
            return false;
        };
        self.names.remove(&removed.name);
        self.memory.count_removed(key, removed.counted);
        if removed.is_active() {
            self.active.mark_stale(topics);
        }
        // An entry that was last reported with subscribers stays: their loss must be reported.
        if removed.changing == Some(false) {
            self.changes.mark_stale(topics);
        }
        true
    }

    pub(crate) fn name(&self, topic: Key) -> Option<&str> {
        self.registry.topics.get(topic).map(|topic| &*topic.name)
    }

    /// The number of the last broadcast to a topic.
    pub(crate) fn last_number(&self, topic: Key) -> Option<u64> {
        self.registry.topics.get(topic).map(|topic| topic.broadcasts)
    }

    /// The counters of a topic, and how many of its subscribers do not keep up.
    pub(crate) fn counters(&self, topic: Key) -> Option<(Counters, usize)> {
        self.registry.topics.get(topic).map(|topic| {
            let behind = topic.values.as_ref().map_or(0, |values| values.followers.behind());
            (topic.counters, topic.lagging + behind)
        })
    }

    /// The counters of all topics together, the removed ones included.
    pub(crate) const fn totals(&self) -> &Counters {
        &self.registry.totals
    }

    /// Bytes of memory of the batches of all topics.
    pub(crate) const fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// Whether something may be pending for the connection. It is settled otherwise.
    #[inline]
    pub(crate) fn has_pending(&self, conn: Key) -> bool {
        self.is_delivering() || (self.registry.lagging > 0 && self.registry.is_lagging(conn))
    }

    /// Whether a topic has a batch that was not delivered to all.
    #[inline]
    pub(crate) fn is_delivering(&self) -> bool {
        !self.active.is_empty()
    }

    /// Ends the gaps of a connection for which nothing waits any more. They become due.
    pub(crate) fn end_gaps(&mut self, conn: Key) {
        self.registry.end_gaps(conn);
    }

    /// Takes the next gap to report, with its connection.
    pub(crate) fn next_gap(&mut self) -> Option<(Key, MissedRange)> {
        self.registry.gaps.next()
    }

    /// How many gaps must be reported.
    pub(crate) fn gaps_due(&self) -> usize {
        self.registry.gaps.due()
    }

    /// Counts a gap that was reported.
    pub(crate) fn count_gap(&mut self, topic: Key) {
        self.registry.totals.gaps += 1;
        if let Some(topic) = self.registry.topics.get_mut(topic) {
            topic.counters.gaps += 1;
        }
    }

    /// Counts a connection that was closed because a broadcast exceeded its outbox.
    pub(crate) fn count_overflow(&mut self, topic: Key) {
        self.registry.count_overflow(topic);
    }

    /// Whether a topic may have got its first subscriber or lost its last one.
    pub(crate) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Reports which topics now have subscribers and had none when last reported, or the reverse.
    /// Stops when `report` returns `false`, which it does when it has no room.
    pub(crate) fn report_changes(&mut self, report: impl FnMut(Key, bool) -> bool) {
        self.changes.report(&mut self.registry.topics, report);
    }
}

/// A new topic with a name that no other has.
pub(super) fn make(
    topics: &mut Topics,
    name: &str,
    config: &TopicConfig,
) -> Result<Key, TopicError> {
    if name.len() > NAME_BYTES_MAX || topics.registry.topics.len() >= topics.limits.topics {
        return Err(TopicError::Limit);
    }
    if config.storage().is_some() && !topics.has_journal {
        return Err(TopicError::NoJournal);
    }
    let epoch = next_epoch(&mut topics.seed);
    let topic = topics.registry.topics.insert(Topic::new(name, epoch, config));
    topics.names.insert(name.into(), topic);
    Ok(topic)
}

/// A further epoch: no two of a loop are the same (`SplitMix64`).
pub(super) const fn next_epoch(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed(*seed)
}

/// The output function of `SplitMix64`, which maps different numbers to different ones.
const fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
