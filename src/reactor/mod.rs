//! The seam between the engine and the system: sockets, readiness, clock, entropy and wake.
//!
//! The engine is written against the trait [`Reactor`], which is bound at compile time, so that the
//! seam costs nothing at run time. [`MioReactor`] uses the real system. [`SimReactor`] simulates a
//! network in memory with virtual time, in which a seed makes every decision of the kernel.
//!
//! # Contract
//!
//! - Readiness is edge-triggered and only a hint: any call may still return `WouldBlock`, and
//!   readiness may name a stream that was closed earlier in the same batch.
//! - Readiness is reported in the order in which it occurs. A stream or listener that becomes ready
//!   again before it is reported is reported once. What a wait with [`Polled::Part`] has left is
//!   therefore reported before later readiness.
//! - A stream is registered once, for both directions. A stream that was connected here may get
//!   another key once, when the connection is established.
//! - Any call on a stream or listener may fail with `Interrupted`. The caller repeats it.
//! - A [`Reactor::recv`] that does not fill the buffer has emptied the stream, unless the last
//!   readiness had [`Readiness::hangup`] or [`Readiness::urgent`].
//! - A [`Reactor::send`] that accepts only a part is followed by a writable edge.

mod lookup;
mod mio;
pub mod sim;

use crate::time::Time;
use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

pub use self::lookup::{Interest, Lookup};
pub use self::mio::{MioListener, MioReactor, MioStream, MioWaker};
#[cfg(feature = "tls")]
pub use self::mio::{TlsClient, TlsError, TlsServer, TlsStream};
pub use self::sim::SimReactor;

/// The readiness of one registered stream or listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The key with which the stream or listener was registered.
    pub key: u64,
    /// There may be bytes to receive, connections to accept, or an end of stream.
    pub readable: bool,
    /// There may be room to send. After a non-blocking connect, its result is known.
    pub writable: bool,
    /// The peer has closed its half, or the stream has failed. Receive until the end or the error.
    pub hangup: bool,
    /// There is a byte of urgent data (`MSG_OOB`). A receive stops there even if more bytes have
    /// arrived. The byte is not part of the stream, but if another one arrives before it is passed,
    /// Linux delivers the first as if it were.
    pub urgent: bool,
}

/// Whether a wait has reported everything that was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Everything that was ready when the wait began was reported, by this wait or an earlier one.
    All,
    /// Perhaps not everything: the wait was interrupted, or has reported the most of one wait.
    Part,
}

/// The role of a stream in TLS.
///
/// Needs the feature `tls`.
#[cfg(feature = "tls")]
#[derive(Clone, Copy, Debug)]
pub enum Tls<'a> {
    /// The end that accepted the connection.
    Server(&'a TlsServer),
    /// The end that connected, to the host of this name.
    Client(&'a TlsClient, &'a str),
}

/// Wakes a loop from another thread.
pub trait Wake: Clone + Send + Sync + 'static {
    /// Makes the current or the next [`Reactor::poll`] return without delay.
    ///
    /// # Errors
    ///
    /// The system's error if the wake cannot be delivered.
    fn wake(&self) -> io::Result<()>;
}

/// A source of unpredictable bytes. It fills the slice.
pub type EntropySource = Box<dyn FnMut(&mut [u8]) + Send>;

/// Receives the addresses of a host, or the error of the lookup.
pub type ResolveDone = Box<dyn FnOnce(io::Result<Vec<SocketAddr>>) + Send>;

/// Work beside the loop, in steps ([`Reactor::spawn`]).
pub trait Task: Send {
    /// Takes the next step. If there is nothing to do, it sleeps until there is, or returns
    /// [`TaskStep::Idle`] if it may not sleep.
    fn step(&mut self, may_sleep: bool) -> TaskStep;
}

/// What a step of a [`Task`] has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStep {
    /// It has worked, and may have more to do.
    Worked,
    /// There was nothing to do.
    Idle,
    /// The task has ended. No further step follows.
    Ended,
}

/// Sockets, readiness, clock, entropy and wake of one event loop.
pub trait Reactor: Sized {
    /// A connected, or connecting, non-blocking byte stream. Dropping it closes it.
    type Stream: fmt::Debug;
    /// A listening, non-blocking socket. Dropping it closes it.
    type Listener: fmt::Debug;
    /// Wakes this reactor from other threads.
    type Waker: Wake + fmt::Debug;

