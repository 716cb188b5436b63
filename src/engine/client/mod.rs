//! Client connections.

pub(crate) mod connect;
pub(crate) mod dialer;
pub(crate) mod links;
pub(crate) mod reconnect;
