//! The short way of a message that lies in the input whole, uncompressed, in one frame: nearly all
//! that ever comes. Whatever else lies there, right or wrong, goes the long way.

use super::{State, WebSocket};
use crate::proto::{FrameHeader, Message, ProtocolError, Role, apply_mask};
use crate::time::Time;

/// The first bytes of a frame that is a whole message (RFC 6455 §5.2).
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

/// Their second byte, if they are masked and have the shortest form of a length: none, and the
/// longest.
const SHORT_FIRST: u8 = 0x80;
const SHORT_LAST: u8 = SHORT_FIRST | FrameHeader::SHORT_LEN_MAX;

/// A whole message at the front of the input, its header checked.
#[derive(Debug)]
pub(crate) struct WholeMessage {
    is_text: bool,
    key: Option<[u8; 4]>,
    start: usize,
    len: usize,
}

/// Finds whole messages for as long as nothing else comes, and the connection is open: what they
/// depend on is looked up once for all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WholeMessages {
    role: Role,
    longest: usize,
}

impl WebSocket {
    /// What finds whole messages in input that has come at `now`, if a frame begins next and
    /// nothing is known of it that changes its meaning.
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
        Some(WholeMessages { role: self.role, longest: self.limits.arriving_whole(false) })
    }
}

impl WholeMessages {
    /// The whole message at the front of `input`, if one lies there.
    #[inline]
    pub(crate) fn find(&self, input: &[u8]) -> Option<WholeMessage> {
        let (len, key, start) = self.header(input)?;
        if len > input.len() - start || len > self.longest {
            return None;
        }
        Some(WholeMessage { is_text: input[0] == TEXT, key, start, len })
    }

    /// Length and key of the payload that the header at the front of `input` announces, and where
    /// that begins, if it is a whole message's.
    #[inline]
    fn header(&self, input: &[u8]) -> Option<(usize, Option<[u8; 4]>, usize)> {
        let is_server = self.role == Role::Server;
        // Nearly all that a server gets, so found out with the fewest looks.
        if let Some(&[TEXT | BINARY, second @ SHORT_FIRST..=SHORT_LAST, ref key @ ..]) =
            input.first_chunk::<6>()
        {
            if is_server {
                return Some((usize::from(second - SHORT_FIRST), Some(*key), 6));
            }
        }
        let [TEXT | BINARY, second, ..] = *input else {
            return None;
        };
        let (len, at) = match second & 0x7F {
            126 => (middle_len(input)?, 4),
            127 => (long_len(input)?, 10),
            len => (usize::from(len), 2),
        };
        match (is_server, second & 0x80 != 0) {
            (true, true) => Some((len, Some(*input.get(at..)?.first_chunk()?), at + 4)),
            (false, false) => Some((len, None, at)),
            _ => None,
        }
    }
}

/// The length in the second of its three forms, unless it has a shorter one.
#[inline]
fn middle_len(input: &[u8]) -> Option<usize> {
    let len = u16::from_be_bytes(*input.get(2..)?.first_chunk()?);
    (len > u16::from(FrameHeader::SHORT_LEN_MAX)).then_some(usize::from(len))
}

/// The length in the third form, unless it has a shorter one.
#[cold]
fn long_len(input: &[u8]) -> Option<usize> {
    let bytes = input.get(2..)?.first_chunk()?;
    usize::try_from(u64::from_be_bytes(*bytes)).ok().filter(|&len| len > usize::from(u16::MAX))
}

impl WholeMessage {
    /// Where its payload begins in the input.
    #[inline]
    pub(crate) const fn start(&self) -> usize {
        self.start
    }

    /// Where it ends in the input.
    #[inline]
    pub(crate) const fn end(&self) -> usize {
        self.start + self.len
    }

    /// Unmasks it in place.
    #[inline]
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
