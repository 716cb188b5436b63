use proptest::prelude::*;

use super::*;
use crate::proto::deflate::inflation::{LAST_BLOCK_COST_BYTES, STEP_BYTES};
use crate::proto::deflate::negotiation::Direction;

fn agreement(context: bool, window: u8, level: u8) -> DeflateAgreement {
    let direction = Direction { context, window };
    DeflateAgreement { level, min_size: 0, send: Some(direction), receive: direction }
}

fn compressed(deflate: &mut Deflate, message: &[u8], pool: &mut BufferPool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    deflate.compress(message, &mut out, pool).then_some(out)
}

const fn whole() -> WorkBudget {
    WorkBudget::UNLIMITED
}

const fn binary(payload: &[u8], limit: usize) -> CompressedMessage<'_> {
    CompressedMessage { opcode: OpCode::Binary, payload, limit }
}

/// Decompresses a message, over as many turns as it takes.
fn inflate(
    deflate: &mut Deflate,
    (opcode, payload): (OpCode, &[u8]),
    limit: usize,
    pool: &mut BufferPool,
) -> Result<Buffer, ProtocolError> {
    let message = CompressedMessage { opcode, payload, limit };
    let message = deflate.decompress(message, pool, &mut whole())?;
    if let Some(message) = message {
        return Ok(message);
    }
    let mut kept = Buffer::default();
    kept.extend_from_slice(payload, &mut pool.storage);
    deflate.keep_payload(kept);
    loop {
        if let Some((_, message)) = deflate.continue_inflating(pool, &mut whole())? {
            return Ok(message);
        }
        assert!(deflate.is_inflating());
    }
}

/// Decompresses one message without context.
fn decompressed(opcode: OpCode, payload: &[u8], limit: usize) -> Result<Vec<u8>, ProtocolError> {
    let mut deflate = Deflate::new(agreement(false, 15, 6));
    let mut pool = BufferPool::default();
    let message = inflate(&mut deflate, (opcode, payload), limit, &mut pool)?;
    assert_eq!(pool.inflated().0, message.len() as u64);
    Ok(message.as_slice().to_vec())
}

/// Bytes in blocks that are not compressed.
fn stored(bytes: &[u8], last: bool) -> Vec<u8> {
    let len = bytes.len() as u16;
    let mut block = vec![u8::from(last)];
    block.extend_from_slice(&len.to_le_bytes());
    block.extend_from_slice(&(!len).to_le_bytes());
    block.extend_from_slice(bytes);
    block
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    // RFC 7692 §7.2.3.1 to §7.2.3.5, without frames.
    for payload in [
        &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00][..],
        &[0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00],
        &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00],
        &[0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00],
    ] {
        assert_eq!(decompressed(OpCode::Text, payload, 5), Ok(b"Hello".to_vec()), "{payload:x?}");
    }
    // The second message refers to the first.
    let mut deflate = Deflate::new(agreement(true, 15, 6));
    let mut pool = BufferPool::default();
    for payload in
        [&[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00][..], &[0xF2, 0x00, 0x11, 0x00, 0x00]]
    {
        let message = inflate(&mut deflate, (OpCode::Text, payload), 5, &mut pool).unwrap();
        assert_eq!(message.as_slice(), b"Hello");
    }
}

#[test]
fn an_empty_message_is_an_empty_block() {
    for payload in [&[0x00][..], &[0x02, 0x00], &[0x03, 0x00]] {
        assert_eq!(decompressed(OpCode::Text, payload, 0), Ok(Vec::new()), "{payload:x?}");
    }
}

