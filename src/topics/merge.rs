//! Delivery of several topics to one connection, in the order of the broadcasts.

use super::all_topics::Topics;
use super::batch::Run;
use super::gaps::MissedRange;
use super::output::{Output, SendCapacity};
use super::pending::{Fate, Pending, PendingFrame};
use crate::slots::Key;

/// The sequence numbers that decide what becomes of a pending broadcast.
#[derive(Clone, Copy)]
struct Bounds {
    /// A broadcast up to here that may lag is missed.
    missed: u64,
    /// A broadcast up to here that is not missed is sent even if output waits.
    required: u64,
}

impl Topics {
    /// Sends everything that is pending for the connection, in the order of the broadcasts. What is
    /// appended to its output next then follows them.
    pub(crate) fn deliver_pending(&mut self, conn: Key, output: &mut impl Output) {
        self.merge(conn, true, output);
    }

    /// Sends what is pending for the connection, in the order of the broadcasts. If output waits,
    /// the last broadcasts stay pending where their subscriptions allow that.
    pub(crate) fn catch_up(&mut self, conn: Key, output: &mut impl Output) {
        let Some(member) = self.registry.members.get(conn.index()) else {
            return;
        };
        // Other connections may have the same batches pending, and can share sealed ones.
        for own in &member.subscriptions {
            if let Some(topic) = self.registry.topics.get_mut(own.topic) {
                topic.seal();
            }
        }
        self.merge(conn, false, output);
    }

    fn merge(&mut self, conn: Key, all: bool, output: &mut impl Output) {
        if self.registry.subscription_count(conn) == 0 || !self.has_pending(conn) {
            return;
        }
        let mut pending = std::mem::take(&mut self.pending);
        let capacity = output.capacity(conn);
        let last_required = pending.collect(&mut self.registry, conn, capacity);
        let required = if all { self.registry.sequence } else { last_required };
        let missed = match capacity {
            SendCapacity::Waiting { bytes, .. } => {
                pending.last_that_does_not_fit(&self.registry.topics, conn, required, bytes)
            }
            SendCapacity::Unlimited => 0,
        };
        let bounds = Bounds { missed, required };
        let served = self.send_windows(conn, bounds, &mut pending, output);
        self.note_served(conn, served);
        self.pending = pending;
    }

    /// Sends what is pending, window by window: the required broadcasts, and the others until
    /// output waits. Returns the sequence number up to which nothing is pending any more.
    fn send_windows(
        &mut self,
        conn: Key,
        bounds: Bounds,
        pending: &mut Pending,
        output: &mut impl Output,
    ) -> u64 {
        let mut served = 0;
        while let Some(next) = pending.next_after(&self.registry.topics, served) {
            if next > bounds.required && output.capacity(conn).is_waiting() {
                return next - 1;
            }
            served = pending.list_window(&self.registry.topics, conn, next, bounds.missed);
            let sent = self.send(conn, &pending.frames, bounds.required, output);
            if let Some(first) = pending.frames.get(sent) {
                return first.sequence - 1;
            }
        }
        self.registry.sequence
    }

    /// Sends frames: those up to sequence number `required`, and the others until output waits.
    /// Returns how many frames were dealt with.
    fn send(
        &mut self,
        conn: Key,
        frames: &[PendingFrame],
        required: u64,
        output: &mut impl Output,
    ) -> usize {
        let mut at = 0;
        while let Some(first) = frames.get(at) {
            let capacity = output.capacity(conn);
            let is_required = first.sequence <= required;
            if !is_required && capacity.is_waiting() {
                break;
            }
            let continues = |pair: &&[PendingFrame]| {
                pair[0].joins(&pair[1]) && (pair[1].sequence <= required) == is_required
            };
            let run = &frames[at..=at + frames[at..].windows(2).take_while(continues).count()];
            let last = &run[run.len() - 1];
            at += run.len();
            match first.fate {
                Fate::LeftOut => self.pass_left_out(run),
                Fate::Sent if capacity.admits(first.policy, last.end - first.start) => {
                    self.append_run(conn, run, output);
                }
                Fate::Sent | Fate::Missed
                    if self.registry.conflates_by_key(first.topic, first.position) =>
                {
                    self.registry.follow(conn, first.topic, first.position, first.number - 1);
                }
                Fate::Sent | Fate::Missed => {
                    let (topic, first, last) = (first.topic, first.number, last.number);
                    let missed = MissedRange { topic, first, last, left_out: 0 };
                    self.registry.miss(conn, missed);
                }
            }
        }
        at
    }

