//! Micro-benchmarks of the codec: `cargo bench -p eventwire-bench`.
//!
//! They say what one function costs on bytes that are already in the cache. What a message costs
//! in all is for the benchmark program to say.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use eventwire::proto::{FrameHeader, OpCode, Role, Utf8Validator, apply_mask};

fn main() {
    divan::main();
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// One length of each form of RFC 6455 §5.2: in the second byte, in two more, in eight more.
const LENGTHS: [u64; 3] = [125, 126, 65_536];

/// From the shortest messages that people send to far beyond a receive buffer.
const SIZES: [usize; 6] = [20, 64, 128, 1024, 16_384, 262_144];

fn header(len: u64, mask: Option<[u8; 4]>) -> FrameHeader {
    FrameHeader { fin: true, opcode: OpCode::Binary, mask, len }
}

mod frame_header {
    use super::*;

    #[divan::bench(args = LENGTHS)]
    fn parse_as_server(bencher: Bencher<'_, '_>, len: u64) {
        parse(bencher, header(len, Some(KEY)), Role::Server);
    }

    #[divan::bench(args = LENGTHS)]
    fn parse_as_client(bencher: Bencher<'_, '_>, len: u64) {
        parse(bencher, header(len, None), Role::Client);
    }

    fn parse(bencher: Bencher<'_, '_>, header: FrameHeader, receiver: Role) {
        let mut bytes = [0; FrameHeader::MAX_LEN];
        let length = header.encode(&mut bytes);
        bencher.bench_local(|| FrameHeader::parse(black_box(&bytes[..length]), receiver));
    }

    #[divan::bench(args = LENGTHS)]
    fn encode(bencher: Bencher<'_, '_>, len: u64) {
        let header = header(len, None);
        let mut bytes = [0; FrameHeader::MAX_LEN];
        bencher.bench_local(|| black_box(header).encode(black_box(&mut bytes)));
    }
}

mod mask {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn aligned(bencher: Bencher<'_, '_>, size: usize) {
        apply(bencher, size, 0);
    }

    /// A piece of a payload that begins in the middle of the key and of a word.
    #[divan::bench(args = SIZES)]
    fn unaligned(bencher: Bencher<'_, '_>, size: usize) {
        apply(bencher, size, 3);
    }

    fn apply(bencher: Bencher<'_, '_>, size: usize, offset: usize) {
        let mut bytes = vec![0x5a; size + offset];
        bencher
            .counter(BytesCount::new(size))
            .bench_local(|| apply_mask(black_box(&mut bytes[offset..]), KEY, offset));
    }
}

mod utf8 {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn ascii(bencher: Bencher<'_, '_>, size: usize) {
        validate(bencher, "plain English text. ", size);
    }

    /// Characters of two, three and four bytes.
    #[divan::bench(args = SIZES)]
    fn mixed(bencher: Bencher<'_, '_>, size: usize) {
        validate(bencher, "Grüße, 世界 🌍! ", size);
    }

    /// At least `size` bytes, in one piece.
    fn validate(bencher: Bencher<'_, '_>, words: &str, size: usize) {
        let text = words.repeat(size.div_ceil(words.len()));
        bencher.counter(BytesCount::of_str(&text)).bench_local(|| {
            let mut validator = Utf8Validator::new();
            validator.feed(black_box(text.as_bytes())).and_then(|()| validator.finish())
        });
    }
}
