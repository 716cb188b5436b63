//! What the peer received, taken apart as HTTP has it.

use std::str;

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The server says that nothing follows.
    pub(super) closes: bool,
    /// What `Content-Length` says.
    pub(super) length: Option<usize>,
    pub(super) is_chunked: bool,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Whether the body reaches to the end of the stream.
    pub(super) fn lasts(&self) -> bool {
        self.length.is_none() && !self.is_chunked && may_have_content(self.status)
    }
}

/// RFC 9110 §8.6.
fn may_have_content(status: u16) -> bool {
    ![101, 204, 304].contains(&status)
}

/// The responses that are still to be looked at.
pub(super) struct Answers<'a> {
    pub(super) rest: &'a [u8],
}

impl Answers<'_> {
    /// The next response; `None` if it is not there whole. To a `HEAD` request there is no body.
    pub(super) fn next(&mut self, is_head: bool) -> Option<Answer> {
        let end = self.rest.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = str::from_utf8(&self.rest[..end]).expect("a head is text");
        let mut lines = head.split("\r\n");
        let line = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let (status, reason) = line.and_then(|line| line.split_once(' ')).expect("a status line");
        assert!(status.len() == 3 && !reason.is_empty(), "{head}");
        let status: u16 = status.parse().expect("a status");
        let (mut closes, mut length, mut has_allow) = (false, None, false);
        let mut is_chunked = false;
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{head}"));
            assert!(!value.is_empty() && value.trim() == value, "{head}");
            assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{head}");
            match name {
                "Connection" => closes = value.split(", ").any(|token| token == "close"),
                "Allow" => has_allow = true,
                "Transfer-Encoding" => {
                    assert!(value == "chunked" && !is_chunked, "{head}");
                    is_chunked = true;
                }
                "Content-Length" => {
                    let former = length.replace(value.parse().expect("a number"));
                    assert_eq!(former, None, "{head}");
                }
                _ => {}
            }
        }
        // Only what is streamed has no length.
        let is_streamed = status == 200 && closes && length.is_none();
        assert!(is_streamed || length.is_some() == may_have_content(status), "{head}");
        assert!(is_streamed || !is_chunked, "{head}");
        // RFC 9110 §15.5.6.
        let may_allow = [204, 405].contains(&status);
        assert!(if has_allow { may_allow } else { status != 405 }, "{head}");
        let mut answer = Answer { status, closes, length, is_chunked, body: Vec::new() };
        let rest = &self.rest[end + 4..];
        let len = match length {
            _ if is_head => 0,
            Some(len) => len,
            None if is_chunked => {
                let (len, body) = chunks(rest)?;
                (self.rest, answer.body) = (&rest[len..], body);
                return Some(answer);
            }
            None if answer.lasts() => rest.len(),
            None => 0,
        };
        answer.body = rest.get(..len)?.to_vec();
        self.rest = &rest[len..];
        Some(answer)
    }

    /// A refusal, behind which the server says nothing.
    pub(super) fn refusal(&mut self, is_head: bool) -> Answer {
        let answer = self.next(is_head).expect("it is refused");
        assert!(answer.closes && answer.status >= 400, "{answer:?}");
        self.end();
        answer
    }

    /// Nothing follows.
    pub(super) fn end(&self) {
        assert!(self.rest.is_empty(), "more follows: {}", self.rest.escape_ascii());
    }
}

/// A body in chunks, and how long it is with them; `None` if its end is missing.
fn chunks(bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
    let (mut at, mut body) = (0, Vec::new());
    loop {
        let rest = &bytes[at..];
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let digits = str::from_utf8(&rest[..end]).expect("a size is text");
        let size = usize::from_str_radix(digits, 16).expect("a size");
        let chunk = rest.get(end + 2..end + 2 + size + 2)?;
        assert!(chunk.ends_with(b"\r\n"), "{}", chunk.escape_ascii());
        body.extend_from_slice(&chunk[..size]);
        at += end + 2 + size + 2;
        if size == 0 {
            return Some((at, body));
        }
    }
}
