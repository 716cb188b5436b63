use std::fmt;

use super::CloseCode;

/// What a peer did against RFC 6455 or against our limits, after the opening handshake.
///
/// Every variant maps to the close code that the peer is told before the connection ends
/// ([`ProtocolError::close_code`]). None of them says anything about the health of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A control frame carries more than 125 bytes (RFC 6455 §5.5).
    ControlTooLong,
    /// More control frames, or empty fragments, than the configured rate allows.
    ControlFlood,
    /// A control frame without the FIN bit (RFC 6455 §5.5).
    FragmentedControl,
    /// A frame is longer than the configured limit, in bytes.
    FrameTooLarge {
        /// The payload length that the header declares.
        len: u64,
        /// The limit that it exceeds.
        limit: usize,
    },
    /// A new data frame arrived while a fragmented message was unfinished (RFC 6455 §5.4).
    InterruptedMessage,
    /// A close frame carries a code that must not appear on the wire (RFC 6455 §7.4).
    InvalidCloseCode(u16),
    /// A close frame carries a single byte, which is no code (RFC 6455 §5.5.1).
    InvalidCloseLength,
    /// A compressed message cannot be decompressed (RFC 7692 §7.2.2).
    InvalidDeflate,
    /// A text message, or the reason of a close frame, is not UTF-8 (RFC 6455 §8.1).
    InvalidUtf8,
    /// A 64-bit length has its most significant bit set (RFC 6455 §5.2).
    LengthOverflow,
    /// A server masked a frame (RFC 6455 §5.1).
    MaskedFrame,
    /// A message is longer than the configured limit, in bytes.
    MessageTooLarge {
        /// The limit that the message exceeds.
        limit: usize,
    },
    /// A length is not in its shortest form (RFC 6455 §5.2).
    NonMinimalLength,
    /// A reserved bit is set that no extension which was negotiated gives a meaning there
    /// (RFC 6455 §5.2).
    ReservedBits,
    /// An opcode that RFC 6455 §5.2 reserves.
    ReservedOpCode(u8),
    /// A message came in more fragments than the configured limit.
    TooManyFragments {
        /// The limit that the message exceeds.
        limit: usize,
    },
    /// A continuation frame without a message to continue (RFC 6455 §5.4).
    UnexpectedContinuation,
    /// A client sent a frame without a mask (RFC 6455 §5.1).
    UnmaskedFrame,
}

impl ProtocolError {
    /// The close code that tells the peer what it did (RFC 6455 §7.4.1).
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidDeflate | Self::InvalidUtf8 => CloseCode::INVALID_PAYLOAD,
            Self::FrameTooLarge { .. }
            | Self::MessageTooLarge { .. }
            | Self::TooManyFragments { .. } => CloseCode::TOO_BIG,
            Self::ControlFlood => CloseCode::POLICY,
            _ => CloseCode::PROTOCOL,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ControlTooLong => f.write_str("control frame over 125 bytes"),
            Self::ControlFlood => f.write_str("too many control frames or empty fragments"),
            Self::FragmentedControl => f.write_str("fragmented control frame"),
            Self::FrameTooLarge { len, limit } => {
                write!(f, "frame of {len} bytes over the limit of {limit}")
            }
            Self::InterruptedMessage => f.write_str("data frame inside a fragmented message"),
            Self::InvalidCloseCode(code) => write!(f, "close code {code} is not allowed"),
            Self::InvalidCloseLength => f.write_str("close frame of one byte"),
            Self::InvalidDeflate => f.write_str("message that cannot be decompressed"),
            Self::InvalidUtf8 => f.write_str("text that is not UTF-8"),
            Self::LengthOverflow => f.write_str("frame length with its top bit set"),
            Self::MaskedFrame => f.write_str("masked frame from a server"),
            Self::MessageTooLarge { limit } => {
                write!(f, "message over the limit of {limit} bytes")
            }
            Self::NonMinimalLength => f.write_str("frame length not in its shortest form"),
            Self::ReservedBits => f.write_str("reserved bits set without a meaning"),
            Self::ReservedOpCode(code) => write!(f, "reserved opcode {code:#x}"),
            Self::TooManyFragments { limit } => {
                write!(f, "message in more than {limit} fragments")
            }
            Self::UnexpectedContinuation => f.write_str("continuation of no message"),
            Self::UnmaskedFrame => f.write_str("unmasked frame from a client"),
        }
    }
}

impl std::error::Error for ProtocolError {}
