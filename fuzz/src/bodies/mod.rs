//! What the fuzz targets do: each body takes any input and panics when a promise is broken.

mod connection;
mod frames;
mod handshake;
mod input;
mod pair;
mod peer;
mod url;

pub(crate) type Body = fn(&[u8]);

/// Every target by name.
pub(crate) const TARGETS: [(&str, Body); 7] = [
    ("connection", connection::run),
    ("frame_client", frames::client),
    ("frame_server", frames::server),
    ("handshake_request", handshake::request),
    ("handshake_response", handshake::response),
    ("pair", pair::run),
    ("url", url::run),
];
