//! Cross-origin resource sharing (the Fetch standard, §3.3).

use std::fmt;
use std::time::Duration;

use super::fields::is_token;
use super::headers::ExtraHeaders;
use super::{HttpRequest, HttpResponse, is_origin};
use crate::proto::handshake::OriginPolicy;

/// Which pages of other origins may read the responses to requests, and send requests that a form
/// cannot send. [`Routes::cors`](crate::Routes::cors) applies it.
///
/// A browser asks before it sends such a request (`OPTIONS` with `Access-Control-Request-Method`, a
/// *preflight*). The answer is 204 with the methods that the path has. All other responses tell the
/// browser whether the page may read them. Pages of the server's own origin need none of this.
///
/// This protects users of browsers and what they may do, not the server: the handler is called for
/// requests of any origin, and programs other than browsers can send what they like. It does not
/// concern WebSockets, which have an [`OriginPolicy`](crate::OriginPolicy).
///
/// ```
/// use std::time::Duration;
///
/// use eventwire::{Cors, HttpResponse, Routes};
///
/// let app = Cors::origins(["https://app.example.com"])?
///     .allow_headers(["Authorization", "Content-Type"])?
///     .max_age(Duration::from_secs(600));
/// let routes = Routes::<()>::new()
///     .cors("/api/*", app)
///     .cors("/status", Cors::any())
///     .get("/status", |_, _, _| HttpResponse::text("up"))
///     .delete("/api/rooms/{room}", |_, _, _| HttpResponse::new(204));
/// # drop(routes);
/// # Ok::<(), eventwire::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    origins: Origins,
    allowed_headers: Vec<String>,
    exposed_headers: Vec<String>,
    has_credentials: bool,
    max_age: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origins {
    Any,
    /// Valid by [`is_origin`].
    Listed(Vec<String>),
}

/// Why a [`Cors`] is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CorsError {
    /// This is no origin, which is `scheme://host` with an optional `:port`, or `null`.
    Origin(String),
    /// This is no name of a header.
    HeaderName(String),
    /// `*` and credentials exclude each other: with credentials, browsers take `*` literally.
    AnyWithCredentials,
}

impl fmt::Display for CorsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin(origin) => write!(f, "{origin:?} is no origin"),
            Self::HeaderName(name) => write!(f, "header name {name:?} is not a token"),
            Self::AnyWithCredentials => f.write_str("credentials are allowed to any origin"),
        }
    }
}

impl std::error::Error for CorsError {}

/// Stands for all origins or headers.
const ANY: &str = "*";

impl Cors {
    /// Pages of all origins, without credentials: for what everybody may read.
    #[must_use]
    pub const fn any() -> Self {
        Self::new(Origins::Any)
    }

    /// Pages of these origins. Write each as a browser sends it: `scheme://host`, with `:port` if
    /// it is not the default of the scheme, and without a slash at the end. They are compared
    /// without regard to ASCII case. `null` allows the sandboxed pages of every site.
    ///
    /// # Errors
    ///
    /// [`CorsError::Origin`].
    pub fn origins<T: Into<String>>(
        origins: impl IntoIterator<Item = T>,
    ) -> Result<Self, CorsError> {
        let origins: Vec<String> = origins.into_iter().map(Into::into).collect();
        match origins.iter().find(|origin| !is_origin(origin)) {
            Some(wrong) => Err(CorsError::Origin(wrong.clone())),
            None => Ok(Self::new(Origins::Listed(origins))),
        }
    }

    /// The same origins for WebSockets, to which CORS does not apply.
    ///
    /// ```
    /// use eventwire::{Cors, OriginPolicy};
    ///
    /// assert_eq!(Cors::any().origin_policy(), OriginPolicy::Any);
    /// ```
    #[must_use]
    pub fn origin_policy(&self) -> OriginPolicy {
        match &self.origins {
            Origins::Any => OriginPolicy::Any,
            Origins::Listed(origins) => OriginPolicy::Listed(origins.clone()),
        }
    }

    const fn new(origins: Origins) -> Self {
        Self {
            origins,
            allowed_headers: Vec::new(),
            exposed_headers: Vec::new(),
            has_credentials: false,
            max_age: None,
        }
    }