    /// Passes frames that leave the connection out.
    fn pass_left_out(&mut self, frames: &[PendingFrame]) {
        let [first, ..] = frames else { return };
        if let Some(topic) = self.registry.topics.get_mut(first.topic) {
            let left_out = &mut topic.subscribers[first.position].left_out;
            *left_out = left_out.saturating_sub(frames.len() as u32);
        }
    }

    /// Appends adjacent frames of one batch to the connection's output.
    fn append_run(&mut self, conn: Key, frames: &[PendingFrame], output: &mut impl Output) {
        let [first, ..] = frames else { return };
        let registry = &mut self.registry;
        let Some(topic) = registry.topics.get_mut(first.topic) else {
            return;
        };
        let last = frames.last().unwrap_or(first);
        if topic.subscribers[first.position].follower().is_some() {
            return;
        }
        let run = topic.run(first.topic, first.batch, first.start..last.end);
        let forms_bytes =
            |run: &Run<'_>| run.forms.as_ref().map_or(0, |part| part.cache.memory_bytes());
        let before = forms_bytes(&run);
        let is_taken = output.append(conn, &run);
        let grown = forms_bytes(&run).saturating_sub(before);
        if grown > 0 {
            topic.count_forms(first.batch, grown);
            self.memory.count(registry, first.topic);
        }
        if is_taken {
            registry.totals.delivered += frames.len() as u64;
        } else {
            registry.count_overflow(first.topic);
        }
        registry.end_gap(conn, first.topic);
    }

    /// Records that the connection was served up to a sequence number, and which subscriptions lag
    /// behind the last broadcast.
    fn note_served(&mut self, conn: Key, served: u64) {
        let Self { registry, memory, .. } = self;
        let Some(member) = registry.members.get_mut(conn.index()) else {
            return;
        };
        member.served = served;
        let is_all = served == registry.sequence;
        for index in 0..registry.subscription_count(conn) {
            let subscription = registry.members[conn.index()].subscriptions[index];
            let position = subscription.position as usize;
            let Some(topic) = registry.topics.get_mut(subscription.topic) else {
                continue;
            };
            let subscriber = topic.subscribers[position];
            let is_settled = is_all && subscriber.left_out == 0 && !subscriber.is_lagging();
            if is_settled || subscriber.follower().is_some() {
                continue;
            }
            let after = subscriber.since.max(served);
            let first = if is_all { None } else { topic.first_for(conn, after) };
            if let Some(first) = first.filter(|_| topic.conflates_by_key(position)) {
                registry.follow(conn, subscription.topic, position, first.mark.number - 1);
                continue;
            }
            let subscriber = &mut topic.subscribers[position];
            if let Some(first) = first {
                subscriber.since = first.mark.sequence - 1;
                subscriber.left_out = subscriber.left_out.saturating_sub(first.left_out);
                subscriber.left_out_unlogged = 0;
                let number = first.mark.number;
                registry.start_lagging(conn, subscription.topic, position, number);
                continue;
            }
            (subscriber.since, subscriber.left_out) = (subscriber.since.max(registry.sequence), 0);
            if registry.stop_lagging(conn, subscription.topic, position) {
                memory.count(registry, subscription.topic);
            }
        }
    }
}