#[test]
fn a_message_may_be_as_long_as_the_limit_and_no_longer() {
    let (mut deflate, mut pool) = (Deflate::new(agreement(false, 15, 6)), BufferPool::default());
    for len in [1, STEP_BYTES - 1, STEP_BYTES, STEP_BYTES + 1, 3 * STEP_BYTES, 1_000_000] {
        let payload = compressed(&mut deflate, &vec![7; len], &mut pool);
        let payload = payload.unwrap_or_else(|| [&stored(&[7], false)[..], &[0x00]].concat());
        assert_eq!(decompressed(OpCode::Binary, &payload, len).map(|all| all.len()), Ok(len));
        let error = Err(ProtocolError::MessageTooLarge { limit: len - 1 });
        assert_eq!(decompressed(OpCode::Binary, &payload, len - 1), error);
    }
}

#[test]
fn a_bomb_costs_the_limit_and_no_more() {
    let (mut deflate, mut pool) = (Deflate::new(agreement(false, 15, 9)), BufferPool::default());
    let bomb = compressed(&mut deflate, &vec![0; 100_000_000], &mut pool).unwrap();
    assert!(bomb.len() < 100_000);
    let limit = 100_000;
    let error = inflate(&mut deflate, (OpCode::Binary, &bomb), limit, &mut pool).err();
    assert_eq!(error, Some(ProtocolError::MessageTooLarge { limit }));
    assert!(pool.inflated().0 <= limit as u64 + 1);
    let kept = pool.storage.take(limit).len();
    assert!((limit..=2 * limit + STEP_BYTES).contains(&kept), "{kept}");
}

#[test]
fn invalid_or_truncated_payloads_are_refused() {
    let hello = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
    for payload in [
        &[0x07][..],                     // a reserved type of block
        &[0x00, 0x01, 0x00, 0x00, 0x00], // a length and its complement that do not match
        &[0x62, 0x02, 0x00, 0x01],       // a distance before the start
        &hello[..3],
        &hello[..5],
        &stored(b"Hello", false)[..7],
        &[0x04], // truncated codes
    ] {
        let outcome = decompressed(OpCode::Text, payload, 100);
        assert_eq!(outcome, Err(ProtocolError::InvalidDeflate), "{payload:x?}");
    }
}

#[test]
fn text_is_validated() {
    for (text, outcome) in [
        (&b"\xC3\xA4"[..], Ok(b"\xC3\xA4".to_vec())),
        (b"\xC3", Err(ProtocolError::InvalidUtf8)),
        (b"\xC3A", Err(ProtocolError::InvalidUtf8)),
    ] {
        let payload = [&stored(text, false)[..], &[0x00]].concat();
        assert_eq!(decompressed(OpCode::Text, &payload, 9), outcome);
        assert_eq!(decompressed(OpCode::Binary, &payload, 9), Ok(text.to_vec()));
    }
}

#[test]
fn a_message_that_compression_does_not_shorten_is_sent_as_it_is_and_not_referred_to() {
    let (mut sender, mut receiver) =
        (Deflate::new(agreement(true, 15, 6)), Deflate::new(agreement(true, 15, 6)));
    let mut pool = BufferPool::default();
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(2000)
    .collect();
    assert_eq!(compressed(&mut sender, &noise, &mut pool), None);
    // A reference to the noise would make it shorter, but the receiver never saw the noise.
    let message = [&noise[..], &[7; 3000]].concat();
    let payload = compressed(&mut sender, &message, &mut pool).unwrap();
    let received = inflate(&mut receiver, (OpCode::Binary, &payload), 5000, &mut pool).unwrap();
    assert_eq!(received.as_slice(), message);
}

