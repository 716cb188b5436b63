//! One client: its connection, what it remembers, and whether it misses anything.

use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::dialect::{Dialect, Memory, Said};
use crate::freshness::frame;
use crate::load::{Latencies, no_latencies};
use crate::unsent::{Unsent, would_block};

/// What all clients got and missed.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Messages that were broadcast to clients since they first subscribed.
    pub(crate) expected: u64,
    pub(crate) received: u64,
    /// Messages that came again.
    pub(crate) doubled: u64,
    /// Messages that did not come, and of which the client was informed.
    pub(crate) lost: u64,
    /// Messages that did not come, without a word.
    pub(crate) missing: u64,
    pub(crate) drops: u64,
    /// Connections that failed otherwise.
    pub(crate) failed: u64,
    /// From dialling until a client has all that it missed, in nanoseconds.
    pub(crate) back: Latencies,
}

/// How a client gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Away,
    Dialling,
    /// It does not know what it has missed.
    Open,
    /// So many messages that it has missed are still to come.
    Behind(u64),
    /// It has everything.
    Current,
    /// It knows the number of the last message.
    Concluded,
}

#[derive(Debug)]
pub(super) struct Client {
    stream: Option<TcpStream>,
    state: State,
    input: Vec<u8>,
    unsent: Unsent,
    topic: usize,
    pub(super) memory: Memory,
    /// The number of the newest message when it first subscribed.
    first: Option<u64>,
    dialled: Instant,
}

/// How clients reach their server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) dialect: Dialect,
    pub(super) request: Vec<u8>,
    /// The command of a client that is new.
    pub(super) first_command: &'static str,
}

impl Tally {
    pub(super) fn new() -> Self {
        let (expected, received, doubled, lost, missing) = (0, 0, 0, 0, 0);
        let back = no_latencies();
        Self { expected, received, doubled, lost, missing, drops: 0, failed: 0, back }
    }
}

impl Client {
    pub(super) fn new(topic: usize) -> Self {
        Self {
            stream: None,
            state: State::Away,
            input: Vec::new(),
            unsent: Unsent::default(),
            topic,
            memory: Memory::default(),
            first: None,
            dialled: Instant::now(),
        }
    }

    pub(super) fn is_current(&self) -> bool {
        matches!(self.state, State::Current | State::Concluded)
    }

    pub(super) fn is_concluded(&self) -> bool {
        self.state == State::Concluded
    }

    pub(super) fn dial(
        &mut self,
        token: Token,
        server: &Server,
        registry: &Registry,
    ) -> io::Result<()> {
        let mut stream = TcpStream::connect(server.address)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        self.stream = Some(stream);
        self.state = State::Dialling;
        self.dialled = Instant::now();
        self.input.clear();
        self.unsent = Unsent::default();
        Ok(())
    }

    /// Cuts the connection, as a network does. Returns whether there was one.
    pub(super) fn drop_connection(&mut self) -> bool {
        let Some(stream) = self.stream.take() else {
            return false;
        };
        // No port waits for late packets. If this fails, one does.
        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        self.state = State::Away;
        true
    }

    /// Resumes on the connection that it has.
    pub(super) fn resume(&mut self, server: &Server) -> io::Result<()> {
        self.state = State::Open;
        self.dialled = Instant::now();
        self.greet(server)
    }

    pub(super) fn command(
        &mut self,
        name: &str,
        arguments: &[u64],
        server: &Server,
    ) -> io::Result<()> {
        self.say(&server.dialect.command(name, arguments))
    }

    /// Asks for the number of the last message: then everything has come.
    pub(super) fn conclude(&mut self, server: &Server) -> io::Result<()> {
        self.command("where", &[self.topic as u64], server)
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        self.unsent.send(stream, &text_frame(text))
    }

