//! What must come of a subscription, and what has.

use std::collections::BTreeMap;

use eventwire::{Gap, OverflowPolicy, Position, Resumption};

use super::past::Life;

/// What all seeds came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcomes {
    /// Subscriptions that were resumed with messages of the history, or with none.
    pub(super) replayed: u64,
    pub(super) current: u64,
    pub(super) lost: u64,
    /// Gaps, and those among them that began in the history.
    pub(super) gaps: u64,
    pub(super) gaps_in_history: u64,
    /// Connections that were closed with 1013.
    pub(super) closed: u64,
    /// Broadcasts for which there was no memory.
    pub(super) refused: u64,
    /// Subscriptions that got everything to the end.
    pub(super) complete: u64,
}

impl std::ops::Add for Outcomes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            replayed: self.replayed + other.replayed,
            current: self.current + other.current,
            lost: self.lost + other.lost,
            gaps: self.gaps + other.gaps,
            gaps_in_history: self.gaps_in_history + other.gaps_in_history,
            closed: self.closed + other.closed,
            refused: self.refused + other.refused,
            complete: self.complete + other.complete,
        }
    }
}

/// How far a subscription is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It resumes from a position at the end of the turn.
    Awaiting(Position),
    /// It gets the messages from this offset on, and those before the second from the history.
    Live { first: u64, after_history: u64 },
    /// It ended before it was resumed.
    Nothing,
}

/// One subscription, with what its client got of it.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) life: usize,
    pub(super) state: State,
    /// It had the policy that keeps the latest message of each key, at least for a while.
    pub(super) conflates: bool,
    /// The client is informed before the first message.
    pub(super) is_announced: bool,
    /// The last offset that can come.
    pub(super) end: Option<u64>,
    got: Vec<u64>,
    gaps: Vec<Gap>,
}

impl Subscription {
    pub(super) const fn new(life: usize, policy: OverflowPolicy, state: State) -> Self {
        let conflates = matches!(policy, OverflowPolicy::KeepLatest);
        Self {
            life,
            state,
            conflates,
            is_announced: false,
            end: None,
            got: Vec::new(),
            gaps: Vec::new(),
        }
    }

    pub(super) const fn is_live(&self) -> bool {
        matches!(self.state, State::Live { .. })
    }

    /// The first offset that comes, if any does.
    fn first(&self) -> Option<u64> {
        match self.state {
            State::Live { first, .. } => Some(first),
            _ => None,
        }
    }

    /// Nothing newer comes.
    pub(super) fn finish(&mut self, newest: u64) {
        self.end.get_or_insert(newest);
        if matches!(self.state, State::Awaiting(_)) {
            self.state = State::Nothing;
        }
    }

    /// Checks what the loop says of the position. `has_memory`: no history gave up anything.
    pub(super) fn resume(
        &mut self,
        life: &Life,
        start: u64,
        resumption: Resumption,
        has_memory: bool,
    ) {
        let State::Awaiting(behind) = self.state else {
            panic!("it awaits no resumption: {self:?}");
        };
        let (newest, reached) = (life.newest(), life.first_behind(behind, start));
        let first = match resumption {
            Resumption::Recovered { replayed } => {
                let first = reached.expect("the history does not reach the position");
                assert_eq!(replayed, newest + 1 - first, "{behind} in {start}..={newest}");
                first
            }
            Resumption::Lost { oldest, newest: last } => {
                assert_eq!(last, Position::new(life.epoch, newest));
                assert_eq!(oldest.epoch(), life.epoch);
                let oldest = oldest.offset();
                assert!((start..=newest + 1).contains(&oldest), "{oldest} in {start}..={newest}");
                assert!(!has_memory || oldest == start, "{oldest} is the first, not {start}");
                assert_eq!(life.first_behind(behind, oldest), None, "{behind} is reached");
                newest + 1
            }
            other => panic!("{other:?}"),
        };
        self.state = State::Live { first, after_history: newest + 1 };
    }

