use proptest::prelude::*;

use super::*;

fn agreement(context: bool, window: u8, level: u8) -> DeflateAgreement {
    let way = Way { context, window };
    DeflateAgreement { level, min_size: 0, send: Some(way), receive: way }
}

fn compressed(deflate: &mut Deflate, message: &[u8], pool: &mut BufferPool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    deflate.compress(message, &mut out, pool).then_some(out)
}

/// Decompresses one message by itself.
fn decompressed(opcode: OpCode, payload: &[u8], limit: usize) -> Result<Vec<u8>, ProtocolError> {
    let mut deflate = Deflate::new(agreement(false, 15, 6));
    let mut pool = BufferPool::default();
    let message = deflate.decompress(opcode, payload, limit, &mut pool)?;
    assert_eq!(pool.inflated(), message.len() as u64);
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
        let message = deflate.decompress(OpCode::Text, payload, 5, &mut pool).unwrap();
        assert_eq!(message.as_slice(), b"Hello");
    }
}

#[test]
fn an_empty_message_is_an_empty_block() {
    for payload in [&[0x00][..], &[0x02, 0x00], &[0x03, 0x00]] {
        assert_eq!(decompressed(OpCode::Text, payload, 0), Ok(Vec::new()), "{payload:x?}");
    }
    // RFC 7692 §7.2.3.6: with nothing at all the block would have no header.
    assert_eq!(decompressed(OpCode::Text, &[], 0), Err(ProtocolError::InvalidDeflate));
}

#[test]
fn a_message_may_be_as_long_as_the_limit_and_no_longer() {
    let (mut deflate, mut pool) = (Deflate::new(agreement(false, 15, 6)), BufferPool::default());
    for len in [1, STEP - 1, STEP, STEP + 1, 3 * STEP, 1_000_000] {
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
    let error = deflate.decompress(OpCode::Binary, &bomb, limit, &mut pool).err();
    assert_eq!(error, Some(ProtocolError::MessageTooLarge { limit }));
    assert!(pool.inflated() <= limit as u64 + 1);
    let kept = pool.take(limit).len();
    assert!((limit..=2 * limit + STEP).contains(&kept), "{kept}");
}

#[test]
fn what_is_no_deflate_or_ends_in_the_middle_is_refused() {
    let hello = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
    for payload in [
        &[0x07][..],                     // the kind of block that there is not
        &[0x00, 0x01, 0x00, 0x00, 0x00], // a length and its complement that do not match
        &[0x62, 0x02, 0x00, 0x01],       // a distance into nothing
        &hello[..3],
        &hello[..5],
        &stored(b"Hello", false)[..7],
        &[0x04], // the rest of the codes is missing
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
fn what_comes_out_no_shorter_is_not_compressed_and_not_referred_to() {
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
    // It would be the shorter for a reference to the noise, which the receiver never saw.
    let message = [&noise[..], &[7; 3000]].concat();
    let payload = compressed(&mut sender, &message, &mut pool).unwrap();
    let received = receiver.decompress(OpCode::Binary, &payload, 5000, &mut pool).unwrap();
    assert_eq!(received.as_slice(), message);
}

#[test]
fn what_was_compressed_elsewhere_is_not_referred_to() {
    let setting = Deflate::new(agreement(true, 15, 6)).setting().unwrap();
    let (mut sender, mut receiver) =
        (Deflate::new(agreement(true, 15, 6)), Deflate::new(agreement(true, 15, 6)));
    let mut pool = BufferPool::default();
    let mut receive = |payload: &[u8], pool: &mut BufferPool| {
        receiver.decompress(OpCode::Binary, payload, 5000, pool).unwrap().as_slice().to_vec()
    };
    let message = b"all for one and one for all, all for one and one for all".repeat(9);
    let first = compressed(&mut sender, &message, &mut pool).unwrap();
    assert_eq!(receive(&first, &mut pool), message);
    let mut shared = Vec::new();
    assert!(pool.compress(setting, &[5; 3000], &mut shared));
    sender.passed_by();
    assert_eq!(receive(&shared, &mut pool), [5; 3000]);
    let again = compressed(&mut sender, &message, &mut pool).unwrap();
    assert_eq!(receive(&again, &mut pool), message);
    // The messages before are referred to, where nothing came between.
    let last = compressed(&mut sender, &message, &mut pool).unwrap();
    assert!(last.len() < again.len() / 2, "{} of {}", last.len(), again.len());
    assert_eq!(receive(&last, &mut pool), message);
}

#[test]
fn connections_without_contexts_share_one_of_each() {
    let mut pool = BufferPool::default();
    for _ in 0..10 {
        let mut deflate = Deflate::new(agreement(false, 12, 6));
        let payload = compressed(&mut deflate, &[1; 1000], &mut pool).unwrap();
        drop(deflate.decompress(OpCode::Binary, &payload, 1000, &mut pool).unwrap());
        assert!(deflate.compressor.is_none() && deflate.decompressor.is_none());
    }
    assert_eq!(pool.codecs.compressors.len(), 1);
    assert!(pool.codecs.decompressor.is_some());
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
                    receiver.decompress(OpCode::Binary, &payload, message.len(), &mut pool);
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
            if let Ok(message) = deflate.decompress(OpCode::Text, &payload, limit, &mut pool) {
                prop_assert!(message.len() <= limit);
                prop_assert!(std::str::from_utf8(message.as_slice()).is_ok());
            }
        }
    }
}