    fn greet(&mut self, server: &Server) -> io::Result<()> {
        let text = match (self.memory.last, server.dialect) {
            (Some(last), dialect) => dialect.resume(&self.memory, self.topic, last),
            (None, Dialect::SocketIo) => "40".to_owned(),
            (None, dialect) => dialect.command(server.first_command, &[self.topic as u64]),
        };
        self.say(&text)
    }

    /// The connection is established, or takes more output.
    pub(super) fn write(&mut self, server: &Server) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        if self.state == State::Dialling {
            match stream.peer_addr() {
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(()),
                outcome => outcome?,
            };
            stream.set_nodelay(true)?;
            self.unsent.send(stream, &server.request)?;
            self.state = State::Open;
        }
        self.unsent.flush(stream).map(drop)
    }

    /// Reads what is there.
    pub(super) fn read(
        &mut self,
        server: &Server,
        tally: &mut Tally,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        while let Some(stream) = &mut self.stream {
            match stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.input.extend_from_slice(&buffer[..count]);
                    self.take(server, tally)?;
                    if count < buffer.len() {
                        break;
                    }
                }
                Err(error) if would_block(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes whole messages out of the input.
    fn take(&mut self, server: &Server, tally: &mut Tally) -> io::Result<()> {
        let mut input = std::mem::take(&mut self.input);
        let mut at = 0;
        if input.starts_with(b"HTTP") {
            let Some(end) = input.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
                self.input = input;
                return Ok(());
            };
            at = end + 4;
            if server.dialect.greets_first() {
                self.greet(server)?;
            }
        }
        while let Some((payload, len)) = frame(&input[at..]) {
            let is_text = input[at] & 0x0f == 1;
            at += len;
            let text = std::str::from_utf8(payload).ok().filter(|_| is_text);
            if let Some(text) = text {
                let said = server.dialect.read(text, &mut self.memory);
                self.handle(said, server, tally)?;
            }
        }
        input.drain(..at);
        self.input = input;
        Ok(())
    }

    fn handle(&mut self, said: Said, server: &Server, tally: &mut Tally) -> io::Result<()> {
        match said {
            Said::Message(number) => self.note(number, tally),
            Said::At(number) => self.note_newest(number, tally),
            Said::Recovered(0) => self.catch_up(tally),
            Said::Recovered(count) => self.state = State::Behind(count),
            Said::Welcome => return self.greet(server),
            Said::Unknown => return self.command("join", &[self.topic as u64], server),
            Said::Ping => return self.say("3"),
            Said::Nothing => {}
        }
        Ok(())
    }

    fn note(&mut self, number: u64, tally: &mut Tally) {
        let last = *self.memory.last.get_or_insert(number - 1);
        if number <= last {
            tally.doubled += 1;
            return;
        }
        tally.received += 1;
        tally.missing += number - last - 1;
        self.memory.last = Some(number);
        match self.state {
            State::Behind(1) => self.catch_up(tally),
            State::Behind(count) => self.state = State::Behind(count - 1),
            _ => {}
        }
    }

    /// All messages up to this one have come, or do not come.
    fn note_newest(&mut self, number: u64, tally: &mut Tally) {
        let last = self.memory.last.replace(number);
        let first = *self.first.get_or_insert(number);
        let behind = number.saturating_sub(last.unwrap_or(number));
        if self.state == State::Current {
            tally.missing += behind;
            tally.expected += number - first;
            self.state = State::Concluded;
        } else {
            tally.lost += behind;
            self.catch_up(tally);
        }
    }

    fn catch_up(&mut self, tally: &mut Tally) {
        self.state = State::Current;
        tally.back.saturating_record(self.dialled.elapsed().as_nanos() as u64);
    }
}

/// A whole text message. Its mask is zero: that of a client whose bytes no cache sees.
pub(super) fn text_frame(text: &str) -> Vec<u8> {
    let len = text.len();
    let mut frame = match u8::try_from(len).ok().filter(|len| *len < 126) {
        Some(len) => vec![0x81, 0x80 | len],
        None => vec![0x81, 0x80 | 126, (len >> 8) as u8, len as u8],
    };
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}
