//! The configuration of a loop, a listener and a client.

mod address_limits;
mod backoff;
mod client;
mod max_age;
mod server;
mod shutdown;
mod stream;

use std::time::Duration;

pub use self::address_limits::AddressLimits;
pub use self::backoff::Backoff;
pub use self::client::ClientConfig;
pub use self::max_age::MaxAge;
pub use self::server::ServerConfig;
pub use self::shutdown::Shutdown;
pub use self::stream::StreamConfig;

use crate::net::limits::{MemoryCaps, OutboxLimits};
use crate::tags::TagLimits;
use crate::topics::{TopicConfig, TopicLimits};

/// What the loop does while it has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Sleeps at once. It uses no processor time, but every burst of input has to wake it.
    Block,
    /// Polls for a short time before it sleeps, as long as polling has recently found something. It
    /// does not poll after it was preempted.
    Adaptive {
        /// The longest time to poll. Default: 200 µs, about as long as a sleep and a wake-up take
        /// in a virtual machine.
        spin_max: Duration,
    },
    /// Never sleeps. It has the lowest latency and uses a whole processor.
    Busy,
}

impl Default for Idle {
    fn default() -> Self {
        Self::Adaptive { spin_max: Duration::from_micros(200) }
    }
}

/// What happens when a handler panics. As always, the panic hook prints the panic first.
///
/// In a program built with `panic = "abort"`, the first panic ends the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPanic {
    /// The connection whose handler panicked is closed with code 1011, `on_close` gets the panic's
    /// message ([`Disconnect::Panicked`](crate::Disconnect)), and the loop continues.
    ///
    /// - After a panic in `on_upgrade`, the client gets a response with status 500.
    /// - After a panic in `on_close` or `on_connect_error`, no other method is called for that
    ///   connection.
    /// - After a panic in an [`EventHandler`](crate::EventHandler), the event's other handlers are
    ///   called.
    ///
    /// The engine's own state remains consistent. The handler and the application's state stay as
    /// the panic left them, and the next call gets them even if they are half-changed. Choose
    /// [`Propagate`](Self::Propagate) if they do not tolerate that.
    #[default]
    CloseConnection,
    /// The panic propagates through [`EventLoop::run`](crate::EventLoop::run) to its caller. The
    /// loop cannot be used afterwards. Dropping it closes its connections without a close frame.
    Propagate,
}

/// The limits and the behaviour of one event loop.
///
/// Every limit has a default, so that a loop with `Config::default()` is bounded.
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
    /// With the patterns of topics' names. Not checked.
    pub(crate) topic_configs: Vec<(String, TopicConfig)>,
    pub(crate) tags: TagLimits,
    pub(crate) address_limits: Option<AddressLimits>,
    pub(crate) max_limited_tags: usize,
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
                keys: 65_536,
                backlog: 1024 * 1024,
                bytes: 256 * 1024 * 1024,
            },
            topic_configs: Vec::new(),
            tags: TagLimits { tags: 262_144, of_connection: 32 },
            address_limits: None,
            max_limited_tags: 131_072,
            inbox: 65_536,
            on_panic: OnPanic::default(),
            timers: 1_048_576,
            slow_handler: None,
        }
    }
}

impl Config {
    /// What the loop does while it has nothing to do. Default: [`Idle::Adaptive`].
    #[must_use]
    pub const fn idle(mut self, idle: Idle) -> Self {
        self.idle = idle;
        self
    }

    /// The most connections at once. Default: 65,536, or the limit of open files minus 64 if that
    /// is less, which leaves 64 descriptors to the rest of the program. Further connections wait in
    /// the listener's backlog.
    ///
    /// While connections wait there, the loop closes others that lose little by it, one at a time:
    /// first those that it has ended and whose peers have not ended them within a second, then
    /// [kept-alive](Self::max_kept_alive) ones, the longest idle first. It does the same when
    /// descriptors run out. Connections with a request or a response under way, and open WebSocket
    /// connections, are never closed for this reason.
    #[must_use]
    pub const fn max_connections(mut self, count: usize) -> Self {
        self.max_connections = Some(count);
        self
    }

    /// The most accepted connections that are in their opening handshake or have a plain HTTP
    /// request under way. Default: 1,024. At least 1.
    ///
    /// A further connection waits in the backlog, so that a burst of clients costs none of them its
    /// connection. It is accepted when one of the others is open or has got its response. If the
    /// oldest has taken more than a second, the new connection takes its place, so that silent
    /// peers cannot keep others out.
    ///
    /// Connections whose response is being sent do not count. A request on a
    /// [kept-alive](Self::max_kept_alive) connection always begins; if it exceeds the limit, the
    /// oldest connection is closed after its second.
    #[must_use]
    pub const fn max_pending_handshakes(mut self, count: usize) -> Self {
        self.max_pending = count;
        self
    }

