use super::frame::LENGTH_16;
use super::{FrameHeader, OpCode, apply_mask};

/// The payload of a frame that is a whole message, as it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload<'a> {
    pub(crate) opcode: OpCode,
    /// Whether the bytes are compressed (RFC 7692 §6).
    pub(crate) compressed: bool,
    pub(crate) bytes: &'a [u8],
}

impl Payload<'_> {
    /// The header of the frame.
    #[inline]
    pub(crate) const fn header(&self, mask: Option<[u8; 4]>) -> FrameHeader {
        let Self { opcode, compressed, bytes } = *self;
        FrameHeader { fin: true, compressed, opcode, mask, len: bytes.len() as u64 }
    }
}

/// Appends one whole frame to `out`. It is masked if there is a key: a client must mask, a server
/// must not (RFC 6455 §5.1).
///
/// ```
/// use eventwire::proto::{OpCode, write_frame};
///
/// let mut out = Vec::new();
/// write_frame(OpCode::Text, b"hi", None, &mut out);
/// assert_eq!(out, [0x81, 2, b'h', b'i']);
/// ```
#[inline]
pub fn write_frame(opcode: OpCode, payload: &[u8], key: Option<[u8; 4]>, out: &mut Vec<u8>) {
    write_payload(&Payload { opcode, compressed: false, bytes: payload }, key, out);
}

/// Appends one whole frame to `out`. It is masked if there is a key.
#[inline]
pub(crate) fn write_payload(payload: &Payload<'_>, key: Option<[u8; 4]>, out: &mut Vec<u8>) {
    let (first, len) = (payload.header(None).first_byte(), payload.bytes.len());
    // A server's short frame, the usual one, needs few decisions.
    if key.is_some() || len > usize::from(u16::MAX) {
        return write_masked_or_long(payload.opcode, payload.compressed, payload.bytes, key, out);
    }
    if len <= usize::from(FrameHeader::SHORT_LEN_MAX) {
        out.extend_from_slice(&[first, len as u8]);
    } else {
        let [high, low] = (len as u16).to_be_bytes();
        out.extend_from_slice(&[first, LENGTH_16, high, low]);
    }
    out.extend_from_slice(payload.bytes);
}

#[inline(never)]
fn write_masked_or_long(
    opcode: OpCode,
    compressed: bool,
    payload: &[u8],
    mask: Option<[u8; 4]>,
    out: &mut Vec<u8>,
) {
    let len = payload.len();
    let header = FrameHeader { fin: true, compressed, opcode, mask, len: len as u64 };
    let mut bytes = [0; FrameHeader::MAX_LEN];
    let header_len = header.encode(&mut bytes);
    out.reserve(header_len + len);
    out.extend_from_slice(&bytes[..header_len]);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = mask {
        apply_mask(&mut out[start..], key, 0);
    }
}
