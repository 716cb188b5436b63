//! Answers a request: opens a WebSocket, responds, or refuses.

use crate::engine::configured_handler::ConfiguredHandler;
use crate::engine::connection::Connection;
use crate::engine::endpoints::ServerEndpoint;
use crate::engine::event_loop::EventLoop;
use crate::engine::handler::Upgrade;
use crate::engine::http::router::Resource;
use crate::engine::ids::ConnectionId;
use crate::engine::turn::calls::HandlerCall;
use crate::net::disconnect::ConnectError;
use crate::net::peer::PeerAddr;
use crate::net::proxies;
use crate::net::rare_state::End;
use crate::net::socket::Socket;
use crate::proto::PeerError;
use crate::proto::handshake::{HandshakeError, UpgradeRequest};
use crate::proto::http::{ContentType, HttpRequest, HttpResponse};
use crate::reactor::Reactor;
use crate::slots::Key;

/// The methods of WebSocket endpoints, and those of other resources. Every resource also supports
/// `OPTIONS`.
const OPENING: &str = "GET";
const READING: &str = "GET, HEAD";

/// How a request is answered, determined before any handler is called.
enum Found {
    WebSocket(usize),
    Handler,
    Response(HttpResponse),
    Metrics,
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Sets the connection's peer address from a PROXY protocol header.
    pub(crate) fn note_client(&mut self, conn: Key, header: &[u8]) {
        let client = proxies::announced(header);
        if let (Some(socket), Some(_)) = (self.core.sockets.get_mut(conn), client) {
            socket.peer = PeerAddr::from(client);
            self.core.erased().count_client(conn);
        }
    }

    /// Answers the request with this head.
    pub(crate) fn answer(&mut self, conn: Key, head: &[u8], state: &mut S) {
        let Some(socket) = self.core.sockets.get(conn) else {
            return;
        };
        let (peer, slot) = (socket.peer.get(), socket.endpoint());
        let endpoint = slot.and_then(|slot| self.core.endpoints.server(slot));
        let router = slot.and_then(|slot| self.routers.get_mut(slot));
        let (Some(endpoint), Some(router)) = (endpoint, router) else {
            return;
        };
        // Determined first, because even an invalid request may be a `HEAD` request.
        let is_head = head.starts_with(HttpRequest::HEAD_METHOD);
        let request = match HttpRequest::read(head, endpoint.limits.head_limits()) {
            Ok(request) => request,
            Err(error) => return self.refuse_request(conn, error.into(), is_head),
        };
        let client = match endpoint.client(&request, peer) {
            Ok(client) => client,
            Err(error) => return self.refuse_request(conn, error, is_head),
        };
        let endpoint = slot.and_then(|slot| self.core.endpoints.at(slot));
        let counted = endpoint.and_then(|endpoint| endpoint.counted_address(client.or(peer)));
        let now = self.core.sockets.now();
        if let Err(denied) = self.core.limiter.take_request(conn, counted, head.len(), now) {
            return self.deny(conn, &request, denied);
        }
        let found = match find(&request, router.find(request.path())) {
            Ok(found) => found,
            Err(error) => return self.refuse_request(conn, error, is_head),
        };
        if client.is_some() {
            self.set_peer(conn, client);
        }
        let response = match found {
            Found::WebSocket(handler) => return self.upgrade(conn, handler, request, state),
            Found::Handler => self.ask(conn, &request, state),
            Found::Response(response) => response,
            Found::Metrics => metrics(self),
        };
        if client.is_some() {
            // The proxy may send another client's request on the same connection.
            self.set_peer(conn, peer);
        }
        self.respond(conn, &request, &response);
    }

    fn set_peer(&mut self, conn: Key, address: Option<std::net::SocketAddr>) {
        if let Some(socket) = self.core.sockets.get_mut(conn) {
            socket.peer = address.into();
        }
    }

    /// Calls the handler of the request's path.
    fn ask(&mut self, conn: Key, request: &HttpRequest<'_>, state: &mut S) -> HttpResponse {
        let endpoint = self.core.sockets.get(conn).and_then(Socket::endpoint);
        let router = endpoint.and_then(|endpoint| self.routers.get_mut(endpoint));
        let Some(Resource::Handler(handler)) =
            router.and_then(|router| router.find(request.path()))
        else {
            return HttpResponse::new(404);
        };
        let mut connection = Connection::new(self.core.erased().context(), ConnectionId(conn));
        let response = self.calls.call(HandlerCall::Request, &mut connection, |conn| {
            handler.on_request(conn, request, state)
        });
        // It panicked.
        response.unwrap_or_else(|_| HttpResponse::new(500))
    }

