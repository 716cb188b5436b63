//! The subscribers of a topic that are served from its values, and how often.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use slab::Slab;

use super::ahead::Ahead;
use crate::slots::Key;
use crate::time::Time;

/// The most broadcasts that leave a follower out and are remembered. If there are more, the oldest
/// count as missed.
const LEFT_OUT_MAX: usize = 64;

/// The subscribers that are served from a topic's values.
///
/// Invariants: `behind` counts the followers that are behind. A pace has a follower, or is due.
#[derive(Debug, Default)]
pub(super) struct Followers {
    slots: Slab<Follower>,
    behind: usize,
    paces: Slab<Pace>,
    by_interval: BTreeMap<Duration, u32>,
    /// The paces that are not scheduled.
    resting: Vec<u32>,
    /// The resting paces are to be scheduled, which is noted.
    is_noted: bool,
}

/// A subscriber that is served from values: one that does not keep up, or one with a pace.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    pub(super) conn: Key,
    /// Nothing up to the broadcast with this number is pending.
    pub(super) number: u64,
    /// The numbers of later broadcasts that leave the subscriber out, the newest ones at least.
    left_out: VecDeque<u64>,
    /// It gets what is pending as soon as its output has room, and not only at its next tick.
    is_behind: bool,
    /// What it has got ahead of its turn since it is behind.
    pub(super) ahead: Ahead,
    pace: Option<Paced>,
}

/// The pace of a follower.
#[derive(Clone, Copy, Debug)]
struct Paced {
    pace: u32,
    /// The index in the pace's list.
    position: u32,
}

/// The followers that are served at most once in an interval, all at the same ticks.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    followers: Vec<u32>,
    state: PaceState,
    /// The number of the last broadcast before the last tick.
    ticked: u64,
}

/// ```text
///   Resting ── a broadcast ──► Due ── its time ──► Ticking ── all are served ──► Resting
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PaceState {
    Resting,
    Due(Time),
    /// This many followers, counted from the end, are still to be served.
    Ticking {
        left: usize,
    },
}

impl Followers {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many followers are behind.
    pub(super) const fn behind(&self) -> usize {
        self.behind
    }

    pub(super) fn get(&self, follower: u32) -> Option<&Follower> {
        self.slots.get(follower as usize)
    }

    pub(super) fn get_mut(&mut self, follower: u32) -> Option<&mut Follower> {
        self.slots.get_mut(follower as usize)
    }

    /// Adds a follower that is served from the broadcast after `number` on.
    pub(super) fn add(&mut self, conn: Key, number: u64) -> u32 {
        let (left_out, ahead) = (VecDeque::new(), Ahead::default());
        let follower = Follower { conn, number, left_out, is_behind: false, ahead, pace: None };
        self.slots.insert(follower) as u32
    }

    pub(super) fn remove(&mut self, follower: u32) {
        self.set_behind(follower, false);
        self.set_pace(follower, None);
        self.slots.try_remove(follower as usize);
    }

    pub(super) fn set_behind(&mut self, follower: u32, is_behind: bool) {
        if let Some(follower) = self.slots.get_mut(follower as usize) {
            self.behind -= usize::from(follower.is_behind);
            self.behind += usize::from(is_behind);
            follower.is_behind = is_behind;
        }
    }

    /// The interval of a follower's pace.
    pub(super) fn interval(&self, follower: u32) -> Option<Duration> {
        let paced = self.get(follower)?.pace?;
        self.paces.get(paced.pace as usize).map(|pace| pace.interval)
    }

    pub(super) fn is_paced(&self, follower: u32) -> bool {
        self.get(follower).is_some_and(Follower::is_paced)
    }

