use std::fmt;

use crate::proto::http::{BodyLength, BodyReader, HeadLimits, HttpError, ResponseHead};

/// A response that refused to open a connection: of a server, with another status than 101, or of a
/// proxy, with another one than 2xx.
///
/// It has the status, the headers and the beginning of the body. None of it was checked for
/// anything but its syntax.
///
/// ```
/// use eventwire::ConnectError;
///
/// fn report(error: &ConnectError) {
///     if let ConnectError::Refused(refused) = error {
///         let wait = refused.header("Retry-After");
///         let body = String::from_utf8_lossy(refused.body());
///         eprintln!("status {}, try again after {wait:?}: {body}", refused.status());
///     }
/// }
/// # let _ = report;
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Refused {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    body_end: BodyEnd,
}

/// How much of a body was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyEnd {
    /// All of it.
    Complete,
    /// The beginning. The body is longer than [`Refused::BODY_BYTES_MAX`], or the memory for input
    /// of all connections was used up ([`Config::max_inbound`](crate::Config::max_inbound)).
    Truncated,
    /// The beginning. The rest had not come when the handshake's deadline passed or the stream
    /// ended or failed.
    CutShort,
    /// What came before this error. The body has no certain length, or its chunks are malformed.
    Malformed(HttpError),
}

impl Refused {
    /// The most bytes of a body that are read: 64 KiB. That is more than any message for a person
    /// or a program, and little enough for many connections at once. The rest is not waited for.
    pub const BODY_BYTES_MAX: usize = 64 * 1024;

    fn new(head: &ResponseHead<'_>) -> Self {
        let headers = head.fields.iter().map(|(name, value)| (name.to_owned(), value.to_vec()));
        Self {
            status: head.status,
            headers: headers.collect(),
            body: Vec::new(),
            body_end: BodyEnd::CutShort,
        }
    }

    /// The status, for instance 401 or 503.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The value of the first header with this name, in any case. `None` if it is not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.values(name).next().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All headers in order. White space around the values is removed.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The values of all headers with this name.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let same = self.headers.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_slice())
    }

    /// The body, without its transfer coding: at most [`BODY_BYTES_MAX`](Self::BODY_BYTES_MAX).
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether [`body`](Self::body) is the whole body, and otherwise why it is not.
    #[must_use]
    pub const fn body_end(&self) -> BodyEnd {
        self.body_end
    }

    /// Whether it names another URL to connect to.
    pub(crate) fn is_redirect(&self) -> bool {
        matches!(self.status, 301 | 302 | 303 | 307 | 308)
            && self.values("Location").next().is_some()
    }

    /// Appends as much of `data` as is kept. Returns whether that is all.
    fn keep(&mut self, data: &[u8]) -> bool {
        let len = data.len().min(Self::BODY_BYTES_MAX - self.body.len());
        let needed = self.body.len() + len;
        if needed > self.body.capacity() {
            // The storage grows in proportion to what has arrived, and no further than the limit.
            let capacity = needed.next_power_of_two().min(Self::BODY_BYTES_MAX);
            self.body.reserve_exact(capacity - self.body.len());
        }
        self.body.extend_from_slice(&data[..len]);
        len == data.len()
    }
}

/// The body is left out, because it may be long.
impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("status", &self.status)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("body_end", &self.body_end)
            .finish_non_exhaustive()
    }
}

/// Reads the body of a response that refused. The response is complete with whatever has come.
#[derive(Debug)]
pub(crate) struct RefusedReader {
    refused: Box<Refused>,
    /// `None` once nothing more is to be read.
    body: Option<BodyReader>,
}

impl RefusedReader {
    /// Begins with the head.
    pub(crate) fn new(head: &ResponseHead<'_>, limits: HeadLimits) -> Self {
        let mut this = Self { refused: Box::new(Refused::new(head)), body: None };
        match head.body_length() {
            Ok(BodyLength::Known(0)) => this.refused.body_end = BodyEnd::Complete,
            Ok(length) => this.body = Some(BodyReader::new(length, limits)),
            Err(error) => this.refused.body_end = BodyEnd::Malformed(error),
        }
        this
    }

    /// Whether nothing more is to be read.
    pub(crate) const fn is_done(&self) -> bool {
        self.body.is_none()
    }

    /// Whether it names another URL to connect to.
    pub(crate) fn is_redirect(&self) -> bool {
        self.refused.is_redirect()
    }

    /// Bytes of storage that the body takes.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.refused.body.capacity()
    }

    /// Reads the next piece of the body.
    pub(crate) fn read(&mut self, mut input: &[u8]) {
        while let Some(body) = self.body.as_mut().filter(|_| !input.is_empty()) {
            match body.read(input) {
                Ok(part) => {
                    let data = &input[part.data];
                    input = &input[part.consumed..];
                    if body.is_done() {
                        self.end(BodyEnd::Complete);
                    }
                    if !self.refused.keep(data) {
                        self.end(BodyEnd::Truncated);
                    }
                }
                Err(error) => self.end(BodyEnd::Malformed(error)),
            }
        }
    }

    fn end(&mut self, end: BodyEnd) {
        self.refused.body_end = end;
        self.body = None;
    }

    /// The stream has ended.
    pub(crate) fn end_of_stream(&mut self) {
        if self.body.as_mut().is_some_and(|body| body.end_of_stream().is_ok()) {
            self.end(BodyEnd::Complete);
        }
    }

    /// Gives the rest of the body up, because there is no memory for it.
    pub(crate) fn truncate(&mut self) {
        if !self.is_done() {
            self.end(BodyEnd::Truncated);
        }
    }

    /// The response with what has come.
    pub(crate) fn finish(self) -> Box<Refused> {
        self.refused
    }
}

#[cfg(test)]
mod tests;
