use std::borrow::Cow;
use std::fmt;

use crate::proto::handshake::{HandshakeError, Refused};
use crate::proto::{Buffer, Message, OpCode, ProtocolError};

/// The state of a connection.
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
    /// Both ends can send messages.
    Open,
    /// This end has sent its close frame and waits for the peer's. Messages that arrive are
    /// discarded.
    Closing,
    /// Nothing more is sent or received. The owner sends what was written and ends the stream.
    Closed,
}

/// What arrived.
#[derive(Debug)]
pub enum Event<'a> {
    /// A header of the PROXY protocol, if one was expected
    /// ([`WebSocket::behind_proxy`](super::WebSocket::behind_proxy)): a valid line of version 1, or
    /// a header of version 2 of which only the length was checked.
    ProxyHeader(Cow<'a, [u8]>),
    /// The head of a client's request. The owner must respond before it handles further input.
    ///
    /// It parses the head with [`UpgradeRequest::parse`] and responds with [`WebSocket::accept`] or
    /// [`WebSocket::refuse`], or parses it with [`HttpRequest::parse`] and responds with
    /// [`WebSocket::respond`].
    ///
    /// [`HttpRequest::parse`]: crate::proto::http::HttpRequest::parse
    /// [`WebSocket::respond`]: super::WebSocket::respond
    /// [`UpgradeRequest::parse`]: crate::proto::handshake::UpgradeRequest::parse
    /// [`WebSocket::accept`]: super::WebSocket::accept
    /// [`WebSocket::refuse`]: super::WebSocket::refuse
    Request(Cow<'a, [u8]>),
    /// A client's request whose body has arrived whole. The event loop asks for it after
    /// [`Event::Request`]; no other owner gets this event. The owner must respond before it handles
    /// further input.
    Body {
        /// The head of the request.
        head: Vec<u8>,
        /// The body, without the frame of its chunks.
        body: Vec<u8>,
    },
    /// The proxy of a client ([`ClientHandshake::behind_proxy`]) has opened a tunnel to the server.
    /// What follows on the stream is the server's. The owner must call [`ClientHandshake::request`]
    /// before it handles further input, and begins TLS before that if the server requires it.
    ///
    /// [`ClientHandshake::behind_proxy`]: super::ClientHandshake::behind_proxy
    /// [`ClientHandshake::request`]: super::ClientHandshake::request
    Tunnel,
    /// The server accepted. This is the head of its response, which was checked. The owner must
    /// open the connection with [`ClientHandshake::open`] before it handles further input.
    ///
    /// [`ClientHandshake::open`]: super::ClientHandshake::open
    Response(Cow<'a, [u8]>),
    /// A whole message.
    Message(Incoming<'a>),
    /// A ping. Its pong was written, and nothing else was written in that call.
    Ping(Cow<'a, [u8]>),
    /// A pong, whether a ping asked for it or not.
    Pong(Cow<'a, [u8]>),
    /// The payload of the peer's close frame, for
    /// [`CloseFrame::parse`](crate::proto::CloseFrame::parse). It is valid. Nothing comes after it.
    /// This end's close frame was written, unless it had been sent before.
    Close(Cow<'a, [u8]>),
}

/// The result of one call with input.
#[derive(Debug)]
pub struct Handled<'a> {
    /// How many bytes at the front of the input were consumed.
    pub consumed: usize,
    /// The event that they make, if any.
    pub event: Option<Event<'a>>,
}

impl Handled<'_> {
    /// `consumed` bytes were consumed and make no event.
    pub(super) const fn all(consumed: usize) -> Self {
        Self { consumed, event: None }
    }
}

/// A received message.
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

/// What the peer did wrong. The bytes that tell the peer were written, and the state is
/// [`State::Closed`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PeerError {
    /// The opening handshake failed.
    Handshake(HandshakeError),
    /// The server refused a client's request: its status is not 101.
    Refused(Box<Refused>),
    /// The proxy refused a client's request for a tunnel: its status is not 2xx.
    ProxyRefused(Box<Refused>),
    /// The peer broke the protocol or a limit.
    Protocol(ProtocolError),
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => error.fmt(f),
            Self::Refused(refused) => write!(f, "status {} instead of 101", refused.status()),
            Self::ProxyRefused(refused) => {
                write!(f, "status {} of the proxy instead of 2xx", refused.status())
            }
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
    /// The opening handshake was not complete in time.
    Handshake,
    /// The application did not respond to a request in time.
    Response,
    /// A message made no progress in time.
    Message,
    /// Nothing arrived in time after a ping.
    Pong,
    /// A raw stream brought nothing for its idle timeout.
    Idle,
    /// The closing handshake, or the end of the stream after it, did not come in time.
    Close,
}