    pub(super) fn set_pace(&mut self, follower: u32, interval: Option<Duration>) {
        self.leave_pace(follower);
        let (Some(interval), true) = (interval, self.slots.contains(follower as usize)) else {
            return;
        };
        let Self { paces, by_interval, resting, .. } = self;
        let pace = *by_interval.entry(interval).or_insert_with(|| {
            let state = PaceState::Resting;
            let pace =
                paces.insert(Pace { interval, followers: Vec::new(), state, ticked: 0 }) as u32;
            resting.push(pace);
            pace
        });
        let followers = &mut paces[pace as usize].followers;
        let position = followers.len() as u32;
        followers.push(follower);
        self.slots[follower as usize].pace = Some(Paced { pace, position });
    }

    fn leave_pace(&mut self, follower: u32) {
        let paced = self.slots.get_mut(follower as usize).and_then(|it| it.pace.take());
        let Some(Paced { pace: index, position }) = paced else {
            return;
        };
        let pace = &mut self.paces[index as usize];
        let mut hole = position as usize;
        if let PaceState::Ticking { left } = &mut pace.state {
            // The followers that are still to be served stay in front: the last of them fills the
            // hole, and a served one fills the hole that this leaves.
            if hole < *left {
                *left -= 1;
                pace.followers.swap(hole, *left);
                let moved = pace.followers[hole];
                note_position(&mut self.slots, moved, hole);
                hole = *left;
            }
        }
        pace.followers.swap_remove(hole);
        if let Some(&moved) = pace.followers.get(hole) {
            note_position(&mut self.slots, moved, hole);
        }
        if pace.followers.is_empty() && pace.state == PaceState::Resting {
            self.resting.retain(|resting| *resting != index);
            self.remove_pace(index);
        }
    }

    fn remove_pace(&mut self, index: u32) {
        let pace = self.paces.remove(index as usize);
        self.by_interval.remove(&pace.interval);
    }

    /// Notes that there is something to serve. Returns whether the topic's paces must be scheduled,
    /// once for all changes until then.
    #[inline]
    pub(super) fn note_change(&mut self) -> bool {
        !self.resting.is_empty() && !std::mem::replace(&mut self.is_noted, true)
    }

    /// Schedules the paces that rest. `schedule` takes each with its time.
    pub(super) fn schedule(&mut self, now: Time, mut schedule: impl FnMut(u32, Time)) {
        self.is_noted = false;
        for index in self.resting.drain(..) {
            let pace = &mut self.paces[index as usize];
            let due = next_tick(pace.interval, now);
            pace.state = PaceState::Due(due);
            schedule(index, due);
        }
    }

    /// Begins the tick of a pace that was scheduled for `due`, after the broadcast `number`.
    /// Returns `false` if it was not scheduled.
    pub(super) fn begin_tick(&mut self, pace: u32, due: Time, number: u64) -> bool {
        let pace = self.paces.get_mut(pace as usize);
        let Some(pace) = pace.filter(|pace| pace.state == PaceState::Due(due)) else {
            return false;
        };
        pace.state = PaceState::Ticking { left: pace.followers.len() };
        pace.ticked = number;
        true
    }

    /// Whether there were broadcasts up to this number since the pace's tick began.
    pub(super) fn has_later(&self, pace: u32, number: u64) -> bool {
        self.paces.get(pace as usize).is_some_and(|pace| pace.ticked < number)
    }

    /// The next follower of a ticking pace that is to be served. After the last one, the pace
    /// rests, or is removed if it has no follower.
    pub(super) fn next_of_tick(&mut self, index: u32) -> Option<u32> {
        let pace = self.paces.get_mut(index as usize)?;
        match &mut pace.state {
            PaceState::Ticking { left } if *left > 0 => {
                *left -= 1;
                return pace.followers.get(*left).copied();
            }
            PaceState::Ticking { .. } if pace.followers.is_empty() => self.remove_pace(index),
            PaceState::Ticking { .. } => {
                pace.state = PaceState::Resting;
                self.resting.push(index);
            }
            PaceState::Resting | PaceState::Due(_) => {}
        }
        None
    }
}

