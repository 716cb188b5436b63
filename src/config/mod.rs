//! What a loop, a listener and a client are configured with.

mod client;
mod server;

use std::time::Duration;

pub use self::client::ClientConfig;
pub use self::server::ServerConfig;

use crate::net::limits::{MemoryCaps, OutboxLimits};
use crate::topics::TopicLimits;

/// What the loop does while there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Sleeps at once. Costs no processor time, and a wake-up for every burst of input.
    Block,
    /// Looks again and again for a moment before it sleeps, for as long as that has paid off
    /// lately, and not at all after it lost the processor to others.
    Adaptive {
        /// The longest moment. The default, 200 µs, is about what falling asleep and waking up
        /// costs in a virtual machine.
        spin_max: Duration,
    },
    /// Never sleeps: the lowest latency, for a whole processor of its own.
    Busy,
}

impl Default for Idle {
    fn default() -> Self {
        Self::Adaptive { spin_max: Duration::from_micros(200) }
    }
}

/// What happens when a handler panics. The panic hook has printed the panic before that, as
/// always.
///
/// In a program that is built with `panic = "abort"` nothing can be caught: the first panic ends
/// the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPanic {
    /// The connection whose handler panicked is closed with code 1011, `on_close` is told the
    /// panic's message ([`Disconnect::Panicked`](crate::Disconnect)), and the loop goes on.
    ///
    /// - In `on_upgrade`, the client is refused with status 500.
    /// - In `on_close` and `on_connect_error`, nothing more is called for that connection.
    /// - In an [`EventHandler`](crate::EventHandler), the event's other handlers are called.
    ///
    /// The engine's own state is whole then. The handler and the application's state are as the
    /// panic left them, half-changed perhaps, and are lent to the next call all the same: choose
    /// [`Propagate`](Self::Propagate) if they cannot bear that.
    #[default]
    CloseConnection,
    /// The panic goes through [`EventLoop::run`](crate::EventLoop::run) to its caller. The loop is
    /// of no more use then; dropping it closes its connections without a word.
    Propagate,
}

/// What one event loop may cost.
///
/// ```
/// use eventwire::{Config, Idle};
///
/// let config = Config::default().idle(Idle::Block).max_connections(1_000);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    pub(crate) idle: Idle,
    pub(crate) max_connections: Option<usize>,
    pub(crate) max_pending: usize,
    pub(crate) max_kept_alive: usize,
    pub(crate) receive_buffer: usize,
    pub(crate) outbox: OutboxLimits,
    pub(crate) memory: MemoryCaps,
    pub(crate) topics: TopicLimits,
    pub(crate) inbox: usize,
    pub(crate) on_panic: OnPanic,
    pub(crate) timers: usize,
    pub(crate) slow_handler: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            idle: Idle::default(),
            max_connections: None,
            max_pending: 1024,
            max_kept_alive: 1024,
            receive_buffer: 260 * 1024,
            outbox: OutboxLimits {
                soft: 64 * 1024,
                hard: 2 * 1024 * 1024,
                stall: Duration::from_secs(10),
            },
            memory: MemoryCaps {
                inbound: 256 * 1024 * 1024,
                outbound: 256 * 1024 * 1024,
                connections: 1,
            },
            topics: TopicLimits {
                topics: 65_536,
                subscriptions: 128,
                backlog: 1024 * 1024,
                bytes: 256 * 1024 * 1024,
            },
            inbox: 65_536,
            on_panic: OnPanic::default(),
            timers: 1_048_576,
            slow_handler: None,
        }
    }
}

impl Config {
    /// What the loop does while there is nothing to do. Default: [`Idle::Adaptive`].
    #[must_use]
    pub const fn idle(mut self, idle: Idle) -> Self {
        self.idle = idle;
        self
    }

    /// How many connections may be held at once. Default: 65,536, or 64 less than the process
    /// may have open files if that is fewer. Further ones wait in the listener's backlog.
    ///
    /// For those that wait, others make room if they lose little by it, one after the other: first
    /// those that have ended and whose peers did not end them, too, within a second; then those
    /// that are [kept alive](Self::max_kept_alive), the longest idle first. The same holds where
    /// descriptors run out. Who asks for something, is sent an answer or has a WebSocket open never
    /// makes room in this way.
    #[must_use]
    pub const fn max_connections(mut self, count: usize) -> Self {
        self.max_connections = Some(count);
        self
    }

    /// How many accepted connections may be in their opening handshake at once, or have a plain
    /// request under way. Default: 1,024. One more waits in the backlog until one of them is open
    /// or answered, so that a storm of clients costs none of them its connection; or until the
    /// oldest has had a second, and then takes its place, so that silent peers cannot keep others
    /// out. At least 1.
    ///
    /// A connection whose answer is being sent does not count here. A request on one that was
    /// [kept alive](Self::max_kept_alive) begins in any case; if that makes more than these, the
    /// oldest goes once it has had its second.
    #[must_use]
    pub const fn max_pending_handshakes(mut self, count: usize) -> Self {
        self.max_pending = count;
        self
    }