    /// A message has come. `key` is of the message; with keys, conflation changes their order.
    pub(super) fn get(&mut self, offset: u64, client: usize, life: &Life) {
        let first = self.first().expect("a message before it was resumed");
        assert!(
            (first..=self.end.unwrap_or(life.newest())).contains(&offset),
            "{offset}: {self:?}"
        );
        assert!(life.is_meant(offset, client), "{offset} excludes client {client}");
        if self.conflates {
            let key = life.broadcast(offset).message_key;
            let of_key = |other: &&u64| life.broadcast(**other).message_key == key;
            let before = self.got.iter().rev().find(of_key);
            assert!(before.is_none_or(|before| *before < offset), "{offset} after {before:?}");
        } else {
            let before = self.got.last();
            assert!(before.is_none_or(|before| *before < offset), "{offset} after {before:?}");
        }
        self.got.push(offset);
    }

    /// The loop reports a gap. Nothing of the history is missed if there `has_room` for it. Returns
    /// whether the gap begins there.
    pub(super) fn miss(&mut self, gap: Gap, has_room: bool) -> bool {
        let State::Live { after_history, .. } = self.state else {
            panic!("a gap before it was resumed");
        };
        let in_history = gap.first < after_history;
        assert!(!in_history || !has_room, "{gap:?} in the history: {self:?}");
        self.gaps.push(gap);
        in_history
    }

    /// Whether a gap can be this subscription's.
    pub(super) fn can_miss(&self, gap: &Gap) -> bool {
        self.first().is_some_and(|first| first <= gap.first)
    }

    /// Checks what has come in all. `is_complete`: nothing was under way any more.
    pub(super) fn conclude(&self, client: usize, life: &Life, is_complete: bool) {
        let Some(first) = self.first() else {
            assert_eq!((&self.got[..], self.gaps.len()), (&[][..], 0));
            return;
        };
        let end = self.end.unwrap_or(life.newest());
        let meant: Vec<_> = (first..=end).filter(|it| life.is_meant(*it, client)).collect();
        if self.conflates {
            self.conclude_conflated(&meant, life, is_complete);
        } else {
            self.conclude_ordered(&meant, is_complete);
        }
    }

    fn conclude_ordered(&self, meant: &[u64], is_complete: bool) {
        let mut left: Vec<_> = meant.to_vec();
        left.retain(|offset| self.got.binary_search(offset).is_err());
        for gap in &self.gaps {
            let before = left.len();
            left.retain(|offset| !(gap.first..=gap.last).contains(offset));
            assert_eq!((before - left.len()) as u64, gap.missed(), "{gap:?}: {self:?}");
        }
        // A gap that is open at the end of its connection, or in its last turn, is not reported.
        if !is_complete {
            let last = self.got.last().copied().unwrap_or(0);
            left.retain(|offset| *offset < last);
            let count_before = |offset: u64| self.got.partition_point(|got| *got < offset);
            let final_gap = left.last().map(|offset| count_before(*offset));
            left.retain(|offset| Some(count_before(*offset)) != final_gap);
        }
        assert_eq!(left, [0; 0], "neither came nor was reported: {self:?}");
    }

    fn conclude_conflated(&self, meant: &[u64], life: &Life, is_complete: bool) {
        let missed: u64 = self.gaps.iter().map(Gap::missed).sum();
        let count = self.got.len() as u64 + missed;
        assert!(count <= meant.len() as u64, "{count} of {}: {self:?}", meant.len());
        if !is_complete {
            return;
        }
        assert_eq!(count, meant.len() as u64, "{self:?}");
        let mut newest = BTreeMap::new();
        newest.extend(meant.iter().map(|it| (life.broadcast(*it).message_key, *it)));
        let is_given_up = |offset| {
            let covers = |gap: &Gap| (gap.first..=gap.last).contains(&offset);
            self.gaps.iter().any(covers)
        };
        for offset in newest.into_values() {
            assert!(self.got.contains(&offset) || is_given_up(offset), "{offset}: {self:?}");
        }
    }
}
