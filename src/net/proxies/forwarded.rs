//! Headers in which proxies name the clients that they forward: each appends the address it sees.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::str;

use crate::proto::http::is_token;

/// The client's address that the outermost trusted proxy has seen, from the `lines` of a header;
/// `address` reads one of their elements.
///
/// Elements are read from the last one back, as long as the address is that of a trusted proxy:
/// only what trusted proxies added can be trusted. An element that cannot be read hides those
/// before it.
pub(super) fn client(
    lines: &[&[u8]],
    address: impl Fn(&str) -> Option<SocketAddr>,
    trusts: impl Fn(IpAddr) -> bool,
) -> Option<SocketAddr> {
    let mut client = None;
    for element in lines.iter().rev().flat_map(|line| FromTheBack(Some(line))) {
        let Some(address) = str::from_utf8(element).ok().and_then(|text| address(text.trim()))
        else {
            return client;
        };
        client = Some(address);
        if !trusts(address.ip()) {
            return client;
        }
    }
    client
}

/// The elements of a line, the last one first.
///
/// A comma within quotes separates nothing (RFC 9110 §5.6.4). Read backwards, a well-formed element
/// is found whatever comes before it: nothing that a client wrote changes how a proxy's own element
/// is read.
struct FromTheBack<'a>(Option<&'a [u8]>);

impl<'a> Iterator for FromTheBack<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.0?;
        let comma = last_comma(line);
        self.0 = comma.map(|at| &line[..at]);
        Some(comma.map_or(line, |at| &line[at + 1..]))
    }
}

/// The last comma that is not within quotes.
fn last_comma(line: &[u8]) -> Option<usize> {
    let mut is_quoted = false;
    for (at, &byte) in line.iter().enumerate().rev() {
        match byte {
            b',' if !is_quoted => return Some(at),
            // The end of a quoted string, and then its beginning.
            b'"' if !is_quoted => is_quoted = true,
            b'"' => is_quoted = is_escaped(&line[..at]),
            _ => {}
        }
    }
    None
}

/// Whether a backslash behind `before` stands for the character that follows, and not for itself.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
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

/// The address in an element of `Forwarded` (RFC 7239 §4): that of its parameter `for`. White space
/// around parameters, and addresses that should be in quotes and are not, do no harm.
pub(super) fn node(element: &str) -> Option<SocketAddr> {
    let (mut node, mut rest) = (None, skip_separators(element));
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start())?;
        let name = name.trim();
        if !is_token(name.as_bytes()) {
            return None;
        }
        if name.eq_ignore_ascii_case("for") && node.replace(value).is_some() {
            return None;
        }
        rest = after;
    }
    address(&node?)
}

/// The value at the front, without its quotes, and what follows the semicolon behind it.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let (value, rest) = match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None => {
            let (value, rest) = text.split_at(text.find(';').unwrap_or(text.len()));
            (Cow::Borrowed(value.trim_end()), rest)
        }
    };
    // A quote within a value begins nothing, so the beginning of the element is unknown.
    if !text.starts_with('"') && value.contains('"') {
        return None;
    }
    match rest.trim_start() {
        "" => Some((value, "")),
        rest => Some((value, skip_separators(rest.strip_prefix(';')?))),
    }
}

/// Parameters may be empty.
fn skip_separators(text: &str) -> &str {
    text.trim_start_matches([';', ' ', '\t'])
}

