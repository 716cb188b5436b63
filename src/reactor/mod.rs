//! The seam between the engine and the world: sockets, readiness, clock, entropy and wake.
//!
//! The engine above is written once against [`Reactor`] and bound at compile time, so the seam
//! costs nothing at run time. [`MioReactor`] is the real world; [`SimReactor`] is a network in
//! memory with virtual time, in which a seed decides everything that a kernel may decide.
//!
//! # Contract
//!
//! - Readiness is edge-triggered and is a hint: any call may still say `WouldBlock`, and
//!   readiness may name a stream that was closed earlier in the same batch.
//! - Readiness is reported in the order in which it came. A stream or listener that becomes ready
//!   again before it is reported is reported once. So what [`Polled::Part`] left is reported before
//!   what becomes ready later.
//! - A stream is registered once, for both directions. One that was connected here gets another key
//!   once, when the connection is made; none is ever registered again.
//! - `Interrupted` may come from any call on a stream or listener; the caller repeats the call.
//! - [`Reactor::recv`] that fills less than the buffer has drained the stream, unless its
//!   readiness said [`Readiness::hangup`] or [`Readiness::urgent`].
//! - [`Reactor::send`] that takes less than it was given is followed by a writable edge.

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

/// What the kernel says of one registered stream or listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The key that the stream or listener was registered with.
    pub key: u64,
    /// There may be bytes to receive, connections to accept, or an end of stream to notice.
    pub readable: bool,
    /// There may be room to send; after a non-blocking connect, its result is known.
    pub writable: bool,
    /// The peer closed its half, or the stream failed: receive until the end or the error.
    pub hangup: bool,
    /// There is a byte of urgent data (`MSG_OOB`), at which a receive stops though more has come.
    /// The byte itself is no part of the stream. If another comes before it is passed, Linux hands
    /// it over as if it were.
    pub urgent: bool,
}

/// How much a wait has reported of what is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// All: what was ready when the wait began has been reported, by this wait or an earlier one.
    All,
    /// Perhaps not all: the wait was interrupted, or reported as many as it reports at once.
    Part,
}

/// As which end a stream is to speak TLS.
#[cfg(feature = "tls")]
#[derive(Clone, Copy, Debug)]
pub enum Tls<'a> {
    /// As the one that accepted it.
    Server(&'a TlsServer),
    /// As the one that connects to the host of that name.
    Client(&'a TlsClient, &'a str),
}

/// Ends the sleep of a loop from another thread.
pub trait Wake: Clone + Send + Sync + 'static {
    /// Makes the current or the next [`Reactor::poll`] return without delay.
    ///
    /// # Errors
    ///
    /// What the system says when the wake cannot be delivered.
    fn wake(&self) -> io::Result<()>;
}

/// A source of unpredictable bytes: fills the slice that it is given.
pub type EntropySource = Box<dyn FnMut(&mut [u8]) + Send>;

/// Takes the addresses of a host, or why there are none.
pub type ResolveDone = Box<dyn FnOnce(io::Result<Vec<SocketAddr>>) + Send>;

/// Sockets, readiness, clock, entropy and wake, as one event loop sees them.
pub trait Reactor: Sized {
    /// A connected, or connecting, non-blocking byte stream. Dropping it closes it.
    type Stream: fmt::Debug;
    /// A listening, non-blocking socket. Dropping it closes it.
    type Listener: fmt::Debug;
    /// Wakes this reactor from other threads.
    type Waker: Wake + fmt::Debug;

