//! TLS for both ends, by rustls.

mod stream;

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConnection, Connection, RootCertStore, ServerConnection};

pub use stream::TlsStream;

/// All that is spoken over it. A browser that may choose would rather speak HTTP/2.
const PROTOCOL: &[u8] = b"http/1.1";

/// The certificate and the key of a listener: its connections speak TLS, version 1.2 or 1.3.
///
/// Clones are the same: what [`replace`](Self::replace) sets, from any thread, holds for every
/// connection that is accepted after it, and for none that is there.
///
/// Clients may resume their sessions, by tickets whose keys are of this process alone. Nothing
/// blocks: a handshake goes on as its bytes come, within the time that the opening handshake has.
///
/// ```no_run
/// use eventwire::{Config, ConnectionId, Context, EventLoop, Message, ServerConfig, TlsServer};
///
/// let echo = |conn: ConnectionId, message: Message<'_>, cx: &mut Context<'_>, _: &mut ()| {
///     cx.send(conn, message);
/// };
/// let tls = TlsServer::from_pem(&std::fs::read("chain.pem")?, &std::fs::read("key.pem")?)?;
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.listen("0.0.0.0:443", ServerConfig::default().tls(tls.clone()), echo)?;
/// // Before it expires, from a thread that looks for another:
/// tls.replace(&std::fs::read("chain.pem")?, &std::fs::read("key.pem")?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TlsServer(Arc<RwLock<Arc<rustls::ServerConfig>>>);

/// Which servers a client believes to be who they say, for `wss://`.
#[derive(Clone)]
pub struct TlsClient(Arc<rustls::ClientConfig>);

/// Why a certificate or a key cannot be used.
#[derive(Debug)]
pub struct TlsError(String);

impl TlsServer {
    /// With a chain of certificates, the server's own first, and its key, in the PEM format.
    ///
    /// # Errors
    ///
    /// When either cannot be read, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(RwLock::new(server_config(chain, key)?))))
    }

    /// With whatever rustls can be configured to: clients' certificates, or other cryptography.
    /// Without protocols for ALPN, `http/1.1` is offered.
    #[must_use]
    pub fn from_config(mut config: rustls::ServerConfig) -> Self {
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols.push(PROTOCOL.to_vec());
        }
        Self(Arc::new(RwLock::new(Arc::new(config))))
    }

    /// Puts another certificate in the place of the present one.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem); the present one stays then.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let config = server_config(chain, key)?;
        // What the lock guards is whole at any time.
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// The session of one connection.
    pub(crate) fn session(&self) -> io::Result<Connection> {
        let config = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        ServerConnection::new(config).map(Connection::Server).map_err(io::Error::other)
    }
}

impl TlsClient {
    /// Believes servers whose certificates lead to one of these, in the PEM format.
    ///
    /// # Errors
    ///
    /// When they cannot be read, or there is none.
    pub fn from_pem(roots: &[u8]) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        for certificate in certificates(roots)? {
            store.add(certificate).map_err(TlsError::new)?;
        }
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::new)?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self::from_config(config))
    }

    /// With whatever rustls can be configured to: the system's roots, a certificate of its own.
    /// Without protocols for ALPN, `http/1.1` is offered.
    #[must_use]
    pub fn from_config(mut config: rustls::ClientConfig) -> Self {
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols.push(PROTOCOL.to_vec());
        }
        Self(Arc::new(config))
    }

    /// The session of one connection to `host`, a name or an address.
    pub(crate) fn session(&self, host: &str) -> io::Result<Connection> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(&self.0), name);
        session.map(Connection::Client).map_err(io::Error::other)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(TlsError::new)?;
    if certificates.is_empty() {
        return Err(TlsError("no certificate in it".to_owned()));
    }
    Ok(certificates)
}

fn server_config(chain: &[u8], key: &[u8]) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::new)?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::new)?
        .with_no_client_auth()
        .with_single_cert(certificates(chain)?, key)
        .map_err(TlsError::new)?;
    config.alpn_protocols.push(PROTOCOL.to_vec());
    config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(TlsError::new)?;
    Ok(Arc::new(config))
}

impl TlsError {
    fn new(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate or key: {}", self.0)
    }
}

impl std::error::Error for TlsError {}

/// Tells nothing of the key.
impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").finish_non_exhaustive()
    }
}
