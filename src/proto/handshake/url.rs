use std::fmt;

use crate::proto::http::Authority;

/// A parsed `ws://` or `wss://` URL (RFC 6455 §3).
///
/// ```
/// use eventwire::proto::handshake::WsUrl;
///
/// let url = WsUrl::parse("ws://[::1]:9001/chat?room=7")?;
/// assert_eq!((url.host(), url.port(), url.target()), ("::1", 9001, "/chat?room=7"));
/// assert_eq!(url.host_header(), "[::1]:9001");
/// # Ok::<(), eventwire::proto::handshake::UrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WsUrl {
    is_secure: bool,
    /// Without brackets.
    host: String,
    /// Never zero.
    port: u16,
    host_header: String,
    /// A path and an optional query by RFC 3986. Starts with a slash.
    target: String,
}

impl WsUrl {
    /// Parses `ws://host[:port][/path][?query]` or `wss://host[:port][/path][?query]`.
    ///
    /// The path and the query must be percent-encoded as RFC 3986 requires. They are sent as they
    /// are.
    ///
    /// # Errors
    ///
    /// Which part of the URL is wrong or not supported.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let is_secure = is_secure(scheme, ["ws", "wss"]).ok_or(UrlError::Scheme)?;
        Self::from_parts(is_secure, rest)
    }

    /// Parses the same with `http` or `https` as the scheme.
    pub(super) fn parse_http(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let is_secure = is_secure(scheme, ["http", "https"]).ok_or(UrlError::Scheme)?;
        Self::from_parts(is_secure, rest)
    }

    /// Parses what follows `://`.
    pub(super) fn from_parts(is_secure: bool, rest: &str) -> Result<Self, UrlError> {
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let authority = Authority::parse(authority).ok_or(UrlError::Authority)?;
        if !is_target(target.as_bytes()) {
            return Err(UrlError::Target);
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        let default_port = if is_secure { DEFAULT_TLS_PORT } else { DEFAULT_PORT };
        let port = authority.port.unwrap_or(default_port);
        Ok(Self {
            is_secure,
            host: authority.host.trim_matches(['[', ']']).to_owned(),
            port,
            host_header: match port {
                _ if port == default_port => authority.host.to_owned(),
                _ => format!("{}:{port}", authority.host),
            },
            target: format!("{slash}{target}"),
        })
    }

    /// Whether the connection uses TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// A name, an IPv4 address, or an IPv6 address without brackets, as resolvers expect it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port. If the URL has none, it is 80, or 443 with TLS.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path and the query. At least `/`.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The host and the port, whether it is the default or not. An IPv6 address is in brackets.
    pub(super) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Whether both have the same origin: scheme, host and port (RFC 6454 §5).
    pub(crate) fn has_same_origin(&self, other: &Self) -> bool {
        self.is_secure == other.is_secure
            && self.port == other.port
            && self.host.eq_ignore_ascii_case(&other.host)
    }

    /// The value of `Host`. An IPv6 address is in brackets, and a default port is left out.
    #[must_use]
    pub fn host_header(&self) -> &str {
        &self.host_header
    }
}

impl fmt::Display for WsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.host_header, self.target)
    }
}

/// Why a client cannot connect to a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UrlError {
    /// The host or the port is missing or malformed.
    Authority,
    /// The URL has a fragment, which RFC 6455 §3 forbids.
    Fragment,
    /// The scheme is neither `ws` nor `wss`.
    Scheme,
    /// The path or the query has bytes that must be percent-encoded (RFC 3986), or a malformed
    /// percent-encoding.
    Target,
    /// The scheme is `wss`, but no trusted roots are configured. This needs the feature `tls` and
    /// `ClientConfig::tls`.
    TlsNotConfigured,
    /// The URL has a user name or a password. It would not be sent. Use a header instead.
    UserInfo,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authority => "host or port missing or malformed",
            Self::Fragment => "fragment in a WebSocket URL",
            Self::Scheme => "scheme is neither ws nor wss",
            Self::Target => "path or query is not percent-encoded",
            Self::TlsNotConfigured => {
                "a wss URL needs the feature tls and trusted roots (ClientConfig::tls)"
            }
            Self::UserInfo => "user name or password in a WebSocket URL",
        })
    }
}

impl std::error::Error for UrlError {}

