//! The reactor with the streams of all connections, by their slots: the only part of a connection
//! that knows the type of the reactor.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use super::listeners::{BindError, Listeners};
use crate::reactor::{MioListener, MioStream, Reactor};
#[cfg(feature = "tls")]
use crate::reactor::{Tls, TlsClient, TlsServer};
use crate::slots::Key;
use crate::time::Time;

/// Acts on streams and listening sockets for those that do not know the type of the reactor.
pub(crate) trait Transmit {
    /// Sends on the stream in `slot`; returns how much it took, zero if it can take nothing now.
    fn transmit(&mut self, slot: usize, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Whether the stream in `slot` has sent all that it took. One that has failed sends nothing.
    fn is_flushed(&mut self, slot: usize) -> bool;

    /// Bounds how much the stream in `slot` takes ahead of what it sends.
    fn limit_unsent(&mut self, slot: usize, bytes: Option<u32>);

    /// The certificates that the peer of the stream in `slot` has presented.
    #[cfg(feature = "tls")]
    fn peer_certificates(&self, slot: usize) -> Vec<&[u8]>;

    /// The present moment. The time of the turn is earlier.
    fn now(&mut self) -> Time;

    /// The moment at which the clock began.
    fn beginning(&self) -> Instant;

    /// Listens on every address that this machine has, for connections to the endpoint in that
    /// slot.
    fn bind(
        &mut self,
        addresses: &[SocketAddr],
        backlog: u32,
        endpoint: usize,
    ) -> Result<Vec<Key>, BindError>;

    /// Listens on a Unix socket.
    fn bind_unix(&mut self, path: &Path, backlog: u32, endpoint: usize) -> io::Result<Key>;

    /// Listens on a socket that another part of the program opened.
    fn adopt_listener(&mut self, listener: MioListener, endpoint: usize) -> io::Result<Key>;

    /// Closes listening sockets.
    fn close_listeners(&mut self, sockets: &[Key]);

    /// The address of a listening socket, unless it is a path.
    fn local_addr(&self, socket: Key) -> Option<SocketAddr>;

    /// Puts a stream that another part of the program opened into `slot`.
    fn adopt(&mut self, slot: usize, stream: MioStream) -> io::Result<()>;

    /// Reports the readiness of the stream in `slot` under `key`, beginning with its current one.
    fn register(&mut self, slot: usize, key: u64) -> io::Result<()>;

    /// Closes the stream in `slot`.
    fn close(&mut self, slot: usize);

    /// Makes the stream in `slot` speak TLS to the server `host`; `received` is what was received
    /// of it already.
    #[cfg(feature = "tls")]
    fn connect_tls(
        &mut self,
        slot: usize,
        tls: &TlsClient,
        host: &str,
        received: &[u8],
    ) -> io::Result<()>;

    /// Makes the accepted stream in `slot` speak TLS; `received` is what was received of it
    /// already.
    #[cfg(feature = "tls")]
    fn accept_tls(&mut self, slot: usize, tls: &TlsServer, received: &[u8]) -> io::Result<()>;
}

/// The reactor with its streams and listening sockets.
#[derive(Debug)]
pub(crate) struct Streams<R: Reactor> {
    pub(crate) reactor: R,
    pub(crate) listeners: Listeners<R>,
    streams: Vec<Option<R::Stream>>,
    /// Bytes that were received.
    pub(crate) received: u64,
    /// Bytes that were sent.
    pub(crate) sent: u64,
}

impl<R: Reactor> Streams<R> {
    /// Bytes for each stream.
    pub(crate) const SIZE: usize = size_of::<Option<R::Stream>>();

    /// Capacity for `capacity` streams.
    pub(crate) fn new(reactor: R, capacity: usize) -> Self {
        let streams = Vec::with_capacity(capacity);
        Self { reactor, listeners: Listeners::new(), streams, received: 0, sent: 0 }
    }

    pub(crate) fn insert(&mut self, slot: usize, stream: R::Stream) {
        if self.streams.len() <= slot {
            self.streams.resize_with(slot + 1, || None);
        }
        self.streams[slot] = Some(stream);
    }

    /// Closes the stream in `slot`.
    pub(crate) fn remove(&mut self, slot: usize) {
        if let Some(stream) = self.streams.get_mut(slot) {
            *stream = None;
        }
    }

    /// Receives; `None`: there is nothing now.
    #[inline]
    pub(crate) fn recv(&mut self, slot: usize, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let received = self.call(slot, |reactor, stream| reactor.recv(stream, buffer))?;
        self.received += received.unwrap_or(0) as u64;
        Ok(received)
    }

    /// Ends the sending half. An error means that the peer is gone.
    pub(crate) fn shutdown(&mut self, slot: usize) {
        let _ = self.call(slot, R::shutdown);
    }

    /// Reports the readiness of a stream under another key.
    pub(crate) fn rekey(&mut self, stream: &mut R::Stream, key: u64) -> io::Result<()> {
        repeat(|| self.reactor.rekey(stream, key))
    }

    /// Makes the stream in `slot` speak TLS; `received` is what was received of it already.
    #[cfg(feature = "tls")]
    pub(crate) fn encrypt(&mut self, slot: usize, tls: Tls<'_>, received: &[u8]) -> io::Result<()> {
        let stream = self.streams.get_mut(slot).and_then(Option::take);
        let stream = stream.ok_or(io::ErrorKind::NotConnected)?;
        self.streams[slot] = Some(self.reactor.encrypt(stream, tls, received)?);
        Ok(())
    }