    /// The most connections that are kept alive: a plain HTTP request was answered and none is
    /// under way (RFC 9112 §9.3). Default: 1,024, some hundreds of browsers, so that most
    /// connections remain available for requests and WebSockets.
    ///
    /// When there is one more, the longest idle one is closed: its sending half is ended, and bytes
    /// that are still arriving are discarded without a reset. Such a client sends its request again
    /// on another connection.
    ///
    /// A connection is kept for
    /// [`Limits::handshake_timeout`](crate::proto::Limits::handshake_timeout), or shorter if others
    /// [need its place](Self::max_connections).
    #[must_use]
    pub const fn max_kept_alive(mut self, count: usize) -> Self {
        self.max_kept_alive = count;
        self
    }

    /// The size of the loop's receive buffer, in bytes. Default: 260 KiB, which holds 256 KiB of
    /// messages with their headers: they take longer to handle than the system call that receives
    /// them. At least 4 KiB. It is also the most that is received from one connection before the
    /// others get their turn.
    #[must_use]
    pub const fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = if bytes < 4096 { 4096 } else { bytes };
        self
    }

    /// The soft and the hard limit of the output that waits for one peer, in bytes. Defaults: 64
    /// KiB, and 2 MiB, twice the longest message.
    ///
    /// **Above the soft limit** the peer must make progress within
    /// [`outbox_stall`](Self::outbox_stall). A server then reads little from it: 4 KiB at once, and
    /// the next 4 KiB after the peer has taken 16 times as much and the responses, or 64 KiB if
    /// that is less. A peer that reads can therefore still send control
    /// frames: its pings are answered ahead of the waiting output, and it can close. A peer that
    /// sends and never reads is not read from.
    ///
    /// **Above the hard limit** a message is [dropped](crate::SendStatus::Dropped) and the
    /// connection is closed with code 1013. A single message of any length is accepted while no
    /// output waits.
    ///
    /// A peer that sends ahead of what it reads gets responses until the soft limit is reached. So
    /// that it is not mistaken for one that does not read, the hard limit should have room for the
    /// soft limit, the response to the longest message, and the responses to a full receive buffer.
    /// The response to a message that is read above the soft limit may exceed the hard limit by
    /// half of it without closing the connection. A client reads no matter how much output waits:
    /// if both ends waited for the other to read, neither would.
    #[must_use]
    pub const fn outbox(mut self, soft: usize, hard: usize) -> Self {
        self.outbox.soft = soft;
        self.outbox.hard = hard;
        self
    }

    /// How long more than the soft limit may wait for a peer that reads nothing. Default: 10 s,
    /// longer than most short network failures. The time begins when the soft limit is exceeded,
    /// and again with each progress. After it, the connection is closed with code 1013.
    #[must_use]
    pub const fn outbox_stall(mut self, time: Duration) -> Self {
        self.outbox.stall = time;
        self
    }

    /// The most memory of the input of all connections together, in bytes. Default: 256 MiB, some
    /// 128 messages of the longest size at once. It covers the storage of incomplete messages,
    /// spare capacity included, and of input that waits while reading is
    /// [paused](crate::Connection::pause).
    ///
    /// When it is exceeded, connections are closed with code 1013
    /// ([`Disconnect::MemoryPressure`](crate::Disconnect)) until a sixteenth of the limit is free:
    /// first the one whose message has not grown for the longest time, and of several such ones the
    /// largest. A connection is not closed while it uses at most its share, which is this limit
    /// divided by [`max_connections`](Self::max_connections).
    #[must_use]
    pub const fn max_inbound(mut self, bytes: usize) -> Self {
        self.memory.inbound = bytes;
        self
    }

    /// The most memory of the output that waits for all peers together, in bytes. Default: 256 MiB,
    /// which is 128 outboxes at their hard limit or 4,096 at their soft limit. Spare capacity
    /// counts. Storage that connections share, for instance a broadcast's, counts once.
    ///
    /// When it is exceeded, connections that make no progress are closed until a sixteenth of the
    /// limit is free, in this order:
    ///
    /// 1. connections that are already closing, which are cut,
    /// 2. connections whose peers have taken nothing since output began to wait, the longest first,
    ///    and of several such ones the largest,
    /// 3. connections whose peers have taken nothing for a second.
    ///
    /// They are closed with code 1013 ([`Disconnect::MemoryPressure`](crate::Disconnect)). A
    /// connection with more than 64 KiB of a partly sent frame left is cut instead. Peers that read
    /// are not affected.
    ///
    /// A connection is not closed while it uses at most its share, which is this limit divided by
    /// [`max_connections`](Self::max_connections). The total is therefore at most twice the limit.
    /// If no such connection is left, a connection whose output waits and that asks for more than
    /// its share is closed itself. This happens in the call that would exceed the limit, and its
    /// message is [dropped](crate::SendStatus::Dropped).
    #[must_use]
    pub const fn max_outbound(mut self, bytes: usize) -> Self {
        self.memory.outbound = bytes;
        self
    }

    /// The capacity of one publisher's queue, and of the queue of one type of event that handlers
    /// publish, in events. Default: 65,536, some tens of turns' work. At least 1. Further events
    /// are returned ([`PublishError::Full`](crate::PublishError)). A publisher's queue allocates
    /// memory for its whole capacity at once: lower the limit where events are large or publishers
    /// are many.
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

    /// Reports each call of a handler that takes at least this long: the loop publishes a
    /// [`SlowCall`](crate::SlowCall). Default: no reports. With it, every call is timed by two
    /// reads of the clock, which take some tens of nanoseconds.
    #[must_use]
    pub const fn slow_handler(mut self, limit: Duration) -> Self {
        self.slow_handler = Some(limit);
        self
    }

    /// The most timers that may be set at once, including those that never expire. Default:
    /// 1,048,576, some 100 MiB: a timer takes about 100 bytes besides its event. Further timers
    /// return their event ([`PublishError::Full`](crate::PublishError)).
    #[must_use]
    pub const fn max_timers(mut self, count: usize) -> Self {
        self.timers = count;
        self
    }

    /// Configures the topics of that name. A pattern that ends with an asterisk stands for all
    /// names that begin with what comes before it. If several patterns match, a whole name decides,
    /// and then the longest beginning.
    ///
    /// [`EventLoop::new`](crate::EventLoop::new) refuses a pattern with an asterisk at another
    /// place, a pattern that was given before, and a history that keeps nothing.
    ///
    /// ```
    /// use eventwire::{Config, History, TopicConfig};
    ///
    /// let config = Config::default()
    ///     .topics("room/*", TopicConfig::default().history(History::of(100)))
    ///     .topics("room/lobby", TopicConfig::default().history(History::of(1000)));
    /// # let _ = config;
    /// ```
    #[must_use]
    pub fn topics(mut self, pattern: impl Into<String>, config: TopicConfig) -> Self {
        self.topic_configs.push((pattern.into(), config));
        self
    }

    /// The most topics. Default: 65,536. A topic without subscribers and broadcasts takes some 600
    /// bytes and its name twice. Up to 1 KiB more is kept for its next broadcast and counts towards
    /// [`max_topic_bytes`](Self::max_topic_bytes).
    #[must_use]
    pub const fn max_topics(mut self, count: usize) -> Self {
        self.topics.topics = count;
        self
    }

    /// The most topics that one connection may subscribe to. Default: 128. Sending to a connection
    /// and ending one of its subscriptions search through its list.
    #[must_use]
    pub const fn max_subscriptions(mut self, count: usize) -> Self {
        self.topics.subscriptions = count;
        self
    }

    /// The most keys of which one topic keeps the latest message
    /// ([`Context::broadcast_keyed`](crate::Context::broadcast_keyed)). Default: 65,536, about 12
    /// MiB besides the messages. For a further key, the topic gives up the message whose key has
    /// not changed for the longest time. Subscribers that had not got it miss it, and
    /// [`on_gap`](crate::WebSocketHandler::on_gap) reports that.
    ///
    /// The messages themselves are limited by [`topic_backlog`](Self::topic_backlog), and all their
    /// memory counts towards [`max_topic_bytes`](Self::max_topic_bytes).
    #[must_use]
    pub const fn max_topic_keys(mut self, count: usize) -> Self {
        self.topics.keys = count;
        self
    }

    /// The most bytes that may be broadcast to one topic while earlier broadcasts to it are still
    /// being delivered. Default: 1 MiB. Further broadcasts are
    /// [dropped](crate::SendStatus::Dropped). A topic without subscribers delivers nothing, so that
    /// its history alone limits it.
    ///
    /// As many bytes are kept for slow subscribers that may miss broadcasts
    /// ([`OverflowPolicy::DropOldest`](crate::OverflowPolicy::DropOldest)), and as many for the
    /// latest messages of all keys. A record of some 32 bytes for each message, or 200 for each
    /// key, and the compressed forms, come in addition.
    #[must_use]
    pub const fn topic_backlog(mut self, bytes: usize) -> Self {
        self.topics.backlog = bytes;
        self
    }

    /// The most memory of the broadcasts of all topics together, in bytes: those being delivered
    /// and those kept for slow subscribers, with their records and compressed forms. Default: 256
    /// MiB, as much as [`max_outbound`](Self::max_outbound). This is enough for some 80 topics at
    /// their [`topic_backlog`](Self::topic_backlog), or for 4 KiB in each of the most topics.
    ///
    /// When it would be exceeded, broadcasts kept for slow subscribers are given up, the oldest of
    /// all topics first. Those subscribers miss them, possibly including the last one of a topic,
    /// and [`on_gap`](crate::WebSocketHandler::on_gap) reports it. If that does not make enough
    /// room, the new broadcast is [dropped](crate::SendStatus::Dropped).
    #[must_use]
    pub const fn max_topic_bytes(mut self, bytes: usize) -> Self {
        self.topics.bytes = bytes;
        self
    }

    /// The most [tags](crate::Connection::tag), each counted once however many connections have it.
    /// Default: 262,144, which is four for each of the most connections. A tag takes some 200 bytes
    /// and its text once, so that this many take some 50 MiB, and 110 MiB with the longest texts.
    #[must_use]
    pub const fn max_tags(mut self, count: usize) -> Self {
        self.tags.tags = count;
        self
    }

    /// The most [tags](crate::Connection::tag) of one connection. Default: 32. Tagging a connection
    /// searches through its list, and its end takes as many steps as it has tags.
    #[must_use]
    pub const fn max_connection_tags(mut self, count: usize) -> Self {
        self.tags.of_connection = count;
        self
    }

    /// The limits of each client address: connections at once, new connections, messages and bytes.
    /// Default: none, since what is too much depends on the application, and many clients may share
    /// an address.
    ///
    /// They hold for the connections of all listeners together, except those that are
    /// [exempt](crate::ServerConfig::exempt_from_address_limits). Connections that this program
    /// makes do not count.
    ///
    /// - **New connections** beyond a limit get status 429 for their request, with `Retry-After` if
    ///   a rate tells when, and end. While 16 of an address wait for that, further ones are closed
    ///   as soon as they are accepted, as are raw streams beyond a limit.
    /// - **HTTP requests** count as messages, and their bytes as bytes. Beyond a rate they get
    ///   status 429, and the connection stays. That includes requests that ask for a WebSocket.
    /// - **Open connections** beyond a rate are [paused or closed](crate::OnExcess). All
    ///   connections of an address share one budget.
    ///
    /// If a [trusted proxy](crate::TrustedProxies) names its client, the client's address counts,
    /// and not the proxy's. On a connection of a proxy that names clients by a header, each request
    /// counts for its client, and a WebSocket or a streamed response counts as a connection of its
    /// client. A trusted proxy that names no client does not count. A connection without an
    /// address, over a Unix socket, does not count either, unless a proxy names its client there:
    /// the permissions of the file say who may connect.
    ///
    /// ```
    /// use eventwire::{Config, OnExcess, Rate, RateLimits};
    ///
    /// let limits = RateLimits::new()
    ///     .connections(20)
    ///     .new_connections(Rate::per_minute(60))
    ///     .messages(Rate::per_second(20).burst(100))
    ///     .on_excess(OnExcess::Close);
    /// let config = Config::default().address_limits(limits);
    /// ```
    #[must_use]
    pub fn address_limits(mut self, limits: impl Into<AddressLimits>) -> Self {
        self.address_limits = Some(limits.into());
        self
    }

    /// The most tags with limits ([`Connection::tag_with`](crate::Connection::tag_with)) whose
    /// counts are kept. Default: 131,072, which is two for each of the most connections: one in
    /// use, and one whose connections have ended. A tag takes some 400 bytes and its text, so that
    /// this many take some 50 MiB.
    ///
    /// A tag whose connections have ended is kept until its limits are as if it were new, or until
    /// its room is needed: then those go first that have been without connections for longest.
    #[must_use]
    pub const fn max_limited_tags(mut self, count: usize) -> Self {
        self.max_limited_tags = count;
        self
    }
}
