//! All topics and all subscribed connections, and how far each subscription was served.

use super::counters::Counters;
use super::gaps::{Gaps, MissedRange};
use super::member::{Member, Subscription};
use super::topic::{Subscriber, Topic};
use crate::overflow::OverflowPolicy;
use crate::slots::{Key, Slots};

/// The topics, the members, and what each subscriber has got and missed.
///
/// Invariants: `Subscription::position` and `Subscriber::position` of a subscription name each
/// other's index. `lagging` is the sum of all members' and of all topics' counts.
#[derive(Debug)]
pub(super) struct Registry {
    /// Never shrinks below the largest number of topics so far.
    pub(super) topics: Slots<Topic>,
    /// By the slot of the connection. Never shrinks below the largest number of connections so far.
    pub(super) members: Vec<Member>,
    /// The sequence number of the last broadcast. The first is 1.
    pub(super) sequence: u64,
    /// How many subscriptions were to be resumed so far.
    pub(super) resumes: u64,
    /// How many subscriptions are lagging.
    pub(super) lagging: usize,
    pub(super) gaps: Gaps,
    /// Of all topics, the removed ones included.
    pub(super) totals: Counters,
}

impl Registry {
    pub(super) fn new() -> Self {
        Self {
            topics: Slots::with_capacity(0),
            members: Vec::new(),
            sequence: 0,
            resumes: 0,
            lagging: 0,
            gaps: Gaps::default(),
            totals: Counters::default(),
        }
    }

    /// The index of a connection's subscription in the topic's list.
    pub(super) fn position(&self, conn: Key, topic: Key) -> Option<usize> {
        let member = self.members.get(conn.index())?;
        let found = member.subscriptions.iter().find(|own| own.topic == topic)?;
        let position = found.position as usize;
        // The slot may belong to a later connection.
        let subscriber = &self.topics.get(topic)?.subscribers[position];
        debug_assert_eq!(member.subscriptions[subscriber.position as usize].topic, topic);
        (subscriber.conn == conn).then_some(position)
    }

    /// The connection's subscriptions. None if its slot belongs to a later connection.
    pub(super) fn subscriptions(&self, conn: Key) -> &[Subscription] {
        let member = self.members.get(conn.index());
        let subscriptions = member.map_or(&[][..], |member| &member.subscriptions);
        match subscriptions.first() {
            Some(first) if self.position(conn, first.topic).is_some() => subscriptions,
            _ => &[],
        }
    }

    /// Writes the index of the subscriber that has moved to `position` into its member's list.
    pub(super) fn note_position(members: &mut [Member], topic: &Topic, position: usize) {
        let Some(subscriber) = topic.subscribers.get(position) else {
            return;
        };
        let subscriptions = &mut members[subscriber.conn.index()].subscriptions;
        if let Some(subscription) = subscriptions.get_mut(subscriber.position as usize) {
            subscription.position = position as u32;
        }
    }

    /// How many subscriptions the connection's slot has.
    pub(super) fn subscription_count(&self, conn: Key) -> usize {
        self.members.get(conn.index()).map_or(0, |member| member.subscriptions.len())
    }

    pub(super) fn is_lagging(&self, conn: Key) -> bool {
        self.members.get(conn.index()).is_some_and(|member| member.lagging > 0)
    }

    /// Makes a subscription lag: its broadcasts wait in the topic's log from `number` on.
    pub(super) fn start_lagging(&mut self, conn: Key, key: Key, position: usize, number: u64) {
        let Some(topic) = self.topics.get_mut(key) else {
            return;
        };
        if topic.start_lagging(position, number) {
            self.lagging += 1;
            self.members[conn.index()].lagging += 1;
        }
    }

    /// Ends the lag of a subscription. Returns whether it was lagging.
    pub(super) fn stop_lagging(&mut self, conn: Key, key: Key, position: usize) -> bool {
        let Some(topic) = self.topics.get_mut(key) else {
            return false;
        };
        let was_lagging = topic.stop_lagging(position);
        if was_lagging {
            self.lagging -= 1;
            self.members[conn.index()].lagging -= 1;
        }
        was_lagging
    }

    /// Leaves a connection out of the broadcast that is being made. Returns whether the frame's
    /// mark must name the connection.
    pub(super) fn leave_out(&mut self, conn: Key, key: Key) -> bool {
        let Some(position) = self.position(conn, key) else {
            return false;
        };
        let served = self.members[conn.index()].served;
        let Some(topic) = self.topics.get_mut(key) else {
            return false;
        };
        let last = topic.last();
        let subscriber = &mut topic.subscribers[position];
        if let Some(follower) = subscriber.follower() {
            let followers = topic.values.as_mut().map(|values| &mut values.followers);
            if let Some(follower) = followers.and_then(|it| it.get_mut(follower)) {
                follower.leave_out(topic.broadcasts);
            }
            return false;
        }
        if subscriber.awaits_resume() {
            // What leaves it out is counted when it is resumed.
            return true;
        }
        let is_served = last <= subscriber.since.max(served) && !subscriber.is_lagging();
        if is_served {
            subscriber.since = self.sequence;
        } else {
            subscriber.left_out = subscriber.left_out.saturating_add(1);
        }
        !is_served
    }

