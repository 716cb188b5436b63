//! Subscribers that are served from the values of their topic.

use super::registry::Registry;
use super::values::Values;
use crate::overflow::OverflowPolicy;
use crate::slots::Key;

impl Registry {
    /// The latest messages of a topic's keys.
    pub(super) fn values(&self, key: Key) -> Option<&Values> {
        self.topics.get(key)?.values.as_deref()
    }

    /// The same, for changing them.
    pub(super) fn values_mut(&mut self, key: Key) -> Option<&mut Values> {
        self.topics.get_mut(key)?.values.as_deref_mut()
    }

    /// The number of the last broadcast to a topic, or 0.
    pub(super) fn last_number(&self, key: Key) -> u64 {
        self.topics.get(key).map_or(0, |topic| topic.broadcasts)
    }

    /// Whether the subscriber at `position` gets the values of the topic, and does not miss
    /// broadcasts, if it does not keep up.
    pub(super) fn conflates_by_key(&self, key: Key, position: usize) -> bool {
        self.topics.get(key).is_some_and(|topic| topic.conflates_by_key(position))
    }

    /// Serves a subscriber that does not keep up from the values of its topic: nothing up to the
    /// broadcast with this number is pending for it.
    pub(super) fn follow(&mut self, conn: Key, key: Key, position: usize, number: u64) {
        if let Some(follower) = self.add_follower(conn, key, position, number) {
            if let Some(values) = self.values_mut(key) {
                values.followers.set_behind(follower, true);
            }
        }
    }

    /// Makes a subscriber a follower. Returns `None` if it is one.
    pub(super) fn add_follower(
        &mut self,
        conn: Key,
        key: Key,
        position: usize,
        number: u64,
    ) -> Option<u32> {
        let topic = self.topics.get(key)?;
        let subscriber = topic.subscribers.get(position)?;
        if subscriber.follower().is_some() || topic.values.is_none() {
            return None;
        }
        let mut left_out = Vec::new();
        if subscriber.left_out > 0 {
            let is_lagging = subscriber.is_lagging();
            topic.visit(1..=u64::MAX, is_lagging, |_, _, mark| {
                if mark.except == conn && mark.number > number {
                    left_out.push(mark.number);
                }
            });
        }
        self.stop_lagging(conn, key, position);
        let topic = self.topics.get_mut(key)?;
        let followers = topic.values.as_mut().map(|values| &mut values.followers)?;
        let follower = followers.add(conn, number);
        if let Some(state) = followers.get_mut(follower) {
            left_out.into_iter().for_each(|number| state.leave_out(number));
        }
        topic.subscribers[position].follow(follower);
        self.members[conn.index()].following += 1;
        Some(follower)
    }

    /// Ends the following of a subscriber, which has got everything or gives it up.
    pub(super) fn unfollow(&mut self, conn: Key, key: Key, position: usize) {
        let sequence = self.sequence;
        let Some(topic) = self.topics.get_mut(key) else {
            return;
        };
        let subscriber = &mut topic.subscribers[position];
        let Some(follower) = subscriber.follower() else {
            return;
        };
        subscriber.since = sequence;
        if let Some(values) = &mut topic.values {
            values.followers.remove(follower);
        }
        self.members[conn.index()].following -= 1;
    }

    /// The follower that a connection is, by the index of the subscription in the topic's list.
    pub(super) fn follower(&self, key: Key, position: usize) -> Option<u32> {
        self.topics.get(key)?.subscribers.get(position)?.follower()
    }

    /// Makes followers of the subscribers that are lagging for the latest message alone.
    pub(super) fn follow_instead_of_lagging(&mut self, key: Key) {
        let count = self.topics.get(key).map_or(0, |topic| topic.subscribers.len());
        for position in 0..count {
            let Some(topic) = self.topics.get(key) else {
                return;
            };
            let subscriber = topic.subscribers[position];
            if subscriber.is_lagging() && subscriber.policy == OverflowPolicy::KeepLatest {
                self.miss_unlogged(subscriber.conn, key);
                let first = self.topics.get(key).map(|it| it.subscribers[position].first_pending);
                let number = first.map_or(0, |first| first.saturating_sub(1));
                self.follow(subscriber.conn, key, position, number);
            }
        }
    }
}
