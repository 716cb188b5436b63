use super::{ProtocolError, Role};

/// What a frame carries (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// The next part of a fragmented message.
    Continuation = 0x0,
    /// A text message, or its first part.
    Text = 0x1,
    /// A binary message, or its first part.
    Binary = 0x2,
    /// The end of the connection, with a [`CloseFrame`](super::CloseFrame) as its payload.
    Close = 0x8,
    /// A question whether the peer is alive.
    Ping = 0x9,
    /// The answer to a ping.
    Pong = 0xA,
}

impl OpCode {
    /// The opcode with these four bits, unless RFC 6455 §5.2 reserves it.
    #[must_use]
    #[inline]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Whether this is a control frame's: close, ping or pong (RFC 6455 §5.5).
    #[must_use]
    #[inline]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// Everything of a frame but its payload (RFC 6455 §5.2).
///
/// ```
/// use eventwire::proto::{FrameHeader, OpCode, Role};
///
/// let mask = Some([1, 2, 3, 4]);
/// let header = FrameHeader { fin: true, compressed: false, opcode: OpCode::Text, mask, len: 5 };
/// let mut bytes = [0; FrameHeader::MAX_LEN];
/// let len = header.encode(&mut bytes);
/// assert_eq!(bytes[..len], [0x81, 0x85, 1, 2, 3, 4]);
///
/// assert_eq!(FrameHeader::parse(&bytes[..len], Role::Server), Ok(Some((header, len))));
/// assert_eq!(FrameHeader::parse(&bytes[..3], Role::Server), Ok(None)); // more bytes needed
/// assert!(FrameHeader::parse(&bytes[..2], Role::Client).is_err()); // servers do not mask
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameHeader {
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// RSV1: whether this is the first frame of a compressed message (RFC 7692 §6). Never set
    /// unless that was negotiated.
    pub compressed: bool,
    /// What the frame carries.
    pub opcode: OpCode,
    /// The key that masks the payload: in every frame of a client, in no frame of a server.
    pub mask: Option<[u8; 4]>,
    /// The length of the payload, in bytes: below 2^63, and up to 125 in a control frame.
    pub len: u64,
}

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
/// RSV1, with `permessage-deflate`.
const COMPRESSED: u8 = 0x40;
const OPCODE: u8 = 0x0F;
const MASK: u8 = 0x80;
const LENGTH: u8 = 0x7F;

/// In place of a length: it follows in 16 bits.
pub(super) const LENGTH_16: u8 = 126;
/// In place of a length: it follows in 64 bits.
const LENGTH_64: u8 = 127;

impl FrameHeader {
    /// The longest header, in bytes: the first two, a length of eight and a key of four.
    pub const MAX_LEN: usize = 14;

    /// The longest payload whose length fits into the header's second byte.
    pub(crate) const SHORT_MAX: u8 = 125;

    /// Reads a header from the front of `input` and says how many bytes it took; `None` if more
    /// bytes are needed. `receiver` is the role of the end that reads.
    ///
    /// A header that cannot become valid is refused with the byte that decides it, so the error
    /// for a stream is the same however the stream is split.
    ///
    /// # Errors
    ///
    /// - [`ProtocolError::ReservedBits`]: RSV1, RSV2 or RSV3 is set, as if no extension was
    ///   negotiated.
    /// - [`ProtocolError::ReservedOpCode`]: an opcode without a meaning.
    /// - [`ProtocolError::FragmentedControl`]: a control frame without FIN.
    /// - [`ProtocolError::UnmaskedFrame`]: no mask, and a server reads.
    /// - [`ProtocolError::MaskedFrame`]: a mask, and a client reads.
    /// - [`ProtocolError::ControlTooLong`]: a control frame of more than 125 bytes.
    /// - [`ProtocolError::LengthOverflow`]: a length of 2^63 or more.
    /// - [`ProtocolError::NonMinimalLength`]: a length that has a shorter form.
    #[inline]
    pub fn parse(input: &[u8], receiver: Role) -> Result<Option<(Self, usize)>, ProtocolError> {
        Self::parse_agreed(input, receiver, false)
    }

