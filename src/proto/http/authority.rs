use std::net::Ipv6Addr;

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
        let host_len = match text.strip_prefix('[') {
            Some(address) => ipv6_len(address)? + "[]".len(),
            None => text.bytes().position(|byte| !is_name_byte(byte)).unwrap_or(text.len()),
        };
        let (host, rest) = text.split_at_checked(host_len).filter(|(host, _)| !host.is_empty())?;
        let port = match rest.strip_prefix(':') {
            Some(digits) => Some(parse_port(digits)?),
            None if rest.is_empty() => None,
            None => return None,
        };
        Some(Self { host, port })
    }

    /// Whether both name the same host and port, where a missing port is `default`.
    pub(crate) fn same_as(&self, other: &Authority<'_>, default: Option<u16>) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
            && self.port.or(default) == other.port.or(default)
    }
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The length of the IPv6 address at the front, before a bracket.
fn ipv6_len(text: &str) -> Option<usize> {
    let (address, _) = text.split_once(']')?;
    address.parse::<Ipv6Addr>().is_ok().then_some(address.len())
}

fn parse_port(digits: &str) -> Option<u16> {
    // `parse` would accept a plus sign, too.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|&port| port != 0)
}