#[test]
fn a_message_compressed_elsewhere_is_not_referred_to() {
    let setting = Deflate::new(agreement(true, 15, 6)).setting().unwrap();
    let (mut sender, mut receiver) =
        (Deflate::new(agreement(true, 15, 6)), Deflate::new(agreement(true, 15, 6)));
    let mut pool = BufferPool::default();
    let mut receive = |payload: &[u8], pool: &mut BufferPool| {
        inflate(&mut receiver, (OpCode::Binary, payload), 5000, pool).unwrap().as_slice().to_vec()
    };
    let message = b"all for one and one for all, all for one and one for all".repeat(9);
    let first = compressed(&mut sender, &message, &mut pool).unwrap();
    assert_eq!(receive(&first, &mut pool), message);
    let mut shared = Vec::new();
    assert!(pool.compress(setting, &[5; 3000], &mut shared));
    sender.reset_context();
    assert_eq!(receive(&shared, &mut pool), [5; 3000]);
    let again = compressed(&mut sender, &message, &mut pool).unwrap();
    assert_eq!(receive(&again, &mut pool), message);
    // Earlier messages are referred to if none was compressed elsewhere in between.
    let last = compressed(&mut sender, &message, &mut pool).unwrap();
    assert!(last.len() < again.len() / 2, "{} of {}", last.len(), again.len());
    assert_eq!(receive(&last, &mut pool), message);
}

#[test]
fn connections_without_contexts_share_a_compressor_and_a_decompressor() {
    let mut pool = BufferPool::default();
    for _ in 0..10 {
        let mut deflate = Deflate::new(agreement(false, 12, 6));
        let payload = compressed(&mut deflate, &[1; 1000], &mut pool).unwrap();
        drop(inflate(&mut deflate, (OpCode::Binary, &payload), 1000, &mut pool).unwrap());
        assert!(deflate.compressor.is_none() && deflate.buffered_bytes() == 0);
    }
    assert_eq!(pool.codecs.compressors.len(), 1);
    assert!(pool.codecs.decompressor.is_some());
}

/// Payloads that are truncated or invalid.
const WRONG: [&[u8]; 9] = [
    &[],                                               // no block at all
    &[0x07],                                           // a reserved type of block
    &[0x04],                                           // truncated codes
    &[0x00, 0x01],                                     // a truncated length
    &[0x00, 0xFF],                                     // a truncated length that the tail completes
    &[0xF2, 0x48, 0xCD],                               // a block without an end
    &[0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48],             // fewer bytes than announced
    &[0x00, 0xFF, 0xFF, 0x00, 0x00],                   // none of many announced bytes
    &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x04], // truncated codes after a last block
];

#[test]
fn a_truncated_message_is_refused_even_if_the_next_would_complete_it() {
    for context in [false, true] {
        for payload in WRONG {
            for before in [&[][..], &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]] {
                let mut deflate = Deflate::new(agreement(context, 15, 6));
                let mut pool = BufferPool::default();
                if !before.is_empty() {
                    let first = inflate(&mut deflate, (OpCode::Text, before), 100, &mut pool);
                    assert_eq!(first.unwrap().as_slice(), b"Hello");
                }
                let wrong = inflate(&mut deflate, (OpCode::Binary, payload), 100, &mut pool);
                let wrong = wrong.map(|message| message.as_slice().to_vec());
                assert_eq!(wrong, Err(ProtocolError::InvalidDeflate), "{context} {payload:x?}");
            }
        }
    }
}

#[test]
fn a_message_may_end_with_a_last_block_and_the_next_still_works() {
    let hello: &[u8] = &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
    for context in [false, true] {
        let mut deflate = Deflate::new(agreement(context, 15, 6));
        let mut pool = BufferPool::default();
        for (payload, message) in [
            (hello.to_vec(), "Hello"),
            ([hello, &[0x00]].concat(), "Hello"),
            ([hello, hello].concat(), "HelloHello"),
            (vec![0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], "Hello"),
            (LAST_EMPTY.repeat(3), ""),
        ] {
            let inflated = inflate(&mut deflate, (OpCode::Text, &payload), 100, &mut pool);
            assert_eq!(inflated.unwrap().as_slice(), message.as_bytes(), "{payload:x?}");
        }
    }
}

/// An empty last block.
const LAST_EMPTY: &[u8] = &[0x03, 0x00];

