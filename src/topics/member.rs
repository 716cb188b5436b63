//! A connection's side of its subscriptions.

use crate::slots::Key;

/// A connection that subscribes to topics.
#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) subscriptions: Vec<Subscription>,
    /// The sequence number up to which every broadcast was delivered.
    pub(super) served: u64,
    /// How many of its subscriptions are lagging.
    pub(super) lagging: u32,
    /// How many of its subscriptions are served from the values of their topics.
    pub(super) following: u32,
}

/// One subscription, as the connection lists it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscription {
    pub(super) topic: Key,
    /// The index in the topic's list of subscribers.
    pub(super) position: u32,
}
