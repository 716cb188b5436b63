//! One raw stream: a connection that speaks a protocol of the application's own.
//!
//! There are no frames and no handshake of its own. What is left to do is to keep the input that
//! the application has not used, and to know the deadlines.

mod data;
mod limits;
mod raw_stream;

pub(crate) use data::Data;
pub(crate) use limits::StreamLimits;
pub(crate) use raw_stream::{InputError, RawStream};

#[cfg(test)]
mod tests;
