//! Connections as state and bytes: their life, input, output, memory and deadlines, the listeners
//! that accept them, the attempts that make them, and the proxies that forward them.
//!
//! [`sockets`] has all connections of a loop, [`socket`] is one of them. Nothing here calls a
//! handler or knows a topic's subscribers.

pub(crate) mod attempts;
pub(crate) mod connector;
mod cork;
pub(crate) mod disconnect;
mod framing;
pub(crate) mod halves;
mod holders;
pub(crate) mod life;
pub(crate) mod limits;
pub(crate) mod lingering;
pub(crate) mod listener;
pub(crate) mod listeners;
pub(crate) mod lists;
pub(crate) mod named;
mod outbox;
pub(crate) mod peer;
pub(crate) mod places;
pub(crate) mod protocol;
pub(crate) mod proxies;
pub(crate) mod rare_state;
pub(crate) mod reading;
pub(crate) mod receive_buffer;
mod send_status;
pub(crate) mod socket;
pub(crate) mod sockets;
pub(crate) mod streams;
mod unsent_limit;

pub use disconnect::{ConnectError, Disconnect, MemoryLimit};
pub use proxies::{InvalidNetwork, Network, TrustedProxies};
pub use send_status::SendStatus;
