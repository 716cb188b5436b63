//! Batches on their way, to one subscriber after the other.

use super::Topics;
use super::batch::Run;
use super::gaps::Missed;
use super::output::Room;
use super::topic::Subscriber;
use crate::overflow::OverflowPolicy;
use crate::slots::Key;

/// The next connection to be served.
#[derive(Debug)]
pub(crate) enum Delivery<'a> {
    /// This connection is owed these frames of this topic and no others; they count as delivered.
    Run(Key, Key, Run<'a>),
    /// What this connection is owed is more than one run: [`Topics::catch_up`] merges it.
    Several(Key),
    /// A connection that does not keep up was passed over.
    PassedOver,
}

impl Topics {
    /// Serves subscribers of the front topic in a row, `most` at most, for as long as each is owed
    /// all of its sealed batch, and nothing else by any topic; tells how many those were.
    /// [`deliver`](Self::deliver) serves whoever is next then, if anybody is.
    ///
    /// `send` tells whether the connection had room.
    pub(crate) fn deliver_row(
        &mut self,
        most: usize,
        mut send: impl FnMut(Key, &Run<'_>) -> bool,
    ) -> usize {
        let Some(&key) = self.active.front() else {
            return 0;
        };
        let Some(topic) = self.topics.get_mut(key) else {
            return 0;
        };
        let sealed = &topic.sealed;
        if sealed.marks.is_empty() {
            return 0;
        }
        let (first, last) = (sealed.first(), sealed.last());
        let run = sealed.run(key, 0..sealed.frames.len());
        let (mut served, mut overflows) = (0, 0);
        for subscriber in topic.subscribers[topic.cursor..].iter().take(most) {
            let member = &mut self.members[subscriber.conn.index()];
            let owes_all = subscriber.since.max(member.served) < first;
            if !owes_all || !subscriber.takes_all() || member.subscriptions.len() > 1 {
                break;
            }
            member.served = last;
            served += 1;
            overflows += u64::from(!send(subscriber.conn, &run));
        }
        topic.cursor += served;
        topic.counters.closed_by_overflow += overflows;
        self.totals.closed_by_overflow += overflows;
        self.totals.delivered += (served * sealed.marks.len()) as u64;
        served
    }

    /// The next connection that is owed something. `room` says how much a connection may be sent.
    pub(crate) fn deliver(&mut self, room: impl Fn(Key) -> Room) -> Option<Delivery<'_>> {
        let (key, position, after) = self.next_unserved()?;
        let subscriber = self.topics.get(key)?.subscribers[position];
        let conn = subscriber.conn;
        if subscriber.policy != OverflowPolicy::Close && self.pass_over(key, position, room(conn)) {
            return Some(Delivery::PassedOver);
        }
        let sealed = &self.topics.get(key)?.sealed;
        if !subscriber.is_plain() || self.is_owed_by_others(conn, key, |_| true) {
            return Some(Delivery::Several(conn));
        }
        let (from, count) = sealed.rest_after(after);
        self.members[conn.index()].served = sealed.last();
        self.totals.delivered += count as u64;
        Some(Delivery::Run(conn, key, sealed.run(key, from..sealed.frames.len())))
    }

    /// Moves the front topic's cursor to the next subscriber that its sealed batch has something
    /// for, sealing and finishing batches on the way: the topic, where that subscriber stands,
    /// and the last broadcast that it is not owed.
    fn next_unserved(&mut self) -> Option<(Key, usize, u64)> {
        while let Some(&key) = self.active.front() {
            let Some(topic) = self.topics.get_mut(key) else {
                self.active.pop_front();
                self.removed.active = self.removed.active.saturating_sub(1);
                continue;
            };
            topic.seal();
            let last = topic.sealed.last();
            while let Some(subscriber) = topic.subscribers.get(topic.cursor) {
                topic.cursor += 1;
                let after = subscriber.since.max(self.members[subscriber.conn.index()].served);
                if after < last {
                    return Some((key, topic.cursor - 1, after));
                }
            }
            self.active.pop_front();
            if self.finish(key) {
                self.active.push_back(key);
            }
        }
        None
    }

    /// Takes away the batch that was delivered to all, or logs it for those that are held; whether
    /// another waits.
    fn finish(&mut self, key: Key) -> bool {
        let Some(topic) = self.topics.get_mut(key) else {
            return false;
        };
        if topic.held == 0 && topic.reuse() {
            self.count_unused(key);
            return false;
        }
        let (batch, is_waiting) = (topic.finish(), !topic.open.marks.is_empty());
        if topic.held == 0 {
            self.memory.spares.give(batch.reopen());
        } else {
            let (batch, spare) = batch.compact();
            topic.log(batch);
            self.memory.spares.give(spare);
            while self.topics.get(key).is_some_and(|topic| topic.outgrows(self.limits.backlog)) {
                self.drop_logged(key);
            }
        }
        self.count(key);
        self.make_room(0);
        is_waiting
    }

