//! What the application learns about its topics: gaps, changes, statistics.

use crate::engine::ids::TopicId;
use crate::topics::MissedRange;

/// Consecutive broadcasts to a topic that a slow subscriber missed, because its subscription's
/// [`OverflowPolicy`](crate::OverflowPolicy) dropped them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gap {
    /// The topic.
    pub topic: TopicId,
    /// The number of the first missed broadcast, as in
    /// [`Context::topic_sequence`](crate::Context::topic_sequence).
    pub first: u64,
    /// The number of the last missed broadcast.
    pub last: u64,
    missed: u64,
}

impl Gap {
    /// How many broadcasts the connection missed: all from `first` to `last`, except those that
    /// excluded it ([`Context::broadcast_except`](crate::Context::broadcast_except)).
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
/// The loop publishes it at the end of a turn to the handlers that are registered for it. Changes
/// that cancel each other within a turn are not published. Once the loop has stopped, none are.
///
/// ```
/// use eventwire::{Config, EventLoop, TopicChanged};
///
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.on(|cx, change: &TopicChanged, _: &mut ()| {
///     let name = cx.topic_name(change.topic).unwrap_or_default();
///     if change.occupied {
///         println!("{name} has a subscriber: start its data feed");
///     } else {
///         println!("{name} has no subscribers: stop its data feed");
///     }
/// });
/// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
/// # Ok::<(), eventwire::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TopicChanged {
    /// The topic. It may have been removed since.
    pub topic: TopicId,
    /// Whether it had subscribers at the end of the turn.
    pub occupied: bool,
}

/// A topic's subscribers, and what happened to the broadcasts since the topic was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicStats {
    /// Connections that are subscribed.
    pub subscribers: usize,
    /// Slow subscribers for which broadcasts are kept until their earlier output is sent
    /// ([`OverflowPolicy::DropOldest`](crate::OverflowPolicy::DropOldest) and
    /// [`OverflowPolicy::KeepLatest`](crate::OverflowPolicy::KeepLatest)).
    pub waiting: usize,
    /// Broadcasts that were accepted.
    pub broadcasts: u64,
    /// Broadcasts that were [dropped](crate::SendStatus::Dropped) for all subscribers, because the
    /// topic's backlog was full ([`Config::topic_backlog`](crate::Config::topic_backlog)) or all
    /// topics together held too much
    /// ([`Config::max_topic_bytes`](crate::Config::max_topic_bytes)).
    pub refused: u64,
    /// Broadcasts that subscribers missed because of
    /// [`OverflowPolicy::DropNewest`](crate::OverflowPolicy::DropNewest), counted once for each
    /// subscriber.
    pub dropped_newest: u64,
    /// The same for [`OverflowPolicy::DropOldest`](crate::OverflowPolicy::DropOldest).
    pub dropped_oldest: u64,
    /// The same for [`OverflowPolicy::KeepLatest`](crate::OverflowPolicy::KeepLatest).
    pub conflated: u64,
    /// Subscribers that were closed with code 1013 because a broadcast to this topic exceeded the
    /// hard limit of their outbox ([`Config::outbox`](crate::Config::outbox)).
    pub closed_by_overflow: u64,
    /// Gaps that were reported ([`on_gap`](crate::WebSocketHandler::on_gap)).
    pub gaps: u64,
}
