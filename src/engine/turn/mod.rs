//! The turn: wait, accept, read, dispatch, close, shut down.

pub(crate) mod accept;
pub(crate) mod ages;
pub(crate) mod backlog;
mod bounded;
pub(crate) mod calls;
pub(crate) mod close;
pub(crate) mod data;
pub(crate) mod dispatch;
mod drained;
pub(crate) mod ending;
pub(crate) mod farewell;
pub(crate) mod foreign;
pub(crate) mod idle;
pub(crate) mod linger;
pub(crate) mod messages;
pub(crate) mod opening;
pub(crate) mod places;
pub(crate) mod read;
pub(crate) mod requests;
mod resuming;
pub(crate) mod room;
pub(crate) mod serve_requests;
pub(crate) mod shutdown;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod wait;
