//! Topics as the application sees them, and their part of the turn.

use super::{Connection, ConnectionId, Context, EventLoop, HandlerCall, TopicId};
use crate::error::{Error, SubscribeError};
use crate::net::SendStatus;
use crate::overflow::OverflowPolicy;
use crate::proto::AsOutgoing;
use crate::queue::PublishError;
use crate::reactor::Reactor;
use crate::topics::{Delivery, Missed, TopicError};

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

impl Connection<'_> {
    /// Subscribes the connection to a topic: it gets what is broadcast from now on, or is closed if
    /// it is too slow. The same as [`subscribe_with`](Self::subscribe_with) and
    /// [`OverflowPolicy::Close`].
    ///
    /// # Errors
    ///
    /// [`SubscribeError`].
    pub fn subscribe(&mut self, topic: TopicId) -> Result<bool, SubscribeError> {
        self.subscribe_with(topic, OverflowPolicy::Close)
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
        topic: TopicId,
        policy: OverflowPolicy,
    ) -> Result<bool, SubscribeError> {
        let (conn, core) = (self.id().0, &mut *self.context.core);
        if !core.sockets.is_open(conn) {
            return Err(SubscribeError::ConnectionGone);
        }
        let former = core.topics.policy(conn, topic.0);
        // What the former policy has kept is more than may wait if this fails.
        if former.is_some_and(|former| former != policy)
            && !core.sockets.settle(conn, &mut core.topics, &mut core.streams)
        {
            return Err(SubscribeError::ConnectionGone);
        }
        let subscribed = core.topics.subscribe(conn, topic.0, policy);
        self.note_conflation(policy == OverflowPolicy::KeepLatest);
        subscribed.map_err(|refused| match refused {
            TopicError::Gone => SubscribeError::TopicGone,
            TopicError::Limit => SubscribeError::TooMany,
        })
    }

    /// Notes whether the connection has a subscription that conflates, after one was changed that
    /// may do so.
    fn note_conflation(&mut self, may_begin: bool) {
        let (conn, core) = (self.id().0, &mut *self.context.core);
        if may_begin || core.sockets.is_conflating(conn) {
            let conflates = core.topics.conflates(conn);
            core.sockets.set_conflating(conn, conflates, &mut core.streams);
        }
    }

    /// Ends a subscription, after everything that was broadcast until now. `false` if there is
    /// none.
    pub fn unsubscribe(&mut self, topic: TopicId) -> bool {
        let (conn, core) = (self.id().0, &mut *self.context.core);
        // Topics know connections by their slots, which a later connection may have.
        if core.sockets.get(conn).is_none() {
            return false;
        }
        core.sockets.settle(conn, &mut core.topics, &mut core.streams);
        let ended = core.topics.unsubscribe(conn, topic.0);
        self.note_conflation(false);
        ended
    }
}

