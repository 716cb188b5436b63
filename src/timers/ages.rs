//! The ages of connections: which of them is to be closed next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::slots::Key;
use crate::time::Time;

/// No more entries than this are purged whatever their share is: removing few does not pay.
const PURGED_ENTRIES_MIN: usize = 64;

/// When connections reach their maximum age. Has no entries for connections without one.
///
/// A connection that ends earlier is not searched for. Its entry is dropped when it comes up, or
/// when more than half of the entries are of connections that have ended.
#[derive(Debug)]
pub(crate) struct Ages {
    heap: BinaryHeap<Reverse<(Time, Key)>>,
    /// When the first entry is due.
    next_due: Time,
}

impl Ages {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), next_due: Time::NEVER }
    }

    /// No connection is due before this moment.
    #[inline]
    pub(crate) const fn next_due(&self) -> Time {
        self.next_due
    }

    /// Adds a connection that reaches its maximum age at `due`.
    pub(crate) fn add(&mut self, conn: Key, due: Time) {
        self.heap.push(Reverse((due, conn)));
        self.next_due = self.next_due.min(due);
    }

    /// Drops the entries of ended connections if they are many. `count` connections have not ended,
    /// with or without a maximum age.
    pub(crate) fn purge(&mut self, count: usize, is_live: impl Fn(Key) -> bool) {
        if self.heap.len() <= PURGED_ENTRIES_MIN || self.heap.len() / 2 <= count {
            return;
        }
        self.heap.retain(|Reverse((_, conn))| is_live(*conn));
        self.heap.shrink_to(PURGED_ENTRIES_MIN.max(2 * self.heap.len()));
        self.note_next();
    }

    /// Takes the first connection that is due at `now`. It may have ended.
    pub(crate) fn expire(&mut self, now: Time) -> Option<Key> {
        if self.next_due > now {
            return None;
        }
        let Reverse((_, conn)) = self.heap.pop()?;
        self.note_next();
        Some(conn)
    }

    fn note_next(&mut self) {
        self.next_due = self.heap.peek().map_or(Time::NEVER, |Reverse((due, _))| *due);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Time {
        Time::BEGINNING + Duration::from_millis(millis)
    }

    fn conn(number: u64) -> Key {
        Key::from_bits(number << 32)
    }

    #[test]
    fn connections_are_due_in_the_order_of_their_times() {
        let mut ages = Ages::new();
        assert_eq!((ages.next_due(), ages.expire(at(1_000_000))), (Time::NEVER, None));
        for (number, due) in [(1, 30), (2, 10), (3, 20)] {
            ages.add(conn(number), at(due));
        }
        assert_eq!((ages.next_due(), ages.expire(at(9))), (at(10), None));
        assert_eq!((ages.expire(at(25)), ages.expire(at(25))), (Some(conn(2)), Some(conn(3))));
        assert_eq!((ages.expire(at(25)), ages.next_due()), (None, at(30)));
        assert_eq!((ages.expire(at(30)), ages.next_due()), (Some(conn(1)), Time::NEVER));
    }

    #[test]
    fn connections_that_end_early_leave_no_more_entries_than_live_ones() {
        let mut ages = Ages::new();
        for number in 1..=100_000 {
            ages.add(conn(number), at(86_400_000 + number));
            // Ten connections at a time.
            ages.purge(10, |it| it > conn(number.saturating_sub(10)));
        }
        assert!(ages.heap.len() <= PURGED_ENTRIES_MIN + 1);
        assert!(ages.heap.capacity() <= 4 * PURGED_ENTRIES_MIN, "{}", ages.heap.capacity());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..<_>::default() })]
        #[test]
        fn entries_come_up_as_from_a_sorted_set(
            steps in prop::collection::vec((0..100_u64, 0..3_u64, any::<bool>()), 0..400),
        ) {
            let (mut ages, mut model, mut now) = (Ages::new(), BTreeSet::new(), 0);
            for (number, (due, passed, ends)) in (1..).zip(steps) {
                ages.add(conn(number), at(now + due));
                model.insert((at(now + due), conn(number)));
                if ends {
                    // Every second connection ends; its entry may stay.
                    let live = |conn: Key| conn.generation() % 2 == 0;
                    ages.purge(model.iter().filter(|(_, conn)| live(*conn)).count(), live);
                    model.retain(|(_, conn)| live(*conn));
                }
                now += passed;
                while let Some(expired) = ages.expire(at(now)) {
                    let first = model.first().copied();
                    if let Some(first) = first.filter(|(_, conn)| *conn == expired) {
                        model.remove(&first);
                        prop_assert!(first.0 <= at(now));
                    } else {
                        prop_assert!(!model.iter().any(|(_, conn)| *conn == expired));
                    }
                }
                prop_assert!(model.first().is_none_or(|(due, _)| *due > at(now)));
                prop_assert!(model.first().is_none_or(|(due, _)| ages.next_due() <= *due));
            }
        }
    }
}
