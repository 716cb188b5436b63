use std::sync::Arc;

use bytes::Bytes;

use super::frame::LENGTH_16;
use super::{Forms, FrameHeader, OpCode, Part};

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
/// Where connections have agreed to compression, it is compressed once for each setting. It keeps
/// what came out, for itself and its clones.
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
    /// A whole frame as a server sends it, uncompressed.
    frame: Bytes,
    /// Where the payload begins in `frame`. A text message's payload is UTF-8.
    payload: usize,
    /// The frame's compressed forms; nothing if it is sent as it is.
    forms: Option<Arc<Forms>>,
}

impl PreparedMessage {
    /// Encodes `message` as a server sends it.
    #[must_use]
    pub fn new<'a>(message: impl Into<Outgoing<'a>>) -> Self {
        let Outgoing { message, may_compress } = message.into();
        let mut frame = Vec::with_capacity(message.len() + FrameHeader::MAX_LEN);
        write_frame(message.opcode(), message.as_bytes(), None, &mut frame);
        let payload = frame.len() - message.len();
        let forms = may_compress.then(Arc::default);
        Self { opcode: message.opcode(), frame: frame.into(), payload, forms }
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

    /// What the frame carries.
    pub(crate) fn payload(&self) -> Payload<'_> {
        let bytes = &self.frame[self.payload..];
        Payload { opcode: self.opcode, compressed: false, bytes }
    }

    /// The frame with its compressed forms, if it may be compressed where that was agreed.
    pub(crate) fn part(&self) -> Option<Part<'_>> {
        let (forms, all) = (self.forms.as_deref()?, &self.frame[..]);
        Some(Part { forms, all, range: 0..all.len(), grows: false })
    }
}

/// A message on its way to peers: made of anything that a [`Message`] is made of.
///
/// ```
/// use eventwire::{ConnectionId, Context, Message, Outgoing};
///
/// fn greet(conn: ConnectionId, secret: &str, cx: &mut Context<'_>) {
///     cx.send(conn, "hello");
///     cx.send(conn, Outgoing::uncompressed(secret));
/// }
/// # assert_eq!(Outgoing::from("a").message(), Message::Text("a"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outgoing<'a> {
    message: Message<'a>,
    may_compress: bool,
}

impl<'a> Outgoing<'a> {
    /// A message that is sent as it is, also where compression was agreed: for what is
    /// compressed already, and for secrets in company of what others can choose, whose length
    /// would tell of them.
    #[must_use]
    pub fn uncompressed(message: impl Into<Message<'a>>) -> Self {
        Self { message: message.into(), may_compress: false }
    }

    /// The message.
    #[must_use]
    pub const fn message(self) -> Message<'a> {
        self.message
    }

    /// Whether it may be compressed where that was agreed.
    #[must_use]
    pub const fn may_compress(self) -> bool {
        self.may_compress
    }
}

impl<'a, M: Into<Message<'a>>> From<M> for Outgoing<'a> {
    fn from(message: M) -> Self {
        Self { message: message.into(), may_compress: true }
    }
}

/// What a frame carries that is a whole message, as it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload<'a> {
    pub(crate) opcode: OpCode,
    /// The bytes are compressed (RFC 7692 §6).
    pub(crate) compressed: bool,
    pub(crate) bytes: &'a [u8],
}

impl<'a> From<Message<'a>> for Payload<'a> {
    fn from(message: Message<'a>) -> Self {
        Self { opcode: message.opcode(), compressed: false, bytes: message.as_bytes() }
    }
}

impl Payload<'_> {
    /// The header of a frame that carries this alone.
    #[inline]
    pub(crate) const fn header(&self, mask: Option<[u8; 4]>) -> FrameHeader {
        let Self { opcode, compressed, bytes } = *self;
        FrameHeader { fin: true, compressed, opcode, mask, len: bytes.len() as u64 }
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
    write_payload(&Payload { opcode, compressed: false, bytes: payload }, key, out);
}

/// Appends one whole frame to `out`, masked when there is a key.
#[inline]
pub(crate) fn write_payload(payload: &Payload<'_>, key: Option<[u8; 4]>, out: &mut Vec<u8>) {
    let (first, len) = (payload.header(None).first_byte(), payload.bytes.len());
    // Made apart, a server's short frame needs next to no decisions.
    if key.is_some() || len > usize::from(u16::MAX) {
        return write_any(payload.opcode, payload.compressed, payload.bytes, key, out);
    }
    if len <= usize::from(FrameHeader::SHORT_MAX) {
        out.extend_from_slice(&[first, len as u8]);
    } else {
        let [high, low] = (len as u16).to_be_bytes();
        out.extend_from_slice(&[first, LENGTH_16, high, low]);
    }
    out.extend_from_slice(payload.bytes);
}

#[inline(never)]
fn write_any(
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
            assert_eq!(prepared.payload().bytes, payload);
        }
    }
}
