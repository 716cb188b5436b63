//! The delivery of batches to one subscriber after the other.

use super::all_topics::Topics;
use super::batch::Run;
use super::gaps::MissedRange;
use super::output::SendCapacity;
use crate::overflow::OverflowPolicy;
use crate::slots::Key;
use crate::time::Time;

/// The next step of the delivery.
#[derive(Debug)]
pub(crate) enum Delivery<'a> {
    /// Exactly this run is pending for the connection. It counts as delivered.
    Run {
        /// The connection.
        conn: Key,
        /// The topic of the run.
        topic: Key,
        /// The frames to send.
        run: Run<'a>,
    },
    /// More than one run is pending for this connection. [`Topics::catch_up`] merges them.
    CatchUp(Key),
    /// A connection that does not keep up was skipped.
    Skipped,
}

/// A subscriber that has not got the sealed batch.
struct Unserved {
    topic: Key,
    position: usize,
    /// No broadcast up to this sequence number is pending for it.
    after: u64,
}

impl Topics {
    /// Sends the whole sealed batch of the front topic to up to `max` consecutive subscribers, and
    /// returns how many they were. Stops at the first one for which not the whole batch, or
    /// something else as well, is pending: [`deliver`](Self::deliver) serves that one.
    ///
    /// `send` returns `false` if the batch exceeded the connection's outbox.
    pub(crate) fn deliver_sealed(
        &mut self,
        max: usize,
        mut send: impl FnMut(Key, &Run<'_>) -> bool,
    ) -> usize {
        let Some(key) = self.active.front() else {
            return 0;
        };
        let registry = &mut self.registry;
        let Some(topic) = registry.topics.get_mut(key) else {
            return 0;
        };
        let sealed = &topic.sealed;
        if sealed.marks.is_empty() {
            return 0;
        }
        let (first, last) = (sealed.first(), sealed.last());
        let run = sealed.run(key, topic.epoch, 0..sealed.frames.len());
        let (mut served, mut overflows) = (0, 0);
        let unserved = &topic.subscribers[topic.cursor..];
        for subscriber in &unserved[..unserved.len().min(max)] {
            let member = &mut registry.members[subscriber.conn.index()];
            let is_all_pending = subscriber.since.max(member.served) < first;
            if !is_all_pending
                || !subscriber.takes_whole_batches()
                || member.subscriptions.len() > 1
            {
                break;
            }
            member.served = last;
            served += 1;
            overflows += u64::from(!send(subscriber.conn, &run));
        }
        topic.cursor += served;
        topic.counters.closed_by_overflow += overflows;
        registry.totals.closed_by_overflow += overflows;
        registry.totals.delivered += (served * sealed.marks.len()) as u64;
        served
    }

    /// Serves the next connection for which something is pending. `capacity` tells how much a
    /// connection can be sent.
    pub(crate) fn deliver(
        &mut self,
        now: Time,
        capacity: impl Fn(Key) -> SendCapacity,
    ) -> Option<Delivery<'_>> {
        let Unserved { topic: key, position, after } = self.next_unserved(now)?;
        let subscriber = self.registry.topics.get(key)?.subscribers[position];
        let conn = subscriber.conn;
        let may_skip = subscriber.policy != OverflowPolicy::Close;
        if may_skip && self.skip(key, position, capacity(conn)) {
            return Some(Delivery::Skipped);
        }
        let registry = &mut self.registry;
        let is_mixed =
            !subscriber.has_no_exceptions() || registry.others_pending(conn, key, |_| true);
        if is_mixed {
            return Some(Delivery::CatchUp(conn));
        }
        let topic = registry.topics.get(key)?;
        let sealed = &topic.sealed;
        let tail = sealed.tail_after(after);
        registry.members[conn.index()].served = sealed.last();
        registry.totals.delivered += tail.count as u64;
        let run = sealed.run(key, topic.epoch, tail.offset..sealed.frames.len());
        Some(Delivery::Run { conn, topic: key, run })
    }

