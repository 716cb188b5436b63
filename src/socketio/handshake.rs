//! The request that opened a session.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use crate::{HttpRequest, UpgradeRequest};

/// The request that opened a client's session: its headers, its query, and where it came from. Its
/// clones share their memory.
#[derive(Clone)]
pub struct Handshake(
    /// The length of the headers in four bytes, the client's address, or nothing, behind its length
    /// in one byte, and names and values of the headers and of the query: each is its length in two
    /// bytes and its text. One piece of memory, because most are never read.
    Rc<[u8]>,
);

/// The longest name or value that is kept.
const TEXT_BYTES_MAX: usize = u16::MAX as usize;

/// The bytes of a length.
const LEN_BYTES: usize = size_of::<u32>();

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
        let mut bytes = vec![0; LEN_BYTES];
        write_address(address, &mut bytes);
        let begin = bytes.len();
        for (name, value) in headers {
            let at = bytes.len();
            push(&mut bytes, name, &String::from_utf8_lossy(value));
            // Names are ASCII, and lengths of them stay the same.
            let name = bytes.get_mut(at + 2..at + 2 + name.len());
            name.into_iter().for_each(<[u8]>::make_ascii_lowercase);
        }
        // A head is far shorter than this can say.
        let len = u32::try_from(bytes.len() - begin).unwrap_or(u32::MAX);
        bytes[..LEN_BYTES].copy_from_slice(&len.to_be_bytes());
        query.for_each(|(name, value)| push(&mut bytes, &name, &value));
        Self(bytes.into())
    }

    /// The address, the headers and the query, as they are written.
    fn parts(&self) -> (&[u8], &[u8], &[u8]) {
        let empty = (&[][..], &[][..], &[][..]);
        let Some((len, rest)) = self.0.split_first_chunk::<LEN_BYTES>() else {
            return empty;
        };
        let Some((address_len, rest)) = rest.split_first() else {
            return empty;
        };
        let Some((address, pairs)) = rest.split_at_checked(usize::from(*address_len)) else {
            return empty;
        };
        let headers_len = pairs.len().min(u32::from_be_bytes(*len) as usize);
        let (headers, query) = pairs.split_at(headers_len);
        (address, headers, query)
    }

    /// The headers in order: names in lower case, and values.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        Pairs(self.parts().1)
    }

    /// The value of the first header with this name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(held, _)| *held == name).map(|(_, value)| value)
    }

    /// The names and values of the query, decoded, in order.
    pub fn query(&self) -> impl Iterator<Item = (&str, &str)> {
        Pairs(self.parts().2)
    }

    /// The first value of the query with this name, decoded.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query().find(|(held, _)| *held == name).map(|(_, value)| value)
    }

    /// The client's address. `None` for a Unix socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        let (address, port) = self.parts().0.split_last_chunk::<2>()?;
        let ip = match (<[u8; 4]>::try_from(address), <[u8; 16]>::try_from(address)) {
            (Ok(ip), _) => IpAddr::from(ip),
            (_, Ok(ip)) => IpAddr::from(ip),
            _ => return None,
        };
        Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// Appends the length of an address, its bytes and its port.
fn write_address(address: Option<SocketAddr>, out: &mut Vec<u8>) {
    let Some(address) = address else {
        return out.push(0);
    };
    let start = out.len();
    out.push(0);
    match address.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&address.port().to_be_bytes());
    out[start] = (out.len() - start - 1) as u8;
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
        assert_eq!(handshake.address(), None);
        for address in ["127.0.0.1:80", "[2001:db8::7]:65535"] {
            let address = Some(address.parse().unwrap());
            let handshake = Handshake::of_request(&request, address);
            assert_eq!((handshake.address(), handshake.header("host")), (address, Some("here")));
            assert_eq!(handshake.query().count(), 3);
        }
    }
}
