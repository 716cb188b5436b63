use std::net::Ipv6Addr;
use std::str;

/// A host with an optional port, as in `Host`, `Origin` and a URL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authority<'a> {
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    pub(crate) host: &'a str,
    /// Never zero.
    pub(crate) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `host[:port]`.
    ///
    /// This is stricter than RFC 3986 §3.2, which allows percent signs and sub-delimiters in names.
    /// No DNS name has these, and a comma could separate two hosts in one header.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (host_len, port) = split(text.as_bytes())?;
        Some(Self { host: text.get(..host_len)?, port })
    }

    /// Whether [`parse`](Self::parse) can read it.
    pub(crate) fn is_valid(text: &[u8]) -> bool {
        split(text).is_some()
    }

    /// Whether both name the same host and port, where a missing port is `default`.
    pub(crate) fn same_as(&self, other: &Authority<'_>, default: Option<u16>) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
            && self.port.or(default) == other.port.or(default)
    }
}

/// Whether `text` is an origin (RFC 6454 §7): `null`, or a scheme, a host and an optional port.
pub(crate) fn is_origin(text: &str) -> bool {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    text == "null"
        || text.split_once("://").is_some_and(|(scheme, authority)| {
            is_scheme(scheme) && Authority::parse(authority).is_some()
        })
}

/// The length of the host, and the port.
fn split(text: &[u8]) -> Option<(usize, Option<u16>)> {
    let host_len = match text {
        [b'[', address @ ..] => ipv6_len(address)? + "[]".len(),
        _ => text.iter().take_while(|&&byte| IS_NAME_BYTE[usize::from(byte)]).count(),
    };
    let port = match text.get(host_len..)? {
        _ if host_len == 0 => return None,
        [] => None,
        [b':', digits @ ..] => Some(parse_port(digits)?),
        _ => return None,
    };
    Some((host_len, port))
}

/// [`is_name_byte`] of each byte. Every request has a name.
const IS_NAME_BYTE: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0);
    while byte < table.len() {
        table[byte] = is_name_byte(byte as u8);
        byte += 1;
    }
    table
};

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The length of the IPv6 address at the front, before a bracket.
fn ipv6_len(text: &[u8]) -> Option<usize> {
    let len = text.iter().position(|&byte| byte == b']')?;
    let address = str::from_utf8(&text[..len]).ok()?;
    address.parse::<Ipv6Addr>().is_ok().then_some(len)
}

fn parse_port(digits: &[u8]) -> Option<u16> {
    // `parse` would accept a plus sign, too.
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok().filter(|&port| port != 0)
}
