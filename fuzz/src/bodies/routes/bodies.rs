//! A plain reading of the bodies of requests. The sizes of chunks and the trailers are compared
//! with `httparse`.

use eventwire::proto::http::HeadLimits;
use httparse::{EMPTY_HEADER, Status, parse_chunk_size, parse_headers};

use super::reading::{Front, head};
use super::site::BODY;

/// What a head says of the length of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Known(usize),
    Chunks,
}

/// The body at the front of a stream.
pub(super) fn body(bytes: &[u8], length: Length, limits: HeadLimits) -> Front<Vec<u8>> {
    match length {
        Length::Known(len) if len > BODY => Front::Refused(413),
        Length::Known(len) => match bytes.get(..len) {
            Some(body) => Front::Whole(len, body.to_vec()),
            None => Front::Incomplete,
        },
        Length::Chunks => chunks(bytes, limits),
    }
}

fn chunks(bytes: &[u8], limits: HeadLimits) -> Front<Vec<u8>> {
    let (mut at, mut body) = (0, Vec::new());
    loop {
        let size = match chunk_line(&bytes[at..]) {
            Front::Whole(len, size) => {
                at += len;
                size
            }
            Front::Incomplete => return Front::Incomplete,
            Front::Refused(status) => return Front::Refused(status),
        };
        if size == 0 {
            return match trailers(&bytes[at..], limits) {
                Front::Whole(len, ()) => Front::Whole(at + len, body),
                Front::Incomplete => Front::Incomplete,
                Front::Refused(status) => Front::Refused(status),
            };
        }
        let available = usize::try_from(size).unwrap_or(usize::MAX).min(bytes.len() - at);
        if body.len() + available > BODY {
            return Front::Refused(413);
        }
        body.extend_from_slice(&bytes[at..at + available]);
        at += available;
        if (available as u64) < size {
            return Front::Incomplete;
        }
        match &bytes[at..] {
            [b'\r', b'\n', ..] => at += 2,
            [] | [b'\r'] => return Front::Incomplete,
            _ => return Front::Refused(400),
        }
    }
}

/// The line in front of a chunk, byte by byte, and the size that it says.
fn chunk_line(bytes: &[u8]) -> Front<u64> {
    for (at, &byte) in bytes.iter().enumerate() {
        let line = &bytes[..at];
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let is_extension = line.contains(&b';');
        let is_space = !is_extension && at > digits;
        let is_right = match byte {
            b'\n' if line.ends_with(b"\r") => {
                let Ok(Status::Complete((end, size))) = parse_chunk_size(bytes) else {
                    panic!("httparse refuses {}", bytes[..=at].escape_ascii());
                };
                assert_eq!(end, at + 1, "{}", bytes[..=at].escape_ascii());
                return Front::Whole(end, size);
            }
            _ if line.ends_with(b"\r") => false,
            b'\r' => digits > 0 && !is_space,
            b' ' | b'\t' | b';' if !is_extension => digits > 0,
            b'\t' => is_extension,
            0..=31 | 127 => false,
            _ if is_extension => true,
            _ => byte.is_ascii_hexdigit() && !is_space && digits < 16,
        };
        if !is_right {
            return Front::Refused(400);
        }
    }
    Front::Incomplete
}

/// The trailers, which are read as a head without its first line. Whole ones are compared with
/// `httparse`.
fn trailers(bytes: &[u8], limits: HeadLimits) -> Front<()> {
    const FIRST: &[u8] = b"T\r\n";
    let limits = HeadLimits { bytes: limits.bytes + FIRST.len(), ..limits };
    let wrong = wrong_name(bytes);
    let right = wrong.map_or(bytes, |at| &bytes[..=at]);
    match head(&[FIRST, right].concat(), limits) {
        Front::Whole(len, ()) => {
            let len = len - FIRST.len();
            let mut fields = vec![EMPTY_HEADER; limits.headers];
            let parsed = parse_headers(&bytes[..len], &mut fields);
            assert!(matches!(parsed, Ok(Status::Complete((end, _))) if end == len), "{parsed:?}");
            Front::Whole(len, ())
        }
        Front::Incomplete if wrong.is_some() => Front::Refused(400),
        other => other,
    }
}

/// The first byte of a line that belongs to no name and is no colon behind one.
fn wrong_name(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        let len = line.iter().take_while(|byte| is_name(byte)).count();
        match line.get(len) {
            Some(b':') if len > 0 => {}
            Some(b'\r') if len == 0 => return None,
            Some(_) => return Some(start + len),
            None => return None,
        }
        start += line.len();
    }
    None
}
