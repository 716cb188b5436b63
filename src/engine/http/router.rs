//! Routers: a listener's configuration and resources, kept until its last connection has ended.

use std::net::SocketAddr;
use std::sync::Arc;

use slab::Slab;

use crate::config::ServerConfig;
use crate::engine::http::routes::{HttpHandler, Pattern, Route, Routes};
use crate::engine::ids::ListenerId;
use crate::engine::server::endpoint::{Endpoint, check_subprotocols};
use crate::error::Error;
use crate::net::proxies::TrustedProxies;
use crate::proto::Limits;
use crate::proto::handshake::HandshakeError;
use crate::proto::http::{HttpRequest, HttpResponse};
use crate::slots::{Key, Slots};

/// The resources that the connections of one listener can request, and what was configured for
/// them.
pub(crate) struct Router<S> {
    /// The limits of a connection until it is open.
    pub(crate) limits: Arc<Limits>,
    pub(crate) proxies: Option<TrustedProxies>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<crate::reactor::TlsServer>,
    /// In order of precedence: the first pattern that matches wins.
    resources: Vec<(Pattern, Resource<S>)>,
    /// The sockets that the listener listens on. Empty once the listener is closed.
    sockets: Vec<Key>,
    /// How many connections it serves.
    connections: usize,
}

/// What is served at a path.
pub(crate) enum Resource<S> {
    /// The endpoint's index.
    WebSocket(usize),
    Handler(Box<dyn HttpHandler<S>>),
    Page(HttpResponse),
    Metrics,
}

/// A validated configuration with its routes, from which a router is built.
pub(crate) struct RouterBuilder<S> {
    config: ServerConfig,
    routes: Vec<(Pattern, Route<S>)>,
}

impl<S> RouterBuilder<S> {
    pub(crate) fn new(config: ServerConfig, routes: Routes<S>) -> Result<Self, Error> {
        let routes = routes.into_sorted()?;
        for (_, route) in &routes {
            if let Route::WebSocket(config, _) = route {
                check_subprotocols(&config.subprotocols)?;
            }
        }
        Ok(Self { config, routes })
    }

    pub(crate) const fn backlog(&self) -> u32 {
        self.config.backlog
    }

    /// Builds the router for `slot`, of a listener with these sockets. Also makes the endpoints of
    /// its routes.
    pub(crate) fn build(
        self,
        slot: usize,
        sockets: Vec<Key>,
        endpoints: &mut Slab<Endpoint<S>>,
    ) -> Router<S> {
        let resources = self.routes.into_iter().map(|(pattern, route)| {
            let resource = match route {
                Route::WebSocket(config, handler) => {
                    Resource::WebSocket(endpoints.insert(Endpoint::server(handler, config, slot)))
                }
                Route::Handler(handler) => Resource::Handler(handler),
                Route::Page(page) => Resource::Page(page),
                Route::Metrics => Resource::Metrics,
            };
            (pattern, resource)
        });
        let resources = resources.collect();
        Router {
            limits: Arc::new(self.config.limits),
            proxies: self.config.proxies,
            #[cfg(feature = "tls")]
            tls: self.config.tls,
            resources,
            sockets,
            connections: 0,
        }
    }
}

impl<S> Router<S> {
    /// The resource at `path`.
    pub(crate) fn find(&mut self, path: &str) -> Option<&mut Resource<S>> {
        let found = self.resources.iter_mut().find(|(pattern, _)| pattern.matches(path));
        found.map(|(_, resource)| resource)
    }

    /// The client's address, if `peer` is a trusted proxy that reports it.
    ///
    /// # Errors
    ///
    /// If the proxy's header lists too many addresses.
    pub(crate) fn client(
        &self,
        request: &HttpRequest<'_>,
        peer: Option<SocketAddr>,
    ) -> Result<Option<SocketAddr>, HandshakeError> {
        self.proxies.as_ref().map_or(Ok(None), |proxies| proxies.client(request, peer))
    }

    /// Whether the listener terminates TLS.
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

/// The routers of all open listeners, and of closed ones that still have connections. A connection
/// names its router by its slot, which is not reused while the connection is counted.
pub(crate) struct Routers<S> {
    slots: Slots<Router<S>>,
}

impl<S> Routers<S> {
    pub(crate) const fn new() -> Self {
        Self { slots: Slots::new() }
    }

    /// Adds the router that `open` returns for the slot it is given. Adds none if `open` fails.
    pub(crate) fn open(
        &mut self,
        open: impl FnOnce(usize) -> Result<Router<S>, Error>,
    ) -> Result<ListenerId, Error> {
        self.slots.try_insert_with(|key| open(key.index())).map(ListenerId)
    }

    #[inline]
    pub(crate) fn get(&self, slot: usize) -> Option<&Router<S>> {
        self.slots.at(slot)
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut Router<S>> {
        self.slots.at_mut(slot)
    }

    /// The sockets that a listener listens on. Empty if it is closed.
    pub(crate) fn sockets(&self, listener: ListenerId) -> &[Key] {
        self.slots.get(listener.0).map_or(&[], |router| &router.sockets)
    }

    /// The slot of a listener's router. `None` if the listener is closed.
    pub(crate) fn slot(&self, listener: ListenerId) -> Option<usize> {
        (!self.sockets(listener).is_empty()).then_some(listener.0.index())
    }

    /// How many listeners are open.
    pub(crate) fn listening(&self) -> usize {
        self.slots.iter().filter(|(_, router)| !router.sockets.is_empty()).count()
    }

    /// Every listener that is open.
    pub(crate) fn open_listeners(&self) -> Vec<ListenerId> {
        let open = self.slots.iter().filter(|(_, router)| !router.sockets.is_empty());
        open.map(|(key, _)| ListenerId(key)).collect()
    }

    /// Closes a listener and returns its sockets, which the caller must close.
    pub(crate) fn close(
        &mut self,
        listener: ListenerId,
        endpoints: &mut Slab<Endpoint<S>>,
    ) -> Vec<Key> {
        let Some(router) = self.slots.get_mut(listener.0) else {
            return Vec::new();
        };
        let sockets = std::mem::take(&mut router.sockets);
        self.free_unused(listener.0.index(), endpoints);
        sockets
    }

    /// Counts a new connection.
    pub(crate) fn enter(&mut self, slot: usize) {
        if let Some(router) = self.slots.at_mut(slot) {
            router.connections += 1;
        }
    }

    /// Uncounts a connection that has ended.
    pub(crate) fn leave(&mut self, slot: usize, endpoints: &mut Slab<Endpoint<S>>) {
        if let Some(router) = self.slots.at_mut(slot) {
            router.connections -= 1;
            self.free_unused(slot, endpoints);
        }
    }

    /// Frees a router that is closed and has no connections, with its endpoints.
    fn free_unused(&mut self, slot: usize, endpoints: &mut Slab<Endpoint<S>>) {
        let is_used = |router: &Router<S>| router.connections > 0 || !router.sockets.is_empty();
        if self.slots.at(slot).is_none_or(is_used) {
            return;
        }
        let resources = self.slots.remove_at(slot).map(|router| router.resources);
        for (_, resource) in resources.into_iter().flatten() {
            if let Resource::WebSocket(endpoint) = resource {
                endpoints.try_remove(endpoint);
            }
        }
    }
}
