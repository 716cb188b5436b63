//! How the messages of a load look on the wire, in both directions.
//!
//! Another wire needs its variant of [`Wire`], in [`Format::new`] the bytes of its messages, and in
//! `opening` what opens its connections.
//!
//! The client's side of RFC 6455 §5 is independent of the engine's codec, so that a mistake in
//! either one is noticed.

use std::ops::Range;

use super::stamp::{Stamp, pattern};
use crate::target::Wire;

pub(super) const CONTINUATION: u8 = 0x0;
pub(super) const TEXT: u8 = 0x1;
pub(super) const BINARY: u8 = 0x2;
pub(super) const CLOSE: u8 = 0x8;
pub(super) const PING: u8 = 0x9;
pub(super) const PONG: u8 = 0xa;

/// All frames share one mask key. Unpredictable keys protect proxies (RFC 6455 §10.3), and a load
/// passes none.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// More messages would not fit into the socket's buffer anyway, in bytes.
const BATCH_MAX: usize = 256 * 1024;

/// The messages of one load: equal but for their stamps.
#[derive(Debug)]
pub(super) struct Format {
    /// Sent messages back to back, encoded and masked once. Before each send only the stamps are
    /// written, already masked. So sending a message costs eight written bytes.
    batch: Vec<u8>,
    /// The length of each sent message.
    sent_len: usize,
    /// Where the stamp is in a sent message.
    sent_stamp: Range<usize>,
    /// The mask over the stamp, as [`Stamp::to_bits`] lies on the wire.
    stamp_mask: u64,
    /// The header of a whole received message in one frame. `None` without frames.
    pub(super) header: Option<Vec<u8>>,
    /// The expected payload of a received message, besides the stamp.
    pub(super) payload: Vec<u8>,
    /// Where the stamp is in the payload.
    pub(super) stamp: Range<usize>,
}

impl Format {
    /// Messages with `size` bytes of payload, of which up to `batch` leave in one write. Raw TCP
    /// needs at least 1 byte.
    pub(super) fn new(wire: Wire, size: usize, batch: usize) -> Self {
        let (payload, stamp) = (pattern(size), 0..size.min(Stamp::LEN));
        let (mut message, key, header) = match wire {
            Wire::WebSocket => {
                (header(BINARY, size, Some(MASK)), MASK, Some(header(BINARY, size, None)))
            }
            Wire::Tcp => (Vec::new(), [0; 4], None),
        };
        let start = message.len();
        message.extend(masked(&payload, key));
        let [a, b, c, d] = key;
        Self {
            batch: message.repeat(batch.min(BATCH_MAX / message.len()).max(1)),
            sent_len: message.len(),
            sent_stamp: start..start + stamp.len(),
            stamp_mask: u64::from_le_bytes([a, b, c, d, a, b, c, d]),
            header,
            payload,
            stamp,
        }
    }

    /// The opcode of received messages, in their first frames.
    pub(super) fn opcode(&self) -> u8 {
        self.header.as_ref().map_or(BINARY, |header| header[0] & 0x0f)
    }

    /// The bits of a stamp that messages have room for.
    pub(super) fn carried(&self) -> u64 {
        u64::MAX.checked_shr(64 - 8 * self.stamp.len() as u32).unwrap_or(0)
    }

    /// The next messages of one sender, numbered from `first` on: at least one, at most `messages`.
    /// Returns how many there are, and their bytes.
    pub(super) fn encode(&mut self, first: Stamp, messages: usize) -> (usize, &[u8]) {
        let messages = messages.min(self.batch.len() / self.sent_len);
        let bytes = &mut self.batch[..messages * self.sent_len];
        let mut stamp = first;
        for message in bytes.chunks_exact_mut(self.sent_len) {
            let masked = (stamp.to_bits() ^ self.stamp_mask).to_le_bytes();
            message[self.sent_stamp.clone()].copy_from_slice(&masked[..self.stamp.len()]);
            stamp = stamp.plus(1);
        }
        (messages, bytes)
    }

