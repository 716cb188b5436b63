//! Proxies in front of a listener, and the clients that they forward.

mod forwarded;
mod network;

use std::net::SocketAddr;

pub(crate) use network::Networks;
pub use network::{InvalidNetwork, Network};

use crate::proto::handshake::HandshakeError;
use crate::proto::http::HttpRequest;
use crate::proto::proxy_protocol;

/// The proxies that are trusted to name the client they forward, and where they name it. What
/// anybody else writes there is ignored.
///
/// [`Connection::peer_addr`](crate::Connection::peer_addr) is then the client's address, with
/// port 0 where the proxy names none. Of several proxies in a row, the outermost trusted one names
/// the client.
///
/// ```
/// use eventwire::{ServerConfig, TrustedProxies};
///
/// let inside = ["10.0.0.0/8".parse()?, "::1".parse()?];
/// let config = ServerConfig::default().proxies(TrustedProxies::x_forwarded_for(inside));
/// # Ok::<(), eventwire::InvalidNetwork>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Networks,
    trusts_unix: bool,
    source: Source,
}

/// Where a proxy names its client. Only one place is trusted: another, which the proxy does not
/// write, may have been written by the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Forwarded,
    XForwardedFor,
    ProxyProtocol,
}

impl TrustedProxies {
    /// Proxies in these networks, which write the header `Forwarded` (RFC 7239).
    ///
    /// The header is read from its end. The last element was written by a trusted proxy, so it is
    /// well formed, and its beginning does not depend on what a client wrote before it: a quote
    /// that the client left open hides nothing, and a comma within quotes separates nothing. This
    /// requires that the proxy quotes what it copies from its client, `host` for instance, and
    /// escapes quotes and backslashes in it (RFC 7239 §4, RFC 9110 §5.6.4).
    ///
    /// A request whose header has more than [`HeadLimits::ELEMENTS_MAX`] elements is refused with
    /// 431.
    ///
    /// [`HeadLimits::ELEMENTS_MAX`]: crate::proto::http::HeadLimits::ELEMENTS_MAX
    #[must_use]
    pub fn forwarded(networks: impl IntoIterator<Item = Network>) -> Self {
        Self::new(networks, Source::Forwarded)
    }

    /// Proxies in these networks, which write the header `X-Forwarded-For`.
    ///
    /// A request whose header has more than [`HeadLimits::ELEMENTS_MAX`] elements is refused with
    /// 431.
    ///
    /// [`HeadLimits::ELEMENTS_MAX`]: crate::proto::http::HeadLimits::ELEMENTS_MAX
    #[must_use]
    pub fn x_forwarded_for(networks: impl IntoIterator<Item = Network>) -> Self {
        Self::new(networks, Source::XForwardedFor)
    }

    /// Proxies in these networks, which begin each connection with a header of the PROXY protocol,
    /// version 1 (a line of text, at most 107 bytes) or version 2 (binary, at most 16 KiB including
    /// extensions, of which only the client's address is read). A connection from these networks
    /// that does not begin with the header is refused with 400. A connection of the proxy itself
    /// (`LOCAL`), or whose client the proxy does not know (`UNKNOWN`), keeps the proxy's address.
    ///
    /// The header comes before everything else, including TLS if the listener speaks it.
    #[must_use]
    pub fn proxy_protocol(networks: impl IntoIterator<Item = Network>) -> Self {
        Self::new(networks, Source::ProxyProtocol)
    }

    fn new(networks: impl IntoIterator<Item = Network>, source: Source) -> Self {
        Self { networks: Networks::new(networks), trusts_unix: false, source }
    }

    /// Trusts everybody who connects over a Unix socket, too: the permissions of its file say who
    /// may.
    #[must_use]
    pub const fn unix_sockets(mut self) -> Self {
        self.trusts_unix = true;
        self
    }

    /// Whether `peer` is one of the proxies.
    pub(crate) fn trusts_peer(&self, peer: Option<SocketAddr>) -> bool {
        peer.map_or(self.trusts_unix, |peer| self.networks.contain(peer.ip()))
    }

    /// Whether a connection from `peer` begins with a header of the PROXY protocol.
    pub(crate) fn announces(&self, peer: Option<SocketAddr>) -> bool {
        self.source == Source::ProxyProtocol && self.trusts_peer(peer)
    }

    /// The client's address, if `peer` is a trusted proxy that names it in the request.
    ///
    /// # Errors
    ///
    /// When the header that names it has too many elements.
    pub(crate) fn client(
        &self,
        request: &HttpRequest<'_>,
        peer: Option<SocketAddr>,
    ) -> Result<Option<SocketAddr>, HandshakeError> {
        let (name, address): (_, fn(&str) -> Option<SocketAddr>) = match self.source {
            Source::Forwarded => ("Forwarded", forwarded::node),
            Source::XForwardedFor => ("X-Forwarded-For", forwarded::address),
            Source::ProxyProtocol => return Ok(None),
        };
        if !self.trusts_peer(peer) {
            return Ok(None);
        }
        Ok(forwarded::client(&request.list(name)?, address, |ip| self.networks.contain(ip)))
    }
}

/// The client's address in a header of the PROXY protocol; `None` if the connection is the proxy's
/// own, or of a kind that has no such address.
pub(crate) fn announced(header: &[u8]) -> Option<SocketAddr> {
    proxy_protocol::source(header)
}