    /// Waits until something is ready, the reactor is woken or `timeout` has passed (`None`: for
    /// ever), and appends what is ready. May return early with nothing. Tells whether that is all:
    /// peers are not judged by deadlines while it is not.
    ///
    /// # Errors
    ///
    /// What the system says; `Interrupted` is not an error here but an early return.
    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Readiness>)
    -> io::Result<Polled>;

    /// The same until a moment (`None`: for ever), for a loop that knows the time: `now`. A
    /// reactor may arrange for one moment once, though many polls are to end by it.
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

    /// The monotonic time, on a clock that began with the reactor.
    fn now(&mut self) -> Time;

    /// When that clock began.
    fn beginning(&self) -> Instant;

    /// The time as handlers are told it, which can be compared with others of the program.
    fn instant(&mut self) -> Instant {
        let now = self.now();
        self.beginning() + now.since_beginning()
    }

    /// When the first wake since the last call of this was asked for, if the reactor knows.
    fn woken(&mut self) -> Option<Time> {
        None
    }

    /// A source of unpredictable bytes (mask keys, nonces).
    ///
    /// # Errors
    ///
    /// When the system offers none.
    fn entropy(&mut self) -> io::Result<EntropySource>;

    /// A handle that wakes this reactor.
    fn waker(&self) -> Self::Waker;

    /// How many connections this process may hold open at once.
    fn max_connections(&self) -> usize;

    /// Finds the addresses of `host`, away from the loop's thread if that takes time, and hands
    /// them to `done`, which wakes the loop; nobody waits for them once the [`Lookup`] is dropped.
    /// Names that are looked up at once, or wait for that, are limited in number, and none of them
    /// keeps the process from its end.
    ///
    /// # Errors
    ///
    /// When too many names wait, or the system has no thread for it.
    fn resolve(&mut self, host: &str, port: u16, done: ResolveDone) -> io::Result<Lookup>;

    /// Listens on `address` with room for `backlog` connections not yet accepted, and registers
    /// the listener under `key`. The IPv6 wildcard takes IPv4 connections, too.
    ///
    /// # Errors
    ///
    /// What the system says: address in use, not permitted, not available (`AddrNotAvailable`), or
    /// of a family that it lacks (`Unsupported`).
    fn listen(
        &mut self,
        address: SocketAddr,
        backlog: u32,
        key: u64,
    ) -> io::Result<(Self::Listener, SocketAddr)>;

    /// Listens on the Unix socket `path`, as [`Reactor::listen`] does on an address.
    ///
    /// # Errors
    ///
    /// What the system says; `Unsupported` by default.
    fn listen_unix(&mut self, path: &Path, backlog: u32, key: u64) -> io::Result<Self::Listener> {
        let _ = (path, backlog, key);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Takes one connection that waits on `listener`, with the address of its other end if that
    /// has one. The stream is not registered yet.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when none waits; otherwise what the system says (descriptors exhausted, the
    /// connection gone already).
    fn accept(
        &mut self,
        listener: &mut Self::Listener,
    ) -> io::Result<(Self::Stream, Option<SocketAddr>)>;

    /// Begins to connect to `address` without waiting. The stream is not registered yet; once it
    /// is, its first writable readiness says that [`Reactor::connect_result`] knows the outcome.
    ///
    /// # Errors
    ///
    /// What the system says at once (descriptors exhausted, no route).
    fn connect(&mut self, address: SocketAddr) -> io::Result<Self::Stream>;

    /// Begins to connect to the Unix socket `path`, as [`Reactor::connect`] does to an address.
    ///
    /// # Errors
    ///
    /// What the system says at once; `Unsupported` by default.
    fn connect_unix(&mut self, path: &Path) -> io::Result<Self::Stream> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The outcome of [`Reactor::connect`]: `Ok(true)` connected, `Ok(false)` not known yet. Of a
    /// connection that was made, or accepted: whether it still stands; either half may have ended.
    ///
    /// # Errors
    ///
    /// Why the connection could not be made, or has failed since.
    fn connect_result(&mut self, stream: &mut Self::Stream) -> io::Result<bool>;

    /// Registers `stream` for both directions under `key`; reports its current readiness.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn register(&mut self, stream: &mut Self::Stream, key: u64) -> io::Result<()>;

    /// Reports the readiness of a stream that is registered under another key from here on; reports
    /// its current readiness.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn rekey(&mut self, stream: &mut Self::Stream, key: u64) -> io::Result<()>;

    /// Makes a stream speak TLS from here on. Of what it says, `received` was received already, and
    /// comes first.
    ///
    /// # Errors
    ///
    /// When there can be no session; `Unsupported` by default.
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

    /// Sends what [`Reactor::send`] took and keeps, as far as the stream takes it; whether that
    /// was all. A stream that does not speak TLS keeps nothing.
    ///
    /// # Errors
    ///
    /// What the system says.
    #[cfg(feature = "tls")]
    fn flush(&mut self, stream: &mut Self::Stream) -> io::Result<bool> {
        let _ = stream;
        Ok(true)
    }

    /// Whether the last [`Reactor::recv`] stopped before the stream was drained, for the sake of
    /// others: no readiness will tell of the rest. A stream that does not speak TLS never does.
    #[cfg(feature = "tls")]
    fn is_behind(&self, stream: &Self::Stream) -> bool {
        let _ = stream;
        false
    }

    /// Receives into `buffer`; 0 is the end of the stream.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when nothing is there; otherwise what the system says.
    fn recv(&mut self, stream: &mut Self::Stream, buffer: &mut [u8]) -> io::Result<usize>;

    /// Sends from `bytes`; tells how many were taken.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when none can be taken; otherwise what the system says.
    fn send(&mut self, stream: &mut Self::Stream, bytes: &[u8]) -> io::Result<usize>;

    /// Sends from several slices in one call; tells how many bytes were taken in all.
    ///
    /// # Errors
    ///
    /// As [`Reactor::send`].
    fn send_vectored(
        &mut self,
        stream: &mut Self::Stream,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize>;

    /// Ends the sending half: the peer sees the end of the stream after what was sent.
    ///
    /// # Errors
    ///
    /// What the system says, for instance that the peer is gone already.
    fn shutdown(&mut self, stream: &mut Self::Stream) -> io::Result<()>;

    /// Makes `stream` take no more while it holds about `bytes` or more that it has not sent, from
    /// here on; `None`: it holds as much as it does by default. A hint: a stream that cannot do so
    /// does as it did, as all do by default.
    fn limit_unsent(&mut self, stream: &mut Self::Stream, bytes: Option<u32>) {
        let _ = (stream, bytes);
    }
}
