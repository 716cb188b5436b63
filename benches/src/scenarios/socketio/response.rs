//! An HTTP response of a server.

/// A whole response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Response<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
    /// The length of head and body.
    pub(super) len: usize,
}

impl<'a> Response<'a> {
    /// The response at the beginning of `input`, or `None` until it is whole.
    pub(super) fn parse(input: &'a [u8]) -> Result<Option<Self>, String> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut headers);
        let parsed = head.parse(input).map_err(|error| format!("this is not HTTP: {error}"))?;
        let (httparse::Status::Complete(begin), Some(status)) = (parsed, head.code) else {
            return Ok(None);
        };
        let mut headers = head.headers.iter();
        let len = headers.find(|header| header.name.eq_ignore_ascii_case("Content-Length"));
        let len = len.and_then(|len| std::str::from_utf8(len.value).ok()?.parse::<usize>().ok());
        let len = match status {
            // Another protocol follows.
            101 => begin,
            _ => begin + len.ok_or("a response has no Content-Length")?,
        };
        Ok(input.get(begin..len).map(|body| Self { status, body, len }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_once_it_is_whole() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP";
        let whole = Response { status: 200, body: b"ok", len: text.len() - 4 };
        assert_eq!(Response::parse(text), Ok(Some(whole)));
        for end in 0..whole.len {
            assert_eq!(Response::parse(&text[..end]), Ok(None));
        }
        let upgraded = Response::parse(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\0");
        assert_eq!(upgraded, Ok(Some(Response { status: 101, body: &[], len: 36 })));
        for wrong in [&b"SSH-2.0\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\n\r\n"] {
            assert!(Response::parse(wrong).is_err());
        }
    }
}
