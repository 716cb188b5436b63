//! A listener's WebSocket endpoints, handlers and pages, by the paths of requests.

use std::fmt;
use std::marker::PhantomData;

use crate::config::ServerConfig;
use crate::engine::broadcast::report::Gap;
use crate::engine::connection::Connection;
use crate::engine::handler::{WebSocketHandler, on_message};
use crate::engine::http::answer::Answer;
use crate::engine::http::event_stream::EventStream;
use crate::error::Error;
use crate::net::disconnect::Disconnect;
use crate::proto::Message;
use crate::proto::http::{HttpRequest, HttpResponse};

/// The WebSocket endpoints, handlers and pages that a listener serves, by the paths of requests.
///
/// A route path that ends in `*` matches every path with that prefix. Any other matches exactly. An
/// exact match takes precedence over prefixes, and a longer prefix over a shorter one. Percent
/// encoding is not decoded. A path without a route gets a 404, and a method that its route does not
/// support a 405. `OPTIONS` gets a 204 with the methods that the route supports; `OPTIONS *`, which
/// some proxies send as a health check, gets those of the server.
///
/// HTTP/1.0 requests are answered, too, and the connection ends after that. They cannot open a
/// WebSocket. If a request's target is in absolute form, its path is used ([`HttpRequest::path`]),
/// and its host replaces `Host` ([`HttpRequest::host`]).
///
/// This is not a web framework: bodies are short and handed over whole, and there are no filters or
/// templates. Decoding forms, cookies and sessions are the application's.
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

/// What is served at a path.
pub(crate) enum Route<S> {
    WebSocket(Box<ServerConfig>, Box<dyn WebSocketHandler<S>>),
    Handler(Box<dyn HttpHandler<S>>),
    Page(HttpResponse),
    Metrics,
}

/// An application's handler of requests. The response to `HEAD` omits the body.
///
/// It runs on the loop's thread, as a [`WebSocketHandler`] does. If `on_request` panics, the
/// response is 500. [`Routes::get`] takes a closure, [`Routes::get_handler`] an object.
///
/// The methods other than [`on_request`](Self::on_request) concern responses that are sent in
/// pieces ([`StreamedResponse`](crate::StreamedResponse), [`EventStream`]), and are called as those
/// of a [`WebSocketHandler`] are.
#[expect(unused_variables, reason = "the names document the defaulted methods")]
pub trait HttpHandler<S> {
    /// A client sent a request. [`Connection::peer_addr`] is the client's address. Only the answer
    /// can be sent to the connection.
    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        state: &mut S,
    ) -> Answer;

    /// A response that is sent in pieces has begun.
    fn on_open(&mut self, conn: &mut Connection<'_>, state: &mut S) {}

    /// The client has taken all output that had to wait.
    fn on_drained(&mut self, conn: &mut Connection<'_>, state: &mut S) {}

    /// The client missed broadcasts, because its subscription's
    /// [`OverflowPolicy`](crate::OverflowPolicy) dropped them.
    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, state: &mut S) {}

    /// A response that was sent in pieces has ended.
    fn on_close(&mut self, conn: &mut Connection<'_>, disconnect: &Disconnect, state: &mut S) {}
}

/// A closure as a handler of requests.
struct OnRequest<F, A>(F, PhantomData<fn() -> A>);

impl<S, F, A> HttpHandler<S> for OnRequest<F, A>
where
    F: FnMut(&mut Connection<'_>, &HttpRequest<'_>, &mut S) -> A,
    A: Into<Answer>,
{
    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        state: &mut S,
    ) -> Answer {
        (self.0)(conn, request, state).into()
    }
}

impl<S> Routes<S> {
    /// An empty set of routes.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a WebSocket endpoint with its own limits, subprotocols, origins and compression. The
    /// limits of the handshake, and the listener's own settings, come from the listener's
    /// configuration.
    #[must_use]
    pub fn websocket(
        self,
        path: impl Into<String>,
        config: ServerConfig,
        handler: impl WebSocketHandler<S> + 'static,
    ) -> Self {
        self.add(path, Route::WebSocket(Box::new(config), Box::new(handler)))
    }

    /// Adds a WebSocket endpoint with a closure that handles its messages, as
    /// [`websocket`](Self::websocket).
    #[must_use]
    pub fn websocket_fn(
        self,
        path: impl Into<String>,
        config: ServerConfig,
        handler: impl FnMut(&mut Connection<'_>, Message<'_>, &mut S) + 'static,
    ) -> Self {
        self.websocket(path, config, on_message(handler))
    }

    /// Answers `GET` and `HEAD` requests with what a closure returns: an [`HttpResponse`], or any
    /// other [`Answer`].
    #[must_use]
    pub fn get<F, A>(self, path: impl Into<String>, handler: F) -> Self
    where
        F: FnMut(&mut Connection<'_>, &HttpRequest<'_>, &mut S) -> A + 'static,
        A: Into<Answer> + 'static,
    {
        self.get_handler(path, OnRequest(handler, PhantomData))
    }

    /// Answers `GET` and `HEAD` requests with the response that a handler returns.
    #[must_use]
    pub fn get_handler(
        self,
        path: impl Into<String>,
        handler: impl HttpHandler<S> + 'static,
    ) -> Self {
        self.add(path, Route::Handler(Box::new(handler)))
    }

    /// Answers `GET` requests with a stream of server-sent events.
    #[must_use]
    pub fn events(self, path: impl Into<String>, events: EventStream) -> Self
    where
        S: 'static,
    {
        self.get(path, move |_, _, _| events.clone())
    }

    /// Answers every `GET` and `HEAD` request with the same response.
    #[must_use]
    pub fn page(self, path: impl Into<String>, page: HttpResponse) -> Self {
        self.add(path, Route::Page(page))
    }

    /// Serves the loop's [`Stats`](crate::Stats) to Prometheus
    /// ([`Stats::to_prometheus`](crate::Stats::to_prometheus)).
    #[must_use]
    pub fn metrics(self, path: impl Into<String>) -> Self {
        self.add(path, Route::Metrics)
    }

    fn add(mut self, path: impl Into<String>, route: Route<S>) -> Self {
        self.0.push((path.into(), route));
        self
    }

    /// The routes with their patterns, in order of precedence.
    pub(crate) fn into_sorted(self) -> Result<Vec<(Pattern, Route<S>)>, Error> {
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

/// Converts into the routes of a listener: [`Routes`], or one [`WebSocketHandler`] for all paths.
///
/// `Kind` distinguishes the two. The compiler infers it.
pub trait IntoRoutes<S, Kind> {
    /// The routes of a listener with this configuration.
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
    /// Several handlers, by path.
    #[derive(Debug)]
    pub enum Routes {}

    /// One handler for all paths.
    #[derive(Debug)]
    pub enum Handler {}
}

/// Which paths a route matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    Exact(String),
    /// Every path with this prefix.
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

    #[inline]
    pub(crate) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
        }
    }

    /// The sort key: less for patterns that take precedence.
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
