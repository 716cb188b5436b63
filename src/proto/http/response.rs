use std::ops::Range;

use bytes::Bytes;

use super::headers::{ExtraHeaders, write_header, write_number};
use super::status::write_status_line;
use super::{Body, ContentType, InvalidHeader};

/// Most heads are shorter, so that the output grows once for each.
const HEAD_BYTES_USUAL: usize = 256;

/// The response to an [`HttpRequest`](super::HttpRequest). The connection stays open for the next
/// request.
///
/// ```
/// use eventwire::proto::http::{ContentType, HttpResponse};
///
/// let page = HttpResponse::new(200)
///     .content_type(ContentType::CSS)
///     .header("Cache-Control", "max-age=3600")?
///     .body("body { margin: 0 }");
/// let moved = HttpResponse::new(301).header("Location", "/chat")?;
/// let mut out = Vec::new();
/// moved.write(&mut out);
/// assert_eq!(
///     out,
///     b"HTTP/1.1 301 Moved Permanently\r\nLocation: /chat\r\nContent-Length: 0\r\n\r\n"
/// );
/// # Ok::<(), eventwire::proto::http::InvalidHeader>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// From 200 to 599.
    status: u16,
    content_type: Option<ContentType>,
    headers: ExtraHeaders,
    body: Bytes,
}

impl HttpResponse {
    /// A response with `status`, without a body.
    ///
    /// A status outside 200 to 599 is not that of a final response. It becomes 500, the status for
    /// the server's own mistakes.
    #[must_use]
    pub fn new(status: u16) -> Self {
        let status = if matches!(status, 200..=599) { status } else { 500 };
        let (headers, body) = (ExtraHeaders::default(), Bytes::new());
        Self { status, content_type: None, headers, body }
    }

