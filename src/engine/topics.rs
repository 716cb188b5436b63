//! Topics as the application sees them, and their part of the turn.

use std::fmt;

use super::{ConnectionId, Context, EventLoop, Method, TopicId};
use crate::config::OverflowPolicy;
use crate::error::Error;
use crate::net::SendStatus;
use crate::proto::Outgoing;
use crate::queue;
use crate::reactor::Reactor;
use crate::topics::{Delivery, Missed, Policy, Refused};

/// How many connections a turn broadcasts to before the loop looks at its sockets again.
const BROADCAST_SLICE: usize = 256;

/// Consecutive broadcasts to a topic that a subscribed connection did not get, because it did not
/// keep up and its subscription's [`OverflowPolicy`] has them dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gap {
    /// The topic.
    pub topic: TopicId,
    /// The number of the first broadcast that is missing, as
    /// [`Context::topic_sequence`] counts them.
    pub first: u64,
    /// The number of the last one.
    pub last: u64,
    missed: u64,
}

impl Gap {
    /// How many broadcasts are missing: all from `first` to `last`, but for those that were not
    /// for this connection ([`Context::broadcast_except`]).
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }
}

impl From<Missed> for Gap {
    fn from(missed: Missed) -> Self {
        let Missed { topic, first, last, .. } = missed;
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
/// use eventwire::{Config, Context, EventLoop, TopicChanged};
///
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.on(|change: &TopicChanged, cx: &mut Context<'_>, _: &mut ()| {
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
    /// ([`OverflowPolicy::DropOldest`] and [`OverflowPolicy::KeepLatest`]).
    pub waiting: usize,
    /// Broadcasts that were taken.
    pub broadcasts: u64,
    /// Broadcasts that were [dropped](SendStatus::Dropped) for everybody, because the topic's
    /// backlog was full, or all topics together held too much.
    pub refused: u64,
    /// Broadcasts that a subscriber missed by [`OverflowPolicy::DropNewest`], each counted for
    /// each subscriber.
    pub dropped_newest: u64,
    /// The same, by [`OverflowPolicy::DropOldest`].
    pub dropped_oldest: u64,
    /// The same, by [`OverflowPolicy::KeepLatest`].
    pub conflated: u64,
    /// Subscribers that were closed with code 1013 because a broadcast to this topic was more
    /// than may wait for them.
    pub closed_by_overflow: u64,
    /// Gaps that were told ([`on_gap`](crate::WebSocketHandler::on_gap)).
    pub gaps: u64,
}

impl Context<'_> {
    /// The topic of that name, made if there is none. Names have up to 256 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::TopicLimit`].
    pub fn topic(&mut self, name: &str) -> Result<TopicId, Error> {
        self.topics.topic(name).map(TopicId).map_err(|_| Error::TopicLimit)
    }

    /// A topic's name.
    #[must_use]
    pub fn topic_name(&self, topic: TopicId) -> Option<&str> {
        self.topics.name(topic.0)
    }

    /// Forgets a topic; `false` if it is gone already, or somebody is subscribed to it.
    pub fn remove_topic(&mut self, topic: TopicId) -> bool {
        self.topics.remove_topic(topic.0)
    }

    /// Subscribes a connection to a topic: it gets what is broadcast from now on, or is closed if
    /// it does not keep up. The same as [`subscribe_with`](Self::subscribe_with) and
    /// [`OverflowPolicy::Close`].
    ///
    /// # Errors
    ///
    /// [`SubscribeError`].
    pub fn subscribe(
        &mut self,
        conn: ConnectionId,
        topic: TopicId,
    ) -> Result<bool, SubscribeError> {
        self.subscribe_with(conn, topic, OverflowPolicy::Close)
    }

    /// Subscribes a connection to a topic: it gets what is broadcast from now on, and `policy`
    /// says what of that while it does not keep up. `false` if it is subscribed already: then
    /// the policy is another from now on, and the subscription goes on without a gap.
    ///
    /// A connection does not keep up while output waits for its peer
    /// ([`SendStatus::Queued`]). What a policy does then:
    ///
    /// - `Close`: broadcasts wait behind the rest, and one that would make it more than
    ///   [`Config::outbox`](crate::Config::outbox)'s hard limit closes the connection with code
    ///   1013.
    /// - `DropNewest`: they wait behind the rest up to the soft limit. The others are missed.
    /// - `DropOldest`: they are kept, once for all such connections and up to
    ///   [`Config::topic_backlog`](crate::Config::topic_backlog) and
    ///   [`Config::max_topic_bytes`](crate::Config::max_topic_bytes), until the peer has read what
    ///   it was sent before. The older ones are missed.
    /// - `KeepLatest`: the same, and only the last one is not missed. So that what was sent before
    ///   is not much, the system holds little for such a connection: some 16 KiB that are unsent
    ///   ([`ServerConfig::unsent_limit`](crate::ServerConfig::unsent_limit)).
    ///
    /// Order comes first: a message that is sent to the connection, or broadcast to it by a
    /// subscription of another policy, comes behind what was kept for it, which then waits with
    /// the rest, as far as the hard limit allows. None of what is missed closes a connection;
    /// [`on_gap`](crate::WebSocketHandler::on_gap) tells of it.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`].
    pub fn subscribe_with(
        &mut self,
        conn: ConnectionId,
        topic: TopicId,
        policy: OverflowPolicy,
    ) -> Result<bool, SubscribeError> {
        if !self.sockets.is_open(conn.0) {
            return Err(SubscribeError::ConnectionGone);
        }
        let policy = Policy::from(policy);
        let former = self.topics.policy(conn.0, topic.0);
        // What the former policy has kept is more than may wait if this fails.
        if former.is_some_and(|former| former != policy)
            && !self.sockets.settle(conn.0, self.topics, self.io)
        {
            return Err(SubscribeError::ConnectionGone);
        }
        let subscribed = self.topics.subscribe(conn.0, topic.0, policy);
        self.note_conflation(conn, policy == Policy::KeepLatest);
        subscribed.map_err(|refused| match refused {
            Refused::Gone => SubscribeError::TopicGone,
            Refused::Limit => SubscribeError::TooMany,
        })
    }

    /// Notes whether a connection has a subscription that conflates, after one was changed that
    /// may do so.
    fn note_conflation(&mut self, conn: ConnectionId, may_begin: bool) {
        if may_begin || self.sockets.is_conflating(conn.0) {
            let conflates = self.topics.conflates(conn.0);
            self.sockets.set_conflating(conn.0, conflates, self.io);
        }
    }

    /// Ends a subscription, after everything that was broadcast until now. `false` if there is
    /// none.
    pub fn unsubscribe(&mut self, conn: ConnectionId, topic: TopicId) -> bool {
        // Topics know connections by their slots, which a later connection may have.
        if self.sockets.get(conn.0).is_none() {
            return false;
        }
        self.sockets.settle(conn.0, self.topics, self.io);
        let ended = self.topics.unsubscribe(conn.0, topic.0);
        self.note_conflation(conn, false);
        ended
    }

    /// Sends a message to all connections that are subscribed to a topic. It is encoded once, and
    /// compressed once for each setting that connections have agreed to.
    ///
    /// It leaves at the end of the turn, at most 256 connections at a time, between which the
    /// loop looks after the others. [`SendStatus::Dropped`] if the topic's backlog is full, or all
    /// topics together hold too much
    /// ([`Config::max_topic_bytes`](crate::Config::max_topic_bytes)): nobody gets it then, and it
    /// has no number.
    pub fn broadcast<'m>(
        &mut self,
        topic: TopicId,
        message: impl Into<Outgoing<'m>>,
    ) -> SendStatus {
        broadcast_status(self.topics.broadcast(topic.0, message.into(), None))
    }

