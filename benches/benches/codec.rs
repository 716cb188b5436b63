//! Micro-benchmarks of the codec: `cargo bench -p eventwire-bench`.
//!
//! They say what one function costs on bytes that are already in the cache. What a message costs
//! in all is for the benchmark program to say.

use std::sync::Arc;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use eventwire::Time;
use eventwire::proto::handshake::{Acceptance, UpgradeRequest};
use eventwire::proto::{
    BufferPool, Event, FrameHeader, Handled, Limits, MaskKeys, OpCode, Role, Utf8Validator,
    WebSocket, Workspace, apply_mask, write_frame,
};

fn main() {
    divan::main();
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// One length of each form of RFC 6455 §5.2: in the second byte, in two more, in eight more.
const LENGTHS: [u64; 3] = [125, 126, 65_536];

/// From the shortest messages that people send to far beyond a receive buffer.
const SIZES: [usize; 6] = [20, 64, 128, 1024, 16_384, 262_144];

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

    fn header(len: u64, mask: Option<[u8; 4]>) -> FrameHeader {
        FrameHeader { fin: true, compressed: false, opcode: OpCode::Binary, mask, len }
    }

    fn parse(bencher: Bencher<'_, '_>, header: FrameHeader, receiver: Role) {
        let mut bytes = [0; FrameHeader::MAX_LEN];
        let length = header.encode(&mut bytes);
        bencher.bench_local(|| FrameHeader::parse(black_box(&bytes[..length]), receiver));
    }

    #[divan::bench(args = LENGTHS)]
    fn encode(bencher: Bencher<'_, '_>, len: u64) {
        let mut bytes = [0; FrameHeader::MAX_LEN];
        bencher.bench_local(|| black_box(header(len, None)).encode(black_box(&mut bytes)));
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

mod connection {
    use super::*;

    /// Messages that lie in the input of one call, as from a client that pipelines.
    const MESSAGES: usize = 64;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";

    /// A server parses the opening handshake and answers it.
    #[divan::bench]
    fn handshake(bencher: Bencher<'_, '_>) {
        let inputs = || (Server::new(), REQUEST.to_vec());
        bencher.with_inputs(inputs).bench_local_refs(|(server, request)| server.open(request));
    }

    /// A server echoes binary messages: parse, unmask, encode.
    #[divan::bench(args = SIZES)]
    fn echo(bencher: Bencher<'_, '_>, size: usize) {
        let mut input = Vec::new();
        for _ in 0..MESSAGES {
            write_frame(OpCode::Binary, &vec![0x5a; size], Some(KEY), &mut input);
        }
        let mut server = Server::new();
        server.open(&mut REQUEST.to_vec());
        bencher
            .counter(ItemsCount::new(MESSAGES))
            .counter(BytesCount::new(MESSAGES * size))
            .with_inputs(|| input.clone())
            .bench_local_refs(|input| server.echo(input));
    }

    /// A connection with what its owner lends it.
    struct Server {
        connection: WebSocket,
        out: Vec<u8>,
        mask_keys: MaskKeys,
        pool: BufferPool,
    }

    impl Server {
        fn new() -> Self {
            Self {
                connection: WebSocket::server(Arc::default(), Time::BEGINNING),
                out: Vec::new(),
                mask_keys: MaskKeys::new(|bytes: &mut [u8]| bytes.fill(0)),
                pool: BufferPool::default(),
            }
        }

        fn split(&mut self) -> (&mut WebSocket, Workspace<'_>) {
            self.out.clear();
            let Self { connection, out, mask_keys, pool } = self;
            (connection, Workspace { out, mask_keys, pool, now: Time::BEGINNING })
        }

        fn open(&mut self, request: &mut [u8]) {
            let (connection, mut workspace) = self.split();
            let handled = connection.handle_input(request, &mut workspace);
            let Some(Event::Request(head)) = handled.expect("the request is right").event else {
                panic!("the request is complete");
            };
            let request = UpgradeRequest::parse(&head, Limits::default().head_limits());
            let request = request.expect("the request is right");
            connection.accept(&request, &Acceptance::default(), &mut workspace);
        }

        fn echo(&mut self, mut input: &mut [u8]) {
            let (connection, mut workspace) = self.split();
            while !input.is_empty() {
                let Handled { consumed, event } =
                    connection.handle_input(input, &mut workspace).expect("the frames are right");
                let Some(Event::Message(incoming)) = event else {
                    panic!("the messages are whole");
                };
                let payload = black_box(incoming.message().as_bytes());
                write_frame(OpCode::Binary, payload, None, workspace.out);
                drop(incoming);
                input = &mut input[consumed..];
            }
        }
    }
}
