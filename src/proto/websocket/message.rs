use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::{FrameHeader, OpCode, Payload, Role, write_frame};
use crate::proto::deflate::{CompressibleFrames, CompressionCache};

/// A whole message, borrowed. A handler receives it, and can send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message<'a> {
    /// Text, which is UTF-8.
    Text(&'a str),
    /// Bytes, which have no meaning to the protocol.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// The payload of either kind.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The text, if this is a text message.
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

    /// The message of a whole frame, unmasked and not compressed, as a server writes it.
    pub(crate) fn of_frame(frame: &'a [u8]) -> Option<Self> {
        let (header, len) = FrameHeader::parse(frame, Role::Client).ok()??;
        let payload = &frame[len..];
        match header.opcode {
            OpCode::Text => std::str::from_utf8(payload).ok().map(Self::Text),
            _ => Some(Self::Binary(payload)),
        }
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

/// A message that is encoded once and sent to many connections without a copy.
///
/// For connections with compression, it is compressed once for each setting. Its clones share the
/// result.
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
    /// Where the payload begins in `frame`. The payload of a text message is UTF-8.
    payload: usize,
    /// Compressed copies of the frame. `None` if it is never compressed.
    cache: Option<Arc<CompressionCache>>,
}

impl PreparedMessage {
    /// Encodes `message` as a server sends it.
    #[must_use]
    pub fn new(message: impl AsOutgoing) -> Self {
        let outgoing = message.as_outgoing();
        if let Some(prepared) = outgoing.prepared() {
            return prepared.clone();
        }
        let (message, may_compress) = (outgoing.message(), outgoing.may_compress());
        let mut frame = Vec::with_capacity(message.len() + FrameHeader::MAX_LEN);
        write_frame(message.opcode(), message.as_bytes(), None, &mut frame);
        let payload = frame.len() - message.len();
        let cache = may_compress.then(Arc::default);
        Self { opcode: message.opcode(), frame: frame.into(), payload, cache }
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

    /// The payload of the frame.
    pub(crate) fn payload(&self) -> Payload<'_> {
        let bytes = &self.frame[self.payload..];
        Payload { opcode: self.opcode, compressed: false, bytes }
    }

    /// The frame with its compressed copies. `None` if it is never compressed.
    pub(crate) fn compressible(&self) -> Option<CompressibleFrames<'_>> {
        let (cache, all) = (self.cache.as_deref()?, &self.frame[..]);
        Some(CompressibleFrames { cache, all, range: 0..all.len(), may_grow: false })
    }
}

/// A message to be sent, with the options for sending it. [`AsOutgoing`] makes it.
///
/// ```
/// use eventwire::{Connection, Message, Outgoing};
///
/// fn greet(conn: &mut Connection<'_>, secret: &str) {
///     conn.send("hello");
///     conn.send(Outgoing::uncompressed(secret));
/// }
/// # assert_eq!(Outgoing::from("a").message(), Message::Text("a"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a>(Content<'a>);

#[derive(Clone, Copy, Debug)]
enum Content<'a> {
    Message { message: Message<'a>, may_compress: bool },
    Prepared(&'a PreparedMessage),
}

impl<'a> Outgoing<'a> {
    /// A message that is never compressed. Use it for data that is compressed already, and for
    /// secrets in one message with data that others choose: the length of the compressed message
    /// would reveal something about the secret.
    #[must_use]
    pub fn uncompressed(message: impl Into<Message<'a>>) -> Self {
        Self(Content::Message { message: message.into(), may_compress: false })
    }

    /// The message.
    #[must_use]
    pub fn message(self) -> Message<'a> {
        match self.0 {
            Content::Message { message, .. } => message,
            Content::Prepared(prepared) => prepared.message(),
        }
    }

    /// Whether the message may be compressed, if the connection has agreed on compression.
    #[must_use]
    pub const fn may_compress(self) -> bool {
        match self.0 {
            Content::Message { may_compress, .. } => may_compress,
            Content::Prepared(prepared) => prepared.cache.is_some(),
        }
    }

    /// The encoded message, if it was prepared.
    #[inline]
    pub(crate) const fn prepared(self) -> Option<&'a PreparedMessage> {
        match self.0 {
            Content::Message { .. } => None,
            Content::Prepared(prepared) => Some(prepared),
        }
    }
}

