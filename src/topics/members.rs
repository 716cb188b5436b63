//! Who is subscribed to what.

use super::memory::give_back;
use super::topic::{Subscriber, Topic};
use super::{TopicError, Topics};
use crate::overflow::OverflowPolicy;
use crate::slots::Key;

/// Room for so many subscriptions stays in a list of them.
const FEW: usize = 8;

/// A connection's side of its subscriptions.
#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) subscriptions: Vec<Subscription>,
    /// The last broadcast up to which everything was delivered.
    pub(super) served: u64,
    /// How many of the subscriptions are held.
    pub(super) held: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Subscription {
    pub(super) topic: Key,
    /// Where this subscription stands in the topic's list.
    pub(super) position: u32,
}

impl Topics {
    /// Subscribes a connection; `Ok(false)` if it was already, and has another policy now.
    /// [`Topics::settle`] before the policy is changed.
    pub(crate) fn subscribe(
        &mut self,
        conn: Key,
        topic_key: Key,
        policy: OverflowPolicy,
    ) -> Result<bool, TopicError> {
        let topic = self.topics.get_mut(topic_key).ok_or(TopicError::Gone)?;
        if self.members.len() <= conn.index() {
            self.members.resize_with(conn.index() + 1, Member::default);
        }
        let member = &mut self.members[conn.index()];
        let mut subscriptions = member.subscriptions.iter();
        if let Some(held) = subscriptions.find(|held| held.topic == topic_key) {
            topic.set_policy(held.position as usize, policy);
            return Ok(false);
        }
        if member.subscriptions.len() >= self.limits.subscriptions {
            return Err(TopicError::Limit);
        }
        let position = topic.subscribers.len() as u32;
        topic.subscribers.push(Subscriber {
            conn,
            since: self.sequence,
            next: 0,
            left_out: 0,
            gone: 0,
            position: member.subscriptions.len() as u32,
            policy,
            gapped: false,
        });
        member.subscriptions.push(Subscription { topic: topic_key, position });
        if position == 0 {
            self.note_change(topic_key, false);
        }
        Ok(true)
    }

    /// The policy of a subscription.
    pub(crate) fn policy(&self, conn: Key, topic: Key) -> Option<OverflowPolicy> {
        let position = self.position(conn, topic)?;
        Some(self.topics.get(topic)?.subscribers[position].policy)
    }

    /// Whether only the latest matters to one of the connection's subscriptions.
    pub(crate) fn conflates(&self, conn: Key) -> bool {
        let subscriptions = self.members.get(conn.index()).map(|member| &member.subscriptions[..]);
        subscriptions.unwrap_or_default().iter().any(|held| {
            let topic = self.topics.get(held.topic);
            let subscriber = topic.and_then(|topic| topic.subscribers.get(held.position as usize));
            subscriber.is_some_and(|subscriber| subscriber.policy == OverflowPolicy::KeepLatest)
        })
    }

    /// Where a connection's subscription stands in the topic's list.
    pub(super) fn position(&self, conn: Key, topic: Key) -> Option<usize> {
        let member = self.members.get(conn.index())?;
        let held = member.subscriptions.iter().find(|held| held.topic == topic)?;
        let position = held.position as usize;
        // The slot may be a later connection's.
        let subscriber = &self.topics.get(topic)?.subscribers[position];
        (subscriber.conn == conn).then_some(position)
    }

    /// Ends a subscription. What the connection is still owed of the topic is lost with it:
    /// [`Topics::settle`] first.
    pub(crate) fn unsubscribe(&mut self, conn: Key, topic: Key) -> bool {
        let Some(member) = self.members.get(conn.index()) else {
            return false;
        };
        let found = member.subscriptions.iter().position(|held| held.topic == topic);
        let Some(position) = found else { return false };
        self.miss_gone(conn, topic);
        self.gaps.end(conn, topic);
        self.leave(conn, position);
        true
    }

    /// Ends all subscriptions of a connection that is no more.
    pub(crate) fn remove_connection(&mut self, conn: Key) {
        while let Some(held) =
            self.members.get(conn.index()).and_then(|member| member.subscriptions.first())
        {
            self.gaps.forget(conn, held.topic);
            self.leave(conn, 0);
        }
        if let Some(member) = self.members.get_mut(conn.index()) {
            *member = Member::default();
        }
    }

    /// Takes the subscription at `position` of the connection's list out of both lists.
    fn leave(&mut self, conn: Key, position: usize) {
        // The topic's list first: the positions in it are noted in members' lists, this one's too.
        let held = self.members[conn.index()].subscriptions[position];
        if let Some(topic) = self.topics.get_mut(held.topic) {
            let mut hole = held.position as usize;
            if topic.release(hole) {
                self.held -= 1;
                self.members[conn.index()].held -= 1;
            }
            if hole < topic.cursor {
                // Keep served and unserved apart: the last served one fills the hole, and the hole
                // that it leaves is filled by an unserved one.
                topic.cursor -= 1;
                topic.subscribers.swap(hole, topic.cursor);
                Self::note_position(&mut self.members, topic, hole);
                hole = topic.cursor;
            }
            topic.subscribers.swap_remove(hole);
            give_back(&mut topic.subscribers, FEW);
            Self::note_position(&mut self.members, topic, hole);
            if topic.subscribers.is_empty() {
                self.note_change(held.topic, true);
            }
        }
        self.count(held.topic);
        let member = &mut self.members[conn.index()];
        member.subscriptions.swap_remove(position);
        give_back(&mut member.subscriptions, FEW);
        if let Some(moved) = member.subscriptions.get(position).copied() {
            if let Some(topic) = self.topics.get_mut(moved.topic) {
                topic.subscribers[moved.position as usize].position = position as u32;
            }
        }
    }

    /// Tells the member whose subscriber now stands at `position` of the topic so.
    fn note_position(members: &mut [Member], topic: &Topic, position: usize) {
        let Some(subscriber) = topic.subscribers.get(position) else {
            return;
        };
        let held = &mut members[subscriber.conn.index()].subscriptions;
        if let Some(subscription) = held.get_mut(subscriber.position as usize) {
            subscription.position = position as u32;
        }
    }

    /// Notes that a topic, which had subscribers before or not, may have become another.
    fn note_change(&mut self, topic_key: Key, had_subscribers: bool) {
        if let Some(topic) = self.topics.get_mut(topic_key).filter(|topic| topic.changing.is_none())
        {
            topic.changing = Some(had_subscribers);
            self.changes.push_back((topic_key, had_subscribers));
        }
    }

    /// Whether a topic may have got its first subscriber, or lost its last one.
    pub(crate) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Tells which topics have subscribers now and had none when that was last told, or the
    /// other way round, until `tell` has no room for more.
    pub(crate) fn tell_changes(&mut self, mut tell: impl FnMut(Key, bool) -> bool) {
        while let Some(&(key, had_subscribers)) = self.changes.front() {
            let has_subscribers = self.subscribers(key) > 0;
            if has_subscribers != had_subscribers && !tell(key, has_subscribers) {
                return;
            }
            self.changes.pop_front();
            match self.topics.get_mut(key) {
                Some(topic) => topic.changing = None,
                None if !had_subscribers => {
                    self.removed.changes = self.removed.changes.saturating_sub(1);
                }
                None => {}
            }
        }
    }
}
