//! Topics, as handlers have them.

use crate::engine::broadcast::report::TopicStats;
use crate::engine::context::Context;
use crate::engine::ids::{ConnectionId, TopicId};
use crate::error::Error;
use crate::net::SendStatus;
use crate::proto::AsOutgoing;
use crate::topics::TopicError;

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