    /// Whether topics other than `besides` owe the connection something, by subscriptions that
    /// `counts` is true of.
    fn is_owed_by_others(
        &self,
        conn: Key,
        besides: Key,
        counts: impl Fn(&Subscriber) -> bool,
    ) -> bool {
        let member = &self.members[conn.index()];
        member.subscriptions.len() > 1
            && member.subscriptions.iter().any(|held| {
                held.topic != besides
                    && self.topics.get(held.topic).is_some_and(|topic| {
                        let subscriber = &topic.subscribers[held.position as usize];
                        topic.last() > subscriber.since.max(member.served) && counts(subscriber)
                    })
            })
    }

    /// Passes over a subscriber that does not keep up, if its policy says so. Nothing is put off
    /// while the connection is owed something that is not: their order must hold.
    fn pass_over(&mut self, key: Key, position: usize, room: Room) -> bool {
        let Some(topic) = self.topics.get(key) else {
            return false;
        };
        let subscriber = topic.subscribers[position];
        let conn = subscriber.conn;
        let after = subscriber.since.max(self.members[conn.index()].served);
        let (sealed, owed) = (&topic.sealed, topic.sealed.marks_after(after));
        let (Some(first), Some(last)) = (owed.first(), owed.last()) else {
            return false;
        };
        if subscriber.policy.puts_off() {
            let passes = room.is_waiting()
                && !self.is_owed_by_others(conn, key, |other| !other.policy.puts_off());
            if passes && subscriber.next == 0 {
                let number = first.number;
                self.hold(conn, key, position, number);
            }
            return passes;
        }
        let len = sealed.frames.len() - sealed.offset_after(after);
        let passes =
            !room.takes(subscriber.policy, len) && subscriber.left_out == 0 && subscriber.next == 0;
        if passes {
            let (until, first, last) = (last.sequence, first.number, last.number);
            self.miss(conn, Missed { topic: key, first, last, left_out: 0 });
            if let Some(topic) = self.topics.get_mut(key) {
                topic.subscribers[position].since = until;
            }
        }
        passes
    }

    /// Notes that a connection's broadcasts of a topic wait in its log, from this one on.
    pub(super) fn hold(&mut self, conn: Key, key: Key, position: usize, number: u64) {
        let Some(topic) = self.topics.get_mut(key) else {
            return;
        };
        if topic.hold(position, number) {
            self.held += 1;
            self.members[conn.index()].held += 1;
        }
    }

    /// Notes that a connection does not get broadcasts.
    pub(super) fn miss(&mut self, conn: Key, missed: Missed) {
        let Some(position) = self.position(conn, missed.topic) else {
            return;
        };
        if let Some(topic) = self.topics.get_mut(missed.topic) {
            let subscriber = &mut topic.subscribers[position];
            subscriber.gapped = true;
            topic.counters.miss(subscriber.policy, missed.count());
            self.totals.miss(subscriber.policy, missed.count());
            self.gaps.add(conn, missed);
        }
    }

    /// The connection has got everything up to now, or nothing waits for it any more: what it
    /// missed of a topic is to be told.
    pub(super) fn end_gap(&mut self, conn: Key, key: Key) {
        if !self.gaps.any_grows() {
            return;
        }
        let Some(position) = self.position(conn, key) else {
            return;
        };
        if let Some(topic) = self.topics.get_mut(key) {
            if std::mem::take(&mut topic.subscribers[position].gapped) {
                self.gaps.end(conn, key);
            }
        }
    }

    /// Nothing waits for the connection any more: whatever it missed is to be told.
    pub(crate) fn end_gaps(&mut self, conn: Key) {
        if !self.gaps.any_grows() {
            return;
        }
        let count = self.members.get(conn.index()).map_or(0, |held| held.subscriptions.len());
        for place in 0..count {
            let topic = self.members[conn.index()].subscriptions[place].topic;
            self.end_gap(conn, topic);
        }
    }

    /// The next gap that is to be told, and whom.
    pub(crate) fn next_gap(&mut self) -> Option<(Key, Missed)> {
        self.gaps.next()
    }

    /// How many gaps are to be told.
    pub(crate) fn gaps_due(&self) -> usize {
        self.gaps.due()
    }

    /// Counts a gap that was told.
    pub(crate) fn count_gap(&mut self, topic: Key) {
        self.totals.gaps += 1;
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.counters.gaps += 1;
        }
    }

    /// Counts a connection that a broadcast to the topic was too much for.
    pub(crate) fn count_overflow(&mut self, topic: Key) {
        self.totals.closed_by_overflow += 1;
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.counters.closed_by_overflow += 1;
        }
    }
}
