//! What the batches of all topics hold together, and what is given up when that is too much.

use std::collections::{BTreeMap, VecDeque};

use bytes::BytesMut;

use super::Topics;
use super::batch::Batch;
use super::topic::Topic;
use crate::slots::Key;

/// Memory of batches that no topic uses is kept up to this many bytes, for the next batch of any.
const SPARE: usize = 1024 * 1024;

/// All topics are looked through for memory that is not used if that is this share of all there
/// may be, so that the search is worth it.
const WORTH: usize = 16;

/// A batch that held more than this many bytes gives them back.
const KEEP: usize = 64 * 1024;

/// The memory of the batches of one topic, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) bytes: usize,
    /// How many of them are logged.
    pub(super) logged: usize,
    /// How many of them are for batches that have not begun.
    pub(super) unused: usize,
}

/// The memory of the batches of all topics.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) held: Held,
    /// Topics with a log, by the number of the oldest broadcast in it.
    pub(super) logs: BTreeMap<u64, Key>,
    pub(super) spares: Spares,
}

impl Memory {
    /// Bytes that are held.
    pub(super) const fn bytes(&self) -> usize {
        self.held.bytes + self.spares.bytes
    }
}

/// Memory of batches that no topic uses.
#[derive(Debug, Default)]
pub(super) struct Spares {
    kept: Vec<Batch<BytesMut>>,
    bytes: usize,
}

impl Spares {
    /// An empty batch.
    pub(super) fn take(&mut self) -> Batch<BytesMut> {
        let spare = self.kept.pop().unwrap_or_default();
        self.bytes -= spare.held();
        spare
    }

    pub(super) fn give(&mut self, spare: Option<Batch<BytesMut>>) {
        let Some(spare) = spare else { return };
        let held = spare.held();
        if held > 0 && held <= KEEP && self.bytes + held <= SPARE {
            self.bytes += held;
            self.kept.push(spare);
        }
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Topics {
    /// Bytes of memory that the batches of all topics take.
    pub(crate) const fn held_bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// Counts what a topic's batches hold, after that may have changed.
    pub(super) fn count(&mut self, key: Key) {
        let Some(topic) = self.topics.get_mut(key) else {
            return;
        };
        let (now, oldest) = (topic.memory(), topic.oldest());
        let before = std::mem::replace(&mut topic.counted, (now, oldest));
        self.recount(key, before, (now, oldest));
    }

    /// Counts what of a topic's memory is not used, where nothing else has changed.
    pub(super) fn count_unused(&mut self, key: Key) {
        if let Some(topic) = self.topics.get_mut(key) {
            let now = topic.unused();
            let before = std::mem::replace(&mut topic.counted.0.unused, now);
            self.memory.held.unused = self.memory.held.unused - before + now;
        }
    }

    /// A topic is no more.
    pub(super) fn count_out(&mut self, key: Key, counted: (Held, u64)) {
        self.recount(key, counted, (Held::default(), 0));
    }

    fn recount(&mut self, key: Key, before: (Held, u64), now: (Held, u64)) {
        let Memory { held, logs, .. } = &mut self.memory;
        held.bytes = held.bytes - before.0.bytes + now.0.bytes;
        held.logged = held.logged - before.0.logged + now.0.logged;
        held.unused = held.unused - before.0.unused + now.0.unused;
        if before.1 != now.1 {
            logs.remove(&before.1);
            if now.1 > 0 {
                logs.insert(now.1, key);
            }
        }
    }

    /// Whether a topic's open batch may take the memory for a message of that length.
    #[inline(never)]
    pub(super) fn find_memory(&mut self, key: Key, len: usize) -> bool {
        let Some(topic) = self.topics.get_mut(key) else {
            return false;
        };
        if topic.open.held() == 0 {
            topic.open = self.memory.spares.take();
            self.count(key);
        }
        let growth =
            |topics: &Self| topics.topics.get(key).map_or(0, |topic| topic.open.growth(len));
        // What the topic held for it may be given up to make room.
        let has_room =
            self.make_room(growth(self)) && self.memory.bytes() + growth(self) <= self.limits.bytes;
        if !has_room {
            self.give_up_spare(key);
        }
        has_room
    }

    /// Makes room for so many bytes more: gives up the oldest of what is kept for connections that
    /// do not keep up, but nothing if all of that were not enough.
    #[inline]
    pub(super) fn make_room(&mut self, bytes: usize) -> bool {
        self.memory.bytes() + bytes <= self.limits.bytes || self.give_up_logs(bytes)
    }

    #[cold]
    fn give_up_logs(&mut self, bytes: usize) -> bool {
        self.memory.spares.clear();
        if bytes > 0 && self.unlogged() + bytes > self.limits.bytes {
            self.give_up_unused();
            if self.unlogged() + bytes > self.limits.bytes {
                return false;
            }
        }
        while self.memory.held.bytes + bytes > self.limits.bytes {
            let Some((_, &key)) = self.memory.logs.first_key_value() else {
                return false;
            };
            self.drop_logged(key);
            self.memory.spares.clear();
            self.count(key);
        }
        true
    }

    const fn unlogged(&self) -> usize {
        self.memory.held.bytes - self.memory.held.logged
    }

    /// Takes back what topics hold for batches that have not begun, if that is much.
    fn give_up_unused(&mut self) {
        if self.memory.held.unused <= self.limits.bytes / WORTH {
            return;
        }
        let unused = self.topics.iter().filter(|(_, topic)| topic.memory().unused > 0);
        for key in unused.map(|(key, _)| key).collect::<Vec<_>>() {
            self.give_up_spare(key);
        }
    }

    /// Takes back what a topic holds for a batch that has not begun.
    pub(super) fn give_up_spare(&mut self, key: Key) {
        if let Some(topic) = self.topics.get_mut(key).filter(|topic| topic.open.marks.is_empty()) {
            topic.open = Batch::default();
            self.count(key);
        }
    }

    /// Takes the oldest batch out of a topic's log. What it held is missed; the connections that it
    /// left out miss that much less.
    pub(super) fn drop_logged(&mut self, key: Key) {
        let Some(batch) = self.topics.get_mut(key).and_then(Topic::drop_oldest) else {
            return;
        };
        let exceptions = if batch.exceptions > 0 { &batch.marks[..] } else { &[] };
        for mark in exceptions.iter().filter(|mark| mark.except != Key::NONE) {
            let Some(position) = self.position(mark.except, key) else {
                continue;
            };
            let served = self.members[mark.except.index()].served;
            if let Some(topic) = self.topics.get_mut(key) {
                let subscriber = &mut topic.subscribers[position];
                if subscriber.is_held() && mark.sequence > subscriber.since.max(served) {
                    subscriber.left_out = subscriber.left_out.saturating_sub(1);
                    subscriber.gone = subscriber.gone.saturating_add(1);
                }
            }
        }
        self.memory.spares.give(batch.reopen());
    }
}

/// Gives back what a list that was long holds beyond its present need; room for `keep` stays.
pub(super) fn give_back<T>(list: &mut Vec<T>, keep: usize) {
    if list.capacity() > keep.max(4 * list.len()) {
        list.shrink_to(keep.max(2 * list.len()));
    }
}

/// The same of a queue.
pub(super) fn give_back_queue<T>(queue: &mut VecDeque<T>, keep: usize) {
    if queue.capacity() > keep.max(4 * queue.len()) {
        queue.shrink_to(keep.max(2 * queue.len()));
    }
}
