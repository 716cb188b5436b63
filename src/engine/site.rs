//! What the connections of a listener may ask for, for as long as any of them is left.

use std::net::SocketAddr;
use std::sync::Arc;

use slab::Slab;

use super::endpoint::Endpoint;
use super::routes::{Pattern, Route, Routes};
use super::{HttpHandler, ListenerId};
use crate::config::ServerConfig;
use crate::error::Error;
use crate::net::proxies::TrustedProxies;
use crate::proto::Limits;
use crate::proto::handshake::HandshakeError;
use crate::proto::http::{HttpRequest, HttpResponse};
use crate::slots::{Key, Slots};

/// What the connections of one listener may ask for.
pub(super) struct Site<S> {
    /// What a connection may cost until it is open.
    pub(super) limits: Arc<Limits>,
    pub(super) proxies: Option<TrustedProxies>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<crate::reactor::TlsServer>,
    /// The first that matches stands.
    resources: Vec<(Pattern, Resource<S>)>,
    /// The sockets that its listener listens on; none once that is closed.
    sockets: Vec<Key>,
    /// Connections that it serves.
    connections: usize,
}

/// What there is at a path.
pub(super) enum Resource<S> {
    /// Which endpoint.
    WebSocket(usize),
    Handler(Box<dyn HttpHandler<S>>),
    Page(HttpResponse),
    Metrics,
}

/// A site to be, whose configuration and routes were found to be right.
pub(super) struct Plan<S> {
    config: ServerConfig,
    routes: Vec<(Pattern, Route<S>)>,
}

impl<S> Plan<S> {
    pub(super) fn new(config: ServerConfig, routes: Routes<S>) -> Result<Self, Error> {
        let routes = routes.into_sorted()?;
        for (_, route) in &routes {
            if let Route::WebSocket(config, _) = route {
                super::endpoint::check_subprotocols(&config.subprotocols)?;
            }
        }
        Ok(Self { config, routes })
    }

    pub(super) const fn backlog(&self) -> u32 {
        self.config.backlog
    }

    /// The site in that slot, of a listener with these sockets. Makes the endpoints of its routes,
    /// too.
    pub(super) fn build(
        self,
        slot: usize,
        sockets: Vec<Key>,
        endpoints: &mut Slab<Endpoint<S>>,
    ) -> Site<S> {
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
        Site {
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

impl<S> Site<S> {
    /// What there is at that path.
    pub(super) fn find(&mut self, path: &str) -> Option<&mut Resource<S>> {
        let found = self.resources.iter_mut().find(|(pattern, _)| pattern.matches(path));
        found.map(|(_, resource)| resource)
    }

    /// Whom `peer` passes on, if it is a proxy that is believed.
    ///
    /// # Errors
    ///
    /// When the list in which it says so is too long.
    pub(super) fn client(
        &self,
        request: &HttpRequest<'_>,
        peer: Option<SocketAddr>,
    ) -> Result<Option<SocketAddr>, HandshakeError> {
        self.proxies.as_ref().map_or(Ok(None), |proxies| proxies.client(request, peer))
    }

    /// Whether its connections speak TLS, which this end ends itself.
    pub(super) const fn speaks_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Whether a connection from `peer` begins with what a proxy says of its client.
    pub(super) fn announces(&self, peer: Option<SocketAddr>) -> bool {
        self.proxies.as_ref().is_some_and(|proxies| proxies.announces(peer))
    }
}

/// The sites of all listeners, and of closed ones that connections are left of. A connection names
/// its site by the slot, which is the site's for as long as the connection is counted.
pub(super) struct Sites<S> {
    slots: Slots<Site<S>>,
}

impl<S> Sites<S> {
    pub(super) const fn new() -> Self {
        Self { slots: Slots::new() }
    }

    /// Adds the site that `open` opens for the slot it is given; none if that fails.
    pub(super) fn open(
        &mut self,
        open: impl FnOnce(usize) -> Result<Site<S>, Error>,
    ) -> Result<ListenerId, Error> {
        self.slots.try_insert_with(|key| open(key.index())).map(ListenerId)
    }

    #[inline]
    pub(super) fn get(&self, slot: usize) -> Option<&Site<S>> {
        self.slots.at(slot)
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut Site<S>> {
        self.slots.at_mut(slot)
    }

    /// The sockets that a listener listens on; none if it is closed.
    pub(super) fn sockets(&self, listener: ListenerId) -> &[Key] {
        self.slots.get(listener.0).map_or(&[], |site| &site.sockets)
    }

    /// The slot of a listener's site, unless the listener is closed.
    pub(super) fn slot(&self, listener: ListenerId) -> Option<usize> {
        (!self.sockets(listener).is_empty()).then_some(listener.0.index())
    }

    /// How many listeners are open.
    pub(super) fn listening(&self) -> usize {
        self.slots.iter().filter(|(_, site)| !site.sockets.is_empty()).count()
    }

    /// Every listener that is open.
    pub(super) fn open_listeners(&self) -> Vec<ListenerId> {
        let open = self.slots.iter().filter(|(_, site)| !site.sockets.is_empty());
        open.map(|(key, _)| ListenerId(key)).collect()
    }

    /// Closes a listener; its sockets are the caller's to close.
    pub(super) fn close(
        &mut self,
        listener: ListenerId,
        endpoints: &mut Slab<Endpoint<S>>,
    ) -> Vec<Key> {
        let Some(site) = self.slots.get_mut(listener.0) else {
            return Vec::new();
        };
        let sockets = std::mem::take(&mut site.sockets);
        self.free_unused(listener.0.index(), endpoints);
        sockets
    }

    /// Counts a connection.
    pub(super) fn enter(&mut self, slot: usize) {
        if let Some(site) = self.slots.at_mut(slot) {
            site.connections += 1;
        }
    }

    /// A connection is gone.
    pub(super) fn leave(&mut self, slot: usize, endpoints: &mut Slab<Endpoint<S>>) {
        if let Some(site) = self.slots.at_mut(slot) {
            site.connections -= 1;
            self.free_unused(slot, endpoints);
        }
    }

    /// Frees a site that nobody can ask any more, with its endpoints.
    fn free_unused(&mut self, slot: usize, endpoints: &mut Slab<Endpoint<S>>) {
        let is_used = |site: &Site<S>| site.connections > 0 || !site.sockets.is_empty();
        if self.slots.at(slot).is_none_or(is_used) {
            return;
        }
        let resources = self.slots.remove_at(slot).map(|site| site.resources);
        for (_, resource) in resources.into_iter().flatten() {
            if let Resource::WebSocket(endpoint) = resource {
                endpoints.try_remove(endpoint);
            }
        }
    }
}
