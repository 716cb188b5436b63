//! The fast path for whole messages: uncompressed, in one frame that lies whole in the input.
//!
//! Nearly all messages are such. All other input, valid or not, takes the general path in
//! `receiving`.

use super::{State, WebSocket};
use crate::proto::{FrameHeader, Message, ProtocolError, Role, apply_mask};
use crate::time::Time;

/// The first byte of a frame that is a whole text message (RFC 6455 §5.2).
const WHOLE_TEXT: u8 = 0x81;
/// The first byte of a frame that is a whole binary message.
const WHOLE_BINARY: u8 = 0x82;

/// The second byte of a masked frame whose payload is empty.
const MASKED_LEN_MIN: u8 = 0x80;
/// The second byte of a masked frame with the longest payload whose length fits there.
const MASKED_LEN_MAX: u8 = MASKED_LEN_MIN | FrameHeader::SHORT_LEN_MAX;

/// A whole message at the front of the input. Its header is valid.
#[derive(Debug)]
pub(crate) struct WholeMessage {
    is_text: bool,
    key: Option<[u8; 4]>,
    start: usize,
    len: usize,
}

/// Finds whole messages in the input of an open connection.
///
/// What it needs to know of the connection is looked up once for consecutive messages. Any other
/// input ends its validity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WholeMessages {
    role: Role,
    /// The longest payload, in bytes.
    len_max: usize,
}

impl WebSocket {
    /// A finder of whole messages in input that arrived at `now`. `None` if the connection is not
    /// open, or a frame or message is in progress.
    #[inline]
    pub(crate) fn whole_messages(&mut self, now: Time) -> Option<WholeMessages> {
        if self.state != State::Open
            || self.partial.get().is_some()
            || self.compression.is_inflating()
        {
            return None;
        }
        self.last_received = now;
        self.awaiting_pong = false;
        Some(WholeMessages { role: self.role, len_max: self.limits.arriving_whole(false) })
    }
}

impl WholeMessages {
    /// The whole message at the front of `input`, if there is one.
    #[inline]
    pub(crate) fn find(&self, input: &[u8]) -> Option<WholeMessage> {
        let (len, key, start) = self.header(input)?;
        if len > input.len() - start || len > self.len_max {
            return None;
        }
        Some(WholeMessage { is_text: input[0] == WHOLE_TEXT, key, start, len })
    }

    /// The length, the mask key and the start of the payload, if the header at the front of `input`
    /// is that of a whole message.
    #[inline]
    fn header(&self, input: &[u8]) -> Option<(usize, Option<[u8; 4]>, usize)> {
        let is_server = self.role == Role::Server;
        // Servers receive mostly these, so they take the fewest checks.
        if let Some(
            &[WHOLE_TEXT | WHOLE_BINARY, second @ MASKED_LEN_MIN..=MASKED_LEN_MAX, ref key @ ..],
        ) = input.first_chunk::<6>()
        {
            if is_server {
                return Some((usize::from(second - MASKED_LEN_MIN), Some(*key), 6));
            }
        }
        let [WHOLE_TEXT | WHOLE_BINARY, second, ..] = *input else {
            return None;
        };
        let (len, at) = match second & 0x7F {
            126 => (len_16(input)?, 4),
            127 => (len_64(input)?, 10),
            len => (usize::from(len), 2),
        };
        match (is_server, second & 0x80 != 0) {
            (true, true) => Some((len, Some(*input.get(at..)?.first_chunk()?), at + 4)),
            (false, false) => Some((len, None, at)),
            _ => None,
        }
    }
}

/// The length in 16 bits. `None` if it has a shorter form.
#[inline]
fn len_16(input: &[u8]) -> Option<usize> {
    let len = u16::from_be_bytes(*input.get(2..)?.first_chunk()?);
    (len > u16::from(FrameHeader::SHORT_LEN_MAX)).then_some(usize::from(len))
}

/// The length in 64 bits. `None` if it has a shorter form.
#[cold]
fn len_64(input: &[u8]) -> Option<usize> {
    let bytes = input.get(2..)?.first_chunk()?;
    usize::try_from(u64::from_be_bytes(*bytes)).ok().filter(|&len| len > usize::from(u16::MAX))
}

impl WholeMessage {
    /// Where the payload begins in the input.
    #[inline]
    pub(crate) const fn start(&self) -> usize {
        self.start
    }

    /// Where the payload ends in the input.
    #[inline]
    pub(crate) const fn end(&self) -> usize {
        self.start + self.len
    }

    /// Unmasks the message in place.
    // Always, so that the message is returned in registers: written to memory part by part and then
    // read as a whole, it would keep the processor waiting.
    #[inline(always)]
    pub(crate) fn read<'a>(&self, input: &'a mut [u8]) -> Result<Message<'a>, ProtocolError> {
        let payload = &mut input[self.start..][..self.len];
        if let Some(key) = self.key {
            apply_mask(payload, key, 0);
        }
        if self.is_text {
            let text = std::str::from_utf8(payload).map_err(|_| ProtocolError::InvalidUtf8)?;
            return Ok(Message::Text(text));
        }
        Ok(Message::Binary(payload))
    }
}
