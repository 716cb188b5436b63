//! Client connections.

pub(crate) mod connect;
pub(crate) mod dialer;
mod response;
