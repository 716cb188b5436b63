//! A client that is subscribed to the topic, on a thread of its own.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::PATIENCE;
use crate::error::Error;
use crate::load::{Latencies, no_latencies};
use crate::worker::Worker;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The bytes at the beginning of each message: when it was broadcast, in nanoseconds.
pub(super) const STAMP_BYTES: usize = 8;

const BINARY: u8 = 0x82;

#[derive(Debug)]
pub(super) struct Subscriber {
    worker: Worker<Latencies>,
    stream: TcpStream,
}

impl Subscriber {
    /// Connects to a listener, whose loop does not have to run yet. Measures the messages that are
    /// broadcast `from` on, with stamps since `start`.
    pub(super) fn start(to: SocketAddr, start: Instant, from: Duration) -> Result<Self, Error> {
        let (stream, worker) = Worker::start("subscriber", None, move |ready| {
            let connect = || -> io::Result<(TcpStream, TcpStream)> {
                let mut stream = TcpStream::connect(to)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.write_all(REQUEST)?;
                Ok((stream.try_clone()?, stream))
            };
            let (other, mut stream) = connect().map_err(Error::system("cannot connect"))?;
            // The receiver is waiting, so this cannot fail.
            let _ = ready.send(other);
            let read = read_head(&mut stream).and_then(|()| read_all(&mut stream, start, from));
            read.map_err(Error::system("the subscriber cannot read"))
        })?;
        Ok(Self { worker, stream })
    }

    /// Ends the connection and returns what was measured.
    pub(super) fn finish(self) -> Result<Latencies, Error> {
        self.stream.shutdown(Shutdown::Both).map_err(Error::system("cannot end a connection"))?;
        self.worker.join()
    }
}

fn read_head(stream: &mut TcpStream) -> io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(())
}

/// Reads messages until the connection ends.
fn read_all(stream: &mut TcpStream, start: Instant, from: Duration) -> io::Result<Latencies> {
    let mut latencies = no_latencies();
    let mut reader = io::BufReader::new(stream);
    let mut payload = Vec::new();
    loop {
        let kind = match read_frame(&mut reader, &mut payload) {
            Ok(kind) => kind,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(latencies),
            Err(error) => return Err(error),
        };
        let Some(stamp) = payload.first_chunk::<STAMP_BYTES>().filter(|_| kind == BINARY) else {
            continue;
        };
        let made = Duration::from_nanos(u64::from_le_bytes(*stamp));
        if made >= from {
            latencies.saturating_record((start.elapsed() - made).as_nanos() as u64);
        }
    }
}

/// Reads a frame of a server, of 65,535 bytes at most. Returns its first byte.
fn read_frame(reader: &mut impl Read, payload: &mut Vec<u8>) -> io::Result<u8> {
    let mut head = [0; 2];
    reader.read_exact(&mut head)?;
    let len = match head[1] {
        126 => {
            let mut extended = [0; 2];
            reader.read_exact(&mut extended)?;
            usize::from(u16::from_be_bytes(extended))
        }
        len @ 0..126 => usize::from(len),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    payload.resize(len, 0);
    reader.read_exact(payload)?;
    Ok(head[0])
}
