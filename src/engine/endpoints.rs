//! Endpoints without their handlers: what listeners and connections need to know of them.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::{ClientConfig, StreamConfig};
use crate::engine::ids::EndpointId;
use crate::error::Error;
use crate::net::proxies::TrustedProxies;
use crate::proto::Limits;
use crate::proto::handshake::HandshakeError;
use crate::proto::http::HttpRequest;
use crate::proto::stream::StreamLimits;
#[cfg(feature = "tls")]
use crate::reactor::TlsServer;
use crate::slots::Slots;

/// Every endpoint of a loop. Their handlers are kept apart, by the same slot, because only the
/// loop knows the type of the state that they borrow.
#[derive(Debug)]
pub(crate) struct Endpoints {
    slots: Slots<Entry>,
}

#[derive(Debug)]
struct Entry {
    endpoint: Endpoint,
    registration: Registration,
    /// How many listeners and connections use it.
    users: usize,
}

/// Who keeps an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registration {
    /// The application, which has its id.
    Kept,
    /// The listener or connection that it was made for.
    Temporary,
    /// Nobody any more, but listeners and connections may still use it.
    Removed,
}

/// A handler's configuration.
#[derive(Debug)]
pub(crate) enum Endpoint {
    Server(ServerEndpoint),
    Client(Arc<ClientEndpoint>),
    Stream(Arc<StreamEndpoint>),
}

/// What is configured for the connections of listeners.
#[derive(Debug)]
pub(crate) struct ServerEndpoint {
    /// The limits of a connection until it is open.
    pub(crate) limits: Arc<Limits>,
    pub(crate) proxies: Option<TrustedProxies>,
    /// Whether its connections are exempt from the limits of addresses.
    pub(crate) is_exempt: bool,
    pub(crate) backlog: u32,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsServer>,
}

/// What is configured for the connections that this program makes.
#[derive(Debug)]
pub(crate) struct ClientEndpoint {
    pub(crate) config: ClientConfig,
    pub(crate) limits: Arc<Limits>,
    /// The index of its handler.
    pub(crate) handler: usize,
}

/// What is configured for raw streams, accepted or made.
#[derive(Debug)]
pub(crate) struct StreamEndpoint {
    pub(crate) config: StreamConfig,
    pub(crate) limits: Arc<StreamLimits>,
    /// The index of its handler.
    pub(crate) handler: usize,
}

impl StreamEndpoint {
    /// Whether a stream from `peer` begins with a PROXY protocol header.
    pub(crate) fn announces(&self, peer: Option<SocketAddr>) -> bool {
        self.config.proxies.as_ref().is_some_and(|proxies| proxies.announces(peer))
    }
}

impl Endpoint {
    /// How many connections wait to be accepted, if listeners can use it.
    fn backlog(&self) -> Option<u32> {
        match self {
            Self::Server(server) => Some(server.backlog),
            Self::Stream(stream) => Some(stream.config.backlog),
            Self::Client(_) => None,
        }
    }

    /// The address for which a connection from `peer` counts.
    pub(crate) fn counted_address(&self, peer: Option<SocketAddr>) -> Option<IpAddr> {
        match self {
            Self::Server(server) => server.counted_address(peer),
            Self::Stream(stream) => {
                counted_address(stream.config.is_exempt, stream.config.proxies.as_ref(), peer)
            }
            Self::Client(_) => None,
        }
    }

    /// Whether an accepted connection from `peer` begins with a PROXY protocol header.
    #[cfg(feature = "tls")]
    pub(crate) fn announces(&self, peer: Option<SocketAddr>) -> bool {
        match self {
            Self::Server(server) => server.announces(peer),
            Self::Stream(stream) => stream.announces(peer),
            Self::Client(_) => false,
        }
    }

    /// The TLS of accepted connections.
    #[cfg(feature = "tls")]
    pub(crate) fn accepting_tls(&self) -> Option<&TlsServer> {
        match self {
            Self::Server(server) => server.tls.as_ref(),
            Self::Stream(stream) => stream.config.tls_server.as_ref(),
            Self::Client(_) => None,
        }
    }
}

/// The address for which a connection from `peer` counts. Trusted proxies do not count, but the
/// clients that they name.
fn counted_address(
    is_exempt: bool,
    proxies: Option<&TrustedProxies>,
    peer: Option<SocketAddr>,
) -> Option<IpAddr> {
    let is_proxy = proxies.is_some_and(|proxies| proxies.trusts_peer(peer));
    peer.filter(|_| !is_exempt && !is_proxy).map(|peer| peer.ip())
}

impl ServerEndpoint {
    /// The address for which a connection or request from `peer` counts.
    pub(crate) fn counted_address(&self, peer: Option<SocketAddr>) -> Option<IpAddr> {
        counted_address(self.is_exempt, self.proxies.as_ref(), peer)
    }

