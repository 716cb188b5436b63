//! The real system, through mio.

#[cfg(feature = "timerfd")]
mod alarm;
mod resolver;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod threads;
#[cfg(feature = "tls")]
mod tls;

use std::fs::File;
use std::io::{self, IoSlice, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

#[cfg(feature = "timerfd")]
use self::alarm::Alarm;
use self::resolver::Resolver;
pub use self::stream::{MioListener, MioStream};
#[cfg(feature = "tls")]
pub use self::tls::{TlsClient, TlsError, TlsServer, TlsStream};
#[cfg(feature = "tls")]
use super::Tls;
use super::{EntropySource, Lookup, Polled, Reactor, Readiness, ResolveDone, Task, Wake};
use crate::time::Time;

// Keys have 64 bits and are the kernel's tokens.
const _: () = assert!(usize::BITS >= 64, "64-bit platforms only");

/// The most readiness that one call takes from the kernel. The kernel reports in turns, so that no
/// stream waits longer for that, and a turn in which every one of them ends stays below 10 ms.
const EVENTS_PER_POLL_MAX: usize = 256;

/// The token of wakes. It is no connection's key, because no slot has this index.
const WAKE_TOKEN: Token = Token(usize::MAX);

/// The token of the alarm. It is no connection's key for the same reason.
#[cfg(feature = "timerfd")]
const ALARM_TOKEN: Token = Token(usize::MAX - 1);

/// The longest timeout of one poll. mio passes timeouts on in milliseconds. An hour cannot overflow
/// there, and polling again each hour costs nothing.
const POLL_TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// Descriptors that remain for the rest of the program.
const RESERVED_DESCRIPTORS: usize = 64;

/// The most connections, however many descriptors there are.
const CONNECTIONS_MAX: usize = 65_536;

/// The real system: epoll through mio, the monotonic clock and the system's entropy.
#[derive(Debug)]
pub struct MioReactor {
    poll: Poll,
    events: Events,
    waker: MioWaker,
    resolver: Resolver,
    #[cfg(feature = "timerfd")]
    alarm: Alarm,
}

/// Wakes a [`MioReactor`].
#[derive(Clone, Debug)]
pub struct MioWaker(Arc<Woken>);

#[derive(Debug)]
struct Woken {
    waker: Waker,
    beginning: Instant,
    /// When it was first woken, as the nanoseconds of a `Time`. Zero if it was not woken since that
    /// was last read.
    at: AtomicU64,
}

impl Woken {
    #[inline]
    fn now(&self) -> Time {
        Time::from_beginning(self.beginning.elapsed())
    }
}

impl Wake for MioWaker {
    fn wake(&self) -> io::Result<()> {
        let at = self.0.now().as_nanos();
        // Only the first of several wakes matters. It orders no other memory access.
        let _ = self.0.at.compare_exchange(0, at, Ordering::Relaxed, Ordering::Relaxed);
        self.0.waker.wake()
    }
}

impl MioReactor {
    /// Creates a reactor.
    ///
    /// # Errors
    ///
    /// If the system has no descriptors left.
    pub fn new() -> io::Result<Self> {
        Self::with_events(EVENTS_PER_POLL_MAX)
    }

    /// A reactor that takes up to `events` events from the kernel in one call.
    fn with_events(events: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE_TOKEN)?;
        let woken = Woken { waker, beginning: Instant::now(), at: AtomicU64::new(0) };
        let waker = MioWaker(Arc::new(woken));
        #[cfg(feature = "timerfd")]
        let alarm = Alarm::new(poll.registry(), ALARM_TOKEN)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(events),
            waker,
            resolver: Resolver::new(),
            #[cfg(feature = "timerfd")]
            alarm,
        })
    }
}

impl AsFd for MioReactor {
    /// The epoll descriptor.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.registry().as_fd()
    }
}

impl Reactor for MioReactor {
    type Stream = MioStream;
    type Listener = MioListener;
    type Waker = MioWaker;

    #[cfg(feature = "timerfd")]
    fn poll_until(
        &mut self,
        now: Time,
        until: Option<Time>,
        ready: &mut Vec<Readiness>,
    ) -> io::Result<Polled> {
        match until {
            Some(until) if until <= now => self.poll(Some(Duration::ZERO), ready),
            Some(until) => {
                self.alarm.set(now, until)?;
                self.poll(None, ready)
            }
            None => self.poll(None, ready),
        }
    }