    /// Moves the front topic's cursor past the next subscriber for which a part of the sealed batch
    /// is pending. Seals and finishes batches on the way.
    fn next_unserved(&mut self, now: Time) -> Option<Unserved> {
        while let Some(key) = self.active.front() {
            let Some(topic) = self.registry.topics.get_mut(key) else {
                self.active.pop_stale();
                continue;
            };
            topic.seal();
            let last = topic.sealed.last();
            while let Some(subscriber) = topic.subscribers.get(topic.cursor) {
                topic.cursor += 1;
                let member = &self.registry.members[subscriber.conn.index()];
                let after = subscriber.since.max(member.served);
                if after < last {
                    return Some(Unserved { topic: key, position: topic.cursor - 1, after });
                }
            }
            self.active.pop();
            if self.finish_sealed(key, now) {
                self.active.push(key);
            }
        }
        None
    }

    /// Takes the sealed batch out of delivery: logs it for lagging subscribers and the history, or
    /// reuses its memory. Returns whether the topic has another batch.
    fn finish_sealed(&mut self, key: Key, now: Time) -> bool {
        let Self { registry, memory, .. } = self;
        let Some(topic) = registry.topics.get_mut(key) else {
            return false;
        };
        let keeps_log = topic.keeps_log();
        if !keeps_log && topic.reuse_sealed() {
            memory.count_unused(registry, key);
            return false;
        }
        let (batch, has_next) = (topic.take_sealed(), !topic.open.marks.is_empty());
        if !keeps_log {
            memory.spares.give(batch.reopen());
        } else {
            let (batch, spare) = batch.compact();
            topic.append_to_log(batch, now);
            self.expiry.note(topic);
            memory.spares.give(spare);
            let backlog = self.limits.backlog;
            while registry.topics.get(key).is_some_and(|topic| topic.outgrows(backlog, now)) {
                memory.drop_oldest_logged(registry, key);
            }
        }
        memory.count(registry, key);
        memory.make_room(registry, 0);
        has_next
    }

    /// Skips a subscriber that does not keep up, if its policy says so. Returns whether it did. A
    /// subscriber does not start to lag while the connection has pending broadcasts that cannot
    /// lag, because their order must hold.
    fn skip(&mut self, key: Key, position: usize, capacity: SendCapacity) -> bool {
        let registry = &mut self.registry;
        let Some(topic) = registry.topics.get(key) else {
            return false;
        };
        let subscriber = topic.subscribers[position];
        let conn = subscriber.conn;
        let after = subscriber.since.max(registry.members[conn.index()].served);
        let (sealed, pending) = (&topic.sealed, topic.sealed.marks_after(after));
        let (Some(first), Some(last)) = (pending.first(), pending.last()) else {
            return false;
        };
        if capacity.is_waiting() && topic.conflates_by_key(position) {
            let number = first.number - 1;
            registry.follow(conn, key, position, number);
            return true;
        }
        if subscriber.policy.allows_lag() {
            let is_skipped = capacity.is_waiting()
                && !registry.others_pending(conn, key, |other| !other.policy.allows_lag());
            if is_skipped && !subscriber.is_lagging() {
                let number = first.number;
                registry.start_lagging(conn, key, position, number);
            }
            return is_skipped;
        }
        let len = sealed.frames.len() - sealed.offset_after(after);
        let is_skipped = !capacity.admits(subscriber.policy, len)
            && subscriber.left_out == 0
            && !subscriber.is_lagging();
        if is_skipped {
            let (until, first, last) = (last.sequence, first.number, last.number);
            registry.miss(conn, MissedRange { topic: key, first, last, left_out: 0 });
            if let Some(topic) = registry.topics.get_mut(key) {
                topic.subscribers[position].since = until;
            }
        }
        is_skipped
    }
}
