use super::{ProtocolError, Role};

/// What a frame carries (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// The next fragment of a message.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The end of the connection, with a [`CloseFrame`](super::CloseFrame) as its payload.
    Close = 0x8,
    /// A request for a pong, to check whether the peer is alive.
    Ping = 0x9,
    /// The reply to a ping.
    Pong = 0xA,
}

impl OpCode {
    /// The opcode with these four bits. `None` if RFC 6455 §5.2 reserves it.
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

    /// Whether this is the opcode of a control frame: close, ping or pong (RFC 6455 §5.5).
    #[must_use]
    #[inline]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// A frame without its payload (RFC 6455 §5.2).
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
    /// RSV1: whether this is the first frame of a compressed message (RFC 7692 §6). Only set where
    /// compression was negotiated.
    pub compressed: bool,
    /// What the frame carries.
    pub opcode: OpCode,
    /// The key that masks the payload. Every frame of a client has one, no frame of a server does.
    pub mask: Option<[u8; 4]>,
    /// The length of the payload, in bytes: below 2^63, and up to 125 in a control frame.
    pub len: u64,
}

const FIN_BIT: u8 = 0x80;
const RESERVED_BITS: u8 = 0x70;
/// RSV1, with `permessage-deflate`.
const COMPRESSED_BIT: u8 = 0x40;
const OPCODE_BITS: u8 = 0x0F;
const MASK_BIT: u8 = 0x80;
const LENGTH_BITS: u8 = 0x7F;

/// Stands in place of a length that follows in 16 bits.
pub(super) const LENGTH_16: u8 = 126;
/// Stands in place of a length that follows in 64 bits.
const LENGTH_64: u8 = 127;

impl FrameHeader {
    /// The longest header, in bytes: two, a length of eight, and a key of four.
    pub const MAX_LEN: usize = 14;

    /// The longest payload whose length fits into the header's second byte, in bytes.
    pub(crate) const SHORT_LEN_MAX: u8 = 125;

    /// Reads a header from the front of `input`, and returns it with its length in bytes. `None` if
    /// more bytes are needed. `receiver` is the role of the end that reads.
    ///
    /// A header is refused at the first byte that makes it invalid. So the error for a stream does
    /// not depend on how the stream is split.
    ///
    /// # Errors
    ///
    /// - [`ProtocolError::ReservedBits`]: RSV1, RSV2 or RSV3 is set. This function assumes that no
    ///   extension was negotiated.
    /// - [`ProtocolError::ReservedOpCode`]: the opcode is reserved.
    /// - [`ProtocolError::FragmentedControl`]: a control frame has no FIN.
    /// - [`ProtocolError::UnmaskedFrame`]: a server reads a frame without a mask.
    /// - [`ProtocolError::MaskedFrame`]: a client reads a frame with a mask.
    /// - [`ProtocolError::ControlTooLong`]: a control frame has more than 125 bytes.
    /// - [`ProtocolError::LengthOverflow`]: the length is 2^63 or more.
    /// - [`ProtocolError::NonMinimalLength`]: the length has a shorter form.
    #[inline]
    pub fn parse(input: &[u8], receiver: Role) -> Result<Option<(Self, usize)>, ProtocolError> {
        Self::parse_agreed(input, receiver, false)
    }

    /// The same as [`parse`](Self::parse). `deflate`: whether compression was negotiated.
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
        let masked = second & MASK_BIT != 0;
        match receiver {
            Role::Server if !masked => return Err(ProtocolError::UnmaskedFrame),
            Role::Client if masked => return Err(ProtocolError::MaskedFrame),
            Role::Server | Role::Client => {}
        }
        let short = second & LENGTH_BITS;
        let (len, rest) = if short <= Self::SHORT_LEN_MAX {
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

    /// Writes the header to the front of `out`, its length in the shortest form. Returns the length
    /// of the header in bytes.
    ///
    /// The fields are not checked. A peer refuses a control frame that is fragmented or longer than
    /// 125 bytes, a mask that does not fit the [`Role`], and a length of 2^63 or more.
    #[must_use]
    #[inline]
    pub fn encode(&self, out: &mut [u8; Self::MAX_LEN]) -> usize {
        let mask_bit = if self.mask.is_some() { MASK_BIT } else { 0 };
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
        let fin = if self.fin { FIN_BIT } else { 0 };
        let compressed = if self.compressed { COMPRESSED_BIT } else { 0 };
        fin | compressed | self.opcode as u8
    }
}

/// Reads FIN, RSV1 and the opcode, and refuses what is invalid whatever follows.
#[inline]
fn parse_first(first: u8, deflate: bool) -> Result<(bool, bool, OpCode), ProtocolError> {
    let reserved = first & RESERVED_BITS;
    // RFC 7692 §6: only the first frame of a message has RSV1 set.
    if reserved != 0
        && !(deflate && reserved == COMPRESSED_BIT && matches!(first & OPCODE_BITS, 0x1 | 0x2))
    {
        return Err(ProtocolError::ReservedBits);
    }
    let Some(opcode) = OpCode::from_bits(first & OPCODE_BITS) else {
        return Err(ProtocolError::ReservedOpCode(first & OPCODE_BITS));
    };
    let fin = first & FIN_BIT != 0;
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
        if len <= u16::from(FrameHeader::SHORT_LEN_MAX) {
            return Err(ProtocolError::NonMinimalLength);
        }
        return Ok(Some((u64::from(len), rest)));
    }
    // The first byte has the top bit. If six bytes are zero, 16 bits would do.
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
