//! Clients: what they send, and what their answers say.

use eventwire::reactor::SimReactor;

use crate::shared::{Random, SimPeer};

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Now,
    Later,
    Twice,
    Responder,
    Dropped,
    Never,
    /// Its body has no end, and no handler sees it.
    Unfinished,
    Stream,
    /// A stream that the application ends as incomplete.
    Cut,
    /// A stream for which the application does nothing more.
    Silent,
    Events,
    Accepted,
    Refused,
}

impl Kind {
    /// Those that may stand before others. The connection ends with each of the rest.
    pub(super) const FIRST: [Self; 5] =
        [Self::Now, Self::Later, Self::Twice, Self::Responder, Self::Dropped];
    pub(super) const LAST: [Self; 11] = [
        Self::Now,
        Self::Never,
        Self::Unfinished,
        Self::Stream,
        Self::Cut,
        Self::Silent,
        Self::Events,
        Self::Events,
        Self::Events,
        Self::Accepted,
        Self::Refused,
    ];

    pub(super) const fn is_upgrade(self) -> bool {
        matches!(self, Self::Accepted | Self::Refused)
    }

    pub(super) const fn is_stream(self) -> bool {
        matches!(self, Self::Stream | Self::Cut | Self::Silent)
    }

    const fn status(self) -> u16 {
        match self {
            Self::Dropped => 500,
            Self::Never => 504,
            Self::Unfinished => 408,
            Self::Accepted => 101,
            Self::Refused => 403,
            _ => 200,
        }
    }
}

/// A byte of what a request brings, and of what its stream brings.
pub(super) const fn byte(client: usize, number: usize, place: usize) -> u8 {
    b'a' + ((client * 7 + number * 3 + place * 31 + place / 256) % 26) as u8
}

pub(super) fn bytes(client: usize, number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|place| byte(client, number, place)).collect()
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) kind: Kind,
    pub(super) body: usize,
    /// A handler has seen it.
    pub(super) is_seen: bool,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) peer: SimPeer,
    pub(super) requests: Vec<Request>,
    /// It leaves at any moment.
    pub(super) is_hasty: bool,
    pub(super) has_left: bool,
}

/// What a client knows of its answers.
#[derive(Debug, Default)]
pub(super) struct Progress<'a> {
    /// The statuses of whole responses, and of a stream that has begun.
    pub(super) statuses: Vec<u16>,
    /// The server ends the connection behind the last of them.
    pub(super) ends: bool,
    /// What came of the stream.
    pub(super) stream: Option<&'a [u8]>,
}

impl Client {
    pub(super) fn new(peer: SimPeer, requests: Vec<Request>, is_hasty: bool) -> Self {
        Self { peer, requests, is_hasty, has_left: false }
    }

    /// Queues all of its requests, in pieces.
    pub(super) fn queue(&mut self, client: usize, random: &mut Random) {
        let requests = 0..self.requests.len();
        let said: Vec<u8> =
            requests.flat_map(|number| self.request(client, number, random)).collect();
        let most = random.pick(&[3, 100, 5_000]);
        self.peer.queue(random.cut(&said, most));
    }

    /// A request, with a length or in chunks.
    fn request(&self, client: usize, number: usize, random: &mut Random) -> Vec<u8> {
        let Request { kind, body, .. } = self.requests[number];
        let path = if kind.is_upgrade() { "ws" } else { "http" };
        let mut out = format!("GET /{path}?{client}-{number} HTTP/1.1\r\nHost: a\r\n").into_bytes();
        if kind.is_upgrade() {
            let fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\
                \r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
            out.extend_from_slice(fields.as_bytes());
            return out;
        }
        let body = bytes(client, number, body);
        let missing = if kind == Kind::Unfinished { random.between(1, 100) } else { 0 };
        if random.percent(50) {
            let length = body.len() + missing;
            out.extend_from_slice(format!("Content-Length: {length}\r\n\r\n").as_bytes());
            out.extend_from_slice(&body);
            return out;
        }
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in random.cut(&body, 500) {
            if !chunk.is_empty() {
                out.extend_from_slice(format!("{:x};a=b\r\n", chunk.len()).as_bytes());
                out.extend_from_slice(&chunk);
                out.extend_from_slice(b"\r\n");
            }
        }
        out.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
        let end = b"0\r\nTrailer: x\r\n\r\n".len();
        out.truncate(out.len() - missing.min(end));
        out
    }

    /// Takes its answers apart. Each is the right one.
    pub(super) fn progress(&self, client: usize, is_lossless: bool) -> Progress<'_> {
        let (mut rest, mut progress) = (self.peer.input(), Progress::default());
        for (number, request) in self.requests.iter().enumerate() {
            let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else {
                return progress;
            };
            let head = std::str::from_utf8(&rest[..end + 4]).expect("text");
            let status: u16 = head[9..12].parse().expect("a status");
            let ends = head.contains("\r\nConnection: close\r\n");
            let is_denied = status == 429;
            if is_denied {
                assert!(head.contains("\r\nRetry-After: "), "{head}");
            } else if !is_lossless && [400, 408, 503, 504].contains(&status) {
                assert!(ends, "{head}");
                progress.ends = true;
                return progress;
            } else {
                assert_eq!(status, request.kind.status(), "{request:?}: {head}");
            }
            rest = &rest[end + 4..];
            let is_stream = request.kind.is_stream() || request.kind == Kind::Events;
            if is_stream && !is_denied {
                assert!(ends, "{head}");
                progress.stream = Some(rest);
            } else if status != 101 {
                let length = head.split_once("Content-Length: ").expect("a length").1;
                let length = length.lines().next().expect("a line").parse().expect("a number");
                let Some(body) = rest.get(..length) else {
                    return progress;
                };
                let text = format!("{client}-{number}");
                assert!(status != 200 || body == text.as_bytes(), "the answer to another request");
                rest = &rest[length..];
            }
            progress.statuses.push(status);
            progress.ends = ends;
            if status == 101 {
                // Pings may follow.
                return progress;
            }
            if ends {
                break;
            }
        }
        assert!(progress.stream.is_some() || rest.is_empty(), "more: {}", rest.escape_ascii());
        progress
    }

    pub(super) fn leave(&mut self, reactor: &mut SimReactor, random: &mut Random) {
        self.has_left = true;
        match random.below(3) {
            0 => self.peer.finish(reactor),
            1 => self.peer.reset(reactor),
            _ => self.peer.vanish(reactor),
        }
        if self.peer.is_paused() {
            self.peer.resume(reactor);
        }
    }
}

/// Takes a body in chunks apart: how many bytes of it came, each the right one, and whether it is
/// whole.
pub(super) fn read_chunks(mut rest: &[u8], client: usize, number: usize) -> (usize, bool) {
    let mut place = 0;
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).expect("text");
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            assert!(rest.len() <= end + 4, "more follows");
            return (place, rest.len() == end + 4);
        }
        let data = &rest[end + 2..];
        for came in &data[..size.min(data.len())] {
            assert_eq!(*came, byte(client, number, place));
            place += 1;
        }
        if data.len() < size + 2 {
            break;
        }
        rest = &data[size + 2..];
    }
    (place, false)
}
