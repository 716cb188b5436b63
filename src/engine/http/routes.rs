//! A listener's WebSocket endpoints, handlers and pages, by the paths of requests.

use std::fmt;
use std::marker::PhantomData;

use crate::config::ServerConfig;
use crate::engine::bus::event_types::EventTypes;
use crate::engine::bus::events::OnEvent;
use crate::engine::connection::Connection;
use crate::engine::context::Context;
use crate::engine::handler::{WebSocketHandler, on_message};
use crate::engine::http::answer::Answer;
use crate::engine::http::event_stream::EventStream;
use crate::engine::http::http_handler::{HttpHandler, OnRequest};
use crate::engine::http::served::{Method, Served};
use crate::proto::Message;
use crate::proto::http::{Cors, HttpRequest, HttpResponse, InvalidRoute, Pattern, StaticFile};

/// The WebSocket endpoints, handlers and pages that a listener serves, by the paths of requests.
///
/// A path that ends in `*` matches every path with that prefix. In any other path, `{name}` matches
/// one segment that is not empty ([`HttpRequest::param`]), and the rest matches exactly. If several
/// routes match a request, exact paths take precedence over paths with parameters, and these over
/// prefixes; longer prefixes take precedence over shorter ones. Two paths with parameters are
/// compared at the first segment in which only one of them has a parameter: the other takes
/// precedence. Percent-encoding is decoded in the values of parameters, and not for the comparison.
/// A request gets 400 if the value of a parameter is malformed or not UTF-8.
///
/// Several methods, and a WebSocket beside them, can have the same path. A path without a route
/// gets a 404, and a method that its path does not have a 405 with those that it has. `HEAD` is
/// answered as `GET` without the body, and `OPTIONS` with a 204 and the path's methods, unless the
/// application has routes of its own for them. `OPTIONS *`, which some proxies send as a health
/// check, gets the methods of the server.
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
pub struct Routes<S> {
    added: Vec<Added<S>>,
    cors: Vec<(String, Cors)>,
    events: Vec<Box<AddEventHandler<S>>>,
}

