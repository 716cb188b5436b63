//! A single-threaded event-loop engine for real-time applications: WebSockets and topics, without
//! an async runtime and without unsafe code.
//!
//! An [`EventLoop`] owns listeners, connections, topics and timers, and calls the
//! [`WebSocketHandler`]s that the application registered. Handlers act through a [`Context`] and
//! share the application's state, which [`EventLoop::run`] lends to each of them in turn: no locks,
//! no reference counts.
//!
//! # A server and a client
//!
//! Both have the same kind of handler, and may live in one loop. Here the client's handler is given
//! what it hears as its state; the server's is a closure and has no use for it.
//!
//! ```
//! use eventwire::{
//!     ClientConfig, Config, ConnectError, ConnectionId, Context, EventLoop, Message,
//!     ServerConfig, WebSocketHandler,
//! };
//!
//! type Heard = Vec<String>;
//!
//! fn echo(conn: ConnectionId, message: Message<'_>, cx: &mut Context<'_>, _: &mut Heard) {
//!     cx.send(conn, message);
//! }
//!
//! struct Client;
//!
//! impl WebSocketHandler<Heard> for Client {
//!     fn on_open(&mut self, conn: ConnectionId, cx: &mut Context<'_>, _: &mut Heard) {
//!         cx.send(conn, "hello");
//!     }
//!
//!     fn on_message(
//!         &mut self,
//!         _: ConnectionId,
//!         message: Message<'_>,
//!         cx: &mut Context<'_>,
//!         heard: &mut Heard,
//!     ) {
//!         heard.extend(message.as_text().map(str::to_owned));
//!         cx.stop();
//!     }
//!
//!     fn on_connect_error(
//!         &mut self,
//!         _: ConnectionId,
//!         error: &ConnectError,
//!         cx: &mut Context<'_>,
//!         heard: &mut Heard,
//!     ) {
//!         heard.push(error.to_string());
//!         cx.stop();
//!     }
//! }
//!
//! let mut event_loop = EventLoop::new(Config::default())?;
//! let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), echo)?;
//! let address = event_loop.local_addr(listener).expect("it listens");
//! event_loop.connect(&format!("ws://{address}"), ClientConfig::default(), Client)?;
//!
//! let mut heard = Heard::new();
//! event_loop.run(&mut heard)?;
//! assert_eq!(heard, ["hello"]);
//! # Ok::<(), eventwire::Error>(())
//! ```
//!
//! # Topics
//!
//! A topic is a named set of connections. A message that is broadcast to it is encoded once for all
//! of them.
//!
//! ```
//! use eventwire::{ConnectionId, Context, Message, TopicId, WebSocketHandler};
//!
//! struct Chat {
//!     everybody: TopicId,
//! }
//!
//! impl<S> WebSocketHandler<S> for Chat {
//!     fn on_open(&mut self, conn: ConnectionId, cx: &mut Context<'_>, _: &mut S) {
//!         if let Err(error) = cx.subscribe(conn, self.everybody) {
//!             eprintln!("{conn:?} hears nothing: {error}");
//!         }
//!     }
//!
//!     fn on_message(
//!         &mut self,
//!         _: ConnectionId,
//!         message: Message<'_>,
//!         cx: &mut Context<'_>,
//!         _: &mut S,
//!     ) {
//!         cx.broadcast(self.everybody, message);
//!     }
//! }
//!
//! # let mut event_loop = eventwire::EventLoop::new(eventwire::Config::default())?;
//! let chat = Chat { everybody: event_loop.topic("everybody")? };
//! event_loop.listen("127.0.0.1:0", eventwire::ServerConfig::default(), chat)?;
//! # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
//! # Ok::<(), eventwire::Error>(())
//! ```
//!
//! Who does not keep up is closed, unless its subscription says otherwise
//! ([`subscribe_with`](Context::subscribe_with), [`OverflowPolicy`]). Broadcasts to a topic have
//! consecutive numbers ([`topic_sequence`](Context::topic_sequence)), by which a connection's
//! handler is told what it missed ([`on_gap`](WebSocketHandler::on_gap)):
//!
//! ```
//! use eventwire::{
//!     ConnectionId, Context, Gap, OverflowPolicy, SubscribeError, TopicId, WebSocketHandler,
//! };
//!
//! struct Quotes {
//!     prices: TopicId,
//! }
//!
//! impl WebSocketHandler<String> for Quotes {
//!     fn on_open(&mut self, conn: ConnectionId, cx: &mut Context<'_>, _: &mut String) {
//!         let subscribed = cx.subscribe_with(conn, self.prices, OverflowPolicy::DropOldest);
//!         assert!(subscribed != Err(SubscribeError::TopicGone));
//!     }
//!
//!     fn on_gap(&mut self, conn: ConnectionId, _: Gap, cx: &mut Context<'_>, all: &mut String) {
//!         // It comes after every broadcast that was made so far.
//!         cx.send(conn, all.as_str());
//!     }
//! }
//! ```
//!
//! [`TopicChanged`] is an event for those who get what a topic carries from elsewhere: it has its
//! first subscriber, or lost its last.
//!
//! # Threads
//!
//! A loop, its handlers and their state stay on one thread. Others publish events of the
//! application's own types to it ([`Publisher`]), for which handlers are registered with
//! [`EventLoop::on`], and end it through a [`LoopHandle`], at once or in order within a deadline:
//!
//! ```
//! use eventwire::{Config, EventLoop};
//!
//! let mut event_loop = EventLoop::new(Config::default())?;
//! let handle = event_loop.handle();
//! std::thread::spawn(move || handle.drain(std::time::Duration::from_secs(10)));
//! let summary = event_loop.run(&mut ())?;
//! println!("{} closed, {} cut", summary.closed, summary.cut);
//! # Ok::<(), eventwire::Error>(())
//! ```
//!
//! Threads receive events through a [`Subscriber`], each a clone of every event of its type,
//! whether it came from a thread, a handler or a timer. The loop never waits for them; an
//! [`OverflowPolicy`] says what becomes of events that a slow one has no room for:
//!
//! ```
//! use eventwire::{Config, Context, EventLoop, OverflowPolicy};
//!
//! struct Order(u32);
//! #[derive(Clone)]
//! struct Filled(u32);
//!
//! let mut event_loop = EventLoop::new(Config::default())?;
//! event_loop.on(|order: &Order, cx: &mut Context<'_>, filled: &mut u32| {
//!     *filled += order.0;
//!     assert!(cx.publish(Filled(*filled)).is_ok());
//!     if *filled == 6 {
//!         cx.drain(std::time::Duration::from_secs(10));
//!     }
//! });
//! let orders = event_loop.publisher();
//! let journal = event_loop.subscriber::<Filled>(65_536, OverflowPolicy::Close);
//! let writing = std::thread::spawn(move || journal.map(|filled| filled.0).collect::<Vec<_>>());
//! for count in 1..=3 {
//!     assert!(orders.publish(Order(count)).is_ok());
//! }
//! event_loop.run(&mut 0)?;
//! assert!(writing.join().is_ok_and(|written| written == [1, 3, 6]));
//! # Ok::<(), eventwire::Error>(())
//! ```
//!
//! # Timers
//!
//! A timer publishes an event at a time, once ([`set_timer`](EventLoop::set_timer)) or periodically
//! ([`set_interval`](EventLoop::set_interval)), to the handlers of the event's type.
//! A [`Context`] has the same methods:
//!
//! ```
//! use std::time::Duration;
//! use eventwire::{Config, Context, EventLoop, TimerId};
//!
//! #[derive(Clone)]
//! struct Beat;
//! struct Enough(TimerId);
//!
//! let mut event_loop = EventLoop::new(Config::default())?;
//! event_loop.on(|_: &Beat, _: &mut Context<'_>, beats: &mut u32| *beats += 1);
//! event_loop.on(|enough: &Enough, cx: &mut Context<'_>, _: &mut u32| {
//!     assert!(cx.cancel_timer(enough.0));
//!     cx.stop();
//! });
//! if let Ok(beat) = event_loop.set_interval(Duration::from_millis(2), Beat) {
//!     let enough = event_loop.set_timer(Duration::from_millis(9), Enough(beat));
//!     assert!(enough.is_ok());
//! }
//!
//! let mut beats = 0;
//! event_loop.run(&mut beats)?;
//! assert!(beats > 0);
//! # Ok::<(), eventwire::Error>(())
//! ```
//!
//! # Compression
//!
//! With the feature `deflate`, messages are compressed between ends that agree to it, in both
//! roles (`permessage-deflate`, RFC 7692): see `proto::DeflateConfig`, `ServerConfig::deflate` and
//! `ClientConfig::deflate`. [`Outgoing::uncompressed`] sends a message as it is.
//!
//! # Sleeping
//!
//! [`Idle`] says what a loop does while nothing is ready. With the feature `timerfd`, a timer of
//! the kernel's ends its sleeps when the next timer or deadline is due: exactly, where a timeout
//! is rounded up to whole milliseconds, and at less cost for each sleep.
//!
//! # Numbers
//!
//! [`LoopHandle::stats`] tells any thread what a loop does and holds: connections and why they
//! ended, messages and bytes, events and timers, how long turns and handlers take. It never waits
//! for the loop, so that it tells of one that hangs. [`Config::slow_handler`] has the loop publish
//! a [`SlowCall`] for each call of a handler that takes too long.
//!
//! # Promises
//!
//! - A connection's output leaves in the order of the calls, [sent](Context::send) or
//!   [broadcast](Context::broadcast).
//! - Of what an open connection does, `on_open` is told first, and `on_close` last and exactly
//!   once. No handler is called from inside another.
//! - A connection gets every broadcast to its topic from its subscription on, in order, but for
//!   those that leave it out. Those that it misses because it does not keep up are told in exactly
//!   one [`Gap`], or it is closed with code 1013, as the subscription's [`OverflowPolicy`] has it;
//!   or nobody gets a broadcast, and the caller is told so.
//! - A broadcast is for those who are subscribed when it is called: not for who subscribes after
//!   it, and for who unsubscribes or is closed after it. In `on_close` the connection is in no
//!   topic any more.
//! - The id of a connection, topic, timer or listener that is gone is refused. It never names
//!   another.
//! - While a connection is [paused](Context::pause), nothing is told of what its peer sends, nor
//!   of what it had sent; all of it is told in order when the connection is resumed.
//! - A publisher's events arrive in order, each once, at every handler of their type. One that
//!   cannot be taken is given back, and one that was taken and is not handled before the loop ends
//!   is [counted](RunSummary::unhandled_events).
//! - A subscriber gets every event of its type that is handled from its making on, in that order,
//!   each once; or it is told how many it [missed](Subscriber::missed), or that it
//!   [overflowed](RecvError::Overflowed). The loop never waits for it.
//! - A timer's event is never early, those of one type arrive in the order of their times, and one
//!   that was cancelled does not arrive.
//! - What one peer may cost has limits, with defaults: [`Config`], [`ServerConfig`],
//!   [`ClientConfig`], [`proto::Limits`]. A slow peer is a [`SendStatus`], not an error.
//! - What all connections of a loop hold has limits too. Beyond them connections are closed that
//!   hold memory without progress, and peers that read stay.
//! - What a peer does wrong ends its connection, and is told as a [`Disconnect`] or
//!   [`ConnectError`]; an [`Error`] is what the caller asked for and cannot have.
//! - A handler that panics costs its connection, with close code 1011, and not the loop, unless
//!   [`OnPanic`] says otherwise.
//!
//! # Where things are
//!
//! Arrows point down only; a test holds the layers.
//!
//! ```text
//! lib.rs config/ error.rs     the facade: re-exports, limits and errors
//! engine/                     the turn, handlers, what handlers may do
//! net/                        a socket with its protocol state and its queued bytes
//!   sockets/                  all of them: input, output, flushing, ends
//! reactor/                    the seam: readiness, clock, entropy, wake; mio/ is the real one
//!   sim/                      the simulated one: a network in memory, faults by a seed
//! queue/ topics.rs timers.rs  pure: no sockets, no clock
//!   topics/                   batches and their delivery, order across topics, gaps
//! proto/                      protocols without I/O: bytes and the time in, messages and bytes out
//!   websocket/                frames, messages, the state machine of a connection
//!   http/                     heads, requests and responses
//!   handshake/                the opening handshake, both sides
//!   deflate/                  compressed messages
//! slots.rs time.rs            a slab with generations, moments
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
pub mod proto;
mod queue;
pub mod reactor;
mod slots;
mod time;
mod timers;
mod topics;

pub use config::{ClientConfig, Config, Idle, OnPanic, OverflowPolicy, ServerConfig};
pub use engine::{
    ByPath, ConnectionId, ConnectionMap, Context, EventHandler, EventLoop, ForAll, Gap,
    HttpHandler, IntoRoutes, ListenerId, LoopHandle, Method, PublishError, Publisher, RecvError,
    Routes, RunEnd, RunSummary, SlowCall, Stats, SubscribeError, Subscriber, TimerId, TopicChanged,
    TopicId, TopicStats, TryRecvError, Upgrade, WebSocketHandler,
};
pub use error::Error;
pub use histogram::Histogram;
pub use net::{
    ConnectError, Disconnect, InvalidNetwork, MemoryLimit, Network, SendStatus, TrustedProxies,
};
pub use proto::{CloseCode, Message, Outgoing, PreparedMessage};
#[cfg(feature = "tls")]
pub use reactor::{TlsClient, TlsError, TlsServer};
pub use time::Time;

#[doc = include_str!("guide.md")]
pub mod guide {}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
