use std::borrow::Cow;
use std::str;

use super::{HandshakeError, Key};
use crate::proto::http::{Fields, HeadLimits, HeadScanner, HttpError, HttpRequest, is_token};

/// A client's request to open a WebSocket, checked against RFC 6455 §4.2.1. It borrows from its
/// head.
///
/// ```
/// use eventwire::proto::handshake::UpgradeRequest;
/// use eventwire::proto::http::HeadLimits;
///
/// let head = b"GET /chat?room=7 HTTP/1.1\r\nHost: example.com\r\n\
///     Upgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
///     Sec-WebSocket-Protocol: chat, superchat\r\n\r\n";
/// let request = UpgradeRequest::parse(head, &HeadLimits::default())?;
/// assert_eq!((request.path(), request.query()), ("/chat", Some("room=7")));
/// assert!(request.subprotocols().eq(["chat", "superchat"]));
/// # Ok::<(), eventwire::proto::handshake::HandshakeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct UpgradeRequest<'a> {
    http: HttpRequest<'a>,
    origin: Option<&'a str>,
    key: Key,
}

impl<'a> UpgradeRequest<'a> {
    /// Parses `head`, which is a whole head with the empty line that ends it.
    ///
    /// # Errors
    ///
    /// The first error in the head, by a [`HeadScanner`] or by RFC 6455 §4.2.1. Send the client its
    /// [`refusal`](HandshakeError::refusal). [`HttpError::HeadBoundary`] if `head` is not exactly
    /// one head.
    pub fn parse(head: &'a [u8], limits: &HeadLimits) -> Result<Self, HandshakeError> {
        HeadScanner::check(head, limits)?;
        Self::new(HttpRequest::read_owned(head, limits)?)
    }

    /// Checks a request of which only the syntax and the version were checked.
    pub(crate) fn new(http: HttpRequest<'a>) -> Result<Self, HandshakeError> {
        if http.is_http_1_0() {
            return Err(HttpError::UnsupportedVersion.into());
        }
        if http.method() != "GET" {
            return Err(HandshakeError::MethodNotAllowed);
        }
        http.check_for_upgrade()?;
        let fields = http.fields();
        // This comes first, so that an ordinary HTTP request gets 426 whatever else it lacks.
        if !fields.has_token("Upgrade", "websocket")? {
            return Err(HandshakeError::MissingUpgrade);
        }
        if !fields.has_token("Connection", "upgrade")? {
            return Err(HandshakeError::MissingConnection);
        }
        // A missing or repeated version is refused as an unsupported one.
        if !matches!(fields.single("Sec-WebSocket-Version"), Ok(Some(b"13"))) {
            return Err(HandshakeError::UnsupportedWebSocketVersion);
        }
        let key = Key::parse(fields.required("Sec-WebSocket-Key")?)
            .ok_or(HttpError::MalformedHeader("Sec-WebSocket-Key"))?;
        let origin = http.origin()?;
        check_subprotocols(fields)?;
        fields.extensions()?;
        Ok(Self { origin, key, http })
    }

    /// The request target as received: a path that starts with `/` and an optional query, or a URL
    /// with these (the absolute form, RFC 9112 §3.2.2).
    #[must_use]
    pub fn target(&self) -> &'a str {
        self.http.target()
    }

    /// The path of the target. It starts with `/`. Percent-encoding is not decoded.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.http.path()
    }

    /// The part of the target after the first `?`. Percent-encoding is not decoded.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.http.query()
    }

    /// The part of the path that a parameter of the route stands for, as [`HttpRequest::param`].
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Cow<'a, str>> {
        self.http.param(name)
    }

    /// The names and values in the query, as [`HttpRequest::query_pairs`].
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.http.query_pairs()
    }

    /// The host and optional port that the client addressed: that of a target in absolute form
    /// (RFC 9112 §3.2.2), otherwise `Host`.
    #[must_use]
    pub fn host(&self) -> &'a str {
        self.http.host()
    }

    /// The value of `Origin`. A browser sends the origin of its page (RFC 6455 §10.2).
    ///
    /// It is visible ASCII, but not checked to be an origin. Check it with an
    /// [`OriginPolicy`](super::OriginPolicy).
    #[must_use]
    pub fn origin(&self) -> Option<&'a str> {
        self.origin
    }

    /// The value of the first header with this name, in any case. `None` if it is not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.http.header(name)
    }

    /// All headers in order. White space around the values is removed.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.http.headers()
    }

    /// The offered subprotocols, without repetition, the client's preferred one first. At most
    /// [`HeadLimits::ELEMENTS_MAX`].
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> {
        // The list was checked when the request was parsed.
        let offers = self.http.fields().elements(SUBPROTOCOL);
        offers.filter_map(|name| str::from_utf8(name.ok()?).ok())
    }

    /// The offered extensions.
    #[cfg(feature = "deflate")]
    pub(crate) fn extensions(&self) -> Vec<super::Extension<'_>> {
        // The list was checked when the request was parsed.
        self.http.fields().extensions().unwrap_or_default()
    }

    /// The key, to which an [`Acceptance`](super::Acceptance) responds.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }
}

const SUBPROTOCOL: &str = "Sec-WebSocket-Protocol";

fn check_subprotocols(fields: &Fields<'_>) -> Result<(), HandshakeError> {
    let mut offers = fields.elements(SUBPROTOCOL).collect::<Result<Vec<_>, _>>()?;
    if !offers.iter().all(|name| is_token(name)) {
        return Err(HandshakeError::InvalidSubprotocol);
    }
    offers.sort_unstable();
    match offers.windows(2).any(|pair| pair[0] == pair[1]) {
        true => Err(HandshakeError::RepeatedSubprotocol),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
