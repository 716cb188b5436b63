//! A single-threaded event-loop engine for real-time applications: WebSockets and topics, without
//! an async runtime and without unsafe code.
//!
//! An [`EventLoop`] owns listeners, connections, topics and timers, and calls the handlers that the
//! application registered. A handler is lent the [`Connection`] or the [`Context`] that it acts
//! through, and the application's state, which [`EventLoop::run`] lends to each handler in turn: no
//! locks, no reference counts.
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
//! Which way to send something depends on where it comes from and where it goes:
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
//! The [`guide`] explains the concepts, from event loops to actors, with code.
//!
//! # A server and a client
//!
//! Both have the same kind of handler, and may live in one loop. Here the state is what the client
//! received. The server is a closure and does not use it.
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
//! A message that is broadcast to a topic reaches every connection that is subscribed to it. It is
//! encoded once for all of them.
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
//! consecutive numbers ([`topic_sequence`](Context::topic_sequence)); a subscriber that missed some
//! is called with them ([`on_gap`](WebSocketHandler::on_gap)):
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
//!         // It arrives after every broadcast that was made so far.
//!         conn.send(&*snapshot);
//!     }
//! }
//! ```
//!
//! [`TopicChanged`] is an event for applications that get a topic's data from elsewhere: the topic
//! has its first subscriber, or lost its last.
//!
//! # Threads
//!
//! A loop, its handlers and their state stay on one thread. Other threads publish events of the
//! application's own types to it ([`Publisher`]), for which handlers are registered with
//! [`EventLoop::on`]. They end it through a [`LoopHandle`], at once or in order within a deadline:
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
//! thread, a handler or a timer published it. The loop never waits for a subscriber; its
//! [`OverflowPolicy`] says what happens to events that it has no room for:
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
//! All are off by default.
//!
//! | feature | what it adds | crates |
//! | --- | --- | --- |
//! | `deflate` | compressed messages (`permessage-deflate`, RFC 7692), both roles | flate2 |
//! | `tls` | `wss://` and `https://`, both roles | rustls |
//! | `timerfd` | sleeps that end exactly, not rounded up to whole milliseconds | rustix |
//! | `log` | a log of connections, panics and slow handlers | log |
//!
//! The items of a feature say so: `DeflateConfig`, `ServerConfig::deflate` and
//! `ClientConfig::deflate`; `TlsServer`, `TlsClient`, `ServerConfig::tls` and `ClientConfig::tls`.
//!
//! # Statistics
//!
//! [`LoopHandle::stats`] tells any thread what a loop does and holds: connections and why they
//! ended, messages and bytes, events and timers, how long turns and handlers take. It never waits
//! for the loop, so that it reports a loop that hangs, too. [`Config::slow_handler`] has the loop
//! publish a [`SlowCall`] for each call of a handler that takes too long.
//!
//! # Promises
//!
//! - **Connections.** Output leaves in the order of the calls, [sent](Connection::send) or
//!   [broadcast](Context::broadcast). `on_open` comes first, `on_close` last and exactly once. No
//!   handler is called from inside another.
//! - **Topics.** A subscriber gets every broadcast from its subscription on, in order, except those
//!   that exclude it. A slow subscriber gets exactly one [`Gap`] for what it missed, or is closed
//!   with code 1013, as its [`OverflowPolicy`] says. A broadcast that nobody gets is reported to
//!   its caller. A broadcast reaches the connections that are subscribed when it is made; in
//!   `on_close` the connection has no subscriptions any more.
//! - **Ids.** The id of a connection, topic, timer or listener that is gone is refused. It never
//!   names another.
//! - **Pauses.** While a connection is [paused](Connection::pause), no handler is called for what
//!   its peer sends. All of it is delivered in order when the connection is resumed.
//! - **Events.** The events of one publisher arrive in order, each once, at every handler of their
//!   type. An event that cannot be taken is given back. One that was taken and is not handled
//!   before the loop ends is [counted](RunSummary::unhandled_events).
//! - **Subscribers.** A subscriber gets every event of its type that is handled after it was made,
//!   in that order, each once; or it learns how many it [missed](Subscriber::missed), or that it
//!   [overflowed](RecvError::Overflowed). The loop never waits for it.
//! - **Timers.** A timer's event is never early. Events of one type arrive in the order of their
//!   times. A cancelled one does not arrive.
//! - **Limits.** What one peer can cost is limited, with defaults: [`Config`], [`ServerConfig`],
//!   [`ClientConfig`], [`Limits`]. So is what all connections hold together. Beyond that,
//!   connections are closed that hold memory without progress; peers that read stay.
//! - **Errors.** A mistake of a peer ends its connection, with a [`Disconnect`] or a
//!   [`ConnectError`]. A slow peer is a [`SendStatus`], no error. An [`Error`] is a request of the
//!   caller that cannot be granted.
//! - **Panics.** A handler that panics costs its connection, with close code 1011, and not the
//!   loop, unless [`OnPanic`] says otherwise.
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
//! | outbox, inbox | queued output of a connection; a queue of events into the loop |
//! | shutdown | the orderly end of a loop within a deadline |
//! | drained | an outbox that had waited is empty |
//! | paused | a connection that is not read from, by the application's wish |
//!
//! # How bytes flow
//!
//! ```text
//! socket ─readiness─▶ reactor ─▶ engine: reads into the one receive buffer
//!                                   │
//!                      proto: unmasks and parses in place, decompresses, assembles
//!                                   │
//!                      engine: calls the handler, lending it the message
//!                                   │ conn.send(…)                     │ cx.broadcast(…)
//!                                   ▼                                  ▼
//!                      net: the cork gathers the answers     topics: encodes once into a batch,
//!                      to one read, or the outbox queues     delivers a slice of connections
//!                      output to other connections           at the end of the turn
//!                                   │                                  │
//! socket ◀──────one send────────────┴──────────────────────────────────┘
//!            what the socket does not take waits in the outbox until it is writable
//! ```
//!
//! # A connection's life
//!
//! ```text
//! accepted ─request─▶ upgrading ─accepted─▶ open ─close called, close frame, error─▶ closing
//!     │                   │ on_upgrade        │ on_open, on_message, …       both close frames,
//!     │ HTTP answer,      │ refused           │                              or a deadline │
//!     ▼ error, deadline   ▼                   ▼ stream failed                              ▼
//!     └───────────────────┴───────────▶ ended: on_close, or on_connect_error of a client,
//!                                       if it was the application's; then the slot is free
//! ```
//!
//! # A subscriber's position
//!
//! ```text
//! a topic's log:   │ batch 7 │ batch 8 │ batch 9 (open) │ ◀── broadcasts are appended here
//!                        ▲          ▲           ▲
//!   held: slow, catches  │          │           │ settled: has everything; a message that is
//!   up when its outbox ──┘          │           │ sent to it directly may follow
//!   is empty, or gets a gap         │
//!                    being served: the slice of connections that this turn delivers to
//! ```
//!
//! # Where things are
//!
//! Arrows point down only; a test holds the layers.
//!
//! ```text
//! lib.rs config/ error.rs     the facade: re-exports, limits and errors
//! engine/                     the event loop and all that a handler can do
//!   turn/                     wait, accept, read, dispatch, close, shut down
//!   bus/                      publishers, subscribers, handlers of events, timers
//!   broadcast/                subscriptions, broadcasts, delivery in slices
//!   client/ server/ http/     dialling; listeners; routes and answers
//!   stats/                    numbers that any thread may read
//! net/                        connections as state and bytes
//!   sockets/                  all of them: input, output, flushing, ends
//! reactor/                    the seam to the system: readiness, clock, entropy, wake
//!   mio/ sim/                 the real one; a simulated network with faults by a seed
//! queue/ topics/ timers.rs    pure: no sockets, no clock
//! proto/                      pure protocol code
//!   websocket/ deflate/       frames, messages, the state machine; compression
//!   http/ handshake/          requests and responses; the opening handshake, both sides
//! slots.rs time.rs            a slab with generations, moments
//! overflow.rs                 what happens to messages for a slow receiver
//! histogram.rs logging.rs     times in buckets, lines of a log
//! ```
//!
//! `proto`, `queue`, `topics`, `timers` and `slots` never read a clock, never draw randomness and
//! never do I/O: time and entropy are arguments.

