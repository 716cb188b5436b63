//! Listeners, and what their connections are given.

pub(crate) mod adopt;
pub(crate) mod endpoint;
pub(crate) mod listen;
