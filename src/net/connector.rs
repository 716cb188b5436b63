use std::net::SocketAddr;

/// A connection that is being made: what is still to be tried.
#[derive(Debug, Default)]
pub(crate) struct Connector {
    /// Addresses not tried yet, the next one last.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Whom to believe that it is the host of that name, if the connection is to speak TLS.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<(crate::reactor::TlsClient, String)>,
}
