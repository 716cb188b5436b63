#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| eventwire_fuzz::engine_io_payload(data));