    #[inline]
    fn poll(
        &mut self,
        timeout: Option<Duration>,
        ready: &mut Vec<Readiness>,
    ) -> io::Result<Polled> {
        let timeout = timeout.map(|timeout| timeout.min(POLL_TIMEOUT_MAX));
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Polled::Part),
            other => other?,
        }
        let mut count = 0;
        for event in &self.events {
            count += 1;
            match event.token() {
                WAKE_TOKEN => {}
                #[cfg(feature = "timerfd")]
                ALARM_TOKEN => self.alarm.rang(),
                _ => ready.push(readiness(event)),
            }
        }
        Ok(if count < self.events.capacity() { Polled::All } else { Polled::Part })
    }

    #[inline]
    fn now(&mut self) -> Time {
        self.waker.0.now()
    }

    fn beginning(&self) -> Instant {
        self.waker.0.beginning
    }

    #[inline]
    fn woken(&mut self) -> Option<Time> {
        let at = &self.waker.0.at;
        // Most sleeps end by readiness, and a swap costs more than a load.
        if at.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Some(Time::from_nanos(at.swap(0, Ordering::Relaxed)))
    }

    fn entropy(&mut self) -> io::Result<EntropySource> {
        let mut source = File::open("/dev/urandom")?;
        let mut check = [0; 1];
        source.read_exact(&mut check)?;
        Ok(Box::new(move |bytes| {
            // Without entropy, a web page could predict mask keys and forge what proxies see (RFC
            // 6455 §10.3).
            source.read_exact(bytes).expect("/dev/urandom can be read again");
        }))
    }

    fn waker(&self) -> MioWaker {
        self.waker.clone()
    }

    fn max_connections(&self) -> usize {
        descriptor_limit().saturating_sub(RESERVED_DESCRIPTORS).clamp(1, CONNECTIONS_MAX)
    }

    fn resolve(&mut self, host: &str, port: u16, done: ResolveDone) -> io::Result<Lookup> {
        self.resolver.look_up(host, port, done)
    }

    fn spawn(&mut self, name: &str, task: Box<dyn Task>) -> io::Result<()> {
        threads::run(name, task)
    }

    fn listen(
        &mut self,
        address: SocketAddr,
        backlog: u32,
        key: u64,
    ) -> io::Result<(MioListener, SocketAddr)> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
            .map_err(absent_family)?;
        if address.is_ipv6() {
            // The wildcard accepts IPv4 connections, whatever the system's default is.
            socket.set_only_v6(false)?;
        }
        // A restarted server gets its address even if old connections are in TIME_WAIT.
        socket.set_reuse_address(true)?;
        // Accepted streams inherit the option, which saves a call for each.
        socket.set_tcp_nodelay(true)?;
        let socket = begin_listening(socket, &address.into(), backlog)?;
        let mut listener = TcpListener::from_std(socket.into());
        let local = listener.local_addr()?;
        self.poll.registry().register(&mut listener, token(key), Interest::READABLE)?;
        Ok((MioListener::Tcp(listener), local))
    }

    fn adopt_listener(
        &mut self,
        mut listener: MioListener,
        key: u64,
    ) -> io::Result<(MioListener, Option<SocketAddr>)> {
        let local = listener.register(self.poll.registry(), token(key))?;
        Ok((listener, local))
    }

    fn adopt_stream(&mut self, stream: MioStream) -> io::Result<MioStream> {
        Ok(stream)
    }

    fn listen_unix(&mut self, path: &Path, backlog: u32, key: u64) -> io::Result<MioListener> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        let socket = begin_listening(socket, &SockAddr::unix(path)?, backlog)?;
        let mut listener = UnixListener::from_std(OwnedFd::from(socket).into());
        self.poll.registry().register(&mut listener, token(key), Interest::READABLE)?;
        Ok(MioListener::Unix(listener))
    }

    fn accept(
        &mut self,
        listener: &mut MioListener,
    ) -> io::Result<(MioStream, Option<SocketAddr>)> {
        listener.accept()
    }

    fn connect(&mut self, address: SocketAddr) -> io::Result<MioStream> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(MioStream::Tcp(stream))
    }

    fn connect_unix(&mut self, path: &Path) -> io::Result<MioStream> {
        UnixStream::connect(path).map(MioStream::Unix)
    }

    fn connect_result(&mut self, stream: &mut MioStream) -> io::Result<bool> {
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.check_peer() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn register(&mut self, stream: &mut MioStream, key: u64) -> io::Result<()> {
        self.poll.registry().register(stream.socket_mut(), token(key), both())
    }

    fn rekey(&mut self, stream: &mut MioStream, key: u64) -> io::Result<()> {
        self.poll.registry().reregister(stream.socket_mut(), token(key), both())
    }

    #[cfg(feature = "tls")]
    fn encrypt(
        &mut self,
        stream: MioStream,
        tls: Tls<'_>,
        received: &[u8],
    ) -> io::Result<MioStream> {
        let session = match tls {
            Tls::Server(server) => server.session()?,
            Tls::Client(client, host) => client.session(host)?,
        };
        Ok(MioStream::Tls(Box::new(TlsStream::new(stream.into_socket()?, session, received))))
    }

    #[cfg(feature = "tls")]
    fn flush(&mut self, stream: &mut MioStream) -> io::Result<bool> {
        match stream {
            MioStream::Tls(stream) => stream.flush().map(|()| stream.is_flushed()),
            MioStream::Tcp(_) | MioStream::Unix(_) => Ok(true),
        }
    }

    #[cfg(feature = "tls")]
    fn peer_certificates<'s>(&self, stream: &'s MioStream) -> Vec<&'s [u8]> {
        stream.peer_certificates()
    }

    #[cfg(feature = "tls")]
    fn is_handshaking(&self, stream: &MioStream) -> bool {
        matches!(stream, MioStream::Tls(stream) if stream.is_handshaking())
    }

    #[cfg(feature = "tls")]
    fn is_behind(&self, stream: &MioStream) -> bool {
        matches!(stream, MioStream::Tls(stream) if stream.is_behind())
    }

    #[inline]
    fn recv(&mut self, stream: &mut MioStream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.recv(buffer)
    }

    #[inline]
    fn send(&mut self, stream: &mut MioStream, bytes: &[u8]) -> io::Result<usize> {
        stream.send(bytes)
    }

    #[inline]
    fn send_vectored(
        &mut self,
        stream: &mut MioStream,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        stream.send_vectored(slices)
    }

    fn shutdown(&mut self, stream: &mut MioStream) -> io::Result<()> {
        stream.shutdown()
    }

    fn limit_unsent(&mut self, stream: &mut MioStream, bytes: Option<u32>) {
        stream.limit_unsent(bytes);
    }
}