    /// Plain text, with status 200.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::of_type(ContentType::TEXT, text.into().into())
    }

    /// An HTML page, with status 200.
    #[must_use]
    pub fn html(page: impl Into<Bytes>) -> Self {
        Self::of_type(ContentType::HTML, page.into())
    }

    /// JSON, with status 200. The text must be JSON. It is not checked.
    ///
    /// ```
    /// use eventwire::proto::http::HttpResponse;
    ///
    /// let status = HttpResponse::json(r#"{"status": "ok"}"#);
    /// let count = HttpResponse::json(format!(r#"{{"connections": {}}}"#, 7));
    /// # let mut out = Vec::new();
    /// # count.write(&mut out);
    /// # assert!(out.ends_with(b"\r\nContent-Length: 18\r\n\r\n{\"connections\": 7}"));
    /// # assert_eq!(status.status(), 200);
    /// ```
    #[must_use]
    pub fn json(text: impl Into<Bytes>) -> Self {
        Self::of_type(ContentType::JSON, text.into())
    }

    fn of_type(content_type: ContentType, body: Bytes) -> Self {
        Self { content_type: Some(content_type), body, ..Self::new(200) }
    }

    /// The response to a method that is not in `allow` (RFC 9110 §15.5.6).
    pub(crate) fn method_not_allowed(allow: &str) -> Self {
        Self::new(405).with_valid("Allow", allow)
    }

    /// The response to `OPTIONS` (RFC 9110 §9.3.7).
    pub(crate) fn options(allow: &str) -> Self {
        Self::new(204).with_valid("Allow", allow)
    }

    /// Adds a header of this crate's own.
    pub(crate) fn with_valid(mut self, name: &str, value: &str) -> Self {
        self.headers.push_valid(name, value);
        self
    }

    /// Adds headers of this crate's own.
    pub(super) fn with_extra(mut self, extra: ExtraHeaders) -> Self {
        self.headers.append(extra);
        self
    }

    /// The length of the body.
    pub(super) const fn len(&self) -> usize {
        self.body.len()
    }

    /// The same response with a part of the body, which both share (RFC 9110 §15.3.7).
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let content_range = format!("bytes {}-{}/{}", range.start, range.end - 1, self.len());
        let part = Self { status: 206, body: self.body.slice(range), ..self.clone() };
        part.with_valid("Content-Range", &content_range)
    }

    /// Sets the type of the body.
    #[must_use]
    pub fn content_type(mut self, content_type: ContentType) -> Self {
        self.content_type = Some(content_type);
        self
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

    /// Sets the body. It is ignored with statuses 204 and 304, which have none.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Compresses the body with gzip, if that makes it shorter and it has at least 1 KiB. For
    /// clients that accept it (`Accept-Encoding`, RFC 9110 §12.5.3).
    ///
    /// Needs the feature `deflate`.
    ///
    /// ```
    /// use eventwire::{HttpResponse, Routes};
    ///
    /// let routes = Routes::<String>::new().get("/log", |_, request, log| {
    ///     let response = HttpResponse::text(log.as_str());
    ///     let codings = request.header("Accept-Encoding").unwrap_or_default();
    ///     match codings.split(',').any(|coding| coding.trim() == "gzip") {
    ///         true => response.gzip(),
    ///         false => response,
    ///     }
    /// });
    /// # drop(routes);
    /// ```
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn gzip(self) -> Self {
        match crate::proto::deflate::gzip(&self.body) {
            Some(compressed) => {
                Self { body: compressed.into(), ..self }.with_valid("Content-Encoding", "gzip")
            }
            None => self,
        }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Appends the whole response.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_head(false, ExtraHeaders::NONE, out);
        out.extend_from_slice(self.sent_body());
    }

    /// The body as it is sent. Some statuses have none (RFC 9110 §6.4.1).
    pub(crate) fn sent_body(&self) -> &Bytes {
        static NONE: Bytes = Bytes::new();
        if self.has_body() { &self.body } else { &NONE }
    }

    pub(crate) const fn has_body(&self) -> bool {
        !matches!(self.status, 204 | 304)
    }

    /// Appends the head, which is the same for a `HEAD` request. `is_last`: whether the connection
    /// ends after this response. `extra`: what the request adds to any response.
    pub(crate) fn write_head(&self, is_last: bool, extra: &ExtraHeaders, out: &mut Vec<u8>) {
        self.write_fields(is_last, extra, out);
        if self.has_body() {
            out.extend_from_slice(b"Content-Length: ");
            write_number(out, self.body.len() as u64);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Appends the head of a response whose body is sent in pieces. The connection ends after it.
    pub(crate) fn write_streamed_head(&self, body: Body, extra: &ExtraHeaders, out: &mut Vec<u8>) {
        self.write_fields(true, extra, out);
        if body == Body::Chunks {
            write_header(out, "Transfer-Encoding", b"chunked");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The response with the headers that keep caches and proxies from holding events back. The
    /// last is nginx's.
    pub(crate) fn for_events(mut self) -> Self {
        for (name, value) in [("Cache-Control", "no-store"), ("X-Accel-Buffering", "no")] {
            // An application's own header of this name has its own meaning.
            if !self.headers.has(name) {
                self.headers.push_valid(name, value);
            }
        }
        self
    }

    fn write_fields(&self, is_last: bool, extra: &ExtraHeaders, out: &mut Vec<u8>) {
        out.reserve(HEAD_BYTES_USUAL);
        write_status_line(self.status, out);
        if is_last {
            write_header(out, "Connection", b"close");
        }
        self.headers.write(out);
        extra.write_beside(&self.headers, out);
        if let Some(content_type) = &self.content_type {
            out.extend_from_slice(b"Content-Type: ");
            out.extend_from_slice(content_type.as_str().as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(response: &HttpResponse) -> String {
        let mut out = Vec::new();
        response.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lengths_and_types_are_those_of_the_body() {
        assert_eq!(
            written(&HttpResponse::text("na\u{ef}ve")),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Length: 6\r\n\r\nna\u{ef}ve"
        );
        assert_eq!(
            written(&HttpResponse::new(404)),
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        );
        let style = HttpResponse::new(200).content_type(ContentType::CSS).body("a {}");
        assert_eq!(
            written(&style),
            "HTTP/1.1 200 OK\r\nContent-Type: text/css; charset=utf-8\r\n\
            Content-Length: 4\r\n\r\na {}"
        );
        assert_eq!(
            written(&HttpResponse::json("[1]")),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n[1]"
        );
        // RFC 9110 §8.6.
        let none = HttpResponse::new(204).body("nothing");
        assert_eq!(written(&none), "HTTP/1.1 204 No Content\r\n\r\n");
    }

    #[test]
    fn a_head_describes_the_body_that_is_left_out() {
        let mut out = Vec::new();
        HttpResponse::html("page").write_head(true, ExtraHeaders::NONE, &mut out);
        assert_eq!(
            out.escape_ascii().to_string(),
            "HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\
            Content-Type: text/html; charset=utf-8\\r\\nContent-Length: 4\\r\\n\\r\\n"
        );
    }

    #[test]
    fn reserved_headers_and_invalid_statuses_are_refused() {
        let reserved = HttpResponse::new(200).header("Content-Length", "7");
        assert_eq!(reserved, Err(InvalidHeader::Reserved("Content-Length".to_owned())));
        for status in [0, 101, 199, 600] {
            assert_eq!(HttpResponse::new(status).status(), 500);
        }
    }
}