    /// The headers that a page may send beside those that any page may send, for instance
    /// `Content-Type` for JSON. `*` allows all but `Authorization`. Default: none.
    ///
    /// # Errors
    ///
    /// [`CorsError::HeaderName`], or [`CorsError::AnyWithCredentials`] for `*` with
    /// [`credentials`](Self::credentials).
    pub fn allow_headers<T: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = T>,
    ) -> Result<Self, CorsError> {
        self.allowed_headers = checked(names)?;
        self.checked()
    }

    /// The headers of responses that a page may read beside those that any page may read, for
    /// instance `ETag`. `*` allows all. Default: none.
    ///
    /// # Errors
    ///
    /// As [`allow_headers`](Self::allow_headers).
    pub fn expose_headers<T: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = T>,
    ) -> Result<Self, CorsError> {
        self.exposed_headers = checked(names)?;
        self.checked()
    }

    /// Lets pages send requests with the user's cookies, and read the responses. Default: no.
    ///
    /// # Errors
    ///
    /// [`CorsError::AnyWithCredentials`] if all origins or all headers are allowed.
    pub fn credentials(mut self) -> Result<Self, CorsError> {
        self.has_credentials = true;
        self.checked()
    }

    /// How long a browser remembers the answer to a preflight, in whole seconds. Browsers limit it,
    /// Chromium to two hours. Default: the browser's, which is 5 s.
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    fn checked(self) -> Result<Self, CorsError> {
        let mut headers = self.allowed_headers.iter().chain(&self.exposed_headers);
        let has_any = self.origins == Origins::Any || headers.any(|name| name == ANY);
        if self.has_credentials && has_any { Err(CorsError::AnyWithCredentials) } else { Ok(self) }
    }

    /// What the request adds to any response to it.
    #[inline(never)]
    pub(crate) fn headers(&self, request: &HttpRequest<'_>) -> ExtraHeaders {
        let mut headers = ExtraHeaders::default();
        if self.origins != Origins::Any {
            // Even without an origin: a cache must not give this response to a page.
            headers.push_valid("Vary", "Origin");
        }
        let Some(origin) = self.allowed_origin(request) else {
            return headers;
        };
        headers.push_valid("Access-Control-Allow-Origin", origin);
        if self.has_credentials {
            headers.push_valid("Access-Control-Allow-Credentials", "true");
        }
        if !self.exposed_headers.is_empty() && !is_preflight(request) {
            let exposed = self.exposed_headers.join(", ");
            headers.push_valid("Access-Control-Expose-Headers", &exposed);
        }
        headers
    }

    /// The answer to a preflight, without the [headers](Self::headers) of any response. `None` if
    /// the request is none. `allow`: the methods of the path.
    #[inline(never)]
    pub(crate) fn preflight(
        &self,
        request: &HttpRequest<'_>,
        allow: impl FnOnce() -> String,
    ) -> Option<HttpResponse> {
        if !is_preflight(request) {
            return None;
        }
        let allow = allow();
        let response = HttpResponse::options(&allow);
        if self.allowed_origin(request).is_none() {
            return Some(response);
        }
        let mut headers = ExtraHeaders::default();
        headers.push_valid("Access-Control-Allow-Methods", &allow);
        if !self.allowed_headers.is_empty() {
            let allowed = self.allowed_headers.join(", ");
            headers.push_valid("Access-Control-Allow-Headers", &allowed);
        }
        if let Some(age) = self.max_age {
            headers.push_valid("Access-Control-Max-Age", &age.as_secs().to_string());
        }
        Some(response.with_extra(headers))
    }

    /// The origin for the response, if the request comes from an allowed one.
    fn allowed_origin<'a>(&self, request: &HttpRequest<'a>) -> Option<&'a str> {
        let origin = request.fields().single("Origin").ok()??;
        match &self.origins {
            Origins::Any => Some(ANY),
            Origins::Listed(listed) => {
                let origin = std::str::from_utf8(origin).ok()?;
                listed.iter().any(|it| it.eq_ignore_ascii_case(origin)).then_some(origin)
            }
        }
    }
}

/// Whether a browser asks what a page may send.
fn is_preflight(request: &HttpRequest<'_>) -> bool {
    let has = |name| request.fields().values(name).next().is_some();
    request.method() == "OPTIONS" && has("Origin") && has("Access-Control-Request-Method")
}

