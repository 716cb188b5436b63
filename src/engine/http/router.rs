//! Routers: what is served at the paths of a server's endpoint.

use std::rc::Rc;
use std::sync::Arc;

use slab::Slab;

use crate::config::ServerConfig;
use crate::engine::configured_handler::{ConfiguredHandler, check_subprotocols};
use crate::engine::endpoints::ServerEndpoint;
use crate::engine::http::routes::{Route, Routes};
use crate::engine::http::served::{Served, allow};
use crate::error::Error;
use crate::proto::http::{Cors, HttpRequest, HttpResponse, Pattern, StaticFile};

/// The resources that the connections of one endpoint can request.
///
/// Both lists are in order of precedence: the first pattern that matches wins.
pub(crate) struct Router {
    served: Vec<Served<Resource>>,
    cors: Vec<(Pattern, Cors)>,
}

/// What is served at a path.
pub(crate) enum Resource {
    /// The handler's index.
    WebSocket(usize),
    Handler(HandlerRoute),
    Page(Rc<HttpResponse>),
    File(Box<StaticFile>),
    Metrics,
}

/// A handler of requests.
#[derive(Clone, Copy)]
pub(crate) struct HandlerRoute {
    /// The handler's index.
    pub(crate) index: usize,
    /// The longest body of a request in bytes, if it is not the listener's.
    pub(crate) max_body: Option<usize>,
}

/// A validated configuration with its routes, from which a router is built.
pub(crate) struct RouterBuilder<S> {
    config: ServerConfig,
    routes: Vec<Served<Route<S>>>,
    cors: Vec<(Pattern, Cors)>,
}

impl<S> RouterBuilder<S> {
    pub(crate) fn new(config: ServerConfig, mut routes: Routes<S>) -> Result<Self, Error> {
        let cors = routes.take_cors()?;
        let routes = routes.into_served()?;
        for (_, route) in routes.iter().flat_map(|served| &served.by_method) {
            if let Route::WebSocket(config, _) = route {
                check_subprotocols(&config.subprotocols)?;
            }
        }
        Ok(Self { config, routes, cors })
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
                let max_body = handler.max_body();
                let handler = ConfiguredHandler::http(handler, &config, endpoint);
                Resource::Handler(HandlerRoute { index: handlers.insert(handler), max_body })
            }
            Route::Page(page) => Resource::Page(Rc::new(page)),
            Route::File(file) => Resource::File(file),
            Route::Metrics => Resource::Metrics,
        };
        let served = self.routes.into_iter().map(|served| served.map(&mut resource)).collect();
        Router { served, cors: self.cors }
    }
}

impl Router {
    /// What is served at `path`.
    pub(crate) fn find(&self, path: &str) -> Option<&Served<Resource>> {
        self.served.iter().find(|served| served.pattern.matches(path))
    }

    /// What pages of other origins may do at the path of a request.
    #[inline]
    pub(crate) fn cors(&self, request: &HttpRequest<'_>) -> Option<&Cors> {
        if self.cors.is_empty() { None } else { self.cors_at(request.path()) }
    }

    #[inline(never)]
    fn cors_at(&self, path: &str) -> Option<&Cors> {
        self.cors.iter().find(|(pattern, _)| pattern.matches(path)).map(|(_, cors)| cors)
    }

    /// The methods of all paths, as the header `Allow` lists them.
    pub(crate) fn allow(&self) -> String {
        allow(&self.served)
    }

    /// The indexes of its handlers.
    pub(crate) fn handlers(&self) -> impl Iterator<Item = usize> {
        let resources = self.served.iter().flat_map(|served| &served.by_method);
        resources.filter_map(|(_, resource)| match resource {
            Resource::WebSocket(handler) => Some(*handler),
            Resource::Handler(handler) => Some(handler.index),
            Resource::Page(_) | Resource::File(_) | Resource::Metrics => None,
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
