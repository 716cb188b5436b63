use super::HandshakeError;
use super::authority::Authority;

/// What a request asks for (RFC 9112 §3.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    /// As it came.
    pub(super) text: &'a str,
    /// In absolute form: the host that is asked, whatever `Host` says.
    pub(super) authority: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

/// The schemes of a target in absolute form. Which of them it is makes no difference: what a proxy
/// in between spoke is not known.
const SCHEMES: [&str; 4] = ["http", "https", "ws", "wss"];

impl<'a> Target<'a> {
    /// Takes it apart. Nothing is checked.
    pub(super) fn new(text: &'a str) -> Self {
        let (authority, rest) = match split_absolute(text) {
            Some((authority, rest)) => (Some(authority), rest),
            None => (None, text),
        };
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        // RFC 9110 §4.2.3.
        let path = if path.is_empty() && authority.is_some() { "/" } else { path };
        Self { text, authority, path, query }
    }

    /// Refuses what is neither of origin form nor of absolute form, and what a URL cannot have.
    pub(super) fn check(&self) -> Result<(), HandshakeError> {
        let is_plain = self.text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let has_host = self.authority.is_none_or(|host| Authority::parse(host).is_some());
        match is_plain && has_host && self.path.starts_with('/') {
            true => Ok(()),
            false => Err(HandshakeError::InvalidTarget),
        }
    }
}

/// The authority of a target in absolute form, and what follows it.
fn split_absolute(text: &str) -> Option<(&str, &str)> {
    if text.starts_with('/') {
        return None;
    }
    let (scheme, rest) = text.split_once("://")?;
    let is_known = SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    is_known.then(|| rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_taken_apart() {
        for (text, authority, path, query) in [
            ("/", None, "/", None),
            ("/a?b?c", None, "/a", Some("b?c")),
            ("/a?u=http://b/", None, "/a", Some("u=http://b/")),
            ("//a/b", None, "//a/b", None),
            ("http://a/b?c", Some("a"), "/b", Some("c")),
            ("HTTPS://a:1/", Some("a:1"), "/", None),
            ("ws://[::1]:80//", Some("[::1]:80"), "//", None),
            ("wss://a.b", Some("a.b"), "/", None),
            ("http://a?b=/c", Some("a"), "/", Some("b=/c")),
            ("http://a/http://b/", Some("a"), "/http://b/", None),
        ] {
            let target = Target::new(text);
            assert_eq!((target.authority, target.path, target.query), (authority, path, query));
            assert_eq!((target.text, target.check()), (text, Ok(())));
        }
    }

    #[test]
    fn what_names_no_resource_here_is_refused() {
        for text in [
            "",
            "*",
            "a",
            "a:80",
            "?a",
            "http:",
            "http:/a",
            "http://",
            "http:///a",
            "http://?a",
            "http://u@a/",
            "http://u:p@a/",
            "http://a:/",
            "http://a:0/",
            "http://a:70000/",
            "http://a,b/",
            "http://[::1/",
            "http://a/#b",
            "http://a#b",
            "ftp://a/",
            "://a/",
            "file:///a",
            "/a#b",
            "/\u{e9}",
            "http://\u{e9}/",
        ] {
            assert_eq!(Target::new(text).check(), Err(HandshakeError::InvalidTarget), "{text}");
        }
    }
}
