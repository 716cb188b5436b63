//! The loop of both floors: only mio, a slab of connections, and one receive buffer.
//!
//! One `recv` for each readiness of a connection, edge-triggered, into the one buffer. A connection
//! keeps only input that is not whole.

use std::io::{self, Read};
use std::mem;
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
use crate::service::{ReadyLine, ServiceConfig};
use crate::unsent::{Unsent, would_block};

const WAKER: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);
/// The listener's backlog: the same as the engine's.
const BACKLOG: i32 = 4096;
/// A connection with more unsent output than this, in bytes, is closed.
const UNSENT_MAX: usize = 64 * 1024 * 1024;

/// A floor's protocol.
pub(super) trait Floor {
    /// The minimum length of the receive buffer.
    const BUFFER: usize;

    /// Whether a new connection gets broadcasts at once.
    fn subscribes(&self) -> bool;

    /// Serves the first `filled` bytes of the buffer, which the connection `key` has sent. An error
    /// ends the connection. Returns what is not whole, which it has moved to the buffer's front.
    fn serve(
        &mut self,
        peers: &mut Peers,
        key: usize,
        buffer: &mut [u8],
        filled: usize,
    ) -> io::Result<Rest>;
}

/// Input that is not whole.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    pub(super) filled: usize,
    /// The length of the whole, as far as it is known.
    pub(super) need: usize,
}

/// All connections, by token.
pub(super) type Peers = Slab<Peer>;

/// One connection.
#[derive(Debug)]
pub(super) struct Peer {
    /// Whether its opening handshake is over, or without one its first message has come.
    pub(super) is_open: bool,
    /// Whether it gets broadcasts. Otherwise it gets its own messages.
    pub(super) is_subscribed: bool,
    stream: TcpStream,
    unsent: Unsent,
    kept: Option<Box<Kept>>,
}

/// Input that a connection keeps: a copy, or for a long message the buffer itself.
#[derive(Debug)]
struct Kept {
    bytes: Vec<u8>,
    rest: Rest,
}

impl Peer {
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.unsent.send(&mut self.stream, bytes)?;
        if self.unsent.len() > UNSENT_MAX {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(())
    }
}