    pub(crate) fn respond(
        &mut self,
        conn: Key,
        request: &HttpRequest<'_>,
        response: &HttpResponse,
    ) {
        self.tally.requests += 1;
        let is_last = request.is_last() || self.core.ending.has_begun();
        self.core.sockets.respond(conn, response, request.is_head(), is_last);
        if is_last {
            self.core.sockets.registry.end(conn, End::Connect(ConnectError::Cancelled));
        }
    }

    fn refuse_request(&mut self, conn: Key, error: HandshakeError, is_head: bool) {
        self.core.sockets.refuse(conn, &error.refusal().head_only(is_head));
        self.core.sockets.registry.end_by_peer_error(conn, PeerError::Handshake(error));
    }

    fn upgrade(&mut self, conn: Key, handler: usize, http: HttpRequest<'_>, state: &mut S) {
        let Some(configured) = self.handlers.get(handler) else {
            return;
        };
        let endpoint = self.core.endpoints.server(configured.endpoint);
        let speaks_tls = endpoint.is_some_and(ServerEndpoint::speaks_tls);
        let is_head = http.is_head();
        let request = match admissible(http, configured, speaks_tls) {
            Ok(request) => request,
            Err(error) => return self.refuse_request(conn, error, is_head),
        };
        if let Err(denied) = self.core.erased().count_web_socket(conn) {
            return self.refuse_denied(conn, is_head, denied);
        }
        if let Some(socket) = self.core.sockets.get_mut(conn) {
            socket.set_handler(handler);
        }
        let upgrade = self
            .call(conn, HandlerCall::Upgrade, |handler, conn| {
                Some(handler.web_socket()?.on_upgrade(conn, &request, state))
            })
            .flatten()
            // It panicked.
            .unwrap_or_else(|| Upgrade::refuse(500));
        let Some(configured) = self.handlers.get(handler) else {
            return;
        };
        match configured.complete(upgrade, &request) {
            Upgrade::Accept(acceptance) => {
                let limits = configured.limits.clone();
                self.core.sockets.accept(conn, &request, &acceptance, limits);
                self.open(conn, acceptance.chosen_subprotocol(), state);
            }
            Upgrade::Refuse(refusal) => {
                self.core.sockets.refuse(conn, &refusal);
                self.core.sockets.registry.end(conn, End::Connect(ConnectError::Cancelled));
            }
        }
    }
}

/// How to answer the request, given the resource at its path. A WebSocket endpoint checks the rest
/// of the request itself.
fn find<S>(
    request: &HttpRequest<'_>,
    resource: Option<&mut Resource<S>>,
) -> Result<Found, HandshakeError> {
    if request.method() == "OPTIONS" {
        return options(request, resource.as_deref()).map(Found::Response);
    }
    if let Some(Resource::WebSocket(handler)) = resource {
        return Ok(Found::WebSocket(*handler));
    }
    let is_known = matches!(request.method(), "GET" | "HEAD");
    if !is_known && !request.path().starts_with('/') {
        // It asks for a tunnel.
        return Err(HandshakeError::MethodNotAllowed);
    }
    request.check_for_resource()?;
    Ok(match resource {
        None => Found::Response(HttpResponse::new(404)),
        Some(_) if !is_known => Found::Response(HttpResponse::method_not_allowed(READING)),
        Some(Resource::Page(page)) => Found::Response(page.clone()),
        Some(Resource::Metrics) => Found::Metrics,
        Some(Resource::Handler(_) | Resource::WebSocket(_)) => Found::Handler,
    })
}

/// The response to `OPTIONS`: the methods of the resource, or of the server.
fn options<S>(
    request: &HttpRequest<'_>,
    resource: Option<&Resource<S>>,
) -> Result<HttpResponse, HandshakeError> {
    if request.is_for_server() {
        request.check_for_server()?;
        return Ok(HttpResponse::options(READING));
    }
    request.check_for_resource()?;
    Ok(match resource {
        None => HttpResponse::new(404),
        Some(Resource::WebSocket(_)) => HttpResponse::options(OPENING),
        Some(_) => HttpResponse::options(READING),
    })
}

/// Checks that the request opens a WebSocket and comes from an allowed origin.
fn admissible<'a, S>(
    http: HttpRequest<'a>,
    configured: &ConfiguredHandler<S>,
    speaks_tls: bool,
) -> Result<UpgradeRequest<'a>, HandshakeError> {
    let request = UpgradeRequest::new(http)?;
    match speaks_tls {
        true => configured.origins.check_over_tls(&request)?,
        false => configured.origins.check(&request)?,
    }
    Ok(request)
}

/// Version 0.0.4 of the text format, which every version of Prometheus can read.
const PROMETHEUS: ContentType = ContentType::new("text/plain; version=0.0.4; charset=utf-8");

fn metrics<S, R: Reactor>(event_loop: &EventLoop<S, R>) -> HttpResponse {
    HttpResponse::text(event_loop.stats().to_prometheus()).content_type(PROMETHEUS)
}
