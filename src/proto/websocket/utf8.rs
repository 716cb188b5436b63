use std::{fmt, str};

use super::ProtocolError;

/// Checks text that arrives in pieces. The pieces may end inside a character.
///
/// The first byte that makes the text invalid is refused, however the text is cut. So a peer that
/// sends garbage is refused at once, not at the end of its message (RFC 6455 §8.1).
///
/// ```
/// use eventwire::proto::{InvalidUtf8, Utf8Validator};
///
/// let mut text = Utf8Validator::new();
/// text.feed(b"na\xC3")?; // the first byte of a character of two
/// assert!(!text.is_at_boundary());
/// text.feed(b"\xAFve")?;
/// text.finish()?;
///
/// assert!(text.feed(b"\xED").is_ok());
/// assert!(text.feed(b"\xA0").is_err()); // would be a surrogate
/// # Ok::<(), InvalidUtf8>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8Validator {
    /// How many bytes the current character lacks: at most 3, and 0 between characters.
    missing: u8,
    /// The least value of the next byte. Meaningless while `missing` is 0.
    low: u8,
    /// The greatest value of the next byte. Meaningless while `missing` is 0.
    high: u8,
}

impl Utf8Validator {
    /// The state after an error: a character that no byte can continue.
    const FAILED: Self = Self { missing: 1, low: 0xFF, high: 0x00 };

    /// Starts at the beginning of a text.
    #[must_use]
    pub const fn new() -> Self {
        Self { missing: 0, low: 0, high: 0 }
    }

    /// Checks the next piece of the text.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] if no valid text begins with the text so far. From then on every piece that
    /// is not empty fails, and so does [`finish`](Self::finish).
    #[inline]
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        let mut rest = bytes;
        while self.missing > 0 {
            let Some((&byte, after)) = rest.split_first() else {
                return Ok(());
            };
            self.step(byte)?;
            rest = after;
        }
        let Err(error) = str::from_utf8(rest) else {
            return Ok(());
        };
        if error.error_len().is_some() {
            return self.fail();
        }
        // The piece ends inside a character, which has one to three bytes here.
        rest[error.valid_up_to()..].iter().try_for_each(|&byte| self.step(byte))
    }

    /// Checks that the text ends here, after a whole character.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] in the middle of a character, or after an error.
    #[inline]
    pub const fn finish(&self) -> Result<(), InvalidUtf8> {
        if self.is_at_boundary() { Ok(()) } else { Err(InvalidUtf8) }
    }

    /// Whether the text so far ends after a whole character. True for an empty text.
    #[must_use]
    #[inline]
    pub const fn is_at_boundary(&self) -> bool {
        self.missing == 0
    }

    /// Checks one byte, by the table of RFC 3629 §4.
    fn step(&mut self, byte: u8) -> Result<(), InvalidUtf8> {
        let (missing, low, high) = if self.missing > 0 {
            if !(self.low..=self.high).contains(&byte) {
                return self.fail();
            }
            (self.missing - 1, 0x80, 0xBF)
        } else {
            match byte {
                0x00..=0x7F => (0, 0x00, 0x7F),
                0xC2..=0xDF => (1, 0x80, 0xBF),
                // Below A0 the character would have a shorter form.
                0xE0 => (2, 0xA0, 0xBF),
                // Above 9F lie the surrogates.
                0xED => (2, 0x80, 0x9F),
                0xE1..=0xEF => (2, 0x80, 0xBF),
                // Below 90 the character would have a shorter form.
                0xF0 => (3, 0x90, 0xBF),
                0xF1..=0xF3 => (3, 0x80, 0xBF),
                // Above 8F lies what is beyond U+10FFFF.
                0xF4 => (3, 0x80, 0x8F),
                _ => return self.fail(),
            }
        };
        *self = Self { missing, low, high };
        Ok(())
    }

    #[cold]
    fn fail(&mut self) -> Result<(), InvalidUtf8> {
        *self = Self::FAILED;
        Err(InvalidUtf8)
    }
}

/// A [`Utf8Validator`] found text that is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct InvalidUtf8;

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text that is not UTF-8")
    }
}

impl std::error::Error for InvalidUtf8 {}