    /// The client's address, if `peer` is a trusted proxy that reports it.
    ///
    /// # Errors
    ///
    /// If the proxy's header lists too many addresses.
    #[inline]
    pub(crate) fn client(
        &self,
        request: &HttpRequest<'_>,
        peer: Option<SocketAddr>,
    ) -> Result<Option<SocketAddr>, HandshakeError> {
        self.proxies.as_ref().map_or(Ok(None), |proxies| proxies.client(request, peer))
    }

    /// Whether its connections use TLS.
    pub(crate) const fn speaks_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Whether a connection from `peer` begins with a PROXY protocol header.
    pub(crate) fn announces(&self, peer: Option<SocketAddr>) -> bool {
        self.proxies.as_ref().is_some_and(|proxies| proxies.announces(peer))
    }
}

impl Endpoints {
    pub(crate) const fn new() -> Self {
        Self { slots: Slots::new() }
    }

    /// Adds the endpoint that `make` returns for the slot it is given. A temporary one is freed
    /// after its last use.
    pub(crate) fn add(
        &mut self,
        registration: Registration,
        make: impl FnOnce(usize) -> Endpoint,
    ) -> EndpointId {
        let made: Result<_, Infallible> = self.slots.try_insert_with(|key| {
            Ok(Entry { endpoint: make(key.index()), registration, users: 0 })
        });
        let Ok(key) = made;
        EndpointId(key)
    }

    /// The endpoint in a slot.
    #[inline]
    pub(crate) fn at(&self, slot: usize) -> Option<&Endpoint> {
        self.slots.at(slot).map(|entry| &entry.endpoint)
    }

    /// The server's endpoint in a slot.
    #[inline]
    pub(crate) fn server(&self, slot: usize) -> Option<&ServerEndpoint> {
        match self.at(slot)? {
            Endpoint::Server(server) => Some(server),
            Endpoint::Client(_) | Endpoint::Stream(_) => None,
        }
    }

    /// The index of the handler of the raw streams' endpoint in a slot.
    pub(crate) fn stream_handler(&self, slot: usize) -> Option<usize> {
        match self.at(slot)? {
            Endpoint::Stream(stream) => Some(stream.handler),
            Endpoint::Server(_) | Endpoint::Client(_) => None,
        }
    }

    /// The backlog of listeners that are to use the endpoint.
    ///
    /// # Errors
    ///
    /// If there is none of that id, or none that listeners can use.
    pub(crate) fn backlog(&self, id: EndpointId) -> Result<u32, Error> {
        self.get(id)?.backlog().ok_or(Error::WrongEndpoint)
    }

    /// The endpoint that raw streams are to be made with.
    ///
    /// # Errors
    ///
    /// If there is none of that id, or it is none of raw streams.
    pub(crate) fn for_streams(&self, id: EndpointId) -> Result<&Arc<StreamEndpoint>, Error> {
        match self.get(id)? {
            Endpoint::Stream(stream) => Ok(stream),
            Endpoint::Server(_) | Endpoint::Client(_) => Err(Error::WrongEndpoint),
        }
    }

    /// The endpoint that connections are to be made with.
    ///
    /// # Errors
    ///
    /// If there is none of that id, or it is none of a client.
    pub(crate) fn for_connecting(&self, id: EndpointId) -> Result<&Arc<ClientEndpoint>, Error> {
        match self.get(id)? {
            Endpoint::Client(client) => Ok(client),
            Endpoint::Server(_) | Endpoint::Stream(_) => Err(Error::WrongEndpoint),
        }
    }

    fn get(&self, id: EndpointId) -> Result<&Endpoint, Error> {
        let entry = self.slots.get(id.0);
        let entry = entry.filter(|entry| entry.registration != Registration::Removed);
        entry.map(|entry| &entry.endpoint).ok_or(Error::UnknownEndpoint)
    }

    /// Removes an endpoint for the application, which returns `false` if it was removed before. It
    /// is to be freed once nothing uses it.
    pub(crate) fn unregister(&mut self, id: EndpointId) -> bool {
        let entry = self.slots.get_mut(id.0);
        let Some(entry) = entry.filter(|entry| entry.registration == Registration::Kept) else {
            return false;
        };
        entry.registration = Registration::Removed;
        true
    }

    /// Counts a listener or connection that uses the endpoint.
    pub(crate) fn enter(&mut self, slot: usize) {
        if let Some(entry) = self.slots.at_mut(slot) {
            entry.users += 1;
        }
    }

    /// Uncounts a listener or connection.
    pub(crate) fn leave(&mut self, slot: usize) {
        if let Some(entry) = self.slots.at_mut(slot) {
            entry.users -= 1;
        }
    }

    /// Whether nothing uses the endpoint, and nothing can any more.
    pub(crate) fn is_unused(&self, slot: usize) -> bool {
        let entry = self.slots.at(slot);
        entry.is_some_and(|entry| entry.users == 0 && entry.registration != Registration::Kept)
    }

    /// Removes an endpoint that nothing uses.
    pub(crate) fn remove_unused(&mut self, slot: usize) -> Option<Endpoint> {
        if self.is_unused(slot) {
            self.slots.remove_at(slot).map(|entry| entry.endpoint)
        } else {
            None
        }
    }
}