/// Registers a handler of events with a loop.
type AddEventHandler<S> = dyn FnOnce(&mut EventTypes<'_, S>);

/// A route as the application has added it.
struct Added<S> {
    method: Method,
    path: String,
    route: Route<S>,
}

/// What is served at a path.
pub(crate) enum Route<S> {
    WebSocket(Box<ServerConfig>, Box<dyn WebSocketHandler<S>>),
    Handler(Box<dyn HttpHandler<S>>),
    Page(HttpResponse),
    File(Box<StaticFile>),
    Metrics,
}

impl<S> Routes<S> {
    /// An empty set of routes.
    #[must_use]
    pub const fn new() -> Self {
        Self { added: Vec::new(), cors: Vec::new(), events: Vec::new() }
    }

    /// Adds a WebSocket endpoint with its own limits, subprotocols, origins and compression. The
    /// limits of the handshake, and the listener's own settings, come from the listener's
    /// configuration.
    ///
    /// If the path has a route for `GET`, too, that one answers the `GET` requests that do not ask
    /// for a WebSocket.
    #[must_use]
    pub fn websocket(
        self,
        path: impl Into<String>,
        config: ServerConfig,
        handler: impl WebSocketHandler<S> + 'static,
    ) -> Self {
        self.add(Method::WebSocket, path, Route::WebSocket(Box::new(config), Box::new(handler)))
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
        self.closure("GET", path, handler)
    }

    /// Answers `POST` requests with what a closure returns, as [`get`](Self::get) does.
    /// [`HttpRequest::body`] is the body.
    ///
    /// ```
    /// use eventwire::{HttpResponse, Routes};
    ///
    /// type Rooms = std::collections::BTreeMap<String, String>;
    ///
    /// let routes = Routes::new()
    ///     .get("/rooms/{room}", |_, request, rooms: &mut Rooms| {
    ///         match request.param("room").and_then(|room| rooms.get(&*room)) {
    ///             Some(topic) => HttpResponse::text(topic.as_str()),
    ///             None => HttpResponse::new(404),
    ///         }
    ///     })
    ///     .post("/rooms/{room}", |_, request, rooms| {
    ///         let (Some(room), Ok(topic)) =
    ///             (request.param("room"), std::str::from_utf8(request.body()))
    ///         else {
    ///             return HttpResponse::new(400);
    ///         };
    ///         rooms.insert(room.into_owned(), topic.to_owned());
    ///         HttpResponse::new(204)
    ///     });
    /// # drop(routes);
    /// ```
    #[must_use]
    pub fn post<F, A>(self, path: impl Into<String>, handler: F) -> Self
    where
        F: FnMut(&mut Connection<'_>, &HttpRequest<'_>, &mut S) -> A + 'static,
        A: Into<Answer> + 'static,
    {
        self.closure("POST", path, handler)
    }

    /// Answers `PUT` requests with what a closure returns, as [`post`](Self::post) does.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use eventwire::{HttpResponse, Routes};
    ///
    /// let routes = Routes::new().put("/notes/{note}", |_, request, notes: &mut BTreeMap<_, _>| {
    ///     let note = request.param("note").unwrap_or_default().into_owned();
    ///     match notes.insert(note, request.body().to_vec()) {
    ///         Some(_replaced) => HttpResponse::new(204),
    ///         None => HttpResponse::new(201),
    ///     }
    /// });
    /// # drop(routes);
    /// ```
    #[must_use]
    pub fn put<F, A>(self, path: impl Into<String>, handler: F) -> Self
    where
        F: FnMut(&mut Connection<'_>, &HttpRequest<'_>, &mut S) -> A + 'static,
        A: Into<Answer> + 'static,
    {
        self.closure("PUT", path, handler)
    }

    /// Answers `PATCH` requests with what a closure returns, as [`post`](Self::post) does.
    ///
    /// ```
    /// use eventwire::{HttpResponse, Routes};
    ///
    /// // Adds lines to a log.
    /// let routes = Routes::new().patch("/log", |_, request, log: &mut Vec<u8>| {
    ///     if request.header("Content-Type") != Some("text/plain") {
    ///         return HttpResponse::new(415);
    ///     }
    ///     log.extend_from_slice(request.body());
    ///     HttpResponse::new(204)
    /// });
    /// # drop(routes);
    /// ```
    #[must_use]
    pub fn patch<F, A>(self, path: impl Into<String>, handler: F) -> Self
    where
        F: FnMut(&mut Connection<'_>, &HttpRequest<'_>, &mut S) -> A + 'static,
        A: Into<Answer> + 'static,
    {
        self.closure("PATCH", path, handler)
    }

    /// Answers `DELETE` requests with what a closure returns, as [`post`](Self::post) does.
    ///
    /// ```
    /// use eventwire::{HttpResponse, Routes};
    ///
    /// type Notes = std::collections::BTreeSet<String>;
    ///
    /// let routes = Routes::new().delete("/notes/{note}", |_, request, notes: &mut Notes| {
    ///     let note = request.param("note").unwrap_or_default();
    ///     HttpResponse::new(if notes.remove(&*note) { 204 } else { 404 })
    /// });
    /// # drop(routes);
    /// ```
    #[must_use]
    pub fn delete<F, A>(self, path: impl Into<String>, handler: F) -> Self
    where
        F: FnMut(&mut Connection<'_>, &HttpRequest<'_>, &mut S) -> A + 'static,
        A: Into<Answer> + 'static,
    {
        self.closure("DELETE", path, handler)
    }

    /// Answers `OPTIONS` requests with what a closure returns, instead of the path's methods.
    ///
    /// ```
    /// use eventwire::{HttpResponse, Routes};
    ///
    /// // Says which types of bodies PATCH takes (RFC 5789 §3.1).
    /// let answer =
    ///     HttpResponse::new(204).header("Accept-Patch", "application/merge-patch+json")?;
    /// let routes = Routes::<()>::new()
    ///     .patch("/profile", |_, _, _| HttpResponse::new(204))
    ///     .options("/profile", move |_, _, _| answer.clone());
    /// # drop(routes);
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    #[must_use]
    pub fn options<F, A>(self, path: impl Into<String>, handler: F) -> Self
    where
        F: FnMut(&mut Connection<'_>, &HttpRequest<'_>, &mut S) -> A + 'static,
        A: Into<Answer> + 'static,
    {
        self.closure("OPTIONS", path, handler)
    }

    /// Answers `GET` and `HEAD` requests with the response that a handler returns.
    #[must_use]
    pub fn get_handler(
        self,
        path: impl Into<String>,
        handler: impl HttpHandler<S> + 'static,
    ) -> Self {
        self.route("GET", path, handler)
    }

    /// Answers requests of any method with the response that a handler returns. Methods are
    /// case-sensitive (RFC 9110 §9.1).
    ///
    /// ```
    /// use eventwire::{Answer, Connection, HttpHandler, HttpRequest, HttpResponse, Routes};
    ///
    /// /// Counts the requests of one method.
    /// #[derive(Default)]
    /// struct Counter(u64);
    ///
    /// impl HttpHandler<()> for Counter {
    ///     fn on_request(
    ///         &mut self,
    ///         _: &mut Connection<'_>,
    ///         request: &HttpRequest<'_>,
    ///         _: &mut (),
    ///     ) -> Answer {
    ///         self.0 += 1;
    ///         HttpResponse::text(format!("{} number {}", request.method(), self.0)).into()
    ///     }
    /// }
    ///
    /// let routes = Routes::new()
    ///     .route("PROPFIND", "/*", Counter::default())
    ///     .route("REPORT", "/*", Counter::default());
    /// # drop(routes);
    /// ```
    #[must_use]
    pub fn route(
        self,
        method: impl Into<String>,
        path: impl Into<String>,
        handler: impl HttpHandler<S> + 'static,
    ) -> Self {
        self.add(Method::Http(method.into()), path, Route::Handler(Box::new(handler)))
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
        self.get_route(path, Route::Page(page))
    }

    /// Serves a file from memory to `GET` and `HEAD` requests, in parts if the client wants parts.
    #[must_use]
    pub fn file(self, path: impl Into<String>, file: StaticFile) -> Self {
        self.get_route(path, Route::File(Box::new(file)))
    }

    /// Lets pages of other origins use the paths that a pattern matches, wherever the routes of
    /// these paths are added. Of several patterns that match a path, the one that takes precedence
    /// applies. All responses have the headers, also later ones, streams and errors.
    #[must_use]
    pub fn cors(mut self, path: impl Into<String>, cors: Cors) -> Self {
        self.cors.push((path.into(), cors));
        self
    }

    /// Serves the loop's [`Stats`](crate::Stats) to Prometheus
    /// ([`Stats::to_prometheus`](crate::Stats::to_prometheus)).
    #[must_use]
    pub fn metrics(self, path: impl Into<String>) -> Self {
        self.get_route(path, Route::Metrics)
    }

    /// Brings a handler of events with the routes, as [`EventLoop::on`](crate::EventLoop::on)
    /// registers it: for routes that need timers or answers of workers, and are made where there is
    /// no loop. It is registered when the routes are added to a loop, and stays until the loop
    /// ends.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eventwire::{HttpResponse, Later, RequestId, Routes};
    ///
    /// struct Due(RequestId);
    ///
    /// let routes = Routes::<()>::new()
    ///     .get("/slow", |conn, _, _| {
    ///         let request = conn.request_id();
    ///         let _ = conn.set_timer(Duration::from_secs(1), Due(request));
    ///         Later::default()
    ///     })
    ///     .on(|cx, due: &Due, _| {
    ///         let _ = cx.respond(due.0, HttpResponse::text("a second later"));
    ///     });
    /// # drop(routes);
    /// ```
    #[must_use]
    pub fn on<E: 'static>(
        mut self,
        handler: impl FnMut(&mut Context<'_>, &E, &mut S) + 'static,
    ) -> Self
    where
        S: 'static,
    {
        self.events.push(Box::new(|types| {
            types.register::<E>().handlers.push(Box::new(OnEvent(handler)));
        }));
        self
    }

    /// Takes the handlers of events.
    pub(crate) fn take_events(&mut self) -> Vec<Box<AddEventHandler<S>>> {
        std::mem::take(&mut self.events)
    }

    fn closure<F, A>(self, method: &str, path: impl Into<String>, handler: F) -> Self
    where
        F: FnMut(&mut Connection<'_>, &HttpRequest<'_>, &mut S) -> A + 'static,
        A: Into<Answer> + 'static,
    {
        self.route(method, path, OnRequest(handler, PhantomData))
    }

    fn get_route(self, path: impl Into<String>, route: Route<S>) -> Self {
        self.add(Method::Http("GET".to_owned()), path, route)
    }

    fn add(mut self, method: Method, path: impl Into<String>, route: Route<S>) -> Self {
        self.added.push(Added { method, path: path.into(), route });
        self
    }

    /// Takes what pages of other origins may do at each pattern, in order of precedence.
    pub(crate) fn take_cors(&mut self) -> Result<Vec<(Pattern, Cors)>, InvalidRoute> {
        let mut all: Vec<(Pattern, Cors)> = Vec::new();
        for (path, cors) in self.cors.drain(..) {
            let pattern = Pattern::parse(&path)?;
            if all.iter().any(|(other, _)| other.matches_same(&pattern)) {
                return Err(InvalidRoute::Taken { path, method: "Cors".to_owned() });
            }
            all.push((pattern, cors));
        }
        all.sort_by(|(a, _), (b, _)| a.precedence(b));
        Ok(all)
    }

    /// What is served at each pattern, in order of precedence.
    pub(crate) fn into_served(self) -> Result<Vec<Served<Route<S>>>, InvalidRoute> {
        let mut all: Vec<Served<Route<S>>> = Vec::new();
        for Added { method, path, route } in self.added {
            method.check(&path)?;
            let pattern = Pattern::parse(&path)?;
            match all.iter_mut().find(|served| served.pattern.matches_same(&pattern)) {
                Some(served) => served.add(method, path, route)?,
                None => all.push(Served { pattern, by_method: vec![(method, route)] }),
            }
        }
        all.sort_by(|a, b| a.pattern.precedence(&b.pattern));
        Ok(all)
    }
}

impl<S> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> fmt::Debug for Routes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes = self.added.iter().map(|Added { method, path, .. }| (method, path));
        f.debug_list().entries(routes).finish()
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
