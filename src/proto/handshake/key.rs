use std::fmt;

use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};
use base64::{Engine, alphabet};
use sha1::{Digest, Sha1};

/// The value of `Sec-WebSocket-Key`: 16 random bytes in base64, which the client chooses (RFC 6455
/// §4.1).
///
/// The response to it proves that the server supports WebSocket, and that it is no cached response.
/// The key is no secret and authenticates nobody.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(
    /// The characters as received. The server hashes these, not the bytes that they encode.
    [u8; 24],
);

impl Key {
    /// The key for `nonce`. A client must draw a new one at random for every connection.
    #[must_use]
    pub fn from_nonce(nonce: [u8; 16]) -> Self {
        Self(encode(&nonce))
    }

    /// Reads a received key. `None` if it is not 16 bytes in base64.
    ///
    /// The 22nd character has four bits that encode nothing. They may have any value, as in the
    /// example of RFC 6455 §4.1, because a server need not decode the key (§4.2.2, item 5).
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text: [u8; 24] = text.try_into().ok()?;
        // The decoder needs room for three bytes for every four characters, padding included.
        let mut nonce = [0; 18];
        let len = DECODER.decode_slice(text, &mut nonce).ok()?;
        (len == 16).then_some(Self(text))
    }

    /// The value of the header.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 24] {
        &self.0
    }

    /// The value of `Sec-WebSocket-Accept` for this key (RFC 6455 §4.2.2).
    #[must_use]
    pub fn accept(&self) -> [u8; 28] {
        encode(&Sha1::new().chain_update(self.0).chain_update(GUID).finalize())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0.escape_ascii())
    }
}

/// Standard base64 with padding. Unused bits may have any value.
static DECODER: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, PAD.with_decode_allow_trailing_bits(true));

/// It is hashed with the key (RFC 6455 §1.3), so that no server of another protocol has the result
/// by chance.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Base64 of exactly `N` bytes.
fn encode<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut text = [0; N];
    let len = STANDARD.encode_slice(bytes, &mut text).expect("room for the base64 of the bytes");
    debug_assert_eq!(len, N);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_6455() {
        let key = Key::parse(b"dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        assert_eq!(key, Key::from_nonce(*b"the sample nonce"));
        assert_eq!(&key.accept(), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(format!("{key:?}"), "Key(dGhlIHNhbXBsZSBub25jZQ==)");
    }

    #[test]
    fn unused_bits_may_have_any_value() {
        // The example of RFC 6455 §4.1: bytes 0x01 to 0x10.
        let key = Key::parse(b"AQIDBAUGBwgJCgsMDQ4PEC==").unwrap();
        assert_eq!(&key.accept(), b"OfS0wDaT5NoxF2gqm7Zj2YtetzM=");
        for last in b'!'..=b'~' {
            let text = [&b"dGhlIHNhbXBsZSBub25jZ"[..], &[last], b"=="].concat();
            let is_digit = last.is_ascii_alphanumeric() || last == b'+' || last == b'/';
            let key = Key::parse(&text);
            assert_eq!(key.is_some(), is_digit, "{}", text.escape_ascii());
            assert!(key.is_none_or(|key| key.as_bytes() == &text[..]));
        }
    }

    #[test]
    fn only_base64_of_sixteen_bytes_is_a_key() {
        for wrong in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "dGhlIHNhbXBsZSBub25jZQ==\n",
            " dGhlIHNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25jZ===", // 15 bytes
            "dGhlIHNhbXBsZSBub25jZSE=", // 17 bytes
            "dGhlIHNhbXBsZSBub25jZSEh", // 18 bytes
            "dGhlIHNhbXBsZSBub25jZQAA",
            "dGhlIHNhbXBsZSBub25j====",
            "dGhlIHNhbXBsZSBub25=ZQ==",
            "dGhl-HNhbXBsZSBub25jZQ==", // the URL-safe alphabet
            "dGhl HNhbXBsZSBub25jZQ==",
        ] {
            assert_eq!(Key::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
