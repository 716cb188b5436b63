//! The reactor with the streams of all connections, by their slots: the only part of a connection
//! that knows the type of the reactor.

use std::io::{self, IoSlice};
use std::time::Instant;

use crate::reactor::Reactor;
#[cfg(feature = "tls")]
use crate::reactor::Tls;
use crate::time::Time;

/// Sends for those that do not know the type of the reactor.
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
}

/// The reactor and its streams.
#[derive(Debug)]
pub(crate) struct Streams<R: Reactor> {
    pub(crate) reactor: R,
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
        Self { reactor, streams: Vec::with_capacity(capacity), received: 0, sent: 0 }
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

    pub(crate) fn register(&mut self, slot: usize, key: u64) -> io::Result<()> {
        self.call(slot, |reactor, stream| reactor.register(stream, key)).map(|_| ())
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
}
