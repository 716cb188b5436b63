use std::fmt;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::engine::context::Context;
use crate::engine::ids::{ConnectionId, TimerId, TopicId};
use crate::net::SendStatus;
use crate::net::socket::Socket;
use crate::proto::{AsOutgoing, CloseCode};
use crate::queue::PublishError;

/// The connection that a handler is called for, or another one ([`Context::connection`]). It
/// dereferences to [`Context`], whose methods concern the whole loop.
///
/// A handler borrows it for one call. To reach a connection later, keep its [`id`](Self::id): the
/// id of a connection that is gone is refused, and never refers to another one.
///
/// ```
/// use eventwire::{CloseCode, Config, EventLoop, ServerConfig};
///
/// let mut event_loop = EventLoop::new(Config::default())?;
/// let log = event_loop.topic("log")?;
/// event_loop.listen_fn(
///     "127.0.0.1:0",
///     ServerConfig::default(),
///     move |conn, message, _: &mut ()| match message.as_text() {
///         Some(text) => {
///             conn.send(format!("{} bytes", text.len()));
///             conn.broadcast(log, text);
///         }
///         None => {
///             conn.close(CloseCode::UNSUPPORTED, "text only");
///         }
///     },
/// )?;
/// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
/// # Ok::<(), eventwire::Error>(())
/// ```
pub struct Connection<'a> {
    pub(crate) context: Context<'a>,
    id: ConnectionId,
}

impl<'a> Connection<'a> {
    #[inline]
    pub(crate) const fn new(context: Context<'a>, id: ConnectionId) -> Self {
        Self { context, id }
    }
}