    /// Waits until something is ready, the reactor is woken or `timeout` has passed (`None`:
    /// without limit), and appends what is ready. May return early with nothing. Returns whether
    /// everything was reported: no deadline of a peer may expire before that.
    ///
    /// # Errors
    ///
    /// The system's error. An interruption is not an error but an early return.
    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Readiness>)
    -> io::Result<Polled>;

    /// [`poll`](Self::poll) until a point in time (`None`: without limit), for a loop that knows
    /// the time `now`. A reactor may set its timer once for many polls with the same end.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    fn poll_until(
        &mut self,
        now: Time,
        until: Option<Time>,
        ready: &mut Vec<Readiness>,
    ) -> io::Result<Polled> {
        self.poll(until.map(|until| until.since(now)), ready)
    }

    /// The monotonic time, on a clock that begins with the reactor.
    fn now(&mut self) -> Time;

    /// When the clock of [`now`](Self::now) began.
    fn beginning(&self) -> Instant;

    /// The time as handlers get it. It can be compared with other instants of the program.
    fn instant(&mut self) -> Instant {
        let now = self.now();
        self.beginning() + now.since_beginning()
    }

    /// When the first wake since the last call of this was requested, if the reactor knows.
    fn woken(&mut self) -> Option<Time> {
        None
    }

    /// A source of unpredictable bytes (mask keys, nonces).
    ///
    /// # Errors
    ///
    /// If the system has none.
    fn entropy(&mut self) -> io::Result<EntropySource>;

    /// A handle that wakes this reactor.
    fn waker(&self) -> Self::Waker;

    /// How many connections this process may hold open at once.
    fn max_connections(&self) -> usize;

    /// Looks up the addresses of `host` without blocking the loop's thread, and passes them to
    /// `done`, which wakes the loop. Dropping the [`Lookup`] cancels it. The number of concurrent
    /// and waiting lookups is limited, and no lookup keeps the process from ending.
    ///
    /// # Errors
    ///
    /// If too many lookups wait, or the system has no thread for it.
    fn resolve(&mut self, host: &str, port: u16, done: ResolveDone) -> io::Result<Lookup>;

    /// Runs `task` beside the loop until it has ended: in the real system on a thread of that name,
    /// for which nothing waits, neither the loop nor its drop. A simulation takes the task's steps
    /// between the loop's turns, and never lets it sleep.
    ///
    /// # Errors
    ///
    /// If the system has no thread for it. `Unsupported` by default.
    fn spawn(&mut self, name: &str, task: Box<dyn Task>) -> io::Result<()> {
        let _ = (name, task);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Listens on `address` and registers the listener with `key`. `backlog` is the number of
    /// connections that can wait to be accepted. The IPv6 wildcard accepts IPv4 connections, too.
    ///
    /// # Errors
    ///
    /// The system's error: the address is in use, not permitted, not available (`AddrNotAvailable`)
    /// or of a family that the system lacks (`Unsupported`).
    fn listen(
        &mut self,
        address: SocketAddr,
        backlog: u32,
        key: u64,
    ) -> io::Result<(Self::Listener, SocketAddr)>;

    /// [`listen`](Self::listen) for the Unix socket `path`.
    ///
    /// # Errors
    ///
    /// The system's error. `Unsupported` by default.
    fn listen_unix(&mut self, path: &Path, backlog: u32, key: u64) -> io::Result<Self::Listener> {
        let _ = (path, backlog, key);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Listens on a socket that another part of the program opened. Otherwise as
    /// [`listen`](Self::listen). The address is `None` for a Unix socket.
    ///
    /// # Errors
    ///
    /// The system's error. `Unsupported` by default.
    fn adopt_listener(
        &mut self,
        listener: MioListener,
        key: u64,
    ) -> io::Result<(Self::Listener, Option<SocketAddr>)> {
        let _ = (listener, key);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Takes a connected stream that another part of the program opened. The stream is not
    /// registered.
    ///
    /// # Errors
    ///
    /// `Unsupported` by default.
    fn adopt_stream(&mut self, stream: MioStream) -> io::Result<Self::Stream> {
        let _ = stream;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Accepts one connection that waits on `listener`, and returns the address of its other end if
    /// it has one. The stream is not registered.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if none waits; otherwise the system's error, for instance that descriptors are
    /// exhausted or that the connection has already ended.
    fn accept(
        &mut self,
        listener: &mut Self::Listener,
    ) -> io::Result<(Self::Stream, Option<SocketAddr>)>;

    /// Begins to connect to `address` without blocking. The stream is not registered. After it is,
    /// its first writable readiness says that [`connect_result`](Self::connect_result) has the
    /// outcome.
    ///
    /// # Errors
    ///
    /// The system's immediate error, for instance that descriptors are exhausted or that there is
    /// no route.
    fn connect(&mut self, address: SocketAddr) -> io::Result<Self::Stream>;

    /// [`connect`](Self::connect) for the Unix socket `path`.
    ///
    /// # Errors
    ///
    /// The system's immediate error. `Unsupported` by default.
    fn connect_unix(&mut self, path: &Path) -> io::Result<Self::Stream> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The outcome of [`connect`](Self::connect): `Ok(true)` if connected, `Ok(false)` if not known
    /// so far. For an established connection: `Ok(true)` if it has not failed, even if either half
    /// has ended.
    ///
    /// # Errors
    ///
    /// Why the connection could not be established, or has failed since.
    fn connect_result(&mut self, stream: &mut Self::Stream) -> io::Result<bool>;

    /// Registers `stream` with `key` for both directions. Its current readiness is reported.
    ///
    /// # Errors
    ///
    /// The system's error.
    fn register(&mut self, stream: &mut Self::Stream, key: u64) -> io::Result<()>;

    /// Gives a registered stream another key. Its current readiness is reported with that key.
    ///
    /// # Errors
    ///
    /// The system's error.
    fn rekey(&mut self, stream: &mut Self::Stream, key: u64) -> io::Result<()>;

    /// Makes a stream use TLS from here on. The bytes `received` were already received from it and
    /// are the first of the TLS session.
    ///
    /// # Errors
    ///
    /// If no session can be created. `Unsupported` by default.
    ///
    /// Needs the feature `tls`.
    #[cfg(feature = "tls")]
    fn encrypt(
        &mut self,
        stream: Self::Stream,
        tls: Tls<'_>,
        received: &[u8],
    ) -> io::Result<Self::Stream> {
        let _ = (stream, tls, received);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sends bytes that [`send`](Self::send) has accepted and buffered, as far as the stream
    /// accepts them. Returns whether all were sent. Only a stream with TLS buffers bytes.
    ///
    /// # Errors
    ///
    /// The system's error.
    ///
    /// Needs the feature `tls`.
    #[cfg(feature = "tls")]
    fn flush(&mut self, stream: &mut Self::Stream) -> io::Result<bool> {
        let _ = stream;
        Ok(true)
    }

    /// Whether TLS is still being negotiated on `stream`. A [`recv`](Self::recv) carries on with
    /// that.
    ///
    /// Needs the feature `tls`.
    #[cfg(feature = "tls")]
    fn is_handshaking(&self, stream: &Self::Stream) -> bool {
        let _ = stream;
        false
    }

    /// Whether the last [`recv`](Self::recv) stopped before the stream was empty, so that others
    /// get their turn. No readiness is reported for the rest. Only a stream with TLS does so.
    ///
    /// Needs the feature `tls`.
    #[cfg(feature = "tls")]
    fn is_behind(&self, stream: &Self::Stream) -> bool {
        let _ = stream;
        false
    }

    /// The certificates that the peer has presented, in DER, its own first. None before the TLS
    /// handshake is done, and by default.
    ///
    /// Needs the feature `tls`.
    #[cfg(feature = "tls")]
    fn peer_certificates<'s>(&self, stream: &'s Self::Stream) -> Vec<&'s [u8]> {
        let _ = stream;
        Vec::new()
    }

    /// Receives into `buffer`. Returns the number of bytes, or 0 at the end of the stream.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is nothing; otherwise the system's error.
    fn recv(&mut self, stream: &mut Self::Stream, buffer: &mut [u8]) -> io::Result<usize>;

    /// Sends bytes. Returns how many were accepted.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if none can be accepted; otherwise the system's error.
    fn send(&mut self, stream: &mut Self::Stream, bytes: &[u8]) -> io::Result<usize>;

    /// Sends several slices in one call. Returns how many bytes were accepted in all.
    ///
    /// # Errors
    ///
    /// As [`Reactor::send`].
    fn send_vectored(
        &mut self,
        stream: &mut Self::Stream,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize>;

    /// Ends the sending half. The peer sees the end of the stream after the bytes that were sent.
    ///
    /// # Errors
    ///
    /// The system's error, for instance that the peer has already gone.
    fn shutdown(&mut self, stream: &mut Self::Stream) -> io::Result<()>;

    /// Limits the unsent bytes that `stream` holds: it accepts no more while it holds about
    /// `bytes`. `None` removes the limit. This is a hint, which the default implementation ignores.
    fn limit_unsent(&mut self, stream: &mut Self::Stream, bytes: Option<u32>) {
        let _ = (stream, bytes);
    }
}
