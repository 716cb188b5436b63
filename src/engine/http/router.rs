//! Routers: what is served at the paths of a server's endpoint.

use std::sync::Arc;

use slab::Slab;

use crate::config::ServerConfig;
use crate::engine::configured_handler::{ConfiguredHandler, check_subprotocols};
use crate::engine::endpoints::ServerEndpoint;
use crate::engine::http::routes::{HttpHandler, Pattern, Route, Routes};
use crate::error::Error;
use crate::proto::http::HttpResponse;

/// The resources that the connections of one endpoint can request.
pub(crate) struct Router<S>(
    /// In order of precedence: the first pattern that matches wins.
    Vec<(Pattern, Resource<S>)>,
);

/// What is served at a path.
pub(crate) enum Resource<S> {
    /// The handler's index.
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
    ) -> Router<S> {
        let resources = self.routes.into_iter().map(|(pattern, route)| {
            let resource = match route {
                Route::WebSocket(config, handler) => {
                    let handler = ConfiguredHandler::server(handler, config, endpoint);
                    Resource::WebSocket(handlers.insert(handler))
                }
                Route::Handler(handler) => Resource::Handler(handler),
                Route::Page(page) => Resource::Page(page),
                Route::Metrics => Resource::Metrics,
            };
            (pattern, resource)
        });
        Router(resources.collect())
    }
}

impl<S> Router<S> {
    /// The resource at `path`.
    pub(crate) fn find(&mut self, path: &str) -> Option<&mut Resource<S>> {
        let found = self.0.iter_mut().find(|(pattern, _)| pattern.matches(path));
        found.map(|(_, resource)| resource)
    }

    /// The indexes of its handlers.
    pub(crate) fn handlers(&self) -> impl Iterator<Item = usize> {
        self.0.iter().filter_map(|(_, resource)| match resource {
            Resource::WebSocket(handler) => Some(*handler),
            Resource::Handler(_) | Resource::Page(_) | Resource::Metrics => None,
        })
    }
}

/// The routers of servers' endpoints, by the slots of the endpoints.
pub(crate) struct Routers<S>(Vec<Option<Router<S>>>);

impl<S> Routers<S> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn insert(&mut self, slot: usize, router: Router<S>) {
        if self.0.len() <= slot {
            self.0.resize_with(slot + 1, || None);
        }
        self.0[slot] = Some(router);
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut Router<S>> {
        self.0.get_mut(slot)?.as_mut()
    }

    pub(crate) fn remove(&mut self, slot: usize) -> Option<Router<S>> {
        self.0.get_mut(slot)?.take()
    }
}
