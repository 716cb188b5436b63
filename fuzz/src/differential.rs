//! The engine's protocol beside tungstenite's: the same bytes give the same verdict, the same
//! payloads, the same answers and the same close code.
//!
//! Input: a choice (the role; the limits; whether this side closes first), a seed of the split,
//! then the stream. Both begin after the opening handshake.
//!
//! What differs on purpose, each with its reason; anything else is a failure:
//!
//! 1. *Lengths that are not in their shortest form*, and those with the top bit set, end a
//!    connection of the engine's with 1002: RFC 6455 §5.2 demands the one and forbids the other.
//!    tungstenite takes them. So does it take a control frame whose short length has an extended
//!    form.
//! 2. *As early as can be known*: the engine fails by the header what the header shows, and text at
//!    its first impossible byte. tungstenite waits for the whole frame, so here it is given the
//!    rest before the verdicts are compared.
//! 3. *One of several faults*: a frame that is too long and also breaks a rule of its header has
//!    two codes to choose from. The engine looks at the rules first, tungstenite at the length.
//!    Likewise in a close frame with a code that must not be sent and a reason that is not UTF-8.
//! 4. *Close codes that must not be sent* (RFC 6455 §7.4): both answer 1002, but the engine
//!    reports an error, and tungstenite a closing handshake. 1014 is registered with IANA
//!    since RFC 6455, and the engine takes it; tungstenite counts it as one that must not be sent.
//! 5. *The answer to a close frame* carries its code. The engine leaves out the reason, which the
//!    peer knows; tungstenite sends it back.
//! 6. *After its own close frame* the engine discards what arrives but for the headers and the
//!    peer's close frame, for it reports nothing more; tungstenite goes on to report, and so to
//!    check that text is UTF-8 and that a message of many frames is short enough. tungstenite also
//!    takes any code in that close frame.
//! 7. *Reports of an error*: the engine sends the peer a close frame with the code; tungstenite
//!    leaves that to its owner, and the code compared is the one for its error.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::sync::{Arc, LazyLock};

use eventwire::proto::{CloseCode, Limits, OpCode, PeerError};
use eventwire::proto::{ProtocolError, Role};
use tungstenite::protocol::frame::coding::CloseCode as TheirCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use crate::bodies::endpoint::{Endpoint, Frame, Seen, frames_in, other};
use crate::bodies::input::{Input, pieces};

/// The longest message and frame. A frame may be longer than a control frame's.
const CAPS: [(usize, usize); 2] = [(4_096, 4_096), (200, 130)];

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (choice, seed) = (input.byte(), input.byte());
    let case = Case {
        role: if choice & 1 == 0 { Role::Server } else { Role::Client },
        caps: usize::from(choice >> 1 & 1),
        closes_first: choice & 4 != 0,
    };
    let stream = input.rest();
    let own = case.own(stream, Some(seed));
    let mut stream = Cow::Borrowed(stream);
    if own.failed.is_some() {
        case.complete(&mut stream);
    }
    let theirs = case.theirs(&stream);
    assert!(case.agree(&stream, &own, &theirs), "{case:?}\n{own:?}\n{theirs:?}");
}

#[derive(Debug)]
struct Case {
    role: Role,
    caps: usize,
    closes_first: bool,
}

/// What became of the stream in the engine.
#[derive(Debug)]
struct Own {
    seen: Vec<Seen>,
    failed: Option<ProtocolError>,
    /// Without the close frame that reports an error.
    sent: Vec<Frame>,
}

/// What became of the stream in tungstenite.
#[derive(Debug)]
struct Theirs {
    seen: Vec<Seen>,
    /// The close code of its error.
    failed: Option<CloseCode>,
    sent: Vec<Frame>,
}

impl Case {
    fn own(&self, stream: &[u8], seed: Option<u8>) -> Own {
        static LIMITS: LazyLock<[Arc<Limits>; 2]> = LazyLock::new(|| {
            CAPS.map(|(message, frame)| {
                let limits = Limits::default().max_message(message).max_frame(frame);
                Arc::new(limits.max_fragments(usize::MAX).control_rate(1_000_000, u32::MAX))
            })
        });
        let mut peer = Endpoint::open(self.role, &LIMITS[self.caps]);
        if self.closes_first {
            peer.with(|connection, workspace| connection.close(CloseCode::NORMAL, "", workspace));
        }
        match seed {
            Some(seed) if seed % 2 == 1 => pieces(stream, seed).for_each(|one| peer.receive(one)),
            _ => peer.receive(stream),
        }
        let mut sent = peer.frames();
        let mut seen = mem::take(&mut peer.seen);
        let failed = match seen.last() {
            Some(Seen::Failed(PeerError::Protocol(error))) => Some(*error),
            _ => None,
        };
        if let Some(error) = failed {
            seen.pop();
            if !self.closes_first {
                let close = sent.pop().expect("a close frame that reports the error");
                assert_eq!(code(&close.payload), Some(error.close_code()));
            }
        }
        Own { seen, failed, sent }
    }