#[test]
fn the_budget_bounds_the_calls_for_a_message_in_one_turn() {
    let most = (PORTION_BYTES / LAST_BLOCK_COST_BYTES) as u64;
    let stored = [0x00, 0, 0, 0xFF, 0xFF];
    let last_stored = [0x01, 0, 0, 0xFF, 0xFF];
    let fixed_and_stored = [0x02, 0, 0, 0, 0xFF, 0xFF];
    for block in [LAST_EMPTY, &stored, &last_stored, &fixed_and_stored] {
        for (context, window) in [(false, 15), (true, 15), (true, 9)] {
            let mut deflate = Deflate::new(agreement(context, window, 6));
            let mut pool = BufferPool::default();
            let mut payload = Buffer::default();
            let blocks = [&block.repeat(1_000_000 / block.len())[..], &[0x00]].concat();
            payload.extend_from_slice(&blocks, &mut pool.storage);
            let mut budget = WorkBudget::new(1, 1_000_000);
            let message = binary(payload.as_slice(), 10);
            assert!(deflate.decompress(message, &mut pool, &mut budget).unwrap().is_none());
            assert!(budget.is_used_up());
            deflate.keep_payload(payload);
            let mut shares = 1;
            loop {
                assert!(pool.inflated().1 <= shares * most, "{} calls", pool.inflated().1);
                let mut budget = WorkBudget::new(1, 1_000_000);
                shares += 1;
                if let Some((opcode, message)) =
                    deflate.continue_inflating(&mut pool, &mut budget).unwrap()
                {
                    assert_eq!((opcode, message.as_slice()), (OpCode::Binary, &[][..]));
                    break;
                }
            }
            assert!(
                shares >= (blocks.len() / PORTION_BYTES) as u64 && deflate.buffered_bytes() == 0
            );
        }
    }
}

#[test]
fn many_short_messages_use_up_the_budget() {
    let (mut deflate, mut pool) = (Deflate::new(agreement(false, 15, 6)), BufferPool::default());
    let payload = LAST_EMPTY.repeat(100);
    let mut budget = WorkBudget::new(usize::MAX, 100_000);
    let mut messages = 0;
    while !budget.is_used_up() {
        let message = deflate.decompress(binary(&payload, 10), &mut pool, &mut budget);
        assert!(message.unwrap().is_some());
        messages += 1;
    }
    assert_eq!(messages, 100_000_usize.div_ceil(payload.len() + 100 * LAST_BLOCK_COST_BYTES));
}

fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let repeated = (prop::collection::vec(0..4_u8, 1..20), 1..200_usize)
        .prop_map(|(part, times)| part.repeat(times));
    let noise = prop::collection::vec(any::<u8>(), 0..2000);
    prop::collection::vec(prop_oneof![repeated, noise], 1..8)
}

proptest! {
    #[test]
    fn messages_arrive_as_they_were(
        messages in messages(),
        context: bool,
        window in 9..16_u8,
        level in 1..10_u8,
    ) {
        let agreement = agreement(context, window, level);
        let (mut sender, mut receiver) = (Deflate::new(agreement), Deflate::new(agreement));
        let mut pool = BufferPool::default();
        for message in &messages {
            if let Some(payload) = compressed(&mut sender, message, &mut pool) {
                prop_assert!(payload.len() < message.len().max(1));
                let received =
                    inflate(&mut receiver, (OpCode::Binary, &payload), message.len(), &mut pool);
                let received = received.unwrap();
                prop_assert_eq!(received.as_slice(), &message[..]);
            }
        }
    }

    #[test]
    fn any_bytes_end_in_a_message_within_the_limit_or_an_error(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..5),
        context: bool,
        limit in 0..5000_usize,
    ) {
        let mut deflate = Deflate::new(agreement(context, 15, 6));
        let mut pool = BufferPool::default();
        for payload in payloads {
            if let Ok(message) = inflate(&mut deflate, (OpCode::Text, &payload), limit, &mut pool) {
                prop_assert!(message.len() <= limit);
                prop_assert!(std::str::from_utf8(message.as_slice()).is_ok());
            }
        }
    }
}
