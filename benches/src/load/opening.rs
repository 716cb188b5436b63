//! Opening connections, any number at the same time.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::io::Errno;
use sha1::{Digest, Sha1};
use slab::Slab;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::schedule::WAIT_MAX;
use crate::error::Error;
use crate::target::{Target, Wire};
use crate::unsent::would_block;

/// Connections to one server that are being opened.
#[derive(Debug)]
pub(super) struct Openings {
    target: Target,
    address: SocketAddr,
    poll: Poll,
    events: Events,
    openings: Slab<Opening>,
    /// How many were begun. Makes their nonces differ, which is enough for a load.
    begun: u128,
}

/// The end of an opening.
#[derive(Debug)]
pub(super) struct Opened {
    /// When connecting began.
    pub(super) since: Instant,
    pub(super) result: Result<Open, Error>,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) stream: TcpStream,
    /// What the server sent right after its response.
    pub(super) early: Vec<u8>,
}

/// Connecting, then sending the request, then receiving the response. Raw TCP has no handshake.
#[derive(Debug)]
struct Opening {
    since: Instant,
    stream: TcpStream,
    is_connected: bool,
    /// The key of the handshake, if the wire has one.
    key: Option<String>,
    /// The unsent part of the request.
    request: Vec<u8>,
    response: Vec<u8>,
}

/// A server that answers nothing for this long has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// A longer response is refused, in bytes.
const RESPONSE_MAX: usize = 16 * 1024;
/// The GUID that a server appends to the key (RFC 6455 §1.3).
const ACCEPT_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// How many connections are made from one address: fewer than it has ports.
const FROM_ONE: usize = 20_000;

impl Openings {
    pub(super) fn new(target: &Target) -> Result<Self, Error> {
        let address = resolve(target).map_err(cannot_connect(target))?;
        let poll = Poll::new().map_err(cannot_connect(target))?;
        let (events, openings) = (Events::with_capacity(1024), Slab::new());
        Ok(Self { target: target.clone(), address, poll, events, openings, begun: 0 })
    }

    /// How many are in progress.
    pub(super) fn len(&self) -> usize {
        self.openings.len()
    }

    /// Begins another one. `index` of them are open or in progress.
    pub(super) fn begin(&mut self, index: usize) -> Result<(), Error> {
        self.try_begin(index).map_err(cannot_connect(&self.target))
    }

    fn try_begin(&mut self, index: usize) -> io::Result<()> {
        let since = Instant::now();
        let mut stream = connect(self.address, source(self.address.ip(), index))?;
        stream.set_nodelay(true)?;
        self.begun += 1;
        let nonce = self.begun.to_le_bytes();
        let key = (self.target.wire == Wire::WebSocket).then(|| STANDARD.encode(nonce));
        let request = key.as_deref().map_or_else(Vec::new, |key| request(&self.target, key));
        let slot = self.openings.vacant_entry();
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(slot.key()), both)?;
        let response = Vec::new();
        slot.insert(Opening { since, stream, is_connected: false, key, request, response });
        Ok(())
    }

    /// Waits for progress, and passes on those that have ended.
    pub(super) fn wait<F>(&mut self, timeout: Duration, mut ended: F) -> Result<(), Error>
    where
        F: FnMut(Opened),
    {
        wait(&mut self.poll, &mut self.events, timeout)?;
        for event in &self.events {
            let key = event.token().0;
            let Some(opening) = self.openings.get_mut(key) else {
                continue;
            };
            let Some(result) = opening.go_on(&self.target, event.is_readable()).transpose() else {
                continue;
            };
            let Opening { since, mut stream, .. } = self.openings.remove(key);
            let result = result.and_then(|early| {
                let left = self.poll.registry().deregister(&mut stream);
                left.map_err(cannot_connect(&self.target)).map(|()| Open { stream, early })
            });
            ended(Opened { since, result });
        }
        Ok(())
    }

    /// Opens one and waits for it, while no other is in progress.
    pub(super) fn open(&mut self, index: usize) -> Result<Open, Error> {
        let (start, mut opened) = (Instant::now(), None);
        self.begin(index)?;
        while opened.is_none() && start.elapsed() < PATIENCE {
            self.wait(WAIT_MAX, |one| opened = Some(one.result))?;
        }
        opened.unwrap_or_else(|| {
            let reason = format!("no answer within {} s", PATIENCE.as_secs());
            Err(Error::Handshake { target: self.target.to_string(), reason })
        })
    }
}

impl Opening {
    /// Makes as much progress as possible. If it is open, returns what came after the response.
    fn go_on(&mut self, target: &Target, is_readable: bool) -> Result<Option<Vec<u8>>, Error> {
        self.is_connected =
            self.is_connected || is_connected(&self.stream).map_err(cannot_connect(target))?;
        if !self.is_connected {
            return Ok(None);
        }
        let refused = |reason| Error::Handshake { target: target.to_string(), reason };
        self.shake_hands(is_readable).map_err(refused)
    }

