use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
#[cfg(feature = "tls")]
use std::sync::{Arc, LazyLock};
use std::time::Duration;

#[cfg(feature = "tls")]
use rustls::pki_types::ServerName;
#[cfg(feature = "tls")]
use rustls::{ClientConfig, ClientConnection};
use socket2::SockRef;

#[cfg(feature = "tls")]
use super::Identity;
use super::PATIENCE;

/// The address of a server, and whether it speaks TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) secure: bool,
}

impl Target {
    /// A client's end of `stream`, which was connected to this target.
    pub(crate) fn wire(self, stream: TcpStream) -> Wire {
        if self.secure { Wire::secure(stream) } else { Wire::Plain(stream) }
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self { address, secure: false }
    }
}

/// A stream as a client has it, with TLS or without.
#[derive(Debug)]
pub(crate) enum Wire {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Secure(Box<Secure>),
}

/// TLS over a stream, by another implementation's calls alone.
#[cfg(feature = "tls")]
#[derive(Debug)]
pub(crate) struct Secure {
    pub(crate) session: ClientConnection,
    pub(crate) socket: TcpStream,
}

/// The clients' configuration. Without resumption, all handshakes are alike.
#[cfg(feature = "tls")]
static CLIENT: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let mut config = ClientConfig::clone(&Identity::ONE.others_client(&[]));
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_secret_extraction = true;
    Arc::new(config)
});

impl Wire {
    /// TLS over a stream, before its handshake.
    #[cfg(feature = "tls")]
    pub(crate) fn secure(socket: TcpStream) -> Self {
        let name = ServerName::try_from("localhost").expect("a name");
        let session = ClientConnection::new(Arc::clone(&CLIENT), name).expect("a session");
        Self::Secure(Box::new(Secure { session, socket }))
    }

    #[cfg(not(feature = "tls"))]
    pub(crate) fn secure(_: TcpStream) -> Self {
        panic!("there is no TLS without the feature");
    }

    /// The socket beneath.
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            #[cfg(feature = "tls")]
            Self::Secure(secure) => &secure.socket,
        }
    }

    /// Sends what is written at once, and waits for nothing for ever.
    pub(crate) fn be_patient(&self) {
        let socket = self.socket();
        socket.set_nodelay(true).expect("set TCP_NODELAY");
        socket.set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
        socket.set_write_timeout(Some(PATIENCE)).expect("set the write timeout");
    }

    /// Makes the handshake of TLS, if there is one to make.
    pub(crate) fn shake_hands(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            #[cfg(feature = "tls")]
            Self::Secure(secure) => secure.shake_hands(),
        }
    }

    /// Sends bytes as soon as possible, and waits for nothing: over TLS the first read makes the
    /// handshake.
    pub(crate) fn write_when_possible(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes),
            #[cfg(feature = "tls")]
            Self::Secure(secure) => {
                secure.session.writer().write_all(bytes)?;
                secure.push()
            }
        }
    }

    /// Ends the stream with a reset.
    pub(crate) fn reset(self) {
        SockRef::from(self.socket()).set_linger(Some(Duration::ZERO)).expect("set SO_LINGER");
    }

    /// Ends the sending half in order.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Self::Secure(secure) = self {
            secure.session.send_close_notify();
            secure.push()?;
        }
        self.socket().shutdown(Shutdown::Write)
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            #[cfg(feature = "tls")]
            Self::Secure(secure) => secure.read(buffer),
        }
    }
}

impl Write for Wire {
    /// Over TLS a record that the system does not take whole waits in the session, and nothing
    /// more is taken before it has gone.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            #[cfg(feature = "tls")]
            Self::Secure(secure) => secure.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            #[cfg(feature = "tls")]
            Self::Secure(secure) => secure.push(),
        }
    }
}

#[cfg(feature = "tls")]
impl Secure {
    /// The longest payload of a record.
    const RECORD: usize = 16 * 1024;

    fn shake_hands(&mut self) -> io::Result<()> {
        while self.session.is_handshaking() {
            self.push()?;
            if self.take_in()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.push()
    }

    /// Sends all that waits.
    fn push(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    /// Takes in what has come, as soon as something has.
    fn take_in(&mut self) -> io::Result<usize> {
        let count = self.session.read_tls(&mut self.socket)?;
        let processed = self.session.process_new_packets();
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(count)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.session.is_handshaking() {
            self.shake_hands()?;
        }
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.take_in()?,
                // An end without close_notify is an error.
                read => return read,
            };
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.shake_hands()?;
        let taken = self.session.writer().write(&bytes[..bytes.len().min(Self::RECORD)])?;
        match self.push() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(taken),
            pushed => pushed.map(|()| taken),
        }
    }
}
