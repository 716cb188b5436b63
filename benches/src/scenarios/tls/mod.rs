//! What TLS adds to a round trip, to opening a connection, and to the memory of an idle one.

mod args;
#[cfg(feature = "tls")]
mod client;
#[cfg(feature = "tls")]
mod plan;

pub(crate) use args::TlsArgs;
