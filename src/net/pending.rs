use std::collections::VecDeque;
use std::time::Duration;

use crate::slots::Key;
use crate::time::Time;

/// What a peer has for its opening handshake before another may take its place: enough for every
/// peer that means it, and short for those who wait while silent ones hold all places.
const FAIR: Duration = Duration::from_secs(1);

/// How long after all places were found taken to look again, which is a look at each of them.
const PAUSE: Duration = Duration::from_millis(1);

/// Accepted connections that are in their opening handshake, the oldest first.
#[derive(Debug)]
pub(crate) struct PendingHandshakes {
    /// With the times at which they were accepted. May hold some that are not pending any more.
    conns: VecDeque<(Key, Time)>,
    limit: usize,
    /// All places were taken: no further look before this moment.
    full_until: Option<Time>,
}

impl PendingHandshakes {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { conns: VecDeque::new(), limit, full_until: None }
    }

    /// Whether it is worth asking for a place now.
    pub(crate) fn may_have_room(&self, now: Time) -> bool {
        self.full_until.is_none_or(|until| until <= now)
    }

    /// When to ask again, if all places were taken.
    pub(crate) const fn deadline(&self) -> Option<Time> {
        self.full_until
    }

    /// Whether one more may be accepted: there is a place, or the oldest has had its time.
    pub(crate) fn has_room(&mut self, now: Time, is_pending: impl Fn(Key) -> bool) -> bool {
        if !self.may_have_room(now) {
            return false;
        }
        self.full_until = None;
        if self.conns.len() >= self.limit {
            self.conns.retain(|(conn, _)| is_pending(*conn));
        }
        let oldest = self.conns.front().filter(|_| self.conns.len() >= self.limit);
        if let Some(fair) = oldest.and_then(|(_, accepted)| accepted.checked_add(FAIR)) {
            self.full_until = now.checked_add(PAUSE).map(|pause| pause.min(fair));
            return fair <= now;
        }
        true
    }

    /// Adds a connection. Returns the oldest if there are too many then.
    pub(crate) fn push(
        &mut self,
        conn: Key,
        now: Time,
        is_pending: impl Fn(Key) -> bool,
    ) -> Option<Key> {
        while self.conns.front().is_some_and(|(front, _)| !is_pending(*front)) {
            self.conns.pop_front();
        }
        self.conns.push_back((conn, now));
        let oldest = self.conns.front().filter(|_| self.conns.len() > self.limit)?.0;
        self.conns.pop_front();
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;

    #[test]
    fn one_more_waits_for_a_place_or_for_the_oldest_to_have_had_its_time() {
        let mut slots = Slots::with_capacity(0);
        let conns: Vec<_> = (0..4).map(|_| slots.insert(())).collect();
        let start = Time::BEGINNING;
        let mut pending = PendingHandshakes::new(2);
        for conn in &conns[..2] {
            assert!(pending.has_room(start, |_| true));
            assert_eq!(pending.push(*conn, start, |_| true), None);
        }
        assert!(!pending.has_room(start, |_| true));
        assert!(!pending.may_have_room(start));
        assert_eq!(pending.deadline(), Some(start + PAUSE));

        // The first has opened.
        let later = start + PAUSE;
        let is_pending = |conn: Key| conn != conns[0];
        assert!(pending.has_room(later, is_pending));
        assert_eq!(pending.push(conns[2], later, is_pending), None);
        assert!(!pending.has_room(later, is_pending));

        // The second has not, and goes.
        assert!(pending.has_room(start + FAIR, is_pending));
        assert_eq!(pending.push(conns[3], start + FAIR, is_pending), Some(conns[1]));
        assert!(!pending.has_room(start + FAIR, is_pending));
        assert_eq!(pending.deadline(), Some(start + FAIR + PAUSE));
    }
}