    /// How many connections may be kept alive, on which a plain request was answered and none is
    /// under way (RFC 9112 §9.3). Default: 1,024, some hundreds of browsers, so that
    /// most places are for those who ask for something. If it is one more, the longest idle is
    /// closed: its sending half is ended, and what was on its way meanwhile is passed over without
    /// a reset. Such a client sends its request again on another connection.
    ///
    /// One is kept for [`Limits::handshake_timeout`](crate::proto::Limits::handshake_timeout), and
    /// not as long where others [need its place](Self::max_connections).
    #[must_use]
    pub const fn max_kept_alive(mut self, count: usize) -> Self {
        self.max_kept_alive = count;
        self
    }

    /// The size of the loop's one receive buffer, in bytes. Default: 260 KiB, so that one call
    /// receives what takes longer to answer than a call takes: 256 KiB of messages, with their
    /// headers. Also how much is received from one connection before the others have their turn. At
    /// least 4 KiB.
    #[must_use]
    pub const fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = if bytes < 4096 { 4096 } else { bytes };
        self
    }

    /// How much output may wait for one peer, in bytes. Defaults: 64 KiB and 2 MiB.
    ///
    /// Above `soft` the peer must make progress within [`outbox_stall`](Self::outbox_stall), and a
    /// server reads little from it: 4 KiB at once, and the next once the peer has taken 16 times as
    /// much and what it was answered, or 64 KiB if that is less. So a peer that reads as fast as it
    /// is fed can say that it wants less, its pings are answered ahead of what waits, and it may
    /// close; and one that only asks and never reads is not heard. A message that would make it
    /// more than `hard` is [dropped](crate::SendStatus::Dropped) and the connection closed with
    /// code 1013; a single message is taken whatever its length while nothing waits.
    ///
    /// A peer that sends ahead of what it reads is answered until `soft` is reached. So that it is
    /// never taken for one that does not read, `hard` should have room for `soft`, the answer to
    /// the longest message, and the answers to as much as the receive buffer holds. The answer to
    /// what is read above `soft` may make it more than `hard`, by half of it: that is no reason to
    /// close the connection. A client reads whatever waits: with both ends waiting for the other to
    /// read, neither would.
    #[must_use]
    pub const fn outbox(mut self, soft: usize, hard: usize) -> Self {
        self.outbox.soft = soft;
        self.outbox.hard = hard;
        self
    }

    /// How long a peer may leave more than the soft limit waiting without reading anything.
    /// Default: 10 s, longer than most networks are gone for a moment. It counts from the moment
    /// at which more than the soft limit waits, or from the last progress if that is later. Longer
    /// closes its connection with code 1013.
    #[must_use]
    pub const fn outbox_stall(mut self, time: Duration) -> Self {
        self.outbox.stall = time;
        self
    }

    /// How much memory the input of all connections together may hold, in bytes. Default: 256 MiB,
    /// some 128 of the longest messages at once. That is the storage of messages that have begun
    /// and not ended, spare room included, and of what is left over where reading is
    /// [paused](crate::Connection::pause).
    ///
    /// When it is more, connections are closed with code 1013
    /// ([`Disconnect::MemoryPressure`](crate::Disconnect)) until a sixteenth of this is free: the
    /// one whose message has not grown for longest goes first, and of several the one that holds
    /// most. A connection that holds no more than its share, this limit divided by
    /// [`max_connections`](Self::max_connections), is left alone.
    #[must_use]
    pub const fn max_inbound(mut self, bytes: usize) -> Self {
        self.memory.inbound = bytes;
        self
    }

    /// How much memory the output that waits for all peers together may hold, in bytes. Default:
    /// 256 MiB, 128 outboxes at their hard limit or 4,096 at their soft one. Storage counts with
    /// its spare room, and what several connections share, a broadcast for instance, counts once.
    ///
    /// When it is more, connections are closed until a sixteenth of this is free, and only those
    /// that cost without progress:
    ///
    /// 1. those that are ending already; they are cut,
    /// 2. those whose peers have taken nothing since output had to wait, the longest first, and of
    ///    several the one that holds most,
    /// 3. those whose peers have taken nothing for a second.
    ///
    /// They are closed with code 1013 ([`Disconnect::MemoryPressure`](crate::Disconnect)), except
    /// that one with more than 64 KiB of a frame that was begun still to be sent is cut. A peer
    /// that reads does not notice. A connection that holds no more than its share, this limit
    /// divided by [`max_connections`](Self::max_connections), is left alone, so that twice the
    /// limit is the most that can be held. Where nobody is left to be closed, a connection that
    /// waits and asks for more than its share is closed itself. It happens in the call that would
    /// send too much, whose message is [dropped](crate::SendStatus::Dropped) then.
    #[must_use]
    pub const fn max_outbound(mut self, bytes: usize) -> Self {
        self.memory.outbound = bytes;
        self
    }

    /// How many events one publisher's queue holds, and how many of one type handlers may have
    /// waiting. Default: 65,536, some tens of turns' work. More are given back
    /// ([`PublishError::Full`](crate::PublishError)). A queue takes the memory of all its events
    /// at once, so lower this where events are large or publishers are many. At least 1.
    #[must_use]
    pub const fn inbox(mut self, events: usize) -> Self {
        self.inbox = if events == 0 { 1 } else { events };
        self
    }

    /// What happens when a handler panics. Default: [`OnPanic::CloseConnection`].
    ///
    /// ```
    /// use eventwire::{Config, EventLoop, OnPanic};
    ///
    /// struct Order(u32);
    ///
    /// let mut event_loop = EventLoop::new(Config::default().on_panic(OnPanic::CloseConnection))?;
    /// event_loop.on(|cx, order: &Order, total: &mut u32| {
    ///     if order.0 == 0 {
    ///         cx.stop();
    ///     }
    ///     *total += 100 / order.0;
    /// });
    /// let orders = event_loop.publisher();
    /// for number in [4, 0] {
    ///     orders.publish(Order(number))?;
    /// }
    /// let mut total = 0;
    /// event_loop.run(&mut total)?;
    /// assert_eq!(total, 25);
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    #[must_use]
    pub const fn on_panic(mut self, on_panic: OnPanic) -> Self {
        self.on_panic = on_panic;
        self
    }

    /// Tells of calls of handlers that take at least this long: a [`SlowCall`](crate::SlowCall) is
    /// published for each. Default: none is told of. Every call is timed then, which reads the
    /// clock twice, some tens of nanoseconds.
    #[must_use]
    pub const fn slow_handler(mut self, limit: Duration) -> Self {
        self.slow_handler = Some(limit);
        self
    }

    /// How many timers may be set at once, those included that never come up. Default: 1,048,576.
    /// One more gives its event back ([`PublishError::Full`](crate::PublishError)). A timer that
    /// is set takes some 100 bytes, its event apart.
    #[must_use]
    pub const fn max_timers(mut self, count: usize) -> Self {
        self.timers = count;
        self
    }

    /// How many topics there may be. Default: 65,536. One without subscribers and broadcasts takes
    /// some 600 bytes, its name twice, and up to 1 KiB for the next broadcast, which counts in
    /// [`max_topic_bytes`](Self::max_topic_bytes).
    #[must_use]
    pub const fn max_topics(mut self, count: usize) -> Self {
        self.topics.topics = count;
        self
    }

    /// How many topics one connection may be subscribed to. Default: 128. Sending to a connection,
    /// and ending one of its subscriptions, looks through them.
    #[must_use]
    pub const fn max_subscriptions(mut self, count: usize) -> Self {
        self.topics.subscriptions = count;
        self
    }

    /// How many bytes may be broadcast to one topic while earlier broadcasts to it are still
    /// being delivered. Default: 1 MiB. A broadcast beyond that is
    /// [dropped](crate::SendStatus::Dropped). As many bytes are kept for those subscribers which
    /// are slow and may miss some
    /// ([`OverflowPolicy::DropOldest`](crate::OverflowPolicy::DropOldest)). The record of each
    /// message, some 32 bytes, and its compressed forms come on top.
    #[must_use]
    pub const fn topic_backlog(mut self, bytes: usize) -> Self {
        self.topics.backlog = bytes;
        self
    }

    /// How much memory the broadcasts of all topics together may take, in bytes: those that are
    /// being delivered and those that are kept for subscribers which do not keep up, with all that
    /// is known of them and their compressed forms. Default: 256 MiB, as much as may wait for all
    /// peers ([`max_outbound`](Self::max_outbound)): some 80 topics that are as full as
    /// [`topic_backlog`](Self::topic_backlog) allows, or 4 KiB for each of the most topics.
    ///
    /// When it would be more, what is kept for slow subscribers is given up, the oldest first and
    /// of whichever topic: they miss it, the last one of a topic included, and
    /// [`on_gap`](crate::WebSocketHandler::on_gap) tells of it. If that is not enough, the
    /// broadcast is [dropped](crate::SendStatus::Dropped).
    #[must_use]
    pub const fn max_topic_bytes(mut self, bytes: usize) -> Self {
        self.topics.bytes = bytes;
        self
    }
}
