//! A stream with TLS, which keeps the same contract as one without.

use std::io::{self, IoSlice, Read, Write};

use rustls::Connection;
use rustls::pki_types::CertificateDer;

use crate::reactor::mio::socket::Socket;

/// TLS over a socket.
///
/// It keeps the contract of the seam: a receive that does not fill the buffer has emptied the
/// stream, or `is_behind` returns `true`; a send that accepts only a part is followed by a writable
/// edge. Bytes that were accepted and not sent wait in the session, up to its limit, for `flush`.
#[derive(Debug)]
pub struct TlsStream {
    socket: Box<dyn Socket>,
    session: Connection,
    /// Bytes of the session that were received before it began.
    received: Vec<u8>,
    /// How the stream failed. It is returned after the bytes that were received before.
    failure: Option<io::Error>,
    /// The sending half must be ended after everything is sent.
    ends: bool,
    /// The last receive has left something for the next.
    behind: bool,
}

/// The most bytes that one receive reads from the socket. Records may be almost or entirely empty,
/// and a peer can send them faster than they are decrypted.
const READ_BYTES_MAX: usize = 256 * 1024;

/// The most bytes that a session buffers while the socket accepts none: more than a whole record
/// and a handshake.
const UNSENT_BYTES_MAX: usize = 64 * 1024;

impl TlsStream {
    pub(in crate::reactor::mio) fn new(
        socket: Box<dyn Socket>,
        mut session: Connection,
        received: &[u8],
    ) -> Self {
        session.set_buffer_limit(Some(UNSENT_BYTES_MAX));
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
                    // A receive that returns bytes cannot also report the end: the next one does.
                    self.failure = outcome.err();
                    self.behind = true;
                    break;
                }
            }
        }
        Ok(filled)
    }

    /// Receives decrypted bytes. Returns 0 if the peer has ended TLS properly. Adds the bytes that
    /// it reads from the socket to `taken`.
    fn recv_some(&mut self, buffer: &mut [u8], taken: &mut usize) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The stream may have ended without the end of TLS. That is an error, because an
                // attacker may have cut off a part of a message.
                outcome => return outcome,
            }
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if *taken >= READ_BYTES_MAX {
                self.behind = true;
                return Err(io::ErrorKind::WouldBlock.into());
            }
            match self.take_in() {
                Ok(count) => *taken += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                // Decrypt the bytes before the failure first.
                Err(error) => self.failure = Some(error),
            }
        }
    }

    /// Whether the session is still being negotiated.
    pub(in crate::reactor::mio) fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    /// Whether the last receive stopped before the stream was empty, so that others get their turn,
    /// or has left the end of the stream to the next one.
    pub(in crate::reactor::mio) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Reads from the socket, decrypts, and sends the responses of the protocol. Returns the number
    /// of bytes read.
    fn take_in(&mut self) -> io::Result<usize> {
        let (socket, received) = (&mut *self.socket, &mut self.received);
        let received = self.session.read_tls(&mut Source { socket, received });
        if received.is_ok() {
            if let Err(error) = self.session.process_new_packets() {
                // Tell the peer why. It makes no difference if that fails.
                let _ = self.flush();
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        self.flush()?;
        received
    }

    pub(in crate::reactor::mio) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        // Accept nothing while other bytes wait: the session's buffer is not part of the memory
        // limits, and a record of a few bytes takes many times that.
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

    /// Limits the unsent bytes of the session and of the socket.
    pub(in crate::reactor::mio) fn limit_unsent(&mut self, bytes: Option<u32>) {
        let most = bytes.map_or(UNSENT_BYTES_MAX, |bytes| UNSENT_BYTES_MAX.min(bytes as usize));
        self.session.set_buffer_limit(Some(most));
        self.socket.limit_unsent(bytes);
    }

    /// Sends buffered bytes as far as the socket accepts them.
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

    /// Ends the sending half after everything is sent.
    pub(in crate::reactor::mio) fn shutdown(&mut self) -> io::Result<()> {
        self.session.send_close_notify();
        self.ends = true;
        self.flush()
    }

    /// The certificates that the peer has presented, its own first.
    pub(in crate::reactor::mio) fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.session.peer_certificates().unwrap_or_default()
    }

    pub(in crate::reactor::mio) fn is_flushed(&self) -> bool {
        !self.session.wants_write()
    }
}

/// Where a session reads from.
struct Source<'a> {
    socket: &'a mut dyn Socket,
    /// Read first.
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
            // Frees the memory. This happens once per connection.
            *self.received = Vec::new();
        }
        Ok(count)
    }
}

/// Where a session writes to.
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
