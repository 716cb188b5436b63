use std::fmt;

use super::fields::is_token;

/// Why a header or subprotocol cannot be written: a mistake of the caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// This name of a header is not a token (RFC 9110 §5.1).
    Name(String),
    /// The protocol alone sets the header of this name, or no handshake may have it. The type of a
    /// body is set with `content_type`, the origin of a client with `origin`.
    Reserved(String),
    /// This subprotocol is offered twice (RFC 6455 §4.1).
    RepeatedSubprotocol(String),
    /// This name of a subprotocol is not a token (RFC 6455 §4.1).
    Subprotocol(String),
    /// The header of this name cannot have the value. The value has bytes other than visible
    /// ASCII, spaces and tabs, or white space at an end, or it is not what this header holds. A
    /// value with a line break would be more than one header.
    Value(String),
}

impl fmt::Display for InvalidHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "header name {name:?} is not a token"),
            Self::Reserved(name) => write!(f, "header {name:?} is reserved for the protocol"),
            Self::RepeatedSubprotocol(name) => write!(f, "subprotocol {name:?} is offered twice"),
            Self::Subprotocol(name) => write!(f, "subprotocol name {name:?} is not a token"),
            Self::Value(name) => write!(f, "header {name:?} cannot have this value"),
        }
    }
}

impl std::error::Error for InvalidHeader {}

/// Headers that an application adds to a head. All are valid, and none is reserved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExtraHeaders(Vec<(String, String)>);

impl ExtraHeaders {
    pub(crate) fn push(&mut self, name: &str, value: &str) -> Result<(), InvalidHeader> {
        if !is_token(name.as_bytes()) {
            return Err(InvalidHeader::Name(name.to_owned()));
        }
        if is_reserved(name) {
            return Err(InvalidHeader::Reserved(name.to_owned()));
        }
        if !is_value(value) {
            return Err(InvalidHeader::Value(name.to_owned()));
        }
        self.0.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Whether there is a header of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    }

    /// Adds a header of this crate's own.
    pub(crate) fn push_valid(&mut self, name: &str, value: &str) {
        debug_assert!(is_token(name.as_bytes()) && is_value(value));
        self.0.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in &self.0 {
            write_header(out, name, value.as_bytes());
        }
    }

    /// Writes them beside those of the application, which take precedence. Only `Vary` is a list
    /// that both may extend.
    #[inline]
    pub(crate) fn write_beside(&self, own: &Self, out: &mut Vec<u8>) {
        if !self.0.is_empty() {
            self.write_those_beside(own, out);
        }
    }

    #[inline(never)]
    fn write_those_beside(&self, own: &Self, out: &mut Vec<u8>) {
        for (name, value) in &self.0 {
            if name == "Vary" || !own.has(name) {
                write_header(out, name, value.as_bytes());
            }
        }
    }

    /// None.
    pub(crate) const NONE: &'static Self = &Self(Vec::new());
}

#[inline]
pub(crate) fn write_header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Appends a decimal number.
pub(crate) fn write_number(out: &mut Vec<u8>, mut number: u64) {
    const DIGITS_MAX: usize = u64::MAX.ilog10() as usize + 1;
    let (mut digits, mut start) = ([0; DIGITS_MAX], DIGITS_MAX);
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// The headers that an application cannot add. Each would contradict what this crate writes, or
/// announce a body.
const RESERVED: [&str; 10] = [
    "Allow",
    "Connection",
    "Content-Length",
    "Content-Type",
    "Host",
    "Origin",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

fn is_reserved(name: &str) -> bool {
    const PREFIX: &[u8] = b"Sec-WebSocket-";
    RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
        || name
            .as_bytes()
            .get(..PREFIX.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// Whether a header can have this value: visible ASCII, spaces and tabs, no white space at an end.
pub(super) const fn is_value(value: &str) -> bool {
    let (bytes, mut at) = (value.as_bytes(), 0);
    while at < bytes.len() {
        if !matches!(bytes[at], b'\t' | b' '..=b'~') {
            return false;
        }
        at += 1;
    }
    bytes.trim_ascii().len() == bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 9, 10, 200, 65_536, u64::MAX] {
            let mut out = Vec::new();
            write_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }

    #[test]
    fn nothing_can_be_injected() {
        for (name, value, error) in [
            ("", "a", InvalidHeader::Name as fn(String) -> _),
            ("X Y", "a", InvalidHeader::Name),
            ("X:", "a", InvalidHeader::Name),
            ("X\r\nY", "a", InvalidHeader::Name),
            ("X\u{e9}", "a", InvalidHeader::Name),
            ("X", "a\r\nSet-Cookie: b", InvalidHeader::Value),
            ("X", "a\n", InvalidHeader::Value),
            ("X", "a\r", InvalidHeader::Value),
            ("X", "a\0", InvalidHeader::Value),
            ("X", " a", InvalidHeader::Value),
            ("X", "a\t", InvalidHeader::Value),
            ("X", "\u{e9}", InvalidHeader::Value),
            ("upgrade", "a", InvalidHeader::Reserved),
            ("Content-length", "1", InvalidHeader::Reserved),
            ("transfer-Encoding", "chunked", InvalidHeader::Reserved),
            ("sec-websocket-anything", "a", InvalidHeader::Reserved),
        ] {
            let mut extra = ExtraHeaders::default();
            let error = error(name.to_owned());
            assert_eq!(extra.push(name, value), Err(error), "{name:?}: {value:?}");
            assert_eq!(extra, ExtraHeaders::default());
        }
        let mut extra = ExtraHeaders::default();
        assert_eq!(extra.push("X-A", "b\t c"), Ok(()));
        assert_eq!(extra.push("Sec-Web", ""), Ok(()));
        let mut out = Vec::new();
        extra.write(&mut out);
        assert_eq!(out, b"X-A: b\t c\r\nSec-Web: \r\n");
    }
}
