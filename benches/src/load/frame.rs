//! The client's side of RFC 6455 §5, small and independent of the engine's codec, so that a mistake
//! in either one is noticed.

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

/// The header of a whole binary message of `size` bytes, in its shortest form.
pub(crate) fn binary_header(size: usize, mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut header = vec![0x80 | BINARY];
    match size {
        0..=125 => header.push(masked | size as u8),
        126..=0xffff => {
            header.push(masked | 126);
            header.extend_from_slice(&(size as u16).to_be_bytes());
        }
        _ => {
            header.push(masked | 127);
            header.extend_from_slice(&(size as u64).to_be_bytes());
        }
    }
    header.extend(mask.iter().flatten());
    header
}

/// The overhead of a whole message of `size` bytes, in bytes. Raw TCP has to carry as much more for
/// a fair comparison.
pub(crate) const fn overhead(size: usize, masked: bool) -> usize {
    let header = match size {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    if masked { header + 4 } else { header }
}

/// A masked control frame with at most 125 bytes of payload.
pub(crate) fn control_frame(opcode: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    debug_assert!(payload.len() <= 125, "RFC 6455 section 5.5");
    let mut frame = vec![0x80 | opcode, 0x80 | payload.len() as u8];
    frame.extend_from_slice(&mask);
    frame.extend(masked(payload, mask));
    frame
}

/// `payload` under `mask` (RFC 6455 §5.3).
pub(crate) fn masked(payload: &[u8], mask: [u8; 4]) -> impl Iterator<Item = u8> {
    payload.iter().zip(mask.into_iter().cycle()).map(|(byte, key)| byte ^ key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overhead_is_the_header() {
        for size in [0, 125, 126, 65_535, 65_536] {
            assert_eq!(overhead(size, false), binary_header(size, None).len());
            assert_eq!(overhead(size, true), binary_header(size, Some([0; 4])).len());
        }
    }

    #[test]
    fn headers_match_the_rfcs_examples() {
        // RFC 6455 §5.7.
        assert_eq!(binary_header(256, None), [0x82, 0x7e, 0x01, 0x00]);
        let long = binary_header(65_536, None);
        assert_eq!(long, [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
        let key = [0x37, 0xfa, 0x21, 0x3d];
        assert_eq!(binary_header(5, Some(key)), [0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(
            control_frame(PONG, b"Hello", key),
            [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]
        );
    }
}
