use std::str;

use super::authority::Authority;
use super::fields::{Fields, is_token};
use super::{HandshakeError, HeadLimits, HeadScanner, Key};

/// A client's request to open a WebSocket, checked against RFC 6455 §4.2.1.
///
/// It borrows from the head that it was parsed from.
///
/// ```
/// use eventwire::proto::handshake::{HeadLimits, Request};
///
/// let head = b"GET /chat?room=7 HTTP/1.1\r\nHost: example.com\r\n\
///     Upgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
///     Sec-WebSocket-Protocol: chat, superchat\r\n\r\n";
/// let request = Request::parse(head, &HeadLimits::default())?;
/// assert_eq!((request.path(), request.query()), ("/chat", Some("room=7")));
/// assert!(request.subprotocols().eq(["chat", "superchat"]));
/// # Ok::<(), eventwire::proto::handshake::HandshakeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Starts with a slash; visible ASCII without `#`.
    target: &'a str,
    host: &'a str,
    origin: Option<&'a str>,
    key: Key,
    fields: Fields<'a>,
}

impl<'a> Request<'a> {
    /// More subprotocols than anybody offers. Comparing each with each is cheap up to here.
    const MAX_SUBPROTOCOLS: usize = 64;

    /// Parses `head`, which is the whole request up to the empty line that ends it, included.
    ///
    /// # Errors
    ///
    /// The first thing wrong with the head, as a [`HeadScanner`] or RFC 6455 §4.2.1 finds it. The
    /// client gets its [`refusal`](HandshakeError::refusal). [`HandshakeError::HeadBoundary`] if
    /// the head is not complete, or more bytes follow it.
    pub fn parse(head: &'a [u8], limits: &HeadLimits) -> Result<Self, HandshakeError> {
        HeadScanner::check(head, limits)?;
        Self::parse_scanned(head, limits)
    }

    /// As [`parse`](Self::parse), for a head which a [`HeadScanner`] with the same limits found.
    pub(crate) fn parse_scanned(
        head: &'a [u8],
        limits: &HeadLimits,
    ) -> Result<Self, HandshakeError> {
        debug_assert_eq!(HeadScanner::check(head, limits), Ok(()));
        let mut lines = Fields::room(head, limits);
        let mut parsed = httparse::Request::new(&mut lines);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(HandshakeError::HeadBoundary),
            Err(error) => return Err(explain(error, head, limits)),
        }
        let (method, version) = (parsed.method, parsed.version);
        let (target, len) = (parsed.path.unwrap_or_default(), parsed.headers.len());
        if version != Some(1) {
            return Err(HandshakeError::UnsupportedVersion);
        }
        if method != Some("GET") {
            return Err(HandshakeError::MethodNotAllowed);
        }
        if !is_target(target) {
            return Err(HandshakeError::InvalidTarget);
        }
        Self::from_fields(target, Fields::new(lines, len))
    }

    fn from_fields(target: &'a str, fields: Fields<'a>) -> Result<Self, HandshakeError> {
        let host = text("Host", fields.required("Host")?)?;
        if Authority::parse(host).is_none() {
            return Err(HandshakeError::MalformedHeader("Host"));
        }
        fields.check_no_body()?;
        // An ordinary request learns what this server is for, whatever else it lacks.
        if !fields.has_token("Upgrade", "websocket") {
            return Err(HandshakeError::MissingUpgrade);
        }
        if !fields.has_token("Connection", "upgrade") {
            return Err(HandshakeError::MissingConnection);
        }
        // A missing or repeated version is none that this server speaks, either.
        if !matches!(fields.single("Sec-WebSocket-Version"), Ok(Some(b"13"))) {
            return Err(HandshakeError::UnsupportedWebSocketVersion);
        }
        let key = Key::parse(fields.required("Sec-WebSocket-Key")?)
            .ok_or(HandshakeError::MalformedHeader("Sec-WebSocket-Key"))?;
        // An origin that cannot be read must not count as absent: absent ones pass.
        let origin = fields.single("Origin")?.map(|origin| text("Origin", origin)).transpose()?;
        check_subprotocols(&fields)?;
        fields.extensions()?;
        Ok(Self { target, host, origin, key, fields })
    }

    /// The request target as it came: a path that starts with `/`, and perhaps a query.
    #[must_use]
    pub fn target(&self) -> &'a str {
        self.target
    }

    /// The path of the target, percent signs as they came.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }

    /// What follows the first `?` of the target, percent signs as they came.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The host, and perhaps the port, which the client believes to talk to.
    #[must_use]
    pub fn host(&self) -> &'a str {
        self.host
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
        self.fields.text(name)
    }

    /// All headers in the order they came, their values without white space around them.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.fields.iter()
    }

    /// The subprotocols that the client offers, the one it likes best first, each once.
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> {
        self.fields.elements(SUBPROTOCOL).filter_map(|name| str::from_utf8(name).ok())
    }

    /// The extensions that the client offers.
    #[cfg(feature = "deflate")]
    pub(crate) fn extensions(&self) -> Vec<super::Extension<'_>> {
        // They were read before.
        self.fields.extensions().unwrap_or_default()
    }

    /// The key that an [`Acceptance`](super::Acceptance) answers.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }
}

const SUBPROTOCOL: &str = "Sec-WebSocket-Protocol";

/// Origin-form only (RFC 9112 §3.2.1): the absolute form is for proxies, and names a second host.
fn is_target(target: &str) -> bool {
    target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// A value of visible ASCII.
fn text<'a>(name: &'static str, value: &'a [u8]) -> Result<&'a str, HandshakeError> {
    match str::from_utf8(value) {
        Ok(text) if !text.is_empty() && value.iter().all(u8::is_ascii_graphic) => Ok(text),
        _ => Err(HandshakeError::MalformedHeader(name)),
    }
}

fn check_subprotocols(fields: &Fields<'_>) -> Result<(), HandshakeError> {
    for (index, name) in fields.elements(SUBPROTOCOL).enumerate() {
        if index == Request::MAX_SUBPROTOCOLS {
            let limit = Request::MAX_SUBPROTOCOLS;
            return Err(HandshakeError::TooManySubprotocols { limit });
        }
        if !is_token(name) {
            return Err(HandshakeError::InvalidSubprotocol);
        }
        if fields.elements(SUBPROTOCOL).take(index).any(|earlier| earlier == name) {
            return Err(HandshakeError::RepeatedSubprotocol);
        }
    }
    Ok(())
}

fn explain(error: httparse::Error, head: &[u8], limits: &HeadLimits) -> HandshakeError {
    match error {
        httparse::Error::Version if names_other_version(head) => HandshakeError::UnsupportedVersion,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => {
            HandshakeError::InvalidHeaderLine
        }
        httparse::Error::TooManyHeaders => HandshakeError::TooManyHeaders { limit: limits.headers },
        _ => HandshakeError::InvalidStartLine,
    }
}

/// Whether the first line is well formed but for a version that `httparse` does not know.
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

#[cfg(test)]
mod tests;
