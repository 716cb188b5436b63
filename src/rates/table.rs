//! A bounded table of addresses or tags.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry::Entry;
use super::key::RateKey;
use super::limits::RateLimits;
use crate::slots::{Key, Slots};
use crate::time::Time;

/// How many blank entries are removed, at most, when one is added: so their number shrinks while
/// new ones come, and adding stays cheap.
const REMOVED_PER_ADDED_MAX: usize = 2;

/// Addresses or tags, with what is left to each.
///
/// An entry that connections belong to stays. The others are quiet: they are kept, so that nobody
/// gets a full bucket by leaving and coming back, until they are blank or their room is needed.
/// Then those go first that have been quiet for longest.
#[derive(Debug)]
pub(super) struct Table {
    entries: Slots<Entry>,
    by_key: BTreeMap<RateKey, Key>,
    /// In the order in which they became quiet.
    quiet: BTreeMap<u64, Key>,
    /// How often an entry became quiet.
    order: u64,
    /// The most entries.
    max: usize,
}

impl Table {
    pub(super) const fn new(max: usize) -> Self {
        Self {
            entries: Slots::new(),
            by_key: BTreeMap::new(),
            quiet: BTreeMap::new(),
            order: 0,
            max,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub(super) fn quiet_len(&self) -> usize {
        self.quiet.len()
    }

    pub(super) fn find(&self, key: &RateKey) -> Option<Key> {
        self.by_key.get(key).copied()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, entry: Key) -> Option<&mut Entry> {
        self.entries.get_mut(entry)
    }

    /// The entry of that key, which is added if it is new. `None` if there is no room for it:
    /// connections belong to all entries.
    pub(super) fn find_or_add(
        &mut self,
        key: &RateKey,
        limits: &Arc<RateLimits>,
        now: Time,
    ) -> Option<Key> {
        if let Some(found) = self.find(key) {
            return Some(found);
        }
        self.remove_blank(now);
        if self.entries.len() >= self.max && !self.remove_oldest() {
            return None;
        }
        Some(self.add(key, limits))
    }

    /// The entry of that key, which is added if it is new, with or without room.
    pub(super) fn find_or_force(&mut self, key: &RateKey, limits: &Arc<RateLimits>) -> Key {
        self.find(key).unwrap_or_else(|| self.add(key, limits))
    }

    fn add(&mut self, key: &RateKey, limits: &Arc<RateLimits>) -> Key {
        let entry = self.entries.insert(Entry::new(key.clone(), Arc::clone(limits)));
        self.by_key.insert(key.clone(), entry);
        self.note_use(entry);
        entry
    }

    /// Notes that an entry was used, or that connections may have joined or left it.
    pub(super) fn note_use(&mut self, key: Key) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        if let Some(order) = entry.quiet.take() {
            self.quiet.remove(&order);
        }
        if entry.is_unused() {
            self.order += 1;
            entry.quiet = Some(self.order);
            self.quiet.insert(self.order, key);
        }
    }

    /// Removes a few of the entries that have been quiet for longest, if they are blank.
    fn remove_blank(&mut self, now: Time) {
        for _ in 0..REMOVED_PER_ADDED_MAX {
            let oldest =
                self.quiet.first_key_value().and_then(|(_, key)| self.entries.get_mut(*key));
            if !oldest.is_some_and(|entry| entry.is_blank(now)) {
                return;
            }
            self.remove_oldest();
        }
    }

    /// Removes the entry that has been quiet for longest; `false` if there is none.
    fn remove_oldest(&mut self) -> bool {
        let Some((_, key)) = self.quiet.pop_first() else {
            return false;
        };
        if let Some(entry) = self.entries.remove(key) {
            self.by_key.remove(&entry.key);
        }
        true
    }
}
