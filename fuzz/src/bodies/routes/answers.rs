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
    pub(super) body: Vec<u8>,
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
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{head}"));
            assert!(!value.is_empty() && value.trim() == value, "{head}");
            assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{head}");
            match name {
                "Connection" => closes = value.split(", ").any(|token| token == "close"),
                "Allow" => has_allow = true,
                "Content-Length" => {
                    let former = length.replace(value.parse().expect("a number"));
                    assert_eq!(former, None, "{head}");
                }
                _ => {}
            }
        }
        // RFC 9110 §8.6, and §15.5.6.
        assert_eq!(length.is_none(), [101, 204, 304].contains(&status), "{head}");
        let may_allow = [204, 405].contains(&status);
        assert!(if has_allow { may_allow } else { status != 405 }, "{head}");
        let len = if is_head { 0 } else { length.unwrap_or(0) };
        let body = self.rest[end + 4..].get(..len)?.to_vec();
        self.rest = &self.rest[end + 4 + len..];
        Some(Answer { status, closes, length, body })
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
