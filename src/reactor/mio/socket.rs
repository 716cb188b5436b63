//! Sockets as the kernel has them, over TCP or within the machine.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use socket2::SockRef;

/// `MSG_NOSIGNAL`: sending to a peer that is gone fails, and raises no SIGPIPE, whatever the
/// program does with that signal. Systems without this flag have a socket option, which mio sets.
const NO_SIGNAL: i32 =
    if cfg!(any(target_os = "linux", target_os = "android")) { 0x4000 } else { 0 };

/// A connected, or connecting, non-blocking socket.
pub(super) trait Socket: Source + fmt::Debug + Send + Sync {
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;

    fn send_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Ends the sending half.
    fn shutdown(&mut self) -> io::Result<()>;

    /// Limits the bytes that the socket accepts ahead of what it sends. Writable readiness then
    /// means that less than half of that limit is unsent.
    fn limit_unsent(&mut self, bytes: Option<u32>);

    /// Sets the options of a socket that another part of the program accepted. Returns the address
    /// of its other end, unless that is on this machine.
    fn prepare(&self) -> io::Result<Option<SocketAddr>>;

    /// Takes the error that occurred since the last call on the socket.
    fn take_error(&self) -> io::Result<Option<io::Error>>;

    /// Checks that there is another end. Fails with `NotConnected` if there is none so far.
    fn check_peer(&self) -> io::Result<()>;
}

impl Socket for TcpStream {
    #[inline]
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer)
    }

    // The standard library sends with `NO_SIGNAL` over TCP.
    #[inline]
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    fn send_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        SockRef::from(&*self).send_vectored_with_flags(slices, NO_SIGNAL)
    }

    fn shutdown(&mut self) -> io::Result<()> {
        Self::shutdown(self, Shutdown::Write)
    }

    fn limit_unsent(&mut self, bytes: Option<u32>) {
        // Zero is the system's own limit. A system without this option keeps its default.
        let _ = SockRef::from(&*self).set_tcp_notsent_lowat(bytes.unwrap_or(0));
    }

    fn prepare(&self) -> io::Result<Option<SocketAddr>> {
        SockRef::from(self).set_nonblocking(true)?;
        self.set_nodelay(true)?;
        self.peer_addr().map(Some)
    }

    fn take_error(&self) -> io::Result<Option<io::Error>> {
        Self::take_error(self)
    }

    fn check_peer(&self) -> io::Result<()> {
        self.peer_addr().map(drop)
    }
}

impl Socket for UnixStream {
    #[inline]
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer)
    }

    // The oldest supported standard library does not send with `NO_SIGNAL` over Unix sockets.
    #[inline]
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        SockRef::from(&*self).send_with_flags(bytes, NO_SIGNAL)
    }

    fn send_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        SockRef::from(&*self).send_vectored_with_flags(slices, NO_SIGNAL)
    }

    fn shutdown(&mut self) -> io::Result<()> {
        Self::shutdown(self, Shutdown::Write)
    }

    fn limit_unsent(&mut self, _: Option<u32>) {
        // Unread bytes are in the same buffer as unsent ones, and it is small.
    }

    fn prepare(&self) -> io::Result<Option<SocketAddr>> {
        SockRef::from(self).set_nonblocking(true).map(|()| None)
    }

    fn take_error(&self) -> io::Result<Option<io::Error>> {
        Self::take_error(self)
    }

    fn check_peer(&self) -> io::Result<()> {
        self.peer_addr().map(drop)
    }
}