    fn theirs(&self, stream: &[u8]) -> Theirs {
        let (message, frame) = CAPS[self.caps];
        let config = WebSocketConfig::default()
            .read_buffer_size(1_024)
            .write_buffer_size(0)
            .max_message_size(Some(message))
            .max_frame_size(Some(frame));
        let role = match self.role {
            Role::Server => tungstenite::protocol::Role::Server,
            Role::Client => tungstenite::protocol::Role::Client,
        };
        let pipe = Pipe { input: stream, out: Vec::new() };
        let mut socket = WebSocket::from_raw_socket(pipe, role, Some(config));
        if self.closes_first {
            let normal = CloseFrame { code: TheirCode::Normal, reason: "".into() };
            socket.close(Some(normal)).expect("nothing is in the way of a close frame");
        }
        let mut seen = Vec::new();
        let failed = loop {
            match socket.read() {
                Ok(Message::Close(frame)) => {
                    seen.push(Seen::Close(payload(frame.as_ref())));
                    // A server of theirs says after it that the connection has ended.
                    let _ = socket.flush();
                    break None;
                }
                Ok(message) => seen.extend(as_seen(message)),
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break None,
                Err(Error::Protocol(_)) => break Some(CloseCode::PROTOCOL),
                Err(Error::Utf8(_)) => break Some(CloseCode::INVALID_PAYLOAD),
                Err(Error::Capacity(_)) => break Some(CloseCode::TOO_BIG),
                Err(error) => panic!("{error}"),
            }
        };
        let sent = frames_in(&socket.get_ref().out, other(self.role));
        Theirs { seen, failed, sent }
    }

    fn agree(&self, stream: &[u8], own: &Own, theirs: &Theirs) -> bool {
        let reported = theirs.seen.iter();
        let reported = reported.filter(|seen| !self.closes_first || matches!(seen, Seen::Close(_)));
        match (own.failed, theirs.failed) {
            // 1.
            (Some(_), _) if self.is_first_fault(stream, |frame| frame.is_not_shortest()) => {
                reported.zip(&own.seen).all(|(theirs, own)| theirs == own)
            }
            // 4.
            (Some(ProtocolError::InvalidCloseCode(refused)), None) => {
                let Some(Seen::Close(payload)) = theirs.seen.last() else { return false };
                let shown = if self.closes_first { CloseCode::new(refused) } else { PROTOCOL };
                code(payload) == Some(shown)
                    && same(reported.take(own.seen.len()), &own.seen)
                    && theirs.sent.last().is_some_and(|sent| sent.opcode == OpCode::Close)
            }
            (None, None) if is_bad_gateway(own.seen.last()) => {
                same(reported.take(own.seen.len() - 1), &own.seen[..own.seen.len() - 1])
                    && matches!(theirs.seen.last(), Some(Seen::Close(_)))
            }
            // 6.
            (None, Some(CloseCode::INVALID_PAYLOAD | CloseCode::TOO_BIG)) => self.closes_first,
            (Some(_), Some(CloseCode::INVALID_PAYLOAD | CloseCode::TOO_BIG))
                if self.closes_first =>
            {
                true
            }
            (one, other) => {
                self.is_same_code(stream, one, other)
                    && same(reported, &own.seen)
                    && same_answers(&own.sent, &theirs.sent)
            }
        }
    }

    fn is_same_code(
        &self,
        stream: &[u8],
        own: Option<ProtocolError>,
        theirs: Option<CloseCode>,
    ) -> bool {
        // 3.
        let of_several = match (own, theirs) {
            (Some(ProtocolError::InvalidCloseCode(_)), Some(CloseCode::INVALID_PAYLOAD)) => true,
            (Some(_), Some(CloseCode::TOO_BIG)) => {
                self.is_first_fault(stream, |frame| frame.len > CAPS[self.caps].1 as u64)
            }
            _ => false,
        };
        of_several || own.map(ProtocolError::close_code) == theirs
    }

    /// Whether the engine failed at the first frame that is as `fault` says, and not before.
    fn is_first_fault(&self, stream: &[u8], fault: impl Fn(&Header) -> bool) -> bool {
        let Some(at) = headers(stream).find(|(_, header)| fault(header)).map(|(at, _)| at) else {
            return false;
        };
        self.own(&stream[..at], None).failed.is_none()
    }

