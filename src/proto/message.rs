use bytes::Bytes;

use super::{FrameHeader, OpCode};

/// A whole message, borrowed: what a handler is lent, and what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message<'a> {
    /// Text, which is UTF-8.
    Text(&'a str),
    /// Bytes without a meaning to the protocol.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// The payload, whichever kind it is.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The text of a text message.
    #[must_use]
    pub const fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The payload's length in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload has no bytes.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.as_bytes().is_empty()
    }

    pub(crate) const fn opcode(self) -> OpCode {
        match self {
            Self::Text(_) => OpCode::Text,
            Self::Binary(_) => OpCode::Binary,
        }
    }
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Message<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Message<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Message<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

/// A message encoded once, to be sent to many connections without another copy.
///
/// ```
/// use eventwire::{Message, PreparedMessage};
///
/// let prepared = PreparedMessage::new("hello");
/// assert_eq!(prepared.message(), Message::Text("hello"));
/// ```
#[derive(Clone, Debug)]
pub struct PreparedMessage {
    opcode: OpCode,
    /// A whole frame as a server sends it.
    frame: Bytes,
    /// Where the payload begins in `frame`. A text message's payload is UTF-8.
    payload: usize,
}

impl PreparedMessage {
    /// Encodes `message` as a server sends it.
    #[must_use]
    pub fn new<'a>(message: impl Into<Message<'a>>) -> Self {
        let message = message.into();
        let mut frame = Vec::with_capacity(message.len() + FrameHeader::MAX_LEN);
        write_frame(message.opcode(), message.as_bytes(), None, &mut frame);
        let payload = frame.len() - message.len();
        Self { opcode: message.opcode(), frame: frame.into(), payload }
    }

    /// The message that was encoded.
    ///
    /// # Panics
    ///
    /// Never: the text was UTF-8 when it was encoded.
    #[must_use]
    pub fn message(&self) -> Message<'_> {
        let payload = &self.frame[self.payload..];
        match self.opcode {
            OpCode::Text => {
                Message::Text(std::str::from_utf8(payload).expect("made from a string"))
            }
            _ => Message::Binary(payload),
        }
    }

    /// The whole frame as a server sends it, shared.
    pub(crate) const fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// The payload's bytes, with the opcode that they are sent under.
    pub(crate) fn parts(&self) -> (OpCode, &[u8]) {
        (self.opcode, &self.frame[self.payload..])
    }
}

/// Appends one whole frame to `out`, masked when there is a key (RFC 6455 §5.1: a client's are).
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
    let header = FrameHeader { fin: true, opcode, mask: key, len: payload.len() as u64 };
    let mut bytes = [0; FrameHeader::MAX_LEN];
    let header_len = header.encode(&mut bytes);
    out.reserve(header_len + payload.len());
    out.extend_from_slice(&bytes[..header_len]);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = key {
        super::apply_mask(&mut out[start..], key, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepared_message_is_the_frame_that_a_server_sends() {
        for len in [0, 125, 126, 65_535, 65_536] {
            let payload = vec![7; len];
            let prepared = PreparedMessage::new(&payload);
            let mut frame = Vec::new();
            write_frame(OpCode::Binary, &payload, None, &mut frame);
            assert_eq!(prepared.frame()[..], frame[..]);
            assert_eq!(prepared.message(), Message::Binary(&payload));
            assert_eq!(prepared.parts(), (OpCode::Binary, &payload[..]));
        }
    }
}
