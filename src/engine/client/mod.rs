//! Connections that this program makes.

pub(crate) mod attempts;
pub(crate) mod connect;
