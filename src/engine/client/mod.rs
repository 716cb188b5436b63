//! Client connections.

pub(crate) mod connect;
pub(crate) mod dialer;
mod over;
mod response;
pub(crate) mod route;