mod config;
mod engine;
mod error;
mod histogram;
mod logging;
mod net;
mod overflow;
pub mod proto;
mod queue;
pub mod reactor;
mod slots;
mod time;
mod timers;
mod topics;

pub use bytes::Bytes;
pub use config::{ClientConfig, Config, Idle, OnPanic, ServerConfig};
#[doc(hidden)]
pub use engine::kind as route_kind;
pub use engine::{
    Connection, ConnectionEntry, ConnectionId, ConnectionMap, Context, EventHandler, EventLoop,
    Gap, HandlerCall, HttpHandler, IntoRoutes, ListenerId, LoopHandle, OnMessage, Publisher,
    RecvError, Routes, RunEnd, RunSummary, SlowCall, Stats, Subscriber, TimerId, TopicChanged,
    TopicId, TopicStats, TryRecvError, Upgrade, WebSocketHandler, on_message,
};
pub use error::{Error, SubscribeError};
pub use histogram::Histogram;
pub use net::{
    ConnectError, Disconnect, InvalidNetwork, MemoryLimit, Network, SendStatus, TrustedProxies,
};
pub use overflow::OverflowPolicy;
#[cfg(feature = "deflate")]
pub use proto::DeflateConfig;
pub use proto::handshake::{Acceptance, OriginPolicy, Refusal, UpgradeRequest};
pub use proto::http::{ContentType, HttpRequest, HttpResponse, InvalidHeader};
pub use proto::{AsOutgoing, CloseCode, Limits, Message, Outgoing, PreparedMessage, Role};
pub use queue::PublishError;
#[cfg(feature = "tls")]
pub use reactor::{TlsClient, TlsError, TlsServer};
pub use time::Time;

#[doc = include_str!("guide.md")]
pub mod guide {}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