impl Connection<'_> {
    /// The connection's id. It is never reused.
    #[inline]
    #[must_use]
    pub const fn id(&self) -> ConnectionId {
        self.id
    }

    /// Sends a message: text, bytes, or any other [`AsOutgoing`].
    ///
    /// On a [raw stream](crate::StreamHandler) its bytes are written as they are.
    ///
    /// Messages leave in the order of the calls, [broadcasts](Context::broadcast) included. All
    /// messages to one connection within a turn leave together.
    #[inline]
    pub fn send(&mut self, message: impl AsOutgoing) -> SendStatus {
        self.context.core.send(self.id.0, message.as_outgoing())
    }

    /// Broadcasts a message to a topic's subscribers except this connection, as
    /// [`Context::broadcast_except`].
    pub fn broadcast_others(&mut self, topic: TopicId, message: impl AsOutgoing) -> SendStatus {
        self.context.broadcast_except(topic, self.id, message)
    }

    /// Publishes an event, as [`Context::publish`].
    ///
    /// # Errors
    ///
    /// As [`Context::publish`].
    // Through `DerefMut`, `conn.publish(Joined(conn.id()))` would borrow `conn` twice.
    pub fn publish<E: 'static>(&mut self, event: E) -> Result<(), PublishError<E>> {
        self.context.publish(event)
    }

    /// Publishes an event later, as [`Context::set_timer`].
    ///
    /// # Errors
    ///
    /// As [`Context::set_timer`].
    // Here for the same reason as `publish`.
    pub fn set_timer<E: 'static>(
        &mut self,
        after: Duration,
        event: E,
    ) -> Result<TimerId, PublishError<E>> {
        self.context.set_timer(after, event)
    }

    /// Sends a ping. Its payload is truncated to 125 bytes. The loop itself pings silent peers
    /// ([`Limits::ping_interval`](crate::Limits::ping_interval)). A raw stream has no pings, and
    /// returns [`SendStatus::Gone`].
    pub fn ping(&mut self, payload: &[u8]) -> SendStatus {
        if !self.is_open() {
            return SendStatus::Gone;
        }
        let core = &mut *self.context.core;
        core.sender().ping(self.id.0, payload)
    }

    /// Begins to close the connection, after everything that was sent to it. Returns `false` if it
    /// is gone or already closing. No message of its peer is delivered after that, and `on_close`
    /// follows.
    ///
    /// The reason is truncated to 123 bytes. A code that must not be sent (RFC 6455 §7.4.1) is
    /// omitted. A raw stream sends neither: it ends its half after what was sent to it, and
    /// `on_close` follows when the peer has ended its half, too, or had its
    /// [time](crate::StreamConfig::close_timeout) for that.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> bool {
        self.context.core.close(self.id.0, code, reason)
    }

    /// Stops reading from the connection until [`resume`](Self::resume). Returns `false` if it is
    /// not open, or already paused. Any handler may call this, including the connection's own.
    ///
    /// After this call, `on_message` (of a raw stream `on_data`), `on_ping` and `on_pong` of that
    /// connection are not called, not even for input that has already arrived. The loop keeps that
    /// input, at most 260 KiB (the [receive buffer](crate::Config::receive_buffer)), and handles it
    /// first on resuming. Later input waits in the system's buffers. Once they are full, the peer
    /// cannot send.
    ///
    /// - Sending goes on, with [`on_drained`](crate::WebSocketHandler::on_drained) and all limits
    ///   on queued output.
    /// - The loop neither sends nor answers pings. The deadlines for a silent peer and for an
    ///   unfinished message are suspended; they start again on resuming.
    /// - [`close`](Self::close), and every other end that begins on this side, resumes reading for
    ///   the peer's close frame. Messages are no longer delivered then.
    /// - A stream that fails ends the connection at once, and the kept input is dropped. A close
    ///   frame or the end of the stream is noticed on resuming, after the input before it. While no
    ///   output is queued, a peer that vanishes silently is not noticed at all, so do not pause a
    ///   connection forever.
    ///
    /// ```
    /// use eventwire::{Config, ConnectionId, EventLoop, ServerConfig};
    ///
    /// /// A worker has accepted the connection's job.
    /// struct Accepted(ConnectionId);
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// event_loop.listen_fn("127.0.0.1:0", ServerConfig::default(), |conn, job, _: &mut ()| {
    ///     println!("queued {job:?}");
    ///     conn.pause();
    /// })?;
    /// event_loop.on(|cx, accepted: &Accepted, _| {
    ///     cx.connection(accepted.0).resume();
    /// });
    /// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    pub fn pause(&mut self) -> bool {
        self.context.core.sockets.registry.pause(self.id.0)
    }

    /// Reads from the [paused](Self::pause) connection again, in this turn or the next. Returns
    /// `false` if it is not paused, or not open. Its handler is not called inside this call.
    pub fn resume(&mut self) -> bool {
        self.is_paused() && self.context.core.sockets.registry.unpause(self.id.0)
    }

    /// Whether reading from the connection is [paused](Self::pause).
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.context.core.sockets.registry.is_paused(self.id.0)
    }

    /// How many bytes are queued for the connection.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.context.core.sockets.buffered_bytes(self.id.0)
    }

    /// Whether output is queued until the peer has read what was sent before
    /// ([`SendStatus::Queued`]). What is worth something at this moment only need not be sent then.
    ///
    /// ```
    /// use eventwire::Connection;
    ///
    /// fn point_at(conn: &mut Connection<'_>, x: u32, y: u32) {
    ///     if !conn.has_queued_output() {
    ///         conn.send(format!("{x} {y}"));
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn has_queued_output(&self) -> bool {
        self.context.core.sockets.registry.send_capacity(self.id.0).is_waiting()
    }

    /// Whether the connection is gone, or about to be: its id refers to nothing then.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.context.core.sockets.get(self.id.0).is_none_or(Socket::is_dead)
    }

    /// Whether messages can be sent to the connection.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.context.core.sockets.is_open(self.id.0)
    }

    /// Whether both ends have agreed to compress messages, and the connection is open. A message
    /// that compression does not shorten is sent as it is.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        let socket = self.context.core.sockets.get(self.id.0);
        socket.is_some_and(|socket| socket.is_open() && socket.protocol.is_compressed())
    }

    /// The subprotocol that both ends agreed on, if any, from `on_open` until `on_close`.
    ///
    /// A server chooses from the names that the client offers: by
    /// [`ServerConfig::subprotocols`](crate::ServerConfig::subprotocols), or in
    /// [`on_upgrade`](crate::WebSocketHandler::on_upgrade).
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.context.core.subprotocols.get(self.id).map(|name| &**name)
    }

    /// The certificates that the peer has presented for TLS, in DER, its own first: those of a
    /// client, if the server asks for them ([`TlsServer::from_pem_for_clients`]), or those of the
    /// server. They have been checked. Empty without TLS, and once the connection is gone.
    ///
    /// A resumed session has the certificates of the session that it resumes.
    ///
    /// Needs the feature `tls`.
    ///
    /// [`TlsServer::from_pem_for_clients`]: crate::TlsServer::from_pem_for_clients
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn peer_certificates(&self) -> Vec<&[u8]> {
        let core = &*self.context.core;
        match core.sockets.get(self.id.0) {
            Some(_) => core.streams.peer_certificates(self.id.0.index()),
            None => Vec::new(),
        }
    }

    /// The peer's address: the client's if a [trusted proxy](crate::TrustedProxies) reported it.
    /// `None` for a Unix socket, and once the connection is gone.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.context.core.sockets.get(self.id.0)?.peer.get()
    }
}

impl Context<'_> {
    /// Any connection of the loop, by its id. If that connection is gone, the returned one refuses
    /// every call.
    ///
    /// ```
    /// use eventwire::{CloseCode, ConnectionId, Context};
    ///
    /// fn kick(id: ConnectionId, cx: &mut Context<'_>) -> bool {
    ///     cx.connection(id).close(CloseCode::POLICY, "too many requests")
    /// }
    /// ```
    #[inline]
    pub fn connection(&mut self, id: ConnectionId) -> Connection<'_> {
        Connection::new(self.core.context(), id)
    }

    /// Sends a message to a connection, as [`Connection::send`].
    pub fn send_to(&mut self, id: ConnectionId, message: impl AsOutgoing) -> SendStatus {
        self.core.send(id.0, message.as_outgoing())
    }
}

impl<'a> Deref for Connection<'a> {
    type Target = Context<'a>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.context
    }
}

impl DerefMut for Connection<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.context
    }
}

impl fmt::Debug for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).finish_non_exhaustive()
    }
}