    /// Whether a topic other than `except` has something pending for the connection, by a
    /// subscription for which `counts` returns `true`.
    pub(super) fn others_pending(
        &self,
        conn: Key,
        except: Key,
        counts: impl Fn(&Subscriber) -> bool,
    ) -> bool {
        let member = &self.members[conn.index()];
        member.subscriptions.len() > 1
            && member.subscriptions.iter().any(|other| {
                other.topic != except
                    && self.topics.get(other.topic).is_some_and(|topic| {
                        let subscriber = &topic.subscribers[other.position as usize];
                        topic.last() > subscriber.since.max(member.served) && counts(subscriber)
                    })
            })
    }

    /// Whether the connection has a subscription that keeps only the latest broadcast.
    pub(super) fn conflates(&self, conn: Key) -> bool {
        let subscriptions = self.members.get(conn.index()).map(|member| &member.subscriptions[..]);
        subscriptions.unwrap_or_default().iter().any(|own| {
            let topic = self.topics.get(own.topic);
            let subscriber = topic.and_then(|topic| topic.subscribers.get(own.position as usize));
            subscriber.is_some_and(|subscriber| subscriber.policy == OverflowPolicy::KeepLatest)
        })
    }

    /// Records broadcasts that a connection does not get.
    pub(super) fn miss(&mut self, conn: Key, missed: MissedRange) {
        let Some(position) = self.position(conn, missed.topic) else {
            return;
        };
        if let Some(topic) = self.topics.get_mut(missed.topic) {
            let subscriber = &mut topic.subscribers[position];
            subscriber.has_gap = true;
            topic.counters.count_missed(subscriber.policy, missed.count());
            self.totals.count_missed(subscriber.policy, missed.count());
            self.gaps.add(conn, missed);
        }
    }

    /// Records what a lagging connection misses because the log no longer has it.
    pub(super) fn miss_unlogged(&mut self, conn: Key, key: Key) {
        let Some(position) = self.position(conn, key) else {
            return;
        };
        let served = self.members[conn.index()].served;
        let Some(topic) = self.topics.get_mut(key) else {
            return;
        };
        let newest = topic.broadcasts;
        let Subscriber { since, first_pending, left_out_unlogged, .. } =
            topic.subscribers[position];
        if first_pending == 0 {
            return;
        }
        let stored = topic.first_after(since.max(served), true).map(|mark| mark.number);
        let stored = stored.unwrap_or(newest + 1);
        let subscriber = &mut topic.subscribers[position];
        (subscriber.first_pending, subscriber.left_out_unlogged) = (stored, 0);
        let missed = MissedRange {
            topic: key,
            first: first_pending,
            last: stored - 1,
            left_out: left_out_unlogged.into(),
        };
        if first_pending < stored && missed.count() > 0 {
            self.miss(conn, missed);
        }
    }

    /// Records that a connection misses everything that a topic has pending for it.
    pub(super) fn miss_all(&mut self, conn: Key, key: Key, position: usize, after: u64) {
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
        (subscriber.since, subscriber.left_out) = (subscriber.since.max(self.sequence), 0);
        if count > 0 {
            let left_out = last - first + 1 - count;
            self.miss(conn, MissedRange { topic: key, first, last, left_out });
        }
    }

    /// Ends the gap of a subscription, which makes it due: the connection has got a later
    /// broadcast, or nothing waits for it any more.
    pub(super) fn end_gap(&mut self, conn: Key, key: Key) {
        if !self.gaps.any_grows() {
            return;
        }
        let Some(position) = self.position(conn, key) else {
            return;
        };
        if let Some(topic) = self.topics.get_mut(key) {
            if std::mem::take(&mut topic.subscribers[position].has_gap) {
                self.gaps.end(conn, key);
            }
        }
    }

    /// Ends the gaps of all subscriptions of a connection.
    pub(super) fn end_gaps(&mut self, conn: Key) {
        if !self.gaps.any_grows() {
            return;
        }
        for index in 0..self.subscription_count(conn) {
            let topic = self.members[conn.index()].subscriptions[index].topic;
            self.end_gap(conn, topic);
        }
    }

    /// Counts a connection that was closed because a broadcast exceeded its outbox.
    pub(super) fn count_overflow(&mut self, topic: Key) {
        self.totals.closed_by_overflow += 1;
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.counters.closed_by_overflow += 1;
        }
    }
}
