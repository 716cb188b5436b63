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
        let (host, rest) = if text.starts_with('[') {
            text.split_at(text.find(']')? + 1)
        } else {
            text.split_at(text.find(':').unwrap_or(text.len()))
        };
        let valid = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(is_name_byte),
        };
        let port = match rest.strip_prefix(':') {
            Some(digits) => Some(parse_port(digits)?),
            None if rest.is_empty() => None,
            None => return None,
        };
        valid.then_some(Self { host, port })
    }

    /// Whether both name the same host and port, where a missing port is `default`.
    pub(crate) fn same_as(&self, other: &Authority<'_>, default: Option<u16>) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
            && self.port.or(default) == other.port.or(default)
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn parse_port(digits: &str) -> Option<u16> {
    // `parse` would accept a plus sign, too.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|&port| port != 0)
}