/// The rest of a quoted string, without its backslashes, and what follows it.
fn unquote(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let (mut value, mut chars) = (String::new(), text.chars());
    loop {
        match chars.next()? {
            '"' => return Some((Cow::Owned(value), chars.as_str())),
            '\\' => value.push(chars.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::net::proxies::{Network, TrustedProxies};
    use crate::proto::http::{HeadLimits, HttpError, HttpRequest};

    const PROXY: &str = "10.0.0.1:5000";

    fn client_of(proxies: &TrustedProxies, peer: &str, headers: &str) -> Option<String> {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let request = HttpRequest::parse(head.as_bytes(), &HeadLimits::default()).unwrap();
        let client = proxies.client(&request, peer.parse().ok()).unwrap();
        client.map(|client| client.to_string())
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
            ("X-Forwarded-For: \u{e9}, 10.0.0.2", Some("10.0.0.2:0")),
            ("X-Forwarded-For:", None),
            ("Forwarded: for=1.1.1.1", None),
        ] {
            let client_seen = client_of(&proxies, PROXY, &format!("{header}\r\n"));
            assert_eq!(client_seen.as_deref(), client, "{header}");
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
            ("Forwarded: ;for=\"203.0.113.9\" ; ;proto=https;", Some("203.0.113.9:0")),
            ("Forwarded: for=\"203.0.113.9\\:7\\7\"", Some("203.0.113.9:77")),
            ("Forwarded: proto=https", None),
            ("Forwarded: for=\"203.0.113.9", None),
            ("Forwarded: for=203.0.113.9\"", None),
            ("Forwarded: for=\"203.0.113.9\"x", None),
            ("Forwarded: for=203.0.113.9;a", None),
            ("Forwarded: a b=c;for=203.0.113.9", None),
            ("X-Forwarded-For: 1.1.1.1", None),
        ] {
            let client_seen = client_of(&proxies, PROXY, &format!("{header}\r\n"));
            assert_eq!(client_seen.as_deref(), client, "{header}");
        }
    }

    #[test]
    fn what_is_within_quotes_divides_nothing() {
        let proxies = TrustedProxies::forwarded(inside());
        for (header, client) in [
            (r#"for=203.0.113.9;host="a,for=6.6.6.6;b""#, "203.0.113.9:0"),
            (r#"for=203.0.113.9;host="a;for=6.6.6.6""#, "203.0.113.9:0"),
            (r#"host="for=6.6.6.6";for=203.0.113.9"#, "203.0.113.9:0"),
            (r#"host=",";for="203.0.113.9";by=",""#, "203.0.113.9:0"),
            (r#"for=203.0.113.9;host="\",for=6.6.6.6;b\"""#, "203.0.113.9:0"),
            (r#"for=203.0.113.9;host="a\\";by="b,for=6.6.6.6""#, "203.0.113.9:0"),
            (r#"for=1.1.1.1, for=203.0.113.9;host="a,", for=10.0.0.2;host="\",""#, "203.0.113.9:0"),
            // The client's quote would end where the proxy's begins.
            (r#"a=", for=203.0.113.9;host="a,for=6.6.6.6;b""#, "203.0.113.9:0"),
            (r#"a=", for=203.0.113.9;host="\",for=6.6.6.6""#, "203.0.113.9:0"),
            (r#"for=1.1.1.1;a="\, for=203.0.113.9;host="b""#, "203.0.113.9:0"),
        ] {
            let client_seen = client_of(&proxies, PROXY, &format!("Forwarded: {header}\r\n"));
            assert_eq!(client_seen.as_deref(), Some(client), "{header}");
        }
    }

    /// An element as a proxy writes it that quotes what it copies from a client.
    fn quoted_element(copied: &str) -> String {
        let escaped = copied.replace('\\', r"\\").replace('"', "\\\"");
        format!("host=\"{escaped}\";for=203.0.113.9;by=\"{escaped}\"")
    }

    proptest! {
        /// Whatever a client writes, the element that the proxy appends counts.
        #[test]
        fn nothing_that_a_client_writes_hides_what_the_proxy_adds(
            written in "[ -~]{0,40}|[a=\"\\\\,; ]{0,20}",
            copied in "[ -~]{0,20}|[a=\"\\\\,; ]{0,20}|,for=6[.]6[.]6[.]6[,;\"]",
            kind in 0..3,
        ) {
            let (proxies, name, added) = match kind {
                0 => (TrustedProxies::forwarded(inside()), "Forwarded", quoted_element(&copied)),
                1 => (TrustedProxies::forwarded(inside()), "Forwarded", "for=203.0.113.9".into()),
                _ => {
                    let proxies = TrustedProxies::x_forwarded_for(inside());
                    (proxies, "X-Forwarded-For", "203.0.113.9".into())
                }
            };
            let header = format!("{name}: {written}, {added}\r\n");
            let client_seen = client_of(&proxies, PROXY, &header);
            prop_assert_eq!(client_seen.as_deref(), Some("203.0.113.9:0"));
        }

        #[test]
        fn any_line_is_read_without_a_panic_and_in_order(line in "[ -~]{0,60}|[,\"\\\\=a]{0,30}") {
            let elements: Vec<_> = FromTheBack(Some(line.as_bytes())).collect();
            let joined: Vec<_> = elements.iter().rev().copied().collect();
            prop_assert_eq!(joined.join(&b','), line.as_bytes());
            node(&line);
        }
    }

    #[test]
    fn a_list_without_end_is_refused() {
        let proxies = TrustedProxies::x_forwarded_for(inside());
        for (count, is_refused) in [(64, false), (65, true), (4000, true)] {
            let lines = format!("X-Forwarded-For: {}\r\n", ",".repeat(count / 2)).repeat(2);
            let more = if count % 2 == 1 { "X-Forwarded-For: 10.0.0.1\r\n" } else { "" };
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}{more}\r\n");
            let request = HttpRequest::parse(head.as_bytes(), &HeadLimits::default()).unwrap();
            let client = proxies.client(&request, PROXY.parse().ok());
            let header = "X-Forwarded-For";
            let error = HttpError::TooManyElements { header, limit: 64 };
            assert_eq!(client, if is_refused { Err(error.into()) } else { Ok(None) });
            // The headers of a peer that is not trusted are not read.
            assert_eq!(proxies.client(&request, "192.0.2.1:1".parse().ok()), Ok(None));
        }
    }

    #[test]
    fn who_is_not_trusted_is_not_believed() {
        let header = "X-Forwarded-For: 203.0.113.9\r\n";
        let proxies = TrustedProxies::x_forwarded_for(inside());
        assert_eq!(client_of(&proxies, "192.0.2.1:1", header), None);
        assert_eq!(client_of(&proxies, "unix", header), None);
        let proxies = proxies.unix_sockets();
        assert_eq!(client_of(&proxies, "unix", header).as_deref(), Some("203.0.113.9:0"));
    }
}
