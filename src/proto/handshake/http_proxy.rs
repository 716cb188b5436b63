use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{UrlError, WsUrl};
use crate::proto::http::{InvalidHeader, write_header};

/// An HTTP proxy that opens tunnels by `CONNECT` (RFC 9110 §9.3.6).
///
/// ```
/// use eventwire::{ClientConfig, HttpProxy};
///
/// let proxy = HttpProxy::new("http://proxy.example.com:3128")?.credentials("user", "password")?;
/// let config = ClientConfig::default().proxy(proxy);
/// # Ok::<(), eventwire::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct HttpProxy {
    /// Where the proxy listens.
    url: WsUrl,
    /// The value of `Proxy-Authorization`.
    authorization: Option<String>,
}

impl HttpProxy {
    /// The proxy at `http://host[:port]`. The default port is 80. The connection to the proxy has
    /// no TLS; a `wss://` URL has its own TLS inside of the tunnel.
    ///
    /// # Errors
    ///
    /// Which part of the URL is wrong or not supported: a scheme other than `http`, a path, or a
    /// user name, which belongs to [`credentials`](Self::credentials).
    pub fn new(url: &str) -> Result<Self, UrlError> {
        let url = WsUrl::parse_http(url)?;
        if url.is_secure() {
            return Err(UrlError::Scheme);
        }
        if url.target() != "/" {
            return Err(UrlError::Target);
        }
        Ok(Self { url, authorization: None })
    }

    /// Sends this name and password to the proxy with the scheme Basic (RFC 7617), in UTF-8. They
    /// are readable for everybody on the way to the proxy.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader::Value`] if the name has a colon, or either has control characters.
    pub fn credentials(mut self, user: &str, password: &str) -> Result<Self, InvalidHeader> {
        if user.contains(':') || user.chars().chain(password.chars()).any(char::is_control) {
            return Err(InvalidHeader::Value("Proxy-Authorization".to_owned()));
        }
        self.authorization =
            Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        Ok(self)
    }

    /// The host of the proxy: a name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host()
    }

    /// The port of the proxy.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.port()
    }

    /// Appends the request for a tunnel to the host of `url`, which only the proxy looks up.
    pub(crate) fn write(&self, url: &WsUrl, out: &mut Vec<u8>) {
        let authority = url.authority();
        for part in ["CONNECT ", &authority, " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        write_header(out, "Host", authority.as_bytes());
        if let Some(authorization) = &self.authorization {
            write_header(out, "Proxy-Authorization", authorization.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Reveals nothing of the credentials.
impl fmt::Debug for HttpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProxy")
            .field("host", &self.host())
            .field("port", &self.port())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(proxy: &HttpProxy, url: &str) -> String {
        let mut out = Vec::new();
        proxy.write(&WsUrl::parse(url).expect("a URL"), &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_request_to_the_byte() {
        let proxy = HttpProxy::new("http://proxy").expect("a proxy");
        assert_eq!((proxy.host(), proxy.port()), ("proxy", 80));
        assert_eq!(
            written(&proxy, "ws://example.com/chat"),
            "CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n"
        );
        // The example of RFC 7617 §2.
        let proxy = proxy.credentials("Aladdin", "open sesame").expect("credentials");
        assert_eq!(
            written(&proxy, "wss://[::1]/"),
            "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\
             Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
        );
        assert!(!format!("{proxy:?}").contains("QWxh"));
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        for (url, error) in [
            ("proxy:3128", UrlError::Scheme),
            ("ws://proxy", UrlError::Scheme),
            ("https://proxy", UrlError::Scheme),
            ("socks5://proxy", UrlError::Scheme),
            ("http://", UrlError::Authority),
            ("http://proxy:0", UrlError::Authority),
            ("http://proxy/path", UrlError::Target),
            ("http://proxy?a", UrlError::Target),
            ("http://user:password@proxy", UrlError::UserInfo),
            ("http://proxy#a", UrlError::Fragment),
        ] {
            assert_eq!(HttpProxy::new(url), Err(error), "{url}");
        }
        let proxy = HttpProxy::new("HTTP://proxy:3128/").expect("a proxy");
        let invalid = Err(InvalidHeader::Value("Proxy-Authorization".to_owned()));
        for (user, password) in [("a:b", ""), ("a\n", ""), ("a", "b\0"), ("", "\u{85}")] {
            assert_eq!(proxy.clone().credentials(user, password), invalid);
        }
        assert!(proxy.credentials("", "a:b \u{e9}").is_ok());
    }
}
