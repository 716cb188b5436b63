//! The PROXY protocol, versions 1 and 2: a proxy sends a header that names its client.
//!
//! Version 1 is a line of text, version 2 is binary. The first bytes distinguish them from each
//! other and from a request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str;

/// The bytes are no header of either version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidProxyHeader;

/// The beginning of a line of version 1.
const V1_PREFIX: &[u8; 6] = b"PROXY ";

/// The longest line of version 1 with its CR LF, in bytes.
const V1_BYTES_MAX: usize = 107;

/// The beginning of a header of version 2.
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Offsets in a header of version 2. The two bytes before the addresses are the length of the rest.
const V2_COMMAND_AT: usize = 12;
const V2_FAMILY_AT: usize = 13;
const V2_ADDRESSES_AT: usize = 16;

/// The longest accepted header, in bytes. Addresses take at most 216, and further fields, for
/// instance about TLS, a few thousand. The default limit of heads is the same.
pub(crate) const HEADER_BYTES_MAX: usize = 16 * 1024;

/// The proxy forwards a connection. Otherwise it is the proxy's own, for instance a health check.
const V2_COMMAND_PROXY: u8 = 1;

const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// The length of the header at the front of `bytes`. `None` if more bytes are needed to know it.
///
/// Bytes that cannot be a header are refused at the first byte that shows it. A line of version 1
/// is checked once it is whole.
pub(crate) fn header_len(bytes: &[u8]) -> Result<Option<usize>, InvalidProxyHeader> {
    if begins_alike(bytes, V1_PREFIX) { line_len(bytes) } else { binary_len(bytes) }
}

/// The client's address in a header that [`header_len`] has found. `None` if the connection is the
/// proxy's own, or the header has no IP address.
pub(crate) fn source(header: &[u8]) -> Option<SocketAddr> {
    if header.starts_with(V1_PREFIX) { read_line(header).ok()? } else { binary_source(header) }
}

/// Whether `bytes` begin with `start`, as far as they go.
fn begins_alike(bytes: &[u8], start: &[u8]) -> bool {
    let len = bytes.len().min(start.len());
    len > 0 && bytes[..len] == start[..len]
}

fn line_len(bytes: &[u8]) -> Result<Option<usize>, InvalidProxyHeader> {
    let here = &bytes[..bytes.len().min(V1_BYTES_MAX)];
    let Some(end) = here.iter().position(|&byte| byte == b'\n') else {
        return if here.len() == V1_BYTES_MAX { Err(InvalidProxyHeader) } else { Ok(None) };
    };
    read_line(&here[..=end]).map(|_| Some(end + 1))
}

/// Reads a whole line of version 1, exactly as it is specified.
fn read_line(line: &[u8]) -> Result<Option<SocketAddr>, InvalidProxyHeader> {
    let line = line.strip_prefix(V1_PREFIX).and_then(|line| line.strip_suffix(b"\r\n"));
    let line = line.ok_or(InvalidProxyHeader)?;
    // The rest of such a line must be ignored.
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return if line.contains(&b'\r') { Err(InvalidProxyHeader) } else { Ok(None) };
    }
    let mut words = str::from_utf8(line).map_err(|_| InvalidProxyHeader)?.split(' ');
    let mut next = || words.next().ok_or(InvalidProxyHeader);
    let is_v4 = match next()? {
        "TCP4" => true,
        "TCP6" => false,
        _ => return Err(InvalidProxyHeader),
    };
    let (source, destination, port, other_port) = (next()?, next()?, next()?, next()?);
    let source = SocketAddr::new(address(source, is_v4)?, number(port)?);
    address(destination, is_v4)?;
    number(other_port)?;
    if words.next().is_some() { Err(InvalidProxyHeader) } else { Ok(Some(source)) }
}

fn address(text: &str, is_v4: bool) -> Result<IpAddr, InvalidProxyHeader> {
    let address = match is_v4 {
        true => text.parse().map(IpAddr::V4),
        false => text.parse().map(IpAddr::V6),
    };
    address.map_err(|_| InvalidProxyHeader)
}

