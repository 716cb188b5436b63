//! The packets of an Engine.IO payload, written again, are the same packets, and the same bytes but
//! for data that is ignored.
//!
//! Input: a payload.

use std::str;

use eventwire::socketio::engine_io::{InvalidPacket, Packet, Payload, packets};

pub(crate) fn run(data: &[u8]) {
    let parsed: Vec<Result<Packet<'_>, InvalidPacket>> = packets(data).collect();
    let pieces: Vec<&[u8]> = data.split(|byte| *byte == 0x1e).collect();
    let (last, others) = parsed.split_last().expect("at least one packet");
    assert!(others.iter().all(Result::is_ok), "nothing follows an error");
    match last {
        Ok(_) => assert_eq!(parsed.len(), pieces.len()),
        Err(error) => check_refusal(pieces[others.len()], *error),
    }

    let valid: Vec<Packet<'_>> = parsed.into_iter().filter_map(Result::ok).collect();
    let mut payload = Payload::new();
    for (packet, piece) in valid.iter().zip(pieces) {
        check_text(packet, piece);
        let len = payload.len_with(packet);
        payload.push(packet);
        assert_eq!(payload.len(), len);
    }
    assert_eq!((payload.packets(), payload.is_empty()), (valid.len(), valid.is_empty()));
    let written = payload.into_bytes();
    if !valid.is_empty() {
        let again: Result<Vec<Packet<'_>>, InvalidPacket> = packets(&written).collect();
        assert_eq!(again, Ok(valid));
    }
}

/// The packet is written as the piece that it was parsed from.
fn check_text(packet: &Packet<'_>, piece: &[u8]) {
    let mut text = String::new();
    packet.write_text(&mut text);
    assert_eq!(text.len(), packet.text_len());
    assert_eq!(Packet::parse(&text).as_ref(), Ok(packet));
    match packet {
        Packet::Close | Packet::Upgrade | Packet::Noop => {
            assert_eq!(text.as_bytes(), &piece[..1]);
        }
        _ => assert_eq!(text.as_bytes(), piece),
    }
}

fn check_refusal(piece: &[u8], error: InvalidPacket) {
    assert!(!error.to_string().is_empty());
    match error {
        InvalidPacket::Empty => assert!(piece.is_empty()),
        InvalidPacket::UnknownType => assert!(!matches!(piece[0], b'0'..=b'6' | b'b')),
        InvalidPacket::InvalidBase64 => assert_eq!(piece[0], b'b'),
        InvalidPacket::InvalidUtf8 => assert!(str::from_utf8(piece).is_err()),
        other => panic!("{other:?} has no check"),
    }
}
