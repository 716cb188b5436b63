//! Messages that arrive compressed: in any split, in fragments, damaged, and too long.

use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::Index;

use super::any_split::{Observed, mutation, observe, pieces};
use super::*;
use crate::proto::DeflateConfig;
use crate::proto::deflate::Compression;
use crate::proto::deflate::DeflateAgreement;
use crate::proto::handshake::Extension;

/// The agreement, which is the same for both ends.
fn agreement(contexts: bool) -> DeflateAgreement {
    let config = DeflateConfig::default().min_size(0).context_takeover(contexts, contexts);
    let offer = Extension { name: "permessage-deflate", params: Vec::new() };
    config.respond(&[offer]).unwrap().agreement
}

fn open(role: Role, limits: &Limits, contexts: bool) -> Harness {
    let mut harness = Harness::open(role, limits);
    harness.connection = harness.connection.compressed(Some(agreement(contexts)));
    harness
}

/// The peer of a connection in `role`.
struct Sender {
    role: Role,
    compression: Compression,
    pool: BufferPool,
}

impl Sender {
    fn new(role: Role, contexts: bool) -> Self {
        let mut compression = Compression::default();
        compression.agree(Some(agreement(contexts)));
        Self { role, compression, pool: BufferPool::default() }
    }

    /// Writes a message, compressed if that makes it shorter, in fragments that end at `cuts`,
    /// with a ping after each.
    fn write(&mut self, opcode: OpCode, message: &[u8], cuts: &[Index], stream: &mut Vec<u8>) {
        let mut compressed = Vec::new();
        let is_compressed = self.compression.compress(message, &mut compressed, &mut self.pool);
        let payload = if is_compressed { &compressed } else { message };
        let mut fragments = pieces(payload, cuts).enumerate().peekable();
        while let Some((number, fragment)) = fragments.next() {
            let fin = fragments.peek().is_none();
            let opcode = if number == 0 { opcode } else { OpCode::Continuation };
            let mut frame = frame(self.role, fin, opcode, fragment);
            frame[0] |= if is_compressed && number == 0 { 0x40 } else { 0 };
            stream.extend(frame);
            if !fin {
                stream.extend(super::frame(self.role, true, OpCode::Ping, b"?"));
            }
        }
    }
}

fn message() -> impl Strategy<Value = (OpCode, Vec<u8>)> {
    let repeated = ("[a-z]{1,20}", 0..5_000_usize)
        .prop_map(|(part, times)| (OpCode::Text, part.repeat(times).into_bytes()));
    let bytes = prop::collection::vec(any::<u8>(), 0..300).prop_map(|all| (OpCode::Binary, all));
    prop_oneof![2 => repeated, 1 => bytes]
}

fn cuts(count: Range<usize>) -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), count)
}

fn seen(opcode: OpCode, message: &[u8]) -> Seen {
    match opcode {
        OpCode::Text => Seen::Text(String::from_utf8(message.to_vec()).unwrap()),
        _ => Seen::Binary(message.to_vec()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_split_of_a_compressed_stream_gives_the_same(
        messages in prop::collection::vec((message(), cuts(0..4)), 1..5),
        role in prop::sample::select(ROLES.to_vec()),
        contexts: bool,
        damage in prop::option::weighted(0.4, mutation()),
        cuts in cuts(0..12),
    ) {
        let limits = Limits::default().max_message(60_000);
        let (mut stream, mut sender) = (Vec::new(), Sender::new(role, contexts));
        for ((opcode, message), cuts) in &messages {
            sender.write(*opcode, message, cuts, &mut stream);
        }
        if let Some((mutation, at)) = &damage {
            mutation.apply(at.index(stream.len()), &mut stream);
        }
        let splits: [&dyn Fn(&mut Harness); 4] = [
            &|harness| harness.receive(&stream),
            &|harness| stream.chunks(1).for_each(|byte| harness.receive(byte)),
            &|harness| pieces(&stream, &cuts).for_each(|piece| harness.receive(piece)),
            &|harness| pieces(&stream, &cuts).for_each(|piece| harness.receive_direct(piece)),
        ];
        let all: Vec<Observed> = splits
            .iter()
            .map(|feed| observe(open(role, &limits, contexts), feed))
            .collect();
        for other in &all[1..] {
            prop_assert_eq!(other, &all[0]);
        }
        if damage.is_none() {
            let expected = messages.iter().map(|((opcode, message), _)| match message.len() {
                0..=60_000 => seen(*opcode, message),
                _ => failed(ProtocolError::MessageTooLarge { limit: 60_000 }),
            });
            let fails = |seen: &Seen| matches!(seen, Seen::Failed(_));
            let mut expected: Vec<_> = expected.collect();
            let end = expected.iter().position(fails).map_or(expected.len(), |at| at + 1);
            expected.truncate(end);
            let told = all[0].seen.iter().filter(|seen| !matches!(seen, Seen::Ping(_)));
            prop_assert_eq!(told.cloned().collect::<Vec<_>>(), expected);
        }
    }
}

#[test]
fn a_message_may_arrive_longer_by_an_eighth_than_it_is() {
    let limits = Limits::default().max_message(8_000);
    let longest = 9_000 + 64;
    for (len, error) in [
        (longest, ProtocolError::InvalidDeflate),
        (longest + 1, ProtocolError::FrameTooLarge { len: longest as u64 + 1, limit: longest }),
    ] {
        let mut harness = open(Role::Server, &limits, false);
        let mut frame = frame(Role::Server, true, OpCode::Binary, &vec![0xFF; len]);
        frame[0] |= 0x40;
        assert_eq!(harness.feed(&frame), [failed(error)]);
    }
    let mut harness = open(Role::Server, &limits, false);
    let plain = frame(Role::Server, true, OpCode::Binary, &vec![0; 8_001]);
    let error = ProtocolError::FrameTooLarge { len: 8_001, limit: 8_000 };
    assert_eq!(harness.feed(&plain), [failed(error)]);
}

#[test]
fn what_arrives_compressed_after_our_close_is_discarded() {
    let mut harness = open(Role::Server, &Limits::default(), false);
    harness.with(|connection, work| connection.close(CloseCode::NORMAL, "", work));
    let (mut stream, mut sender) = (Vec::new(), Sender::new(Role::Server, false));
    sender.write(OpCode::Text, &[b'a'; 1000], &[], &mut stream);
    let bomb = stream.len();
    stream.extend(frame(Role::Server, true, OpCode::Close, b""));
    assert!(bomb < 100);
    assert_eq!(harness.feed(&stream), [Seen::Close(Vec::new())]);
    assert_eq!(harness.pool.inflated(), (0, 0));
}

#[test]
fn messages_are_sent_compressed_where_that_makes_them_shorter() {
    for role in ROLES {
        let peer = if role == Role::Server { Role::Client } else { Role::Server };
        for contexts in [false, true] {
            let mut sender = open(role, &Limits::default(), contexts);
            let mut receiver = open(peer, &Limits::default(), contexts);
            let messages = ["a".repeat(5_000), "b".to_owned(), "a".repeat(5_000)];
            for message in &messages {
                let message = Message::Text(message);
                assert!(sender.with(|connection, work| connection.send(message, work)));
            }
            assert!(sender.out.len() < 200, "{}", sender.out.len());
            let out = std::mem::take(&mut sender.out);
            assert_eq!(receiver.feed(&out), messages.map(Seen::Text));
        }
    }
}
