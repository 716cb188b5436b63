//! Positions: where a message stands in its topic.

use std::fmt;
use std::str::FromStr;

/// Where a message stands in its topic: an epoch and an offset. A client that knows the position of
/// the last message that it got can [resume](crate::Connection::subscribe_from) from there.
///
/// The offsets of a topic's messages are consecutive and begin with 1. Offset 0 stands before the
/// first. They hold within an *epoch*, 64 random bits that a topic draws when it is made: a topic
/// that was removed and made again, or that of another run of the program, has another epoch.
///
/// As text, a position is the epoch in 16 hexadecimal digits, a colon, and the offset:
///
/// ```
/// use eventwire::Position;
///
/// let position: Position = "00c0ffee00c0ffee:17".parse()?;
/// assert_eq!((position.epoch(), position.offset()), (0x00c0_ffee_00c0_ffee, 17));
/// assert_eq!(position.to_string(), "00c0ffee00c0ffee:17");
/// # Ok::<(), eventwire::InvalidPosition>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    epoch: u64,
    offset: u64,
}

impl Position {
    /// The position of the message with that offset in that epoch.
    #[must_use]
    pub const fn new(epoch: u64, offset: u64) -> Self {
        Self { epoch, offset }
    }

    /// What distinguishes this life of the topic from every other.
    #[must_use]
    pub const fn epoch(self) -> u64 {
        self.epoch
    }

    /// The number of the message within the epoch.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self.offset
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}:{}", self.epoch, self.offset)
    }
}

/// A text is no [`Position`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct InvalidPosition;

impl fmt::Display for InvalidPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a position is 16 hexadecimal digits, a colon and a number")
    }
}

impl std::error::Error for InvalidPosition {}

impl FromStr for Position {
    type Err = InvalidPosition;

    /// Reads what `Display` writes, and nothing else.
    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (epoch, offset) = text.split_once(':').ok_or(InvalidPosition)?;
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_number = offset == "0" || !offset.starts_with(['0', '+']);
        if epoch.len() != 16 || !epoch.as_bytes().iter().all(is_hex) || !is_number {
            return Err(InvalidPosition);
        }
        let epoch = u64::from_str_radix(epoch, 16).map_err(|_| InvalidPosition)?;
        let offset = offset.parse().map_err(|_| InvalidPosition)?;
        Ok(Self { epoch, offset })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_is_written_is_read() {
        for text in [
            "",
            ":",
            "1:1",
            "00c0ffee00c0ffee",
            "00c0ffee00c0ffee:",
            "00c0ffee00c0ffee:-1",
            "00c0ffee00c0ffee:+1",
            "00c0ffee00c0ffee:01",
            "00c0ffee00c0ffee:00",
            "00c0ffee00c0ffee:1 ",
            "00c0ffee00c0ffee:18446744073709551616",
            "00C0FFEE00C0FFEE:1",
            "+0c0ffee00c0ffee:1",
            "000c0ffee00c0ffee:1",
            "00c0ffee00c0ffee:1:1",
            "00c0ffee00c0ffé:1",
        ] {
            assert_eq!(text.parse::<Position>(), Err(InvalidPosition), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_position_is_read_as_it_was_written(epoch: u64, offset: u64) {
            let position = Position::new(epoch, offset);
            prop_assert_eq!(position.to_string().parse(), Ok(position));
        }

        #[test]
        fn no_text_is_read_as_another(text in "[0-9a-f]{15,17}:?[0-9+]{0,21}") {
            if let Ok(position) = text.parse::<Position>() {
                prop_assert_eq!(position.to_string(), text);
            }
        }
    }
}
