//! What handlers do with the tags of connections.

use crate::engine::connection::Connection;
use crate::engine::context::Context;
use crate::engine::core::Core;
use crate::engine::ids::ConnectionId;
use crate::engine::rates::limiting::Limiting;
use crate::net::SendStatus;
use crate::net::streams::Transmit;
use crate::proto::{AsOutgoing, CloseCode, Outgoing, PreparedMessage};
use crate::slots::Key;
use crate::tags::{Tag, TagError};

/// A message of this length or more is encoded once for all connections of a tag. To write a
/// shorter one again takes less time than to share it.
const SHARED_BYTES_MIN: usize = 4096;

impl Connection<'_> {
    /// Tags the connection with a key: its user, its device, its tenant. Any handler can then find
    /// all connections of that key ([`Context::tagged`]), send to them ([`Context::send_tagged`])
    /// and close them ([`Context::close_tagged`]). Returns `false` if it has the tag already.
    ///
    /// It works on every open connection: a server's or a client's, a WebSocket or a raw stream.
    /// The tags of a connection end with [`close`](Self::close), or before its `on_close` if it
    /// ends otherwise, as its subscriptions do. A tag ends with its last connection, so that
    /// nothing is left to clean up.
    ///
    /// ```
    /// use eventwire::{CloseCode, Connection, Message, WebSocketHandler};
    ///
    /// struct User(u64);
    /// struct Chat;
    ///
    /// impl WebSocketHandler<()> for Chat {
    ///     fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
    ///         let Some(user) = conn.data().map(|User(id)| *id) else { return };
    ///         if let Err(error) = conn.tag(user) {
    ///             conn.close(CloseCode::POLICY, &error.to_string());
    ///         }
    ///     }
    ///
    ///     fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
    ///         // To all devices of the user, this one included.
    ///         let Some(user) = conn.data().map(|User(id)| *id) else { return };
    ///         conn.send_tagged(user, message);
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`TagError`]. The connection's tags are as they were.
    pub fn tag<'k>(&mut self, key: impl Into<Tag<'k>>) -> Result<bool, TagError> {
        if !self.is_open() {
            return Err(TagError::ConnectionGone);
        }
        self.context.core.tags.add(self.id().0, key.into())
    }

    /// Takes a [tag](Self::tag) from the connection. Returns `false` if it does not have it.
    pub fn untag<'k>(&mut self, key: impl Into<Tag<'k>>) -> bool {
        let key = key.into();
        let was_tagged = self.context.core.tags.remove(self.id().0, key);
        if was_tagged {
            let conn = self.id().0;
            Limiting::new(self.context.core).leave_tag(conn, key);
        }
        was_tagged
    }

    /// Whether the connection has that [tag](Self::tag).
    #[must_use]
    pub fn is_tagged<'k>(&self, key: impl Into<Tag<'k>>) -> bool {
        self.context.core.tags.has(self.id().0, key.into())
    }

    /// The connection's [tags](Self::tag), in no particular order. Allocates nothing.
    ///
    /// ```
    /// use eventwire::{Connection, Tag};
    ///
    /// fn user(conn: &Connection<'_>) -> Option<u64> {
    ///     conn.tags().find_map(|tag| match tag {
    ///         Tag::Number(id) => Some(id),
    ///         Tag::Text(_) => None,
    ///     })
    /// }
    /// ```
    #[must_use]
    pub fn tags(&self) -> impl ExactSizeIterator<Item = Tag<'_>> {
        self.context.core.tags.of(self.id().0)
    }
}

