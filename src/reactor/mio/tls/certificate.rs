//! The certificate of a server, which can be replaced while the server runs.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The certificate that a server presents: the configuration's choice, until it is replaced.
///
/// The configuration refers to this resolver, so that a replacement changes nothing else: client
/// authentication, versions, cipher suites, protocols, and which sessions can be resumed.
#[derive(Debug)]
pub(super) struct Certificate {
    /// The configuration's own resolver. It continues to decide which clients are accepted.
    configured: Arc<dyn ResolvesServerCert>,
    /// The certificate that is presented instead.
    replaced: RwLock<Option<Arc<CertifiedKey>>>,
}

impl Certificate {
    pub(super) const fn new(configured: Arc<dyn ResolvesServerCert>) -> Self {
        Self { configured, replaced: RwLock::new(None) }
    }

    pub(super) fn replace(&self, certificate: CertifiedKey) {
        // The guarded value is valid at any time.
        let mut replaced = self.replaced.write().unwrap_or_else(PoisonError::into_inner);
        *replaced = Some(Arc::new(certificate));
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let configured = self.configured.resolve(hello)?;
        let replaced = self.replaced.read().unwrap_or_else(PoisonError::into_inner);
        Some(replaced.as_ref().map_or(configured, Arc::clone))
    }

    fn only_raw_public_keys(&self) -> bool {
        self.configured.only_raw_public_keys()
    }
}
