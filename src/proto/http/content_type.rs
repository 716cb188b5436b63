use std::borrow::Cow;
use std::fmt;

use super::InvalidHeader;
use super::headers::is_value;

/// What a body is: the value of `Content-Type` (RFC 9110 §8.3).
///
/// The common types are constants. [`new`](Self::new) makes further constants, which the compiler
/// checks. [`parse`](Self::parse) makes types that are known only at run time.
///
/// ```
/// use eventwire::proto::http::{ContentType, HttpResponse};
///
/// const CALENDAR: ContentType = ContentType::new("text/calendar; charset=utf-8");
///
/// let calendar = HttpResponse::new(200).content_type(CALENDAR).body("BEGIN:VCALENDAR\r\n");
/// let style = HttpResponse::new(200).content_type(ContentType::CSS).body("a { color: red }");
///
/// let stored_type = String::from("image/avif");
/// let image = HttpResponse::new(200).content_type(ContentType::parse(stored_type)?);
/// # Ok::<(), eventwire::proto::http::InvalidHeader>(())
/// ```
///
/// A constant with an invalid value does not compile:
///
/// ```compile_fail,E0080
/// # use eventwire::proto::http::ContentType;
/// const TWO_LINES: ContentType = ContentType::new("text/plain\r\nSet-Cookie: a=b");
/// # let _ = TWO_LINES;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContentType(
    /// Valid as the value of a header.
    Cow<'static, str>,
);

impl ContentType {
    /// Plain text in UTF-8.
    pub const TEXT: Self = Self::new("text/plain; charset=utf-8");
    /// An HTML page in UTF-8.
    pub const HTML: Self = Self::new("text/html; charset=utf-8");
    /// JSON, which is UTF-8 (RFC 8259 §8.1).
    pub const JSON: Self = Self::new("application/json");
    /// A style sheet in UTF-8.
    pub const CSS: Self = Self::new("text/css; charset=utf-8");
    /// A script in UTF-8 (RFC 9239).
    pub const JAVASCRIPT: Self = Self::new("text/javascript; charset=utf-8");
    /// A WebAssembly module.
    pub const WASM: Self = Self::new("application/wasm");
    /// XML, which declares its own encoding.
    pub const XML: Self = Self::new("application/xml");
    /// A table of comma-separated values in UTF-8 (RFC 4180).
    pub const CSV: Self = Self::new("text/csv; charset=utf-8");
    /// An SVG image.
    pub const SVG: Self = Self::new("image/svg+xml");
    /// A PNG image.
    pub const PNG: Self = Self::new("image/png");
    /// A JPEG image.
    pub const JPEG: Self = Self::new("image/jpeg");
    /// A GIF image.
    pub const GIF: Self = Self::new("image/gif");
    /// A WebP image.
    pub const WEBP: Self = Self::new("image/webp");
    /// An icon, `favicon.ico` for instance.
    pub const ICO: Self = Self::new("image/x-icon");
    /// Bytes of no known type.
    pub const OCTET_STREAM: Self = Self::new("application/octet-stream");
    /// Server-sent events.
    pub const EVENT_STREAM: Self = Self::new("text/event-stream");

    /// The type with this value of the header.
    ///
    /// # Panics
    ///
    /// If no header can have this value: it has bytes other than visible ASCII, spaces and tabs,
    /// or white space at an end. In a constant, that is a compiler error.
    #[must_use]
    pub const fn new(value: &'static str) -> Self {
        assert!(is_value(value), "no header can have this value");
        Self(Cow::Borrowed(value))
    }

    /// The type with this value of the header.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader::Value`] if no header can have this value.
    pub fn parse(value: impl Into<String>) -> Result<Self, InvalidHeader> {
        let value = value.into();
        match is_value(&value) {
            true => Ok(Self(Cow::Owned(value))),
            false => Err(InvalidHeader::Value("Content-Type".to_owned())),
        }
    }

    /// The value of the header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_the_value_of_a_header() {
        for value in ["text/plain", "text/plain; charset=\"utf-8\"", "a/b;\tc=d"] {
            assert_eq!(ContentType::parse(value), Ok(ContentType::new(value)));
            assert_eq!(ContentType::new(value).to_string(), value);
        }
        assert_eq!(ContentType::parse(String::from("image/png")), Ok(ContentType::PNG));
    }

    #[test]
    fn nothing_can_be_injected() {
        for wrong in ["a/b\r\nSet-Cookie: c", "a/b\n", "a/b\0", " a/b", "a/b\t", "a/\u{e9}"] {
            let error = InvalidHeader::Value("Content-Type".to_owned());
            assert_eq!(ContentType::parse(wrong), Err(error), "{wrong:?}");
        }
    }

    #[test]
    #[should_panic(expected = "no header can have this value")]
    fn new_panics_at_run_time() {
        let _ = ContentType::new("a/b\r\nSet-Cookie: c");
    }
}
