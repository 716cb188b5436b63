//! A single-threaded event-loop engine for real-time applications: WebSockets and topics, without
//! an async runtime and without unsafe code.
//!
//! An [`EventLoop`] owns listeners, connections, topics and timers, and calls the application's
//! handlers. Each handler borrows a [`Connection`] or a [`Context`], through which it acts, and the
//! application's state, which the caller passes to [`EventLoop::run`]: no locks, no reference
//! counts.
//!
//! ```no_run
//! use eventwire::{Config, EventLoop, ServerConfig};
//!
//! let mut event_loop = EventLoop::new(Config::default())?;
//! event_loop.listen_fn("127.0.0.1:9001", ServerConfig::default(), |conn, message, _: &mut ()| {
//!     conn.send(message);
//! })?;
//! event_loop.run(&mut ())?;
//! # Ok::<(), eventwire::Error>(())
//! ```
//!
//! How to send something depends on its source and its destination:
//!
//! | from \ to | handlers on the loop | other threads | connections |
//! | --- | --- | --- | --- |
//! | a thread | [`publish`] | [`Subscriber`] | a handler broadcasts |
//! | a handler | [`cx.publish`] | [`Subscriber`] | [`conn.send`], [`cx.broadcast`] |
//! | a connection | [`on_message`] | the handler publishes | the handler broadcasts |
//!
//! [`publish`]: Publisher::publish
//! [`cx.publish`]: Context::publish
//! [`conn.send`]: Connection::send
//! [`cx.broadcast`]: Context::broadcast
//! [`on_message`]: WebSocketHandler::on_message
//!
//! The [`guide`] explains the concepts with code, and the [`cookbook`] has recipes.
//!
//! # A server and a client
//!
//! Servers and clients implement the same trait, and one loop may run both. Here the state is the
//! list of messages that the client received. The server is a closure that ignores it.
//!
//! ```
//! use eventwire::{
//!     ClientConfig, Config, ConnectError, Connection, EventLoop, Message, ServerConfig,
//!     WebSocketHandler,
//! };
//!
//! struct Client;
//!
//! impl WebSocketHandler<Vec<String>> for Client {
//!     fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut Vec<String>) {
//!         conn.send("hello");
//!     }
//!
//!     fn on_message(
//!         &mut self,
//!         conn: &mut Connection<'_>,
//!         message: Message<'_>,
//!         received: &mut Vec<String>,
//!     ) {
//!         received.extend(message.as_text().map(str::to_owned));
//!         conn.stop();
//!     }
//!
//!     fn on_connect_error(
//!         &mut self,
//!         conn: &mut Connection<'_>,
//!         error: &ConnectError,
//!         received: &mut Vec<String>,
//!     ) {
//!         received.push(error.to_string());
//!         conn.stop();
//!     }
//! }
//!
//! let mut event_loop = EventLoop::new(Config::default())?;
//! let listener =
//!     event_loop.listen_fn("127.0.0.1:0", ServerConfig::default(), |conn, message, _| {
//!         conn.send(message);
//!     })?;
//! let address = event_loop.local_addr(listener).expect("it listens");
//! event_loop.connect(&format!("ws://{address}"), ClientConfig::default(), Client)?;
//!
//! let mut received = Vec::new();
//! event_loop.run(&mut received)?;
//! assert_eq!(received, ["hello"]);
//! # Ok::<(), eventwire::Error>(())
//! ```
//!
//! # Topics
//!
//! A message that is broadcast to a topic reaches every connection that is subscribed to it. The
//! loop encodes it once for all of them.
//!
//! ```
//! use eventwire::{Connection, Message, TopicId, WebSocketHandler};
//!
//! struct Chat {
//!     lobby: TopicId,
//! }
//!
//! impl<S> WebSocketHandler<S> for Chat {
//!     fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut S) {
//!         if let Err(error) = conn.subscribe(self.lobby) {
//!             eprintln!("{conn:?}: {error}");
//!         }
//!     }
//!
//!     fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut S) {
//!         conn.broadcast(self.lobby, message);
//!     }
//! }
//!
//! # let mut event_loop = eventwire::EventLoop::new(eventwire::Config::default())?;
//! let chat = Chat { lobby: event_loop.topic("lobby")? };
//! event_loop.listen("127.0.0.1:0", eventwire::ServerConfig::default(), chat)?;
//! # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
//! # Ok::<(), eventwire::Error>(())
//! ```
//!
//! Slow subscribers are disconnected unless their policy says otherwise
//! ([`subscribe_with`](Connection::subscribe_with), [`OverflowPolicy`]). Broadcasts to a topic have
//! consecutive numbers ([`topic_sequence`](Context::topic_sequence)). If a subscriber missed some,
//! the loop calls [`on_gap`](WebSocketHandler::on_gap) with their numbers:
//!
//! ```
//! use eventwire::{Connection, Gap, OverflowPolicy, SubscribeError, TopicId, WebSocketHandler};
//!
//! struct Quotes {
//!     prices: TopicId,
//! }
//!
//! impl WebSocketHandler<String> for Quotes {
//!     fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut String) {
//!         let subscribed = conn.subscribe_with(self.prices, OverflowPolicy::DropOldest);
//!         assert!(subscribed != Err(SubscribeError::TopicGone));
//!     }
//!
//!     fn on_gap(&mut self, conn: &mut Connection<'_>, _: Gap, snapshot: &mut String) {
//!         // It arrives after all broadcasts made before this call.
//!         conn.send(&*snapshot);
//!     }
//! }
//! ```
//!
//! The event [`TopicChanged`] says that a topic got its first subscriber or lost its last one. An
//! application that fetches a topic's data from elsewhere can start and stop with it.
//!
//! # Raw streams
//!
//! Connections over TCP, a Unix socket or TLS may speak any other protocol, accepted
//! ([`EventLoop::listen_stream`]) or made ([`EventLoop::connect_stream`]). A [`StreamHandler`] is
//! lent the bytes that have arrived, and says how many it has used. Everything else is as for
//! WebSockets: [`Connection`], limits, pauses, topics, statistics, the simulation.
//!
//! ```
//! use eventwire::{Config, Connection, EventLoop, StreamConfig, StreamHandler};
//!
//! /// Answers each line with its length.
//! struct Lengths;
//!
//! impl StreamHandler<()> for Lengths {
//!     fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], _: &mut ()) -> usize {
//!         let mut used = 0;
//!         while let Some(len) = data[used..].iter().position(|byte| *byte == b'\n') {
//!             conn.send(format!("{len}\n"));
//!             used += len + 1;
//!         }
//!         used
//!     }
//! }
//!
//! let mut event_loop = EventLoop::new(Config::default())?;
//! event_loop.listen_stream("127.0.0.1:0", StreamConfig::default(), Lengths)?;
//! # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
//! # Ok::<(), eventwire::Error>(())
//! ```
//!
//! # Threads
//!
//! A loop, its handlers and their state stay on one thread. Other threads publish events of the
//! application's own types to it ([`Publisher`]); [`EventLoop::on`] registers a handler for them.
//! Any thread can stop the loop or shut it down within a deadline ([`LoopHandle`]):
//!
//! ```
//! use eventwire::{Config, EventLoop};
//!
//! let mut event_loop = EventLoop::new(Config::default())?;
//! let handle = event_loop.handle();
//! std::thread::spawn(move || handle.shutdown(std::time::Duration::from_secs(10)));
//! let summary = event_loop.run(&mut ())?;
//! println!("{} closed, {} cut", summary.closed, summary.cut);
//! # Ok::<(), eventwire::Error>(())
//! ```
//!
//! Threads receive events through a [`Subscriber`]: a clone of every event of its type, whether a
//! thread, a handler or a timer published it. The loop never waits for a subscriber. If its queue
//! is full, its [`OverflowPolicy`] decides what happens to further events:
//!
//! ```
//! use eventwire::{Config, EventLoop, OverflowPolicy};
//!
//! struct Order(u32);
//! #[derive(Clone)]
//! struct Filled(u32);
//!
//! let mut event_loop = EventLoop::new(Config::default())?;
//! event_loop.on(|cx, order: &Order, filled: &mut u32| {
//!     *filled += order.0;
//!     cx.publish(Filled(*filled)).expect("there is a subscriber");
//!     if *filled == 6 {
//!         cx.shutdown(std::time::Duration::from_secs(10));
//!     }
//! });
//! let orders = event_loop.publisher();
//! let journal = event_loop.subscriber::<Filled>(65_536, OverflowPolicy::Close);
//! let writing = std::thread::spawn(move || journal.map(|filled| filled.0).collect::<Vec<_>>());
//! for count in 1..=3 {
//!     orders.publish(Order(count))?;
//! }
//! event_loop.run(&mut 0)?;
//! assert!(writing.join().is_ok_and(|written| written == [1, 3, 6]));
//! # Ok::<(), eventwire::Error>(())
//! ```
//!
//! # Jobs
//!
//! A handler must not wait. It gives slow work to worker threads instead ([`EventLoop::workers`]),
//! one job at a time or in batches ([`EventLoop::batch_workers`]), and the result arrives as an
//! event:
//!
//! ```
//! use eventwire::{Config, EventLoop};
//!
//! struct Factor(u64);
//! struct Factored(u64, Vec<u64>);
//!
//! let mut event_loop = EventLoop::new(Config::default())?;
//! let workers = event_loop.workers(4, 1024, |Factor(number): Factor| {
//!     let factors = (2..=number).filter(|factor| number % factor == 0).collect();
//!     Factored(number, factors)
//! })?;
//! event_loop.on(|cx, result: &Factored, primes: &mut u32| {
//!     *primes += u32::from(result.1 == [result.0]);
//!     if *primes == 2 {
//!         cx.stop();
//!     }
//! });
//! for number in [91, 97, 101] {
//!     workers.submit(Factor(number))?;
//! }
//! let mut primes = 0;
//! event_loop.run(&mut primes)?;
//! assert_eq!(primes, 2);
//! # Ok::<(), eventwire::Error>(())
//! ```
//!
//! A shutdown waits for jobs in hand, and for every [`Hold`] that the application has given to
//! threads of its own.
//!
//! # Timers
//!
//! A timer publishes an event later, once ([`set_timer`](EventLoop::set_timer)) or periodically
//! ([`set_interval`](EventLoop::set_interval)), to the handlers of the event's type. A [`Context`]
//! has the same methods:
//!
//! ```
//! use std::time::Duration;
//! use eventwire::{Config, EventLoop, TimerId};
//!
//! #[derive(Clone)]
//! struct Beat;
//! struct Enough(TimerId);
//!
//! let mut event_loop = EventLoop::new(Config::default())?;
//! event_loop.on(|_, _: &Beat, beats: &mut u32| *beats += 1);
//! event_loop.on(|cx, enough: &Enough, _| {
//!     assert!(cx.cancel_timer(enough.0));
//!     cx.stop();
//! });
//! let beat = event_loop.set_interval(Duration::from_millis(2), Beat)?;
//! event_loop.set_timer(Duration::from_millis(9), Enough(beat))?;
//!
//! let mut beats = 0;
//! event_loop.run(&mut beats)?;
//! assert!(beats > 0);
//! # Ok::<(), eventwire::Error>(())
//! ```
//!
//! # Features
//!
//! All features are off by default.
//!
//! | feature | what it adds | crates |
//! | --- | --- | --- |
//! | `deflate` | compressed messages (`permessage-deflate`, RFC 7692), both roles | flate2 |
//! | `tls` | `wss://` and `https://`, both roles | rustls |
//! | `sqlite` | durable topics in an SQLite file | rusqlite |
//! | `socketio` | a Socket.IO server for stock clients | serde, `serde_json` |
//! | `timerfd` | sleeps that end on time, not rounded up to whole milliseconds | rustix |
//! | `log` | a log of connections, panics and slow handlers | log |
//!
//! The documentation marks the items that need a feature: `DeflateConfig`, `ServerConfig::deflate`
//! and `ClientConfig::deflate`; `TlsServer`, `TlsClient`, `ServerConfig::tls`, `ClientConfig::tls`,
//! `StreamConfig::tls_server` and `StreamConfig::tls_client`; `journal::Sqlite`; `socketio` and
//! `Routes::socket_io`.
//!
//! # Statistics
//!
//! [`LoopHandle::stats`] returns a snapshot of a loop's statistics on any thread: connections and
//! why they ended, messages and bytes, events and timers, and how long turns and handlers take. It
//! never waits for the loop, so it also works while a loop hangs. With [`Config::slow_handler`],
//! the loop publishes a [`SlowCall`] for each handler call that takes too long.
//!
//! # Promises
//!
//! - **Connections.** Output leaves in the order of the calls, [sent](Connection::send) or
//!   [broadcast](Context::broadcast). `on_open` comes first, `on_close` last and exactly once. No
//!   handler is called from inside another.
//! - **Topics.** A subscriber gets every broadcast from its subscription on, in order, except those
//!   that exclude it. A slow subscriber gets exactly one [`Gap`] for what it missed, or is closed
//!   with code 1013, depending on its [`OverflowPolicy`]. If a broadcast is dropped for all
//!   subscribers, its caller learns so. A broadcast reaches the connections that are subscribed
//!   when it is made; in `on_close` the connection has no subscriptions any more.
//! - **Resuming.** [`Recovered`](Resumption::Recovered) is never said when something is missing.
//!   What was [stored](DurableMessage::then) survives a crash, also of the system.
//! - **Ids.** The id of a connection, topic, timer or listener that is gone is refused. It never
//!   refers to another one.
//! - **Pauses.** While a connection is [paused](Connection::pause), no handler is called for what
//!   its peer sends. All of it is delivered in order when the connection is resumed.
//! - **Events.** The events of one publisher arrive in order, each once, at every handler of their
//!   type. If a queue is full, the publisher gets its event back. An event that was accepted and is
//!   not handled before the loop ends is [counted](RunSummary::unhandled_events).
//! - **Subscribers.** A subscriber gets every event of its type that is handled after it was made,
//!   in that order, each once; or it learns how many it [missed](Subscriber::missed), or that it
//!   [overflowed](RecvError::Overflowed). The loop never waits for it.
//! - **Jobs.** An accepted job is done once. Its result arrives as an event, those of one worker in
//!   the order of the jobs, or its [panic](JobPanicked) does, or it is
//!   [counted](RunSummary::unfinished_jobs) when the loop ends first. If too many are in hand, the
//!   caller gets the job back.
//! - **Links.** A client that reconnects has at most one connection at a time. It tries again once
//!   for each connection that ended, not before the announced time, and never after a stop.
//! - **Timers.** A timer's event is never early. Events of one type arrive in the order of their
//!   due times. The event of a cancelled timer does not arrive.
//! - **Limits.** The resources that one peer can use are limited, with defaults: [`Config`],
//!   [`ServerConfig`], [`ClientConfig`], [`StreamConfig`], [`Limits`]. So is the memory of all
//!   connections together. Beyond that limit, the loop closes connections that hold memory without
//!   progress, and keeps peers that read.
//! - **Errors.** A mistake of a peer ends its connection, with a [`Disconnect`] or a
//!   [`ConnectError`]. A slow peer is not an error: `send` returns a [`SendStatus`]. An [`Error`]
//!   means that a request of the caller cannot be granted.
//! - **Panics.** A handler that panics loses its connection, which is closed with code 1011. The
//!   loop goes on, unless [`OnPanic`] says otherwise.
//!
//! # Words
//!
//! | word | meaning |
//! | --- | --- |
//! | event loop | the thread's loop; one pass of it is a *turn* |
//! | handler | application code that the loop calls |
//! | frame | the RFC 6455 unit on the wire; a *message* is one or more frames, whole |
//! | event | a value of an application's own type, *published* to handlers and subscribers |
//! | topic | a named sequence of messages; they are *broadcast* to it, connections *subscribe* |
//! | position | an epoch and an offset: where a message stands in its topic |
//! | history | the messages that a topic keeps; to *resume* is to subscribe from a position |
//! | durable | of a topic: its messages are stored by the loop's *journal* |
//! | tag | a key of connections, by which they are found, sent to and closed |
//! | outbox, inbox | queued output of a connection; a queue of events into the loop |
//! | shutdown | the orderly end of a loop within a deadline |
//! | drained | an outbox that had queued output is empty |
//! | paused | a connection that is not read from, because the application paused it |
//!
//! How the code is built stands in [`architecture`].

