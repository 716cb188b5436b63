//! Headers in which proxies say whom they pass on: each adds whom it sees itself, at the end.

use std::net::{IpAddr, SocketAddr};
use std::str;

use crate::proto::handshake::HttpRequest;

/// The client that the outermost trusted proxy has seen, by the headers called `name`; `address`
/// reads one of their elements.
///
/// From the last one back, because only what trusted proxies added is to be believed: it goes on
/// for as long as the address is such a proxy's own. An element that cannot be read hides what is
/// before it.
pub(super) fn client(
    request: &HttpRequest<'_>,
    name: &str,
    address: impl Fn(&str) -> Option<SocketAddr>,
    trusts: impl Fn(IpAddr) -> bool,
) -> Option<SocketAddr> {
    let lines: Vec<_> =
        request.headers().filter(|(key, _)| key.eq_ignore_ascii_case(name)).collect();
    let mut client = None;
    for (_, line) in lines.into_iter().rev() {
        // Addresses have no commas. What has may stand before them, and hides what is before it.
        for element in line.rsplit(|&byte| byte == b',') {
            let element = str::from_utf8(element).ok()?.trim();
            let Some(address) = address(element) else {
                return client;
            };
            client = Some(address);
            if !trusts(address.ip()) {
                return client;
            }
        }
    }
    client
}

/// An address with or without a port, as `X-Forwarded-For` has it.
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    if let Ok(ip) = text.parse() {
        return Some(SocketAddr::new(ip, 0));
    }
    if let Some(ip) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return ip.parse().ok().map(|ip| SocketAddr::new(IpAddr::V6(ip), 0));
    }
    text.parse().ok()
}

/// The address in an element of `Forwarded` (RFC 7239 §4): that of its parameter `for`.
pub(super) fn node(element: &str) -> Option<SocketAddr> {
    let mut values = element.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
    });
    let (value, another) = (values.next()?, values.next());
    if another.is_some() {
        return None;
    }
    match value.strip_prefix('"') {
        Some(quoted) => address(quoted.strip_suffix('"')?),
        None => address(value),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::net::proxies::{Network, TrustedProxies};
    use crate::proto::handshake::HeadLimits;

    const PROXY: &str = "10.0.0.1:5000";

    fn told(proxies: &TrustedProxies, peer: &str, headers: &str) -> Option<String> {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let request = HttpRequest::parse(head.as_bytes(), &HeadLimits::default()).unwrap();
        proxies.client(&request, peer.parse().ok()).map(|client| client.to_string())
    }

    fn inside() -> [Network; 2] {
        ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]
    }

    #[test]
    fn the_outermost_trusted_proxy_is_believed_and_nobody_before_it() {
        let proxies = TrustedProxies::x_forwarded_for(inside());
        for (header, client) in [
            ("X-Forwarded-For: 203.0.113.9", Some("203.0.113.9:0")),
            ("x-forwarded-for: 1.1.1.1, 203.0.113.9", Some("203.0.113.9:0")),
            ("X-Forwarded-For: 1.1.1.1, 203.0.113.9, 10.0.0.2", Some("203.0.113.9:0")),
            ("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 10.9.9.9", Some("1.1.1.1:0")),
            ("X-Forwarded-For: 2001:db8::1", Some("[2001:db8::1]:0")),
            ("X-Forwarded-For: [2001:db8::1]:77", Some("[2001:db8::1]:77")),
            ("X-Forwarded-For: 203.0.113.9:77", Some("203.0.113.9:77")),
            ("X-Forwarded-For: 1.1.1.1, unknown", None),
            ("X-Forwarded-For: 1.1.1.1, unknown, 10.0.0.2", Some("10.0.0.2:0")),
            ("X-Forwarded-For: \u{e9}", None),
            ("X-Forwarded-For:", None),
            ("Forwarded: for=1.1.1.1", None),
        ] {
            let told = told(&proxies, PROXY, &format!("{header}\r\n"));
            assert_eq!(told.as_deref(), client, "{header}");
        }
    }

    #[test]
    fn a_forwarded_header_is_read_as_rfc_7239_has_it() {
        let proxies = TrustedProxies::forwarded(inside());
        for (header, client) in [
            ("Forwarded: for=203.0.113.9;proto=https;by=10.0.0.1", Some("203.0.113.9:0")),
            ("Forwarded: By=10.0.0.1; FOR=\"203.0.113.9:77\"", Some("203.0.113.9:77")),
            ("Forwarded: for=\"[2001:db8::1]:4711\"", Some("[2001:db8::1]:4711")),
            ("Forwarded: for=1.1.1.1, for=203.0.113.9", Some("203.0.113.9:0")),
            // A quote that the client left open does not swallow what the proxy added.
            ("Forwarded: for=\"1.1.1.1, for=203.0.113.9", Some("203.0.113.9:0")),
            ("Forwarded: for=1.1.1.1, for=_hidden", None),
            ("Forwarded: for=1.1.1.1;for=2.2.2.2", None),
            ("Forwarded: proto=https", None),
            ("X-Forwarded-For: 1.1.1.1", None),
        ] {
            let told = told(&proxies, PROXY, &format!("{header}\r\n"));
            assert_eq!(told.as_deref(), client, "{header}");
        }
    }

    proptest! {
        /// Whatever a client writes, what the proxy adds behind it is what counts.
        #[test]
        fn nothing_that_a_client_writes_hides_what_the_proxy_adds(
            written in "[ -~]{0,40}",
            is_forwarded in any::<bool>(),
        ) {
            let (proxies, name, added) = if is_forwarded {
                (TrustedProxies::forwarded(inside()), "Forwarded", "for=203.0.113.9")
            } else {
                (TrustedProxies::x_forwarded_for(inside()), "X-Forwarded-For", "203.0.113.9")
            };
            let header = format!("{name}: {written}, {added}\r\n");
            let told = told(&proxies, PROXY, &header);
            prop_assert_eq!(told.as_deref(), Some("203.0.113.9:0"));
        }
    }

    #[test]
    fn who_is_not_trusted_is_not_believed() {
        let header = "X-Forwarded-For: 203.0.113.9\r\n";
        let proxies = TrustedProxies::x_forwarded_for(inside());
        assert_eq!(told(&proxies, "192.0.2.1:1", header), None);
        assert_eq!(told(&proxies, "unix", header), None);
        let proxies = proxies.unix_sockets();
        assert_eq!(told(&proxies, "unix", header).as_deref(), Some("203.0.113.9:0"));
    }
}
