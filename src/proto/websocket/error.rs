use std::fmt;

use super::CloseCode;

/// How a peer broke RFC 6455 or a limit after the opening handshake.
///
/// The connection ends with a close code for the peer ([`ProtocolError::close_code`]). No such
/// error is a failure of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A control frame has a payload of more than 125 bytes (RFC 6455 §5.5).
    ControlTooLong,
    /// The peer sent more control frames or empty fragments than the configured rate allows.
    ControlFlood,
    /// A control frame has no FIN bit (RFC 6455 §5.5).
    FragmentedControl,
    /// A frame is longer than the configured limit.
    FrameTooLarge {
        /// The length of the payload that the header declares, in bytes.
        len: u64,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A new data frame arrived while a fragmented message was unfinished (RFC 6455 §5.4).
    InterruptedMessage,
    /// A close frame has a code that must not be sent (RFC 6455 §7.4).
    InvalidCloseCode(u16),
    /// A close frame has a payload of a single byte, which is no code (RFC 6455 §5.5.1).
    InvalidCloseLength,
    /// A compressed message cannot be decompressed (RFC 7692 §7.2.2).
    InvalidDeflate,
    /// A text message, or the reason of a close frame, is not UTF-8 (RFC 6455 §8.1).
    InvalidUtf8,
    /// A 64-bit length has its most significant bit set (RFC 6455 §5.2).
    LengthOverflow,
    /// A server masked a frame (RFC 6455 §5.1).
    MaskedFrame,
    /// A message is longer than the configured limit.
    MessageTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A length is not in its shortest form (RFC 6455 §5.2).
    NonMinimalLength,
    /// A reserved bit is set, to which no negotiated extension gives a meaning in this frame
    /// (RFC 6455 §5.2).
    ReservedBits,
    /// A frame has an opcode that RFC 6455 §5.2 reserves.
    ReservedOpCode(u8),
    /// A message has more fragments than the configured limit.
    TooManyFragments {
        /// The limit.
        limit: usize,
    },
    /// A continuation frame arrived while no message was unfinished (RFC 6455 §5.4).
    UnexpectedContinuation,
    /// A client sent a frame without a mask (RFC 6455 §5.1).
    UnmaskedFrame,
}

impl ProtocolError {
    /// The close code for the peer (RFC 6455 §7.4.1).
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
            Self::InvalidCloseLength => f.write_str("close frame with a payload of one byte"),
            Self::InvalidDeflate => f.write_str("compressed message that cannot be decompressed"),
            Self::InvalidUtf8 => f.write_str("text that is not UTF-8"),
            Self::LengthOverflow => f.write_str("frame length of 2^63 or more"),
            Self::MaskedFrame => f.write_str("masked frame from a server"),
            Self::MessageTooLarge { limit } => {
                write!(f, "message over the limit of {limit} bytes")
            }
            Self::NonMinimalLength => f.write_str("frame length not in its shortest form"),
            Self::ReservedBits => f.write_str("reserved bits set in a frame header"),
            Self::ReservedOpCode(code) => write!(f, "reserved opcode {code:#x}"),
            Self::TooManyFragments { limit } => {
                write!(f, "message in more than {limit} fragments")
            }
            Self::UnexpectedContinuation => {
                f.write_str("continuation frame without a message to continue")
            }
            Self::UnmaskedFrame => f.write_str("unmasked frame from a client"),
        }
    }
}

impl std::error::Error for ProtocolError {}
