//! Nothing overflows, for declared lengths and limits up to the greatest, and for any part of a
//! payload.

use super::*;

const EDGES: [u64; 12] = [
    0,
    1,
    125,
    126,
    65_535,
    65_536,
    1 << 31,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// The error for a fragment that declares `len` bytes, after `begun` bytes have arrived.
fn expected(len: u64, begun: u64, message: u64, frame: u64) -> Option<ProtocolError> {
    if len > frame {
        Some(ProtocolError::FrameTooLarge { len, limit: frame as usize })
    } else if u128::from(begun) + u128::from(len) > u128::from(message) {
        Some(ProtocolError::MessageTooLarge { limit: message as usize })
    } else {
        None
    }
}

/// Receives part of a frame. Storage grows with what arrives, not with what is declared.
fn receive_a_part(harness: &mut Harness, len: u64) {
    let mut left = len;
    for _ in 0..3 {
        let part = left.min(5) as usize;
        assert_eq!(harness.feed(&[b'*'; 5][..part]), []);
        left -= part as u64;
        if let Some(spare) = harness.connection.payload_buffer(&mut harness.pool) {
            let room = spare.len();
            assert!(room > 0 && room as u64 <= left, "room for {room} of {left}");
            let one = harness.with(|connection, workspace| connection.handle_payload(1, workspace));
            assert!(matches!(one, Ok(None)), "{one:?}");
            left -= 1;
        }
    }
    assert!(
        harness.connection.buffered_bytes() <= 64 * 1024,
        "{} held",
        harness.connection.buffered_bytes()
    );
}

fn check(role: Role, begun: &[u8], len: u64, message: u64, frame: u64) {
    let limits = Limits::default().max_message(message as usize).max_frame(frame as usize);
    let mut harness = Harness::open(role, &limits);
    let mut opcode = OpCode::Binary;
    if !begun.is_empty() {
        assert_eq!(harness.feed(&super::frame(role, false, opcode, begun)), []);
        opcode = OpCode::Continuation;
    }
    let seen = harness.feed(&header(role, false, opcode, len));
    match expected(len, begun.len() as u64, message, frame) {
        Some(error) => assert_eq!(seen, [failed(error)], "{begun:?} and {len}"),
        None => {
            assert_eq!(seen, [], "{begun:?} and {len} within {message} and {frame}");
            receive_a_part(&mut harness, len);
            // Its rest is discarded once the connection is closing.
            harness.close(CloseCode::NORMAL, "");
            assert_eq!(harness.feed(&[b'*'; 40][..len.saturating_sub(20).min(40) as usize]), []);
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "thousands of connections")]
fn every_declared_length_meets_every_limit_without_overflow() {
    for role in ROLES {
        for len in EDGES.into_iter().filter(|&len| len < 1 << 63) {
            for message in EDGES {
                for frame in EDGES {
                    check(role, b"", len, message, frame);
                    if message >= 3 && frame >= 3 {
                        check(role, b"abc", len, message, frame);
                    }
                }
            }
        }
    }
}

#[test]
fn the_longest_messages_meet_the_longest_limits_without_overflow() {
    for role in ROLES {
        for begun in [&b""[..], b"abc"] {
            for message in [(1 << 63) - 1, 1 << 63, u64::MAX] {
                check(role, begun, (1 << 63) - 1, message, u64::MAX);
            }
        }
    }
}
