use std::net::SocketAddr;
use std::sync::Arc;

use slab::Slab;

use super::HttpHandler;
use super::endpoint::Endpoint;
use super::routes::{Pattern, Route, Routes};
use crate::config::ServerConfig;
use crate::error::Error;
use crate::net::proxies::TrustedProxies;
use crate::proto::Limits;
use crate::proto::handshake::{HandshakeError, HttpRequest, HttpResponse};

/// What the connections of one listener may ask for.
pub(super) struct Site<S> {
    /// What a connection may cost until it is open.
    pub(super) limits: Arc<Limits>,
    pub(super) proxies: Option<TrustedProxies>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<crate::reactor::TlsServer>,
    /// The first that matches stands.
    resources: Vec<(Pattern, Resource<S>)>,
}

/// What there is at a path.
pub(super) enum Resource<S> {
    /// Which endpoint.
    WebSocket(usize),
    Handler(Box<dyn HttpHandler<S>>),
    Page(HttpResponse),
    Metrics,
}

impl<S> Site<S> {
    /// Makes the endpoints of `routes`, too.
    pub(super) fn new(
        config: ServerConfig,
        routes: Routes<S>,
        endpoints: &mut Slab<Endpoint<S>>,
    ) -> Result<Self, Error> {
        let routes = routes.into_sorted()?;
        for (_, route) in &routes {
            if let Route::WebSocket(config, _) = route {
                super::endpoint::check_subprotocols(&config.subprotocols)?;
            }
        }
        let resources = routes.into_iter().map(|(pattern, route)| {
            let resource = match route {
                Route::WebSocket(config, handler) => {
                    Resource::WebSocket(endpoints.insert(Endpoint::server(handler, config)))
                }
                Route::Handler(handler) => Resource::Handler(handler),
                Route::Page(page) => Resource::Page(page),
                Route::Metrics => Resource::Metrics,
            };
            (pattern, resource)
        });
        let resources = resources.collect();
        Ok(Self {
            limits: Arc::new(config.limits),
            proxies: config.proxies,
            #[cfg(feature = "tls")]
            tls: config.tls,
            resources,
        })
    }

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
