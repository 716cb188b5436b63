//! Static files: conditional requests (RFC 9110 §13) and ranges (§14).

use bytes::Bytes;

use super::etag::{Comparison, EntityTag};
use super::range::{Requested, requested};
use super::{ContentType, HttpRequest, HttpResponse, InvalidHeader};

/// A file that is served from memory, to clients that may have it already, or want a part of it.
///
/// It has a strong `ETag`, a digest of its content. A client that has the file (`If-None-Match`)
/// gets 304 without it. One that goes on with a download (`Range`, `If-Range`) gets 206 with the
/// part, or 416 if that begins behind the end. A request for several parts gets the whole file, as
/// RFC 9110 §14.2 allows. If the client insists on another version (`If-Match`), it gets 412. All
/// responses share the content's bytes.
///
/// There is no date of the last change: a client's condition on that is ignored.
///
/// ```
/// use eventwire::{ContentType, Routes, StaticFile};
///
/// let script = StaticFile::new(ContentType::JAVASCRIPT, "console.log('hello')")
///     .header("Cache-Control", "max-age=3600")?;
/// let routes = Routes::<()>::new().file("/app.js", script);
/// # drop(routes);
/// # Ok::<(), eventwire::Error>(())
/// ```
///
/// A handler can serve files, too:
///
/// ```
/// use std::collections::HashMap;
///
/// use eventwire::{HttpResponse, Routes, StaticFile};
///
/// let files: HashMap<String, StaticFile> = HashMap::new();
/// let routes = Routes::<()>::new().get("/files/{name}", move |_, request, _| {
///     let file = request.param("name").and_then(|name| files.get(&*name));
///     file.map_or_else(|| HttpResponse::new(404), |file| file.respond(request))
/// });
/// # drop(routes);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticFile {
    etag: EntityTag,
    /// The response with the whole content.
    whole: HttpResponse,
    /// The response to a client that has the content.
    not_modified: HttpResponse,
}

/// The headers of a response with content that one without it has, too (RFC 9110 §15.4.5).
const KEPT: [&str; 4] = ["Cache-Control", "Content-Location", "Expires", "Vary"];

/// The headers that a file has by itself.
const OWN: [&str; 4] = ["Accept-Ranges", "Content-Range", "ETag", "Last-Modified"];

impl StaticFile {
    /// A file with this content.
    #[must_use]
    pub fn new(content_type: ContentType, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let etag = EntityTag::of(&content);
        let whole = HttpResponse::new(200)
            .content_type(content_type)
            .body(content)
            .with_valid("ETag", etag.as_str())
            .with_valid("Accept-Ranges", "bytes");
        let not_modified = HttpResponse::new(304).with_valid("ETag", etag.as_str());
        Self { etag, whole, not_modified }
    }

