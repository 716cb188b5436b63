use std::fmt;

use crate::proto::http::Authority;

/// A `ws://` or `wss://` URL (RFC 6455 §3), taken apart.
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
    /// Starts with a slash; only what RFC 3986 lets a path and a query have.
    target: String,
}

impl WsUrl {
    /// Parses `ws://host[:port][/path][?query]`, and the same with `wss`.
    ///
    /// The path and the query are written into the request as they are, so that everything which
    /// RFC 3986 wants escaped must be escaped already.
    ///
    /// # Errors
    ///
    /// The part of the URL that is wrong, or not supported.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let is_secure = scheme.eq_ignore_ascii_case("wss");
        if !is_secure && !scheme.eq_ignore_ascii_case("ws") {
            return Err(UrlError::Scheme);
        }
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

    /// Whether the connection is to speak TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// A name, an IPv4 address, or an IPv6 address without brackets: what resolvers take.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; if the URL names none, 80, and with TLS 443.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path and the query, at least `/`.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The value of `Host`: an IPv6 address in brackets, the port unless it is the default.
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

/// Why a text is no URL that a client can connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UrlError {
    /// The host or the port is missing or malformed.
    Authority,
    /// There is a fragment, which RFC 6455 §3 forbids.
    Fragment,
    /// The scheme is neither `ws` nor `wss`.
    Scheme,
    /// The path or the query has bytes that RFC 3986 wants escaped, or a malformed escape.
    Target,
    /// The scheme is `wss`, and nothing says whom to believe: that takes the feature `tls` and
    /// `ClientConfig::tls`.
    TlsNotConfigured,
    /// There is a user name. It would be sent nowhere: use a header.
    UserInfo,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authority => "host or port missing or malformed",
            Self::Fragment => "fragment in a WebSocket URL",
            Self::Scheme => "scheme is neither ws nor wss",
            Self::Target => "path or query needs percent-encoding",
            Self::TlsNotConfigured => "wss needs the feature tls, and whom to believe",
            Self::UserInfo => "user name in a WebSocket URL",
        })
    }
}

impl std::error::Error for UrlError {}

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
