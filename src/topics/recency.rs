//! The values of a topic in the order of their last change.

use std::collections::VecDeque;

/// Vacant slots that stay in a list no matter how short it is.
const VACANT_SLOTS_MIN: usize = 64;

/// Values in the order of the numbers of their broadcasts, each with its index.
///
/// A value that changes leaves a vacant slot behind and moves to the end. Vacant slots are removed
/// together, so that a change takes constant time on average. A walk passes over vacant slots that
/// an earlier walk has passed in one step.
///
/// Invariants: numbers ascend. The first slot is not vacant.
#[derive(Debug, Default)]
pub(super) struct Recency {
    slots: VecDeque<Slot>,
    /// How many slots were removed at the front so far: the place of the first one.
    first: u64,
    /// How many slots are not vacant.
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    number: u64,
    /// The index of the value, or `VACANT`.
    value: u32,
    /// How many slots from here on are vacant, at least, if this one is.
    vacant: u32,
}

const VACANT: u32 = u32::MAX;

impl Recency {
    /// Appends a value, and returns its place.
    pub(super) fn push(&mut self, number: u64, value: u32) -> u64 {
        debug_assert!(self.slots.back().is_none_or(|last| last.number < number));
        self.slots.push_back(Slot { number, value, vacant: 0 });
        self.len += 1;
        self.first + self.slots.len() as u64 - 1
    }

    /// Removes the value at a place.
    pub(super) fn remove(&mut self, place: u64) {
        let Some(slot) = self.slots.get_mut((place - self.first) as usize) else {
            return;
        };
        debug_assert_ne!(slot.value, VACANT, "removed twice");
        (slot.value, slot.vacant) = (VACANT, 1);
        self.len -= 1;
        while self.slots.front().is_some_and(|slot| slot.value == VACANT) {
            self.slots.pop_front();
            self.first += 1;
        }
    }

    /// Removes the vacant slots if they are many. `moved` learns the new place of each value.
    pub(super) fn compact(&mut self, mut moved: impl FnMut(u32, u64)) {
        if self.slots.len() <= 2 * self.len + VACANT_SLOTS_MIN {
            return;
        }
        self.slots.retain(|slot| slot.value != VACANT);
        for (slot, place) in self.slots.iter().zip(self.first..) {
            moved(slot.value, place);
        }
    }

    /// The value whose last change is the oldest.
    pub(super) fn oldest(&self) -> Option<u32> {
        self.slots.front().map(|slot| slot.value)
    }

    /// The place of the first change after a number.
    pub(super) fn place_after(&self, number: u64) -> u64 {
        self.first + self.slots.partition_point(|slot| slot.number <= number) as u64
    }

    /// The first value at a place or after it, with its place.
    pub(super) fn next(&mut self, place: u64) -> Option<(u64, u32)> {
        let start = (place - self.first) as usize;
        let mut at = start;
        while let Some(slot) = self.slots.get(at) {
            if slot.value != VACANT {
                break;
            }
            at += slot.vacant as usize;
        }
        if at > start {
            self.slots[start].vacant = u32::try_from(at - start).unwrap_or(1);
        }
        let found = self.slots.get(at)?;
        Some((self.first + at as u64, found.value))
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }

    /// The bytes by which the next value makes the memory grow.
    pub(super) fn growth(&self) -> usize {
        match self.slots.len() < self.slots.capacity() {
            true => 0,
            false => self.slots.capacity().max(4) * size_of::<Slot>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values by their index, each with its place.
    struct Places {
        recency: Recency,
        places: Vec<Option<u64>>,
        number: u64,
    }

    impl Places {
        fn change(&mut self, value: u32) {
            self.number += 1;
            if let Some(place) = self.places[value as usize] {
                self.recency.remove(place);
            }
            self.places[value as usize] = Some(self.recency.push(self.number, value));
            let places = &mut self.places;
            self.recency.compact(|value, place| places[value as usize] = Some(place));
        }

        fn walk(&mut self, after: u64) -> Vec<u32> {
            let (mut place, mut walked) = (self.recency.place_after(after), Vec::new());
            while let Some((found, value)) = self.recency.next(place) {
                walked.push(value);
                place = found + 1;
            }
            walked
        }
    }

    #[test]
    fn values_stand_in_the_order_of_their_last_change() {
        let places = vec![None; 5];
        let mut values = Places { recency: Recency::default(), places, number: 0 };
        [0, 1, 2, 3, 1, 0, 4].into_iter().for_each(|value| values.change(value));
        assert_eq!(values.walk(0), [2, 3, 1, 0, 4]);
        assert_eq!(values.walk(4), [1, 0, 4]);
        assert_eq!(values.walk(7), [0; 0]);
        assert_eq!((values.recency.oldest(), values.recency.len()), (Some(2), 5));
    }

    #[test]
    fn walks_pass_vacant_slots_in_one_step_and_miss_nothing() {
        let places = vec![None; 200];
        let mut values = Places { recency: Recency::default(), places, number: 0 };
        let mut expected = Vec::new();
        for round in 0..2_000_u32 {
            let value = round.wrapping_mul(2_654_435_761) % 200;
            values.change(value);
            expected.retain(|(other, _)| *other != value);
            expected.push((value, values.number));
            let after = u64::from(round.wrapping_mul(40_503) % (round + 1));
            let later = expected.iter().filter(|(_, number)| *number > after);
            assert_eq!(values.walk(after), later.map(|(value, _)| *value).collect::<Vec<_>>());
            assert!(values.recency.slots.len() <= 2 * 200 + VACANT_SLOTS_MIN);
        }
    }
}
