//! gzip (RFC 1952), for the bodies of responses.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Shorter texts hardly become shorter.
const LEN_MIN: usize = 1024;

/// No name, no time, any system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The compressed form of a body. `None` if it is not shorter.
pub(crate) fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < LEN_MIN {
        return None;
    }
    // A form that is not shorter does not fit.
    let mut compressed = Vec::with_capacity(body.len());
    compressed.extend_from_slice(&HEADER);
    let mut compress = Compress::new(Compression::fast(), false);
    let status = compress.compress_vec(body, &mut compressed, FlushCompress::Finish).ok()?;
    let mut crc = Crc::new();
    crc.update(body);
    compressed.extend_from_slice(&crc.sum().to_le_bytes());
    compressed.extend_from_slice(&crc.amount().to_le_bytes());
    (status == Status::StreamEnd && compressed.len() < body.len()).then_some(compressed)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn what_becomes_shorter_is_compressed() {
        let text = "a text ".repeat(1000);
        let compressed = gzip(text.as_bytes()).unwrap();
        assert!(compressed.len() < text.len() / 10);
        let mut read = String::new();
        GzDecoder::new(&compressed[..]).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
    }

    #[test]
    fn what_does_not_become_shorter_stays() {
        let mut state = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(5000)
        .collect();
        assert_eq!((gzip(&noise), gzip(b"short")), (None, None));
    }
}
