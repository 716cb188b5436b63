use super::{HandshakeError, UpgradeRequest};
use crate::proto::http::{Authority, HttpRequest};

/// Which web pages may connect (RFC 6455 §10.2).
///
/// A browser lets any web page open a WebSocket to any server, with the user's cookies, and names
/// the page's origin in `Origin`. Only the server can refuse it. Other programs can send any
/// `Origin` or none. So the policy keeps foreign web pages out, but authenticates nobody. A request
/// without `Origin` is always allowed.
///
/// ```
/// use eventwire::proto::handshake::OriginPolicy;
///
/// let policy = OriginPolicy::Listed(vec!["https://app.example.com".to_owned()]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OriginPolicy {
    /// Pages from the host and port that the request names ([`UpgradeRequest::host`]). If the
    /// listener itself uses TLS, their scheme must be `https`. Otherwise it may be `http` or
    /// `https`, because a proxy may have ended TLS.
    ///
    /// An attacker can let a name of theirs resolve to this server (DNS rebinding). Then the
    /// attacker's page has the same origin. A server that only the user's machine can reach should
    /// check [`UpgradeRequest::host`] against the names that it knows.
    #[default]
    SameOrigin,
    /// Pages of the same origin, and of these origins. Write each as a browser sends it:
    /// `scheme://host`, with `:port` if it is not the default of the scheme, and without a slash at
    /// the end. Whole origins are compared, without regard to ASCII case. `null` allows the
    /// sandboxed pages of every site.
    Listed(Vec<String>),
    /// All web pages.
    Any,
}

/// The schemes that count as the same origin if TLS is used, and otherwise.
const TLS: &[&str] = &["https"];
const ANY: &[&str] = &["http", "https"];

impl OriginPolicy {
    /// Checks the origin of a request that came without TLS. A proxy may have ended TLS, so pages
    /// of `http` and of `https` both have the same origin.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::OriginNotAllowed`] if the request has an origin that the policy does not
    /// allow.
    pub fn check(&self, request: &UpgradeRequest<'_>) -> Result<(), HandshakeError> {
        self.check_for(request.origin(), request.host(), ANY)
    }

    /// Checks the origin of a request that asks for no WebSocket: as
    /// [`check_over_tls`](Self::check_over_tls) if it came over TLS to this end, and otherwise as
    /// [`check`](Self::check). CORS keeps foreign pages from reading responses
    /// ([`Cors`](crate::Cors)). This keeps them from causing something.
    ///
    /// ```
    /// use eventwire::{HttpResponse, OriginPolicy, Routes};
    ///
    /// let routes = Routes::<u64>::new().post("/count", |_, request, count| {
    ///     if OriginPolicy::SameOrigin.check_request(request).is_err() {
    ///         return HttpResponse::new(403);
    ///     }
    ///     *count += 1;
    ///     HttpResponse::new(204)
    /// });
    /// # drop(routes);
    /// ```
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), or why the origin is malformed.
    pub fn check_request(&self, request: &HttpRequest<'_>) -> Result<(), HandshakeError> {
        let schemes = if request.is_over_tls() { TLS } else { ANY };
        self.check_for(request.origin()?, request.host(), schemes)
    }

    /// Checks the origin of a request that came over TLS. A page of `http` has another origin,
    /// because anybody on the network may have changed it.
    ///
    /// # Errors
    ///
    /// The same as [`check`](Self::check).
    pub fn check_over_tls(&self, request: &UpgradeRequest<'_>) -> Result<(), HandshakeError> {
        self.check_for(request.origin(), request.host(), TLS)
    }

    /// `schemes`: the schemes that count as the same origin.
    fn check_for(
        &self,
        origin: Option<&str>,
        host: &str,
        schemes: &[&str],
    ) -> Result<(), HandshakeError> {
        let Some(origin) = origin else {
            return Ok(());
        };
        let is_same = || is_same_origin(origin, host, schemes);
        let allowed = match self {
            Self::SameOrigin => is_same(),
            Self::Listed(list) => {
                list.iter().any(|listed| listed.eq_ignore_ascii_case(origin)) || is_same()
            }
            Self::Any => true,
        };
        if allowed { Ok(()) } else { Err(HandshakeError::OriginNotAllowed) }
    }
}

