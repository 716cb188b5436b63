//! A slab whose keys have a generation, so that a stale key finds nothing.

use std::convert::Infallible;

use slab::Slab;

/// Identifies a value in [`Slots`]: the slot's index in the low half, the generation in the high
/// half.
///
/// Invariant: the generation of a value's key is never zero. So a key never equals
/// [`NONE`](Self::NONE) or a bare index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(u64);

impl Key {
    /// The key of no value.
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn to_bits(self) -> u64 {
        self.0
    }

    /// The slot. A later value may use the same slot, so use it only to index data kept by slot.
    pub(crate) const fn index(self) -> usize {
        self.0 as u32 as usize
    }

    pub(crate) const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Values by [`Key`]. The key of a removed value finds nothing, even after its slot is reused.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slab: Slab<Slot<T>>,
    /// The generation of the newest value. It is unique within the last 2³² − 1 insertions.
    generation: u32,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: T,
}

impl<T> Slots<T> {
    /// Bytes for each slot. A slab stores whether the slot is vacant, too.
    pub(crate) const SIZE: usize = size_of::<Option<Slot<T>>>();

    pub(crate) const fn new() -> Self {
        Self { slab: Slab::new(), generation: 0 }
    }

    /// Slots that are not moved before there are more than `capacity` values.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { slab: Slab::with_capacity(capacity), generation: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> Key {
        let made: Result<_, Infallible> = self.try_insert_with(|_| Ok(value));
        let Ok(key) = made;
        key
    }

    /// Inserts the value that `make` creates, given its key. Inserts nothing if `make` fails.
    pub(crate) fn try_insert_with<E>(
        &mut self,
        make: impl FnOnce(Key) -> Result<T, E>,
    ) -> Result<Key, E> {
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        let generation = self.generation;
        debug_assert_ne!(generation, 0, "a key of generation zero could equal `Key::NONE`");
        let entry = self.slab.vacant_entry();
        let index = u32::try_from(entry.key()).expect("fewer than 2^32 values fit in memory");
        let key = Key(u64::from(generation) << 32 | u64::from(index));
        entry.insert(Slot { generation, value: make(key)? });
        Ok(key)
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slab.get(key.index())?;
        (slot.generation == key.generation()).then_some(&slot.value)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slab.get_mut(key.index())?;
        (slot.generation == key.generation()).then_some(&mut slot.value)
    }

    /// The value in a slot, of whatever generation.
    pub(crate) fn at(&self, slot: usize) -> Option<&T> {
        self.slab.get(slot).map(|slot| &slot.value)
    }

    /// The value in a slot, of whatever generation, for changing it.
    pub(crate) fn at_mut(&mut self, slot: usize) -> Option<&mut T> {
        self.slab.get_mut(slot).map(|slot| &mut slot.value)
    }

    /// Removes the value in a slot, of whatever generation.
    pub(crate) fn remove_at(&mut self, slot: usize) -> Option<T> {
        self.slab.try_remove(slot).map(|slot| slot.value)
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        Some(self.slab.remove(key.index()).value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slab.iter().map(|(index, slot)| {
            (Key(u64::from(slot.generation) << 32 | index as u64), &slot.value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_does_not_find_the_successor_in_its_slot() {
        let mut slots = Slots::with_capacity(1);
        let first = slots.insert("first");
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert("second");
        assert_eq!(first.index(), second.index());
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&"second"));
    }

    #[test]
    fn what_cannot_be_made_takes_no_slot() {
        let mut slots = Slots::with_capacity(0);
        assert_eq!(slots.try_insert_with(|_| Err::<u64, _>("no")), Err("no"));
        assert_eq!(slots.len(), 0);
        let key = slots.try_insert_with(|key| Ok::<_, ()>(key.to_bits())).expect("it is made");
        assert_eq!((slots.get(key), key.index()), (Some(&key.to_bits()), 0));
    }

    #[test]
    fn generations_wrap_past_zero() {
        let mut slots = Slots::with_capacity(0);
        slots.generation = u32::MAX - 1;
        let last = slots.insert(1);
        assert_eq!(last.generation(), u32::MAX);
        slots.remove(last);
        assert_eq!(slots.insert(2).generation(), 1);
    }

    #[test]
    fn iteration_yields_keys_that_find_their_values() {
        let mut slots = Slots::with_capacity(3);
        let keys = [slots.insert(0), slots.insert(1), slots.insert(2)];
        slots.remove(keys[1]);
        let seen: Vec<_> = slots.iter().map(|(key, value)| (key, *value)).collect();
        assert_eq!(seen, [(keys[0], 0), (keys[2], 2)]);
        assert_eq!(slots.len(), 2);
    }
}
