//! The loop of both floors: only mio and a slab of connections.

use std::io;
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
use crate::unsent::Unsent;

const WAKER: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);
/// The listener's backlog: the same as the engine's.
const BACKLOG: i32 = 4096;
/// A connection with more unsent output than this, in bytes, is closed.
const UNSENT_MAX: usize = 64 * 1024 * 1024;

/// A floor's handling of its connections.
pub(super) trait Floor {
    /// The state of a connection, besides its socket and unsent output.
    type State: Default;

    /// Serves one ready connection. An error ends the connection.
    fn turn(&mut self, peers: &mut Peers<Self::State>, key: usize, event: &Event)
    -> io::Result<()>;
}

/// All connections, by token.
pub(super) type Peers<T> = Slab<Peer<T>>;

/// One connection.
#[derive(Debug)]
pub(super) struct Peer<T> {
    pub(super) stream: TcpStream,
    pub(super) unsent: Unsent,
    pub(super) state: T,
}

impl<T> Peer<T> {
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.unsent.send(&mut self.stream, bytes)?;
        if self.unsent.len() > UNSENT_MAX {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<bool> {
        self.unsent.flush(&mut self.stream)
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
    let stop = {
        let stopping = Arc::clone(&stopping);
        let waker = Arc::clone(&bare.waker);
        move || {
            stopping.store(true, Ordering::Release);
            // This fails only if the loop is gone, and then needs no wake.
            let _ = waker.wake();
        }
    };
    ready.listening(address, Box::new(stop));
    let idler = Idler::new(config.idle);
    bare.serve(idler, &stopping).map_err(Error::system("the floor's loop failed"))
}

/// A non-blocking listener with the engine's backlog, and its address.
pub(crate) fn listen(address: &str) -> io::Result<(std::net::TcpListener, SocketAddr)> {
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
    peers: Peers<F::State>,
}

impl<F: Floor> Loop<F> {
    fn new(floor: F, mut listener: TcpListener) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self { floor, poll, waker, listener, peers: Slab::new() })
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
                    Token(key) => {
                        if self.floor.turn(&mut self.peers, key, event).is_err() {
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
        while let Ok((stream, _)) = self.listener.accept() {
            let slot = self.peers.vacant_entry();
            let token = Token(slot.key());
            let unsent = Unsent::default();
            let peer = slot.insert(Peer { stream, unsent, state: F::State::default() });
            let both = Interest::READABLE | Interest::WRITABLE;
            if self.poll.registry().register(&mut peer.stream, token, both).is_err() {
                self.peers.remove(token.0);
            }
        }
    }
}