    /// Sends what a stream has taken and not sent; whether that was all.
    #[cfg(feature = "tls")]
    pub(crate) fn flush(&mut self, slot: usize) -> io::Result<bool> {
        Ok(self.call(slot, R::flush)?.unwrap_or(false))
    }

    /// Whether a stream has more to receive that no readiness will report: decrypted, or records.
    pub(crate) fn has_buffered_input(&self, slot: usize) -> bool {
        #[cfg(feature = "tls")]
        if let Some(Some(stream)) = self.streams.get(slot) {
            return self.reactor.is_behind(stream);
        }
        let _ = slot;
        false
    }

    /// Whether TLS is still being negotiated on a stream. Receiving carries on with it.
    pub(crate) fn is_handshaking(&self, slot: usize) -> bool {
        #[cfg(feature = "tls")]
        if let Some(Some(stream)) = self.streams.get(slot) {
            return self.reactor.is_handshaking(stream);
        }
        let _ = slot;
        false
    }

    /// Whether the connection is made; an error if it cannot be.
    pub(crate) fn connect_result(&mut self, slot: usize) -> io::Result<bool> {
        Ok(self.call(slot, R::connect_result)?.unwrap_or(false))
    }

    /// An error if a connection that was made has failed since. Its end in order is no failure.
    pub(crate) fn check(&mut self, slot: usize) -> io::Result<()> {
        if self.connect_result(slot)? { Ok(()) } else { Err(io::ErrorKind::NotConnected.into()) }
    }

    /// Apart from the send of one slice, which is the usual case.
    #[inline(never)]
    fn send_vectored(&mut self, slot: usize, slices: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        self.call(slot, |reactor, stream| reactor.send_vectored(stream, slices))
    }

    /// Repeats `call` while it is interrupted; `None` if it would block.
    #[inline]
    fn call<T>(
        &mut self,
        slot: usize,
        mut call: impl FnMut(&mut R, &mut R::Stream) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        let Some(Some(stream)) = self.streams.get_mut(slot) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        loop {
            match call(&mut self.reactor, stream) {
                Ok(value) => return Ok(Some(value)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Repeats a call while it is interrupted.
pub(super) fn repeat<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

impl<R: Reactor> Transmit for Streams<R> {
    #[inline]
    fn transmit(&mut self, slot: usize, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let sent = match slices {
            // One slice needs no vector: the plain call is the cheaper one.
            [slice] => self.call(slot, |reactor, stream| reactor.send(stream, slice))?,
            _ => self.send_vectored(slot, slices)?,
        };
        let sent = sent.unwrap_or(0);
        self.sent += sent as u64;
        Ok(sent)
    }

    fn is_flushed(&mut self, slot: usize) -> bool {
        #[cfg(feature = "tls")]
        return self.flush(slot).unwrap_or(true);
        #[cfg(not(feature = "tls"))]
        return {
            let _ = slot;
            true
        };
    }

    fn limit_unsent(&mut self, slot: usize, bytes: Option<u32>) {
        if let Some(Some(stream)) = self.streams.get_mut(slot) {
            self.reactor.limit_unsent(stream, bytes);
        }
    }

    #[cfg(feature = "tls")]
    fn peer_certificates(&self, slot: usize) -> Vec<&[u8]> {
        match self.streams.get(slot) {
            Some(Some(stream)) => self.reactor.peer_certificates(stream),
            _ => Vec::new(),
        }
    }

    fn now(&mut self) -> Time {
        self.reactor.now()
    }

    fn beginning(&self) -> Instant {
        self.reactor.beginning()
    }

    fn bind(
        &mut self,
        addresses: &[SocketAddr],
        backlog: u32,
        endpoint: usize,
    ) -> Result<Vec<Key>, BindError> {
        self.listeners.bind(&mut self.reactor, addresses, backlog, endpoint)
    }

    fn bind_unix(&mut self, path: &Path, backlog: u32, endpoint: usize) -> io::Result<Key> {
        let Self { reactor, listeners, .. } = self;
        listeners.open(endpoint, |key| Ok((reactor.listen_unix(path, backlog, key)?, None)))
    }

    fn adopt_listener(&mut self, listener: MioListener, endpoint: usize) -> io::Result<Key> {
        let Self { reactor, listeners, .. } = self;
        listeners.open(endpoint, |key| reactor.adopt_listener(listener, key))
    }

    fn close_listeners(&mut self, sockets: &[Key]) {
        self.listeners.close(sockets);
    }

    fn local_addr(&self, socket: Key) -> Option<SocketAddr> {
        self.listeners.local(socket)
    }

    fn adopt(&mut self, slot: usize, stream: MioStream) -> io::Result<()> {
        let stream = self.reactor.adopt_stream(stream)?;
        self.insert(slot, stream);
        Ok(())
    }

    fn register(&mut self, slot: usize, key: u64) -> io::Result<()> {
        self.call(slot, |reactor, stream| reactor.register(stream, key)).map(|_| ())
    }

    fn close(&mut self, slot: usize) {
        self.remove(slot);
    }

    #[cfg(feature = "tls")]
    fn connect_tls(
        &mut self,
        slot: usize,
        tls: &TlsClient,
        host: &str,
        received: &[u8],
    ) -> io::Result<()> {
        self.encrypt(slot, Tls::Client(tls, host), received)
    }

    #[cfg(feature = "tls")]
    fn accept_tls(&mut self, slot: usize, tls: &TlsServer, received: &[u8]) -> io::Result<()> {
        self.encrypt(slot, Tls::Server(tls), received)
    }
}
