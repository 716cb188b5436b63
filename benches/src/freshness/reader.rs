//! A slow reader that records the age of the updates it gets.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::FreshnessArgs;
use super::update::Update;
use super::{Case, Observed, PATIENCE};
use crate::error::Error;
use crate::load::no_latencies;

/// The pause between two reads.
const PAUSE: Duration = Duration::from_millis(5);

/// The key of RFC 6455 §1.3.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

pub(super) struct Reader {
    stream: TcpStream,
    /// Input that is not a whole frame.
    input: Vec<u8>,
    start: Instant,
    /// Updates are recorded from this time on.
    warm: Instant,
    next: Option<u64>,
    observed: Observed,
}

impl Reader {
    pub(super) fn connect(
        address: SocketAddr,
        case: Case,
        start: Instant,
        warm_up: Duration,
    ) -> Result<Self, Error> {
        let stream = dial(address, case.receive_buffer).map_err(Error::system("cannot connect"))?;
        Ok(Self {
            stream,
            input: Vec::new(),
            start,
            warm: Instant::now() + warm_up,
            next: None,
            observed: Observed::new(),
        })
    }

    /// Reads as fast as its rate allows, until this time.
    pub(super) fn run(mut self, args: &FreshnessArgs, end: Instant) -> Result<Observed, Error> {
        let begin = Instant::now();
        let (mut taken, mut buffer) = (0, vec![0; 64 * 1024]);
        while Instant::now() < end {
            let due = (begin.elapsed().as_secs_f64() * args.reader as f64) as usize;
            while taken < due {
                let room = (due - taken).min(buffer.len());
                match self.stream.read(&mut buffer[..room]) {
                    Ok(0) => return Err(Error::Events("the server has closed".to_owned())),
                    Ok(count) => {
                        taken += count;
                        self.input.extend_from_slice(&buffer[..count]);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(Error::system("cannot read")(error)),
                }
                self.note();
            }
            thread::sleep(PAUSE);
        }
        Ok(self.observed)
    }

    /// Takes the whole frames out of the input.
    fn note(&mut self) {
        let now = Instant::now();
        let is_warm = now >= self.warm;
        if is_warm {
            // The socket is valid: it was just read from.
            let waiting = rustix::io::ioctl_fionread(&self.stream).unwrap_or_default();
            self.observed.waiting.saturating_record(waiting);
        }
        let mut at = 0;
        while let Some((payload, len)) = frame(&self.input[at..]) {
            at += len;
            let Some(update) = Update::read(payload) else {
                continue;
            };
            let skipped = self.next.map_or(0, |next| update.number.saturating_sub(next));
            self.next = Some(update.number + 1);
            if is_warm {
                let age = (now - self.start).as_nanos() as u64;
                self.observed.age.saturating_record(age.saturating_sub(update.made));
                self.observed.received += 1;
                self.observed.skipped += skipped;
            }
        }
        self.input.drain(..at);
    }
}

impl Observed {
    fn new() -> Self {
        Self { age: no_latencies(), waiting: no_latencies(), received: 0, skipped: 0 }
    }
}

/// Opens a WebSocket, with a receive buffer of so many bytes if given. The system doubles it.
pub(crate) fn dial(
    address: SocketAddr,
    receive_buffer: Option<usize>,
) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.connect(&address.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(REQUEST)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(stream)
}

/// The payload of the first frame of a server, and the frame's length. `None` if it is not whole.
pub(crate) fn frame(input: &[u8]) -> Option<(&[u8], usize)> {
    let (header, len) = match (input.get(1)?, input.get(2..4)) {
        (126, Some(&[high, low])) => (4, usize::from(u16::from_be_bytes([high, low]))),
        (126, _) => return None,
        (len, _) => (2, usize::from(*len)),
    };
    Some((input.get(header..header + len)?, header + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_when_they_are_whole() {
        assert_eq!(frame(b"\x82\x03abc\x82"), Some((&b"abc"[..], 5)));
        assert_eq!(frame(b"\x82\x03ab"), None);
        assert_eq!(frame(b"\x82"), None);
        let long = [&[0x82, 126, 1, 0][..], &[7; 256]].concat();
        assert_eq!(frame(&long), Some((&[7; 256][..], 260)));
        assert_eq!(frame(&long[..3]), None);
        assert_eq!(frame(&long[..259]), None);
    }
}
