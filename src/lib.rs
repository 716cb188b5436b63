//! A single-threaded event-loop engine for real-time applications: WebSockets, topics and typed
//! events, without an async runtime and without unsafe code.
//!
//! An [`EventLoop`] owns listeners, connections and topics, and calls the [`WebSocketHandler`]s
//! that the application registered. Handlers act through a [`Context`].
//!
//! # Where things are
//!
//! Arrows point down only; a test holds the layers.
//!
//! ```text
//! lib.rs config.rs error.rs   the facade: re-exports, limits and errors
//! engine/                     the turn, handlers, what handlers may do
//! net/                        a socket with its protocol state and its queued bytes
//! reactor/                    the seam: readiness, clock, entropy, wake; real or simulated
//! queue/ topics.rs timers.rs  pure: no sockets, no clock
//! proto/                      RFC 6455 without I/O
//! slots.rs                    a slab with generations
//! ```
//!
//! `proto`, `queue`, `topics`, `timers` and `slots` never read a clock, never draw randomness and
//! never do I/O: time and entropy are arguments.

mod config;
mod engine;
mod error;
mod net;
pub mod proto;
mod queue;
pub mod reactor;
mod slots;
mod timers;
mod topics;

pub use config::{ClientConfig, Config, Idle, ServerConfig};
pub use engine::{
    ConnectionId, ConnectionMap, Context, EventLoop, ListenerId, LoopHandle, SubscribeError,
    TopicId, Upgrade, WebSocketHandler,
};
pub use error::Error;
pub use net::{ConnectError, Disconnect, SendStatus};
pub use proto::{CloseCode, Message, PreparedMessage};
