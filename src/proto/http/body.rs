//! Bodies of requests and responses (RFC 9112 §6 and §7): where they end, and what is in them.

use std::ops::Range;

use super::trailers::TrailerScanner;
use super::{Fields, HeadLimits, HttpError};

/// The most bytes of chunk extensions in one body, white space around them included. Real bodies
/// have none, and they carry nothing that is used.
const EXTENSION_BYTES_MAX: u16 = 4 * 1024;

/// The most digits of a chunk's size: those of a 64-bit number.
const SIZE_DIGITS_MAX: u8 = 16;

/// How the end of a body is found (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// The body has this many bytes.
    Known(u64),
    /// The body consists of chunks, the last of which is empty.
    Chunked,
    /// The body ends with the stream. Only a response may have such a body.
    UntilClose,
}

/// A body that is to be received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExpectedBody {
    pub(crate) length: BodyLength,
    /// The client waits to be told that the body is wanted (RFC 9110 §10.1.1).
    pub(crate) awaits_continue: bool,
    /// The most bytes that may come. Set by [`within`](Self::within).
    pub(crate) limit: usize,
}

impl ExpectedBody {
    /// The body with a limit in bytes. Refuses a body whose declared length exceeds it.
    pub(crate) const fn within(self, limit: usize) -> Result<Self, HttpError> {
        match self.length {
            BodyLength::Known(length) if length > limit as u64 => {
                Err(HttpError::BodyTooLarge { limit })
            }
            _ => Ok(Self { limit, ..self }),
        }
    }
}

impl Fields<'_> {
    /// The length of the body, if the head declares one.
    ///
    /// A head that declares two lengths is refused even if they agree: who looks at another one
    /// would find another end of the body (RFC 9112 §11.2).
    ///
    /// # Errors
    ///
    /// [`HttpError::ConflictingLengths`], [`HttpError::RepeatedHeader`] or
    /// [`HttpError::MalformedHeader`] if the length cannot be known for certain,
    /// [`HttpError::UnsupportedTransferCoding`] if the body has a coding other than chunks, or the
    /// version of HTTP has none.
    pub(crate) fn body_length(&self, is_http_1_1: bool) -> Result<Option<BodyLength>, HttpError> {
        let declared = self.single("Content-Length")?;
        if self.values("Transfer-Encoding").next().is_none() {
            return declared.map(parse_length).transpose();
        }
        if declared.is_some() {
            return Err(HttpError::ConflictingLengths);
        }
        let mut codings = self.elements("Transfer-Encoding");
        let (first, second) = (codings.next().transpose()?, codings.next());
        match first {
            Some(coding) if coding.eq_ignore_ascii_case(b"chunked") && is_http_1_1 => {}
            _ => return Err(HttpError::UnsupportedTransferCoding),
        }
        match second {
            None => Ok(Some(BodyLength::Chunked)),
            Some(_) => Err(HttpError::UnsupportedTransferCoding),
        }
    }
}

fn parse_length(digits: &[u8]) -> Result<BodyLength, HttpError> {
    // `parse` would accept a plus sign, too.
    let is_number = digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_number);
    let length = text.and_then(|text| text.parse().ok());
    length.map(BodyLength::Known).ok_or(HttpError::MalformedHeader("Content-Length"))
}

/// Reads a body that arrives in pieces. It stores nothing: the data lies in the input.
///
/// It is as strict as RFC 9112 §7.1: every line ends with CR LF, and chunk sizes have nothing but
/// digits. Chunk extensions and trailers are bounded, checked and skipped.
#[derive(Debug)]
pub(crate) struct BodyReader {
    state: State,
    /// Bytes of chunk extensions so far.
    extension_bytes: u16,
    limits: HeadLimits,
}

/// ```text
///             ┌────────────────────────◄─LF─────── DataEnd(true)
///             ▼                                        ▲ CR
///  ──▶ Size ──CR──▶ SizeEnd ──LF──▶ Data ──all──▶ DataEnd(false)
///        │            ▲    │
///        └─▶ Extension┘    └──LF, size 0──▶ Trailers ──▶ Done
/// ```
#[derive(Debug)]
enum State {
    /// This many bytes of a body without chunks are still to come.
    Known(u64),
    UntilClose,
    /// In the size of a chunk: its value and its digits so far.
    Size(u64, u8),
    /// Behind the size of a chunk. Whether a semicolon has come.
    Extension(u64, bool),
    /// Before the line feed behind the size of a chunk.
    SizeEnd(u64),
    /// This many bytes of a chunk are still to come.
    Data(u64),
    /// Behind a chunk's data. Whether the carriage return has come.
    DataEnd(bool),
    Trailers(TrailerScanner),
    Done,
}

/// What the front of an input comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BodyPart {
    /// How many bytes of the input were consumed.
    pub(crate) consumed: usize,
    /// Where data of the body lies in the input.
    pub(crate) data: Range<usize>,
}

