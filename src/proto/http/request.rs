use std::borrow::Cow;
use std::str;

use httparse::Header;

use super::authority::Authority;
use super::fields::{Fields, HeaderBuffer};
use super::pattern::Template;
use super::percent;
use super::target::Target;
use super::{BodyLength, ExpectedBody, HeadLimits, HeadScanner, HttpError};

/// A request of any HTTP client. It borrows from its head, and from its body.
///
/// ```
/// use eventwire::proto::http::{HeadLimits, HttpRequest};
///
/// let head = b"GET /status?full HTTP/1.1\r\nHost: example.com\r\nAccept: text/plain\r\n\r\n";
/// let request = HttpRequest::parse(head, &HeadLimits::default())?;
/// assert_eq!((request.method(), request.path()), ("GET", "/status"));
/// assert_eq!((request.query(), request.header("accept")), (Some("full"), Some("text/plain")));
/// # Ok::<(), eventwire::proto::http::HttpError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HttpRequest<'a> {
    /// A token.
    method: &'a str,
    target: Target<'a>,
    /// Whether the version is HTTP/1.0. Then `Host` may be missing.
    is_http_1_0: bool,
    is_over_tls: bool,
    fields: Fields<'a>,
    /// The body, if it was received.
    body: Option<&'a [u8]>,
    /// The pattern of the route, if it has parameters. It matches the path.
    template: Option<&'a Template>,
}

impl<'a> HttpRequest<'a> {
    /// The beginning of a `HEAD` request, to which the response has no body (RFC 9110 §9.3.2).
    pub(crate) const HEAD_METHOD: &'static [u8] = b"HEAD ";

    /// Parses `head`, which is a whole head with the empty line that ends it. Its version is
    /// HTTP/1.1 or HTTP/1.0.
    ///
    /// # Errors
    ///
    /// The first error in the syntax, the version, the target or `Host`.
    /// [`HttpError::BodyNotAllowed`] if the head announces a body.
    pub fn parse(head: &'a [u8], limits: &HeadLimits) -> Result<Self, HttpError> {
        HeadScanner::check(head, limits)?;
        let request = Self::read_owned(head, limits)?;
        request.check_for_resource()?;
        request.fields.check_no_body()?;
        Ok(request)
    }

    /// Parses a head that a [`HeadScanner`] with the same limits found. Only its syntax and version
    /// are checked. The header lines stay in `buffer`.
    pub(crate) fn read(
        head: &'a [u8],
        limits: &HeadLimits,
        buffer: &'a mut HeaderBuffer<'a>,
    ) -> Result<Self, HttpError> {
        Self::parse_lines(head, limits, buffer, Fields::borrowed)
    }

    /// The same with a copy of the header lines.
    pub(crate) fn read_owned(head: &'a [u8], limits: &HeadLimits) -> Result<Self, HttpError> {
        Self::parse_lines(head, limits, &mut HeaderBuffer::new(), Fields::copied)
    }

