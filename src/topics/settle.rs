//! What a connection is owed by several topics, in the order of the broadcasts.

use std::ops::RangeInclusive;

use super::Topics;
use super::batch::Run;
use super::gaps::Missed;
use super::output::{Output, Room};
use super::topic::Subscriber;
use crate::overflow::OverflowPolicy;
use crate::slots::Key;

/// So many numbers of broadcasts are looked at together, which may be as many frames. Few in tests,
/// so that there is much beyond.
const WINDOW: u64 = if cfg!(test) { 4 } else { 256 };

/// What is looked at of the topics that owe a connection something. Kept for the next connection.
#[derive(Debug, Default)]
pub(super) struct View {
    sources: Vec<Source>,
    /// What they owe within a window, in order.
    owed: Vec<Owed>,
    /// Frames and topics that were looked at, in all.
    #[cfg(test)]
    pub(super) steps: usize,
}

#[cfg(test)]
impl View {
    /// How many frames and topics it has room for.
    pub(super) fn capacity(&self) -> usize {
        self.sources.capacity() + self.owed.capacity()
    }
}

/// A topic that owes the connection something.
#[derive(Clone, Copy, Debug)]
struct Source {
    topic: Key,
    /// Where the subscription stands in the topic's list.
    position: usize,
    policy: OverflowPolicy,
    held: bool,
    /// The last broadcast before those that are owed.
    after: u64,
    /// Broadcasts before this one are missed in its favour.
    newest: u64,
}

/// A frame that one topic owes a connection, or leaves it out of.
#[derive(Clone, Copy, Debug)]
struct Owed {
    sequence: u64,
    number: u64,
    topic: Key,
    position: usize,
    /// The place of its batch in the topic, and where it lies there.
    batch: usize,
    start: usize,
    end: usize,
    policy: OverflowPolicy,
    fate: Fate,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Sent,
    Missed,
    /// It is not for this connection.
    LeftOut,
}

/// Up to which numbers what is done.
#[derive(Clone, Copy)]
struct Limits {
    /// Up to here what may be missed is.
    missed: u64,
    /// Up to here everything else is handed over, whether output waits or not.
    due: u64,
}

impl Owed {
    /// Whether `next`, which comes right after this one, can go the same way.
    fn joins(&self, next: &Self) -> bool {
        (self.topic, self.batch, self.end, self.fate)
            == (next.topic, next.batch, next.start, next.fate)
    }
}

impl Topics {
    /// Hands over everything that the connection is owed, in the order of the broadcasts, so
    /// that what is appended next comes after it.
    pub(crate) fn settle(&mut self, conn: Key, output: &mut impl Output) {
        self.hand_over(conn, true, output);
    }

    /// Hands over what the connection is owed, in the order of the broadcasts. What comes last
    /// and may be put off is, if output waits for the connection.
    pub(crate) fn catch_up(&mut self, conn: Key, output: &mut impl Output) {
        let Some(member) = self.members.get(conn.index()) else {
            return;
        };
        // Others may be owed the same, and share what no longer grows.
        for held in &member.subscriptions {
            if let Some(topic) = self.topics.get_mut(held.topic) {
                topic.seal();
            }
        }
        self.hand_over(conn, false, output);
    }

    fn hand_over(&mut self, conn: Key, all: bool, output: &mut impl Output) {
        let Some(member) = self.members.get(conn.index()) else {
            return;
        };
        if member.subscriptions.is_empty() || self.is_settled(conn) {
            return;
        }
        let mut view = std::mem::take(&mut self.view);
        let room = output.room(conn);
        let urgent = self.review(conn, room, &mut view);
        let due = if all { self.sequence } else { urgent };
        let missed = match room {
            Room::Waiting { bytes, .. } => self.last_without_room(conn, due, bytes, &mut view),
            Room::Unlimited => 0,
        };
        let served = self.hand_out(conn, Limits { missed, due }, &mut view, output);
        self.note_served(conn, served);
        self.view = view;
    }

    /// Lists the topics that owe the connection something, and notes what it has missed by now;
    /// the number of the last broadcast that may not be put off.
    fn review(&mut self, conn: Key, room: Room, view: &mut View) -> u64 {
        let mut urgent = 0;
        view.sources.clear();
        let count = self.members.get(conn.index()).map_or(0, |held| held.subscriptions.len());
        for place in 0..count {
            let member = &self.members[conn.index()];
            let (subscription, served) = (member.subscriptions[place], member.served);
            let (key, position) = (subscription.topic, subscription.position as usize);
            let Some(topic) = self.topics.get(key) else {
                continue;
            };
            let subscriber = topic.subscribers[position];
            let (policy, held) = (subscriber.policy, subscriber.is_held());
            let after = subscriber.since.max(served);
            if held {
                self.miss_gone(conn, key);
            }
            if policy == OverflowPolicy::DropNewest && room.is_backed_up() {
                self.miss_all(conn, key, position, after);
                continue;
            }
            let Some(topic) = self.topics.get(key).filter(|topic| topic.last() > after) else {
                continue;
            };
            let conflates = policy == OverflowPolicy::KeepLatest && (held || room.is_waiting());
            let mut newest = 0;
            if conflates || !policy.puts_off() {
                newest = topic.newest_for(conn, after, held).unwrap_or(0);
            }
            if !policy.puts_off() {
                urgent = urgent.max(newest);
                newest = 0;
            }
            view.sources.push(Source { topic: key, position, policy, held, after, newest });
        }
        urgent
    }