fn checked<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Result<Vec<String>, CorsError> {
    let names: Vec<String> = names.into_iter().map(Into::into).collect();
    match names.iter().find(|name| !is_token(name.as_bytes())) {
        Some(wrong) => Err(CorsError::HeaderName(wrong.clone())),
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::http::HeadLimits;

    const PREFLIGHT: &str = "Access-Control-Request-Method: DELETE\r\n";

    /// The headers of a request of `origin`, and its answer if it is a preflight.
    fn asked(cors: &Cors, method: &str, headers: &str) -> (String, Option<String>) {
        let head = format!("{method} / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let request = HttpRequest::parse(head.as_bytes(), &HeadLimits::default()).unwrap();
        let mut extra = Vec::new();
        cors.headers(&request).write(&mut extra);
        let preflight = cors.preflight(&request, || "GET, DELETE".to_owned()).map(|response| {
            let mut out = Vec::new();
            response.write(&mut out);
            String::from_utf8(out).unwrap()
        });
        (String::from_utf8(extra).unwrap(), preflight)
    }

    fn listed() -> Cors {
        Cors::origins(["https://a.example", "http://b:8080", "null"]).unwrap()
    }

    #[test]
    fn listed_origins_may_read() {
        for (origin, is_allowed) in [
            ("https://a.example", true),
            ("HTTPS://A.example", true),
            ("http://b:8080", true),
            ("null", true),
            ("http://a.example", false),
            ("https://a.example:443", false),
            ("https://a.example.evil", false),
            ("https://evil/https://a.example", false),
            ("https://a.example, https://evil", false),
            ("*", false),
            ("", false),
        ] {
            let (extra, preflight) = asked(&listed(), "GET", &format!("Origin: {origin}\r\n"));
            let allowed = format!("Access-Control-Allow-Origin: {origin}\r\n");
            let allowed = if is_allowed { &allowed } else { "" };
            assert_eq!(extra, format!("Vary: Origin\r\n{allowed}"));
            assert_eq!(preflight, None);
        }
        assert_eq!(asked(&listed(), "GET", "").0, "Vary: Origin\r\n");
        let twice = "Origin: https://a.example\r\nOrigin: https://a.example\r\n";
        assert_eq!(asked(&listed(), "GET", twice).0, "Vary: Origin\r\n");
    }

    #[test]
    fn any_origin_is_not_repeated() {
        let cors = Cors::any().expose_headers(["ETag", "X-A"]).unwrap();
        assert_eq!(
            asked(&cors, "GET", "Origin: http://a\r\n").0,
            "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: ETag, X-A\r\n"
        );
        assert_eq!(asked(&cors, "GET", "").0, "");
    }

    #[test]
    fn a_preflight_is_answered_with_what_is_allowed() {
        let cors = listed().allow_headers(["X-A", "Authorization"]).unwrap();
        let cors = cors.credentials().unwrap().expose_headers(["ETag"]).unwrap();
        let cors = cors.max_age(Duration::from_millis(600_500));
        let good = format!("Origin: null\r\n{PREFLIGHT}");
        assert_eq!(
            asked(&cors, "OPTIONS", &good),
            (
                "Vary: Origin\r\nAccess-Control-Allow-Origin: null\r\n\
                 Access-Control-Allow-Credentials: true\r\n"
                    .to_owned(),
                Some(
                    "HTTP/1.1 204 No Content\r\nAllow: GET, DELETE\r\n\
                     Access-Control-Allow-Methods: GET, DELETE\r\n\
                     Access-Control-Allow-Headers: X-A, Authorization\r\n\
                     Access-Control-Max-Age: 600\r\n\r\n"
                        .to_owned()
                )
            )
        );
        let foreign = asked(&cors, "OPTIONS", &format!("Origin: http://evil\r\n{PREFLIGHT}"));
        let refused = "HTTP/1.1 204 No Content\r\nAllow: GET, DELETE\r\n\r\n".to_owned();
        assert_eq!(foreign, ("Vary: Origin\r\n".to_owned(), Some(refused)));
        for (method, headers) in [("GET", &good[..]), ("OPTIONS", PREFLIGHT), ("OPTIONS", "")] {
            assert_eq!(asked(&cors, method, headers).1, None);
        }
        assert_eq!(asked(&cors, "OPTIONS", "Origin: null\r\n").1, None);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for wrong in
            ["*", "", "a.example", "https://a.example/", "https://", "https://a b", "a\r\n"]
        {
            assert_eq!(Cors::origins([wrong]), Err(CorsError::Origin(wrong.to_owned())));
        }
        for wrong in ["", "a b", "a,b", "a\r\nb"] {
            let error = CorsError::HeaderName(wrong.to_owned());
            assert_eq!(Cors::any().allow_headers([wrong]), Err(error.clone()));
            assert_eq!(Cors::any().expose_headers([wrong]), Err(error));
        }
        let refused = Err(CorsError::AnyWithCredentials);
        assert_eq!(Cors::any().credentials(), refused);
        let with_credentials = || listed().credentials().unwrap();
        assert_eq!(with_credentials().allow_headers(["*"]), refused);
        assert_eq!(with_credentials().expose_headers(["*"]), refused);
        assert_eq!(listed().allow_headers(["*"]).unwrap().credentials(), refused);
        assert!(Cors::any().allow_headers(["*"]).is_ok());
    }
}
