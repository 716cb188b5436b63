mod exhaustive;

use proptest::prelude::*;

use super::*;

type Parsed = Result<Option<(FrameHeader, usize)>, ProtocolError>;

const KEY: [u8; 4] = [0xDE, 0xAD, 0xBE, 0xEF];
const OPCODES: [OpCode; 6] =
    [OpCode::Continuation, OpCode::Text, OpCode::Binary, OpCode::Close, OpCode::Ping, OpCode::Pong];
const LENGTHS: [(u64, &[u8]); 8] = [
    (0, &[0]),
    (1, &[1]),
    (125, &[125]),
    (126, &[126, 0, 126]),
    (127, &[126, 0, 127]),
    (65_535, &[126, 0xFF, 0xFF]),
    (65_536, &[127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ((1 << 63) - 1, &[127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
];

/// What RFC 6455 §5.2 says of the first byte, read as a table of its values.
fn reference_first(first: u8) -> Result<(), ProtocolError> {
    match first {
        0x00..=0x02 | 0x80..=0x82 | 0x88..=0x8A => Ok(()),
        0x08..=0x0A => Err(ProtocolError::FragmentedControl),
        0x03..=0x07 | 0x0B..=0x0F | 0x83..=0x87 | 0x8B..=0x8F => {
            Err(ProtocolError::ReservedOpCode(first % 16))
        }
        0x10..=0x7F | 0x90..=0xFF => Err(ProtocolError::ReservedBits),
    }
}

/// What RFC 6455 §5.1 and §5.5 say of the second byte after a valid first.
fn reference_second(first: u8, second: u8, receiver: Role) -> Result<(), ProtocolError> {
    if receiver == Role::Server && second < 128 {
        Err(ProtocolError::UnmaskedFrame)
    } else if receiver == Role::Client && second >= 128 {
        Err(ProtocolError::MaskedFrame)
    } else if first >= 0x88 && second % 128 > 125 {
        Err(ProtocolError::ControlTooLong)
    } else {
        Ok(())
    }
}

/// Parses every prefix of `input` and checks that nothing is taken back once it is decided.
/// Returns the decision and the number of bytes that it took.
fn parse_every_prefix(input: &[u8], receiver: Role) -> (Parsed, usize) {
    let mut decided: Option<(Parsed, usize)> = None;
    for end in 0..=input.len() {
        let parsed = FrameHeader::parse(&input[..end], receiver);
        if let Ok(Some((header, len))) = parsed {
            assert!(len <= end, "{input:x?}: {len} bytes taken out of {end}");
            assert_eq!(header.encoded_len(), len);
        }
        match &decided {
            Some((decision, _)) => assert_eq!(&parsed, decision, "{input:x?} to {end}"),
            None if parsed == Ok(None) => {}
            None => decided = Some((parsed, end)),
        }
    }
    decided.unwrap_or((Ok(None), input.len()))
}

#[test]
fn all_first_byte_pairs_against_the_reference() {
    for first in 0..=255_u8 {
        for second in 0..=255_u8 {
            for receiver in [Role::Server, Role::Client] {
                check_pair(first, second, receiver);
            }
        }
    }
}

fn check_pair(first: u8, second: u8, receiver: Role) {
    let case = format!("{first:#x} {second:#x} read by a {receiver:?}");
    let one = reference_first(first);
    assert_eq!(FrameHeader::parse(&[first], receiver), one.map(|()| None), "{case}");
    if let Err(error) = one.and_then(|()| reference_second(first, second, receiver)) {
        let pair = FrameHeader::parse(&[first, second], receiver);
        assert_eq!(pair, Err(error), "{case}");
        return;
    }
    let header = FrameHeader {
        fin: first >= 0x80,
        compressed: false,
        opcode: OPCODES.into_iter().find(|&opcode| opcode as u8 == first % 16).unwrap(),
        mask: (second >= 128).then_some(KEY),
        len: match second % 128 {
            126 => 0x0102,
            127 => 0x0102_0304_0506_0708,
            short => u64::from(short),
        },
    };
    let extended: &[u8] = match second % 128 {
        126 => &[1, 2],
        127 => &[1, 2, 3, 4, 5, 6, 7, 8],
        _ => &[],
    };
    let key = if second >= 128 { &KEY[..] } else { &[] };
    let bytes = [&[first, second], extended, key].concat();
    let decided = (Ok(Some((header, bytes.len()))), bytes.len());
    assert_eq!(parse_every_prefix(&[&bytes[..], b"payload"].concat(), receiver), decided, "{case}");
}

#[test]
fn every_form_is_encoded_and_parsed() {
    for (len, length_bytes) in LENGTHS {
        for opcode in OPCODES {
            for (fin, receiver) in [
                (true, Role::Server),
                (true, Role::Client),
                (false, Role::Server),
                (false, Role::Client),
            ] {
                let mask = (receiver == Role::Server).then_some(KEY);
                let header = FrameHeader { fin, compressed: false, opcode, mask, len };
                let mut expected = vec![opcode as u8 + if fin { 128 } else { 0 }];
                expected.extend(length_bytes);
                if mask.is_some() {
                    expected[1] += 128;
                    expected.extend(KEY);
                }
                let mut out = [0x55; FrameHeader::MAX_LEN];
                let encoded = header.encode(&mut out);
                assert_eq!(out[..encoded], expected, "{header:?}");
                assert!(out[encoded..].iter().all(|&byte| byte == 0x55), "{header:?}");
                assert_eq!(header.encoded_len(), encoded, "{header:?}");

                let parsed = parse_every_prefix(&expected, receiver);
                if !opcode.is_control() || (fin && len <= 125) {
                    assert_eq!(parsed, (Ok(Some((header, encoded))), encoded));
                } else if fin {
                    assert_eq!(parsed, (Err(ProtocolError::ControlTooLong), 2));
                } else {
                    assert_eq!(parsed, (Err(ProtocolError::FragmentedControl), 1));
                }
            }
        }
    }
}

#[test]
fn every_power_of_two_and_its_neighbours_are_lengths() {
    for power in (0..63).map(|shift| 1_u64 << shift) {
        for len in [power - 1, power, power + 1] {
            let header = FrameHeader {
                fin: true,
                compressed: false,
                opcode: OpCode::Binary,
                mask: None,
                len,
            };
            let mut out = [0; FrameHeader::MAX_LEN];
            let encoded = header.encode(&mut out);
            let parsed = parse_every_prefix(&out[..encoded], Role::Client);
            assert_eq!(parsed, (Ok(Some((header, encoded))), encoded));
        }
    }
}

/// Lengths that are refused, and the number of header bytes that decide it.
#[test]
fn lengths_over_the_limit_or_not_minimal() {
    use ProtocolError::{LengthOverflow, NonMinimalLength};
    let table: [(&[u8], ProtocolError, usize); 9] = [
        (&[126, 0, 0], NonMinimalLength, 4),
        (&[126, 0, 125], NonMinimalLength, 4),
        (&[127, 0, 0, 0, 0, 0, 0, 0, 0], NonMinimalLength, 8),
        (&[127, 0, 0, 0, 0, 0, 0, 0, 125], NonMinimalLength, 8),
        (&[127, 0, 0, 0, 0, 0, 0, 0, 126], NonMinimalLength, 8),
        (&[127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], NonMinimalLength, 8),
        (&[127, 0x80, 0, 0, 0, 0, 0, 0, 0], LengthOverflow, 3),
        (&[127, 0x80, 0, 0, 0, 0, 0, 0, 1], LengthOverflow, 3),
        (&[127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], LengthOverflow, 3),
    ];
    for (length_bytes, error, decided) in table {
        let unmasked = [&[0x82], length_bytes].concat();
        assert_eq!(parse_every_prefix(&unmasked, Role::Client), (Err(error), decided));
        let mut masked = [&unmasked, &KEY[..]].concat();
        masked[1] += 128;
        assert_eq!(parse_every_prefix(&masked, Role::Server), (Err(error), decided));
    }
}

#[test]
fn opcodes_are_their_bits() {
    for bits in 0..=255 {
        let known = OPCODES.into_iter().find(|&opcode| opcode as u8 == bits);
        assert_eq!(OpCode::from_bits(bits), known);
        assert_eq!(known.is_some_and(OpCode::is_control), (8..=10).contains(&bits));
    }
}

/// Bytes that often begin like a header.
fn almost_header() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A]),
        1 => any::<u8>(),
    ];
    let second = prop_oneof![prop::sample::select(vec![126, 127, 254, 255]), any::<u8>()];
    let byte = prop_oneof![2 => Just(0), 1 => any::<u8>()];
    (first, second, prop::collection::vec(byte, 0..16)).prop_map(|(first, second, mut bytes)| {
        bytes.splice(0..0, [first, second]);
        bytes
    })
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![Role::Server, Role::Client])
}

