//! Tags with limits.

use crate::engine::connection::Connection;
use crate::engine::ids::ConnectionId;
use crate::engine::rates::limiting::Limiting;
use crate::logging::log_line;
use crate::net::sockets::LimitedInput;
use crate::rates::{LimitKind, RateKey, RateLimits, TagDenied};
use crate::slots::Key;
use crate::tags::{Tag, TagError};

impl Connection<'_> {
    /// Tags the connection as [`tag`](Self::tag), and limits what all connections that were tagged
    /// in this way do together: how many there are, and the messages and bytes that they receive.
    /// Returns `false` if it has the tag already.
    ///
    /// The limits belong to the tag. Those of the latest call hold for all its connections, so that
    /// a handler can change them, for instance when a user has paid for more. Connections that have
    /// the tag by [`tag`](Self::tag) alone do not count. Limits of the
    /// [address](crate::Config::address_limits) hold besides.
    ///
    /// A tag whose connections have ended is remembered until its limits are as if it were new
    /// ([`Config::max_limited_tags`](crate::Config::max_limited_tags)), so that nobody gets a new
    /// burst by coming back.
    ///
    /// ```
    /// use eventwire::{CloseCode, Connection, Message, Rate, RateLimits, WebSocketHandler};
    ///
    /// struct User(u64);
    /// struct Chat;
    ///
    /// impl WebSocketHandler<()> for Chat {
    ///     fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
    ///         let Some(user) = conn.data().map(|User(id)| *id) else { return };
    ///         let limits = RateLimits::new().connections(5).messages(Rate::per_second(10));
    ///         if let Err(error) = conn.tag_with(user, &limits) {
    ///             conn.close(CloseCode::POLICY, &error.to_string());
    ///         }
    ///     }
    ///
    ///     fn on_message(&mut self, _: &mut Connection<'_>, _: Message<'_>, _: &mut ()) {}
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`TagError`]. The connection's tags are as they were.
    pub fn tag_with<'k>(
        &mut self,
        key: impl Into<Tag<'k>>,
        limits: &RateLimits,
    ) -> Result<bool, TagError> {
        let (conn, key) = (self.id().0, key.into());
        let is_new = self.tag(key)?;
        let joined = Limiting::new(self.context.core).limit_tag(conn, key, limits);
        if joined.is_err() && is_new {
            self.context.core.tags.remove(conn, key);
        }
        joined.map(|()| is_new)
    }
}

impl Limiting<'_> {
    /// Counts a connection for a tag that it has, with these limits.
    fn limit_tag(&mut self, conn: Key, tag: Tag<'_>, limits: &RateLimits) -> Result<(), TagError> {
        self.core.limiter.is_used = true;
        let (key, now) = (rate_key(tag), self.core.now());
        match self.core.limiter.rates.join_tag(conn, &key, limits, now) {
            Ok(false) => self.update_limits(conn),
            Ok(true) => {
                let count = self.core.tags.tagged(tag).len();
                for index in 0..count {
                    if let Some(conn) = self.core.tags.tagged_at(tag, index) {
                        self.update_limits(conn);
                    }
                }
            }
            Err(denied) => {
                log_line!(debug, "connection {}: not tagged with {tag:?}", ConnectionId(conn));
                self.core.limiter.refused += 1;
                return Err(tag_error(denied));
            }
        }
        Ok(())
    }

    /// The connection has lost a tag.
    pub(crate) fn leave_tag(&mut self, conn: Key, tag: Tag<'_>) {
        if self.core.limiter.is_used && self.core.limiter.rates.leave_tag(conn, &rate_key(tag)) {
            self.update_limits(conn);
        }
    }

    /// The limits of the connection have changed. If it waits, it may go on.
    fn update_limits(&mut self, conn: Key) {
        self.core.limiter.rates.end_pause(conn);
        LimitedInput::new(&mut self.core.sockets.registry, conn).resume();
        let is_limited = self.core.limiter.rates.limits_input(conn);
        LimitedInput::new(&mut self.core.sockets.registry, conn).set_limited(is_limited);
    }
}

fn rate_key(tag: Tag<'_>) -> RateKey {
    match tag {
        Tag::Text(text) => RateKey::Text(text.into()),
        Tag::Number(number) => RateKey::Number(number),
    }
}

const fn tag_error(denied: TagDenied) -> TagError {
    match denied {
        TagDenied::Full => TagError::TooManyLimitedTags,
        TagDenied::Limit(denied) => match denied.kind {
            LimitKind::NewConnections => TagError::TooManyNewConnections,
            _ => TagError::TooManyConnections,
        },
    }
}