    /// The bytes that end a connection in an orderly way (RFC 6455 §7.4.1). None without frames.
    pub(super) fn goodbye(&self) -> Vec<u8> {
        const NORMAL: u16 = 1000;
        let close = || control_frame(CLOSE, &NORMAL.to_be_bytes());
        self.header.as_ref().map_or_else(Vec::new, |_| close())
    }
}

/// How many bytes raw TCP has to send for the same size on the wire as frames with `size` bytes of
/// payload. The frames of a client are masked.
pub(crate) fn bytes_on_wire(wire: Wire, size: usize, is_masked: bool) -> usize {
    match wire {
        Wire::WebSocket => size,
        Wire::Tcp => size + header(BINARY, size, is_masked.then_some(MASK)).len(),
    }
}

/// A masked control frame with at most 125 bytes of payload.
pub(super) fn control_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, payload.len(), Some(MASK));
    frame.extend(masked(payload, MASK));
    frame
}

/// The header of a whole message of `size` bytes, in its shortest form.
pub(super) fn header(opcode: u8, size: usize, mask: Option<[u8; 4]>) -> Vec<u8> {
    let mask_bit = if mask.is_some() { 0x80 } else { 0 };
    let mut header = vec![0x80 | opcode];
    match size {
        0..=125 => header.push(mask_bit | size as u8),
        126..=0xffff => {
            header.push(mask_bit | 126);
            header.extend((size as u16).to_be_bytes());
        }
        _ => {
            header.push(mask_bit | 127);
            header.extend((size as u64).to_be_bytes());
        }
    }
    header.extend(mask.iter().flatten());
    header
}

/// `payload` under `mask` (RFC 6455 §5.3).
fn masked(payload: &[u8], mask: [u8; 4]) -> impl Iterator<Item = u8> {
    payload.iter().zip(mask.into_iter().cycle()).map(|(byte, key)| byte ^ key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_form_carries_the_stamp_and_the_pattern() {
        for (size, head) in [(0, 2), (3, 2), (8, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)]
        {
            let mut format = Format::new(Wire::WebSocket, size, 1);
            let stamp = Stamp { sender: 0x0403_0201, sequence: 0x0807_0605 };
            let (_, frame) = format.encode(stamp, 1);
            let (mask, payload) = frame[head..].split_first_chunk().unwrap();
            let mut expected = pattern(size);
            let carried = size.min(8);
            expected[..carried].copy_from_slice(&[5, 6, 7, 8, 1, 2, 3, 4][..carried]);
            assert_eq!(masked(payload, *mask).collect::<Vec<_>>(), expected, "{size}");
            assert_eq!(format.carried().count_ones() as usize, 8 * carried);
            assert_eq!(bytes_on_wire(Wire::Tcp, size, true), size + head + 4);
            assert_eq!(bytes_on_wire(Wire::Tcp, size, false), size + head);
        }
    }

    #[test]
    fn messages_of_a_batch_are_numbered_on() {
        let mut format = Format::new(Wire::Tcp, 8, 3);
        let (messages, bytes) = format.encode(Stamp { sender: 1, sequence: u32::MAX }, 9);
        let sequences: Vec<&[u8]> = bytes.chunks(8).map(|message| &message[..4]).collect();
        assert_eq!((messages, sequences), (3, vec![&[255; 4][..], &[0; 4], &[1, 0, 0, 0]]));
        let mut long = Format::new(Wire::WebSocket, 1 << 20, 64);
        assert_eq!(long.encode(Stamp { sender: 1, sequence: 0 }, 64).0, 1);
    }

    #[test]
    fn frames_match_the_rfcs_examples() {
        // RFC 6455 §5.7.
        assert_eq!(header(BINARY, 256, None), [0x82, 0x7e, 0x01, 0x00]);
        assert_eq!(header(BINARY, 65_536, None), [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
        let pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(control_frame(PONG, b"Hello"), pong);
    }
}
