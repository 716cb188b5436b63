//! Headers, all of them: every pair of first bytes for both roles, with every length at the edge of
//! a form in that form, minimal or not, and every truncation of them, against arithmetic.

use super::*;

/// Lengths at the edges: of the forms, of 32 bits, and of what a length may be.
const EDGES: [u64; 16] = [
    0,
    125,
    126,
    127,
    255,
    256,
    65_535,
    65_536,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    (1 << 63) + 1,
    u64::MAX,
];

/// What a header is by RFC 6455 §5.2. A length of which bytes are missing is one of a range: it is
/// refused once none of that range is allowed.
fn reference(input: &[u8], receiver: Role) -> Parsed {
    let [first, rest @ ..] = input else { return Ok(None) };
    reference_first(*first)?;
    let [second, rest @ ..] = rest else { return Ok(None) };
    reference_second(*first, *second, receiver)?;
    let (size, shorter) = match second % 128 {
        126 => (2, 125),
        127 => (8, 65_535),
        _ => (0, 0),
    };
    let known = rest.len().min(size);
    let value = rest[..known].iter().fold(0, |value, byte| value * 256 + u128::from(*byte));
    let scale = 256_u128.pow((size - known) as u32);
    let (least, most) = (value * scale, value * scale + scale - 1);
    if least >= 1 << 63 {
        return Err(ProtocolError::LengthOverflow);
    }
    if size > 0 && most <= shorter {
        return Err(ProtocolError::NonMinimalLength);
    }
    let key = if *second >= 128 { 4 } else { 0 };
    if rest.len() < size + key {
        return Ok(None);
    }
    let header = FrameHeader {
        fin: *first >= 128,
        compressed: false,
        opcode: OPCODES.into_iter().find(|&opcode| opcode as u8 == first % 16).unwrap(),
        mask: (key > 0).then(|| rest[size..size + 4].try_into().unwrap()),
        len: if size > 0 { least as u64 } else { u64::from(second % 128) },
    };
    Ok(Some((header, 2 + size + key)))
}

/// Compares every truncation of these bytes and `tail`. A header that is parsed is encoded as it
/// was.
fn check(first: u8, second: u8, length: &[u8], receiver: Role) {
    // The key, and two bytes of a payload.
    let input = [&[first, second], length, &KEY[..], &[0x80, 0xFF]].concat();
    for end in 0..=input.len() {
        let parsed = FrameHeader::parse(&input[..end], receiver);
        assert_eq!(parsed, reference(&input[..end], receiver), "{input:x?} to {end}, {receiver:?}");
        if let Ok(Some((header, len))) = parsed {
            let mut out = [0; FrameHeader::MAX_LEN];
            assert_eq!(header.encode(&mut out), len, "{input:x?}");
            assert_eq!(header.encoded_len(), len, "{input:x?}");
            assert_eq!(out[..len], input[..len]);
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "millions of headers")]
fn every_pair_with_every_edge_and_truncation_is_what_arithmetic_says() {
    for receiver in [Role::Server, Role::Client] {
        for pair in 0..=u16::MAX {
            let [first, second] = pair.to_be_bytes();
            match second % 128 {
                126 => EDGES.iter().filter_map(|&edge| u16::try_from(edge).ok()).for_each(|edge| {
                    check(first, second, &edge.to_be_bytes(), receiver);
                }),
                127 => EDGES.iter().for_each(|edge| {
                    check(first, second, &edge.to_be_bytes(), receiver);
                }),
                _ => check(first, second, &[], receiver),
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "tens of thousands of headers")]
fn every_length_of_16_bits_is_what_arithmetic_says_in_both_forms() {
    for len in 0..=u16::MAX {
        check(0x82, 0xFE, &len.to_be_bytes(), Role::Server);
        check(0x02, 0x7E, &len.to_be_bytes(), Role::Client);
        check(0x81, 0xFF, &u64::from(len).to_be_bytes(), Role::Server);
        check(0x00, 0x7F, &u64::from(len).to_be_bytes(), Role::Client);
    }
}

/// Every byte of a length by itself, over zeroes and over ones.
#[test]
fn every_byte_of_a_length_of_64_bits_is_what_arithmetic_says() {
    for at in 0..8 {
        for byte in 0..=255 {
            for around in [0, 1, 0xFF] {
                let mut length = [around; 8];
                length[at] = byte;
                check(0x82, 0xFF, &length, Role::Server);
                check(0x82, 0x7F, &length, Role::Client);
            }
        }
    }
}
