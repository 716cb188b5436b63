//! Concurrent opening handshakes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::SockRef;

use super::handshake::{check_response, request};
use crate::error::Error;
use crate::target::{Target, Wire};
use crate::unsent::would_block;

/// The handshakes in progress.
#[derive(Debug)]
pub(super) struct Openings {
    target: Target,
    address: SocketAddr,
    poll: Poll,
    events: Events,
    openings: Slab<Opening>,
    /// How many handshakes began. Makes their nonces differ, which is enough for a load.
    begun: u128,
}

/// A handshake that has ended.
#[derive(Debug)]
pub(super) struct Opened {
    /// When connecting began.
    pub(super) since: Instant,
    /// The connection, or the reason for the failure.
    pub(super) result: Result<TcpStream, String>,
}

#[derive(Debug)]
struct Opening {
    since: Instant,
    stream: TcpStream,
    key: String,
    /// The unsent part of the request.
    request: Vec<u8>,
    response: Vec<u8>,
}

/// A longer response is refused, in bytes.
const RESPONSE_MAX: usize = 16 * 1024;
const END: &[u8] = b"\r\n\r\n";

impl Openings {
    pub(super) fn new(target: &Target) -> Result<Self, Error> {
        let cannot_connect = || format!("cannot connect to {target}");
        if target.wire != Wire::WebSocket {
            let reason = "raw TCP has no opening handshake to measure";
            return Err(Error::Settings(reason.to_owned()));
        }
        let address = (target.host.as_str(), target.port)
            .to_socket_addrs()
            .and_then(|mut all| all.next().ok_or_else(|| io::ErrorKind::NotFound.into()))
            .map_err(Error::system(cannot_connect()))?;
        let poll = Poll::new().map_err(Error::system(cannot_connect()))?;
        let events = Events::with_capacity(1024);
        let openings = Slab::new();
        Ok(Self { target: target.clone(), address, poll, events, openings, begun: 0 })
    }

    /// How many are in progress.
    pub(super) fn len(&self) -> usize {
        self.openings.len()
    }

    /// Begins another one.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        let cannot_connect = format!("cannot connect to {}", self.target);
        self.try_begin().map_err(Error::system(cannot_connect))
    }

    fn try_begin(&mut self) -> io::Result<()> {
        let since = Instant::now();
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        self.begun += 1;
        let key = STANDARD.encode(self.begun.to_le_bytes());
        let request = request(&self.target, &key).into_bytes();
        let slot = self.openings.vacant_entry();
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(slot.key()), both)?;
        slot.insert(Opening { since, stream, key, request, response: Vec::new() });
        Ok(())
    }

    /// Waits for progress, and passes on the handshakes that have ended.
    pub(super) fn wait<F>(&mut self, timeout: Duration, mut ended: F) -> Result<(), Error>
    where
        F: FnMut(Opened),
    {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            result => result.map_err(Error::system("cannot wait for sockets"))?,
        }
        for event in &self.events {
            let key = event.token().0;
            let Some(opening) = self.openings.get_mut(key) else {
                continue;
            };
            let result = match opening.go_on() {
                Ok(false) => continue,
                Ok(true) => Ok(()),
                Err(reason) => Err(reason),
            };
            let Opening { since, mut stream, .. } = self.openings.remove(key);
            let result = result.and_then(|()| {
                self.poll.registry().deregister(&mut stream).map_err(|error| error.to_string())
            });
            ended(Opened { since, result: result.map(|()| stream) });
        }
        Ok(())
    }
}

impl Opening {
    /// Makes as much progress as possible. Returns whether the handshake succeeded.
    fn go_on(&mut self) -> Result<bool, String> {
        if !self.request.is_empty() {
            if let Some(error) = self.stream.take_error().map_err(|error| error.to_string())? {
                return Err(error.to_string());
            }
            match self.stream.write(&self.request) {
                Ok(length) => drop(self.request.drain(..length)),
                Err(error) if not_yet(&error) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        let mut chunk = [0; 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err("the server closed the connection".into()),
                Ok(length) => self.response.extend_from_slice(&chunk[..length]),
                Err(error) if not_yet(&error) => return Ok(false),
                Err(error) => return Err(error.to_string()),
            }
            if let Some(at) = self.response.windows(END.len()).position(|window| window == END) {
                let head = std::str::from_utf8(&self.response[..at + END.len()])
                    .map_err(|_| "the response is not HTTP")?;
                return check_response(head, &self.key).map(|()| true);
            }
            if self.response.len() > RESPONSE_MAX {
                return Err(format!("the response head is over {RESPONSE_MAX} bytes"));
            }
        }
    }
}

/// Ends a connection so that its port can be used again at once.
pub(super) fn reset(stream: &TcpStream) -> Result<(), Error> {
    SockRef::from(stream)
        .set_linger(Some(Duration::ZERO))
        .map_err(Error::system("cannot set how a socket closes"))
}

/// Whether the call would block, or the socket is not connected yet.
fn not_yet(error: &io::Error) -> bool {
    would_block(error) || error.kind() == io::ErrorKind::NotConnected
}
