//! Who is subscribed to what.

use super::topic::{Subscriber, Topic};
use super::{Refused, Topics};
use crate::slots::Key;

/// A connection's side of its subscriptions.
#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) subscriptions: Vec<Subscription>,
    /// The last broadcast up to which everything was delivered.
    pub(super) served: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Subscription {
    pub(super) topic: Key,
    /// Where this subscription stands in the topic's list.
    pub(super) position: u32,
}

impl Topics {
    /// Subscribes a connection; `Ok(false)` if it was already.
    pub(crate) fn subscribe(&mut self, conn: Key, topic_key: Key) -> Result<bool, Refused> {
        let topic = self.topics.get_mut(topic_key).ok_or(Refused::Gone)?;
        if self.members.len() <= conn.index() {
            self.members.resize_with(conn.index() + 1, Member::default);
        }
        let member = &mut self.members[conn.index()];
        if member.subscriptions.iter().any(|subscription| subscription.topic == topic_key) {
            return Ok(false);
        }
        if member.subscriptions.len() >= self.limits.subscriptions {
            return Err(Refused::Limit);
        }
        let position = topic.subscribers.len() as u32;
        topic.subscribers.push(Subscriber {
            conn,
            position: member.subscriptions.len() as u32,
            since: self.sequence,
        });
        member.subscriptions.push(Subscription { topic: topic_key, position });
        Ok(true)
    }

    /// Ends a subscription. What the connection is still owed of the topic is lost with it:
    /// [`Topics::settle`] first.
    pub(crate) fn unsubscribe(&mut self, conn: Key, topic: Key) -> bool {
        let Some(member) = self.members.get(conn.index()) else {
            return false;
        };
        let found = member.subscriptions.iter().position(|held| held.topic == topic);
        let Some(position) = found else { return false };
        self.leave(conn, position);
        true
    }

    /// Ends all subscriptions of a connection that is no more.
    pub(crate) fn remove_connection(&mut self, conn: Key) {
        while self.members.get(conn.index()).is_some_and(|held| !held.subscriptions.is_empty()) {
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
            if hole < topic.cursor {
                // Keep served and unserved apart: the last served one fills the hole, and the hole
                // that it leaves is filled by an unserved one.
                topic.cursor -= 1;
                topic.subscribers.swap(hole, topic.cursor);
                Self::note_position(&mut self.members, topic, hole);
                hole = topic.cursor;
            }
            topic.subscribers.swap_remove(hole);
            Self::note_position(&mut self.members, topic, hole);
        }
        let member = &mut self.members[conn.index()];
        member.subscriptions.swap_remove(position);
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
}