proptest! {
    #[test]
    fn what_is_encoded_is_parsed(
        fin: bool,
        opcode in prop::sample::select(OPCODES.to_vec()),
        key: [u8; 4],
        receiver in role(),
        bits in 0_u32..63,
        random: u64,
        tail in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let control = opcode.is_control();
        let header = FrameHeader {
            fin: fin || control,
            compressed: false,
            opcode,
            mask: (receiver == Role::Server).then_some(key),
            len: if control { random % 126 } else { random >> (63 - bits) >> 1 },
        };
        let mut out = [0; FrameHeader::MAX_LEN];
        let len = header.encode(&mut out);
        prop_assert_eq!(len, header.encoded_len());
        let input = [&out[..len], &tail].concat();
        prop_assert_eq!(parse_every_prefix(&input, receiver), (Ok(Some((header, len))), len));
    }

    #[test]
    fn a_header_that_is_parsed_is_encoded_the_same(input in almost_header(), receiver in role()) {
        if let (Ok(Some((header, len))), _) = parse_every_prefix(&input, receiver) {
            let mut out = [0; FrameHeader::MAX_LEN];
            prop_assert_eq!(header.encode(&mut out), len);
            prop_assert_eq!(&out[..len], &input[..len]);
        }
    }

    #[test]
    fn any_split_of_any_bytes_gives_the_same_outcome(
        input in prop::collection::vec(any::<u8>(), 0..20),
        receiver in role(),
    ) {
        let (parsed, _) = parse_every_prefix(&input, receiver);
        prop_assert_eq!(FrameHeader::parse(&input, receiver), parsed);
    }
}
