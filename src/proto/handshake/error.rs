use std::fmt;

use super::Refusal;
use crate::proto::http::HttpError;

/// Why an opening handshake failed.
///
/// A server responds to each error with a status ([`status`](Self::status)), in a whole response
/// ([`refusal`](Self::refusal)). The error's text repeats nothing that the peer sent, so that it
/// can be logged and sent as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer ended the connection before the handshake was complete.
    ConnectionEnded,
    /// The server's parameters of an extension do not fit those that were offered, or the extension
    /// has no such parameters (RFC 6455 §9.1, RFC 7692 §7.1).
    ExtensionMismatch,
    /// The head is not one that HTTP or this crate's limits allow.
    Http(HttpError),
    /// The bytes before the head are no header of the PROXY protocol, version 1 or 2. The proxy is
    /// expected to send one, which names its client.
    InvalidProxyHeader,
    /// An offered subprotocol is not a token (RFC 6455 §4.1).
    InvalidSubprotocol,
    /// The method is not GET.
    MethodNotAllowed,
    /// `Connection` does not name the upgrade (RFC 6455 §4.1 and §4.2.1).
    MissingConnection,
    /// `Upgrade` does not name the WebSocket protocol (RFC 6455 §4.1 and §4.2.1).
    MissingUpgrade,
    /// The policy does not let pages of this origin connect (RFC 6455 §10.2).
    OriginNotAllowed,
    /// A subprotocol is offered twice (RFC 6455 §4.1).
    RepeatedSubprotocol,
    /// The application did not respond to the request in time.
    ResponseTimedOut,
    /// The handshake was not complete in time.
    TimedOut,
    /// The server sent more interim responses than allowed before the final one (RFC 9110 §15.2).
    TooManyInterimResponses {
        /// The limit.
        limit: usize,
    },
    /// The server chose an extension though none was offered (RFC 6455 §4.1).
    UnaskedExtension,
    /// The server chose a subprotocol that was not offered (RFC 6455 §4.1).
    UnaskedSubprotocol,
    /// The server accepts no further connection: it is full, or shutting down.
    Unavailable,
    /// The server answered with this status instead of 101. A
    /// [`WebSocket`](crate::proto::WebSocket) has the whole response instead
    /// ([`PeerError::Refused`](crate::proto::PeerError)).
    UnexpectedStatus(u16),
    /// The version of the WebSocket protocol is not 13 (RFC 6455 §4.4).
    UnsupportedWebSocketVersion,
    /// `Sec-WebSocket-Accept` does not fit the key (RFC 6455 §4.1).
    WrongAccept,
}

impl HandshakeError {
    /// The status for the client.
    ///
    /// A failure that only a client can meet has 502, with which a gateway reports a failure of
    /// the server behind it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Http(error) => error.status(),
            Self::OriginNotAllowed => 403,
            Self::MethodNotAllowed => 405,
            Self::TimedOut => 408,
            Self::MissingUpgrade | Self::UnsupportedWebSocketVersion => 426,
            Self::ExtensionMismatch
            | Self::UnaskedExtension
            | Self::UnaskedSubprotocol
            | Self::TooManyInterimResponses { .. }
            | Self::UnexpectedStatus(_)
            | Self::WrongAccept => 502,
            Self::Unavailable => 503,
            Self::ResponseTimedOut => 504,
            _ => 400,
        }
    }

    /// The response for the client: the status, and this error's text as the body.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        Refusal::new(self.status()).body(self.to_string())
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ConnectionEnded => f.write_str("connection ended during the handshake"),
            Self::ExtensionMismatch => {
                f.write_str("extension's parameters are not what was offered")
            }
            Self::Http(error) => error.fmt(f),
            Self::InvalidProxyHeader => f.write_str("no header of the PROXY protocol"),
            Self::InvalidSubprotocol => f.write_str("offered subprotocol that is not a token"),
            Self::MethodNotAllowed => f.write_str("method is not GET"),
            Self::MissingConnection => f.write_str("Connection does not name the upgrade"),
            Self::MissingUpgrade => f.write_str("Upgrade does not name websocket"),
            Self::OriginNotAllowed => f.write_str("origin not allowed"),
            Self::RepeatedSubprotocol => f.write_str("subprotocol offered twice"),
            Self::ResponseTimedOut => f.write_str("no response in time"),
            Self::TimedOut => f.write_str("handshake not complete in time"),
            Self::TooManyInterimResponses { limit } => {
                write!(f, "more than {limit} interim responses")
            }
            Self::UnaskedExtension => f.write_str("server chose an extension not offered"),
            Self::UnaskedSubprotocol => f.write_str("server chose a subprotocol not offered"),
            Self::Unavailable => f.write_str("no further connections now"),
            Self::UnexpectedStatus(status) => write!(f, "status {status} instead of 101"),
            Self::UnsupportedWebSocketVersion => f.write_str("WebSocket version is not 13"),
            Self::WrongAccept => f.write_str("Sec-WebSocket-Accept does not answer the key"),
        }
    }
}

impl std::error::Error for HandshakeError {}

impl From<HttpError> for HandshakeError {
    fn from(error: HttpError) -> Self {
        Self::Http(error)
    }
}

impl From<HandshakeError> for Refusal {
    fn from(error: HandshakeError) -> Self {
        error.refusal()
    }
}