    /// As [`parse`](Self::parse), where `deflate` says whether compressed messages may come.
    #[inline]
    pub(crate) fn parse_agreed(
        input: &[u8],
        receiver: Role,
        deflate: bool,
    ) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some((&first, rest)) = input.split_first() else {
            return Ok(None);
        };
        let (fin, compressed, opcode) = parse_first(first, deflate)?;
        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        let masked = second & MASK != 0;
        match receiver {
            Role::Server if !masked => return Err(ProtocolError::UnmaskedFrame),
            Role::Client if masked => return Err(ProtocolError::MaskedFrame),
            Role::Server | Role::Client => {}
        }
        let short = second & LENGTH;
        let (len, rest) = if short <= Self::SHORT_MAX {
            (u64::from(short), rest)
        } else if opcode.is_control() {
            return Err(ProtocolError::ControlTooLong);
        } else {
            let Some(extended) = parse_extended(short, rest)? else {
                return Ok(None);
            };
            extended
        };
        let (mask, rest) = if masked {
            let Some((key, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (Some(*key), rest)
        } else {
            (None, rest)
        };
        let header = Self { fin, compressed, opcode, mask, len };
        Ok(Some((header, input.len() - rest.len())))
    }

    /// The length of this header on the wire, in bytes: 2 to [`MAX_LEN`](Self::MAX_LEN).
    #[must_use]
    #[inline]
    pub const fn encoded_len(&self) -> usize {
        let length = match self.len {
            0..=125 => 2,
            126..=0xFFFF => 4,
            _ => 10,
        };
        if self.mask.is_some() { length + 4 } else { length }
    }

    /// Writes the header to the front of `out`, its length in the shortest form, and returns how
    /// many bytes it took.
    ///
    /// The fields are written as they are: a peer refuses a control frame that is fragmented or
    /// over 125 bytes, a mask against the [`Role`]s, and a length of 2^63 or more.
    #[must_use]
    #[inline]
    pub fn encode(&self, out: &mut [u8; Self::MAX_LEN]) -> usize {
        let mask_bit = if self.mask.is_some() { MASK } else { 0 };
        out[0] = self.first_byte();
        let key_at = match self.len {
            0..=125 => {
                out[1] = mask_bit | self.len as u8;
                2
            }
            126..=0xFFFF => {
                out[1] = mask_bit | LENGTH_16;
                out[2..4].copy_from_slice(&(self.len as u16).to_be_bytes());
                4
            }
            _ => {
                out[1] = mask_bit | LENGTH_64;
                out[2..10].copy_from_slice(&self.len.to_be_bytes());
                10
            }
        };
        let Some(key) = self.mask else { return key_at };
        out[key_at..key_at + 4].copy_from_slice(&key);
        key_at + 4
    }

    #[inline]
    pub(crate) const fn first_byte(&self) -> u8 {
        let fin = if self.fin { FIN } else { 0 };
        let compressed = if self.compressed { COMPRESSED } else { 0 };
        fin | compressed | self.opcode as u8
    }
}

/// Reads FIN, RSV1 and the opcode, and refuses what no second byte can mend.
#[inline]
fn parse_first(first: u8, deflate: bool) -> Result<(bool, bool, OpCode), ProtocolError> {
    let reserved = first & RESERVED;
    // RFC 7692 §6: only the first frame of a message says that it is compressed.
    if reserved != 0 && !(deflate && reserved == COMPRESSED && matches!(first & OPCODE, 0x1 | 0x2))
    {
        return Err(ProtocolError::ReservedBits);
    }
    let Some(opcode) = OpCode::from_bits(first & OPCODE) else {
        return Err(ProtocolError::ReservedOpCode(first & OPCODE));
    };
    let fin = first & FIN != 0;
    if opcode.is_control() && !fin {
        return Err(ProtocolError::FragmentedControl);
    }
    Ok((fin, reserved != 0, opcode))
}

/// Reads the length that follows the second byte, and returns it with the bytes after it.
#[inline]
fn parse_extended(form: u8, input: &[u8]) -> Result<Option<(u64, &[u8])>, ProtocolError> {
    if form == LENGTH_16 {
        let Some((bytes, rest)) = input.split_first_chunk() else {
            return Ok(None);
        };
        let len = u16::from_be_bytes(*bytes);
        if len <= u16::from(FrameHeader::SHORT_MAX) {
            return Err(ProtocolError::NonMinimalLength);
        }
        return Ok(Some((u64::from(len), rest)));
    }
    // The top bit is in the first byte, and six bytes of zero leave no more than 16 bits.
    if input.first().is_some_and(|&byte| byte & 0x80 != 0) {
        return Err(ProtocolError::LengthOverflow);
    }
    if input.first_chunk::<6>().is_some_and(|high| *high == [0; 6]) {
        return Err(ProtocolError::NonMinimalLength);
    }
    let Some((bytes, rest)) = input.split_first_chunk() else {
        return Ok(None);
    };
    Ok(Some((u64::from_be_bytes(*bytes), rest)))
}

#[cfg(test)]
mod tests;
