use std::borrow::Cow;
use std::fmt;

use crate::proto::handshake::HandshakeError;
use crate::proto::{Buffer, Message, OpCode, ProtocolError};

/// Where a connection is in its life.
///
/// ```text
/// Connecting ──handshake done──▶ Open ──close frame sent──▶ Closing ──peer's close frame──▶ Closed
///     │                            └────peer's close frame, error or timeout─────────────────▲
///     └──────────────refused, failed or timed out────────────────────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The opening handshake is not done.
    Connecting,
    /// Messages go both ways.
    Open,
    /// Our close frame is sent, the peer's is awaited; what else arrives is discarded.
    Closing,
    /// Nothing more is sent or received: the owner ends the stream after what is written.
    Closed,
}

/// What arrived.
#[derive(Debug)]
pub enum Event<'a> {
    /// What a proxy says of its client, where that was expected: a header of the PROXY protocol, a
    /// valid line of version 1, or one of version 2 of the right length, whatever it says.
    ProxyHeader(Cow<'a, [u8]>),
    /// A client's request, to be parsed with [`UpgradeRequest::parse`] and answered with
    /// [`WebSocket::accept`] or [`WebSocket::refuse`], or to be parsed with
    /// [`HttpRequest::parse`] and answered with [`WebSocket::respond`], before anything else is
    /// received.
    ///
    /// [`HttpRequest::parse`]: crate::proto::http::HttpRequest::parse
    /// [`WebSocket::respond`]: super::WebSocket::respond
    /// [`UpgradeRequest::parse`]: crate::proto::handshake::UpgradeRequest::parse
    /// [`WebSocket::accept`]: super::WebSocket::accept
    /// [`WebSocket::refuse`]: super::WebSocket::refuse
    Request(Cow<'a, [u8]>),
    /// The server accepted: the head of its response, which was checked.
    Open(Cow<'a, [u8]>),
    /// A whole message.
    Message(Incoming<'a>),
    /// A ping. Its pong was written: nothing else was in that call.
    Ping(Cow<'a, [u8]>),
    /// A pong, asked for or not.
    Pong(Cow<'a, [u8]>),
    /// The payload of the peer's close frame, which is its last frame, for
    /// [`CloseFrame::parse`](crate::proto::CloseFrame::parse); it was checked. Our close frame
    /// was written if it had not been sent.
    Close(Cow<'a, [u8]>),
}

/// What became of the input of one call.
#[derive(Debug)]
pub struct Handled<'a> {
    /// How many bytes of the input were consumed, from the first.
    pub consumed: usize,
    /// What they made, if anything.
    pub event: Option<Event<'a>>,
}

impl Handled<'_> {
    /// So many bytes were consumed, and made nothing.
    pub(super) const fn all(consumed: usize) -> Self {
        Self { consumed, event: None }
    }
}

/// A message as it arrived: in the input, or assembled from pieces.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// The message lies in the input, unmasked in place.
    Borrowed(Message<'a>),
    /// The message was assembled. Give the buffer back with [`BufferPool::recycle`].
    ///
    /// [`BufferPool::recycle`]: crate::proto::BufferPool::recycle
    Assembled(OpCode, Buffer),
}

impl Incoming<'_> {
    /// The message.
    ///
    /// # Panics
    ///
    /// Never: text was validated while it arrived.
    #[must_use]
    pub fn message(&self) -> Message<'_> {
        match self {
            Self::Borrowed(message) => *message,
            Self::Assembled(OpCode::Text, buffer) => Message::Text(
                std::str::from_utf8(buffer.as_slice()).expect("validated while it arrived"),
            ),
            Self::Assembled(_, buffer) => Message::Binary(buffer.as_slice()),
        }
    }
}

/// What the peer did to end the connection in disorder. It was told so, and the state is
/// [`State::Closed`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PeerError {
    /// The opening handshake failed.
    Handshake(HandshakeError),
    /// A frame broke the protocol or a limit.
    Protocol(ProtocolError),
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => error.fmt(f),
            Self::Protocol(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PeerError {}

impl From<HandshakeError> for PeerError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<ProtocolError> for PeerError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

/// Which deadline a connection missed. The state is [`State::Closed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimedOut {
    /// The opening handshake.
    Handshake,
    /// The end of a message that had begun, or its progress.
    Message,
    /// Any sign of life after a ping.
    Pong,
    /// The closing handshake.
    Close,
}
