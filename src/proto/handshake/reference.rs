//! References to other URLs, as a redirect has them (RFC 3986 §5).

use super::url::is_secure;
use super::{UrlError, WsUrl};

impl WsUrl {
    /// The URL that `reference` names, as in the header `Location` of a response for this URL: an
    /// absolute URL, or a reference that is relative to this one (RFC 3986 §5.2).
    ///
    /// The schemes `http` and `https` count as `ws` and `wss`. A fragment is left out.
    ///
    /// ```
    /// use eventwire::proto::handshake::WsUrl;
    ///
    /// let url = WsUrl::parse("ws://example.com/rooms/1?a")?;
    /// assert_eq!(url.join("../login")?.to_string(), "ws://example.com/login");
    /// assert_eq!(url.join("https://other.example/#top")?.to_string(), "wss://other.example/");
    /// # Ok::<(), eventwire::proto::handshake::UrlError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Which part of the reference is wrong or not supported.
    pub fn join(&self, reference: &str) -> Result<Self, UrlError> {
        let reference = reference.split('#').next().unwrap_or_default();
        if let Some((scheme, rest)) = split_scheme(reference) {
            let is_secure = is_secure(scheme, ["http", "https"])
                .or(is_secure(scheme, ["ws", "wss"]))
                .ok_or(UrlError::Scheme)?;
            let rest = rest.strip_prefix("//").ok_or(UrlError::Authority)?;
            return Self::from_parts(is_secure, &without_dots_behind_host(rest));
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return Self::from_parts(self.is_secure(), &without_dots_behind_host(rest));
        }
        let (path, query) = split_query(reference);
        let (base_path, base_query) = split_query(self.target());
        let target = if path.is_empty() {
            let query = if query.is_empty() { base_query } else { query };
            format!("{base_path}{query}")
        } else if path.starts_with('/') {
            format!("{}{query}", without_dots(path))
        } else {
            // The target begins with a slash.
            let folder = base_path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{}{query}", without_dots(&format!("{folder}/{path}")))
        };
        Self::from_parts(self.is_secure(), &format!("{}{target}", self.authority()))
    }
}

/// The scheme of a reference and what follows its colon, if it has a scheme (RFC 3986 §3.1).
fn split_scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

/// The path, and the query with its question mark.
fn split_query(text: &str) -> (&str, &str) {
    text.split_at(text.find('?').unwrap_or(text.len()))
}

/// Removes the dot segments of the path behind a host.
fn without_dots_behind_host(rest: &str) -> String {
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = split_query(target);
    format!("{authority}{}{query}", without_dots(path))
}

/// Removes the segments `.` and `..` of a path that is empty or begins with a slash (RFC 3986
/// §5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                // The last one names a folder.
                if is_last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    kept.iter().flat_map(|segment| ["/", segment]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(base: &str, reference: &str) -> Result<String, UrlError> {
        WsUrl::parse(base).expect("a URL").join(reference).map(|url| url.to_string())
    }

    /// The examples of RFC 3986 §5.4 that have a path, without fragments.
    #[test]
    fn the_examples_of_the_standard() {
        for (reference, target) in [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("?y", "/b/c/d;p?y"),
            ("g?y", "/b/c/g?y"),
            ("#s", "/b/c/d;p?q"),
            ("g#s", "/b/c/g"),
            ("g?y#s", "/b/c/g?y"),
            (";x", "/b/c/;x"),
            ("g;x", "/b/c/g;x"),
            ("g;x?y#s", "/b/c/g;x?y"),
            ("", "/b/c/d;p?q"),
            (".", "/b/c/"),
            ("./", "/b/c/"),
            ("..", "/b/"),
            ("../", "/b/"),
            ("../g", "/b/g"),
            ("../..", "/"),
            ("../../", "/"),
            ("../../g", "/g"),
            ("../../../g", "/g"),
            ("../../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g.", "/b/c/g."),
            (".g", "/b/c/.g"),
            ("g..", "/b/c/g.."),
            ("..g", "/b/c/..g"),
            ("./../g", "/b/g"),
            ("./g/.", "/b/c/g/"),
            ("g/./h", "/b/c/g/h"),
            ("g/../h", "/b/c/h"),
            ("g;x=1/./y", "/b/c/g;x=1/y"),
            ("g;x=1/../y", "/b/c/y"),
            ("g?y/./x", "/b/c/g?y/./x"),
            ("g?y/../x", "/b/c/g?y/../x"),
            ("g#s/../x", "/b/c/g"),
        ] {
            let url = Ok(format!("ws://a:8080{target}"));
            assert_eq!(join("ws://a:8080/b/c/d;p?q", reference), url, "{reference}");
        }
        assert_eq!(join("ws://a/b", "//g"), Ok("ws://g/".to_owned()));
        assert_eq!(join("ws://a", "g:h"), Err(UrlError::Scheme));
    }

    #[test]
    fn schemes_of_the_web_become_those_of_websockets() {
        for (base, reference, url) in [
            ("ws://a/b", "http://c", "ws://c/"),
            ("ws://a/b", "HTTPS://c:80/../d", "wss://c:80/d"),
            ("wss://a/b", "ws://c/", "ws://c/"),
            ("wss://a/b", "//c:443/./d?e", "wss://c/d?e"),
            ("wss://[::1]:8443/b", "c", "wss://[::1]:8443/c"),
            ("ws://a", "b:c", ""),
            ("ws://a", "./b:c", "ws://a/b:c"),
        ] {
            let joined = join(base, reference);
            assert_eq!(joined.unwrap_or_default(), url, "{base} {reference}");
        }
    }

    #[test]
    fn what_names_no_url_is_refused() {
        for (reference, error) in [
            ("ftp://a", UrlError::Scheme),
            ("http:a", UrlError::Authority),
            ("http://", UrlError::Authority),
            ("//", UrlError::Authority),
            ("//a:0", UrlError::Authority),
            ("http://user@a", UrlError::UserInfo),
            ("/a b", UrlError::Target),
            ("/a\\b", UrlError::Target),
            ("\u{e9}", UrlError::Target),
            ("/%zz", UrlError::Target),
            ("a\r\nB: c", UrlError::Target),
        ] {
            assert_eq!(join("ws://a/b", reference), Err(error), "{reference:?}");
        }
    }
}