    /// Notes that a connection misses what was put off for it and is no longer logged.
    pub(super) fn miss_gone(&mut self, conn: Key, key: Key) {
        let Some(position) = self.position(conn, key) else {
            return;
        };
        let served = self.members[conn.index()].served;
        let Some(topic) = self.topics.get_mut(key) else {
            return;
        };
        let newest = topic.broadcasts;
        let Subscriber { since, next, gone, .. } = topic.subscribers[position];
        if next == 0 {
            return;
        }
        let left = topic.first_after(since.max(served), true).map(|mark| mark.number);
        let left = left.unwrap_or(newest + 1);
        let subscriber = &mut topic.subscribers[position];
        (subscriber.next, subscriber.gone) = (left, 0);
        let missed = Missed { topic: key, first: next, last: left - 1, left_out: gone.into() };
        if next < left && missed.count() > 0 {
            self.miss(conn, missed);
        }
    }

    /// Notes that a connection misses all that a topic owes it.
    fn miss_all(&mut self, conn: Key, key: Key, position: usize, after: u64) {
        let Some(topic) = self.topics.get_mut(key) else {
            return;
        };
        let (mut first, mut last, mut count) = (0, 0, 0);
        topic.visit(after + 1..=u64::MAX, false, |_, _, mark| {
            if mark.except != conn {
                first = if count == 0 { mark.number } else { first };
                last = mark.number;
                count += 1;
            }
        });
        let subscriber = &mut topic.subscribers[position];
        (subscriber.since, subscriber.left_out) = (self.sequence, 0);
        if count > 0 {
            let left_out = last - first + 1 - count;
            self.miss(conn, Missed { topic: key, first, last, left_out });
        }
    }

    /// Of what may be missed, up to number `due`, the newest has to fit in so many bytes beside
    /// what may not: the number of the last one that does not, or 0.
    fn last_without_room(&self, conn: Key, due: u64, bytes: usize, view: &mut View) -> u64 {
        let mut room = bytes;
        for source in view.sources.iter().filter(|source| !source.policy.puts_off()) {
            if let Some(topic) = self.topics.get(source.topic) {
                topic.visit(source.after + 1..=due, source.held, |_, range, mark| {
                    let len = if mark.except == conn { 0 } else { range.len() };
                    room = room.saturating_sub(len);
                });
            }
        }
        let mut until = due;
        while let Some(last) = self.last_owed(view, until) {
            let first = last.saturating_sub(WINDOW - 1).max(1);
            self.list(conn, first..=last, 0, view);
            let optional = view.owed.iter().filter(|owed| owed.policy.puts_off());
            for owed in optional.rev().filter(|owed| owed.fate == Fate::Sent) {
                match room.checked_sub(owed.end - owed.start) {
                    Some(left) => room = left,
                    None => return owed.sequence,
                }
            }
            until = first - 1;
        }
        0
    }

    /// The number of the last broadcast up to `until` that is owed and may be put off.
    fn last_owed(&self, view: &View, until: u64) -> Option<u64> {
        let sources = view.sources.iter().filter(|source| source.policy.puts_off());
        let last = sources.filter_map(|source| {
            let mark = self.topics.get(source.topic)?.last_until(until, source.held)?;
            Some(mark.sequence).filter(|last| *last > source.after)
        });
        last.max()
    }

    /// The number of the first broadcast after `after` that is owed.
    fn next_owed(&self, view: &View, after: u64) -> Option<u64> {
        let next = view.sources.iter().filter_map(|source| {
            let topic = self.topics.get(source.topic)?;
            let mark = topic.first_after(source.after.max(after), source.held)?;
            Some(mark.sequence)
        });
        next.min()
    }

    /// Lists what is owed within those numbers; up to `missed`, what may be missed is.
    fn list(&self, conn: Key, numbers: RangeInclusive<u64>, missed: u64, view: &mut View) {
        let View { sources, owed, .. } = view;
        owed.clear();
        for source in sources.iter() {
            let Some(topic) = self.topics.get(source.topic) else {
                continue;
            };
            let Source { topic: key, position, policy, newest, .. } = *source;
            let missed = if policy.puts_off() { missed } else { 0 };
            let first = (source.after + 1).max(*numbers.start());
            topic.visit(first..=*numbers.end(), source.held, |batch, range, mark| {
                let is_missed = mark.sequence < newest || mark.sequence <= missed;
                let fate = match is_missed {
                    _ if mark.except == conn => Fate::LeftOut,
                    true => Fate::Missed,
                    false => Fate::Sent,
                };
                owed.push(Owed {
                    sequence: mark.sequence,
                    number: mark.number,
                    topic: key,
                    position,
                    batch,
                    start: range.start,
                    end: range.end,
                    policy,
                    fate,
                });
            });
        }
        owed.sort_unstable_by_key(|owed| owed.sequence);
        #[cfg(test)]
        {
            view.steps += view.sources.len() + view.owed.len();
        }
    }

