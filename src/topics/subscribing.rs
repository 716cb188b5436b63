//! Subscribing to topics, and leaving them.

use super::all_topics::Topics;
use super::limits::TopicError;
use super::member::Member;
use super::registry::Registry;
use super::shrink::shrink;
use crate::overflow::OverflowPolicy;
use crate::slots::Key;

/// Lists of subscriptions never shrink below this capacity.
const SUBSCRIPTIONS_CAPACITY_MIN: usize = 8;

impl Topics {
    /// Subscribes a connection. Returns `Ok(false)` if it was subscribed; it then has the new
    /// policy, and no pace. Call [`Topics::deliver_pending`] and `Conflation::flush` before a call
    /// that changes the policy or the pace.
    pub(crate) fn subscribe(
        &mut self,
        conn: Key,
        key: Key,
        policy: OverflowPolicy,
    ) -> Result<bool, TopicError> {
        let registry = &mut self.registry;
        let position = registry.position(conn, key);
        let followed = position.filter(|position| {
            let follower = registry.follower(key, *position);
            let is_paced = |follower| {
                let followers = registry.values(key).map(|values| &values.followers);
                followers.is_some_and(|followers| followers.is_paced(follower))
            };
            let keeps = policy == OverflowPolicy::KeepLatest;
            follower.is_some_and(|follower| !keeps || is_paced(follower))
        });
        if let Some(position) = followed {
            registry.unfollow(conn, key, position);
        }
        let is_new = self.conflation().subscribe_with(conn, key, policy)?;
        if position.is_some() {
            self.memory.count(&mut self.registry, key);
        }
        Ok(is_new)
    }

    /// The policy of a subscription.
    pub(crate) fn policy(&self, conn: Key, topic: Key) -> Option<OverflowPolicy> {
        let position = self.registry.position(conn, topic)?;
        let subscriber = &self.registry.topics.get(topic)?.subscribers[position];
        Some(subscriber.policy_after.unwrap_or(subscriber.policy))
    }

    /// The connections that subscribe to a topic.
    pub(crate) fn members(&self, topic: Key) -> impl ExactSizeIterator<Item = Key> {
        let topic = self.registry.topics.get(topic);
        let subscribers = topic.map_or(&[][..], |topic| &topic.subscribers);
        subscribers.iter().map(|subscriber| subscriber.conn)
    }

    /// The topics that a connection subscribes to.
    pub(crate) fn topics_of(&self, conn: Key) -> impl ExactSizeIterator<Item = Key> {
        self.registry.subscriptions(conn).iter().map(|own| own.topic)
    }

    /// Ends a subscription. What the topic has pending for the connection is lost: call
    /// [`Topics::deliver_pending`] first. Returns whether there was a subscription.
    pub(crate) fn unsubscribe(&mut self, conn: Key, topic: Key) -> bool {
        let Some(member) = self.registry.members.get(conn.index()) else {
            return false;
        };
        let found = member.subscriptions.iter().position(|own| own.topic == topic);
        let Some(index) = found else { return false };
        self.registry.miss_unlogged(conn, topic);
        self.registry.gaps.end(conn, topic);
        self.leave(conn, index);
        true
    }

    /// Ends all subscriptions of a connection that has ended.
    pub(crate) fn remove_connection(&mut self, conn: Key) {
        while let Some(own) =
            self.registry.members.get(conn.index()).and_then(|member| member.subscriptions.first())
        {
            self.registry.gaps.discard(conn, own.topic);
            self.leave(conn, 0);
        }
        if let Some(member) = self.registry.members.get_mut(conn.index()) {
            *member = Member::default();
        }
    }

    /// Removes a subscription, by its index in the connection's list, from both lists.
    fn leave(&mut self, conn: Key, index: usize) {
        // The topic's list comes first: its positions are written into members' lists, this
        // member's included.
        let left = self.registry.members[conn.index()].subscriptions[index];
        let position = left.position as usize;
        self.registry.stop_lagging(conn, left.topic, position);
        self.registry.unfollow(conn, left.topic, position);
        let Registry { topics, members, .. } = &mut self.registry;
        if let Some(topic) = topics.get_mut(left.topic) {
            debug_assert_eq!(topic.subscribers[position].position as usize, index);
            let mut hole = position;
            if hole < topic.cursor {
                // Served subscribers must stay before the cursor: the last served one fills the
                // hole, and an unserved one fills the hole that this leaves.
                topic.cursor -= 1;
                topic.subscribers.swap(hole, topic.cursor);
                Registry::note_position(members, topic, hole);
                hole = topic.cursor;
            }
            let removed = topic.subscribers.swap_remove(hole);
            topic.count_removed(removed.policy);
            shrink(&mut topic.subscribers, SUBSCRIPTIONS_CAPACITY_MIN);
            Registry::note_position(members, topic, hole);
            if topic.subscribers.is_empty() {
                self.changes.add(topics, left.topic, true);
            }
        }
        self.memory.count(&mut self.registry, left.topic);
        let Registry { topics, members, .. } = &mut self.registry;
        let member = &mut members[conn.index()];
        member.subscriptions.swap_remove(index);
        shrink(&mut member.subscriptions, SUBSCRIPTIONS_CAPACITY_MIN);
        if let Some(moved) = member.subscriptions.get(index).copied() {
            if let Some(topic) = topics.get_mut(moved.topic) {
                topic.subscribers[moved.position as usize].position = index as u32;
            }
        }
    }
}