    /// Completes the last frame, as short as may be, unless it is too long (2).
    fn complete(&self, stream: &mut Cow<'_, [u8]>) {
        let Some((at, _)) = headers(stream).last() else { return };
        let frame = stream.to_mut();
        if frame.len() - at == 1 {
            frame.push(if self.role == Role::Server { 0x80 } else { 0 });
        }
        match (frame[at + 1] & 0x7F, frame.len() - at) {
            (126, 2) => frame.extend([0, 126]),
            (126, 3) => frame.push(if frame[at + 2] == 0 { 126 } else { 0 }),
            (127, len @ 2..10) => frame.resize(frame.len() - len + 10, 0xFF),
            _ => {}
        }
        let header = Header::read(&frame[at..]).expect("its length is there");
        let len = header.len.min(CAPS[self.caps].1 as u64) as usize;
        frame.resize(frame.len().max(at + header.size + len), 0);
    }
}

const PROTOCOL: CloseCode = CloseCode::PROTOCOL;

/// A frame's header, read as naively as can be.
struct Header {
    /// Bytes of the header when it is whole.
    size: usize,
    /// What the payload's length is said to be; 0 when it is not known.
    len: u64,
    extended: bool,
}

impl Header {
    /// `None` when the length is not there.
    fn read(frame: &[u8]) -> Option<Self> {
        let second = *frame.get(1)?;
        let (length_end, len) = match second & 0x7F {
            126 => (4, u16::from_be_bytes(frame.get(2..4)?.try_into().ok()?).into()),
            127 => (10, u64::from_be_bytes(frame.get(2..10)?.try_into().ok()?)),
            len => (2, len.into()),
        };
        let size = length_end + if second & 0x80 == 0 { 0 } else { 4 };
        Some(Self { size, len, extended: length_end > 2 })
    }

    fn is_not_shortest(&self) -> bool {
        let longest = if self.len > 0xFFFF { 14 } else { 8 };
        self.extended && (self.len < 126 || self.size > longest || self.len >> 63 == 1)
    }
}

/// Where the frames of `stream` begin, with their headers, as far as these are there.
fn headers(stream: &[u8]) -> impl Iterator<Item = (usize, Header)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let frame = stream.get(at..).filter(|frame| !frame.is_empty())?;
        let begin = at;
        let Some(header) = Header::read(frame) else {
            at = stream.len();
            return Some((begin, Header { size: 2, len: 0, extended: false }));
        };
        let end = header.len.saturating_add((at + header.size) as u64);
        at = usize::try_from(end).unwrap_or(usize::MAX);
        Some((begin, header))
    })
}

/// A pipe from which the input is read, and then nothing for now.
struct Pipe<'a> {
    input: &'a [u8],
    out: Vec<u8>,
}

impl Read for Pipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.input.read(buffer)
    }
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn as_seen(message: Message) -> Option<Seen> {
    Some(match message {
        Message::Text(text) => Seen::Message(OpCode::Text, text.as_bytes().to_vec()),
        Message::Binary(bytes) => Seen::Message(OpCode::Binary, bytes.to_vec()),
        Message::Ping(payload) => Seen::Ping(payload.to_vec()),
        Message::Pong(payload) => Seen::Pong(payload.to_vec()),
        Message::Close(_) | Message::Frame(_) => return None,
    })
}

/// The payload that a close frame of theirs had.
fn payload(frame: Option<&CloseFrame>) -> Vec<u8> {
    frame.map_or(Vec::new(), |frame| {
        [&u16::from(frame.code).to_be_bytes(), frame.reason.as_bytes()].concat()
    })
}

fn code(payload: &[u8]) -> Option<CloseCode> {
    payload.first_chunk().map(|code| CloseCode::new(u16::from_be_bytes(*code)))
}

fn is_bad_gateway(seen: Option<&Seen>) -> bool {
    matches!(seen, Some(Seen::Close(payload)) if code(payload) == Some(CloseCode::BAD_GATEWAY))
}

fn same<'a>(theirs: impl Iterator<Item = &'a Seen>, own: &[Seen]) -> bool {
    theirs.eq(own)
}

/// The same frames; of close frames the codes count (5).
fn same_answers(own: &[Frame], theirs: &[Frame]) -> bool {
    let is_same = |(own, theirs): (&Frame, &Frame)| match own.opcode {
        OpCode::Close => theirs.opcode == own.opcode && code(&own.payload) == code(&theirs.payload),
        _ => own == theirs,
    };
    own.len() == theirs.len() && own.iter().zip(theirs).all(is_same)
}

#[cfg(test)]
mod tests {
    use std::fs;

    #[test]
    fn the_seeds_give_the_same() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/seeds/differential");
        let seeds: Vec<_> = fs::read_dir(folder).expect("a folder").collect();
        assert!(seeds.len() >= 40, "{} seeds", seeds.len());
        for seed in seeds {
            let path = seed.expect("an entry").path();
            println!("{}", path.display());
            super::run(&fs::read(path).expect("a file"));
        }
    }
}