    /// Parses a head. `keep` keeps the header lines, which are in `buffer`.
    fn parse_lines<'b>(
        head: &'a [u8],
        limits: &HeadLimits,
        buffer: &'b mut HeaderBuffer<'a>,
        keep: fn(&'b [Header<'a>]) -> Fields<'a>,
    ) -> Result<Self, HttpError> {
        debug_assert_eq!(HeadScanner::check(head, limits), Ok(()));
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(head, buffer.slots_for(head, limits)) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(HttpError::HeadBoundary),
            Err(error) => return Err(http_error(error, head, limits)),
        }
        let is_http_1_0 = match parsed.version {
            Some(1) => false,
            Some(0) => true,
            _ => return Err(HttpError::UnsupportedVersion),
        };
        let method = parsed.method.unwrap_or_default();
        let target = Target(parsed.path.unwrap_or_default());
        let fields = keep(parsed.headers);
        let is_over_tls = false;
        Ok(Self { method, target, is_http_1_0, is_over_tls, fields, body: None, template: None })
    }

    /// Checks what every request for a resource must have.
    pub(crate) fn check_for_resource(&self) -> Result<(), HttpError> {
        self.target.check()?;
        self.check_host()?;
        self.fields.check_list("Connection")
    }

    /// Checks what every request about the whole server must have.
    pub(crate) fn check_for_server(&self) -> Result<(), HttpError> {
        self.check_host()?;
        self.fields.check_list("Connection")
    }

    /// Checks what every request to open a WebSocket must have, and that it announces no body.
    pub(crate) fn check_for_upgrade(&self) -> Result<(), HttpError> {
        self.target.check()?;
        self.check_host()?;
        self.fields.check_no_body()
    }

    /// Checks `Host`, which is required even if the target names a host (RFC 9112 §3.2).
    fn check_host(&self) -> Result<(), HttpError> {
        let Some(host) = self.fields.single("Host")? else {
            return if self.is_http_1_0 { Ok(()) } else { Err(HttpError::MissingHeader("Host")) };
        };
        match Authority::is_valid(host) {
            true => Ok(()),
            false => Err(HttpError::MalformedHeader("Host")),
        }
    }

    pub(crate) const fn fields(&self) -> &Fields<'a> {
        &self.fields
    }

    /// The method, for instance `GET`. Methods are case-sensitive.
    #[must_use]
    pub const fn method(&self) -> &'a str {
        self.method
    }

    /// Whether the response must have no body (RFC 9110 §9.3.2).
    pub(crate) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Whether the version is HTTP/1.0, which cannot open a WebSocket (RFC 6455 §4.1).
    pub(crate) const fn is_http_1_0(&self) -> bool {
        self.is_http_1_0
    }

    /// Whether the request is about the whole server (RFC 9110 §9.3.7).
    pub(crate) fn is_for_server(&self) -> bool {
        self.method == "OPTIONS" && self.target.0 == "*"
    }

    /// Whether the connection must end after the response: the client asks for that (RFC 9112
    /// §9.6), the version is HTTP/1.0, or a body follows that was not received.
    pub(crate) fn is_last(&self) -> bool {
        self.is_http_1_0
            || self.fields.has_token("Connection", "close").unwrap_or(true)
            || (self.body.is_none() && self.fields.check_no_body().is_err())
    }

    /// Notes whether the request came over TLS, which its head does not say.
    pub(crate) const fn set_over_tls(&mut self, is_over_tls: bool) {
        self.is_over_tls = is_over_tls;
    }

    /// Whether the request came over TLS to this end. A proxy may have ended TLS before.
    pub(crate) const fn is_over_tls(&self) -> bool {
        self.is_over_tls
    }

    /// Gives the request the body that belongs to its head.
    pub(crate) const fn set_body(&mut self, body: &'a [u8]) {
        self.body = Some(body);
    }

    /// Gives the request the parameters that a pattern finds in its path, which it matches.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidParameter`].
    pub(crate) fn set_template(&mut self, template: &'a Template) -> Result<(), HttpError> {
        self.template = Some(template);
        match template.can_decode(self.path()) {
            true => Ok(()),
            false => Err(HttpError::InvalidParameter),
        }
    }

    /// Whether the request asks for a WebSocket.
    pub(crate) fn asks_for_web_socket(&self) -> bool {
        self.method == "GET" && self.fields.has_token("Upgrade", "websocket").unwrap_or(true)
    }

    /// The body, which is whole. Empty if the request has none. Its length is at most
    /// [`Limits::max_body`](crate::proto::Limits::max_body).
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        match self.body {
            Some(body) => body,
            None => &[],
        }
    }

    /// How the body is to be received, if the request has one that was not.
    ///
    /// # Errors
    ///
    /// If its length cannot be known for certain, or the client expects something else than
    /// `100-continue`.
    #[inline]
    pub(crate) fn expected_body(&self) -> Result<Option<ExpectedBody>, HttpError> {
        if self.fields.may_have_body() { self.find_expected_body() } else { Ok(None) }
    }

    #[inline(never)]
    fn find_expected_body(&self) -> Result<Option<ExpectedBody>, HttpError> {
        let length = self.fields.body_length(!self.is_http_1_0)?;
        // RFC 9110 §10.1.1: a server ignores the expectation of an HTTP/1.0 request.
        let expectation = self.fields.single("Expect")?.filter(|_| !self.is_http_1_0);
        let awaits_continue = match expectation {
            None => false,
            Some(value) if value.eq_ignore_ascii_case(b"100-continue") => true,
            Some(_) => return Err(HttpError::UnsupportedExpectation),
        };
        let is_expected =
            |length: &BodyLength| self.body.is_none() && *length != BodyLength::Known(0);
        let length = length.filter(is_expected);
        Ok(length.map(|length| ExpectedBody { length, awaits_continue, limit: usize::MAX }))
    }

    /// The request target as received: a path that starts with `/` and an optional query, or a URL
    /// with these (the absolute form, RFC 9112 §3.2.2).
    #[must_use]
    pub const fn target(&self) -> &'a str {
        self.target.0
    }

    /// The path of the target. It starts with `/`. Percent-encoding is not decoded.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.target.path()
    }

    /// The part of the target after the first `?`. Percent-encoding is not decoded.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.target.query()
    }

    /// The part of the path that a parameter of the [route](crate::Routes) stands for, for instance
    /// `room` in `/rooms/{room}`. Percent-encoding is decoded, so that a parameter may contain any
    /// character, `/` and control characters included. `None` if the route has no such parameter.
    ///
    /// ```
    /// use eventwire::{HttpResponse, Routes};
    ///
    /// let routes = Routes::<()>::new().get("/rooms/{room}", |_, request, _| {
    ///     HttpResponse::text(request.param("room").unwrap_or_default())
    /// });
    /// # drop(routes);
    /// ```
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Cow<'a, str>> {
        self.template?.parameter(self.path(), name)
    }

    /// The names and values in the [query](Self::query), in order, decoded as those of an HTML form
    /// (`application/x-www-form-urlencoded`): `+` is a space, a malformed escape is kept as it is,
    /// and bytes that are not UTF-8 are replaced. A value without a name, or a name without a
    /// value, is paired with the empty string.
    ///
    /// ```
    /// use eventwire::proto::http::{HeadLimits, HttpRequest};
    ///
    /// let head = b"GET /search?q=caf%C3%A9+noir&page=2 HTTP/1.1\r\nHost: example.com\r\n\r\n";
    /// let request = HttpRequest::parse(head, &HeadLimits::default())?;
    /// let page = request.query_pairs().find(|(name, _)| name == "page");
    /// assert_eq!(page, Some(("page".into(), "2".into())));
    /// assert!(request.query_pairs().any(|pair| pair == ("q".into(), "caf\u{e9} noir".into())));
    /// # Ok::<(), eventwire::proto::http::HttpError>(())
    /// ```
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        percent::pairs(self.query().unwrap_or_default())
    }

    /// The host and optional port that the client addressed: that of a target in absolute form
    /// (RFC 9112 §3.2.2), otherwise `Host`. Empty if a request of HTTP/1.0 has neither.
    #[must_use]
    pub fn host(&self) -> &'a str {
        match self.target.authority() {
            Some(authority) => authority,
            None => self.fields.text("Host").unwrap_or_default(),
        }
    }

    /// The value of the first header with this name, in any case. `None` if it is not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.fields.text(name)
    }

    /// The origin of the page that sent the request, if it names one.
    ///
    /// # Errors
    ///
    /// [`HttpError::RepeatedHeader`] or [`HttpError::MalformedHeader`]: a malformed origin must not
    /// count as absent, because absent ones are allowed.
    pub(crate) fn origin(&self) -> Result<Option<&'a str>, HttpError> {
        let origin = self.fields.single("Origin")?;
        origin.map(|origin| visible_ascii("Origin", origin)).transpose()
    }

    /// The lines of the list with this name, in order.
    ///
    /// # Errors
    ///
    /// [`HttpError::TooManyElements`].
    pub(crate) fn list(&self, name: &'static str) -> Result<Vec<&'a [u8]>, HttpError> {
        self.fields.check_list(name)?;
        Ok(self.fields.values(name).collect())
    }

    /// All headers in order. White space around the values is removed.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.fields.iter()
    }
}

/// The value of the header `name`, which must be visible ASCII and not empty.
pub(crate) fn visible_ascii<'a>(name: &'static str, value: &'a [u8]) -> Result<&'a str, HttpError> {
    match str::from_utf8(value) {
        Ok(text) if !text.is_empty() && value.iter().all(u8::is_ascii_graphic) => Ok(text),
        _ => Err(HttpError::MalformedHeader(name)),
    }
}

fn http_error(error: httparse::Error, head: &[u8], limits: &HeadLimits) -> HttpError {
    match error {
        httparse::Error::Version if names_other_version(head) => HttpError::UnsupportedVersion,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => HttpError::InvalidHeaderLine,
        httparse::Error::TooManyHeaders => HttpError::TooManyHeaders { limit: limits.headers },
        _ => HttpError::InvalidStartLine,
    }
}

/// Whether the first line is well formed, but with a version that `httparse` does not know.
fn names_other_version(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ').skip(2);
    match (words.next(), words.next()) {
        (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None) => {
            major.is_ascii_digit() && minor.is_ascii_digit()
        }
        _ => false,
    }
}
