//! Connections that this program makes.

pub(crate) mod connect;
pub(crate) mod dialer;
