//! What a listener has for whom: WebSocket endpoints and pages, by the paths of requests.

use std::fmt;

use super::handler::on_message;
use super::{Connection, WebSocketHandler};
use crate::config::ServerConfig;
use crate::error::Error;
use crate::proto::Message;
use crate::proto::http::{HttpRequest, HttpResponse};

/// What a listener answers to requests, by their paths.
///
/// A path that ends in `*` stands for all that begin with what is before it; any other stands for
/// itself. The exact one goes before those, and the longest of several goes first. Percent signs
/// are compared as they come. What there is no route for is answered with 404, and a method that a
/// route does not know with 405. `OPTIONS` is answered with 204 and the methods that a route knows,
/// for `*` those of the server, as proxies ask that check whether it lives.
///
/// Requests of HTTP/1.0 are answered, too, after which the connection ends; they open no WebSocket.
/// A target in absolute form is the path in it ([`HttpRequest::path`]), and the host that it names
/// stands for `Host` ([`HttpRequest::host`]).
///
/// Not a web framework: requests have no bodies, and what is answered is there at once.
///
/// ```
/// use eventwire::{Config, EventLoop, HttpResponse, Routes, ServerConfig};
///
/// let routes = Routes::new()
///     .page("/", HttpResponse::html("<!doctype html><title>Echo</title>"))
///     .get("/count", |_, _, count: &mut u32| {
///         *count += 1;
///         HttpResponse::text(format!("asked {count} times"))
///     })
///     .metrics("/metrics")
///     .websocket_fn("/echo", ServerConfig::default().max_message(1024), |conn, message, _| {
///         conn.send(message);
///     });
///
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes)?;
/// # event_loop.turn(Some(std::time::Duration::ZERO), &mut 0)?;
/// # Ok::<(), eventwire::Error>(())
/// ```
pub struct Routes<S>(Vec<(String, Route<S>)>);

/// What there is at a path.
pub(super) enum Route<S> {
    WebSocket(ServerConfig, Box<dyn WebSocketHandler<S>>),
    Handler(Box<dyn HttpHandler<S>>),
    Page(HttpResponse),
    Metrics,
}

/// What an application answers to `GET` and `HEAD` requests; for the latter, the body is left out.
///
/// It runs on the loop's thread, as a [`WebSocketHandler`] does. If it panics, the answer is 500.
/// [`Routes::get`] takes a closure, [`Routes::get_handler`] an object.
pub trait HttpHandler<S> {
    /// A client asks, by `GET` or by `HEAD`. [`Connection::peer_addr`] is the client's address;
    /// nothing can be sent to the connection but the response.
    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        state: &mut S,
    ) -> HttpResponse;
}

/// A closure as a handler of requests.
struct OnRequest<F>(F);

impl<S, F> HttpHandler<S> for OnRequest<F>
where
    F: FnMut(&mut Connection<'_>, &HttpRequest<'_>, &mut S) -> HttpResponse,
{
    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        state: &mut S,
    ) -> HttpResponse {
        (self.0)(conn, request, state)
    }
}

impl<S> Routes<S> {
    /// No routes yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// A WebSocket endpoint with its own limits, subprotocols, origins and compression. What
    /// concerns the handshake, and the listener itself, is as the listener's configuration has it.
    #[must_use]
    pub fn websocket(
        self,
        path: impl Into<String>,
        config: ServerConfig,
        handler: impl WebSocketHandler<S> + 'static,
    ) -> Self {
        self.add(path, Route::WebSocket(config, Box::new(handler)))
    }

    /// A WebSocket endpoint whose messages a closure handles, as [`websocket`](Self::websocket).
    #[must_use]
    pub fn websocket_fn(
        self,
        path: impl Into<String>,
        config: ServerConfig,
        handler: impl FnMut(&mut Connection<'_>, Message<'_>, &mut S) + 'static,
    ) -> Self {
        self.websocket(path, config, on_message(handler))
    }

    /// Answers `GET` and `HEAD` requests with what a closure returns.
    #[must_use]
    pub fn get<F>(self, path: impl Into<String>, handler: F) -> Self
    where
        F: FnMut(&mut Connection<'_>, &HttpRequest<'_>, &mut S) -> HttpResponse + 'static,
    {
        self.get_handler(path, OnRequest(handler))
    }

    /// Answers `GET` and `HEAD` requests with what a handler returns.
    #[must_use]
    pub fn get_handler(
        self,
        path: impl Into<String>,
        handler: impl HttpHandler<S> + 'static,
    ) -> Self {
        self.add(path, Route::Handler(Box::new(handler)))
    }

    /// The same answer for all.
    #[must_use]
    pub fn page(self, path: impl Into<String>, page: HttpResponse) -> Self {
        self.add(path, Route::Page(page))
    }