impl BodyReader {
    /// A reader at the start of a body. The limits apply to its trailers.
    pub(crate) fn new(length: BodyLength, limits: HeadLimits) -> Self {
        let state = match length {
            BodyLength::Known(0) => State::Done,
            BodyLength::Known(bytes) => State::Known(bytes),
            BodyLength::Chunked => State::Size(0, 0),
            BodyLength::UntilClose => State::UntilClose,
        };
        Self { state, extension_bytes: 0, limits }
    }

    /// Whether the body is whole.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Reads the front of `input` up to the end of a piece of data, of the body or of the input,
    /// whichever comes first. What follows the body is not consumed.
    ///
    /// # Errors
    ///
    /// The first error in the chunks or trailers. After an error the results of further calls are
    /// meaningless.
    pub(crate) fn read(&mut self, input: &[u8]) -> Result<BodyPart, HttpError> {
        let mut at = 0;
        while at < input.len() && !self.is_done() {
            let len = self.take_data(input.len() - at);
            if len > 0 {
                return Ok(BodyPart { consumed: at + len, data: at..at + len });
            }
            self.skip(input[at])?;
            at += 1;
        }
        Ok(BodyPart { consumed: at, data: at..at })
    }

    /// The stream has ended, and so has a body without a declared length.
    ///
    /// # Errors
    ///
    /// [`HttpError::BodyCutShort`] if the body has not ended.
    pub(crate) fn end_of_stream(&mut self) -> Result<(), HttpError> {
        match self.state {
            State::UntilClose | State::Done => {
                self.state = State::Done;
                Ok(())
            }
            _ => Err(HttpError::BodyCutShort),
        }
    }

    /// How many of the next bytes, of which there are `available`, are data.
    fn take_data(&mut self, available: usize) -> usize {
        let remaining = match &mut self.state {
            State::UntilClose => return available,
            State::Known(remaining) | State::Data(remaining) => remaining,
            _ => return 0,
        };
        // A length that does not fit is longer than any input.
        let len = usize::try_from(*remaining).unwrap_or(usize::MAX).min(available);
        *remaining -= len as u64;
        match self.state {
            State::Known(0) => self.state = State::Done,
            State::Data(0) => self.state = State::DataEnd(false),
            _ => {}
        }
        len
    }

    /// Skips the next byte, which is no data.
    fn skip(&mut self, byte: u8) -> Result<(), HttpError> {
        match &mut self.state {
            State::Trailers(scanner) => {
                if scanner.step(byte)? {
                    self.state = State::Done;
                }
            }
            _ => self.state = self.step(byte)?,
        }
        Ok(())
    }

    /// The state after one byte of the chunks' frame.
    fn step(&mut self, byte: u8) -> Result<State, HttpError> {
        Ok(match (&self.state, byte) {
            (&State::Size(size, digits), _) if byte.is_ascii_hexdigit() => {
                if digits == SIZE_DIGITS_MAX {
                    return Err(HttpError::InvalidChunk);
                }
                State::Size(size << 4 | u64::from(hex_value(byte)), digits + 1)
            }
            (State::Size(_, 0), _) => return Err(HttpError::InvalidChunk),
            (&State::Size(size, _) | &State::Extension(size, true), b'\r') => State::SizeEnd(size),
            (&State::Size(size, _) | &State::Extension(size, false), b' ' | b'\t' | b';') => {
                self.count_extension_byte()?;
                State::Extension(size, byte == b';')
            }
            (&State::Extension(size, true), _) if !byte.is_ascii_control() || byte == b'\t' => {
                self.count_extension_byte()?;
                State::Extension(size, true)
            }
            (State::SizeEnd(0), b'\n') => State::Trailers(TrailerScanner::new(self.limits)),
            (&State::SizeEnd(size), b'\n') => State::Data(size),
            (State::DataEnd(false), b'\r') => State::DataEnd(true),
            (State::DataEnd(true), b'\n') => State::Size(0, 0),
            _ => return Err(HttpError::InvalidChunk),
        })
    }

    fn count_extension_byte(&mut self) -> Result<(), HttpError> {
        if self.extension_bytes == EXTENSION_BYTES_MAX {
            let limit = EXTENSION_BYTES_MAX.into();
            return Err(HttpError::ChunkExtensionsTooLong { limit });
        }
        self.extension_bytes += 1;
        Ok(())
    }
}

/// Appends a chunk (RFC 9112 §7.1). An empty one would end the body, and is left out.
pub(crate) fn write_chunk(data: &[u8], out: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    let mut digits = [0; SIZE_DIGITS_MAX as usize];
    let (mut at, mut rest) = (digits.len(), data.len());
    while rest > 0 {
        at -= 1;
        digits[at] = b"0123456789abcdef"[rest & 0xf];
        rest >>= 4;
    }
    for part in [&digits[at..], b"\r\n", data, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// The value of a hexadecimal digit.
const fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests;