impl Follower {
    /// Notes a broadcast that leaves the subscriber out.
    pub(super) fn leave_out(&mut self, number: u64) {
        if self.left_out.len() == LEFT_OUT_MAX {
            self.left_out.pop_front();
        }
        self.left_out.push_back(number);
    }

    /// Passes the broadcasts up to `number`. Returns how many of them leave the subscriber out, or
    /// were sent ahead of their turn.
    pub(super) fn pass(&mut self, number: u64) -> u64 {
        self.number = number;
        let count = self.left_out.partition_point(|it| *it <= number);
        self.left_out.drain(..count);
        if self.left_out.is_empty() {
            self.left_out = VecDeque::new();
        }
        (count + self.ahead.pass(number)) as u64
    }

    pub(super) const fn is_behind(&self) -> bool {
        self.is_behind
    }

    pub(super) const fn is_paced(&self) -> bool {
        self.pace.is_some()
    }
}

/// Writes the index of a follower in its pace's list.
fn note_position(slots: &mut Slab<Follower>, follower: u32, position: usize) {
    if let Some(paced) = slots.get_mut(follower as usize).and_then(|it| it.pace.as_mut()) {
        paced.position = position as u32;
    }
}

/// The first multiple of the interval after `now`. So all topics tick together.
fn next_tick(interval: Duration, now: Time) -> Time {
    let nanos = interval.as_nanos().max(1);
    let ticks = now.since_beginning().as_nanos() / nanos + 1;
    let due = nanos.checked_mul(ticks).and_then(|due| u64::try_from(due).ok());
    due.map_or(Time::NEVER, |due| Time::from_beginning(Duration::from_nanos(due)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_multiples_of_the_interval() {
        let [ms, secs] = [Duration::from_millis, Duration::from_secs];
        let at = |elapsed| Time::from_beginning(elapsed);
        assert_eq!(next_tick(ms(100), Time::BEGINNING), at(ms(100)));
        assert_eq!(next_tick(ms(100), at(ms(99))), at(ms(100)));
        assert_eq!(next_tick(ms(100), at(ms(100))), at(ms(200)));
        assert_eq!(next_tick(Duration::from_nanos(1), at(secs(100_000_000))), {
            at(secs(100_000_000) + Duration::from_nanos(1))
        });
        assert_eq!(next_tick(Duration::MAX, at(secs(1))), Time::NEVER);
    }

    #[test]
    fn a_tick_serves_each_follower_once_whoever_leaves_meanwhile() {
        let conn = Key::NONE;
        for leaving in 0..5 {
            for served in 0..5 {
                let mut followers = Followers::default();
                let added: Vec<_> = (0..5).map(|_| followers.add(conn, 0)).collect();
                let interval = Duration::from_secs(1);
                added.iter().for_each(|it| followers.set_pace(*it, Some(interval)));
                let mut scheduled = Vec::new();
                followers.schedule(Time::BEGINNING, |pace, due| scheduled.push((pace, due)));
                let [(pace, due)] = scheduled[..] else { panic!("one pace: {scheduled:?}") };
                assert!(!followers.begin_tick(pace, Time::BEGINNING, 0));
                assert!(followers.begin_tick(pace, due, 0));
                let mut seen: Vec<_> =
                    (0..served).map(|_| followers.next_of_tick(pace).unwrap()).collect();
                followers.remove(added[leaving]);
                seen.extend(std::iter::from_fn(|| followers.next_of_tick(pace)));
                seen.retain(|it| *it != added[leaving]);
                seen.sort_unstable();
                let rest = added.iter().copied().filter(|it| *it != added[leaving]);
                assert_eq!(seen, rest.collect::<Vec<_>>());
                assert!(followers.note_change() && !followers.note_change());
                added.iter().for_each(|it| followers.remove(*it));
                assert!(followers.paces.is_empty() && followers.by_interval.is_empty());
                assert!(followers.resting.is_empty());
            }
        }
    }
}