    /// The loop's [`Stats`](crate::Stats) for Prometheus
    /// ([`Stats::to_prometheus`](crate::Stats::to_prometheus)).
    #[must_use]
    pub fn metrics(self, path: impl Into<String>) -> Self {
        self.add(path, Route::Metrics)
    }

    fn add(mut self, path: impl Into<String>, route: Route<S>) -> Self {
        self.0.push((path.into(), route));
        self
    }

    /// The routes with their paths, those that go first at the front.
    pub(super) fn into_sorted(self) -> Result<Vec<(Pattern, Route<S>)>, Error> {
        let mut routes = Vec::with_capacity(self.0.len());
        for (path, route) in self.0 {
            let Some(pattern) = Pattern::new(&path) else {
                return Err(Error::InvalidRoute(path));
            };
            if routes.iter().any(|(other, _)| *other == pattern) {
                return Err(Error::InvalidRoute(path));
            }
            routes.push((pattern, route));
        }
        routes.sort_by_key(|(pattern, _)| pattern.rank());
        Ok(routes)
    }
}

impl<S> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> fmt::Debug for Routes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(path, _)| path)).finish()
    }
}

/// What a listener can be given: [`Routes`], or one [`WebSocketHandler`] for all paths.
///
/// `Kind` tells the two apart. The compiler infers it.
pub trait IntoRoutes<S, Kind> {
    /// The routes of a listener with that configuration.
    fn into_routes(self, config: &ServerConfig) -> Routes<S>;
}

impl<S> IntoRoutes<S, kind::Routes> for Routes<S> {
    fn into_routes(self, _: &ServerConfig) -> Self {
        self
    }
}

impl<S, H: WebSocketHandler<S> + 'static> IntoRoutes<S, kind::Handler> for H {
    fn into_routes(self, config: &ServerConfig) -> Routes<S> {
        Routes::new().websocket("/*", config.clone(), self)
    }
}

/// The kinds of [`IntoRoutes`].
pub mod kind {
    /// Several, by their paths.
    #[derive(Debug)]
    pub enum Routes {}

    /// One handler for all paths.
    #[derive(Debug)]
    pub enum Handler {}
}

/// Which paths a route stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Exact(String),
    /// All that begin with this.
    Prefix(String),
}

impl Pattern {
    fn new(path: &str) -> Option<Self> {
        let is_path = |path: &str| {
            path.starts_with('/')
                && path.bytes().all(|byte| byte.is_ascii_graphic() && !b"*?#".contains(&byte))
        };
        match path.strip_suffix('*') {
            Some(prefix) => is_path(prefix).then(|| Self::Prefix(prefix.to_owned())),
            None => is_path(path).then(|| Self::Exact(path.to_owned())),
        }
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
        }
    }

    /// Less for those that go first.
    fn rank(&self) -> (bool, std::cmp::Reverse<usize>) {
        match self {
            Self::Exact(path) => (false, std::cmp::Reverse(path.len())),
            Self::Prefix(path) => (true, std::cmp::Reverse(path.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(paths: &'a [&'a str], path: &str) -> Option<String> {
        let page = || HttpResponse::new(200);
        let routes = paths.iter().fold(Routes::<()>::new(), |all, path| all.page(*path, page()));
        let sorted = routes.into_sorted().unwrap();
        let (pattern, _) = sorted.into_iter().find(|(pattern, _)| pattern.matches(path))?;
        Some(match pattern {
            Pattern::Exact(path) => path,
            Pattern::Prefix(path) => path + "*",
        })
    }

    #[test]
    fn the_exact_path_goes_first_and_then_the_longest_prefix() {
        let paths = ["/*", "/rooms/*", "/rooms/1", "/rooms/1*", "/health"];
        for (path, expected) in [
            ("/", "/*"),
            ("/rooms", "/*"),
            ("/rooms/", "/rooms/*"),
            ("/rooms/1", "/rooms/1"),
            ("/rooms/12", "/rooms/1*"),
            ("/rooms/2", "/rooms/*"),
            ("/health", "/health"),
            ("/health/", "/*"),
        ] {
            assert_eq!(found(&paths, path).as_deref(), Some(expected), "{path}");
        }
        assert_eq!(found(&paths[3..], "/"), None);
    }

    #[test]
    fn a_path_that_no_request_can_have_is_refused_and_so_is_one_that_is_taken() {
        for path in ["", "chat", "*", "/a b", "/a?b", "/#", "/*/a", "/**", "/\u{e9}"] {
            let routes = Routes::<()>::new().metrics(path);
            assert!(matches!(routes.into_sorted(), Err(Error::InvalidRoute(_))), "{path}");
        }
        let twice = Routes::<()>::new().metrics("/a").metrics("/a*").metrics("/a");
        assert!(matches!(twice.into_sorted(), Err(Error::InvalidRoute(path)) if path == "/a"));
    }
}