impl From<InvalidUtf8> for ProtocolError {
    fn from(_: InvalidUtf8) -> Self {
        Self::InvalidUtf8
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The number of bytes after which std refuses `bytes`.
    fn decided_by_std(bytes: &[u8]) -> Option<usize> {
        (1..=bytes.len()).find(|&len| {
            str::from_utf8(&bytes[..len]).is_err_and(|error| error.error_len().is_some())
        })
    }

    /// The number of bytes after which the validator, fed byte by byte, refuses.
    fn decided_bytewise(bytes: &[u8]) -> Option<usize> {
        let mut text = Utf8Validator::new();
        bytes.iter().position(|&byte| text.feed(&[byte]).is_err()).map(|at| at + 1)
    }

    /// The same, with every byte checked by the table.
    fn decided_by_table(bytes: &[u8]) -> Option<usize> {
        let mut text = Utf8Validator::new();
        let refused = bytes.iter().position(|&byte| text.step(byte).is_err());
        refused.map(|at| at + 1)
    }

    /// Checks `bytes`, cut at `cuts` (sorted), against std.
    fn check(bytes: &[u8], cuts: &[usize]) {
        let mut text = Utf8Validator::new();
        let mut start = 0;
        let decided = decided_by_std(bytes);
        for &end in cuts.iter().chain([&bytes.len()]) {
            let fed = text.feed(&bytes[start..end]);
            assert_eq!(fed.is_err(), decided.is_some_and(|at| at <= end), "{bytes:x?} at {end}");
            if fed.is_err() {
                assert!(text.finish().is_err());
                assert!(text.feed(b"a").is_err());
                return;
            }
            start = end;
            let valid = str::from_utf8(&bytes[..end]).is_ok();
            assert_eq!(text.finish().is_ok(), valid, "{bytes:x?} to {end}");
            assert_eq!(text.is_at_boundary(), valid);
        }
    }

    #[test]
    fn every_pair_and_every_third_byte_of_the_edges() {
        let lead = (0..=255_u8).flat_map(|a| (0..=255_u8).map(move |b| [a, b]));
        let edges = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF];
        for [a, b] in lead {
            assert_eq!(decided_bytewise(&[a, b]), decided_by_std(&[a, b]), "{a:x} {b:x}");
            for (c, d) in edges.iter().flat_map(|&c| edges.map(|d| (c, d))) {
                let bytes = [a, b, c, d];
                let decided = decided_by_std(&bytes);
                assert_eq!(decided_bytewise(&bytes), decided, "{bytes:x?}");
                assert_eq!(decided_by_table(&bytes), decided, "{bytes:x?}");
            }
        }
    }

    #[test]
    fn the_first_impossible_byte_is_refused_within_and_across_pieces() {
        let table: [(&[u8], usize); 12] = [
            (b"\xC0", 1),
            (b"\xC1", 1),
            (b"\xF5", 1),
            (b"\xFF", 1),
            (b"\x80", 1),
            (b"\xC3\x28", 2),
            (b"\xE0\x80", 2),
            (b"\xED\xA0", 2),
            (b"\xF0\x8F", 2),
            (b"\xF4\x90", 2),
            (b"\xE2\x82\x28", 3),
            (b"\xF0\x9F\x98\xC0", 4),
        ];
        for (bad, decided) in table {
            for prefix in ["", "plain text of some length, ", "käse, €, 😀"] {
                let bytes = [prefix.as_bytes(), bad, b"after"].concat();
                assert_eq!(decided_bytewise(&bytes), Some(prefix.len() + decided));
                for cut in 0..=bytes.len() {
                    check(&bytes, &[cut]);
                }
            }
        }
    }

    #[test]
    fn a_text_may_not_end_inside_a_character() {
        for character in ["é", "€", "😀"] {
            let bytes = character.as_bytes();
            for end in 1..bytes.len() {
                let mut text = Utf8Validator::new();
                assert_eq!(text.feed(&bytes[..end]), Ok(()));
                assert_eq!(text.finish(), Err(InvalidUtf8));
                assert_eq!(text.feed(&[]), Ok(()));
                assert_eq!(text.feed(&bytes[end..]), Ok(()));
                assert_eq!(text.finish(), Ok(()));
            }
        }
    }

    #[test]
    fn the_state_is_small() {
        assert!(size_of::<Utf8Validator>() <= 4);
        assert_eq!(Utf8Validator::default().finish(), Ok(()));
    }

    /// Bytes that are text, almost text, or anything.
    fn almost_text() -> impl Strategy<Value = Vec<u8>> {
        let text = || any::<String>().prop_map(String::into_bytes);
        prop_oneof![
            text(),
            (text(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
                |(mut bytes, at, byte)| {
                    if !bytes.is_empty() {
                        let at = at.index(bytes.len());
                        bytes[at] = byte;
                    }
                    bytes
                }
            ),
            (text(), text(), any::<prop::sample::Index>()).prop_map(|(mut bytes, tail, at)| {
                bytes.truncate(at.index(bytes.len() + 1));
                bytes.extend(tail);
                bytes
            }),
            prop::collection::vec(any::<u8>(), 0..32),
        ]
    }

    proptest! {
        #[test]
        fn pieces_are_judged_as_std_judges_the_whole(
            bytes in almost_text(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            check(&bytes, &cuts);
            prop_assert_eq!(decided_bytewise(&bytes), decided_by_std(&bytes));
        }
    }
}
