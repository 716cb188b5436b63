//! The reactor's streams and listeners, of whatever kind.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use super::socket::Socket;
#[cfg(feature = "tls")]
use super::tls::TlsStream;

/// A stream of a [`MioReactor`](super::MioReactor).
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
    /// Registers a socket that another part of the program opened. Returns its address, unless it
    /// is a path.
    pub(super) fn register(
        &mut self,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(listener) => {
                let socket = SockRef::from(&*listener);
                socket.set_nonblocking(true)?;
                // Accepted streams inherit the option.
                socket.set_tcp_nodelay(true)?;
                registry.register(listener, token, Interest::READABLE)?;
                listener.local_addr().map(Some)
            }
            Self::Unix(listener) => {
                SockRef::from(&*listener).set_nonblocking(true)?;
                registry.register(listener, token, Interest::READABLE)?;
                Ok(None)
            }
        }
    }

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
            Self::Tcp(stream) => stream.recv(buffer),
            Self::Unix(stream) => stream.recv(buffer),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.recv(buffer),
        }
    }

    #[inline]
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.send(bytes),
            Self::Unix(stream) => stream.send(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.send(bytes),
        }
    }

    /// Not inlined, so that [`send`](Self::send) is.
    #[inline(never)]
    pub(super) fn send_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.send_vectored(slices),
            Self::Unix(stream) => stream.send_vectored(slices),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.send_vectored(slices),
        }
    }

    pub(super) fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => Socket::shutdown(stream),
            Self::Unix(stream) => Socket::shutdown(stream),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.shutdown(),
        }
    }

    /// Limits the bytes that the stream accepts ahead of what it sends.
    pub(super) fn limit_unsent(&mut self, bytes: Option<u32>) {
        match self {
            Self::Tcp(stream) => stream.limit_unsent(bytes),
            Self::Unix(stream) => stream.limit_unsent(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.limit_unsent(bytes),
        }
    }

    /// Sets the options of a stream that another part of the program accepted. Returns the address
    /// of its other end, unless that is on this machine.
    pub(crate) fn prepare(&self) -> io::Result<Option<SocketAddr>> {
        self.socket().prepare()
    }

    /// Takes the error that occurred since the last call on the stream.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket().take_error()
    }

    /// Checks that there is another end. Fails with `NotConnected` if there is none so far.
    pub(super) fn check_peer(&self) -> io::Result<()> {
        self.socket().check_peer()
    }

    /// The socket beneath, for what is done rarely.
    fn socket(&self) -> &dyn Socket {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.socket(),
        }
    }

    /// The same, to be registered.
    pub(super) fn socket_mut(&mut self) -> &mut dyn Socket {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.socket_mut(),
        }
    }

    /// The socket of a stream that speaks no TLS.
    #[cfg(feature = "tls")]
    pub(super) fn into_socket(self) -> io::Result<Box<dyn Socket>> {
        match self {
            Self::Tcp(stream) => Ok(Box::new(stream)),
            Self::Unix(stream) => Ok(Box::new(stream)),
            Self::Tls(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}
