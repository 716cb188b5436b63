//! Measures broadcasts to streams of server-sent events beside WebSockets of the same loop.

mod args;
mod server;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub(crate) use args::EventsStreamArgs;

use crate::error::Error;
use crate::machine::{self, CpuPair, CpuUse};
use crate::progress_bar;
use crate::report::events_stream::EventsStreamReport;

use server::Server;

/// Bytes of a message.
pub(crate) const MESSAGE_BYTES: usize = 128;

/// A loop that is silent for so long has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Open files that the program needs besides both ends of its connections.
const OTHER_FILES: usize = 64;

/// The number of rounds, and the length of the measurement of each kind in a round.
const FULL: (usize, Duration) = (9, Duration::from_millis(600));
const QUICK: (usize, Duration) = (1, Duration::from_millis(100));

/// What receives broadcasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    WebSocket,
    EventStream,
}

impl Kind {
    /// Its name in reports, and that of its topic.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "WebSockets",
            Self::EventStream => "event streams",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::WebSocket => "/ws",
            Self::EventStream => "/events",
        }
    }

    fn request(self) -> String {
        let headers = match self {
            Self::WebSocket => {
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            }
            Self::EventStream => "Accept: text/event-stream\r\n",
        };
        format!("GET {} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n", self.path())
    }

    /// How many bytes come before what the receiver knows of a message.
    const fn unknown_bytes(self) -> usize {
        match self {
            Self::WebSocket => 0,
            // The epoch of the topic.
            Self::EventStream => "id: 0123456789abcdef".len(),
        }
    }

    /// What the receiver knows of the message with this number.
    fn received(self, number: u64, message: &str) -> Vec<u8> {
        match self {
            // A text frame with an extended length.
            Self::WebSocket => [&[0x81, 126, 0, message.len() as u8], message.as_bytes()].concat(),
            Self::EventStream => format!(":{number}\ndata: {message}\n\n").into_bytes(),
        }
    }
}

/// The server's CPU time for a delivery to each kind, in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) web_socket_ns: f64,
    pub(crate) event_stream_ns: f64,
}

/// The connections of one kind.
struct Receivers {
    kind: Kind,
    streams: Vec<TcpStream>,
    message: String,
    /// How many messages were received.
    number: u64,
    buffer: Vec<u8>,
}

/// Measures both kinds in turns.
pub(crate) fn run(args: &EventsStreamArgs) -> Result<EventsStreamReport, Error> {
    let (rounds, measured) = if args.quick { QUICK } else { FULL };
    let files = 4 * args.connections + OTHER_FILES;
    if machine::raise_file_limit(files as u64) < files as u64 {
        let reason = format!("{files} open files are needed, and not so many are allowed");
        return Err(Error::Settings(reason));
    }
    let cpus = CpuPair::pick();
    let message = "x".repeat(MESSAGE_BYTES);
    let server = Server::start(message.clone(), cpus.map(|cpus| cpus.server))?;
    let connect = |kind| Receivers::connect(kind, args.connections, server.address(), &message);
    let mut web_sockets = connect(Kind::WebSocket).map_err(Error::system("cannot connect"))?;
    let mut event_streams = connect(Kind::EventStream).map_err(Error::system("cannot connect"))?;
    let bar = progress_bar(rounds as u64);
    let step = bar.clone();
    let before = CpuUse::now();
    let measure = move || {
        let mut results = Vec::new();
        for _ in 0..rounds {
            results.push(Round {
                web_socket_ns: web_sockets.measure(&server, measured)?,
                event_stream_ns: event_streams.measure(&server, measured)?,
            });
            step.inc(1);
        }
        server.stop()?;
        Ok(results)
    };
    let load_cpu = cpus.map(|cpus| cpus.load);
    let results = machine::run_on(load_cpu, measure)?;
    bar.finish_and_clear();
    let interference = CpuUse::now().zip(before).map(|(now, then)| now.interference_since(then));
    Ok(EventsStreamReport::new(args, cpus, &results, interference))
}

impl Receivers {
    fn connect(kind: Kind, count: usize, to: SocketAddr, message: &str) -> io::Result<Self> {
        let streams = (0..count).map(|_| open(kind, to)).collect::<io::Result<_>>()?;
        Ok(Self { kind, streams, message: message.to_owned(), number: 0, buffer: Vec::new() })
    }

    /// Broadcasts and receives for that time, after a tenth of it. Returns the nanoseconds of the
    /// server's CPU time for each delivery.
    fn measure(&mut self, server: &Server, time: Duration) -> Result<f64, Error> {
        self.broadcast_for(server, time / 10)?;
        let cpu = || {
            let unreadable = || Error::Settings("the CPU time cannot be read".to_owned());
            server.cpu().time().ok_or_else(unreadable)
        };
        let before = cpu()?;
        let count = self.broadcast_for(server, time)? as f64;
        Ok(cpu()?.saturating_sub(before).as_nanos() as f64 / count)
    }

    /// Returns the number of deliveries.
    fn broadcast_for(&mut self, server: &Server, time: Duration) -> Result<usize, Error> {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < time {
            server.broadcast(self.kind)?;
            self.receive().map_err(Error::system("a broadcast was not received"))?;
            count += self.streams.len();
        }
        Ok(count)
    }

    fn receive(&mut self) -> io::Result<()> {
        self.number += 1;
        let expected = self.kind.received(self.number, &self.message);
        self.buffer.resize(self.kind.unknown_bytes() + expected.len(), 0);
        for stream in &mut self.streams {
            stream.read_exact(&mut self.buffer)?;
            if !self.buffer.ends_with(&expected) {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(())
    }
}

/// Opens a connection and reads the head of the response.
fn open(kind: Kind, to: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(kind.request().as_bytes())?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(stream)
}
