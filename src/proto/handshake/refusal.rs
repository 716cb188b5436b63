use crate::proto::http::{
    ContentType, ExtraHeaders, InvalidHeader, write_header, write_status_line,
};

/// A server's response that opens no WebSocket: an HTTP error or a redirection. The server ends the
/// connection after it.
///
/// ```
/// use eventwire::proto::handshake::Refusal;
/// use eventwire::proto::http::ContentType;
///
/// let refusal = Refusal::new(401)
///     .header("WWW-Authenticate", "Bearer")?
///     .content_type(ContentType::JSON)
///     .body(r#"{"error": "who are you?"}"#);
/// let mut out = Vec::new();
/// refusal.write(&mut out);
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
    /// Whether the headers describe the body and the body itself is left out.
    is_head_only: bool,
}

impl Refusal {
    /// A refusal with `status`, without a body.
    ///
    /// A status from 300 to 399 is a redirection: the header `Location` names another URL
    /// (RFC 9110 §15.4). A browser's WebSocket does not follow it.
    ///
    /// A status outside 300 to 599 would not refuse. It becomes 500, the status for the server's
    /// own mistakes.
    #[must_use]
    pub fn new(status: u16) -> Self {
        let status = if (300..=599).contains(&status) { status } else { 500 };
        let (headers, body) = (ExtraHeaders::default(), String::new());
        Self { status, headers, content_type: ContentType::TEXT, body, is_head_only: false }
    }

    /// Adds a header. Set the type of the body with [`content_type`](Self::content_type).
    ///
    /// # Errors
    ///
    /// [`InvalidHeader`] if the name or the value cannot be written.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.headers.push(name, value)?;
        Ok(self)
    }

    /// Sets the type of the body. Default: [`ContentType::TEXT`].
    #[must_use]
    pub fn content_type(mut self, content_type: ContentType) -> Self {
        self.content_type = content_type;
        self
    }

    /// Sets the body. It is ignored with status 304, which has none.
    #[must_use]
    pub fn body(mut self, text: impl Into<String>) -> Self {
        self.body = text.into();
        self
    }

    /// Leaves out the body if this is the response to a `HEAD` request (RFC 9110 §9.3.2).
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

    /// Appends the whole response, with the headers that its status requires.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_with(ExtraHeaders::NONE, out);
    }

    /// Appends the whole response. `extra`: what the request adds to any response.
    pub(crate) fn write_with(&self, extra: &ExtraHeaders, out: &mut Vec<u8>) {
        write_status_line(self.status, out);
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
        extra.write_beside(&self.headers, out);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::handshake::HandshakeError;

    fn refuse(answer: &Refusal) -> String {
        let mut out = Vec::new();
        answer.write(&mut out);
        String::from_utf8(out).unwrap()
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
        assert_eq!(owned, Err(InvalidHeader::Reserved("Content-Length".to_owned())));
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
