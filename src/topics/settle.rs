//! What a connection is owed by several topics, in the order of the broadcasts.

use super::Topics;
use super::batch::Run;
use super::gaps::Missed;
use super::output::{Output, Policy, Room};
use crate::slots::Key;

/// Memory for so many frames is kept.
const KEEP: usize = 4096;

/// A frame that one topic owes a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owed {
    sequence: u64,
    number: u64,
    topic: Key,
    /// The place of its batch in the topic, and where it lies there.
    batch: usize,
    start: usize,
    end: usize,
    policy: Policy,
    may_compress: bool,
    /// It is not to be appended.
    missed: bool,
}

impl Owed {
    /// Whether `next`, which comes right after this one, can go the same way.
    fn joins(&self, next: &Self) -> bool {
        (self.topic, self.batch, self.end, self.missed, self.may_compress)
            == (next.topic, next.batch, next.start, next.missed, next.may_compress)
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
        self.hand_over(conn, false, output);
    }

    fn hand_over(&mut self, conn: Key, all: bool, output: &mut impl Output) {
        let Some(member) = self.members.get(conn.index()) else {
            return;
        };
        if member.subscriptions.is_empty() || self.is_settled(conn) {
            return;
        }
        let room = output.room(conn);
        let mut owed = std::mem::take(&mut self.owed);
        self.gather(conn, room, &mut owed);
        owed.sort_unstable_by_key(|owed| owed.sequence);
        let urgent = owed.iter().rposition(|owed| !owed.policy.puts_off());
        let due = if all { owed.len() } else { urgent.map_or(0, |last| last + 1) };
        if let Room::Waiting { bytes, .. } = room {
            make_fit(&mut owed[..due], bytes);
        }
        let handed = self.append(conn, &owed, due, output);
        self.note_served(conn, &owed[handed..]);
        owed.clear();
        owed.shrink_to(KEEP);
        self.owed = owed;
    }

    /// Lists what the connection is owed, and notes what it has missed.
    fn gather(&mut self, conn: Key, room: Room, owed: &mut Vec<Owed>) {
        let count = self.members.get(conn.index()).map_or(0, |held| held.subscriptions.len());
        for place in 0..count {
            let member = &self.members[conn.index()];
            let held = member.subscriptions[place];
            let Some(topic) = self.topics.get(held.topic) else {
                continue;
            };
            let subscriber = topic.subscribers[held.position as usize];
            let (policy, is_held) = (subscriber.policy, subscriber.next != 0);
            let begin = owed.len();
            let mut newest = None;
            let (mut left, mut left_out) = (topic.broadcasts + 1, 0);
            let after = subscriber.since.max(member.served);
            topic.frames_after(after, is_held, |batch, range, mark| {
                left = left.min(mark.number);
                if mark.except == Some(conn) {
                    left_out += 1;
                    return;
                }
                owed.push(Owed {
                    sequence: mark.sequence,
                    number: mark.number,
                    topic: held.topic,
                    batch,
                    start: range.start,
                    end: range.end,
                    policy,
                    may_compress: mark.may_compress,
                    missed: false,
                });
            });
            if policy == Policy::KeepLatest && (is_held || room.is_waiting()) {
                if let Some((_, older)) = owed[begin..].split_last_mut() {
                    older.iter_mut().for_each(|owed| owed.missed = true);
                }
            }
            if policy == Policy::DropNewest && room.is_backed_up() {
                newest = missed(&owed[begin..]);
                owed.truncate(begin);
            }
            let gone = Missed {
                topic: held.topic,
                first: subscriber.next,
                last: left - 1,
                left_out: u64::from(subscriber.left_out).saturating_sub(left_out),
            };
            if is_held && gone.first <= gone.last && gone.count() > 0 {
                self.miss(conn, gone);
            }
            if let Some(newest) = newest {
                self.miss(conn, newest);
            }
        }
    }

    /// Appends what is owed, the first `due` frames in any case and the others for as long as no
    /// output waits; tells how many frames that were.
    fn append(&mut self, conn: Key, owed: &[Owed], due: usize, output: &mut impl Output) -> usize {
        let mut at = 0;
        while let Some(first) = owed.get(at) {
            let room = output.room(conn);
            if at >= due && room.is_waiting() {
                break;
            }
            let rest = &owed[at..if at < due { due } else { owed.len() }];
            let joined = rest.windows(2).take_while(|pair| pair[0].joins(&pair[1])).count();
            let last = rest[joined];
            at += joined + 1;
            if first.missed || !room.takes(first.policy, last.end - first.start) {
                let (topic, first, last) = (first.topic, first.number, last.number);
                self.miss(conn, Missed { topic, first, last, left_out: 0 });
                continue;
            }
            let Some(topic) = self.topics.get(first.topic) else {
                continue;
            };
            let frames = topic.frames(first.batch, first.start..last.end);
            let (may_compress, topic) = (first.may_compress, Some(first.topic));
            if output.append(conn, &Run { frames, may_compress, topic }) {
                self.totals.delivered += joined as u64 + 1;
            } else {
                self.count_overflow(first.topic);
            }
            self.end_gap(conn, first.topic);
        }
        at
    }

    /// Notes that the connection is served up to `rest`, which is put off.
    fn note_served(&mut self, conn: Key, rest: &[Owed]) {
        let Some(member) = self.members.get_mut(conn.index()) else {
            return;
        };
        member.served = rest.first().map_or(self.sequence, |first| first.sequence - 1);
        for place in 0..member.subscriptions.len() {
            let held = self.members[conn.index()].subscriptions[place];
            let position = held.position as usize;
            let Some(topic) = self.topics.get_mut(held.topic) else {
                continue;
            };
            let Some(first) = rest.iter().find(|owed| owed.topic == held.topic) else {
                let subscriber = &mut topic.subscribers[position];
                if rest.is_empty() && subscriber.left_out == 0 && subscriber.next == 0 {
                    continue;
                }
                (subscriber.since, subscriber.left_out) = (self.sequence, 0);
                if topic.release(position) {
                    self.held -= 1;
                    self.members[conn.index()].held -= 1;
                }
                continue;
            };
            let since = first.sequence - 1;
            let mut left_out = 0;
            topic.frames_after(since, true, |_, _, mark| {
                left_out += u32::from(mark.except == Some(conn));
            });
            let subscriber = &mut topic.subscribers[position];
            (subscriber.since, subscriber.left_out) = (since, left_out);
            self.hold(conn, held.topic, position, first.number);
        }
    }
}

/// All that one topic owes as one gap.
fn missed(owed: &[Owed]) -> Option<Missed> {
    let (first, last) = (owed.first()?, owed.last()?);
    let numbers = last.number - first.number + 1;
    let left_out = numbers - owed.len() as u64;
    Some(Missed { topic: first.topic, first: first.number, last: last.number, left_out })
}

/// Marks what has no room in so many bytes as missed, of what may be: the oldest first.
fn make_fit(owed: &mut [Owed], bytes: usize) {
    let must = owed.iter().filter(|owed| !owed.policy.puts_off()).map(|owed| owed.end - owed.start);
    let mut room = bytes.saturating_sub(must.sum());
    for owed in owed.iter_mut().rev().filter(|owed| owed.policy.puts_off() && !owed.missed) {
        let left = room.checked_sub(owed.end - owed.start);
        owed.missed = left.is_none();
        room = left.unwrap_or(0);
    }
}
