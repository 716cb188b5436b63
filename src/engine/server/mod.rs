//! Listeners, and what their connections are given.

pub(crate) mod adopt;
pub(crate) mod listen;
pub(crate) mod open_listeners;
