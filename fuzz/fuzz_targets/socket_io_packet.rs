#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| eventwire_fuzz::socket_io_packet(data));