#![cfg_attr(docsrs, feature(doc_cfg))]

mod config;
mod engine;
mod error;
mod histogram;
pub mod journal;
mod logging;
mod net;
mod overflow;
pub mod proto;
mod queue;
mod rates;
pub mod reactor;
mod slots;
/// Socket.IO 5 over Engine.IO 4. It needs the feature `socketio`.
#[cfg(feature = "socketio")]
#[cfg_attr(docsrs, doc(cfg(feature = "socketio")))]
pub mod socketio;
mod tags;
mod time;
mod timers;
mod topics;

pub use bytes::Bytes;
pub use config::{
    AddressLimits, Backoff, ClientConfig, Config, Idle, MaxAge, OnPanic, ServerConfig, Shutdown,
    StreamConfig,
};
#[doc(hidden)]
pub use engine::kind as route_kind;
pub use engine::{
    Answer, CommitError, Connection, ConnectionEntry, ConnectionId, ConnectionMap, Context,
    DurableMessage, EndpointId, EventHandler, EventLoop, EventStream, Gap, HandlerCall,
    HistoryMessage, Hold, HttpHandler, IntoRoutes, JobPanicked, Journal, JournalConfig,
    JournalFailed, Later, LinkId, ListenerId, LoopHandle, NotStored, OnMessage, Publisher,
    RecvError, RequestId, RespondError, Responder, Routes, RunEnd, RunSummary, ShutdownBegun,
    SlowCall, Stats, StreamAddress, StreamHandler, StreamedResponse, Subscriber, TimerId,
    TopicChanged, TopicId, TopicStats, TryRecvError, Upgrade, WebSocketHandler, Workers,
    on_message,
};
pub use error::{Error, SubscribeError};
pub use histogram::Histogram;
pub use net::{
    ConnectError, Disconnect, InvalidNetwork, MemoryLimit, Network, SendStatus, TrustedProxies,
};
pub use overflow::OverflowPolicy;
#[cfg(feature = "deflate")]
pub use proto::DeflateConfig;
pub use proto::handshake::{
    Acceptance, BodyEnd, HttpProxy, OriginPolicy, RedirectError, Refusal, Refused, UpgradeRequest,
    UpgradeResponse,
};
pub use proto::http::{ContentType, Cors, CorsError, HttpRequest, HttpResponse};
pub use proto::http::{InvalidHeader, InvalidRoute, StaticFile};
pub use proto::{AsOutgoing, CloseCode, Limits, Message, Outgoing, PreparedMessage, Role};
pub use queue::PublishError;
pub use rates::{LimitKind, LimitScope, OnExcess, Rate, RateLimits};
#[cfg(feature = "tls")]
pub use reactor::{TlsClient, TlsError, TlsServer};
pub use tags::{Tag, TagError};
pub use time::Time;
pub use topics::{
    Durability, Enclosed, Envelope, History, InvalidPosition, InvalidTopicConfig, Position,
    Resumption, TopicConfig,
};

#[doc = include_str!("architecture.md")]
pub mod architecture {}
#[doc = include_str!("cookbook.md")]
pub mod cookbook {}
#[doc = include_str!("guide.md")]
pub mod guide {}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
