//! Subscribing with a pace.

use std::time::Duration;

use super::conflation::Conflation;
use super::limits::TopicError;
use super::member::{Member, Subscription};
use super::registry::Registry;
use super::topic::Subscriber;
use crate::overflow::OverflowPolicy;
use crate::slots::Key;

impl Conflation<'_> {
    /// The same with the policy [`OverflowPolicy::KeepLatest`] and a pace: the connection gets the
    /// latest message of every key at most once in each `interval`.
    pub(crate) fn subscribe_every(
        &mut self,
        conn: Key,
        key: Key,
        interval: Duration,
    ) -> Result<bool, TopicError> {
        let is_new = self.subscribe_with(conn, key, OverflowPolicy::KeepLatest)?;
        self.keep_values(key);
        let registry = &mut *self.registry;
        let number = registry.topics.get(key).map_or(0, |topic| topic.broadcasts);
        if let Some(position) = registry.position(conn, key) {
            let new = registry.add_follower(conn, key, position, number);
            let follower = new.or_else(|| registry.follower(key, position));
            if let (Some(values), Some(follower)) = (registry.values_mut(key), follower) {
                values.followers.set_pace(follower, Some(interval));
                // What is pending for a subscription that had another pace.
                if values.followers.note_change() {
                    self.ticks.note_change(key);
                }
            }
        }
        Ok(is_new)
    }

    /// The interval of a subscription's pace.
    pub(crate) fn pace(&self, conn: Key, topic: Key) -> Option<Duration> {
        let position = self.registry.position(conn, topic)?;
        let follower = self.registry.follower(topic, position)?;
        self.registry.values(topic)?.followers.interval(follower)
    }

    /// Subscribes a connection, or changes the policy of its subscription.
    pub(super) fn subscribe_with(
        &mut self,
        conn: Key,
        key: Key,
        policy: OverflowPolicy,
    ) -> Result<bool, TopicError> {
        let Registry { topics, members, sequence, .. } = &mut *self.registry;
        let topic = topics.get_mut(key).ok_or(TopicError::Gone)?;
        if members.len() <= conn.index() {
            members.resize_with(conn.index() + 1, Member::default);
        }
        let member = &mut members[conn.index()];
        if let Some(own) = member.subscriptions.iter().find(|own| own.topic == key) {
            topic.set_policy(own.position as usize, policy);
            return Ok(false);
        }
        if member.subscriptions.len() >= self.limits.subscriptions {
            return Err(TopicError::Limit);
        }
        let position = topic.subscribers.len() as u32;
        topic.push_subscriber(Subscriber {
            conn,
            since: *sequence,
            first_pending: 0,
            left_out: 0,
            left_out_unlogged: 0,
            position: member.subscriptions.len() as u32,
            policy,
            has_gap: false,
            policy_after: None,
        });
        if member.subscriptions.is_empty() {
            // Many connections have one subscription alone.
            member.subscriptions.reserve_exact(1);
        }
        member.subscriptions.push(Subscription { topic: key, position });
        if position == 0 {
            self.changes.add(topics, key, false);
        }
        Ok(true)
    }

    /// Whether the connection has a subscription that keeps only the latest broadcast.
    pub(crate) fn conflates(&self, conn: Key) -> bool {
        self.registry.conflates(conn)
    }
}
