//! TLS for both ends, with rustls.

mod certificate;
mod stream;

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConnection, Connection, RootCertStore, ServerConnection};

use self::certificate::Certificate;
pub use self::stream::TlsStream;

/// The only protocol over TLS. Without ALPN, a browser might choose HTTP/2.
const ALPN_PROTOCOL: &[u8] = b"http/1.1";

/// The certificate and the key of a listener. Its connections use TLS 1.2 or 1.3.
///
/// Needs the feature `tls`.
///
/// Clones share the certificate: [`replace`](Self::replace), which any thread may call, affects
/// every handshake that begins afterwards, and no earlier one.
///
/// Clients can resume sessions with tickets, whose keys only this process has. A TLS handshake does
/// not block the loop. It must end within the timeout of the opening handshake.
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
/// // Before it expires, from another thread:
/// tls.replace(&std::fs::read("chain.pem")?, &std::fs::read("key.pem")?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TlsServer {
    config: Arc<rustls::ServerConfig>,
    /// The certificate that `config` presents.
    certificate: Arc<Certificate>,
}

/// The root certificates that a client trusts for `wss://`.
///
/// Needs the feature `tls`.
#[derive(Clone)]
pub struct TlsClient(Arc<rustls::ClientConfig>);

/// Why a certificate or a key cannot be used.
///
/// Needs the feature `tls`.
#[derive(Debug)]
pub struct TlsError(String);

impl TlsServer {
    /// Uses a certificate chain, which begins with the server's own certificate, and its key, in
    /// PEM format.
    ///
    /// # Errors
    ///
    /// If either cannot be parsed, or they do not match.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::with_client_verifier(chain, key, WebPkiClientVerifier::no_client_auth())
    }

    /// The same, and requires that clients present a certificate whose chain ends in one of the
    /// roots `client_roots`, in PEM format. Without one, the TLS handshake fails.
    ///
    /// [`Connection::peer_certificates`](crate::Connection::peer_certificates) has the chain, for
    /// instance in [`on_upgrade`](crate::WebSocketHandler::on_upgrade). For revocation lists, or
    /// clients that need not have a certificate, use [`from_config`](Self::from_config).
    ///
    /// # Errors
    ///
    /// If anything cannot be parsed, or the certificate and the key do not match.
    pub fn from_pem_for_clients(
        chain: &[u8],
        key: &[u8],
        client_roots: &[u8],
    ) -> Result<Self, TlsError> {
        let roots = Arc::new(root_store(client_roots)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
        Self::with_client_verifier(chain, key, verifier.map_err(TlsError::new)?)
    }

    fn with_client_verifier(
        chain: &[u8],
        key: &[u8],
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Self, TlsError> {
        let provider = provider();
        let certificate = certified_key(chain, key, &provider)?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::new)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
        config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(TlsError::new)?;
        Ok(Self::from_config(config))
    }

    /// Uses any configuration of rustls, for instance with client certificates or another
    /// cryptography provider. If it has no ALPN protocols, `http/1.1` is offered.
    #[must_use]
    pub fn from_config(mut config: rustls::ServerConfig) -> Self {
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols.push(ALPN_PROTOCOL.to_vec());
        }
        let certificate = Arc::new(Certificate::new(Arc::clone(&config.cert_resolver)));
        config.cert_resolver = Arc::clone(&certificate) as Arc<dyn ResolvesServerCert>;
        Self { config: Arc::new(config), certificate }
    }

    /// Replaces the certificate with its chain and its key. Nothing else of the configuration
    /// changes: client authentication, versions, cipher suites, protocols and tickets stay.
    ///
    /// - Open connections continue. Sessions can be resumed as before, without the certificate
    ///   being presented again. Tickets of [`from_pem`](Self::from_pem) last 12 hours.
    /// - A configuration with its own resolver (`with_cert_resolver`), for instance by server name,
    ///   still decides which clients are accepted. All accepted clients get this certificate,
    ///   whatever name they ask for. If there are several certificates, do not call this, but let
    ///   that resolver renew them.
    ///
    /// # Errors
    ///
    /// If either cannot be parsed, they do not match, or the configuration uses raw public keys
    /// (RFC 7250) instead of certificates. The current certificate then stays.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        if self.certificate.only_raw_public_keys() {
            return Err(TlsError(
                "the configuration uses a raw public key, not a certificate".to_owned(),
            ));
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
    /// Trusts servers whose certificate chains end in one of these roots, in PEM format.
    ///
    /// # Errors
    ///
    /// If they cannot be parsed, or there are none.
    pub fn from_pem(roots: &[u8]) -> Result<Self, TlsError> {
        let store = root_store(roots)?;
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::new)?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self::from_config(config))
    }

    /// Uses any configuration of rustls, for instance with the system's roots or a client
    /// certificate. If it has no ALPN protocols, `http/1.1` is offered.
    #[must_use]
    pub fn from_config(mut config: rustls::ClientConfig) -> Self {
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols.push(ALPN_PROTOCOL.to_vec());
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
        return Err(TlsError("it contains no certificate".to_owned()));
    }
    Ok(certificates)
}

/// Trusted roots in PEM format.
fn root_store(roots: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(roots)? {
        store.add(certificate).map_err(TlsError::new)?;
    }
    Ok(store)
}

/// A chain and its key, after a check that they match.
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

/// Reveals nothing of the key.
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