    /// Sends a message to all connections that are subscribed to a topic, but for `conn`: whoever
    /// said it need not hear it. If `conn` is not subscribed this is
    /// [`broadcast`](Self::broadcast).
    ///
    /// The message has its number, which `conn` does not see and is not told to have missed.
    pub fn broadcast_except<'m>(
        &mut self,
        topic: TopicId,
        conn: ConnectionId,
        message: impl Into<Outgoing<'m>>,
    ) -> SendStatus {
        broadcast_status(self.topics.broadcast(topic.0, message.into(), Some(conn.0)))
    }

    /// The number of the last broadcast to a topic, 0 before the first. The next one has the next
    /// number, whether anybody is subscribed or not, unless it is dropped.
    ///
    /// A broadcast that contains its number lets its receivers ask for what they missed:
    ///
    /// ```
    /// use eventwire::{Context, SendStatus, TopicId};
    ///
    /// fn tell(price: u64, topic: TopicId, cx: &mut Context<'_>) -> SendStatus {
    ///     let number = cx.topic_sequence(topic).unwrap_or_default() + 1;
    ///     cx.broadcast(topic, &format!("{number} {price}"))
    /// }
    /// ```
    #[must_use]
    pub fn topic_sequence(&self, topic: TopicId) -> Option<u64> {
        self.topics.last_number(topic.0)
    }

    /// What became of the broadcasts to a topic.
    #[must_use]
    pub fn topic_stats(&self, topic: TopicId) -> Option<TopicStats> {
        let (counters, waiting) = self.topics.counters(topic.0)?;
        Some(TopicStats {
            subscribers: self.topics.subscribers(topic.0),
            waiting,
            broadcasts: self.topics.last_number(topic.0)?,
            refused: counters.refused,
            dropped_newest: counters.dropped_newest,
            dropped_oldest: counters.dropped_oldest,
            conflated: counters.conflated,
            closed_by_overflow: counters.closed_by_overflow,
            gaps: counters.gaps,
        })
    }

    /// How many connections are subscribed to a topic.
    #[must_use]
    pub fn subscriber_count(&self, topic: TopicId) -> usize {
        self.topics.subscribers(topic.0)
    }
}