/// Sends to all subscribed connections. A failed one is noticed at its next read.
pub(super) fn send_to_all(peers: &mut Peers, bytes: &[u8]) {
    for (_, peer) in peers.iter_mut() {
        if peer.is_subscribed && peer.send(bytes).is_err() {
            let _ = peer.stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// Serves until it is stopped. Runs on the server's own thread.
pub(super) fn run<F: Floor>(
    config: &ServiceConfig,
    ready: ReadyLine,
    floor: F,
) -> Result<(), Error> {
    let cannot_listen = format!("cannot listen on {}", config.address);
    let (listener, address) =
        listen(&config.address).map_err(Error::system(cannot_listen.as_str()))?;
    let listener = TcpListener::from_std(listener);
    let mut bare = Loop::new(floor, listener).map_err(Error::system(cannot_listen))?;
    let stopping = Arc::new(AtomicBool::new(false));
    let (stop, waker) = (Arc::clone(&stopping), Arc::clone(&bare.waker));
    let stop = move || {
        stop.store(true, Ordering::Release);
        // This fails only if the loop is gone, and then needs no wake.
        let _ = waker.wake();
    };
    ready.listening(address, Box::new(stop));
    let idler = Idler::new(config.idle);
    bare.run(idler, &stopping).map_err(Error::system("the floor's loop failed"))
}

/// A non-blocking listener with the engine's backlog, and its address.
pub(super) fn listen(address: &str) -> io::Result<(std::net::TcpListener, SocketAddr)> {
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "no such address");
    for address in address.to_socket_addrs()? {
        match listen_on(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen_on(address: SocketAddr) -> io::Result<(std::net::TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = std::net::TcpListener::from(socket);
    let address = listener.local_addr()?;
    Ok((listener, address))
}

struct Loop<F: Floor> {
    floor: F,
    poll: Poll,
    waker: Arc<Waker>,
    listener: TcpListener,
    peers: Peers,
    /// The receive buffer of all connections. Grows for longer messages.
    buffer: Vec<u8>,
    /// Buffers that are not in use.
    spare: Vec<Vec<u8>>,
}

/// Spare bytes at the end of the buffer, so that a floor can read words without checks.
pub(super) const SLACK: usize = 16;

impl<F: Floor> Loop<F> {
    fn new(floor: F, mut listener: TcpListener) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let (peers, buffer, spare) = (Slab::new(), vec![0; F::BUFFER], Vec::new());
        Ok(Self { floor, poll, waker, listener, peers, buffer, spare })
    }

    fn run(&mut self, mut idler: Idler, stopping: &AtomicBool) -> io::Result<()> {
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
                    Token(key) => {
                        if self.turn(key, event).is_err() {
                            self.peers.try_remove(key);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Accepts every pending connection. Any error ends this batch: none is pending, one connection
    /// failed, or no file descriptor is free.
    fn accept(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let slot = self.peers.vacant_entry();
            let both = Interest::READABLE | Interest::WRITABLE;
            let token = Token(slot.key());
            if self.poll.registry().register(&mut stream, token, both).is_ok() {
                let (is_subscribed, unsent) = (self.floor.subscribes(), Unsent::default());
                slot.insert(Peer { is_open: false, is_subscribed, stream, unsent, kept: None });
            }
        }
    }

    /// Serves one ready connection. An error ends the connection.
    fn turn(&mut self, key: usize, event: &Event) -> io::Result<()> {
        let Some(peer) = self.peers.get_mut(key) else {
            return Ok(());
        };
        let paused = !peer.unsent.is_empty();
        if !peer.unsent.flush(&mut peer.stream)? || !(event.is_readable() || paused) {
            return Ok(());
        }
        let mut rest = match peer.kept.take() {
            None => Rest::default(),
            Some(kept) => self.restore(*kept),
        };
        while let Some(peer) = self.peers.get_mut(key) {
            if rest.need > self.buffer.len() - SLACK {
                // Room for the message, and for some bytes after it.
                self.buffer.resize(rest.need + F::BUFFER, 0);
            }
            let room = self.buffer.len() - SLACK;
            let filled = match peer.stream.read(&mut self.buffer[rest.filled..room]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => rest.filled + length,
                Err(error) if would_block(&error) => break,
                Err(error) => return Err(error),
            };
            rest = self.floor.serve(&mut self.peers, key, &mut self.buffer, filled)?;
            // A short read has drained the socket, unless the end of the stream is still unread. A
            // peer that does not read is not read from.
            let drained = filled < room && !event.is_read_closed();
            if drained || self.peers.get(key).is_none_or(|peer| !peer.unsent.is_empty()) {
                break;
            }
        }
        if rest.filled > 0 {
            self.keep(key, rest);
        }
        Ok(())
    }

    /// Restores a connection's incomplete input.
    fn restore(&mut self, kept: Kept) -> Rest {
        if is_long::<F>(kept.rest) {
            self.spare.push(mem::replace(&mut self.buffer, kept.bytes));
        } else {
            self.buffer[..kept.rest.filled].copy_from_slice(&kept.bytes);
        }
        kept.rest
    }

    /// Keeps incomplete input until more arrives.
    fn keep(&mut self, key: usize, rest: Rest) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        let bytes = if is_long::<F>(rest) {
            let other = self.spare.pop().unwrap_or_else(|| vec![0; F::BUFFER]);
            mem::replace(&mut self.buffer, other)
        } else {
            self.buffer[..rest.filled].to_vec()
        };
        peer.kept = Some(Box::new(Kept { bytes, rest }));
    }
}

fn is_long<F: Floor>(rest: Rest) -> bool {
    rest.need > F::BUFFER - SLACK
}
