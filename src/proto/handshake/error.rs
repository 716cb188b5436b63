use std::fmt;

use super::Refusal;
use crate::proto::http::HeadLimits;

/// Why an opening handshake failed.
///
/// On a server every variant has a status for the client ([`status`](Self::status)) and a whole
/// answer ([`refusal`](Self::refusal)). Its text repeats nothing that the peer sent, so that it can
/// be logged and answered as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandshakeError {
    /// A body is announced; an upgrade has none, and its bytes would be read as frames.
    BodyNotAllowed,
    /// The peer ended the connection before the handshake was complete.
    ConnectionEnded,
    /// The server's parameters of an extension do not answer those that were offered, or are none
    /// that it has (RFC 6455 §9.1, RFC 7692 §7.1).
    ExtensionMismatch,
    /// The bytes given as a head are not exactly one: the empty line is missing, or not last.
    HeadBoundary,
    /// The whole head is longer than allowed.
    HeadTooLarge {
        /// The limit that it exceeds, in bytes.
        limit: usize,
    },
    /// A line after the first is longer than allowed.
    HeaderLineTooLong {
        /// The limit that it exceeds, in bytes.
        limit: usize,
    },
    /// A control byte in the head.
    InvalidByte(u8),
    /// A header line without a colon, or with a name that is not a token (RFC 9112 §5.1).
    InvalidHeaderLine,
    /// A carriage return or a line feed without the other (RFC 9112 §2.2).
    InvalidLineEnding,
    /// The request line or status line is malformed.
    InvalidStartLine,
    /// An offered subprotocol is not a token (RFC 6455 §4.1).
    InvalidSubprotocol,
    /// The request target is no path, nor a URL of `http`, `https`, `ws` or `wss`, of visible ASCII
    /// without a fragment (RFC 6455 §4.1, RFC 9112 §3.2).
    InvalidTarget,
    /// An empty line before the head.
    LeadingEmptyLine,
    /// A line that starts with white space, the obsolete folding (RFC 9112 §5.2).
    LineFolding,
    /// What comes before the head, where a proxy says of its client, is no header of the PROXY
    /// protocol, version 1 or 2.
    InvalidProxyHeader,
    /// This header has a value that it cannot have.
    MalformedHeader(&'static str),
    /// The method is not GET.
    MethodNotAllowed,
    /// `Connection` does not name the upgrade (RFC 6455 §4.1 and §4.2.1).
    MissingConnection,
    /// This header is required.
    MissingHeader(&'static str),
    /// `Upgrade` does not name the WebSocket protocol (RFC 6455 §4.1 and §4.2.1).
    MissingUpgrade,
    /// The policy does not let pages of this origin connect (RFC 6455 §10.2).
    OriginNotAllowed,
    /// This header may come only once.
    RepeatedHeader(&'static str),
    /// A subprotocol is offered twice (RFC 6455 §4.1).
    RepeatedSubprotocol,
    /// The request line or status line is longer than allowed.
    StartLineTooLong {
        /// The limit that it exceeds, in bytes.
        limit: usize,
    },
    /// The handshake was not complete in time.
    TimedOut,
    /// The list in this header has more elements than [`HeadLimits::ELEMENTS_MAX`], empty ones
    /// included.
    TooManyElements {
        /// The name of the header.
        header: &'static str,
        /// The limit that they exceed.
        limit: usize,
    },
    /// The server sent more interim responses than allowed before its answer (RFC 9110 §15.2).
    TooManyInterimResponses {
        /// The limit that they exceed.
        limit: usize,
    },
    /// More header lines than allowed.
    TooManyHeaders {
        /// The limit that they exceed.
        limit: usize,
    },
    /// The server chose an extension though none was offered (RFC 6455 §4.1).
    UnaskedExtension,
    /// The server chose a subprotocol that was not offered (RFC 6455 §4.1).
    UnaskedSubprotocol,
    /// The server takes no further connection: it is full, or shutting down.
    Unavailable,
    /// The server answered with this status instead of 101.
    UnexpectedStatus(u16),
    /// The version of HTTP is not 1.1, nor 1.0 where no WebSocket is asked for.
    UnsupportedVersion,
    /// The version of the WebSocket protocol is not 13 (RFC 6455 §4.4).
    UnsupportedWebSocketVersion,
    /// `Sec-WebSocket-Accept` does not answer the key (RFC 6455 §4.1).
    WrongAccept,
}

impl HandshakeError {
    /// The status that tells a client what is wrong.
    ///
    /// A failure that only a client can meet has 502, what a gateway says of the server behind it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::OriginNotAllowed => 403,
            Self::MethodNotAllowed => 405,
            Self::TimedOut => 408,
            Self::StartLineTooLong { .. } => 414,
            Self::MissingUpgrade | Self::UnsupportedWebSocketVersion => 426,
            Self::HeadTooLarge { .. }
            | Self::HeaderLineTooLong { .. }
            | Self::TooManyElements { .. }
            | Self::TooManyHeaders { .. } => 431,
            Self::ExtensionMismatch
            | Self::UnaskedExtension
            | Self::UnaskedSubprotocol
            | Self::TooManyInterimResponses { .. }
            | Self::UnexpectedStatus(_)
            | Self::WrongAccept => 502,
            Self::Unavailable => 503,
            Self::UnsupportedVersion => 505,
            _ => 400,
        }
    }

    pub(crate) const fn too_many_elements(header: &'static str) -> Self {
        Self::TooManyElements { header, limit: HeadLimits::ELEMENTS_MAX }
    }

    /// The answer for the client: the status, and this error's text as the body.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        Refusal::new(self.status()).body(self.to_string())
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BodyNotAllowed => f.write_str("a handshake has no body"),
            Self::ConnectionEnded => f.write_str("connection ended during the handshake"),
            Self::ExtensionMismatch => {
                f.write_str("extension's parameters are not what was offered")
            }
            Self::HeadBoundary => f.write_str("not exactly one head"),
            Self::HeadTooLarge { limit } => write!(f, "head over {limit} bytes"),
            Self::HeaderLineTooLong { limit } => write!(f, "header line over {limit} bytes"),
            Self::InvalidByte(byte) => write!(f, "control byte {byte:#04x} in the head"),
            Self::InvalidHeaderLine => f.write_str("malformed header line"),
            Self::InvalidLineEnding => f.write_str("line ending that is not CR LF"),
            Self::InvalidStartLine => f.write_str("malformed first line"),
            Self::InvalidSubprotocol => f.write_str("offered subprotocol that is not a token"),
            Self::InvalidTarget => f.write_str("request target that is no path or URL"),
            Self::InvalidProxyHeader => f.write_str("no header of the PROXY protocol"),
            Self::LeadingEmptyLine => f.write_str("empty line before the head"),
            Self::LineFolding => f.write_str("folded header line"),
            Self::MalformedHeader(name) => write!(f, "malformed {name}"),
            Self::MethodNotAllowed => f.write_str("method is not GET"),
            Self::MissingConnection => f.write_str("Connection does not name the upgrade"),
            Self::MissingHeader(name) => write!(f, "missing {name}"),
            Self::MissingUpgrade => f.write_str("Upgrade does not name websocket"),
            Self::OriginNotAllowed => f.write_str("origin not allowed"),
            Self::RepeatedHeader(name) => write!(f, "{name} more than once"),
            Self::RepeatedSubprotocol => f.write_str("subprotocol offered twice"),
            Self::StartLineTooLong { limit } => write!(f, "first line over {limit} bytes"),
            Self::TimedOut => f.write_str("handshake not complete in time"),
            Self::TooManyElements { header, limit } => {
                write!(f, "more than {limit} elements in {header}")
            }
            Self::TooManyHeaders { limit } => write!(f, "more than {limit} headers"),
            Self::TooManyInterimResponses { limit } => {
                write!(f, "more than {limit} interim responses")
            }
            Self::UnaskedExtension => f.write_str("server chose an extension not offered"),
            Self::UnaskedSubprotocol => f.write_str("server chose a subprotocol not offered"),
            Self::Unavailable => f.write_str("no further connections now"),
            Self::UnexpectedStatus(status) => write!(f, "status {status} instead of 101"),
            Self::UnsupportedVersion => f.write_str("version of HTTP is not 1.1"),
            Self::UnsupportedWebSocketVersion => f.write_str("WebSocket version is not 13"),
            Self::WrongAccept => f.write_str("Sec-WebSocket-Accept does not answer the key"),
        }
    }
}

impl std::error::Error for HandshakeError {}
