use std::str;

use super::{HandshakeError, Key};
use crate::proto::http::{
    Fields, HeadLimits, HeadScanner, HttpError, HttpRequest, is_token, visible_ascii,
};

/// A client's request to open a WebSocket, checked against RFC 6455 §4.2.1.
///
/// It borrows from the head that it was parsed from.
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
    /// Parses `head`, which is the whole request up to the empty line that ends it, included.
    ///
    /// # Errors
    ///
    /// The first thing wrong with the head, as a [`HeadScanner`] or RFC 6455 §4.2.1 finds it. The
    /// client gets its [`refusal`](HandshakeError::refusal). [`HttpError::HeadBoundary`] if
    /// the head is not complete, or more bytes follow it.
    pub fn parse(head: &'a [u8], limits: &HeadLimits) -> Result<Self, HandshakeError> {
        HeadScanner::check(head, limits)?;
        Self::new(HttpRequest::read(head, limits)?)
    }

    /// Makes it of a request of which nothing was checked but its syntax.
    pub(crate) fn new(http: HttpRequest<'a>) -> Result<Self, HandshakeError> {
        if http.is_http_1_0() {
            return Err(HttpError::UnsupportedVersion.into());
        }
        if http.method() != "GET" {
            return Err(HandshakeError::MethodNotAllowed);
        }
        http.check_for_upgrade()?;
        let fields = http.fields();
        // An ordinary request learns what this server is for, whatever else it lacks.
        if !fields.has_token("Upgrade", "websocket")? {
            return Err(HandshakeError::MissingUpgrade);
        }
        if !fields.has_token("Connection", "upgrade")? {
            return Err(HandshakeError::MissingConnection);
        }
        // A missing or repeated version is none that this server speaks, either.
        if !matches!(fields.single("Sec-WebSocket-Version"), Ok(Some(b"13"))) {
            return Err(HandshakeError::UnsupportedWebSocketVersion);
        }
        let key = Key::parse(fields.required("Sec-WebSocket-Key")?)
            .ok_or(HttpError::MalformedHeader("Sec-WebSocket-Key"))?;
        // An origin that cannot be read must not count as absent: absent ones pass.
        let origin =
            fields.single("Origin")?.map(|origin| visible_ascii("Origin", origin)).transpose()?;
        check_subprotocols(fields)?;
        fields.extensions()?;
        Ok(Self { origin, key, http })
    }

    /// The request target as it came: a path that starts with `/`, and perhaps a query; or, in
    /// absolute form, a URL with these (RFC 9112 §3.2.2).
    #[must_use]
    pub fn target(&self) -> &'a str {
        self.http.target()
    }

    /// The path of the target, percent signs as they came. It starts with `/`.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.http.path()
    }

    /// What follows the first `?` of the target, percent signs as they came.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.http.query()
    }

    /// The host, and perhaps the port, which the client believes to talk to: what a target in
    /// absolute form names (RFC 9112 §3.2.2), and otherwise `Host`.
    #[must_use]
    pub fn host(&self) -> &'a str {
        self.http.host()
    }

    /// The origin of the page that asks, if a browser does (RFC 6455 §10.2).
    ///
    /// Visible ASCII, but not necessarily an origin: an [`OriginPolicy`](super::OriginPolicy)
    /// judges it.
    #[must_use]
    pub fn origin(&self) -> Option<&'a str> {
        self.origin
    }

    /// The value of the first header called `name`, in whatever case; `None` if it is not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.http.header(name)
    }

    /// All headers in the order they came, their values without white space around them.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.http.headers()
    }

    /// The subprotocols that the client offers, the one it likes best first, each once: at most
    /// [`HeadLimits::ELEMENTS_MAX`].
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> {
        // They were checked before.
        let offers = self.http.fields().elements(SUBPROTOCOL);
        offers.filter_map(|name| str::from_utf8(name.ok()?).ok())
    }

    /// The extensions that the client offers.
    #[cfg(feature = "deflate")]
    pub(crate) fn extensions(&self) -> Vec<super::Extension<'_>> {
        // They were read before.
        self.http.fields().extensions().unwrap_or_default()
    }

    /// The key that an [`Acceptance`](super::Acceptance) answers.
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
