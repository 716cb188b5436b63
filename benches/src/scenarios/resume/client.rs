//! One client: its connection, what it has, and what it misses.
//!
//! Clients speak those packets of Engine.IO 4 and Socket.IO 5 that resuming needs, so that they can
//! load Socket.IO servers. The engine's server for them (`servers/resume.rs`) speaks them, too.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::unsent::would_block;

const REQUEST: &[u8] = b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\n\
    Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// What all clients got and missed.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Clients that have everything.
    pub(super) current: usize,
    /// Clients that know the number of the last message.
    pub(super) concluded: usize,
    pub(super) received: u64,
    /// Messages that came again.
    pub(super) doubled: u64,
    /// Messages that did not come, and of which the client was informed.
    pub(super) lost: u64,
    /// Messages that did not come, without a word.
    pub(super) missing: u64,
    pub(super) drops: u64,
    /// Connections that failed otherwise.
    pub(super) failed: u64,
    /// From dialling until a client has all that it missed, in nanoseconds.
    pub(super) back: Vec<u64>,
}

/// How a client gets on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Away,
    Dialling,
    /// It does not know what it has missed.
    Open,
    /// This number of messages that it has missed are still to come.
    Behind(u64),
    /// It has everything.
    Current,
}

#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) topic: u64,
    /// What it says when it is new.
    first_command: &'static str,
    /// What the server said last besides what resuming needs.
    pub(super) answer: Option<String>,
    stream: Option<TcpStream>,
    phase: Phase,
    input: Vec<u8>,
    /// The number of the last message that it has, and the server's words for this position.
    last: Option<u64>,
    position: String,
    session: String,
    dialled: Option<Instant>,
}

impl Client {
    pub(super) fn new(topic: u64, first_command: &'static str) -> Self {
        Self { topic, first_command, ..Self::default() }
    }

    pub(super) fn is_current(&self) -> bool {
        self.phase == Phase::Current
    }

    pub(super) fn dial(
        &mut self,
        server: SocketAddr,
        token: Token,
        registry: &Registry,
    ) -> io::Result<()> {
        (self.phase, self.dialled) = (Phase::Dialling, Some(Instant::now()));
        let mut stream = TcpStream::connect(server)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        self.stream = Some(stream);
        self.input.clear();
        Ok(())
    }