/// Turns the error of a missing address family into `Unsupported`.
fn absent_family(error: io::Error) -> io::Error {
    const EAFNOSUPPORT: i32 = 97;
    if error.raw_os_error() == Some(EAFNOSUPPORT) {
        return io::Error::new(io::ErrorKind::Unsupported, error);
    }
    error
}

/// Binds and listens without blocking. mio's own function has a fixed backlog.
fn begin_listening(socket: Socket, address: &SockAddr, backlog: u32) -> io::Result<Socket> {
    socket.set_nonblocking(true)?;
    socket.bind(address)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}

/// The interest of streams: both directions, and urgent data where the system reports it.
const fn both() -> Interest {
    let both = Interest::READABLE.add(Interest::WRITABLE);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let both = both.add(Interest::PRIORITY);
    both
}

const fn token(key: u64) -> Token {
    Token(key as usize)
}

fn readiness(event: &Event) -> Readiness {
    Readiness {
        key: event.token().0 as u64,
        readable: event.is_readable(),
        writable: event.is_writable(),
        hangup: event.is_read_closed() || event.is_error(),
        urgent: event.is_priority(),
    }
}

/// The soft limit of open files. Without unsafe code it is available only as text.
fn descriptor_limit() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|values| values.split_whitespace().next())
        .and_then(|soft| soft.parse().ok())
        // POSIX guarantees only a few, but every system has had this many for decades.
        .unwrap_or(1024)
}
