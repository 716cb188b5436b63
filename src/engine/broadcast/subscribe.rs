//! Subscriptions of a connection.

use crate::engine::connection::Connection;
use crate::engine::ids::TopicId;
use crate::error::SubscribeError;
use crate::overflow::OverflowPolicy;
use crate::topics::TopicError;

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
    /// ([`SendStatus::Queued`](crate::SendStatus::Queued)). What a policy does then:
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
        if former.is_some_and(|former| former != policy) && !core.deliver_pending(conn) {
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
        if may_begin || core.sockets.get(conn).is_some_and(|socket| socket.unsent.conflates) {
            let conflates = core.topics.conflates(conn);
            core.sender().set_conflating(conn, conflates);
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
        core.deliver_pending(conn);
        let ended = core.topics.unsubscribe(conn, topic.0);
        self.note_conflation(false);
        ended
    }
}
