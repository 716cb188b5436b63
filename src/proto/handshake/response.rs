use super::extensions::EXTENSIONS;
use super::{HandshakeError, Key};
use crate::proto::deflate::{AcceptedOffer, DeflateAgreement};
use crate::proto::http::{
    ContentType, ExtraHeaders, InvalidHeader, is_token, reason, write_header,
};

/// The answer that opens a connection: status 101 (RFC 6455 §4.2.2).
///
/// ```
/// use eventwire::proto::handshake::{Acceptance, Key};
///
/// let answer = Acceptance::new().subprotocol("chat")?.header("X-Server", "a")?;
/// let mut out = Vec::new();
/// answer.write(&Key::from_nonce(*b"the sample nonce"), &mut out);
/// assert!(out.ends_with(
///     b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
///     Sec-WebSocket-Protocol: chat\r\nX-Server: a\r\n\r\n"
/// ));
/// # Ok::<(), eventwire::proto::http::InvalidHeader>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acceptance {
    /// A token.
    subprotocol: Option<String>,
    deflate: Option<AcceptedOffer>,
    headers: ExtraHeaders,
}

impl Acceptance {
    /// Accepts without a subprotocol.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses a subprotocol. It has to be one of those that the request offers: otherwise the
    /// client ends the connection (RFC 6455 §4.1).
    ///
    /// # Errors
    ///
    /// [`InvalidHeader::Subprotocol`] if it is not a token.
    pub fn subprotocol(mut self, name: &str) -> Result<Self, InvalidHeader> {
        if !is_token(name.as_bytes()) {
            return Err(InvalidHeader::Subprotocol);
        }
        self.subprotocol = Some(name.to_owned());
        Ok(self)
    }

    /// Adds a header.
    ///
    /// # Errors
    ///
    /// Why the name or the value cannot be written.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.headers.push(name, value)?;
        Ok(self)
    }

    /// Accepts the first offer of `permessage-deflate` in `request` that `config` allows, if there
    /// is one.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(
        mut self,
        config: &crate::proto::DeflateConfig,
        request: &super::UpgradeRequest<'_>,
    ) -> Self {
        self.deflate = config.respond(&request.extensions());
        self
    }

    /// What was agreed of compression: nothing, if it was not asked for or not wanted.
    #[must_use]
    pub fn agreement(&self) -> Option<DeflateAgreement> {
        self.deflate.map(|accepted| accepted.agreement)
    }

    /// The subprotocol that was chosen.
    #[must_use]
    pub fn chosen_subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Appends the whole answer to a request with `key`.
    pub fn write(&self, key: &Key, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        );
        write_header(out, "Sec-WebSocket-Accept", &key.accept());
        if let Some(name) = &self.subprotocol {
            write_header(out, "Sec-WebSocket-Protocol", name.as_bytes());
        }
        if let Some(accepted) = &self.deflate {
            write_header(out, EXTENSIONS, accepted.params.value().as_bytes());
        }
        self.headers.write(out);
        out.extend_from_slice(b"\r\n");
    }
}

/// The answer that opens no connection: an error of HTTP, or where to ask instead, after which the
/// server hangs up.
///
/// ```
/// use eventwire::proto::handshake::Refusal;
/// use eventwire::proto::http::ContentType;
///
/// let answer = Refusal::new(401)
///     .header("WWW-Authenticate", "Bearer")?
///     .content_type(ContentType::JSON)
///     .body(r#"{"error": "who are you?"}"#);
/// let mut out = Vec::new();
/// answer.write(&mut out);
/// assert!(out.starts_with(b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n"));
///
/// let moved = Refusal::new(307).header("Location", "wss://other.example.com/chat")?;
/// assert_eq!(moved.status(), 307);
/// # Ok::<(), eventwire::proto::http::InvalidHeader>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// From 300 to 599.
    status: u16,
    headers: ExtraHeaders,
    content_type: ContentType,
    body: String,
    /// The body is told of and not sent.
    is_head_only: bool,
}

impl Refusal {
    /// A refusal with `status`, without a body.
    ///
    /// One from 300 to 399 is a redirection, for which the header `Location` says where to ask
    /// (RFC 9110 §15.4). A browser's WebSocket does not follow it.
    ///
    /// A status outside 300 to 599 would not refuse: it becomes 500, the code for a mistake of the
    /// server's own.
    #[must_use]
    pub fn new(status: u16) -> Self {
        let status = if (300..=599).contains(&status) { status } else { 500 };
        let (headers, body) = (ExtraHeaders::default(), String::new());
        Self { status, headers, content_type: ContentType::TEXT, body, is_head_only: false }
    }

