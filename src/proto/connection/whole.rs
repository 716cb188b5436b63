//! The short way of a message that lies in the input whole, uncompressed, in one frame: nearly all
//! that ever comes. Whatever else lies there, right or wrong, goes the long way.

use std::ops::Range;

use super::{Connection, State};
use crate::proto::{FrameHeader, Message, OpCode, ProtocolError, Role, apply_mask};
use crate::time::Time;

/// The first bytes of a frame that is a whole message (RFC 6455 §5.2).
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

/// A whole message at the front of the input, its header checked.
#[derive(Debug)]
pub(crate) struct WholeMessage {
    opcode: OpCode,
    key: Option<[u8; 4]>,
    payload: Range<usize>,
}

impl Connection {
    /// The whole message at the front of `input`, if one lies there.
    #[inline]
    pub(crate) fn whole_message(&mut self, input: &[u8], now: Time) -> Option<WholeMessage> {
        if !self.is_between_messages() {
            return None;
        }
        let [first, second, ..] = *input else {
            return None;
        };
        let opcode = match first {
            TEXT => OpCode::Text,
            BINARY => OpCode::Binary,
            _ => return None,
        };
        let (len, at) = match second & 0x7F {
            126 => (middle_len(input)?, 4),
            127 => (long_len(input)?, 10),
            len => (usize::from(len), 2),
        };
        let (key, at) = match (self.role, second & 0x80 != 0) {
            (Role::Server, true) => (Some(*input.get(at..)?.first_chunk()?), at + 4),
            (Role::Client, false) => (None, at),
            _ => return None,
        };
        if len > input.len() - at || len > self.longest_whole(false) {
            return None;
        }
        self.heard = now;
        self.awaiting_pong = false;
        Some(WholeMessage { opcode, key, payload: at..at + len })
    }

    /// Whether a frame begins next, and nothing is known of it that changes its meaning.
    #[inline]
    fn is_between_messages(&self) -> bool {
        self.state == State::Open && self.partial.is_none()
    }

    /// The longest message that can be taken from where it arrived: within both limits.
    #[inline]
    pub(super) fn longest_whole(&self, compressed: bool) -> usize {
        let limits = &self.limits;
        limits.arriving_frame(compressed).min(limits.arriving_message(compressed))
    }
}

/// The length in the second of its three forms, unless it has a shorter one.
#[inline]
fn middle_len(input: &[u8]) -> Option<usize> {
    let len = u16::from_be_bytes(*input.get(2..)?.first_chunk()?);
    (len > u16::from(FrameHeader::SHORT_MAX)).then_some(usize::from(len))
}

/// The length in the third form, unless it has a shorter one.
#[cold]
fn long_len(input: &[u8]) -> Option<usize> {
    let bytes = input.get(2..)?.first_chunk()?;
    usize::try_from(u64::from_be_bytes(*bytes)).ok().filter(|&len| len > usize::from(u16::MAX))
}

impl WholeMessage {
    /// Where it ends in the input.
    #[inline]
    pub(crate) const fn end(&self) -> usize {
        self.payload.end
    }

    /// Where its payload begins in the input.
    #[inline]
    pub(crate) const fn start(&self) -> usize {
        self.payload.start
    }

    /// Unmasks it in place.
    #[inline]
    pub(crate) fn read<'a>(&self, input: &'a mut [u8]) -> Result<Message<'a>, ProtocolError> {
        let payload = &mut input[self.payload.clone()];
        if let Some(key) = self.key {
            apply_mask(payload, key, 0);
        }
        if self.opcode == OpCode::Text {
            let text = std::str::from_utf8(payload).map_err(|_| ProtocolError::InvalidUtf8)?;
            return Ok(Message::Text(text));
        }
        Ok(Message::Binary(payload))
    }
}
