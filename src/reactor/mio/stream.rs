use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use socket2::SockRef;

#[cfg(feature = "tls")]
use super::tls::TlsStream;

/// `MSG_NOSIGNAL`: a peer that is gone is an error, and no SIGPIPE, whatever the program has made
/// of that signal. Systems without such a flag have an option, which is set when a socket is made.
const NO_SIGNAL: i32 =
    if cfg!(any(target_os = "linux", target_os = "android")) { 0x4000 } else { 0 };

/// A stream of a [`MioReactor`](super::MioReactor): over TCP, or within the machine.
#[derive(Debug)]
pub enum MioStream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
    /// TLS over one of these.
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
}

/// A listener of a [`MioReactor`](super::MioReactor).
#[derive(Debug)]
pub enum MioListener {
    /// On an address.
    Tcp(TcpListener),
    /// On a path.
    Unix(UnixListener),
}

impl From<std::net::TcpListener> for MioListener {
    fn from(listener: std::net::TcpListener) -> Self {
        Self::Tcp(TcpListener::from_std(listener))
    }
}

impl From<std::os::unix::net::UnixListener> for MioListener {
    fn from(listener: std::os::unix::net::UnixListener) -> Self {
        Self::Unix(UnixListener::from_std(listener))
    }
}

impl From<std::net::TcpStream> for MioStream {
    fn from(stream: std::net::TcpStream) -> Self {
        Self::Tcp(TcpStream::from_std(stream))
    }
}

impl From<std::os::unix::net::UnixStream> for MioStream {
    fn from(stream: std::os::unix::net::UnixStream) -> Self {
        Self::Unix(UnixStream::from_std(stream))
    }
}

impl MioListener {
    pub(super) fn accept(&self) -> io::Result<(MioStream, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                Ok((MioStream::Tcp(stream), Some(peer)))
            }
            Self::Unix(listener) => Ok((MioStream::Unix(listener.accept()?.0), None)),
        }
    }
}

impl MioStream {
    #[inline]
    pub(super) fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.recv(buffer),
        }
    }

    #[inline]
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            // The standard library sends with `NO_SIGNAL`; on Unix sockets its older versions that
            // are supported do not. To do so here would cost every send a branch.
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => SockRef::from(&*stream).send_with_flags(bytes, NO_SIGNAL),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.send(bytes),
        }
    }

    /// Not inlined, so that the plain call is.
    #[inline(never)]
    pub(super) fn send_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => send_vectored(SockRef::from(&*stream), slices),
            Self::Unix(stream) => send_vectored(SockRef::from(&*stream), slices),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.send_vectored(slices),
        }
    }

    pub(super) fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.shutdown(),
        }
    }

    /// Bounds what the stream takes ahead of what it sends. Writable readiness then tells that it
    /// holds less than half of that unsent.
    pub(super) fn limit_unsent(&mut self, bytes: Option<u32>) {
        match self {
            Self::Tcp(stream) => {
                // Zero is the system's own limit. One that knows no other holds what it did.
                let _ = SockRef::from(&*stream).set_tcp_notsent_lowat(bytes.unwrap_or(0));
            }
            // What was sent and not read is held in the same buffer, which is small.
            Self::Unix(_) => {}
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.limit_unsent(bytes),
        }
    }

    /// Makes a stream that somebody else accepted as those are that were accepted here. Tells where
    /// it comes from, unless it is from this machine.
    pub(crate) fn prepare(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(stream) => {
                SockRef::from(stream).set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                stream.peer_addr().map(Some)
            }
            Self::Unix(stream) => SockRef::from(stream).set_nonblocking(true).map(|()| None),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.inner().prepare(),
        }
    }

    /// The error that the stream met with while nobody called it.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::Tcp(stream) => stream.take_error(),
            Self::Unix(stream) => stream.take_error(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.inner().take_error(),
        }
    }

    /// Whether there is another end; fails with `NotConnected` if there is none yet.
    pub(super) fn peer(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().map(drop),
            Self::Unix(stream) => stream.peer_addr().map(drop),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.inner().peer(),
        }
    }
}

/// `writev` takes no flags.
fn send_vectored(socket: SockRef<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    socket.send_vectored_with_flags(slices, NO_SIGNAL)
}
