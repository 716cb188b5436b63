//! All sessions with their connections, on one thread.

use std::io::{self, ErrorKind, Read as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};
use socket2::SockRef;

use super::session::{MAIN, POSTS, Session, Transport, complaint};
use crate::error::Error;
use crate::machine;
use crate::target::Target;
use crate::unsent::{Unsent, would_block};

/// Events of one wait: few, so that the server has work while they are handled.
const EVENTS: usize = 16;
/// The longest wait. Only a load without a CPU of its own waits at all.
const WAIT_MAX: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Crowd {
    poll: Poll,
    events: Events,
    target: Target,
    address: SocketAddr,
    transport: Transport,
    /// `None` once it has failed.
    clients: Vec<Option<Client>>,
    pub(super) joined: usize,
    failed: usize,
    /// The first session that failed, and why.
    failure: (usize, String),
    buffer: Vec<u8>,
    wait: Duration,
}

#[derive(Debug)]
struct Client {
    session: Session,
    links: [Option<Link>; 2],
}

#[derive(Debug)]
struct Link {
    stream: TcpStream,
    unsent: Unsent,
}

impl Crowd {
    /// No sessions. `spins`: whether the load has a CPU of its own.
    pub(super) fn new(target: &Target, transport: Transport, spins: bool) -> Result<Self, Error> {
        let host = target.host.parse();
        let host = host.map_err(|_| Error::Settings("the server has no address".to_owned()))?;
        machine::raise_file_limit(u64::MAX);
        Ok(Self {
            poll: Poll::new().map_err(Error::system("cannot poll"))?,
            events: Events::with_capacity(EVENTS),
            target: target.clone(),
            address: SocketAddr::new(host, target.port),
            transport,
            clients: Vec::new(),
            joined: 0,
            failed: 0,
            failure: (0, String::new()),
            buffer: vec![0; 64 * 1024],
            wait: if spins { Duration::ZERO } else { WAIT_MAX },
        })
    }

    /// Lets more sessions join, `at_once` at a time, and returns when all have joined or failed, or
    /// when that has taken too long.
    pub(super) fn join(
        &mut self,
        count: usize,
        at_once: usize,
        patience: Duration,
    ) -> Result<(), Error> {
        let (start, wanted) = (Instant::now(), self.clients.len() + count);
        while self.joined + self.failed < wanted && start.elapsed() < patience {
            while self.clients.len() < wanted.min(self.joined + self.failed + at_once) {
                let session = Session::new(self.transport, &self.target);
                self.clients.push(Some(Client { session, links: [None, None] }));
                self.act(self.clients.len() - 1, |_, _| Ok(()));
            }
            if let Some((session, packet)) = self.turn()?.first() {
                return Err(unexpected(*session, packet));
            }
        }
        Ok(())
    }

    /// How many requests were sent again on other connections.
    pub(super) fn repeated(&self) -> usize {
        self.clients.iter().flatten().map(|client| client.session.repeated).sum()
    }

    /// Fails if a session has.
    pub(super) fn check(&self) -> Result<(), Error> {
        let (index, fault) = self.failure.clone();
        if self.failed == 0 { Ok(()) } else { Err(Error::Connection { index, fault }) }
    }

    /// Sends a packet of a session.
    pub(super) fn send(&mut self, index: usize, packet: &[u8]) {
        self.act(index, |client, _| {
            client.session.send(packet);
            Ok(())
        });
    }

    /// Handles what is ready. Returns the packets that were received, with their sessions.
    pub(super) fn turn(&mut self) -> Result<Vec<(usize, Vec<u8>)>, Error> {
        match self.poll.poll(&mut self.events, Some(self.wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => self.events.clear(),
            outcome => outcome.map_err(Error::system("cannot wait for sockets"))?,
        }
        let has_ended = |event: &Event| event.is_read_closed() || event.is_error();
        let ready = self.events.iter().map(|event| (event.token().0, has_ended(event)));
        let mut packets = Vec::new();
        for (token, has_ended) in ready.collect::<Vec<_>>() {
            let (index, side) = (token / 2, token % 2);
            self.act(index, |client, buffer| client.receive(side, has_ended, buffer));
            if let Some(client) = &mut self.clients[index] {
                packets.extend(client.session.packets.drain(..).map(|packet| (index, packet)));
            }
        }
        Ok(packets)
    }

    /// Lets a client act, sends its output, and counts whether it has joined or failed.
    fn act(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut Client, &mut [u8]) -> Result<(), String>,
    ) {
        let Some(client) = &mut self.clients[index] else { return };
        let had_joined = client.session.has_joined();
        let registry = self.poll.registry();
        let result = act(client, &mut self.buffer);
        let result = result.and_then(|()| {
            let sent = client.send_output(index, self.address, registry);
            sent.map_err(|error| error.to_string())
        });
        self.joined -= usize::from(had_joined);
        match result {
            Ok(()) => self.joined += usize::from(client.session.has_joined()),
            Err(reason) => {
                self.clients[index] = None;
                if self.failed == 0 {
                    self.failure = (index, reason);
                }
                self.failed += 1;
            }
        }
    }
}

impl Client {
    /// Handles readiness of one connection.
    fn receive(&mut self, side: usize, has_ended: bool, buffer: &mut [u8]) -> Result<(), String> {
        while let Some(link) = &mut self.links[side] {
            // If this fails, reading shows why.
            let _ = link.unsent.flush(&mut link.stream);
            let reason = match link.stream.read(buffer) {
                Ok(0) => "the server closed the connection".to_owned(),
                Ok(len) => {
                    self.session.receive(side, &buffer[..len])?;
                    if len == buffer.len() || has_ended {
                        continue;
                    }
                    return Ok(());
                }
                Err(error) if would_block(&error) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(()),
                Err(error) => error.to_string(),
            };
            self.links[side] = None;
            return self.session.disconnected(side, reason);
        }
        Ok(())
    }

    /// Sends the session's output, on new connections if necessary.
    fn send_output(
        &mut self,
        index: usize,
        address: SocketAddr,
        registry: &Registry,
    ) -> io::Result<()> {
        for side in [MAIN, POSTS] {
            let output = self.session.output(side);
            if output.is_empty() {
                continue;
            }
            let link = match &mut self.links[side] {
                Some(link) => link,
                none => none.insert(Link::dial(address, Token(2 * index + side), registry)?),
            };
            // If this fails, reading shows why.
            let _ = link.unsent.send(&mut link.stream, output);
            output.clear();
        }
        Ok(())
    }
}

impl Link {
    /// Begins to connect. What is sent meanwhile waits.
    fn dial(address: SocketAddr, token: Token, registry: &Registry) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, unsent: Unsent::default() })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // No port waits for late packets. If this fails, one does.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

/// The error for a packet that should not have come.
pub(super) fn unexpected(index: usize, packet: &[u8]) -> Error {
    Error::Connection { index, fault: complaint(packet) }
}
