//! The lists that a connection is in.

/// A set of the lists of connections with pending work. A connection may be in several lists, in
/// each once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lists(u8);

impl Lists {
    /// Those with output to flush.
    pub(crate) const TO_FLUSH: Self = Self(1 << 0);
    /// Those to be read from though no readiness says so.
    pub(crate) const TO_READ: Self = Self(1 << 1);
    /// Those whose outbox emptied after it had waited for the peer.
    pub(crate) const DRAINED: Self = Self(1 << 2);

    /// Whether the connection is in that list.
    #[inline]
    pub(crate) const fn contains(self, list: Self) -> bool {
        self.0 & list.0 != 0
    }

    /// Adds a list; whether the connection was not in it.
    pub(crate) const fn insert(&mut self, list: Self) -> bool {
        let is_new = !self.contains(list);
        self.0 |= list.0;
        is_new
    }

    pub(crate) const fn remove(&mut self, list: Self) {
        self.0 &= !list.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_in_each_list_by_itself() {
        let mut lists = Lists::default();
        assert!(lists.insert(Lists::TO_FLUSH) && lists.insert(Lists::DRAINED));
        assert!(!lists.insert(Lists::TO_FLUSH) && !lists.contains(Lists::TO_READ));
        lists.remove(Lists::TO_FLUSH);
        assert!(!lists.contains(Lists::TO_FLUSH) && lists.contains(Lists::DRAINED));
    }
}