    /// Adds a header, for instance `Cache-Control`.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader`] if the name or the value cannot be written, or the header is about the
    /// version of the file or its parts.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        let is_in = |names: [&str; 4]| names.iter().any(|other| other.eq_ignore_ascii_case(name));
        if is_in(OWN) {
            return Err(InvalidHeader::Reserved(name.to_owned()));
        }
        if is_in(KEPT) {
            self.not_modified = self.not_modified.header(name, value)?;
        }
        self.whole = self.whole.header(name, value)?;
        Ok(self)
    }

    /// The value of `ETag`, in quotes.
    #[must_use]
    pub fn etag(&self) -> &str {
        self.etag.as_str()
    }

    /// The response to a request for the file, which is `GET` or `HEAD`.
    ///
    /// ```
    /// use eventwire::proto::http::{HeadLimits, HttpRequest};
    /// use eventwire::{ContentType, StaticFile};
    ///
    /// let file = StaticFile::new(ContentType::TEXT, "hello");
    /// let head = b"GET /hello HTTP/1.1\r\nHost: example.com\r\nRange: bytes=1-\r\n\r\n";
    /// let request = HttpRequest::parse(head, &HeadLimits::default())?;
    /// let mut out = Vec::new();
    /// file.respond(&request).write(&mut out);
    /// assert!(out.ends_with(b"\r\n\r\nello"));
    /// # Ok::<(), eventwire::proto::http::HttpError>(())
    /// ```
    #[must_use]
    pub fn respond(&self, request: &HttpRequest<'_>) -> HttpResponse {
        // In the order of RFC 9110 §13.2.2.
        if self.is_named(request, "If-Match", Comparison::Strong) == Some(false) {
            return HttpResponse::new(412);
        }
        if self.is_named(request, "If-None-Match", Comparison::Weak) == Some(true) {
            return self.not_modified.clone();
        }
        match self.requested(request) {
            Requested::Whole => self.whole.clone(),
            Requested::Part(range) => self.whole.part(range),
            Requested::Unsatisfiable => {
                let len = format!("bytes */{}", self.whole.len());
                HttpResponse::new(416).with_valid("Content-Range", &len)
            }
        }
    }

    /// Whether the lists of entity tags with this name have the file's. `None` if there are none.
    fn is_named(
        &self,
        request: &HttpRequest<'_>,
        name: &'static str,
        comparison: Comparison,
    ) -> Option<bool> {
        let mut lists = request.fields().values(name).peekable();
        lists.peek()?;
        Some(lists.any(|list| self.etag.is_in(list, comparison)))
    }

    /// What of the content the response has. Ranges are defined for `GET` alone.
    fn requested(&self, request: &HttpRequest<'_>) -> Requested {
        let fields = request.fields();
        match (fields.single("Range"), fields.single("If-Range")) {
            _ if request.method() != "GET" => Requested::Whole,
            (Ok(Some(range)), Ok(None)) => requested(range, self.whole.len()),
            (Ok(Some(range)), Ok(Some(tag))) if self.etag.is(tag) => {
                requested(range, self.whole.len())
            }
            _ => Requested::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::http::HeadLimits;

    fn file() -> StaticFile {
        let file = StaticFile::new(ContentType::TEXT, "0123456789");
        let file = file.header("Cache-Control", "max-age=60").unwrap();
        file.header("Content-Language", "en").unwrap()
    }

    /// The response to a request with these headers, in which `TAG` is the file's.
    fn response(method: &str, headers: &str) -> String {
        let headers = headers.replace("TAG", file().etag());
        let head = format!("{method} / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let request = HttpRequest::parse(head.as_bytes(), &HeadLimits::default()).unwrap();
        let mut out = Vec::new();
        file().respond(&request).write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn responses_to_the_byte() {
        let etag = format!("ETag: {}\r\n", file().etag());
        let rest = "Cache-Control: max-age=60\r\nContent-Language: en\r\n";
        let content = "Content-Type: text/plain; charset=utf-8\r\n";
        assert_eq!(
            response("GET", ""),
            format!(
                "HTTP/1.1 200 OK\r\n{etag}Accept-Ranges: bytes\r\n{rest}{content}\
                 Content-Length: 10\r\n\r\n0123456789"
            )
        );
        assert_eq!(
            response("GET", "Range: bytes=2-4\r\n"),
            format!(
                "HTTP/1.1 206 Partial Content\r\n{etag}Accept-Ranges: bytes\r\n{rest}\
                 Content-Range: bytes 2-4/10\r\n{content}Content-Length: 3\r\n\r\n234"
            )
        );
        assert_eq!(
            response("GET", "If-None-Match: TAG\r\n"),
            format!("HTTP/1.1 304 Not Modified\r\n{etag}Cache-Control: max-age=60\r\n\r\n")
        );
        assert_eq!(
            response("GET", "Range: bytes=10-\r\n"),
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */10\r\n\
             Content-Length: 0\r\n\r\n"
        );
        assert_eq!(
            response("GET", "If-Match: \"a\"\r\n"),
            "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n"
        );
    }

    /// RFC 9110 §13.2.2, §13.1.5 and §14.2.
    #[test]
    fn conditions_are_evaluated_in_their_order() {
        for (method, headers, status) in [
            ("GET", "If-Match: TAG\r\n", 200),
            ("GET", "If-Match: *\r\n", 200),
            ("GET", "If-Match: W/TAG\r\n", 412),
            ("GET", "If-Match: \"a\"\r\nIf-Match: \"b\", TAG\r\n", 200),
            ("GET", "If-Match: \"a\"\r\nIf-None-Match: TAG\r\n", 412),
            ("GET", "If-Match: TAG\r\nIf-None-Match: TAG\r\n", 304),
            ("GET", "If-None-Match: *\r\n", 304),
            ("GET", "If-None-Match: W/TAG\r\n", 304),
            ("GET", "If-None-Match: \"a\", TAG\r\n", 304),
            ("GET", "If-None-Match: \"a\"\r\nIf-None-Match: TAG\r\n", 304),
            ("GET", "If-None-Match: \"a\"\r\n", 200),
            ("GET", "If-None-Match: a\r\n", 200),
            ("GET", "If-None-Match:\r\n", 200),
            ("HEAD", "If-None-Match: TAG\r\n", 304),
            ("HEAD", "If-Match: \"a\"\r\n", 412),
            ("GET", "If-Modified-Since: Sat, 29 Oct 1994 19:43:31 GMT\r\n", 200),
            ("GET", "If-None-Match: TAG\r\nRange: bytes=0-0\r\n", 304),
            ("GET", "If-None-Match: \"a\"\r\nRange: bytes=0-0\r\n", 206),
            ("GET", "If-Match: TAG\r\nRange: bytes=10-\r\n", 416),
            ("GET", "If-Range: TAG\r\nRange: bytes=0-0\r\n", 206),
            ("GET", "If-Range: TAG\r\nRange: bytes=10-\r\n", 416),
            ("GET", "If-Range: W/TAG\r\nRange: bytes=0-0\r\n", 200),
            ("GET", "If-Range: \"a\"\r\nRange: bytes=0-0\r\n", 200),
            ("GET", "If-Range: \"a\"\r\nRange: bytes=10-\r\n", 200),
            ("GET", "If-Range: Sat, 29 Oct 1994 19:43:31 GMT\r\nRange: bytes=0-0\r\n", 200),
            ("GET", "If-Range: TAG\r\n", 200),
            ("GET", "Range: bytes=0-0,5-6\r\n", 200),
            ("GET", "Range: bytes=0-0\r\nRange: bytes=1-1\r\n", 200),
            ("GET", "Range: bytes=1-0\r\n", 200),
            ("HEAD", "Range: bytes=0-0\r\n", 200),
            ("HEAD", "Range: bytes=10-\r\n", 200),
        ] {
            let response = response(method, headers);
            let line = format!("HTTP/1.1 {status} ");
            assert!(response.starts_with(&line), "{method} {headers}: {response}");
        }
    }

    #[test]
    fn a_part_shares_the_content() {
        let content = Bytes::from("0123456789");
        let file = StaticFile::new(ContentType::TEXT, content.clone());
        let part = file.whole.part(2..5).sent_body().clone();
        assert_eq!(part.as_ptr(), content[2..].as_ptr());
    }

    #[test]
    fn headers_about_the_version_are_refused() {
        for name in ["etag", "Accept-Ranges", "content-range", "Last-Modified", "Content-Length"] {
            let error = InvalidHeader::Reserved(name.to_owned());
            assert_eq!(file().header(name, "a"), Err(error));
        }
        let error = file().header("Cache-Control", "a\r\nb").unwrap_err();
        assert_eq!(error, InvalidHeader::Value("Cache-Control".to_owned()));
    }
}
