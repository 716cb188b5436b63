//! What the application learns of its topics.

use crate::engine::ids::TopicId;
use crate::topics::MissedRange;

/// Consecutive broadcasts to a topic that a subscribed connection did not get, because it did not
/// keep up and its subscription's [`OverflowPolicy`](crate::OverflowPolicy) has them dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gap {
    /// The topic.
    pub topic: TopicId,
    /// The number of the first broadcast that is missing, as
    /// [`Context::topic_sequence`](crate::Context::topic_sequence) counts them.
    pub first: u64,
    /// The number of the last one.
    pub last: u64,
    missed: u64,
}

impl Gap {
    /// How many broadcasts are missing: all from `first` to `last`, but for those that were not
    /// for this connection ([`Context::broadcast_except`](crate::Context::broadcast_except)).
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }
}

impl From<MissedRange> for Gap {
    fn from(missed: MissedRange) -> Self {
        let MissedRange { topic, first, last, .. } = missed;
        Self { topic: TopicId(topic), first, last, missed: missed.count() }
    }
}

/// An event: a topic has got its first subscriber, or lost its last one.
///
/// It is published by the loop itself, at the end of a turn, to the handlers that are registered
/// for it. Changes that cancel each other within a turn are not told. Once the loop has stopped,
/// nothing is.
///
/// ```
/// use eventwire::{Config, EventLoop, TopicChanged};
///
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.on(|cx, change: &TopicChanged, _: &mut ()| {
///     let name = cx.topic_name(change.topic).unwrap_or_default();
///     if change.occupied {
///         println!("somebody wants {name}: get it");
///     } else {
///         println!("nobody wants {name} any more");
///     }
/// });
/// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
/// # Ok::<(), eventwire::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TopicChanged {
    /// The topic, which may have been removed since.
    pub topic: TopicId,
    /// Whether it has subscribers now.
    pub occupied: bool,
}

/// What became of the broadcasts to a topic, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicStats {
    /// Connections that are subscribed.
    pub subscribers: usize,
    /// Subscribers that broadcasts are kept for until they have read what was sent before
    /// ([`OverflowPolicy::DropOldest`](crate::OverflowPolicy::DropOldest) and
    /// [`OverflowPolicy::KeepLatest`](crate::OverflowPolicy::KeepLatest)).
    pub waiting: usize,
    /// Broadcasts that were taken.
    pub broadcasts: u64,
    /// Broadcasts that were [dropped](crate::SendStatus::Dropped) for everybody, because the
    /// topic's backlog was full, or all topics together held too much.
    pub refused: u64,
    /// Broadcasts that a subscriber missed by
    /// [`OverflowPolicy::DropNewest`](crate::OverflowPolicy::DropNewest), each counted for each
    /// subscriber.
    pub dropped_newest: u64,
    /// The same, by [`OverflowPolicy::DropOldest`](crate::OverflowPolicy::DropOldest).
    pub dropped_oldest: u64,
    /// The same, by [`OverflowPolicy::KeepLatest`](crate::OverflowPolicy::KeepLatest).
    pub conflated: u64,
    /// Subscribers that were closed with code 1013 because a broadcast to this topic was more
    /// than may wait for them.
    pub closed_by_overflow: u64,
    /// Gaps that were told ([`on_gap`](crate::WebSocketHandler::on_gap)).
    pub gaps: u64,
}
