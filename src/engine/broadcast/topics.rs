//! What handlers can do with topics.

use crate::engine::broadcast::refusal::topic_error;
use crate::engine::broadcast::report::TopicStats;
use crate::engine::context::Context;
use crate::engine::ids::{ConnectionId, TopicId};
use crate::engine::journal::commit::Broadcasting;
use crate::error::Error;
use crate::net::SendStatus;
use crate::proto::AsOutgoing;
use crate::topics::{Durability, Past, TopicConfig, TopicError, configured_topic};

impl Context<'_> {
    #[inline]
    fn broadcasting(&mut self) -> Broadcasting<'_> {
        Broadcasting::new(self.core)
    }

    /// The topic of that name. Makes the topic if it does not exist. A name has at most 256 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::TopicLimit`] if the name is longer, or there are
    /// [`Config::max_topics`](crate::Config::max_topics) topics.
    pub fn topic(&mut self, name: &str) -> Result<TopicId, Error> {
        self.core.topics.topic(name).map(TopicId).map_err(topic_error)
    }

    /// The topic of that name, made if it does not exist, as [`topic`](Self::topic). A new topic
    /// has this configuration, unless its name matches a pattern of
    /// [`Config::topics`](crate::Config::topics): then it has that one.
    ///
    /// ```
    /// use eventwire::{Context, Error, History, TopicConfig, TopicId};
    ///
    /// fn room(cx: &mut Context<'_>, name: &str) -> Result<TopicId, Error> {
    ///     cx.topic_with(name, &TopicConfig::default().history(History::of(100)))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::TopicConfig`] if the configuration contradicts itself, and as
    /// [`topic`](Self::topic).
    pub fn topic_with(&mut self, name: &str, config: &TopicConfig) -> Result<TopicId, Error> {
        config.check(name)?;
        configured_topic(&mut self.core.topics, name, config).map(TopicId).map_err(topic_error)
    }

    /// How a topic's messages are stored. `None` if they are not, or the topic was removed.
    #[must_use]
    pub fn durability(&self, topic: TopicId) -> Option<Durability> {
        Past::of(&self.core.topics, topic.0)?.durability()
    }

    /// A topic's name. `None` if it was removed.
    #[must_use]
    pub fn topic_name(&self, topic: TopicId) -> Option<&str> {
        self.core.topics.name(topic.0)
    }

    /// Removes a topic, with its history. Returns `false` if it was removed before, or has
    /// subscribers, or is durable and the journal takes no more. A topic of that name that is made
    /// later has another epoch.
    pub fn remove_topic(&mut self, topic: TopicId) -> bool {
        let has_subscribers = self.core.topics.members(topic.0).len() > 0;
        if has_subscribers || !self.broadcasting().forget(topic.0) {
            return false;
        }
        let is_removed = self.core.topics.remove_topic(topic.0);
        if is_removed {
            self.core.sockets.responses().forget_topic(topic.0);
        }
        is_removed
    }

    /// Sends a message to all connections that are subscribed to a topic. The loop encodes it once,
    /// and compresses it once for each set of compression parameters that subscribers negotiated.
    ///
    /// It leaves at the end of the turn. One turn delivers to at most 256 connections and then
    /// serves the other sockets. Returns [`SendStatus::Dropped`] if the topic's backlog is full
    /// ([`Config::topic_backlog`](crate::Config::topic_backlog)), or all topics together hold too
    /// much ([`Config::max_topic_bytes`](crate::Config::max_topic_bytes)): then no subscriber gets
    /// the message, and it has no number.
    ///
    /// A [durable](crate::TopicConfig::durable) topic's message is handed over to the journal. If
    /// the topic commits first, it is delivered, and has a number, once it is stored. The journal's
    /// limits ([`JournalConfig`](crate::JournalConfig)) apply to it instead of the topics'.
    pub fn broadcast(&mut self, topic: TopicId, message: impl AsOutgoing) -> SendStatus {
        broadcast_status(self.broadcasting().broadcast(topic.0, "", message.as_outgoing(), None))
    }

    /// Sends a message to all connections that are subscribed to a topic except `conn`, usually the
    /// one that sent it. If `conn` is not subscribed, this is the same as
    /// [`broadcast`](Self::broadcast).
    ///
    /// The message has a number of its own. `conn` does not get it, and no gap reports it.
    pub fn broadcast_except(
        &mut self,
        topic: TopicId,
        conn: ConnectionId,
        message: impl AsOutgoing,
    ) -> SendStatus {
        let outgoing = message.as_outgoing();
        broadcast_status(self.broadcasting().broadcast(topic.0, "", outgoing, Some(conn.0)))
    }

    /// Sends a message with a key to all connections that are subscribed to a topic, as
    /// [`broadcast`](Self::broadcast). A subscriber with the policy
    /// [`OverflowPolicy::KeepLatest`](crate::OverflowPolicy::KeepLatest) that is slow gets the
    /// latest message of every key, in the order of their last broadcast. So does one that
    /// subscribed with an [interval](crate::Connection::subscribe_every). All others get every
    /// message.
    ///
    /// The message is the whole value of its key: the ones before it are no longer needed. Messages
    /// without a key have the empty key. The topic keeps the latest messages once for all
    /// subscribers, and only while one of them may need them. Their number is limited
    /// ([`Config::max_topic_keys`](crate::Config::max_topic_keys)), and so are their bytes
    /// ([`Config::topic_backlog`](crate::Config::topic_backlog)).
    ///
    /// So a subscriber gets those values first that have not changed for the longest time. One that
    /// has got as many messages as there are keys, and is still slow, gets a quarter of its
    /// messages out of that order: those of one key after the other, however recent they are.
    /// Otherwise a key that changes all the time would never have its turn. Even then, the messages
    /// of about 4 KiB that are sent together are in the order of their last broadcast, and of each
    /// key nothing older follows something newer.
    ///
    /// Messages that were replaced before a slow subscriber got them are a
    /// [gap](crate::WebSocketHandler::on_gap), with the messages that it got meanwhile in between:
    /// [`Gap::missed`](crate::Gap::missed) counts the replaced ones.
    ///
    /// Returns [`SendStatus::Dropped`] if the key has more than 256 bytes, or as
    /// [`broadcast`](Self::broadcast). Takes no memory for a key that has a message of about the
    /// same length.
    ///
    /// ```
    /// use eventwire::{Config, EventLoop, OverflowPolicy, ServerConfig, on_message};
    ///
    /// struct Quote {
    ///     symbol: &'static str,
    ///     price: f64,
    /// }
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// let quotes = event_loop.topic("quotes")?;
    /// let subscribe = on_message(move |conn, _, _: &mut ()| {
    ///     let _ = conn.subscribe_with(quotes, OverflowPolicy::KeepLatest);
    /// });
    /// event_loop.listen("127.0.0.1:0", ServerConfig::default(), subscribe)?;
    /// event_loop.on(move |cx, quote: &Quote, _| {
    ///     let Quote { symbol, price } = quote;
    ///     cx.broadcast_keyed(quotes, symbol, format!("{symbol} {price}"));
    /// });
    /// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    pub fn broadcast_keyed(
        &mut self,
        topic: TopicId,
        key: &str,
        message: impl AsOutgoing,
    ) -> SendStatus {
        let outgoing = message.as_outgoing();
        broadcast_status(self.broadcasting().broadcast(topic.0, key, outgoing, None))
    }

    /// Sends a message with a key to all connections that are subscribed to a topic except `conn`,
    /// as [`broadcast_keyed`](Self::broadcast_keyed) and
    /// [`broadcast_except`](Self::broadcast_except).
    ///
    /// It replaces the earlier messages of its key for `conn`, too: if `conn` is slow, it gets none
    /// of them.
    ///
    /// ```
    /// use eventwire::{Connection, TopicId};
    ///
    /// fn move_cursor(conn: &mut Connection<'_>, cursors: TopicId, user: &str, place: &str) {
    ///     let id = conn.id();
    ///     conn.broadcast_keyed_except(cursors, user, id, format!("{user} {place}"));
    /// }
    /// ```
    pub fn broadcast_keyed_except(
        &mut self,
        topic: TopicId,
        key: &str,
        conn: ConnectionId,
        message: impl AsOutgoing,
    ) -> SendStatus {
        let outgoing = message.as_outgoing();
        broadcast_status(self.broadcasting().broadcast(topic.0, key, outgoing, Some(conn.0)))
    }

    /// The number of the last broadcast to a topic, 0 before the first. Each accepted broadcast has
    /// the next number, even if the topic has no subscribers. `None` if the topic was removed.
    ///
    /// If broadcasts contain their number, receivers can request those that they missed:
    ///
    /// ```
    /// use eventwire::{Context, SendStatus, TopicId};
    ///
    /// fn broadcast_price(price: u64, topic: TopicId, cx: &mut Context<'_>) -> SendStatus {
    ///     let number = cx.topic_sequence(topic).unwrap_or_default() + 1;
    ///     cx.broadcast(topic, format!("{number} {price}"))
    /// }
    /// ```
    #[must_use]
    pub fn topic_sequence(&self, topic: TopicId) -> Option<u64> {
        self.core.topics.last_number(topic.0)
    }

    /// A topic's statistics. `None` if it was removed.
    #[must_use]
    pub fn topic_stats(&self, topic: TopicId) -> Option<TopicStats> {
        let (counters, waiting) = self.core.topics.counters(topic.0)?;
        Some(TopicStats {
            subscribers: self.core.topics.members(topic.0).len(),
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

    /// The connections that are subscribed to a topic, in no particular order. Allocates nothing.
    ///
    /// A connection is a member from [`subscribe`](crate::Connection::subscribe) on until
    /// [`unsubscribe`](crate::Connection::unsubscribe) or
    /// [`close`](crate::Connection::close), or until its `on_close` is about to be called. The
    /// iterator borrows the context, so that nothing can change while it runs: to act on the
    /// members one by one, collect their ids first.
    ///
    /// ```
    /// use eventwire::{Context, TopicId};
    ///
    /// /// How many members of the topic have output that waits.
    /// fn waiting(topic: TopicId, cx: &mut Context<'_>) -> usize {
    ///     let ids: Vec<_> = cx.members(topic).collect();
    ///     ids.into_iter().filter(|id| cx.connection(*id).buffered_bytes() > 0).count()
    /// }
    /// ```
    pub fn members(&self, topic: TopicId) -> impl ExactSizeIterator<Item = ConnectionId> {
        self.core.topics.members(topic.0).map(ConnectionId)
    }

    /// How many connections are subscribed to a topic. 0 if it was removed.
    #[must_use]
    pub fn subscriber_count(&self, topic: TopicId) -> usize {
        self.core.topics.members(topic.0).len()
    }
}

const fn broadcast_status(outcome: Result<(), TopicError>) -> SendStatus {
    match outcome {
        Ok(()) => SendStatus::Sent,
        Err(TopicError::Limit) => SendStatus::Dropped,
        Err(_) => SendStatus::Gone,
    }
}