    fn shake_hands(&mut self, is_readable: bool) -> Result<Option<Vec<u8>>, String> {
        while !self.request.is_empty() {
            match self.stream.write(&self.request) {
                Ok(length) => drop(self.request.drain(..length)),
                Err(error) if would_block(&error) => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        let Some(key) = &self.key else {
            return Ok(Some(Vec::new()));
        };
        if !is_readable {
            return Ok(None);
        }
        let mut chunk = [0; 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err("the server closed the connection".into()),
                Ok(length) => self.response.extend_from_slice(&chunk[..length]),
                Err(error) if would_block(&error) => return Ok(None),
                Err(error) => return Err(error.to_string()),
            }
            if let Some(length) = check_response(&self.response, key)? {
                return Ok(Some(self.response.split_off(length)));
            }
            if self.response.len() > RESPONSE_MAX {
                return Err(format!("the response head is over {RESPONSE_MAX} bytes"));
            }
        }
    }
}

/// Waits for the readiness of sockets.
pub(super) fn wait(poll: &mut Poll, events: &mut Events, timeout: Duration) -> Result<(), Error> {
    match poll.poll(events, Some(timeout)) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            events.clear();
            Ok(())
        }
        result => result.map_err(Error::system("cannot wait for sockets")),
    }
}

/// Ends a connection so that its port can be used again at once.
pub(super) fn reset(open: Open) -> Result<(), Error> {
    SockRef::from(&open.stream)
        .set_linger(Some(Duration::ZERO))
        .map_err(Error::system("cannot set how a socket closes"))
}

fn cannot_connect(target: &Target) -> impl FnOnce(io::Error) -> Error {
    Error::system(format!("cannot connect to {target}"))
}

/// The first address of the host that takes connections.
fn resolve(target: &Target) -> io::Result<SocketAddr> {
    let addresses = (target.host.as_str(), target.port).to_socket_addrs()?.collect::<Vec<_>>();
    if let &[only] = addresses.as_slice() {
        return Ok(only);
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in addresses {
        match std::net::TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Ok(address),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The local address of the connection of this index, if the system is not to choose it. One
/// loopback address does not have enough ports for all.
fn source(server: IpAddr, index: usize) -> Option<IpAddr> {
    let first = Ipv4Addr::LOCALHOST.to_bits() + (index / FROM_ONE) as u32;
    let is_local = matches!(server, IpAddr::V4(address) if address.is_loopback());
    (is_local && index >= FROM_ONE).then_some(IpAddr::V4(Ipv4Addr::from_bits(first)))
}

/// Begins to connect.
fn connect(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(source) = source else {
        return TcpStream::connect(address);
    };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        result => result.map(|_| true),
    }
}

/// A client's side of the opening handshake (RFC 6455 §4.1).
fn request(target: &Target, key: &str) -> Vec<u8> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n",
        target.path,
        target.authority(),
    );
    request.into_bytes()
}

/// The length of the response's head, once it is there. Checks what RFC 6455 §4.1 requires.
fn check_response(bytes: &[u8], key: &str) -> Result<Option<usize>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let head = response.parse(bytes).map_err(|error| format!("its head is not HTTP: {error}"))?;
    let httparse::Status::Complete(length) = head else {
        return Ok(None);
    };
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value))
    };
    let lists = |name: &str, token: &str| {
        let mut words = header(name).into_iter();
        words.any(|list| list.split(',').any(|word| word.trim().eq_ignore_ascii_case(token)))
    };
    let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_GUID).finalize();
    if response.version != Some(1) || response.code != Some(101) {
        let text = String::from_utf8_lossy(bytes);
        Err(format!("the server answered '{}'", text.lines().next().unwrap_or_default()))
    } else if !lists("Upgrade", "websocket") {
        Err("the response does not upgrade to websocket".into())
    } else if !lists("Connection", "upgrade") {
        Err("the response lacks 'Connection: Upgrade'".into())
    } else if header("Sec-WebSocket-Accept").as_deref() != Some(&STANDARD.encode(digest)) {
        Err("the Sec-WebSocket-Accept of the response is wrong".into())
    } else if let Some(extension) = header("Sec-WebSocket-Extensions") {
        Err(format!("the server chose an extension that was not offered: '{extension}'"))
    } else {
        Ok(Some(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_response_is_refused_with_its_reason() {
        // The example of RFC 6455 §1.3.
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let good = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\n\
            connection: keep-alive, Upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert_eq!(check_response(good.as_bytes(), key), Ok(Some(good.len())));
        assert_eq!(check_response(&good.as_bytes()[..good.len() - 1], key), Ok(None));
        for (from, to, reason) in [
            ("HTTP/1.1 101 Switching Protocols", "HTTP/1.1 403 Forbidden", "403 Forbidden"),
            ("HTTP/1.1", "ICY", "not HTTP"),
            ("upgrade: WebSocket", "upgrade: h2c", "does not upgrade"),
            ("keep-alive, Upgrade", "keep-alive", "Connection"),
            ("s3pP", "S3pP", "Sec-WebSocket-Accept"),
            ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x\r\n\r\n", "extension"),
        ] {
            let response = good.replacen(from, to, 1);
            let error = check_response(response.as_bytes(), key).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn no_address_is_the_source_of_more_connections_than_it_has_ports() {
        let local = Ipv4Addr::LOCALHOST.into();
        let address = |last| Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)));
        assert_eq!(source(local, FROM_ONE - 1), None);
        assert_eq!(source(local, FROM_ONE), address(2));
        assert_eq!(source(local, 99_999), address(5));
        assert_eq!(source(Ipv4Addr::new(10, 0, 0, 1).into(), FROM_ONE), None);
    }
}