/// Whether the scheme is the second of two, in any case. `None` if it is neither.
pub(super) fn is_secure(scheme: &str, [plain, secure]: [&str; 2]) -> Option<bool> {
    let is_secure = scheme.eq_ignore_ascii_case(secure);
    (is_secure || scheme.eq_ignore_ascii_case(plain)).then_some(is_secure)
}

/// RFC 6455 §3.
const DEFAULT_PORT: u16 = 80;
const DEFAULT_TLS_PORT: u16 = 443;

/// Whether the bytes are a path and a query of RFC 3986 (§3.3 and §3.4).
fn is_target(mut bytes: &[u8]) -> bool {
    loop {
        bytes = match bytes {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            [byte, rest @ ..]
                if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(byte) =>
            {
                rest
            }
            _ => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_apart() {
        for (text, host, port, host_header, target) in [
            ("ws://example.com", "example.com", 80, "example.com", "/"),
            ("WS://Example.com/", "Example.com", 80, "Example.com", "/"),
            ("ws://example.com:80/a", "example.com", 80, "example.com", "/a"),
            ("ws://example.com:443/a", "example.com", 443, "example.com:443", "/a"),
            ("ws://example.com?a=b/c?d", "example.com", 80, "example.com", "/?a=b/c?d"),
            ("ws://127.0.0.1:9001/a//b", "127.0.0.1", 9001, "127.0.0.1:9001", "/a//b"),
            ("ws://[::1]", "::1", 80, "[::1]", "/"),
            ("ws://[2001:db8::1]:65535/?", "2001:db8::1", 65535, "[2001:db8::1]:65535", "/?"),
            ("ws://a_b/%20@:x%fF", "a_b", 80, "a_b", "/%20@:x%fF"),
            ("wss://example.com", "example.com", 443, "example.com", "/"),
            ("WSS://example.com:80/a", "example.com", 80, "example.com:80", "/a"),
        ] {
            let url = WsUrl::parse(text).unwrap();
            assert_eq!(url.is_secure(), text.to_lowercase().starts_with("wss"));
            assert_eq!(
                (url.host(), url.port(), url.host_header(), url.target()),
                (host, port, host_header, target)
            );
            assert_eq!(WsUrl::parse(&url.to_string()), Ok(url), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_plain_url() {
        for (text, error) in [
            ("", UrlError::Scheme),
            ("example.com", UrlError::Scheme),
            ("ws:/example.com", UrlError::Scheme),
            (" ws://example.com", UrlError::Scheme),
            ("http://example.com", UrlError::Scheme),
            ("WSS://", UrlError::Authority),
            ("wsss://a", UrlError::Scheme),
            ("ws://example.com/#a", UrlError::Fragment),
            ("ws://example.com#", UrlError::Fragment),
            ("ws://a:b@example.com/", UrlError::UserInfo),
            ("ws://@example.com/", UrlError::UserInfo),
            ("ws://", UrlError::Authority),
            ("ws:///a", UrlError::Authority),
            ("ws://:80", UrlError::Authority),
            ("ws://a:", UrlError::Authority),
            ("ws://a:0", UrlError::Authority),
            ("ws://a:65536", UrlError::Authority),
            ("ws://a:+80", UrlError::Authority),
            ("ws://a:80:80", UrlError::Authority),
            ("ws://::1/", UrlError::Authority),
            ("ws://[::1/", UrlError::Authority),
            ("ws://[::1]a/", UrlError::Authority),
            ("ws://[::g]/", UrlError::Authority),
            ("ws://[fe80::1%25eth0]/", UrlError::Authority),
            ("ws://[127.0.0.1]/", UrlError::Authority),
            ("ws://a b/", UrlError::Authority),
            ("ws://a%20b/", UrlError::Authority),
            ("ws://a\r\nb/", UrlError::Authority),
            ("ws://b\u{fc}cher/", UrlError::Authority),
            ("ws://a\\b", UrlError::Authority),
            ("ws://a/b c", UrlError::Target),
            ("ws://a/b\r\nX: c", UrlError::Target),
            ("ws://a/\0", UrlError::Target),
            ("ws://a/\u{e9}", UrlError::Target),
            ("ws://a/%", UrlError::Target),
            ("ws://a/%2", UrlError::Target),
            ("ws://a/%2g", UrlError::Target),
            ("ws://a/\"", UrlError::Target),
            ("ws://a/?q={}", UrlError::Target),
        ] {
            assert_eq!(WsUrl::parse(text), Err(error), "{text:?}");
        }
    }
}
