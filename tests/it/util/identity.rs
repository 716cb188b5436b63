use std::sync::Arc;

use eventwire::{TlsClient, TlsServer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// A certificate for `localhost` that vouches for itself, for a century, and its key, which is no
/// secret.
pub(crate) struct Identity {
    pub(crate) chain: &'static [u8],
    pub(crate) key: &'static [u8],
}

impl Identity {
    pub(crate) const ONE: Self =
        Self { chain: include_bytes!("../tls/one.pem"), key: include_bytes!("../tls/one-key.pem") };

    pub(crate) const OTHER: Self = Self {
        chain: include_bytes!("../tls/other.pem"),
        key: include_bytes!("../tls/other-key.pem"),
    };

    pub(crate) fn server(&self) -> TlsServer {
        TlsServer::from_pem(self.chain, self.key).expect("it is right")
    }

    pub(crate) fn client(&self) -> TlsClient {
        TlsClient::from_pem(self.chain).expect("it is right")
    }

    /// What another implementation's client is configured with.
    pub(crate) fn others_client(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(self.chain).expect("it is right");
        roots.add(certificate).expect("it is right");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols =
            protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}