fn is_same_origin(origin: &str, host: &str, schemes: &[&str]) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    if !schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return false;
    }
    let default = if scheme.eq_ignore_ascii_case("http") {
        80
    } else if scheme.eq_ignore_ascii_case("https") {
        443
    } else {
        // The origin of a browser extension or an app has no host on the network.
        return false;
    };
    match (Authority::parse(authority), Authority::parse(host)) {
        (Some(origin), Some(host)) => origin.same_as(&host, Some(default)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::http::{HeadLimits, is_origin};

    fn head(host: &str, origin: Option<&str>) -> String {
        let origin = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
        format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             {origin}\r\n"
        )
    }

    fn check(policy: &OriginPolicy, host: &str, origin: Option<&str>) -> bool {
        let head = head(host, origin);
        let request = UpgradeRequest::parse(head.as_bytes(), &HeadLimits::default()).unwrap();
        match policy.check(&request) {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error, HandshakeError::OriginNotAllowed);
                assert_eq!(error.status(), 403);
                false
            }
        }
    }

    #[test]
    fn same_origin_compares_host_and_port() {
        for (host, origin, allowed) in [
            ("example.com", None, true),
            ("example.com", Some("http://example.com"), true),
            ("example.com", Some("https://example.com"), true),
            ("Example.COM", Some("HTTPS://eXample.com"), true),
            ("example.com", Some("http://example.com:80"), true),
            ("example.com:80", Some("http://example.com"), true),
            ("example.com", Some("https://example.com:443"), true),
            ("example.com:443", Some("https://example.com"), true),
            ("example.com:8080", Some("http://example.com:8080"), true),
            ("[::1]:9001", Some("http://[::1]:9001"), true),
            ("127.0.0.1:9001", Some("http://127.0.0.1:9001"), true),
            ("example.com:443", Some("http://example.com"), false),
            ("example.com:80", Some("https://example.com"), false),
            ("example.com:8080", Some("http://example.com"), false),
            ("example.com", Some("http://example.com:8080"), false),
            ("example.com", Some("http://evil.example.com"), false),
            ("example.com", Some("http://example.com.evil.org"), false),
            ("example.com", Some("http://evilexample.com"), false),
            ("example.com", Some("http://example.com."), false),
            ("example.com", Some("http://example.com@evil.org"), false),
            ("example.com", Some("http://evil.org/example.com"), false),
            ("example.com", Some("http://example.com/"), false),
            ("example.com", Some("http://evil.org,http://example.com"), false),
            ("example.com", Some("chrome-extension://example.com"), false),
            ("example.com", Some("file://"), false),
            ("example.com", Some("example.com"), false),
            ("example.com", Some("://example.com"), false),
            ("example.com", Some("null"), false),
            ("null", Some("null"), false),
            ("localhost:9001", Some("http://localhost:3000"), false),
            ("localhost:9001", Some("http://127.0.0.1:9001"), false),
        ] {
            let answer = check(&OriginPolicy::default(), host, origin);
            assert_eq!(answer, allowed, "{origin:?} at {host}");
        }
    }

    #[test]
    fn over_tls_a_page_in_the_clear_is_of_another_origin() {
        let listed = OriginPolicy::Listed(vec!["http://a".to_owned()]);
        for (policy, host, origin, allowed) in [
            (OriginPolicy::SameOrigin, "a", None, true),
            (OriginPolicy::SameOrigin, "a", Some("https://a"), true),
            (OriginPolicy::SameOrigin, "a:443", Some("HTTPS://A"), true),
            (OriginPolicy::SameOrigin, "a:9001", Some("https://a:9001"), true),
            (OriginPolicy::SameOrigin, "a", Some("http://a"), false),
            (OriginPolicy::SameOrigin, "a:80", Some("http://a"), false),
            (OriginPolicy::SameOrigin, "a:9001", Some("http://a:9001"), false),
            (OriginPolicy::SameOrigin, "a:443", Some("http://a:443"), false),
            (OriginPolicy::SameOrigin, "a", Some("https://b"), false),
            (listed.clone(), "b", Some("http://b"), false),
            (listed.clone(), "b", Some("https://b"), true),
            (listed, "b", Some("http://a"), true),
            (OriginPolicy::Any, "a", Some("http://a"), true),
        ] {
            let head = head(host, origin);
            let request = UpgradeRequest::parse(head.as_bytes(), &HeadLimits::default()).unwrap();
            let expected = if allowed { Ok(()) } else { Err(HandshakeError::OriginNotAllowed) };
            assert_eq!(policy.check_over_tls(&request), expected, "{origin:?} at {host}");
        }
    }

    #[test]
    fn a_list_adds_to_the_same_origin() {
        let list = ["https://App.example.com", "http://localhost:3000", "file://"];
        let policy = OriginPolicy::Listed(list.map(str::to_owned).to_vec());
        for (origin, allowed) in [
            (None, true),
            (Some("https://api.example.com"), true),
            (Some("https://app.example.com"), true),
            (Some("HTTPS://APP.EXAMPLE.COM"), true),
            (Some("http://localhost:3000"), true),
            (Some("file://"), true),
            (Some("http://app.example.com"), false),
            (Some("https://app.example.com:8443"), false),
            (Some("https://app.example.com.evil.org"), false),
            (Some("http://localhost"), false),
            (Some("http://localhost:30000"), false),
            (Some("null"), false),
        ] {
            assert_eq!(check(&policy, "api.example.com", origin), allowed, "{origin:?}");
        }
    }

    #[test]
    fn any_lets_every_page_in() {
        for origin in [None, Some("null"), Some("https://evil.org")] {
            assert!(check(&OriginPolicy::Any, "example.com", origin));
        }
    }

    #[test]
    fn an_origin_is_null_or_a_scheme_and_a_host() {
        for good in ["null", "http://a", "HTTPS://a.b:1", "http://[::1]:80", "a+b-c.1://d"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in ["", "a", "Null", "http://", "://a", "1a://b", "http://a/", "http://a b"] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
