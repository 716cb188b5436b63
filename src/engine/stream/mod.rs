//! Raw streams: their handlers, and how they are made.

pub(crate) mod address;
pub(crate) mod endpoint;
pub(crate) mod handler;