    /// Cuts the connection, as a network does.
    pub(super) fn cut(&mut self, tally: &mut Tally) {
        tally.current -= usize::from(self.is_current());
        self.phase = Phase::Away;
        if let Some(stream) = self.stream.take() {
            // No port waits for late packets. If this fails, one does.
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
    }

    /// Resumes on the connection that it has, as one that lacks the last `back` messages.
    pub(super) fn resume(&mut self, back: u64, tally: &mut Tally) {
        tally.current -= usize::from(self.is_current());
        (self.phase, self.dialled) = (Phase::Open, Some(Instant::now()));
        if let (Some(last), Some((epoch, _))) = (&mut self.last, self.position.split_once(':')) {
            *last -= back;
            self.position = format!("{epoch}:{last}");
        }
        self.greet();
    }

    pub(super) fn command(&mut self, name: &str, arguments: &[u64]) {
        let arguments: String = arguments.iter().map(|number| format!(",{number}")).collect();
        self.send(TEXT, format!("42[\"{name}\"{arguments}]").as_bytes());
    }

    fn greet(&mut self) {
        let Self { session, position, topic, .. } = self;
        let auth = format!(r#"{{"pid":"{session}","offset":"{position}","topic":{topic}}}"#);
        self.send(TEXT, format!("40{auth}").as_bytes());
    }

    /// Sends a short frame, for which there is room. Its mask is zero.
    fn send(&mut self, opcode: u8, payload: &[u8]) {
        debug_assert!(payload.len() < 126);
        let head = [0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0];
        if let Some(stream) = &mut self.stream {
            // A failed connection is noticed at the next read.
            let _ = stream.write_all(&[&head, payload].concat());
        }
    }

    /// Sends the request once the connection is there, and handles what has come. `is_closed`: the
    /// end of the stream has come, too.
    pub(super) fn ready(
        &mut self,
        is_closed: bool,
        tally: &mut Tally,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        while let Some(stream) = &mut self.stream {
            if self.phase == Phase::Dialling {
                stream.set_nodelay(true)?;
                stream.write_all(REQUEST)?;
                self.phase = Phase::Open;
            }
            let count = match stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if would_block(&error) => return Ok(()),
                result => result?,
            };
            self.input.extend_from_slice(&buffer[..count]);
            self.take(tally);
            if count < buffer.len() && !is_closed {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes the response's head and whole frames out of the input.
    fn take(&mut self, tally: &mut Tally) {
        let mut input = std::mem::take(&mut self.input);
        let mut at = 0;
        while let Some((opcode, payload, len)) = frame(&input[at..]) {
            match opcode {
                TEXT => self.hear(std::str::from_utf8(payload).unwrap_or_default(), tally),
                PING => self.send(PONG, payload),
                _ => {}
            }
            at += len;
        }
        input.drain(..at);
        self.input = input;
    }

    fn hear(&mut self, text: &str, tally: &mut Tally) {
        if let Some((event, number, position)) = message(text) {
            position.clone_into(&mut self.position);
            match event {
                "message" => self.note(number, tally),
                _ => self.note_newest(number, tally),
            }
        } else if let Some(connected) = text.strip_prefix("40") {
            let session = field(connected, "\"pid\":\"").unwrap_or_default();
            let is_recovered = self.last.is_some() && self.session == session;
            session.clone_into(&mut self.session);
            // Socket.IO says this when all that was missed has come.
            let to_come = field(connected, "\"replayed\":\"").and_then(|count| count.parse().ok());
            match to_come.unwrap_or(0) {
                _ if !is_recovered => self.command(self.first_command, &[self.topic]),
                0 => self.catch_up(tally),
                count => self.phase = Phase::Behind(count),
            }
        } else if text.starts_with('0') {
            self.greet();
        } else if text == "2" {
            self.send(TEXT, b"3");
        } else {
            self.answer = Some(text.to_owned());
        }
    }

    fn note(&mut self, number: u64, tally: &mut Tally) {
        let last = *self.last.get_or_insert(number - 1);
        if number <= last {
            tally.doubled += 1;
            return;
        }
        tally.received += 1;
        tally.missing += number - last - 1;
        self.last = Some(number);
        match self.phase {
            Phase::Behind(1) => self.catch_up(tally),
            Phase::Behind(count) => self.phase = Phase::Behind(count - 1),
            _ => {}
        }
    }

    /// All messages up to this one have come, or do not come.
    fn note_newest(&mut self, number: u64, tally: &mut Tally) {
        let last = self.last.replace(number);
        let behind = number.saturating_sub(last.unwrap_or(number));
        if self.is_current() {
            tally.missing += behind;
            tally.concluded += 1;
        } else {
            tally.lost += behind;
            self.catch_up(tally);
        }
    }

    fn catch_up(&mut self, tally: &mut Tally) {
        tally.current += 1;
        self.phase = Phase::Current;
        tally.back.extend(self.dialled.map(|dialled| dialled.elapsed().as_nanos() as u64));
    }
}

const TEXT: u8 = 1;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The opcode and the payload of the server's first frame, and its length. The head of its response
/// is a frame without an opcode. `None` if it is not whole.
fn frame(input: &[u8]) -> Option<(u8, &[u8], usize)> {
    if input.starts_with(b"HTTP") {
        let end = input.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        return Some((0, &[], end + 4));
    }
    let (head, len) = match *input.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes([*input.get(2)?, *input.get(3)?]))),
        len => (2, usize::from(len)),
    };
    Some((input[0] & 0x0f, input.get(head..head + len)?, head + len))
}

/// The event, the number and the position of `42["EVENT",NUMBER,…,"POSITION"]`.
fn message(text: &str) -> Option<(&str, u64, &str)> {
    let (event, rest) = text.strip_prefix("42[\"")?.split_once("\",")?;
    let number = rest.split([',', ']']).next()?.parse().ok()?;
    let position = rest.strip_suffix("\"]").and_then(|rest| rest.rsplit('"').next());
    Some((event, number, position.unwrap_or_default()))
}

/// What stands in `json` after `name`, up to a quotation mark.
fn field<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    json.split_once(name)?.1.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_knows_what_it_misses() {
        let (mut client, mut tally) = (Client::default(), Tally::default());
        for (text, phase) in [
            (r#"40{"sid":"a","pid":"b"}"#, Phase::Away),
            (r#"42["at",7,"o"]"#, Phase::Current),
            (r#"42["message",8,"xx","p"]"#, Phase::Current),
            (r#"42["message",8,"xx","p"]"#, Phase::Current),
            ("cut", Phase::Away),
            (r#"40{"pid":"b","replayed":"2"}"#, Phase::Behind(2)),
            (r#"42["message",11,"xx","q"]"#, Phase::Behind(1)),
            (r#"42["message",12,"xx","r"]"#, Phase::Current),
            (r#"42["at",13]"#, Phase::Current),
        ] {
            match text {
                "cut" => client.cut(&mut tally),
                text => client.hear(text, &mut tally),
            }
            assert_eq!(client.phase, phase, "{text}");
        }
        assert_eq!((tally.received, tally.doubled, tally.missing, tally.lost), (3, 1, 3, 0));
        assert_eq!((tally.concluded, tally.current), (1, 1));
    }
}
