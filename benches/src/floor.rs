//! The floor: what the kernel and a plain mio loop take for the same traffic, without WebSocket.
//!
//! One `recv` and one `send` for each readiness of a connection, edge-triggered, nothing parsed
//! and nothing allocated: no server over TCP can do with less. TCP has no message boundaries, so
//! the floor passes on what one `recv` brings.

use std::io::{self, Read};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;
use socket2::{Domain, Protocol, Socket, Type};

use crate::error::Error;
use crate::idle::Idler;
use crate::service::{ReadyLine, Service, ServiceConfig};
use crate::unsent::{Unsent, would_block};

const WAKER: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);
/// Connections that wait to be accepted: as deep as the engine's.
const BACKLOG: i32 = 4096;
/// As long as the engine's receive buffer.
const BUFFER: usize = 64 * 1024;
/// A connection that lets more than this wait, in bytes, is closed.
const UNSENT_MAX: usize = 64 * 1024 * 1024;

/// Serves until it is stopped. Runs on the server's own thread.
pub(crate) fn run(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    let cannot_listen = format!("cannot listen on {}", config.address);
    let (listener, address) =
        listen(&config.address).map_err(Error::system(cannot_listen.as_str()))?;
    let mut floor = Floor::new(config.service, listener).map_err(Error::system(cannot_listen))?;
    let stopping = Arc::new(AtomicBool::new(false));
    let stop = {
        let stopping = Arc::clone(&stopping);
        let waker = Arc::clone(&floor.waker);
        move || {
            stopping.store(true, Ordering::Release);
            // Without a waker the loop would be gone, and with it the need to wake it.
            let _ = waker.wake();
        }
    };
    ready.listening(address, Box::new(stop));
    let idler = Idler::new(config.idle);
    floor.serve(idler, &stopping).map_err(Error::system("the floor's loop failed"))
}

fn listen(address: &str) -> io::Result<(TcpListener, SocketAddr)> {
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "no such address");
    for address in address.to_socket_addrs()? {
        match listen_on(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen_on(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into());
    let address = listener.local_addr()?;
    Ok((listener, address))
}

struct Floor {
    service: Service,
    poll: Poll,
    waker: Arc<Waker>,
    listener: TcpListener,
    peers: Slab<Peer>,
    buffer: Vec<u8>,
}

impl Floor {
    fn new(service: Service, mut listener: TcpListener) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let buffer = vec![0; BUFFER];
        Ok(Self { service, poll, waker, listener, peers: Slab::new(), buffer })
    }

    fn serve(&mut self, mut idler: Idler, stopping: &AtomicBool) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while !stopping.load(Ordering::Acquire) {
            let timeout = idler.timeout(!events.is_empty());
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            for event in &events {
                match event.token() {
                    WAKER => {}
                    LISTENER => self.accept(),
                    Token(key) => self.turn(key, event),
                }
            }
        }
        Ok(())
    }

    /// Takes every waiting connection. Whatever else `accept` says than that none waits concerns
    /// one connection, or files that ran out: both end this batch.
    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let slot = self.peers.vacant_entry();
            let token = Token(slot.key());
            let peer = slot.insert(Peer { stream, unsent: Unsent::default() });
            let both = Interest::READABLE | Interest::WRITABLE;
            if self.poll.registry().register(&mut peer.stream, token, both).is_err() {
                self.peers.remove(token.0);
            }
        }
    }

    fn turn(&mut self, key: usize, event: &Event) {
        let result = match self.service {
            Service::Echo => self.echo(key, event),
            Service::Broadcast => self.broadcast(key, event),
        };
        if result.is_err() {
            self.peers.try_remove(key);
        }
    }

    /// Sends back what arrived. An error is the end of the connection.
    fn echo(&mut self, key: usize, event: &Event) -> io::Result<()> {
        let Some(peer) = self.peers.get_mut(key) else {
            return Ok(());
        };
        let paused = !peer.unsent.is_empty();
        if !peer.flush()? || !(event.is_readable() || paused) {
            return Ok(());
        }
        loop {
            let length = match peer.stream.read(&mut self.buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => length,
                Err(error) if would_block(&error) => return Ok(()),
                Err(error) => return Err(error),
            };
            peer.send(&self.buffer[..length])?;
            // A short read has drained the socket, unless its end is to be noticed yet. A peer
            // that does not read is not read from either.
            let drained = length < self.buffer.len() && !event.is_read_closed();
            if drained || !peer.unsent.is_empty() {
                return Ok(());
            }
        }
    }

    /// Sends what arrived to all connections. An error is the end of the connection.
    fn broadcast(&mut self, key: usize, event: &Event) -> io::Result<()> {
        let Some(peer) = self.peers.get_mut(key) else {
            return Ok(());
        };
        peer.flush()?;
        if !event.is_readable() {
            return Ok(());
        }
        loop {
            let Some(peer) = self.peers.get_mut(key) else {
                return Ok(());
            };
            let length = match peer.stream.read(&mut self.buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => length,
                Err(error) if would_block(&error) => return Ok(()),
                Err(error) => return Err(error),
            };
            let bytes = &self.buffer[..length];
            self.peers.retain(|_, receiver| receiver.send(bytes).is_ok());
            if length < self.buffer.len() && !event.is_read_closed() {
                return Ok(());
            }
        }
    }
}

/// One connection.
struct Peer {
    stream: TcpStream,
    unsent: Unsent,
}

impl Peer {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.unsent.send(&mut self.stream, bytes)?;
        if self.unsent.len() > UNSENT_MAX {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<bool> {
        self.unsent.flush(&mut self.stream)
    }
}