    /// Adds a header. The type of the body is set by [`content_type`](Self::content_type).
    ///
    /// # Errors
    ///
    /// Why the name or the value cannot be written.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.headers.push(name, value)?;
        Ok(self)
    }

    /// Says what the body is. Default: [`ContentType::TEXT`].
    #[must_use]
    pub fn content_type(mut self, content_type: ContentType) -> Self {
        self.content_type = content_type;
        self
    }

    /// Sets the text of the answer. Status 304 has none, whatever is set.
    #[must_use]
    pub fn body(mut self, text: impl Into<String>) -> Self {
        self.body = text.into();
        self
    }

    /// Leaves out the body if that is an answer to a `HEAD` request (RFC 9110 §9.3.2).
    #[must_use]
    pub(crate) fn head_only(mut self, is_head: bool) -> Self {
        self.is_head_only = is_head;
        self
    }

    /// The status, from 300 to 599.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Appends the whole answer, with the headers that its status demands.
    pub fn write(&self, out: &mut Vec<u8>) {
        let status = self.status.to_string();
        for part in ["HTTP/1.1 ", &status, " ", reason(self.status), "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        match self.status {
            // RFC 9110 §15.5.6.
            405 => out.extend_from_slice(b"Connection: close\r\nAllow: GET\r\n"),
            // RFC 9110 §7.8 and §15.5.22, RFC 6455 §4.4.
            426 => out.extend_from_slice(
                b"Connection: close, Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\n",
            ),
            _ => out.extend_from_slice(b"Connection: close\r\n"),
        }
        self.headers.write(out);
        // RFC 9110 §15.4.5.
        let has_body = self.status != 304;
        if has_body {
            self.write_body_headers(out);
        }
        out.extend_from_slice(b"\r\n");
        if has_body && !self.is_head_only {
            out.extend_from_slice(self.body.as_bytes());
        }
    }

    fn write_body_headers(&self, out: &mut Vec<u8>) {
        if !self.body.is_empty() {
            write_header(out, "Content-Type", self.content_type.as_str().as_bytes());
        }
        write_header(out, "Content-Length", self.body.len().to_string().as_bytes());
    }
}

impl From<HandshakeError> for Refusal {
    fn from(error: HandshakeError) -> Self {
        error.refusal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(answer: &Acceptance) -> String {
        let mut out = b"before ".to_vec();
        answer.write(&Key::from_nonce(*b"the sample nonce"), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn refuse(answer: &Refusal) -> String {
        let mut out = Vec::new();
        answer.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn acceptance_to_the_byte() {
        assert_eq!(
            accept(&Acceptance::new()),
            "before HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
        let full = Acceptance::new().subprotocol("chat").unwrap().header("X-A", "b").unwrap();
        assert_eq!(full.chosen_subprotocol(), Some("chat"));
        assert_eq!(
            accept(&full),
            "before HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
             Sec-WebSocket-Protocol: chat\r\nX-A: b\r\n\r\n"
        );
        for wrong in ["", "a b", "a,b", "a\r\nb", "\u{e9}"] {
            assert_eq!(Acceptance::new().subprotocol(wrong), Err(InvalidHeader::Subprotocol));
        }
        let owned = Acceptance::new().header("Sec-WebSocket-Extensions", "permessage-deflate");
        assert_eq!(owned, Err(InvalidHeader::Reserved));
    }

    #[test]
    fn refusal_to_the_byte() {
        assert_eq!(
            refuse(&Refusal::new(404)),
            "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(
            refuse(&Refusal::new(429).header("Retry-After", "5").unwrap().body("sp\u{e4}ter")),
            "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: 5\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: 7\r\n\r\nsp\u{e4}ter"
        );
        assert_eq!(
            refuse(&HandshakeError::MethodNotAllowed.refusal()),
            "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nAllow: GET\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: 17\r\n\r\n\
             method is not GET"
        );
        assert_eq!(
            refuse(&HandshakeError::UnsupportedWebSocketVersion.into()),
            "HTTP/1.1 426 Upgrade Required\r\nConnection: close, Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: 27\r\n\r\n\
             WebSocket version is not 13"
        );
        assert!(refuse(&Refusal::new(499)).starts_with("HTTP/1.1 499 \r\n"));
        let owned = Refusal::new(400).header("Content-Length", "9");
        assert_eq!(owned, Err(InvalidHeader::Reserved));
    }

    #[test]
    fn a_status_that_refuses_is_kept_and_any_other_becomes_500() {
        for status in 0..=999 {
            let written = if (300..=599).contains(&status) { status } else { 500 };
            assert_eq!(Refusal::new(status).status(), written);
        }
        assert_eq!(Refusal::new(u16::MAX).status(), 500);
        let moved = Refusal::new(307).header("Location", "ws://other.example/").unwrap();
        assert_eq!(
            refuse(&moved),
            "HTTP/1.1 307 Temporary Redirect\r\nConnection: close\r\n\
             Location: ws://other.example/\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(
            refuse(&Refusal::new(304).body("nothing")),
            "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_body_has_its_type() {
        let json = Refusal::new(401).content_type(ContentType::JSON);
        assert_eq!(
            refuse(&json.clone().body("{}")),
            "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        );
        assert!(!refuse(&json).contains("Content-Type"));
    }
}