impl Context<'_> {
    /// The connections that have a [tag](Connection::tag), in no particular order; its
    /// [`len`](ExactSizeIterator::len) is their number. Allocates nothing.
    ///
    /// It borrows the context, so that nothing can change while it runs. To act on the connections
    /// one by one, collect their ids first: those that have gone meanwhile are refused. To send to
    /// all of them or close all, use [`send_tagged`](Self::send_tagged) and
    /// [`close_tagged`](Self::close_tagged), which need no list.
    ///
    /// ```
    /// use eventwire::{ConnectionId, Context};
    ///
    /// fn is_online(user: u64, cx: &Context<'_>) -> bool {
    ///     cx.tagged(user).len() > 0
    /// }
    ///
    /// fn pause_all(user: u64, cx: &mut Context<'_>) {
    ///     let ids: Vec<ConnectionId> = cx.tagged(user).collect();
    ///     for id in ids {
    ///         cx.connection(id).pause();
    ///     }
    /// }
    /// ```
    pub fn tagged<'k>(
        &self,
        key: impl Into<Tag<'k>>,
    ) -> impl ExactSizeIterator<Item = ConnectionId> {
        self.core.tags.tagged(key.into()).map(ConnectionId)
    }

    /// Sends a message to all connections that have a [tag](Connection::tag). Returns how many
    /// took it ([`SendStatus::Sent`] or [`SendStatus::Queued`]).
    ///
    /// Each gets it as by [`Connection::send`]: in the order of the calls, and within the limits of
    /// its outbox. A long message is encoded once and shared, and compressed once for each set of
    /// compression parameters. For thousands of connections that get many messages, a
    /// [topic](Context::broadcast) is better: it is delivered in slices, and has policies for slow
    /// subscribers.
    ///
    /// ```
    /// use eventwire::Context;
    ///
    /// /// Returns whether one of the user's devices is connected.
    /// fn notify(user: u64, text: &str, cx: &mut Context<'_>) -> bool {
    ///     cx.send_tagged(user, text) > 0
    /// }
    /// ```
    pub fn send_tagged<'k>(&mut self, key: impl Into<Tag<'k>>, message: impl AsOutgoing) -> usize {
        send_tagged(self.core, key.into(), message.as_outgoing())
    }

    /// Closes all connections that have a [tag](Connection::tag), as [`Connection::close`]. Returns
    /// how many; those that were closing already do not count. The connection of the handler that
    /// calls this is closed, too, if it has the tag.
    ///
    /// No handler is called inside this call. Afterwards no open connection has the tag.
    ///
    /// ```
    /// use eventwire::{CloseCode, Context};
    ///
    /// fn ban(user: &str, cx: &mut Context<'_>) {
    ///     let closed = cx.close_tagged(user, CloseCode::POLICY, "banned");
    ///     println!("{user} had {closed} connections");
    /// }
    /// ```
    pub fn close_tagged<'k>(
        &mut self,
        key: impl Into<Tag<'k>>,
        code: CloseCode,
        reason: &str,
    ) -> usize {
        count_tagged(self.core, key.into(), |core, conn| core.close(conn, code, reason))
    }
}

fn send_tagged(core: &mut Core<dyn Transmit + '_>, key: Tag<'_>, outgoing: Outgoing<'_>) -> usize {
    let prepared = is_shared(core, key, outgoing).then(|| PreparedMessage::new(outgoing));
    let outgoing = prepared.as_ref().map_or(outgoing, AsOutgoing::as_outgoing);
    count_tagged(core, key, |core, conn| {
        matches!(core.send(conn, outgoing), SendStatus::Sent | SendStatus::Queued)
    })
}

/// Calls `act` for each connection that has a tag. Returns for how many it returned `true`. `act`
/// may take the tag from that connection.
fn count_tagged<'a>(
    core: &mut Core<dyn Transmit + 'a>,
    key: Tag<'_>,
    mut act: impl FnMut(&mut Core<dyn Transmit + 'a>, Key) -> bool,
) -> usize {
    let (mut count, len) = (0, core.tags.tagged(key).len());
    // From the last one on: one that leaves is replaced by the last, which has had its call.
    for index in (0..len).rev() {
        if let Some(conn) = core.tags.tagged_at(key, index) {
            count += usize::from(act(core, conn));
        }
    }
    count
}

/// Whether it pays to encode a message once for all connections that have a tag.
fn is_shared(core: &Core<dyn Transmit + '_>, key: Tag<'_>, outgoing: Outgoing<'_>) -> bool {
    let len = outgoing.message().len();
    let compresses = |conn: Key| {
        let socket = core.sockets.get(conn);
        socket.is_some_and(|socket| socket.protocol.compresses(len))
    };
    let mut tagged = core.tags.tagged(key);
    outgoing.prepared().is_none()
        && tagged.len() > 1
        && (len >= SHARED_BYTES_MIN || (outgoing.may_compress() && tagged.any(compresses)))
}
