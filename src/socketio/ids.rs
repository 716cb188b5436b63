//! Ids that clients see: of sockets, and of sessions.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Context;

/// Where a session lives, in two bytes, and 128 random bits. It is written in 24 characters of
/// base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Placed([u8; BYTES]);

/// The bytes of an id.
const BYTES: usize = 18;

impl Placed {
    fn random(place: u16, cx: &mut Context<'_>) -> Self {
        let mut bytes = cx.random_bytes();
        bytes[..2].copy_from_slice(&place.to_be_bytes());
        Self(bytes)
    }

    const fn place(self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; BYTES];
        let len = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (len == BYTES).then_some(Self(bytes))
    }
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; BYTES / 3 * 4];
        // The slice has the length of the text.
        let len = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).unwrap_or_default();
        f.write_str(std::str::from_utf8(&text[..len]).unwrap_or_default())
    }
}

/// The id of a client in one namespace, which other clients may know. A client that recovers has
/// its id again.
///
/// ```
/// use eventwire::socketio::SocketId;
///
/// let id: SocketId = "AAAQIDBAUGBwgJCgsMDQ4PEA".parse()?;
/// assert_eq!(id.to_string(), "AAAQIDBAUGBwgJCgsMDQ4PEA");
/// assert_eq!(id.place(), 0);
/// # Ok::<(), eventwire::socketio::InvalidSocketId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(Placed);

/// A text is no [`SocketId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSocketId;

impl SocketId {
    /// How many bytes it has.
    pub(super) const BYTES: usize = BYTES;

    pub(super) fn random(place: u16, cx: &mut Context<'_>) -> Self {
        Self(Placed::random(place, cx))
    }

    /// The [place](super::SocketIoConfig::place) of the loop that gave the id.
    #[must_use]
    pub const fn place(self) -> u16 {
        self.0.place()
    }

    pub(super) const fn to_bytes(self) -> [u8; BYTES] {
        self.0.0
    }

    pub(super) const fn from_bytes(bytes: [u8; BYTES]) -> Self {
        Self(Placed(bytes))
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SocketId({})", self.0)
    }
}

impl FromStr for SocketId {
    type Err = InvalidSocketId;

    fn from_str(text: &str) -> Result<Self, InvalidSocketId> {
        Placed::parse(text).map(Self).ok_or(InvalidSocketId)
    }
}

/// As a text.
impl Serialize for SocketId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From a text.
impl<'de> Deserialize<'de> for SocketId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for InvalidSocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a socket's id has 24 characters of base64")
    }
}

impl std::error::Error for InvalidSocketId {}

/// A secret that only one client has: the id of its session, or its right to recover.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Secret(Placed);

impl Secret {
    /// How many bytes it has.
    pub(super) const BYTES: usize = BYTES;

    pub(super) fn random(place: u16, cx: &mut Context<'_>) -> Self {
        Self(Placed::random(place, cx))
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Placed::parse(text).map(Self)
    }

    pub(super) const fn to_bytes(self) -> [u8; BYTES] {
        self.0.0
    }

    pub(super) const fn from_bytes(bytes: [u8; BYTES]) -> Self {
        Self(Placed(bytes))
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Does not reveal it.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        for byte in [0, 1, 0x5a, 0xff] {
            let id = SocketId(Placed([byte; BYTES]));
            let text = id.to_string();
            assert_eq!((text.len(), text.parse()), (24, Ok(id)));
            assert_eq!(id.place(), u16::from_be_bytes([byte; 2]));
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<SocketId>(&json).unwrap(), id);
        }
        for text in [
            "",
            "AAAQIDBAUGBwgJCgsMDQ4PE",
            "AAAQIDBAUGBwgJCgsMDQ4PEA=",
            "AAAQIDBAUGBwgJCgsMDQ4P/A",
            "AAAQIDBAUGBwgJCgsMDQ4PEAAAAA",
        ] {
            assert_eq!(text.parse::<SocketId>(), Err(InvalidSocketId), "{text}");
        }
    }

    #[test]
    fn a_secret_is_not_revealed_by_debugging() {
        assert_eq!(format!("{:?}", Secret(Placed([1; BYTES]))), "Secret(..)");
    }
}
