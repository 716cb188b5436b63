use super::HttpError;
use super::authority::Authority;

/// A request target as received (RFC 9112 §3.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a>(pub(super) &'a str);

/// The schemes of a target in absolute form. They are treated the same, because a proxy in between
/// may have used another one than the client.
const SCHEMES: [&str; 4] = ["http", "https", "ws", "wss"];

impl<'a> Target<'a> {
    /// The host and port of a target in absolute form. They take precedence over `Host`.
    pub(super) fn authority(self) -> Option<&'a str> {
        split_absolute(self.0).map(|(authority, _)| authority)
    }

    pub(super) fn path(self) -> &'a str {
        let resource = self.resource();
        match &resource[..query_start(resource)] {
            // RFC 9110 §4.2.3.
            "" if !self.0.starts_with('?') => "/",
            path => path,
        }
    }

    pub(super) fn query(self) -> Option<&'a str> {
        let resource = self.resource();
        resource.get(query_start(resource) + 1..)
    }

    /// The path and the query.
    fn resource(self) -> &'a str {
        split_absolute(self.0).map_or(self.0, |(_, resource)| resource)
    }

    /// Refuses a target that is neither in origin form nor in absolute form, and bytes that no URL
    /// can have.
    pub(super) fn check(self) -> Result<(), HttpError> {
        let is_printable = self.0.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let has_host = || self.authority().is_some_and(|host| Authority::is_valid(host.as_bytes()));
        match is_printable && (self.0.starts_with('/') || has_host()) {
            true => Ok(()),
            false => Err(HttpError::InvalidTarget),
        }
    }
}

/// Where the question mark before the query is, or the end.
fn query_start(resource: &str) -> usize {
    resource.bytes().position(|byte| byte == b'?').unwrap_or(resource.len())
}

/// The authority of a target in absolute form, and the rest.
#[inline]
fn split_absolute(text: &str) -> Option<(&str, &str)> {
    if text.starts_with('/') { None } else { split_scheme(text) }
}

#[inline(never)]
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_known = SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    is_known.then(|| rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_parsed() {
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
            let target = Target(text);
            assert_eq!(target.authority(), authority);
            assert_eq!((target.path(), target.query()), (path, query));
            assert_eq!(target.check(), Ok(()));
        }
    }

    #[test]
    fn a_target_that_names_no_resource_is_refused() {
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
            assert_eq!(Target(text).check(), Err(HttpError::InvalidTarget), "{text}");
        }
    }
}
