use std::str;

use super::extensions::EXTENSIONS;
use super::{HandshakeError, Key, UpgradeResponse, WsUrl};
use crate::proto::deflate::DeflateConfig;
use crate::proto::http::{
    ExtraHeaders, Fields, HeadLimits, HeadScanner, HttpError, InvalidHeader, ResponseHead,
    is_origin, is_token, write_header,
};

/// A client's request to open a WebSocket (RFC 6455 §4.1). It checks the response, too.
///
/// ```
/// use eventwire::proto::handshake::{ClientRequest, Key, WsUrl};
///
/// let request = ClientRequest::new(WsUrl::parse("ws://localhost:9001/")?)
///     .subprotocol("chat")?
///     .header("Authorization", "Bearer abc")?;
/// let mut out = Vec::new();
/// request.write(&Key::from_nonce(*b"16 random bytes!"), &mut out);
/// assert!(out.starts_with(b"GET / HTTP/1.1\r\nHost: localhost:9001\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRequest {
    url: WsUrl,
    /// Valid by [`is_origin`].
    origin: Option<String>,
    /// Tokens (RFC 9110 §5.6.2) without repetition.
    subprotocols: Vec<String>,
    deflate: Option<DeflateConfig>,
    headers: ExtraHeaders,
    follows_redirects: bool,
}

impl ClientRequest {
    /// A request for `url`, without an origin, subprotocols or further headers.
    #[must_use]
    pub fn new(url: WsUrl) -> Self {
        Self {
            url,
            origin: None,
            subprotocols: Vec::new(),
            deflate: None,
            headers: ExtraHeaders::default(),
            follows_redirects: false,
        }
    }

    /// Sets `Origin`, as a browser does: `scheme://host[:port]`, or `null`.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader::Value`] if `origin` is not an origin.
    pub fn origin(mut self, origin: &str) -> Result<Self, InvalidHeader> {
        if !is_origin(origin) {
            return Err(InvalidHeader::Value("Origin".to_owned()));
        }
        self.origin = Some(origin.to_owned());
        Ok(self)
    }

    /// Offers a subprotocol. Call this for the preferred one first.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader::Subprotocol`] if the name is not a token,
    /// [`InvalidHeader::RepeatedSubprotocol`] if it was offered before.
    pub fn subprotocol(mut self, name: &str) -> Result<Self, InvalidHeader> {
        if !is_token(name.as_bytes()) {
            return Err(InvalidHeader::Subprotocol(name.to_owned()));
        }
        if self.subprotocols.iter().any(|offered| offered == name) {
            return Err(InvalidHeader::RepeatedSubprotocol(name.to_owned()));
        }
        self.subprotocols.push(name.to_owned());
        Ok(self)
    }

