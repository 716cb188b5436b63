use std::slice;

use super::fields::is_token_byte;
use super::{HeadLimits, HeadScanner, HttpError};

/// Finds the end of the trailers behind a chunked body (RFC 9112 §7.1.2), which arrive in pieces.
///
/// Each line must begin with a name and a colon. Whatever else stands there may be a request in the
/// eyes of a proxy.
#[derive(Debug)]
pub(super) struct TrailerScanner {
    scanner: HeadScanner,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    LineStart,
    Name,
    /// Behind the colon.
    Value,
}

impl TrailerScanner {
    pub(super) fn new(limits: HeadLimits) -> Self {
        Self { scanner: HeadScanner::trailers(limits), place: Place::LineStart }
    }

    /// Scans the next byte. Returns whether the trailers end with it.
    ///
    /// # Errors
    ///
    /// The first error in the trailers. After an error the results of further calls are
    /// meaningless.
    pub(super) fn step(&mut self, byte: u8) -> Result<bool, HttpError> {
        let is_end = self.scanner.scan(slice::from_ref(&byte))?.is_some();
        self.place = match (self.place, byte) {
            (_, b'\n') | (Place::LineStart, b'\r') => Place::LineStart,
            (Place::Name, b':') | (Place::Value, _) => Place::Value,
            (Place::LineStart | Place::Name, _) if is_token_byte(byte) => Place::Name,
            (Place::LineStart | Place::Name, _) => return Err(HttpError::InvalidHeaderLine),
        };
        Ok(is_end)
    }
}
