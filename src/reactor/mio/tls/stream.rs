//! A stream that speaks TLS, behind the same contract as one that does not.

use std::io::{self, IoSlice, Read, Write};

use rustls::Connection;

use crate::reactor::mio::socket::Socket;

/// TLS over a stream.
///
/// The contract of the seam holds: a receive that fills less than its buffer has drained the
/// stream, or says that it is behind, and a send that takes less than it was given is followed by a
/// writable edge. What was taken and not sent waits in the session, up to its limit, for `flush`.
#[derive(Debug)]
pub struct TlsStream {
    socket: Box<dyn Socket>,
    session: Connection,
    /// What was received before the session began, and is part of it.
    received: Vec<u8>,
    /// How the stream ended, behind bytes that were received before.
    failure: Option<io::Error>,
    /// The sending half ends once everything is sent.
    ends: bool,
    /// The last receive has left something to the next.
    behind: bool,
}

/// How much of the stream is taken in for one receive, in bytes: records may hold next to nothing,
/// or nothing at all, and a peer can send them faster than they are decrypted.
const TAKEN_MAX: usize = 256 * 1024;

/// How much a session takes that the stream does not, in bytes: as much as a whole record and what
/// a handshake is.
const UNSENT_MAX: usize = 64 * 1024;

impl TlsStream {
    pub(in crate::reactor::mio) fn new(
        socket: Box<dyn Socket>,
        mut session: Connection,
        received: &[u8],
    ) -> Self {
        session.set_buffer_limit(Some(UNSENT_MAX));
        let received = received.to_vec();
        Self { socket, session, received, failure: None, ends: false, behind: false }
    }

    pub(in crate::reactor::mio) fn socket(&self) -> &dyn Socket {
        &*self.socket
    }

    pub(in crate::reactor::mio) fn socket_mut(&mut self) -> &mut dyn Socket {
        &mut *self.socket
    }

    pub(in crate::reactor::mio) fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (mut filled, mut taken) = (0, 0);
        self.behind = false;
        while filled < buffer.len() {
            match self.recv_some(&mut buffer[filled..], &mut taken) {
                Ok(count) if count > 0 => filled += count,
                outcome if filled == 0 => return outcome,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                outcome => {
                    // What brought bytes cannot tell that the stream ends behind them.
                    self.failure = outcome.err();
                    self.behind = true;
                    break;
                }
            }
        }
        Ok(filled)
    }

    /// Receives what the session has for the application, or can make of what has arrived; 0 where
    /// the peer has ended TLS in order. Counts what is `taken` in.
    fn recv_some(&mut self, buffer: &mut [u8], taken: &mut usize) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // An error is a stream that has ended while TLS has not: whoever cut it may have
                // cut a message.
                outcome => return outcome,
            }
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if *taken >= TAKEN_MAX {
                self.behind = true;
                return Err(io::ErrorKind::WouldBlock.into());
            }
            match self.take_in() {
                Ok(count) => *taken += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                // What came before it is whole.
                Err(error) => self.failure = Some(error),
            }
        }
    }

    /// Whether the last receive stopped before the stream was drained, for the sake of others, or
    /// has left its end to the next.
    pub(in crate::reactor::mio) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Takes in what has arrived, and sends what the protocol answers to it; tells how much it was.
    fn take_in(&mut self) -> io::Result<usize> {
        let (socket, received) = (&mut *self.socket, &mut self.received);
        let received = self.session.read_tls(&mut Source { socket, received });
        if received.is_ok() {
            if let Err(error) = self.session.process_new_packets() {
                // The peer is to know why. Whether it hears makes no difference here.
                let _ = self.flush();
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        self.flush()?;
        received
    }

    pub(in crate::reactor::mio) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        // What is taken while others wait is held here, where nothing counts it; and a record of a
        // few bytes holds many times that.
        self.flush()?;
        while sent < bytes.len() && !self.session.wants_write() {
            let taken = self.session.writer().write(&bytes[sent..])?;
            sent += taken;
            self.flush()?;
            if taken == 0 {
                break;
            }
        }
        if sent == 0 && !bytes.is_empty() {
            Err(io::ErrorKind::WouldBlock.into())
        } else {
            Ok(sent)
        }
    }

    pub(in crate::reactor::mio) fn send_vectored(
        &mut self,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let mut sent = 0;
        for slice in slices {
            match self.send(slice) {
                Ok(count) if count == slice.len() => sent += count,
                Ok(count) => return Ok(sent + count),
                Err(error) if sent > 0 && error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    /// Bounds what the session takes that the stream does not, and what that takes.
    pub(in crate::reactor::mio) fn limit_unsent(&mut self, bytes: Option<u32>) {
        let most = bytes.map_or(UNSENT_MAX, |bytes| UNSENT_MAX.min(bytes as usize));
        self.session.set_buffer_limit(Some(most));
        self.socket.limit_unsent(bytes);
    }

    /// Sends what was taken, as far as the stream takes it.
    pub(in crate::reactor::mio) fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Sink(&mut *self.socket)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if std::mem::take(&mut self.ends) { self.socket.shutdown() } else { Ok(()) }
    }

    /// Ends the sending half, once everything is sent.
    pub(in crate::reactor::mio) fn shutdown(&mut self) -> io::Result<()> {
        self.session.send_close_notify();
        self.ends = true;
        self.flush()
    }

    pub(in crate::reactor::mio) fn is_flushed(&self) -> bool {
        !self.session.wants_write()
    }
}

/// Where a session reads.
struct Source<'a> {
    socket: &'a mut dyn Socket,
    /// Comes first.
    received: &'a mut Vec<u8>,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.received.is_empty() {
            return self.socket.recv(buffer);
        }
        let count = buffer.len().min(self.received.len());
        buffer[..count].copy_from_slice(&self.received[..count]);
        self.received.drain(..count);
        if self.received.is_empty() {
            // Once in a connection's life.
            *self.received = Vec::new();
        }
        Ok(count)
    }
}

/// Where a session writes.
struct Sink<'a>(&'a mut dyn Socket);

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.send_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
