//! What readiness names: a connection, a listening socket, or an attempt to connect.

use crate::slots::Key;

/// What a readiness key stands for.
///
/// Keys of each kind come from slots of their own, so that keys of two kinds may be equal. The
/// highest bits of the slot mark the kind: a process has fewer than 2³¹ descriptors, so the slot of
/// no connection has the highest bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Connection(Key),
    Listener(Key),
    Attempt(Key),
}

impl Named {
    const OTHERS: u64 = 1 << 31;
    const ATTEMPT: u64 = 1 << 30;

    /// The connection that a readiness key stands for, if it stands for one, as most do.
    #[inline]
    pub(crate) const fn connection(bits: u64) -> Option<Key> {
        if bits & Self::OTHERS == 0 { Some(Key::from_bits(bits)) } else { None }
    }

    /// What a readiness key stands for.
    pub(crate) const fn of(bits: u64) -> Self {
        if bits & Self::OTHERS == 0 {
            Self::Connection(Key::from_bits(bits))
        } else if bits & Self::ATTEMPT == 0 {
            Self::Listener(Key::from_bits(bits ^ Self::OTHERS))
        } else {
            Self::Attempt(Key::from_bits(bits ^ Self::OTHERS ^ Self::ATTEMPT))
        }
    }

    /// The key to register under.
    pub(crate) const fn to_bits(self) -> u64 {
        match self {
            Self::Connection(key) => key.to_bits(),
            Self::Listener(key) => key.to_bits() | Self::OTHERS,
            Self::Attempt(key) => key.to_bits() | Self::OTHERS | Self::ATTEMPT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;

    #[test]
    fn equal_keys_of_different_kinds_are_told_apart() {
        let mut slots = Slots::with_capacity(2);
        for key in [slots.insert(()), slots.insert(())] {
            let kinds = [Named::Connection(key), Named::Listener(key), Named::Attempt(key)];
            assert_eq!(kinds.map(|named| Named::of(named.to_bits())), kinds);
        }
    }
}
