//! Precise timers: a heap of keys, from which cancelled keys are removed late.
//!
//! Cancelling needs no search. The owner knows which keys are live, and drops the others when they
//! expire. Before they are more than half of the heap, they are all removed together, so that each
//! removal takes constant time on average.

use crate::time::Time;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// No more cancelled entries than this are kept whatever their share is: removing few does not pay.
const PURGED_ENTRIES_MIN: usize = 64;

/// The most cancelled entries that one call of [`TimerHeap::next`] removes.
const PRUNED_PER_CALL_MAX: usize = 256;

/// Keys in the order of their due times, and with equal times in the order in which they were set.
///
/// Invariant: `cancelled` entries of the heap are not live.
#[derive(Debug)]
pub(crate) struct TimerHeap<K> {
    heap: BinaryHeap<Reverse<Entry<K>>>,
    /// How many keys were set so far.
    set: u64,
    /// Entries whose key the owner has cancelled.
    cancelled: usize,
}

/// A key with its due time.
#[derive(Debug)]
pub(crate) struct Entry<K> {
    pub(crate) due: Time,
    pub(crate) key: K,
    /// How many keys were set before this one.
    order: u64,
}

impl<K> TimerHeap<K> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), set: 0, cancelled: 0 }
    }

    pub(crate) fn set(&mut self, due: Time, key: K) {
        self.heap.push(Reverse(Entry { due, key, order: self.set }));
        self.set += 1;
    }

    /// Sets an expired entry again. It keeps its order among equal times.
    pub(crate) fn set_again(&mut self, entry: Entry<K>, due: Time) {
        self.heap.push(Reverse(Entry { due, ..entry }));
    }

    /// Takes the first entry that is due at `now`. If its key was cancelled, the owner calls
    /// [`count_dropped`](Self::count_dropped).
    pub(crate) fn expire(&mut self, now: Time) -> Option<Entry<K>> {
        if self.heap.peek()?.0.due > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Counts a key that the owner has cancelled while the heap has its entry.
    pub(crate) fn count_cancelled(&mut self, is_live: impl Fn(&K) -> bool) {
        self.cancelled += 1;
        debug_assert!(self.cancelled <= self.heap.len());
        if self.cancelled > PURGED_ENTRIES_MIN && self.cancelled > self.heap.len() / 2 {
            self.heap.retain(|Reverse(entry)| is_live(&entry.key));
            self.cancelled = 0;
        }
    }

    /// Counts a cancelled entry that expired and was dropped.
    pub(crate) fn count_dropped(&mut self) {
        self.cancelled = self.cancelled.saturating_sub(1);
    }

    /// When the next entry is due. This is never later than the next live entry.
    pub(crate) fn next(&mut self, is_live: impl Fn(&K) -> bool) -> Option<Time> {
        for _ in 0..PRUNED_PER_CALL_MAX {
            if self.cancelled == 0 || is_live(&self.heap.peek()?.0.key) {
                break;
            }
            self.heap.pop();
            self.count_dropped();
        }
        self.heap.peek().map(|Reverse(entry)| entry.due)
    }

    /// Removes all entries.
    pub(crate) fn clear(&mut self) {
        self.heap.clear();
        self.cancelled = 0;
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

impl<K> Entry<K> {
    const fn rank(&self) -> (Time, u64) {
        (self.due, self.order)
    }
}

impl<K> Ord for Entry<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl<K> PartialOrd for Entry<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> PartialEq for Entry<K> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<K> Eq for Entry<K> {}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Command {
        Set(u64),
        SetAgain(u64),
        Cancel(prop::sample::Index),
        Expire(u64),
    }

    fn command() -> impl Strategy<Value = Command> {
        prop_oneof![
            6 => (0..50_u64).prop_map(Command::Set),
            1 => (0..50_u64).prop_map(Command::SetAgain),
            4 => any::<prop::sample::Index>().prop_map(Command::Cancel),
            1 => (0..10_u64).prop_map(Command::Expire),
        ]
    }

    /// The heap beside a sorted map, and the keys that are live.
    struct Pair {
        now: Time,
        heap: TimerHeap<u64>,
        live: BTreeSet<u64>,
        model: BTreeMap<(Time, u64), u64>,
    }

    impl Pair {
        fn new() -> Self {
            let (live, model) = (BTreeSet::new(), BTreeMap::new());
            Self { now: Time::BEGINNING, heap: TimerHeap::new(), live, model }
        }

        fn set(&mut self, after: u64) {
            let (key, due) = (self.heap.set, self.now + Duration::from_millis(after));
            self.heap.set(due, key);
            self.live.insert(key);
            self.model.insert((due, key), key);
        }

        fn set_first_again(&mut self, after: u64) {
            let due = self.now + Duration::from_millis(after);
            let Some(entry) = self.expire() else { return };
            self.live.insert(entry.key);
            self.model.insert((due, entry.order), entry.key);
            self.heap.set_again(entry, due);
        }

        fn cancel(&mut self, index: &prop::sample::Index) {
            if self.live.is_empty() {
                return;
            }
            let key = *index.get(&self.live.iter().copied().collect::<Vec<_>>());
            self.live.remove(&key);
            self.model.retain(|_, held| *held != key);
            self.heap.count_cancelled(|key| self.live.contains(key));
        }

        fn expire(&mut self) -> Option<Entry<u64>> {
            loop {
                let entry = self.heap.expire(self.now)?;
                if self.live.remove(&entry.key) {
                    assert_eq!(self.model.pop_first(), Some((entry.rank(), entry.key)));
                    assert!(entry.due <= self.now);
                    return Some(entry);
                }
                self.heap.count_dropped();
            }
        }

        fn check(&mut self) {
            let garbage = self.heap.len() - self.live.len();
            assert_eq!(garbage, self.heap.cancelled);
            assert!(garbage <= PURGED_ENTRIES_MIN.max(self.heap.len() / 2), "{garbage}");
            let next = self.heap.next(|key| self.live.contains(key));
            let model = self.model.first_key_value().map(|((due, _), _)| *due);
            // There are never more cancelled entries than one call prunes.
            assert_eq!(next, model);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..<_>::default() })]
        #[test]
        fn entries_come_up_as_from_a_sorted_map(
            commands in prop::collection::vec(command(), 0..600),
        ) {
            let mut pair = Pair::new();
            for command in commands {
                match command {
                    Command::Set(after) => pair.set(after),
                    Command::SetAgain(after) => pair.set_first_again(after),
                    Command::Cancel(index) => pair.cancel(&index),
                    Command::Expire(millis) => {
                        pair.now += Duration::from_millis(millis);
                        while pair.expire().is_some() {}
                        let first = pair.model.first_key_value();
                        prop_assert!(first.is_none_or(|((due, _), _)| *due > pair.now));
                    }
                }
                pair.check();
            }
        }
    }
}
