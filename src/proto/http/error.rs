use std::fmt;

use super::HeadLimits;

/// Why a head or a body of HTTP is refused.
///
/// Every variant has a status for the client ([`status`](Self::status)). Its text repeats nothing
/// that the peer sent, so that it can be logged and sent as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HttpError {
    /// The head announces a body. An upgrade has none, and its bytes would be read as frames.
    BodyNotAllowed,
    /// The stream ended before the body did.
    BodyCutShort,
    /// The body is longer than allowed.
    BodyTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The chunk extensions of a body are longer than allowed (RFC 9112 §7.1.1).
    ChunkExtensionsTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The head declares both a length of the body and a transfer coding, which has a length of its
    /// own (RFC 9112 §6.3).
    ConflictingLengths,
    /// The bytes are not exactly one head: the empty line is missing, or bytes follow it.
    HeadBoundary,
    /// The whole head is longer than allowed.
    HeadTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A line after the first is longer than allowed.
    HeaderLineTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The head has this control byte.
    InvalidByte(u8),
    /// The size of a chunk is malformed or over 64 bits, or its data ends elsewhere (RFC 9112
    /// §7.1).
    InvalidChunk,
    /// A header line has no colon, or its name is not a token (RFC 9112 §5.1).
    InvalidHeaderLine,
    /// A carriage return or a line feed stands without the other (RFC 9112 §2.2).
    InvalidLineEnding,
    /// A parameter in the path is not UTF-8 in percent-encoding.
    InvalidParameter,
    /// The request line or status line is malformed.
    InvalidStartLine,
    /// The request target is neither a path nor a URL of `http`, `https`, `ws` or `wss`, or it has
    /// a fragment or bytes other than visible ASCII (RFC 6455 §4.1, RFC 9112 §3.2).
    InvalidTarget,
    /// An empty line precedes the head.
    LeadingEmptyLine,
    /// A line starts with white space, which is the obsolete line folding (RFC 9112 §5.2).
    LineFolding,
    /// This header has a malformed value.
    MalformedHeader(&'static str),
    /// This header is required and missing.
    MissingHeader(&'static str),
    /// This header may occur only once.
    RepeatedHeader(&'static str),
    /// The request line or status line is longer than allowed.
    StartLineTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The list in this header has more elements than [`HeadLimits::ELEMENTS_MAX`]. Empty elements
    /// count.
    TooManyElements {
        /// The name of the header.
        header: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The head has more header lines than allowed.
    TooManyHeaders {
        /// The limit.
        limit: usize,
    },
    /// The request expects something other than `100-continue` (RFC 9110 §10.1.1).
    UnsupportedExpectation,
    /// The body has a transfer coding other than `chunked`, or one after that (RFC 9112 §6.1).
    UnsupportedTransferCoding,
    /// The version of HTTP is not 1.1. Only a request that opens no WebSocket may have 1.0.
    UnsupportedVersion,
}

impl HttpError {
    /// The status for the client.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BodyTooLarge { .. } => 413,
            Self::StartLineTooLong { .. } => 414,
            Self::UnsupportedExpectation => 417,
            Self::HeadTooLarge { .. }
            | Self::HeaderLineTooLong { .. }
            | Self::TooManyElements { .. }
            | Self::TooManyHeaders { .. } => 431,
            Self::UnsupportedTransferCoding => 501,
            Self::UnsupportedVersion => 505,
            _ => 400,
        }
    }

    pub(crate) const fn too_many_elements(header: &'static str) -> Self {
        Self::TooManyElements { header, limit: HeadLimits::ELEMENTS_MAX }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BodyNotAllowed => f.write_str("a handshake has no body"),
            Self::BodyCutShort => f.write_str("stream ended before the body"),
            Self::BodyTooLarge { limit } => write!(f, "body over {limit} bytes"),
            Self::ChunkExtensionsTooLong { limit } => {
                write!(f, "chunk extensions over {limit} bytes")
            }
            Self::ConflictingLengths => f.write_str("two lengths of one body"),
            Self::HeadBoundary => f.write_str("not exactly one head"),
            Self::HeadTooLarge { limit } => write!(f, "head over {limit} bytes"),
            Self::HeaderLineTooLong { limit } => write!(f, "header line over {limit} bytes"),
            Self::InvalidByte(byte) => write!(f, "control byte {byte:#04x} in the head"),
            Self::InvalidChunk => f.write_str("malformed chunk"),
            Self::InvalidHeaderLine => f.write_str("malformed header line"),
            Self::InvalidLineEnding => f.write_str("line ending that is not CR LF"),
            Self::InvalidParameter => f.write_str("path parameter that is not encoded UTF-8"),
            Self::InvalidStartLine => f.write_str("malformed first line"),
            Self::InvalidTarget => f.write_str("request target that is no path or URL"),
            Self::LeadingEmptyLine => f.write_str("empty line before the head"),
            Self::LineFolding => f.write_str("folded header line"),
            Self::MalformedHeader(name) => write!(f, "malformed {name}"),
            Self::MissingHeader(name) => write!(f, "missing {name}"),
            Self::RepeatedHeader(name) => write!(f, "{name} more than once"),
            Self::StartLineTooLong { limit } => write!(f, "first line over {limit} bytes"),
            Self::TooManyElements { header, limit } => {
                write!(f, "more than {limit} elements in {header}")
            }
            Self::TooManyHeaders { limit } => write!(f, "more than {limit} headers"),
            Self::UnsupportedExpectation => f.write_str("expectation other than 100-continue"),
            Self::UnsupportedTransferCoding => f.write_str("transfer coding other than chunked"),
            Self::UnsupportedVersion => f.write_str("version of HTTP is not 1.1"),
        }
    }
}

impl std::error::Error for HttpError {}
