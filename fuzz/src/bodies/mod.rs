//! What the fuzz targets do: each body takes any input and panics when a promise is broken.

pub(crate) mod connection;
pub(crate) mod endpoint;
#[cfg(feature = "socketio")]
pub(crate) mod engine_io_payload;
#[cfg(feature = "socketio")]
pub(crate) mod engine_io_session;
pub(crate) mod event_loop;
#[cfg(feature = "deflate")]
pub(crate) mod extensions;
pub(crate) mod frames;
pub(crate) mod handshake;
#[cfg(feature = "deflate")]
pub(crate) mod inflate;
pub(crate) mod input;
pub(crate) mod pair;
pub(crate) mod queues;
pub(crate) mod routes;
#[cfg(feature = "socketio")]
pub(crate) mod socket_io_packet;
pub(crate) mod topics;
pub(crate) mod url;
