//! Routers: what is served at the paths of a server's endpoint.

use std::sync::Arc;

use slab::Slab;

use crate::config::ServerConfig;
use crate::engine::configured_handler::{ConfiguredHandler, check_subprotocols};
use crate::engine::endpoints::ServerEndpoint;
use crate::engine::http::routes::{Route, Routes};
use crate::engine::http::served::{Served, allow};
use crate::error::Error;
use crate::proto::http::HttpResponse;

/// The resources that the connections of one endpoint can request.
pub(crate) struct Router(
    /// In order of precedence: the first pattern that matches wins.
    Vec<Served<Resource>>,
);

/// What is served at a path.
pub(crate) enum Resource {
    /// The handler's index.
    WebSocket(usize),
    /// The handler's index.
    Handler(usize),
    Page(HttpResponse),
    Metrics,
}

/// A validated configuration with its routes, from which a router is built.
pub(crate) struct RouterBuilder<S> {
    config: ServerConfig,
    routes: Vec<Served<Route<S>>>,
}

impl<S> RouterBuilder<S> {
    pub(crate) fn new(config: ServerConfig, routes: Routes<S>) -> Result<Self, Error> {
        let routes = routes.into_served()?;
        for (_, route) in routes.iter().flat_map(|served| &served.by_method) {
            if let Route::WebSocket(config, _) = route {
                check_subprotocols(&config.subprotocols)?;
            }
        }
        Ok(Self { config, routes })
    }

    /// What listeners and connections need to know of it.
    pub(crate) fn endpoint(&self) -> ServerEndpoint {
        ServerEndpoint {
            limits: Arc::new(self.config.limits.clone()),
            proxies: self.config.proxies.clone(),
            is_exempt: self.config.is_exempt,
            backlog: self.config.backlog,
            #[cfg(feature = "tls")]
            tls: self.config.tls.clone(),
        }
    }

    /// Builds the router of the endpoint in that slot, and adds its handlers.
    pub(crate) fn build(
        self,
        endpoint: usize,
        handlers: &mut Slab<ConfiguredHandler<S>>,
    ) -> Router {
        let config = self.config;
        let mut resource = |route| match route {
            Route::WebSocket(config, handler) => {
                let handler = ConfiguredHandler::server(handler, *config, endpoint);
                Resource::WebSocket(handlers.insert(handler))
            }
            Route::Handler(handler) => {
                let handler = ConfiguredHandler::http(handler, &config, endpoint);
                Resource::Handler(handlers.insert(handler))
            }
            Route::Page(page) => Resource::Page(page),
            Route::Metrics => Resource::Metrics,
        };
        Router(self.routes.into_iter().map(|served| served.map(&mut resource)).collect())
    }
}

impl Router {
    /// What is served at `path`.
    pub(crate) fn find(&self, path: &str) -> Option<&Served<Resource>> {
        self.0.iter().find(|served| served.pattern.matches(path))
    }

    /// The methods of all paths, as the header `Allow` lists them.
    pub(crate) fn allow(&self) -> String {
        allow(&self.0)
    }

    /// The indexes of its handlers.
    pub(crate) fn handlers(&self) -> impl Iterator<Item = usize> {
        let resources = self.0.iter().flat_map(|served| &served.by_method);
        resources.filter_map(|(_, resource)| match resource {
            Resource::WebSocket(handler) | Resource::Handler(handler) => Some(*handler),
            Resource::Page(_) | Resource::Metrics => None,
        })
    }
}

/// The routers of servers' endpoints, by the slots of the endpoints.
pub(crate) struct Routers(Vec<Option<Router>>);

impl Routers {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn insert(&mut self, slot: usize, router: Router) {
        if self.0.len() <= slot {
            self.0.resize_with(slot + 1, || None);
        }
        self.0[slot] = Some(router);
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&Router> {
        self.0.get(slot)?.as_ref()
    }

    pub(crate) fn remove(&mut self, slot: usize) -> Option<Router> {
        self.0.get_mut(slot)?.take()
    }
}
