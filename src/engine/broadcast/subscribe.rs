//! A connection's subscriptions.

use std::time::Duration;

use crate::engine::broadcast::order::deliver_last;
use crate::engine::broadcast::refusal::subscribe_error;
use crate::engine::connection::Connection;
use crate::engine::ids::TopicId;
use crate::error::SubscribeError;
use crate::overflow::OverflowPolicy;

impl Connection<'_> {
    /// Subscribes the connection to a topic: it gets every later broadcast, and is closed with code
    /// 1013 if it is too slow. The same as [`subscribe_with`](Self::subscribe_with) with
    /// [`OverflowPolicy::Close`].
    ///
    /// # Errors
    ///
    /// [`SubscribeError`].
    pub fn subscribe(&mut self, topic: TopicId) -> Result<bool, SubscribeError> {
        self.subscribe_with(topic, OverflowPolicy::Close)
    }

    /// Subscribes the connection to a topic: it gets every later broadcast, except those that
    /// `policy` drops while it is slow. Returns `false` if it is already subscribed: then the
    /// policy changes, and the subscription goes on without a gap.
    ///
    /// A connection is slow while it has queued output
    /// ([`SendStatus::Queued`](crate::SendStatus::Queued)). Then the policy decides about further
    /// broadcasts:
    ///
    /// - `Close`: they are queued behind the other output. A broadcast that would exceed the hard
    ///   limit of [`Config::outbox`](crate::Config::outbox) closes the connection with code 1013.
    /// - `DropNewest`: they are queued up to the soft limit. The connection misses the others.
    /// - `DropOldest`: the topic keeps them until the earlier output is sent, once for all such
    ///   connections, up to [`Config::topic_backlog`](crate::Config::topic_backlog) and
    ///   [`Config::max_topic_bytes`](crate::Config::max_topic_bytes). Beyond these limits the
    ///   connection misses the oldest ones.
    /// - `KeepLatest`: the topic keeps the latest one only, or the latest one of every key
    ///   ([`Context::broadcast_keyed`](crate::Context::broadcast_keyed)); the connection misses the
    ///   others. To keep the earlier output short, the system holds only about 16 KiB of unsent
    ///   bytes for such a connection, and 4 KiB if the peer reads slowly
    ///   ([`ServerConfig::unsent_limit`](crate::ServerConfig::unsent_limit)).
    ///
    /// Order takes precedence. A message that is sent to the connection directly, or broadcast to
    /// it through a subscription with another policy, arrives after the broadcasts that were kept
    /// for it. These are then queued with the other output, within the hard limit. Only the latest
    /// messages of keys are no part of that order: they may be many, so other messages do not wait
    /// for them. With the last three policies, missed broadcasts do not close the connection;
    /// [`on_gap`](crate::WebSocketHandler::on_gap) reports them.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`].
    pub fn subscribe_with(
        &mut self,
        topic: TopicId,
        policy: OverflowPolicy,
    ) -> Result<bool, SubscribeError> {
        self.subscribe_at(topic, policy, None)
    }

    /// Subscribes the connection to a topic of which it gets the latest message of every key
    /// ([`Context::broadcast_keyed`](crate::Context::broadcast_keyed)), or the latest message if
    /// there are no keys, at most once in each `interval`. Returns `false` if it is already
    /// subscribed: then the policy and the interval change, and the subscription goes on without a
    /// gap.
    ///
    /// After a broadcast, messages are sent at the next multiple of the interval, counted from the
    /// beginning of the loop. So a value arrives at the latest one interval after it was broadcast,
    /// and nothing is sent while nothing changes. Subscriptions with the same interval share one
    /// timer for each topic.
    ///
    /// - If the connection is slow, it gets the messages as it reads them, as with
    ///   [`OverflowPolicy::KeepLatest`].
    /// - The connection gets the messages of several keys in the order of their last broadcast. The
    ///   [exception](crate::Context::broadcast_keyed) for one that is always slow holds here, too.
    ///   Messages sent to it directly, or by other topics, do not wait for them.
    /// - When the subscription ends or changes, and before the connection closes in order, it gets
    ///   what is pending at once.
    /// - Messages that a later one of their key has replaced are not reported as gaps.
    /// - An interval of zero is the same as [`subscribe_with`](Self::subscribe_with) with
    ///   `KeepLatest`. One that goes beyond the range of the loop's clock, some 584 years, never
    ///   ends.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eventwire::{Connection, SubscribeError, TopicId};
    ///
    /// /// A chart needs ten quotes of each symbol a second, however many there are.
    /// fn show_chart(conn: &mut Connection<'_>, quotes: TopicId) -> Result<(), SubscribeError> {
    ///     conn.subscribe_every(quotes, Duration::from_millis(100))?;
    ///     Ok(())
    /// }
    ///
    /// fn quote(conn: &mut Connection<'_>, quotes: TopicId) {
    ///     conn.broadcast_keyed(quotes, "EURUSD", "EURUSD 1.0841");
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SubscribeError`].
    pub fn subscribe_every(
        &mut self,
        topic: TopicId,
        interval: Duration,
    ) -> Result<bool, SubscribeError> {
        let pace = Some(interval).filter(|interval| !interval.is_zero());
        self.subscribe_at(topic, OverflowPolicy::KeepLatest, pace)
    }

    fn subscribe_at(
        &mut self,
        topic: TopicId,
        policy: OverflowPolicy,
        pace: Option<Duration>,
    ) -> Result<bool, SubscribeError> {
        let (conn, core) = (self.id().0, &mut *self.context.core);
        if !core.sockets.is_open(conn) {
            return Err(SubscribeError::ConnectionGone);
        }
        let former = core.topics.policy(conn, topic.0);
        let former = former.map(|policy| (policy, core.topics.conflation().pace(conn, topic.0)));
        let changes = former.is_some_and(|former| former != (policy, pace));
        // If this fails, the broadcasts that the former policy kept exceed the hard limit.
        if changes && !deliver_last(core, conn, Some(topic.0)) {
            return Err(SubscribeError::ConnectionGone);
        }
        let subscribed = match pace {
            Some(interval) => core.topics.conflation().subscribe_every(conn, topic.0, interval),
            None => core.topics.subscribe(conn, topic.0, policy),
        };
        self.note_conflation(policy == OverflowPolicy::KeepLatest);
        subscribed.map_err(subscribe_error)
    }

    /// Updates whether the connection has a conflating subscription, after one has begun, changed
    /// or ended.
    pub(super) fn note_conflation(&mut self, may_begin: bool) {
        let (conn, core) = (self.id().0, &mut *self.context.core);
        if may_begin || core.sockets.get(conn).is_some_and(|socket| socket.unsent.conflates) {
            let conflates = core.topics.conflation().conflates(conn);
            core.sender().set_conflating(conn, conflates);
        }
    }

    /// Ends a subscription. The connection still gets everything that was broadcast before. Returns
    /// `false` if it is not subscribed.
    pub fn unsubscribe(&mut self, topic: TopicId) -> bool {
        let (conn, core) = (self.id().0, &mut *self.context.core);
        // Topics know connections by their slots, which are reused.
        if core.sockets.get(conn).is_none() {
            return false;
        }
        deliver_last(core, conn, Some(topic.0));
        let ended = core.topics.unsubscribe(conn, topic.0);
        self.note_conflation(false);
        ended
    }

    /// Whether the connection is subscribed to a topic.
    #[must_use]
    pub fn is_subscribed(&self, topic: TopicId) -> bool {
        self.context.core.topics.policy(self.id().0, topic.0).is_some()
    }

    /// The topics that the connection is subscribed to, in no particular order. Allocates nothing.
    /// [`Context::members`](crate::Context::members) is the reverse.
    ///
    /// ```
    /// use eventwire::{ConnectionId, Context, TopicId};
    ///
    /// fn leave_all(id: ConnectionId, cx: &mut Context<'_>) {
    ///     let mut conn = cx.connection(id);
    ///     let topics: Vec<TopicId> = conn.topics().collect();
    ///     for topic in topics {
    ///         conn.unsubscribe(topic);
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn topics(&self) -> impl ExactSizeIterator<Item = TopicId> {
        self.context.core.topics.topics_of(self.id().0).map(TopicId)
    }
}
