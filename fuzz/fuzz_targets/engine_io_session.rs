//! The session is generic: its code is made, and instrumented, where its types are known.

#![no_main]
#![expect(dead_code, reason = "what other targets and the library's tests use")]

#[path = "../src/bodies/mod.rs"]
mod bodies;
#[path = "../../tests/shared/mod.rs"]
mod shared;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::engine_io_session::run(data));
