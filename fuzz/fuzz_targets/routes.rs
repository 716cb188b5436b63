//! The loop is generic: its code is made, and instrumented, where its types are known.

#![no_main]
#![expect(dead_code, reason = "the bodies of other targets")]

#[path = "../src/bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::routes::run(data));