/// A port, without leading zeros.
fn number(digits: &str) -> Result<u16, InvalidProxyHeader> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || digits.len() > 1 && digits.starts_with('0') {
        return Err(InvalidProxyHeader);
    }
    digits.parse().map_err(|_| InvalidProxyHeader)
}

fn binary_len(bytes: &[u8]) -> Result<Option<usize>, InvalidProxyHeader> {
    // The version is in the upper half of the byte after the signature.
    let is_other_version = bytes.get(V2_COMMAND_AT).is_some_and(|byte| byte >> 4 != 2);
    if !bytes.is_empty() && !begins_alike(bytes, V2_SIGNATURE) || is_other_version {
        return Err(InvalidProxyHeader);
    }
    let Some(fixed) = bytes.first_chunk::<V2_ADDRESSES_AT>() else {
        return Ok(None);
    };
    let len = V2_ADDRESSES_AT + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if len > HEADER_BYTES_MAX { Err(InvalidProxyHeader) } else { Ok(Some(len)) }
}

fn binary_source(header: &[u8]) -> Option<SocketAddr> {
    if header.get(V2_COMMAND_AT)? & 0x0F != V2_COMMAND_PROXY {
        return None;
    }
    let addresses = header.get(V2_ADDRESSES_AT..)?;
    // The source's address, the destination's address, the source's port, the destination's port.
    let (ip, ports): (IpAddr, _) = match *header.get(V2_FAMILY_AT)? {
        TCP_OVER_IPV4 => (Ipv4Addr::from(*addresses.first_chunk()?).into(), addresses.get(8..)?),
        TCP_OVER_IPV6 => {
            (Ipv6Addr::from(*addresses.first_chunk::<16>()?).into(), addresses.get(32..)?)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(*ports.first_chunk()?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(command: u8, kind: u8, addresses: &[u8]) -> Vec<u8> {
        let mut header = V2_SIGNATURE.to_vec();
        header.extend([0x20 | command, kind]);
        header.extend((addresses.len() as u16).to_be_bytes());
        header.extend(addresses);
        header
    }

    /// The client that a header names. No part of the header may be taken for a whole one.
    fn client(header: &[u8]) -> Result<Option<String>, InvalidProxyHeader> {
        for end in 0..header.len() {
            let len = header_len(&header[..end])?;
            assert!(len.is_none_or(|len| len == header.len()), "{}", header.escape_ascii());
        }
        let more = [header, b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(header_len(&more)?, Some(header.len()), "{}", header.escape_ascii());
        Ok(source(header).map(|address| address.to_string()))
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let line = [&V1_PREFIX[..], &bytes, b"\r\n"].concat();
            for bytes in [&bytes[..], &line, &header(1, 0x11, &bytes), &header(1, 0x21, &bytes)] {
                source(bytes);
                if let Ok(Some(len)) = header_len(bytes) {
                    prop_assert!(len <= HEADER_BYTES_MAX);
                }
            }
        }

        #[test]
        fn an_answer_stands_whatever_follows(
            line in "PROXY (UNKNOWN|TCP[46])[0-9a-f.: \r]{0,110}\r?\n?[ -~]{0,9}",
            end in 0_usize..130,
        ) {
            let bytes = line.as_bytes();
            let first = header_len(&bytes[..end.min(bytes.len())]);
            if first != Ok(None) {
                prop_assert_eq!(header_len(bytes), first);
            }
        }
    }

    #[test]
    fn a_line_of_version_1_names_the_client() {
        let longest = "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
            ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
        let unknown = format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_BYTES_MAX - 16));
        for (line, expected) in [
            ("PROXY TCP4 203.0.113.9 10.0.0.1 1234 80\r\n", Some("203.0.113.9:1234")),
            ("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", Some("0.0.0.0:0")),
            ("PROXY TCP6 2001:db8::7 ::1 9 443\r\n", Some("[2001:db8::7]:9")),
            ("PROXY TCP6 ::ffff:1.2.3.4 ::1 9 443\r\n", Some("[::ffff:1.2.3.4]:9")),
            (longest, Some("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff:ffff::1 - 65535  0\t\r\n", None),
            (&unknown, None),
        ] {
            assert_eq!(client(line.as_bytes()), Ok(expected.map(str::to_owned)), "{line}");
        }
    }

    #[test]
    fn any_other_line_is_refused() {
        for line in [
            "PROXY \r\n",
            "PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP 1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY UNKNOWNS\r\n",
            "PROXY UNKNOWN\n",
            "PROXY UNKNOWN a\rb\r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
            "PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1.1\t2.2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n",
            "PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1.1 ::1 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP6 ::1%1 ::1 1 2\r\n",
            "PROXY TCP6 [::1] ::1 1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2  2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 00\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\r\n",
            "PROXY TCP4 1.1.1.\u{e9} 2.2.2.2 1 2\r\n",
            "POST / HTTP/1.1\r\n",
            "proxy UNKNOWN\r\n",
            &format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_BYTES_MAX - 15)),
            &"PROXY UNKNOWN ".repeat(8),
        ] {
            assert_eq!(header_len(line.as_bytes()), Err(InvalidProxyHeader), "{line}");
        }
        // At the first byte that shows it.
        assert_eq!(header_len(b"PROXY UNKNOWN"), Ok(None));
        assert_eq!(header_len(b"PRI"), Err(InvalidProxyHeader));
        assert_eq!(header_len(&[&b"PROXY "[..], &[b'x'; V1_BYTES_MAX - 7]].concat()), Ok(None));
        assert_eq!(
            header_len(&[&b"PROXY "[..], &[b'x'; V1_BYTES_MAX - 6]].concat()),
            Err(InvalidProxyHeader)
        );
    }

    #[test]
    fn a_header_of_version_2_names_the_client() {
        let v4 = [203, 0, 113, 9, 10, 0, 0, 1, 0x30, 0x39, 0x00, 0x50];
        let client = |header: &[u8]| client(header).expect("a header");
        assert_eq!(client(&header(1, 0x11, &v4)).as_deref(), Some("203.0.113.9:12345"));
        let mut v6 = [0; 36];
        (v6[0], v6[1], v6[15], v6[33]) = (0x20, 0x01, 7, 9);
        assert_eq!(client(&header(1, 0x21, &v6)).as_deref(), Some("[2001::7]:9"));
        // Further fields follow the addresses.
        let longer = [&v4[..], &[4, 0, 1, 0]].concat();
        assert_eq!(client(&header(1, 0x11, &longer)).as_deref(), Some("203.0.113.9:12345"));
        let much = [&v4[..], &[4, 0x0F, 0xA0], &[0; 4000]].concat();
        assert_eq!(client(&header(1, 0x11, &much)).as_deref(), Some("203.0.113.9:12345"));
        let most = vec![0; HEADER_BYTES_MAX - V2_ADDRESSES_AT];
        assert_eq!(client(&header(1, 0x11, &most)).as_deref(), Some("0.0.0.0:0"));
        // The proxy's own connection, no address, a Unix socket, and too few bytes.
        for other in [header(0, 0x11, &v4), header(1, 0, &[]), header(1, 0x31, &[0; 216])] {
            assert_eq!(client(&other), None);
        }
        assert_eq!(client(&header(1, 0x11, &v4[..9])), None);
        assert_eq!(client(&header(1, 0x21, &v6[..32])), None);
    }

    #[test]
    fn a_length_is_known_as_soon_as_it_has_arrived_and_other_bytes_are_refused_at_once() {
        let header = header(1, 0x11, &[0; 12]);
        for end in 0..=header.len() {
            let expected = if end < V2_ADDRESSES_AT { None } else { Some(28) };
            assert_eq!(header_len(&header[..end]), Ok(expected));
        }
        let too_long = [&V2_SIGNATURE[..], &[0x21, 0x11, 0xFF, 0]].concat();
        for wrong in [&b"G"[..], b"\r\n\r\n\0\r\nQUIT\n\x11", &too_long] {
            assert_eq!(header_len(wrong), Err(InvalidProxyHeader));
        }
    }
}