impl Context<'_> {
    /// The topic of that name, made if there is none. Names have up to 256 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::TopicLimit`].
    pub fn topic(&mut self, name: &str) -> Result<TopicId, Error> {
        self.core.topics.topic(name).map(TopicId).map_err(|_| Error::TopicLimit)
    }

    /// A topic's name.
    #[must_use]
    pub fn topic_name(&self, topic: TopicId) -> Option<&str> {
        self.core.topics.name(topic.0)
    }

    /// Forgets a topic; `false` if it is gone already, or somebody is subscribed to it.
    pub fn remove_topic(&mut self, topic: TopicId) -> bool {
        self.core.topics.remove_topic(topic.0)
    }

    /// Sends a message to all connections that are subscribed to a topic. It is encoded once, and
    /// compressed once for each setting that connections have agreed to.
    ///
    /// It leaves at the end of the turn, at most 256 connections at a time, between which the
    /// loop looks after the others. [`SendStatus::Dropped`] if the topic's backlog is full, or all
    /// topics together hold too much
    /// ([`Config::max_topic_bytes`](crate::Config::max_topic_bytes)): nobody gets it then, and it
    /// has no number.
    pub fn broadcast(&mut self, topic: TopicId, message: impl AsOutgoing) -> SendStatus {
        broadcast_status(self.core.topics.broadcast(topic.0, message.as_outgoing(), None))
    }

    /// Sends a message to all connections that are subscribed to a topic, but for `conn`: whoever
    /// said it need not hear it. If `conn` is not subscribed this is
    /// [`broadcast`](Self::broadcast).
    ///
    /// The message has its number, which `conn` does not see and is not told to have missed.
    pub fn broadcast_except(
        &mut self,
        topic: TopicId,
        conn: ConnectionId,
        message: impl AsOutgoing,
    ) -> SendStatus {
        let outgoing = message.as_outgoing();
        broadcast_status(self.core.topics.broadcast(topic.0, outgoing, Some(conn.0)))
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
    ///     cx.broadcast(topic, format!("{number} {price}"))
    /// }
    /// ```
    #[must_use]
    pub fn topic_sequence(&self, topic: TopicId) -> Option<u64> {
        self.core.topics.last_number(topic.0)
    }

    /// What became of the broadcasts to a topic.
    #[must_use]
    pub fn topic_stats(&self, topic: TopicId) -> Option<TopicStats> {
        let (counters, waiting) = self.core.topics.counters(topic.0)?;
        Some(TopicStats {
            subscribers: self.core.topics.subscribers(topic.0),
            waiting,
            broadcasts: self.core.topics.last_number(topic.0)?,
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
        self.core.topics.subscribers(topic.0)
    }
}

const fn broadcast_status(outcome: Result<(), TopicError>) -> SendStatus {
    match outcome {
        Ok(()) => SendStatus::Sent,
        Err(TopicError::Gone) => SendStatus::Gone,
        Err(TopicError::Limit) => SendStatus::Dropped,
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Sends what was broadcast to a slice of those who are to get it.
    #[inline(never)]
    pub(super) fn broadcast(&mut self) {
        let mut left = BROADCAST_SLICE;
        loop {
            left -= self.core.topics.deliver_row(left, |conn, run| {
                self.core.sockets.deliver(conn, run, &mut self.core.streams)
            });
            if left == 0 {
                return;
            }
            left -= 1;
            match self.core.topics.deliver(|conn| self.core.sockets.room(conn)) {
                None => return self.core.sockets.forget_batches(),
                Some(Delivery::Run(conn, topic, run)) => {
                    if !self.core.sockets.deliver(conn, &run, &mut self.core.streams) {
                        self.core.topics.count_overflow(topic);
                    }
                }
                Some(Delivery::Several(conn)) => {
                    self.core.sockets.catch_up(conn, &mut self.core.topics, &mut self.core.streams);
                }
                Some(Delivery::PassedOver) => {}
            }
        }
    }

    /// Tells connections which broadcasts they missed; gaps that end meanwhile are told in the
    /// next turn.
    #[inline(never)]
    pub(super) fn tell_gaps(&mut self, state: &mut S) {
        for _ in 0..self.core.topics.gaps_due() {
            let Some((conn, missed)) = self.core.topics.next_gap() else {
                return;
            };
            // A connection's end is told instead.
            if self.core.sockets.is_open(conn) {
                self.core.topics.count_gap(missed.topic);
                let gap = Gap::from(missed);
                self.call(conn, HandlerCall::Gap, |handler, conn| {
                    handler.on_gap(conn, gap, state);
                });
            }
        }
    }

    /// Publishes which topics have subscribers now, or none.
    #[inline(never)]
    pub(super) fn tell_changes(&mut self) {
        let events = &mut self.core.events;
        self.core.topics.tell_changes(|topic, occupied| {
            let change = TopicChanged { topic: TopicId(topic), occupied };
            // Where nobody is registered for it, it is told.
            !matches!(events.push(change), Err(PublishError::Full(_)))
        });
    }
}