    /// Hands over what is owed, window by window: what is due in any case, and the rest for as long
    /// as no output waits. Tells up to which number nothing is owed any more.
    fn hand_out(
        &mut self,
        conn: Key,
        limits: Limits,
        view: &mut View,
        output: &mut impl Output,
    ) -> u64 {
        let mut served = 0;
        while let Some(next) = self.next_owed(view, served) {
            if next > limits.due && output.room(conn).is_waiting() {
                return next - 1;
            }
            served = next + WINDOW - 1;
            self.list(conn, next..=served, limits.missed, view);
            let handed = self.append(conn, &view.owed, limits.due, output);
            if let Some(first) = view.owed.get(handed) {
                return first.sequence - 1;
            }
        }
        self.sequence
    }

    /// Appends what is owed, up to number `due` in any case and the others for as long as no
    /// output waits; tells how many frames that were.
    fn append(&mut self, conn: Key, owed: &[Owed], due: u64, output: &mut impl Output) -> usize {
        let mut at = 0;
        while let Some(first) = owed.get(at) {
            let room = output.room(conn);
            let is_due = first.sequence <= due;
            if !is_due && room.is_waiting() {
                break;
            }
            let goes_on =
                |pair: &&[Owed]| pair[0].joins(&pair[1]) && (pair[1].sequence <= due) == is_due;
            let run = &owed[at..=at + owed[at..].windows(2).take_while(goes_on).count()];
            let last = &run[run.len() - 1];
            at += run.len();
            match first.fate {
                Fate::LeftOut => self.leave_behind(run),
                Fate::Sent if room.takes(first.policy, last.end - first.start) => {
                    self.append_run(conn, run, output);
                }
                Fate::Sent | Fate::Missed => {
                    let (topic, first, last) = (first.topic, first.number, last.number);
                    self.miss(conn, Missed { topic, first, last, left_out: 0 });
                }
            }
        }
        at
    }

    /// Passes by frames that leave the connection out.
    fn leave_behind(&mut self, frames: &[Owed]) {
        let [first, ..] = frames else { return };
        if let Some(topic) = self.topics.get_mut(first.topic) {
            let left_out = &mut topic.subscribers[first.position].left_out;
            *left_out = left_out.saturating_sub(frames.len() as u32);
        }
    }

    /// Appends frames that lie one behind the other.
    fn append_run(&mut self, conn: Key, frames: &[Owed], output: &mut impl Output) {
        let [first, ..] = frames else { return };
        let Some(topic) = self.topics.get_mut(first.topic) else {
            return;
        };
        let last = frames.last().unwrap_or(first);
        let run = topic.run(first.topic, first.batch, first.start..last.end);
        let held = |run: &Run<'_>| run.forms.as_ref().map_or(0, |part| part.cache.memory_bytes());
        let before = held(&run);
        let is_taken = output.append(conn, &run);
        let grown = held(&run).saturating_sub(before);
        if grown > 0 {
            topic.note_forms(first.batch, grown);
            self.count(first.topic);
        }
        if is_taken {
            self.totals.delivered += frames.len() as u64;
        } else {
            self.count_overflow(first.topic);
        }
        self.end_gap(conn, first.topic);
    }

    /// Notes that the connection is served up to that number, and what is put off after it.
    fn note_served(&mut self, conn: Key, served: u64) {
        let Some(member) = self.members.get_mut(conn.index()) else {
            return;
        };
        member.served = served;
        for place in 0..member.subscriptions.len() {
            let subscription = self.members[conn.index()].subscriptions[place];
            let position = subscription.position as usize;
            let Some(topic) = self.topics.get_mut(subscription.topic) else {
                continue;
            };
            let subscriber = topic.subscribers[position];
            let is_all = served == self.sequence;
            if is_all && subscriber.left_out == 0 && !subscriber.is_held() {
                continue;
            }
            let after = subscriber.since.max(served);
            let first = if is_all { None } else { topic.first_for(conn, after) };
            let subscriber = &mut topic.subscribers[position];
            if let Some((first, passed)) = first {
                subscriber.since = first.sequence - 1;
                subscriber.left_out = subscriber.left_out.saturating_sub(passed);
                subscriber.gone = 0;
                self.hold(conn, subscription.topic, position, first.number);
                continue;
            }
            (subscriber.since, subscriber.left_out) = (self.sequence, 0);
            if topic.release(position) {
                self.held -= 1;
                self.members[conn.index()].held -= 1;
                self.count(subscription.topic);
            }
        }
    }
}
