//! The one part of a server's configuration that changes while it serves.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// What a server shows its clients: what its configuration chooses, until that is replaced.
///
/// The configuration points here, so that whatever else it says stays as it is: who is let in,
/// which versions, cipher suites and protocols are spoken, which sessions may be resumed.
#[derive(Debug)]
pub(super) struct Certificate {
    /// The configuration's own choice. It keeps deciding which clients are answered.
    configured: Arc<dyn ResolvesServerCert>,
    /// What is shown instead.
    replaced: RwLock<Option<Arc<CertifiedKey>>>,
}

impl Certificate {
    pub(super) const fn new(configured: Arc<dyn ResolvesServerCert>) -> Self {
        Self { configured, replaced: RwLock::new(None) }
    }

    pub(super) fn replace(&self, certificate: CertifiedKey) {
        // What the lock guards is whole at any time.
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
