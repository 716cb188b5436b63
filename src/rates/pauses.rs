//! Connections that wait for a bucket.

use std::collections::BTreeSet;

use crate::slots::Key;
use crate::time::Time;

/// Connections that are not read from because of a limit, with the time until which they are not.
#[derive(Debug)]
pub(super) struct Pauses {
    ends: BTreeSet<(Time, Key)>,
    /// The first of them. Every turn looks at this.
    next: Time,
}

impl Pauses {
    pub(super) const fn new() -> Self {
        Self { ends: BTreeSet::new(), next: Time::NEVER }
    }

    #[inline]
    pub(super) const fn next(&self) -> Time {
        self.next
    }

    pub(super) fn insert(&mut self, conn: Key, until: Time) {
        self.ends.insert((until, conn));
        self.update();
    }

    pub(super) fn remove(&mut self, conn: Key, until: Time) {
        self.ends.remove(&(until, conn));
        self.update();
    }

    /// Takes a connection whose pause has ended.
    pub(super) fn expire(&mut self, now: Time) -> Option<Key> {
        let (until, _) = self.ends.first()?;
        if *until > now || *until == Time::NEVER {
            return None;
        }
        let (_, conn) = self.ends.pop_first()?;
        self.update();
        Some(conn)
    }

    fn update(&mut self) {
        self.next = self.ends.first().map_or(Time::NEVER, |(until, _)| *until);
    }
}
