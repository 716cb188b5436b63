//! How much memory the batches of all topics occupy, and what is given up when it is too much.

use std::collections::BTreeMap;

use bytes::BytesMut;

use super::batch::Batch;
use super::registry::Registry;
use super::topic::{BatchMemory, Counted, Topic};
use crate::slots::Key;

/// Bytes of memory without a topic that are kept for the next batch of any topic.
const SPARE_BYTES_MAX: usize = 1024 * 1024;

/// A larger batch's memory is not kept, in bytes.
const SPARE_BATCH_BYTES_MAX: usize = 64 * 1024;

/// Unused memory is reclaimed from topics only if it is at least the limit divided by this, so that
/// the search through all topics is worth it.
const RECLAIM_LIMIT_DIVISOR: usize = 16;

/// The memory of the batches of all topics.
///
/// Invariants: `used` is the sum of the topics' [`Counted::memory`]. `logs` has one entry for each
/// topic whose log is not empty.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) used: BatchMemory,
    /// Topics with a log, by the sequence number of the oldest broadcast in it.
    pub(super) logs: BTreeMap<u64, Key>,
    pub(super) spares: Spares,
    /// The most bytes of `used` and `spares` together.
    limit: usize,
}

/// Memory of batches that no topic uses.
#[derive(Debug, Default)]
pub(super) struct Spares {
    batches: Vec<Batch<BytesMut>>,
    bytes: usize,
}

impl Spares {
    /// Takes an empty batch.
    fn take(&mut self) -> Batch<BytesMut> {
        let spare = self.batches.pop().unwrap_or_default();
        self.bytes -= spare.memory_bytes();
        spare
    }

    /// Keeps an empty batch's memory, within the limits.
    pub(super) fn give(&mut self, spare: Option<Batch<BytesMut>>) {
        let Some(spare) = spare else { return };
        debug_assert!(spare.marks.is_empty(), "a batch with broadcasts is no spare");
        let bytes = spare.memory_bytes();
        let fits = bytes <= SPARE_BATCH_BYTES_MAX && self.bytes + bytes <= SPARE_BYTES_MAX;
        if bytes > 0 && fits {
            self.bytes += bytes;
            self.batches.push(spare);
        }
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        let (used, logs) = (BatchMemory::default(), BTreeMap::new());
        Self { used, logs, spares: Spares::default(), limit }
    }

    /// Bytes that all batches occupy, the spare ones included.
    pub(super) const fn bytes(&self) -> usize {
        self.used.total + self.spares.bytes
    }

    /// Counts the memory of a topic's batches again, after it may have changed.
    pub(super) fn count(&mut self, registry: &mut Registry, key: Key) {
        let Some(topic) = registry.topics.get_mut(key) else {
            return;
        };
        let counted = Counted { memory: topic.memory(), oldest: topic.oldest_logged() };
        let before = std::mem::replace(&mut topic.counted, counted);
        self.recount(key, before, counted);
    }

    /// Counts a topic's unused memory again, where nothing else has changed.
    pub(super) fn count_unused(&mut self, registry: &mut Registry, key: Key) {
        if let Some(topic) = registry.topics.get_mut(key) {
            let unused = topic.unused_memory();
            let before = std::mem::replace(&mut topic.counted.memory.unused, unused);
            self.used.unused = self.used.unused - before + unused;
        }
    }

    /// Subtracts a removed topic.
    pub(super) fn count_removed(&mut self, key: Key, counted: Counted) {
        self.recount(key, counted, Counted::default());
    }

    fn recount(&mut self, key: Key, before: Counted, after: Counted) {
        let used = &mut self.used;
        used.total = used.total - before.memory.total + after.memory.total;
        used.logged = used.logged - before.memory.logged + after.memory.logged;
        used.unused = used.unused - before.memory.unused + after.memory.unused;
        if before.oldest != after.oldest {
            self.logs.remove(&before.oldest);
            if after.oldest > 0 {
                self.logs.insert(after.oldest, key);
            }
        }
    }

