//! The load: connections that each have the same number of requests in flight.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::servers::PAGE;
use crate::compare::process::Server;
use crate::error::Error;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// A server that is silent for so long has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Events of one wait.
const EVENTS: usize = 256;

/// The size of a load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) connections: usize,
    /// Requests that each connection has in flight.
    pub(super) depth: usize,
    pub(super) warm_up: Duration,
    pub(super) measured: Duration,
}

/// What one server has come to in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) requests_per_second: f64,
    /// The server's CPU time for a request.
    pub(crate) cpu_ns: f64,
}

#[derive(Debug)]
struct Client {
    stream: TcpStream,
    /// Bytes of the responses that are still to come.
    missing: usize,
}

impl Load {
    /// Loads the server and measures.
    pub(super) fn run(self, server: &Server) -> Result<Round, Error> {
        let target = server.target();
        let address = SocketAddr::new(target.host.parse().map_err(unreadable)?, target.port);
        let mut running = Running::start(self, address).map_err(failed())?;
        running.run_for(self.warm_up).map_err(failed())?;
        let cpu = || server.cpu().and_then(|cpu| cpu.time()).ok_or_else(no_cpu_time);
        let (before, start) = (cpu()?, Instant::now());
        let count = running.run_for(self.measured).map_err(failed())? as f64;
        let (spent, elapsed) = (cpu()?.saturating_sub(before), start.elapsed());
        Ok(Round {
            requests_per_second: count / elapsed.as_secs_f64(),
            cpu_ns: spent.as_nanos() as f64 / count,
        })
    }
}

fn failed() -> impl FnOnce(io::Error) -> Error {
    Error::system("the load failed")
}

fn unreadable(_: std::net::AddrParseError) -> Error {
    Error::Settings("the server's address is not one".to_owned())
}

fn no_cpu_time() -> Error {
    Error::Settings("the server's CPU time cannot be read".to_owned())
}

/// A load that runs.
struct Running {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    /// The requests that a client sends at a time.
    requests: Vec<u8>,
    /// The length of the responses to them.
    responses: usize,
    depth: usize,
    buffer: Vec<u8>,
}

impl Running {
    fn start(load: Load, address: SocketAddr) -> io::Result<Self> {
        let poll = Poll::new()?;
        let responses = response_len(address)? * load.depth;
        let requests = REQUEST.repeat(load.depth);
        let mut clients = Vec::new();
        for index in 0..load.connections {
            let stream = std::net::TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
            clients.push(Client { stream, missing: responses });
        }
        let mut running = Self {
            poll,
            events: Events::with_capacity(EVENTS),
            clients,
            requests,
            responses,
            depth: load.depth,
            buffer: vec![0; 64 * 1024],
        };
        for client in &mut running.clients {
            send(&mut client.stream, &running.requests)?;
        }
        Ok(running)
    }

    /// Runs for that time. Returns how many requests were answered.
    fn run_for(&mut self, time: Duration) -> io::Result<usize> {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < time {
            self.poll.poll(&mut self.events, Some(PATIENCE))?;
            if self.events.is_empty() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            for event in &self.events {
                let client = &mut self.clients[event.token().0];
                if client.receive(&mut self.buffer, self.responses)? {
                    count += self.depth;
                    send(&mut client.stream, &self.requests)?;
                }
            }
        }
        Ok(count)
    }
}

impl Client {
    /// Receives what there is. Returns whether all responses have come.
    fn receive(&mut self, buffer: &mut [u8], responses: usize) -> io::Result<bool> {
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            self.missing = self.missing.checked_sub(count).ok_or(io::ErrorKind::InvalidData)?;
            if self.missing == 0 {
                self.missing = responses;
                let ends_well = buffer[..count].ends_with(&PAGE.as_bytes()[PAGE.len() - 1..]);
                return if ends_well { Ok(true) } else { Err(io::ErrorKind::InvalidData.into()) };
            }
        }
    }
}

/// Sends the requests. There is room for them, since all responses before have come.
fn send(stream: &mut TcpStream, mut requests: &[u8]) -> io::Result<()> {
    while !requests.is_empty() {
        match stream.write(requests) {
            Ok(sent) => requests = &requests[sent..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How long the response to one request is: the same for each, since only its date changes.
fn response_len(address: SocketAddr) -> io::Result<usize> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(REQUEST)?;
    let mut response = Vec::new();
    let mut byte = [0];
    while !response.ends_with(PAGE.as_bytes()) {
        stream.read_exact(&mut byte)?;
        response.extend(byte);
    }
    Ok(response.len())
}