const fn broadcast_status(outcome: Result<(), Refused>) -> SendStatus {
    match outcome {
        Ok(()) => SendStatus::Sent,
        Err(Refused::Gone) => SendStatus::Gone,
        Err(Refused::Limit) => SendStatus::Dropped,
    }
}

impl From<OverflowPolicy> for Policy {
    fn from(policy: OverflowPolicy) -> Self {
        match policy {
            OverflowPolicy::Close => Self::Close,
            OverflowPolicy::DropNewest => Self::DropNewest,
            OverflowPolicy::DropOldest => Self::DropOldest,
            OverflowPolicy::KeepLatest => Self::KeepLatest,
        }
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Sends what was broadcast to a slice of those who are to get it.
    #[inline(never)]
    pub(super) fn broadcast(&mut self) {
        let mut left = BROADCAST_SLICE;
        loop {
            left -= self
                .topics
                .deliver_row(left, |conn, run| self.sockets.deliver(conn, run, &mut self.streams));
            if left == 0 {
                return;
            }
            left -= 1;
            match self.topics.deliver(|conn| self.sockets.room(conn)) {
                None => return self.sockets.forget_batches(),
                Some(Delivery::Run(conn, topic, run)) => {
                    if !self.sockets.deliver(conn, &run, &mut self.streams) {
                        self.topics.count_overflow(topic);
                    }
                }
                Some(Delivery::Several(conn)) => {
                    self.sockets.catch_up(conn, &mut self.topics, &mut self.streams);
                }
                Some(Delivery::PassedOver) => {}
            }
        }
    }

    /// Tells connections which broadcasts they missed; gaps that end meanwhile are told in the
    /// next turn.
    #[inline(never)]
    pub(super) fn tell_gaps(&mut self, state: &mut S) {
        for _ in 0..self.topics.gaps_due() {
            let Some((conn, missed)) = self.topics.next_gap() else {
                return;
            };
            // A connection's end is told instead.
            if self.sockets.is_open(conn) {
                self.topics.count_gap(missed.topic);
                let gap = Gap::from(missed);
                self.call(conn, Method::Gap, |handler, conn, cx| {
                    handler.on_gap(conn, gap, cx, state);
                });
            }
        }
    }

    /// Publishes which topics have subscribers now, or none.
    #[inline(never)]
    pub(super) fn tell_changes(&mut self) {
        let events = &mut self.local_events;
        self.topics.tell_changes(|topic, occupied| {
            let change = TopicChanged { topic: TopicId(topic), occupied };
            // Where nobody is registered for it, it is told.
            !matches!(events.push(change), Err(queue::Refused::Full(_)))
        });
    }
}

/// Why a connection was not subscribed to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The connection is gone, or not open.
    ConnectionGone,
    /// The connection is subscribed to as many topics as the configuration allows.
    TooMany,
    /// The topic is gone.
    TopicGone,
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConnectionGone => "the connection is not open",
            Self::TooMany => "the connection is subscribed to too many topics",
            Self::TopicGone => "there is no such topic",
        })
    }
}

impl std::error::Error for SubscribeError {}
