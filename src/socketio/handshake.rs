//! The request that opened a session.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;

use crate::{HttpRequest, UpgradeRequest};

/// The request that opened a client's session: its headers, its query, and where it came from.
pub struct Handshake {
    address: Option<SocketAddr>,
    /// Names and values of the headers, then of the query, one after the other: each pair is four
    /// bytes of lengths and its texts. One piece of memory, because most are never read.
    pairs: Box<[u8]>,
    /// How many bytes of the pairs are headers.
    headers_len: u32,
}

/// The longest name or value that is kept.
const TEXT_BYTES_MAX: usize = u16::MAX as usize;

impl Handshake {
    pub(super) fn of_request(request: &HttpRequest<'_>, address: Option<SocketAddr>) -> Self {
        Self::new(address, request.headers(), request.query_pairs())
    }

    pub(super) fn of_upgrade(request: &UpgradeRequest<'_>, address: Option<SocketAddr>) -> Self {
        Self::new(address, request.headers(), request.query_pairs())
    }

    fn new<'a>(
        address: Option<SocketAddr>,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
        query: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
    ) -> Self {
        let mut pairs = Vec::new();
        for (name, value) in headers {
            push(&mut pairs, &name.to_ascii_lowercase(), &String::from_utf8_lossy(value));
        }
        let headers_len = u32::try_from(pairs.len()).unwrap_or(u32::MAX);
        query.for_each(|(name, value)| push(&mut pairs, &name, &value));
        Self { address, pairs: pairs.into(), headers_len }
    }

    /// The headers in order: names in lower case, and values.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        Pairs(&self.pairs[..self.headers_len as usize])
    }

    /// The value of the first header with this name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(held, _)| *held == name).map(|(_, value)| value)
    }

    /// The names and values of the query, decoded, in order.
    pub fn query(&self) -> impl Iterator<Item = (&str, &str)> {
        Pairs(&self.pairs[self.headers_len as usize..])
    }

    /// The first value of the query with this name, decoded.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query().find(|(held, _)| *held == name).map(|(_, value)| value)
    }

    /// The client's address. `None` for a Unix socket.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("address", &self.address).finish_non_exhaustive()
    }
}

fn push(pairs: &mut Vec<u8>, name: &str, value: &str) {
    if name.len() > TEXT_BYTES_MAX || value.len() > TEXT_BYTES_MAX {
        return;
    }
    for text in [name, value] {
        pairs.extend_from_slice(&(text.len() as u16).to_be_bytes());
        pairs.extend_from_slice(text.as_bytes());
    }
}

/// Reads what [`push`] wrote.
struct Pairs<'a>(&'a [u8]);

impl<'a> Pairs<'a> {
    fn text(&mut self) -> Option<&'a str> {
        let (len, rest) = self.0.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.text()?, self.text()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::http::HeadLimits;

    #[test]
    fn a_handshake_has_headers_and_query_of_its_request() {
        let head =
            b"GET /socket.io/?EIO=4&a=%20b&a=c HTTP/1.1\r\nHost: here\r\nX-Id: \xff7\r\n\r\n";
        let request = HttpRequest::parse(head, &HeadLimits::default()).unwrap();
        let handshake = Handshake::of_request(&request, None);
        let headers: Vec<_> = handshake.headers().collect();
        assert_eq!(headers, [("host", "here"), ("x-id", "\u{fffd}7")]);
        assert!(handshake.query().eq([("EIO", "4"), ("a", " b"), ("a", "c")]));
        assert_eq!((handshake.param("a"), handshake.header("host")), (Some(" b"), Some("here")));
        assert_eq!((handshake.param("b"), handshake.header("b")), (None, None));
    }
}
