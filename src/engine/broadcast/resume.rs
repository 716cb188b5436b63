//! Subscriptions of clients that come back, and topics' histories.

use std::ops::{Bound, RangeBounds};

use crate::engine::broadcast::order::deliver_last;
use crate::engine::broadcast::refusal::subscribe_error;
use crate::engine::connection::Connection;
use crate::engine::context::Context;
use crate::engine::ids::TopicId;
use crate::engine::turn::requests::Resume;
use crate::error::SubscribeError;
use crate::overflow::OverflowPolicy;
use crate::proto::Message;
use crate::topics::{Past, Position, Resuming};

/// A message that a topic's [history](Context::history) has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryMessage<'a> {
    /// Where it stands in its topic.
    pub position: Position,
    /// The message as it was sent: in the topic's [envelope](crate::TopicConfig::envelope), if it
    /// has one.
    pub message: Message<'a>,
}

impl Connection<'_> {
    /// Subscribes the connection to a topic from a position on, for a client that comes back: it
    /// gets the messages behind that position from the topic's
    /// [history](crate::TopicConfig::history), and then every later one, as
    /// [`subscribe_with`](Self::subscribe_with). Between the two is neither a gap nor a duplicate.
    ///
    /// At the end of the turn or, if many clients come back together, of one of the next turns,
    /// [`on_resumed`](crate::WebSocketHandler::on_resumed) says whether the
    /// topic had all of it. What is sent from there comes before the first of these messages.
    /// [`Recovered`](crate::Resumption::Recovered) means all,
    /// and [`Lost`](crate::Resumption::Lost) nothing:
    /// if the position is of another epoch, older than the history or newer than the topic, the
    /// client has to get the present state in another way, and gets later messages.
    ///
    /// The connection's output sets the pace. What waits for it in the history has no limit of the
    /// connection, and is shared by all that get it. If the topic's memory is given up meanwhile
    /// ([`Config::max_topic_bytes`](crate::Config::max_topic_bytes)),
    /// [`on_gap`](crate::WebSocketHandler::on_gap) reports what is missed. The policy applies to
    /// the messages after that. A message that is sent directly comes after all of the history, as
    /// with any subscription.
    ///
    /// A subscription to the topic that the connection has ends before. If there are several calls
    /// in a turn, the last one decides.
    ///
    /// ```
    /// use eventwire::{
    ///     Config, Connection, EventLoop, History, Message, OverflowPolicy, Position, Resumption,
    ///     ServerConfig, TopicConfig, TopicId, WebSocketHandler,
    /// };
    ///
    /// /// A client sends the position of the last message that it has.
    /// struct News(TopicId);
    ///
    /// impl<S> WebSocketHandler<S> for News {
    ///     fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut S) {
    ///         let position = message.as_text().and_then(|text| text.parse::<Position>().ok());
    ///         let Some(position) = position else {
    ///             conn.send("that is no position");
    ///             return;
    ///         };
    ///         if let Err(error) = conn.subscribe_from(self.0, OverflowPolicy::Close, position) {
    ///             conn.send(error.to_string());
    ///         }
    ///     }
    ///
    ///     fn on_resumed(
    ///         &mut self,
    ///         conn: &mut Connection<'_>,
    ///         _: TopicId,
    ///         resumption: Resumption,
    ///         _: &mut S,
    ///     ) {
    ///         if let Resumption::Lost { newest, .. } = resumption {
    ///             conn.send(format!("load the state, which has all up to {newest}"));
    ///         }
    ///     }
    /// }
    ///
    /// let config = Config::default()
    ///     .topics("news", TopicConfig::default().history(History::of(1000)));
    /// let mut event_loop = EventLoop::new(config)?;
    /// let news = event_loop.topic("news")?;
    /// event_loop.listen("127.0.0.1:0", ServerConfig::default(), News(news))?;
    /// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SubscribeError`].
    pub fn subscribe_from(
        &mut self,
        topic: TopicId,
        policy: OverflowPolicy,
        position: Position,
    ) -> Result<(), SubscribeError> {
        let (conn, core) = (self.id().0, &mut *self.context.core);
        if !core.sockets.is_open(conn) || !deliver_last(core, conn, Some(topic.0)) {
            return Err(SubscribeError::ConnectionGone);
        }
        let awaited = Resuming(&mut core.topics).await_resume(conn, topic.0, policy);
        core.requests
            .resume(Resume { request: awaited.map_err(subscribe_error)?, behind: position });
        self.note_conflation(policy == OverflowPolicy::KeepLatest);
        Ok(())
    }
}

impl Context<'_> {
    /// The position of the newest message of a topic. `None` if it was removed.
    #[must_use]
    pub fn position(&self, topic: TopicId) -> Option<Position> {
        Past::of(&self.core.topics, topic.0).map(Past::newest)
    }

    /// The position from which a subscription [resumes](Connection::subscribe_from) with the last
    /// `count` messages of a topic, or with all that its history has if these are fewer. For
    /// clients that come late. `None` if the topic was removed.
    ///
    /// ```
    /// use eventwire::{Connection, OverflowPolicy, SubscribeError, TopicId};
    ///
    /// fn join(conn: &mut Connection<'_>, room: TopicId) -> Result<(), SubscribeError> {
    ///     let position = conn.position_before(room, 100).ok_or(SubscribeError::TopicGone)?;
    ///     conn.subscribe_from(room, OverflowPolicy::Close, position)
    /// }
    /// ```
    #[must_use]
    pub fn position_before(&self, topic: TopicId, count: u64) -> Option<Position> {
        let past = Past::of(&self.core.topics, topic.0)?;
        let (newest, start) = (past.newest(), past.start(self.core.now()));
        let offset = newest.offset().saturating_sub(count).max(start - 1);
        Some(Position::new(newest.epoch(), offset))
    }

    /// The messages of a topic's history with these offsets, the oldest first, as they were sent:
    /// in the topic's [envelope](crate::TopicConfig::envelope), if it has one. Empty if the topic
    /// has no history, or was removed.
    ///
    /// ```
    /// use eventwire::{Context, TopicId};
    ///
    /// fn last_words(cx: &Context<'_>, room: TopicId) -> Vec<String> {
    ///     let last = cx.history(room, ..).rev().take(3);
    ///     last.filter_map(|it| it.message.as_text().map(str::to_owned)).collect()
    /// }
    /// ```
    pub fn history(
        &self,
        topic: TopicId,
        offsets: impl RangeBounds<u64>,
    ) -> impl DoubleEndedIterator<Item = HistoryMessage<'_>> {
        let first = match offsets.start_bound() {
            Bound::Included(first) => *first,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match offsets.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let (past, now) = (Past::of(&self.core.topics, topic.0), self.core.now());
        let messages = past.map(|past| past.messages(first..end, now)).into_iter().flatten();
        messages.map(|(position, message)| HistoryMessage { position, message })
    }
}
