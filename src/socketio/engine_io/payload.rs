use std::{iter, str};

use bytes::Bytes;

use super::packet::{InvalidPacket, Packet};

/// What stands between two packets of a payload.
const SEPARATOR: u8 = 0x1e;

/// The packets of a payload, the body of a polling transport's POST, in order.
///
/// An empty payload is one empty packet, which is an error. The iterator ends after an error.
///
/// ```
/// use eventwire::socketio::engine_io::{Packet, packets};
///
/// let packets: Result<Vec<_>, _> = packets(b"4hello\x1e3").collect();
/// assert_eq!(packets?, [Packet::Text("hello"), Packet::Pong("")]);
/// # Ok::<(), eventwire::socketio::engine_io::InvalidPacket>(())
/// ```
pub fn packets(payload: &[u8]) -> impl Iterator<Item = Result<Packet<'_>, InvalidPacket>> {
    let mut rest = Some(payload);
    iter::from_fn(move || {
        let (packet, following) = split_first(rest.take()?);
        let packet = str::from_utf8(packet).map_err(|_| InvalidPacket::InvalidUtf8);
        let packet = packet.and_then(Packet::parse);
        if packet.is_ok() {
            rest = following;
        }
        Some(packet)
    })
}

/// The first packet, and what follows its separator.
fn split_first(payload: &[u8]) -> (&[u8], Option<&[u8]>) {
    match payload.iter().position(|byte| *byte == SEPARATOR) {
        Some(at) => (&payload[..at], Some(&payload[at + 1..])),
        None => (payload, None),
    }
}

/// A payload that is being written: the response to a request that polls.
///
/// ```
/// use eventwire::socketio::engine_io::{Packet, Payload};
///
/// let mut payload = Payload::new();
/// payload.push(&Packet::Text("hello"));
/// payload.push(&Packet::Binary([1, 2, 3, 4].as_slice().into()));
/// assert_eq!(payload.packets(), 2);
/// assert_eq!(payload.into_bytes(), "4hello\x1ebAQIDBA==");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    text: String,
    packets: usize,
}

impl Payload {
    /// A payload without packets.
    #[must_use]
    pub const fn new() -> Self {
        Self { text: String::new(), packets: 0 }
    }

    /// Appends a packet.
    ///
    /// A text must not contain the separator, the control character U+001E: the receiver would see
    /// two packets. JSON never contains it.
    pub fn push(&mut self, packet: &Packet<'_>) {
        self.text.reserve(self.len_with(packet) - self.len());
        if self.packets > 0 {
            self.text.push(char::from(SEPARATOR));
        }
        packet.write_text(&mut self.text);
        self.packets += 1;
    }

    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// The length in bytes once `packet` is appended.
    #[must_use]
    pub fn len_with(&self, packet: &Packet<'_>) -> usize {
        self.len() + usize::from(self.packets > 0) + packet.text_len()
    }

    /// How many packets it has.
    #[must_use]
    pub const fn packets(&self) -> usize {
        self.packets
    }

    /// Whether it has no packets. A payload that is sent has at least one.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// The body.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.text.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(payload: &[u8]) -> Vec<Result<Packet<'_>, InvalidPacket>> {
        packets(payload).collect()
    }

    #[test]
    fn packets_are_separated() {
        let all = [Ok(Packet::Text("hello")), Ok(Packet::Ping("")), Ok(Packet::Text("world"))];
        assert_eq!(parsed(b"4hello\x1e2\x1e4world"), all);
        assert_eq!(parsed(b"3"), [Ok(Packet::Pong(""))]);
    }

    #[test]
    fn empty_packets_are_refused() {
        assert_eq!(parsed(b""), [Err(InvalidPacket::Empty)]);
        assert_eq!(parsed(b"\x1e"), [Err(InvalidPacket::Empty)]);
        assert_eq!(parsed(b"2\x1e"), [Ok(Packet::Ping("")), Err(InvalidPacket::Empty)]);
        assert_eq!(parsed(b"2\x1e\x1e2"), [Ok(Packet::Ping("")), Err(InvalidPacket::Empty)]);
    }

    #[test]
    fn nothing_follows_an_error() {
        assert_eq!(parsed(b"4a\xff\x1e4b"), [Err(InvalidPacket::InvalidUtf8)]);
        assert_eq!(parsed(b"x\x1e4b"), [Err(InvalidPacket::UnknownType)]);
        assert_eq!(parsed(b"bA\x1e4b"), [Err(InvalidPacket::InvalidBase64)]);
    }

    #[test]
    fn a_payload_of_a_million_separators_ends_at_the_first() {
        assert_eq!(parsed(&[SEPARATOR; 1_000_000]), [Err(InvalidPacket::Empty)]);
    }

    fn any_packet() -> impl Strategy<Value = (u8, String, Vec<u8>)> {
        (0..8_u8, "[^\x1e]{0,20}", any::<Vec<u8>>())
    }

    fn packet<'a>(kind: u8, text: &'a str, bytes: &'a [u8]) -> Packet<'a> {
        match kind {
            0 => Packet::Open(text),
            1 => Packet::Close,
            2 => Packet::Ping(text),
            3 => Packet::Pong(text),
            4 => Packet::Text(text),
            5 => Packet::Upgrade,
            6 => Packet::Noop,
            _ => Packet::Binary(bytes.into()),
        }
    }

    proptest! {
        #[test]
        fn packets_are_read_as_they_were_written(
            parts in prop::collection::vec(any_packet(), 1..8)
        ) {
            let all: Vec<Packet<'_>> =
                parts.iter().map(|(kind, text, bytes)| packet(*kind, text, bytes)).collect();
            let mut payload = Payload::new();
            for packet in &all {
                let len = payload.len_with(packet);
                payload.push(packet);
                prop_assert_eq!(payload.len(), len);
            }
            prop_assert_eq!(payload.packets(), all.len());
            let bytes = payload.into_bytes();
            let read: Result<Vec<Packet<'_>>, InvalidPacket> = packets(&bytes).collect();
            prop_assert_eq!(read, Ok(all));
        }

        #[test]
        fn any_bytes_are_read_or_refused(payload: Vec<u8>) {
            let read = parsed(&payload);
            prop_assert!(read.iter().rev().skip(1).all(Result::is_ok));
        }
    }
}
