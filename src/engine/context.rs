use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::drain::Ending;
use super::publisher::refused;
use super::{ConnectionId, PublishError};
use crate::net::SendStatus;
use crate::net::sockets::Sockets;
use crate::net::streams::Transmit;
use crate::proto::{CloseCode, Outgoing, PreparedMessage};
use crate::queue::LocalEvents;
use crate::topics::Topics;

/// What a handler may do with its loop, while it runs.
///
/// The same type in the real world and in the simulation, so that handlers can be tested as they
/// are.
///
/// Everything may be done from every method of a handler, for every connection, and takes effect
/// at once, in the order of the calls:
///
/// - A broadcast is for those who are subscribed when it is called. Who subscribes later does not
///   get it, not even from the same method; who unsubscribes or is closed later does, before the
///   close frame.
/// - In `on_upgrade` the connection can be closed, but is not open: nothing is sent to it, and it
///   cannot be subscribed. In `on_close` and `on_connect_error` it is refused everything, and is
///   in no topic any more, so that what is broadcast there reaches the others.
/// - No method is called from inside another: that a connection was closed, an event published or
///   a gap found, its handler learns after the present method has returned.
pub struct Context<'a> {
    pub(super) sockets: &'a mut Sockets,
    pub(super) topics: &'a mut Topics,
    pub(super) events: &'a mut LocalEvents,
    pub(super) io: &'a mut dyn Transmit,
    pub(super) ending: &'a mut Ending,
}