    /// Whether a topic's open batch may grow for a message of `len` bytes. Gives up logs of lagging
    /// subscribers if that makes room.
    #[inline(never)]
    pub(super) fn admit(&mut self, registry: &mut Registry, key: Key, len: usize) -> bool {
        let Some(topic) = registry.topics.get_mut(key) else {
            return false;
        };
        if topic.open.memory_bytes() == 0 {
            topic.open = self.spares.take();
            self.count(registry, key);
        }
        let growth =
            |registry: &Registry| registry.topics.get(key).map_or(0, |it| it.open.growth(len));
        // Making room may take the memory of the topic's own open batch, which then must grow more.
        let has_room = self.make_room(registry, growth(registry))
            && self.bytes() + growth(registry) <= self.limit;
        if !has_room {
            self.reclaim_unused_of(registry, key);
        }
        has_room
    }

    /// Makes room for `bytes` more: gives up the oldest logged batches. Gives up none if all of
    /// them were not enough. Returns whether there is room.
    #[inline]
    pub(super) fn make_room(&mut self, registry: &mut Registry, bytes: usize) -> bool {
        self.bytes() + bytes <= self.limit || self.give_up_logs(registry, bytes)
    }

    #[cold]
    fn give_up_logs(&mut self, registry: &mut Registry, bytes: usize) -> bool {
        self.spares.clear();
        if bytes > 0 && self.unlogged() + bytes > self.limit {
            self.reclaim_unused(registry);
            if self.unlogged() + bytes > self.limit {
                return false;
            }
        }
        while self.used.total + bytes > self.limit {
            let Some((_, &key)) = self.logs.first_key_value() else {
                return false;
            };
            self.drop_oldest_logged(registry, key);
            self.spares.clear();
            self.count(registry, key);
        }
        true
    }

    const fn unlogged(&self) -> usize {
        self.used.total - self.used.logged
    }

    /// Reclaims the unused memory of all topics, if it is much.
    fn reclaim_unused(&mut self, registry: &mut Registry) {
        if self.used.unused <= self.limit / RECLAIM_LIMIT_DIVISOR {
            return;
        }
        let unused = registry.topics.iter().filter(|(_, topic)| topic.memory().unused > 0);
        for key in unused.map(|(key, _)| key).collect::<Vec<_>>() {
            self.reclaim_unused_of(registry, key);
        }
    }

    /// Reclaims the memory of a topic's open batch, if it has no broadcast.
    fn reclaim_unused_of(&mut self, registry: &mut Registry, key: Key) {
        let topic = registry.topics.get_mut(key).filter(|topic| topic.open.marks.is_empty());
        if let Some(topic) = topic {
            topic.open = Batch::default();
            self.count(registry, key);
        }
    }

    /// Drops the oldest batch of a topic's log. Lagging subscribers miss its broadcasts, except
    /// those that leave them out.
    pub(super) fn drop_oldest_logged(&mut self, registry: &mut Registry, key: Key) {
        let Some(batch) = registry.topics.get_mut(key).and_then(Topic::pop_logged) else {
            return;
        };
        let exceptions = if batch.exceptions > 0 { &batch.marks[..] } else { &[] };
        for mark in exceptions.iter().filter(|mark| mark.except != Key::NONE) {
            let Some(position) = registry.position(mark.except, key) else {
                continue;
            };
            let served = registry.members[mark.except.index()].served;
            if let Some(topic) = registry.topics.get_mut(key) {
                let subscriber = &mut topic.subscribers[position];
                if subscriber.is_lagging() && mark.sequence > subscriber.since.max(served) {
                    subscriber.left_out = subscriber.left_out.saturating_sub(1);
                    subscriber.left_out_unlogged = subscriber.left_out_unlogged.saturating_add(1);
                }
            }
        }
        self.spares.give(batch.reopen());
    }
}
