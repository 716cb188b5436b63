use std::collections::VecDeque;

use crate::slots::Key;

/// Accepted connections that are in their opening handshake, the oldest first.
#[derive(Debug)]
pub(crate) struct PendingHandshakes {
    /// May hold some that are not pending any more.
    conns: VecDeque<Key>,
    limit: usize,
}

impl PendingHandshakes {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { conns: VecDeque::new(), limit }
    }

    /// Adds a connection. Returns the oldest if there are too many then.
    pub(crate) fn push(
        &mut self,
        conn: Key,
        mut is_pending: impl FnMut(Key) -> bool,
    ) -> Option<Key> {
        while self.conns.front().is_some_and(|front| !is_pending(*front)) {
            self.conns.pop_front();
        }
        if self.conns.len() >= self.limit {
            self.conns.retain(|conn| is_pending(*conn));
        }
        self.conns.push_back(conn);
        if self.conns.len() > self.limit { self.conns.pop_front() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;

    #[test]
    fn the_oldest_that_is_still_pending_makes_room() {
        let mut slots = Slots::with_capacity(0);
        let conns: Vec<_> = (0..6).map(|_| slots.insert(())).collect();
        let opened = [conns[0], conns[2]];
        let mut pending = PendingHandshakes::new(3);
        let is_pending = |conn: Key| !opened.contains(&conn);
        for conn in &conns[..5] {
            assert_eq!(pending.push(*conn, is_pending), None, "{conn:?}");
        }
        assert_eq!(pending.push(conns[5], is_pending), Some(conns[1]));
    }
}
