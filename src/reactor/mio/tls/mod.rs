//! TLS for both ends, by rustls.

mod certificate;
mod stream;

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConnection, Connection, RootCertStore, ServerConnection};

use self::certificate::Certificate;
pub use self::stream::TlsStream;

/// All that is spoken over it. A browser that may choose would rather speak HTTP/2.
const PROTOCOL: &[u8] = b"http/1.1";

/// The certificate and the key of a listener: its connections speak TLS, version 1.2 or 1.3.
///
/// Clones are the same: what [`replace`](Self::replace) sets, from any thread, holds for every
/// handshake that begins after it, and for no connection that has made its own.
///
/// Clients may resume their sessions, by tickets whose keys are of this process alone. Nothing
/// blocks: a handshake goes on as its bytes come, within the time that the opening handshake has.
///
/// ```no_run
/// use eventwire::{Config, EventLoop, ServerConfig, TlsServer};
///
/// let tls = TlsServer::from_pem(&std::fs::read("chain.pem")?, &std::fs::read("key.pem")?)?;
/// let config = ServerConfig::default().tls(tls.clone());
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.listen_fn("0.0.0.0:443", config, |conn, message, _: &mut ()| {
///     conn.send(message);
/// })?;
/// // Before it expires, from a thread that looks for another:
/// tls.replace(&std::fs::read("chain.pem")?, &std::fs::read("key.pem")?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TlsServer {
    config: Arc<rustls::ServerConfig>,
    /// What `config` shows its clients.
    certificate: Arc<Certificate>,
}

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
        let provider = provider();
        let certificate = certified_key(chain, key, &provider)?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::new)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
        config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(TlsError::new)?;
        Ok(Self::from_config(config))
    }

    /// With whatever rustls can be configured to: clients' certificates, or other cryptography.
    /// Without protocols for ALPN, `http/1.1` is offered.
    #[must_use]
    pub fn from_config(mut config: rustls::ServerConfig) -> Self {
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols.push(PROTOCOL.to_vec());
        }
        let certificate = Arc::new(Certificate::new(Arc::clone(&config.cert_resolver)));
        config.cert_resolver = Arc::clone(&certificate) as Arc<dyn ResolvesServerCert>;
        Self { config: Arc::new(config), certificate }
    }

    /// Puts another certificate, with its chain and its key, in the place of the present one.
    /// Nothing else changes of what [`from_config`](Self::from_config) was given: which clients are
    /// let in and by which certificates of theirs, versions, cipher suites, protocols, tickets.
    ///
    /// - Connections that are there stay. Sessions may be resumed as before: who resumes one has
    ///   seen a certificate when it began, and is shown none again. Tickets of
    ///   [`from_pem`](Self::from_pem) last 12 hours.
    /// - A configuration that chooses certificates by itself, for instance by the name that a
    ///   client asks for (`with_cert_resolver`), still decides which clients are answered. Every
    ///   client that it answers is shown this certificate, whatever the name: where there are
    ///   several certificates, let that resolver renew them, and do not call this.
    ///
    /// # Errors
    ///
    /// When either cannot be read, they do not belong together, or the configuration shows raw
    /// public keys (RFC 7250) instead of certificates. The present one stays then.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        if self.certificate.only_raw_public_keys() {
            return Err(TlsError("a raw public key is shown, and no certificate".to_owned()));
        }
        let certificate = certified_key(chain, key, self.config.crypto_provider())?;
        self.certificate.replace(certificate);
        Ok(())
    }

    /// The session of one connection.
    pub(crate) fn session(&self) -> io::Result<Connection> {
        let session = ServerConnection::new(Arc::clone(&self.config));
        session.map(Connection::Server).map_err(io::Error::other)
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

fn provider() -> Arc<CryptoProvider> {
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

/// A chain and its key, checked to belong together.
fn certified_key(
    chain: &[u8],
    key: &[u8],
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::new)?;
    CertifiedKey::from_der(certificates(chain)?, key, provider).map_err(TlsError::new)
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
