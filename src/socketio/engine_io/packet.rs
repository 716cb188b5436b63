use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// An Engine.IO packet.
///
/// ```
/// use eventwire::socketio::engine_io::Packet;
///
/// let packet = Packet::parse("2probe")?;
/// assert_eq!(packet, Packet::Ping("probe"));
///
/// let mut text = String::new();
/// Packet::Pong("probe").write_text(&mut text);
/// assert_eq!(text, "3probe");
/// # Ok::<(), eventwire::socketio::engine_io::InvalidPacket>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The handshake's answer: the session and its settings, as JSON.
    Open(&'a str),
    /// The session ends.
    Close,
    /// A heartbeat, or the probe of a new transport.
    Ping(&'a str),
    /// The answer to a ping.
    Pong(&'a str),
    /// A message.
    Text(&'a str),
    /// A binary message.
    Binary(Cow<'a, [u8]>),
    /// The client moves to the transport that carries this packet.
    Upgrade,
    /// Nothing: it ends a request that polls.
    Noop,
}

impl<'a> Packet<'a> {
    /// Parses the text of a WebSocket message, or one packet of a payload.
    ///
    /// Bytes are accepted in base64 on either transport. A binary WebSocket message needs no
    /// parsing: it is a [`Binary`](Self::Binary). Data after the types close, upgrade and noop is
    /// ignored.
    ///
    /// # Errors
    ///
    /// [`InvalidPacket`] for an empty text, an unknown type and malformed base64.
    pub fn parse(text: &'a str) -> Result<Self, InvalidPacket> {
        let kind = *text.as_bytes().first().ok_or(InvalidPacket::Empty)?;
        if !kind.is_ascii() {
            return Err(InvalidPacket::UnknownType);
        }
        let data = &text[1..];
        Ok(match kind {
            b'0' => Self::Open(data),
            b'1' => Self::Close,
            b'2' => Self::Ping(data),
            b'3' => Self::Pong(data),
            b'4' => Self::Text(data),
            b'5' => Self::Upgrade,
            b'6' => Self::Noop,
            b'b' => {
                let bytes = STANDARD.decode(data).map_err(|_| InvalidPacket::InvalidBase64)?;
                Self::Binary(Cow::Owned(bytes))
            }
            _ => return Err(InvalidPacket::UnknownType),
        })
    }

    /// Appends the packet as text.
    ///
    /// Bytes become base64, as in a payload. On a WebSocket, send them as a binary message instead.
    pub fn write_text(&self, out: &mut String) {
        let (kind, data) = self.parts();
        out.push(kind);
        match data {
            Data::Text(text) => out.push_str(text),
            Data::Bytes(bytes) => STANDARD.encode_string(bytes, out),
        }
    }

    /// How many bytes [`write_text`](Self::write_text) appends.
    #[must_use]
    pub fn text_len(&self) -> usize {
        let data_len = match self.parts().1 {
            Data::Text(text) => text.len(),
            // Three bytes are four characters, and padding fills the last group.
            Data::Bytes(bytes) => bytes.len().div_ceil(3) * 4,
        };
        1 + data_len
    }

    fn parts(&self) -> (char, Data<'_>) {
        match self {
            Self::Open(text) => ('0', Data::Text(text)),
            Self::Close => ('1', Data::Text("")),
            Self::Ping(text) => ('2', Data::Text(text)),
            Self::Pong(text) => ('3', Data::Text(text)),
            Self::Text(text) => ('4', Data::Text(text)),
            Self::Upgrade => ('5', Data::Text("")),
            Self::Noop => ('6', Data::Text("")),
            Self::Binary(bytes) => ('b', Data::Bytes(bytes)),
        }
    }
}

enum Data<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// Why a packet of Engine.IO is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidPacket {
    /// The packet has no type.
    Empty,
    /// The packet has a type that Engine.IO 4 does not define.
    UnknownType,
    /// Bytes are not in base64 of the standard alphabet with padding.
    InvalidBase64,
    /// The payload is not UTF-8.
    InvalidUtf8,
}

impl fmt::Display for InvalidPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an Engine.IO packet is empty",
            Self::UnknownType => "an Engine.IO packet has an unknown type",
            Self::InvalidBase64 => "a binary Engine.IO packet is not in base64 with padding",
            Self::InvalidUtf8 => "an Engine.IO packet is not UTF-8",
        })
    }
}

impl std::error::Error for InvalidPacket {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(packet: &Packet<'_>) -> String {
        let mut text = String::new();
        packet.write_text(&mut text);
        text
    }

    #[test]
    fn each_type_has_its_digit() {
        for (text, packet) in [
            ("0{}", Packet::Open("{}")),
            ("1", Packet::Close),
            ("2", Packet::Ping("")),
            ("2probe", Packet::Ping("probe")),
            ("3probe", Packet::Pong("probe")),
            ("4", Packet::Text("")),
            ("4caf\u{e9}", Packet::Text("caf\u{e9}")),
            ("5", Packet::Upgrade),
            ("6", Packet::Noop),
            ("b", Packet::Binary(Cow::Borrowed(b""))),
            ("bAQIDBA==", Packet::Binary(Cow::Borrowed(&[1, 2, 3, 4]))),
            ("b+/8=", Packet::Binary(Cow::Borrowed(&[0xfb, 0xff]))),
        ] {
            assert_eq!(Packet::parse(text), Ok(packet.clone()), "{text}");
            assert_eq!(written(&packet), text);
            assert_eq!(packet.text_len(), text.len(), "{text}");
        }
    }

    #[test]
    fn data_of_packets_that_have_none_is_ignored() {
        for (text, packet) in
            [("1now", Packet::Close), ("5x", Packet::Upgrade), ("6x", Packet::Noop)]
        {
            assert_eq!(Packet::parse(text), Ok(packet), "{text}");
        }
    }

    #[test]
    fn malformed_packets_are_refused() {
        for (text, error) in [
            ("", InvalidPacket::Empty),
            ("7", InvalidPacket::UnknownType),
            ("abc", InvalidPacket::UnknownType),
            ("B", InvalidPacket::UnknownType),
            ("\u{e9}", InvalidPacket::UnknownType),
            ("bAQIDBA", InvalidPacket::InvalidBase64),
            ("bAQIDBA=", InvalidPacket::InvalidBase64),
            ("bAQIDBB==", InvalidPacket::InvalidBase64),
            ("b-_8=", InvalidPacket::InvalidBase64),
            ("b AQIDBA==", InvalidPacket::InvalidBase64),
            ("b=", InvalidPacket::InvalidBase64),
            ("b\u{e9}", InvalidPacket::InvalidBase64),
        ] {
            assert_eq!(Packet::parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn bytes_are_read_as_they_were_written(bytes: Vec<u8>) {
            let packet = Packet::Binary(Cow::Owned(bytes));
            let text = written(&packet);
            prop_assert_eq!(packet.text_len(), text.len());
            prop_assert_eq!(Packet::parse(&text), Ok(packet));
        }

        #[test]
        fn what_parses_is_written_in_one_form(text: String) {
            if let Ok(packet) = Packet::parse(&text) {
                let again = written(&packet);
                prop_assert_eq!(Packet::parse(&again), Ok(packet));
            }
        }
    }
}
