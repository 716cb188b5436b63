//! Client connections.

pub(crate) mod connect;
pub(crate) mod dialer;
pub(crate) mod links;
mod over;
pub(crate) mod reconnect;
mod response;
pub(crate) mod route;
