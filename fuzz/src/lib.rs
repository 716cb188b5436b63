//! Fuzz targets of the library. What they do lies in `bodies`, which the library's ordinary tests
//! include and run over the same seeds, and in `differential`, whose tests are here.

#![forbid(unsafe_code)]

mod bodies;
mod differential;
#[expect(dead_code, reason = "what only the library's tests use")]
#[path = "../../tests/shared/mod.rs"]
mod shared;

/// One function for each target: a binary holds, and counts, the code of its own target alone.
macro_rules! targets {
    ($($name:ident: $body:path,)*) => {
        $(
            /// Runs the target of this name over one input; panics when a promise is broken.
            pub fn $name(data: &[u8]) {
                $body(data);
            }
        )*
    };
}

targets! {
    connection: bodies::connection::run,
    differential: differential::run,
    engine_io_payload: bodies::engine_io_payload::run,
    engine_io_session: bodies::engine_io_session::run,
    event_loop: bodies::event_loop::run,
    extensions: bodies::extensions::run,
    frame_client: bodies::frames::client,
    frame_server: bodies::frames::server,
    handshake_request: bodies::handshake::request,
    handshake_response: bodies::handshake::response,
    inflate: bodies::inflate::run,
    pair: bodies::pair::run,
    queues: bodies::queues::run,
    routes: bodies::routes::run,
    socket_io_packet: bodies::socket_io_packet::run,
    topics: bodies::topics::run,
    url: bodies::url::run,
}