impl<'a, M: Into<Message<'a>>> From<M> for Outgoing<'a> {
    #[inline]
    fn from(message: M) -> Self {
        Self(Content::Message { message: message.into(), may_compress: true })
    }
}

/// What can be sent as a message: text (`str`, `String`), bytes (`[u8]`, `Vec<u8>`, `Bytes`), a
/// received [`Message`], a [`PreparedMessage`], and references and smart pointers to these.
/// Implement it for your own type that holds an encoded message.
///
/// ```
/// use eventwire::{AsOutgoing, Connection, Outgoing};
///
/// struct Json(String);
///
/// impl AsOutgoing for Json {
///     fn as_outgoing(&self) -> Outgoing<'_> {
///         self.0.as_outgoing()
///     }
/// }
///
/// fn answer(conn: &mut Connection<'_>, count: u64) {
///     conn.send("counted");
///     conn.send(format!("{count} items"));
///     conn.send(count.to_be_bytes());
///     conn.send(Json(format!("{{\"count\":{count}}}")));
/// }
/// ```
pub trait AsOutgoing {
    /// The message.
    fn as_outgoing(&self) -> Outgoing<'_>;
}

impl AsOutgoing for str {
    #[inline]
    fn as_outgoing(&self) -> Outgoing<'_> {
        self.into()
    }
}

impl AsOutgoing for String {
    #[inline]
    fn as_outgoing(&self) -> Outgoing<'_> {
        self.into()
    }
}

impl AsOutgoing for [u8] {
    #[inline]
    fn as_outgoing(&self) -> Outgoing<'_> {
        self.into()
    }
}

impl<const N: usize> AsOutgoing for [u8; N] {
    #[inline]
    fn as_outgoing(&self) -> Outgoing<'_> {
        self.into()
    }
}

impl AsOutgoing for Vec<u8> {
    #[inline]
    fn as_outgoing(&self) -> Outgoing<'_> {
        self.into()
    }
}

impl AsOutgoing for Bytes {
    #[inline]
    fn as_outgoing(&self) -> Outgoing<'_> {
        self[..].into()
    }
}

impl AsOutgoing for Message<'_> {
    #[inline]
    fn as_outgoing(&self) -> Outgoing<'_> {
        // Not copied as a whole, so that the compiler sees that it is not a prepared message.
        match *self {
            Self::Text(text) => text.into(),
            Self::Binary(bytes) => bytes.into(),
        }
    }
}

impl AsOutgoing for Outgoing<'_> {
    #[inline]
    fn as_outgoing(&self) -> Outgoing<'_> {
        *self
    }
}

impl AsOutgoing for PreparedMessage {
    #[inline]
    fn as_outgoing(&self) -> Outgoing<'_> {
        Outgoing(Content::Prepared(self))
    }
}

impl<T: AsOutgoing + ?Sized> AsOutgoing for &T {
    #[inline]
    fn as_outgoing(&self) -> Outgoing<'_> {
        (**self).as_outgoing()
    }
}

impl<T: AsOutgoing + ?Sized> AsOutgoing for Box<T> {
    #[inline]
    fn as_outgoing(&self) -> Outgoing<'_> {
        (**self).as_outgoing()
    }
}

impl<T: AsOutgoing + ?Sized> AsOutgoing for Arc<T> {
    #[inline]
    fn as_outgoing(&self) -> Outgoing<'_> {
        (**self).as_outgoing()
    }
}

impl<T: AsOutgoing + ToOwned + ?Sized> AsOutgoing for Cow<'_, T> {
    #[inline]
    fn as_outgoing(&self) -> Outgoing<'_> {
        (**self).as_outgoing()
    }
}

impl<'a> From<Message<'a>> for Payload<'a> {
    fn from(message: Message<'a>) -> Self {
        Self { opcode: message.opcode(), compressed: false, bytes: message.as_bytes() }
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