impl Context<'_> {
    /// Sends a message to a connection.
    ///
    /// Messages leave in the order of the calls, those of [`broadcast`](Self::broadcast)
    /// included. Those to one connection within a turn leave together.
    pub fn send<'m>(&mut self, conn: ConnectionId, message: impl Into<Outgoing<'m>>) -> SendStatus {
        self.sockets.send(conn.0, message.into(), self.topics, self.io)
    }

    /// Sends a message that is encoded already: worth it for one that goes to many connections
    /// which are no topic.
    pub fn send_prepared(&mut self, conn: ConnectionId, message: &PreparedMessage) -> SendStatus {
        self.sockets.send_prepared(conn.0, message, self.topics, self.io)
    }

    /// Sends a ping, its payload cut to 125 bytes. Silent peers are pinged anyway.
    pub fn ping(&mut self, conn: ConnectionId, payload: &[u8]) -> SendStatus {
        if !self.sockets.is_open(conn.0) {
            return SendStatus::Gone;
        }
        self.sockets.ping(conn.0, payload, self.io)
    }

    /// Begins to close a connection, after everything that was sent to it; `false` if it is gone
    /// or closing already. Nothing more is received from it, and `on_close` follows.
    ///
    /// The reason is cut to 123 bytes. A code that must not be sent (RFC 6455 §7.4.1) is left
    /// out.
    pub fn close(&mut self, conn: ConnectionId, code: CloseCode, reason: &str) -> bool {
        self.sockets.close(conn.0, code, reason, self.topics, self.io)
    }

    /// Leaves off reading from a connection until [`resume`](Self::resume); `false` if it is not
    /// open, or paused already. Any handler may do this, also the connection's own.
    ///
    /// After this call, `on_message`, `on_ping` and `on_pong` of that connection are not called
    /// any more, not even for what has arrived already: that is kept, 260 KiB at most (the
    /// [receive buffer](crate::Config::receive_buffer)), and handled first on resuming. What the
    /// peer sends meanwhile waits in the system's buffers, until these are full and it can send
    /// no more.
    ///
    /// - Sending goes on, with [`on_drained`](crate::WebSocketHandler::on_drained) and all limits
    ///   on what waits for the peer.
    /// - Pings are neither sent nor answered. The peer does not count as silent, nor its unfinished
    ///   message as late; on resuming it has the whole time again.
    /// - [`close`](Self::close), and every other end that begins here, resumes reading for the
    ///   peer's close frame; messages are not delivered any more then.
    /// - A stream that fails ends the connection at once, and what was kept is dropped. A close
    ///   frame or the end of the stream is noticed on resuming, after what came before it. A peer
    ///   that is gone without a word, while nothing waits for it, is not noticed at all: resume
    ///   some time.
    ///
    /// ```
    /// use eventwire::{ConnectionId, Context, Message};
    ///
    /// /// There was room for a job that had to wait.
    /// struct Accepted(ConnectionId);
    ///
    /// # let mut event_loop = eventwire::EventLoop::new(eventwire::Config::default())?;
    /// let jobs = |conn: ConnectionId, job: Message<'_>, cx: &mut Context<'_>, _: &mut ()| {
    ///     println!("{job:?} waits for others, and the next for this one");
    ///     cx.pause(conn);
    /// };
    /// event_loop.listen("127.0.0.1:0", eventwire::ServerConfig::default(), jobs)?;
    /// event_loop.on(|accepted: &Accepted, cx: &mut Context<'_>, _: &mut ()| {
    ///     cx.resume(accepted.0);
    /// });
    /// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    pub fn pause(&mut self, conn: ConnectionId) -> bool {
        self.sockets.pause(conn.0)
    }

    /// Reads from a [paused](Self::pause) connection again, in this turn or the next; `false` if
    /// it is not paused, or not open. Its handler is not called inside this call.
    pub fn resume(&mut self, conn: ConnectionId) -> bool {
        self.sockets.is_paused(conn.0) && self.sockets.unpause(conn.0)
    }

    /// Whether reading from a connection is [paused](Self::pause).
    #[must_use]
    pub fn is_paused(&self, conn: ConnectionId) -> bool {
        self.sockets.is_paused(conn.0)
    }

    /// Publishes an event to the handlers of its type
    /// ([`EventLoop::on`](crate::EventLoop::on)). They are called after the present one returns,
    /// never inside it, in this turn or the next.
    ///
    /// # Errors
    ///
    /// The event, if too many wait, nobody has registered for its type, or the loop has ended.
    pub fn publish<E: 'static>(&mut self, event: E) -> Result<(), PublishError<E>> {
        self.events.push(event).map_err(refused)
    }

    /// How many bytes wait to be sent to a connection.
    #[must_use]
    pub fn buffered_bytes(&self, conn: ConnectionId) -> usize {
        self.sockets.buffered_bytes(conn.0)
    }

    /// How many bytes wait to be sent to all connections together: the sum of
    /// [`buffered_bytes`](Self::buffered_bytes). What several connections share counts for each of
    /// them here, and once in the memory that
    /// [`Config::max_outbound`](crate::Config::max_outbound) limits.
    #[must_use]
    pub fn buffered_total(&self) -> usize {
        self.sockets.buffered_total()
    }

    /// Whether messages can be sent to a connection.
    #[must_use]
    pub fn is_open(&self, conn: ConnectionId) -> bool {
        self.sockets.is_open(conn.0)
    }

    /// Whether messages to and from a connection are compressed where that makes them shorter:
    /// it is open, and both ends have agreed to that.
    #[must_use]
    pub fn is_compressed(&self, conn: ConnectionId) -> bool {
        let socket = self.sockets.get(conn.0);
        socket.is_some_and(|socket| socket.is_open() && socket.protocol.is_compressed())
    }

    /// The address of the other end of a connection's stream, which may be a proxy's.
    #[must_use]
    pub fn peer_addr(&self, conn: ConnectionId) -> Option<SocketAddr> {
        self.sockets.get(conn.0)?.peer.get()
    }

    /// The time at which this turn began. Asking for it makes no system call.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.io.beginning() + self.sockets.now.since_beginning()
    }

    /// Ends the loop after this turn: every connection is closed with code 1001, and `run`
    /// returns.
    pub fn stop(&mut self) {
        self.ending.stop();
    }

    /// Drains the loop, as [`LoopHandle::drain`](crate::LoopHandle::drain) does.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eventwire::{Config, Context, EventLoop, RunEnd};
    ///
    /// struct Deploy;
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// event_loop.on(|_: &Deploy, cx: &mut Context<'_>, _: &mut ()| {
    ///     cx.drain(Duration::from_secs(10));
    /// });
    /// assert!(event_loop.publisher().publish(Deploy).is_ok());
    /// assert_eq!(event_loop.run(&mut ())?.end, RunEnd::Drained);
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    pub fn drain(&mut self, deadline: Duration) {
        self.ending.drain(self.sockets.now, deadline);
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("connections", &self.sockets.len()).finish_non_exhaustive()
    }
}