    /// Adds a header.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader`] if the name or the value cannot be written.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.headers.push(name, value)?;
        Ok(self)
    }

    /// Offers `permessage-deflate`. Needs the feature `deflate`.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, config: DeflateConfig) -> Self {
        self.deflate = Some(config);
        self
    }

    /// Does not wait for the body of a redirect, because it is followed.
    #[must_use]
    pub(crate) fn following_redirects(mut self, follows_redirects: bool) -> Self {
        self.follows_redirects = follows_redirects;
        self
    }

    pub(crate) const fn follows_redirects(&self) -> bool {
        self.follows_redirects
    }

    /// The requested URL.
    #[must_use]
    pub fn url(&self) -> &WsUrl {
        &self.url
    }

    /// Appends the whole request. Use a fresh `key` for every connection.
    pub fn write(&self, key: &Key, out: &mut Vec<u8>) {
        for part in ["GET ", self.url.target(), " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        write_header(out, "Host", self.url.host_header().as_bytes());
        out.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\n");
        write_header(out, "Sec-WebSocket-Key", key.as_bytes());
        out.extend_from_slice(b"Sec-WebSocket-Version: 13\r\n");
        if let Some(origin) = &self.origin {
            write_header(out, "Origin", origin.as_bytes());
        }
        if !self.subprotocols.is_empty() {
            write_header(out, "Sec-WebSocket-Protocol", self.subprotocols.join(", ").as_bytes());
        }
        if let Some(config) = &self.deflate {
            write_header(out, EXTENSIONS, config.offer().value().as_bytes());
        }
        self.headers.write(out);
        out.extend_from_slice(b"\r\n");
    }

    /// Checks the server's response to this request, which was written with `key`. `head` is a
    /// whole head with the empty line that ends it.
    ///
    /// # Errors
    ///
    /// The first error in the head, by a [`HeadScanner`] or by RFC 6455 §4.1.
    /// [`HandshakeError::UnexpectedStatus`] if the server refuses. A
    /// [`WebSocket`](crate::proto::WebSocket) reads the body of such a response, too
    /// ([`PeerError::Refused`](crate::proto::PeerError)), and skips interim responses, such as 100
    /// or 103 (RFC 9110 §15.2). [`HttpError::HeadBoundary`] if `head` is not exactly one head.
    pub fn check_response<'a>(
        &self,
        head: &'a [u8],
        limits: &HeadLimits,
        key: &Key,
    ) -> Result<UpgradeResponse<'a>, HandshakeError> {
        HeadScanner::check(head, limits)?;
        self.check_scanned(head, limits, key)
    }

    /// The same as [`check_response`](Self::check_response), for a head that a [`HeadScanner`] with
    /// the same limits found.
    pub(crate) fn check_scanned<'a>(
        &self,
        head: &'a [u8],
        limits: &HeadLimits,
        key: &Key,
    ) -> Result<UpgradeResponse<'a>, HandshakeError> {
        debug_assert_eq!(HeadScanner::check(head, limits), Ok(()));
        let fields = parse_switching(head, limits)?;
        // RFC 6455 §4.1 requires exactly this value here. In a request it may be one of a list.
        match fields.single("Upgrade")? {
            Some(value) if value.eq_ignore_ascii_case(b"websocket") => {}
            _ => return Err(HandshakeError::MissingUpgrade),
        }
        if !fields.has_token("Connection", "upgrade")? {
            return Err(HandshakeError::MissingConnection);
        }
        if fields.required("Sec-WebSocket-Accept")? != key.accept() {
            return Err(HandshakeError::WrongAccept);
        }
        // Headers about a body are ignored: a response with 101 has none (RFC 9112 §6.3).
        self.read_agreements(fields)
    }

    /// A response that was checked.
    pub(crate) fn read_response<'a>(
        &self,
        head: &'a [u8],
        limits: &HeadLimits,
    ) -> Result<UpgradeResponse<'a>, HandshakeError> {
        self.read_agreements(parse_switching(head, limits)?)
    }

    /// What the response agrees on, of all that this request offered.
    fn read_agreements<'a>(
        &self,
        fields: Fields<'a>,
    ) -> Result<UpgradeResponse<'a>, HandshakeError> {
        let extensions = fields.extensions()?;
        let agreement = match &self.deflate {
            Some(config) => config.conclude(&extensions)?,
            None if extensions.is_empty() => None,
            None => return Err(HandshakeError::UnaskedExtension),
        };
        let subprotocol = match fields.single("Sec-WebSocket-Protocol")? {
            Some(chosen) => Some(self.offered(chosen).ok_or(HandshakeError::UnaskedSubprotocol)?),
            None => None,
        };
        Ok(UpgradeResponse { subprotocol, agreement, fields })
    }

    /// Whether `head`, which a [`HeadScanner`] found, is an interim response, which another one
    /// follows (RFC 9110 §15.2).
    pub(crate) fn is_interim(head: &[u8], limits: &HeadLimits) -> bool {
        // A cheap check first, because the usual response is 101.
        let may_be = head.get(8..10) == Some(b" 1") && head.get(10..12) != Some(b"01");
        may_be
            && matches!(
                parse_switching(head, limits),
                Err(HandshakeError::UnexpectedStatus(100..=199))
            )
    }

    fn offered<'a>(&self, name: &'a [u8]) -> Option<&'a str> {
        let name = str::from_utf8(name).ok()?;
        self.subprotocols.iter().any(|offered| offered == name).then_some(name)
    }
}

fn parse_switching<'a>(head: &'a [u8], limits: &HeadLimits) -> Result<Fields<'a>, HandshakeError> {
    let head = ResponseHead::parse(head, limits)?;
    match head.status {
        101 if head.is_http_1_1 => Ok(head.fields),
        101 => Err(HttpError::UnsupportedVersion.into()),
        other => Err(HandshakeError::UnexpectedStatus(other)),
    }
}

#[cfg(test)]
mod tests;
