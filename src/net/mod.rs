//! Sockets with their protocol state and their queued bytes.

pub(crate) mod aside;
pub(crate) mod attempts;
pub(crate) mod connector;
mod cork;
pub(crate) mod disconnect;
pub(crate) mod halves;
pub(crate) mod hearing;
mod holders;
pub(crate) mod lingering;
pub(crate) mod listener;
pub(crate) mod listeners;
pub(crate) mod named;
mod outbox;
pub(crate) mod peer;
pub(crate) mod places;
pub(crate) mod proxies;
pub(crate) mod receive_buffer;
pub(crate) mod socket;
pub(crate) mod sockets;
pub(crate) mod streams;

pub use disconnect::{ConnectError, Disconnect, MemoryLimit};
pub use proxies::{InvalidNetwork, Network, TrustedProxies};
pub use sockets::SendStatus;
