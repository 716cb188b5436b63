//! Which connections hold memory, and which of them is closed first when there is too little.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::slots::Key;
use crate::time::Time;

/// The resolution of times here, as a power of two of nanoseconds: some 134 ms. With a finer one, a
/// connection would move with everything it does.
const TICK_BITS: u32 = 27;

/// What a connection does with the memory that it holds. The first of these is closed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Activity {
    /// It is ending already.
    Ending,
    /// It has held memory since some moment without progress.
    Idle,
    /// The peer has taken some of what waits for it.
    Reading,
}

/// The rank of a connection among all that hold memory. The least one is closed first: of equal
/// activity the one that made no progress for longest, and then the one that holds most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    activity: Activity,
    tick: u64,
    /// The number of bits of the number of bytes: smaller changes do not move the connection.
    size: Reverse<u32>,
}

impl Rank {
    /// The rank of a connection that made its last progress at that moment.
    pub(super) fn new(activity: Activity, progress: Time, bytes: usize) -> Self {
        let tick = progress.as_nanos() >> TICK_BITS;
        Self { activity, tick, size: Reverse(usize::BITS - bytes.leading_zeros()) }
    }

    pub(super) const fn activity(self) -> Activity {
        self.activity
    }

    /// Whether the last progress was made before that moment.
    pub(super) const fn is_before(self, moment: Time) -> bool {
        self.tick < moment.as_nanos() >> TICK_BITS
    }
}

/// Connections that hold memory, by rank.
#[derive(Debug, Default)]
pub(super) struct Holders {
    ranks: BTreeMap<Key, Rank>,
    order: BTreeSet<(Rank, Key)>,
}

impl Holders {
    /// Sets the rank of a connection; `None` if it holds nothing that could be freed.
    pub(super) fn set(&mut self, conn: Key, rank: Option<Rank>) {
        let former = match rank {
            Some(rank) => self.ranks.insert(conn, rank),
            None => self.ranks.remove(&conn),
        };
        if former == rank {
            return;
        }
        if let Some(former) = former {
            self.order.remove(&(former, conn));
        }
        if let Some(rank) = rank {
            self.order.insert((rank, conn));
        }
    }

    /// The connection that is closed first.
    pub(super) fn first(&self) -> Option<(Rank, Key)> {
        self.order.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::slots::Slots;

    fn at(seconds: u64) -> Time {
        Time::BEGINNING + Duration::from_secs(seconds)
    }

    #[test]
    fn those_that_hold_memory_without_progress_go_first() {
        let ranks = [
            // Whatever it holds.
            Rank::new(Activity::Ending, at(9), 1),
            Rank::new(Activity::Idle, at(1), 10),
            Rank::new(Activity::Idle, at(5), 100_000),
            Rank::new(Activity::Idle, at(5), 10),
            Rank::new(Activity::Reading, at(2), 10),
            Rank::new(Activity::Reading, at(5), 1_000_000),
        ];
        let (mut slots, mut holders) = (Slots::with_capacity(0), Holders::default());
        let conns = ranks.map(|_| slots.insert(()));
        for (conn, rank) in conns.iter().zip(ranks).rev() {
            holders.set(*conn, Some(rank));
        }
        for (conn, rank) in conns.into_iter().zip(ranks) {
            assert_eq!(holders.first(), Some((rank, conn)));
            holders.set(conn, None);
        }
        assert_eq!(holders.first(), None);
        assert!(holders.ranks.is_empty());
    }

    #[test]
    fn a_connection_has_one_rank_at_a_time() {
        let mut holders = Holders::default();
        let conn = Slots::with_capacity(0).insert(());
        for activity in [Activity::Idle, Activity::Reading, Activity::Reading, Activity::Ending] {
            let rank = Rank::new(activity, at(3), 77);
            holders.set(conn, Some(rank));
            assert_eq!((holders.first(), holders.order.len()), (Some((rank, conn)), 1));
        }
        assert!(holders.first().is_some_and(|(rank, _)| !rank.is_before(at(3))));
        assert!(holders.first().is_some_and(|(rank, _)| rank.is_before(at(4))));
    }
}
