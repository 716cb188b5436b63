//! Answers a request: opens a WebSocket, responds, or refuses.

use crate::engine::configured_handler::ConfiguredHandler;
use crate::engine::connection::Connection;
use crate::engine::endpoints::ServerEndpoint;
use crate::engine::event_loop::EventLoop;
use crate::engine::http::answer::Answer;
use crate::engine::http::pending::RequestFacts;
use crate::engine::http::router::Resource;
use crate::engine::ids::ConnectionId;
use crate::engine::rates::limiter::RequestPart;
use crate::engine::turn::calls::HandlerCall;
use crate::net::disconnect::ConnectError;
use crate::net::peer::PeerAddr;
use crate::net::proxies;
use crate::net::rare_state::End;
use crate::net::socket::Socket;
use crate::proto::PeerError;
use crate::proto::handshake::{Acceptance, HandshakeError, Refusal, UpgradeRequest};
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
    Handler(usize),
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

    /// Answers the request with this head, or receives its body first.
    pub(crate) fn answer(&mut self, conn: Key, head: &[u8], body: Option<&[u8]>, state: &mut S) {
        let Some(socket) = self.core.sockets.get(conn) else {
            return;
        };
        let (peer, slot) = (socket.peer.get(), socket.endpoint());
        let endpoint = slot.and_then(|slot| self.core.endpoints.server(slot));
        let router = slot.and_then(|slot| self.routers.get(slot));
        let (Some(endpoint), Some(router)) = (endpoint, router) else {
            return;
        };
        // Determined first, because even an invalid request may be a `HEAD` request.
        let is_head = head.starts_with(HttpRequest::HEAD_METHOD);
        let request = match HttpRequest::read(head, endpoint.limits.head_limits()) {
            Ok(request) => body.into_iter().fold(request, HttpRequest::with_body),
            Err(error) => return self.refuse_request(conn, error.into(), is_head),
        };
        let client = match endpoint.client(&request, peer) {
            Ok(client) => client,
            Err(error) => return self.refuse_request(conn, error, is_head),
        };
        let counted = endpoint.counted_address(client.or(peer));
        let part = RequestPart::of(head, body);
        let now = self.core.sockets.now();
        if let Err(denied) = self.core.limiter.take_request(conn, counted, part, now) {
            return self.deny(conn, &request, denied);
        }
        let found = match find(&request, router.find(request.path())) {
            Ok(found) => found,
            Err(error) => return self.refuse_request(conn, error, is_head),
        };
        let takes_body = matches!(found, Found::Handler(_));
        match request.expected_body().map(|body| body.filter(|_| takes_body)) {
            Ok(None) => {}
            Ok(Some(body)) => {
                let limit = endpoint.limits.body();
                return match body.check(limit) {
                    Ok(()) => self.core.sockets.receive_body(conn, head, body),
                    Err(error) => self.refuse_request(conn, error.into(), is_head),
                };
            }
            Err(error) => return self.refuse_request(conn, error.into(), is_head),
        }
        if client.is_some() {
            self.set_peer(conn, client);
        }
        match found {
            Found::WebSocket(handler) => return self.upgrade(conn, handler, request, head, state),
            Found::Handler(handler) => self.ask(conn, handler, &request, state),
            Found::Response(response) => {
                self.respond(conn, &RequestFacts::of_page(&request), &response);
            }
            Found::Metrics => {
                let response = metrics(self);
                self.respond(conn, &RequestFacts::of_page(&request), &response);
            }
        }
        if client.is_some() {
            // The proxy may send another client's request on the same connection.
            self.set_peer(conn, peer);
        }
    }

    fn set_peer(&mut self, conn: Key, address: Option<std::net::SocketAddr>) {
        if let Some(socket) = self.core.sockets.get_mut(conn) {
            socket.peer = address.into();
        }
    }

    /// Calls the handler of the request's path, and answers or waits for the answer.
    fn ask(&mut self, conn: Key, handler: usize, request: &HttpRequest<'_>, state: &mut S) {
        self.core.pending.begin(ConnectionId(conn));
        let Some((any_handler, calls, context)) = self.lend(handler) else {
            return;
        };
        let mut connection = Connection::new(context, ConnectionId(conn));
        let returned = calls.call(HandlerCall::Request, &mut connection, |conn| {
            Some(any_handler.http()?.on_request(conn, request, state))
        });
        let mut asked = self.core.pending.end();
        let answer = asked.choose(returned.ok().flatten());
        let facts = RequestFacts::of(request, handler);
        self.send_answer(conn, asked.into_pending(facts), answer, state);
    }

    pub(crate) fn respond(&mut self, conn: Key, facts: &RequestFacts, response: &HttpResponse) {
        self.tally.requests += 1;
        let is_last = facts.is_last || self.core.ending.has_begun();
        self.core.sockets.respond(conn, response, facts.is_head, is_last);
        if is_last {
            self.core.sockets.registry.end(conn, End::Connect(ConnectError::Cancelled));
        }
    }

    pub(crate) fn refuse(&mut self, conn: Key, refusal: &Refusal) {
        self.core.sockets.refuse(conn, refusal);
        self.core.sockets.registry.end(conn, End::Connect(ConnectError::Cancelled));
    }

    fn refuse_request(&mut self, conn: Key, error: HandshakeError, is_head: bool) {
        self.core.sockets.refuse(conn, &error.refusal().head_only(is_head));
        self.core.sockets.registry.end_by_peer_error(conn, PeerError::Handshake(error));
    }

    fn upgrade(
        &mut self,
        conn: Key,
        handler: usize,
        http: HttpRequest<'_>,
        head: &[u8],
        state: &mut S,
    ) {
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
        self.core.pending.begin(ConnectionId(conn));
        let upgrade = self
            .call(conn, HandlerCall::Upgrade, |handler, conn| {
                Some(handler.web_socket()?.on_upgrade(conn, &request, state))
            })
            .flatten();
        let mut asked = self.core.pending.end();
        match asked.choose(upgrade.map(Answer::from)) {
            Answer::Accept(acceptance) => self.open_web_socket(conn, &request, acceptance, state),
            Answer::Refuse(refusal) => self.refuse(conn, &refusal),
            answer => {
                let facts = RequestFacts::of_upgrade(head);
                self.send_answer(conn, asked.into_pending(facts), answer, state);
            }
        }
    }

    /// Opens the WebSocket that the request asks for.
    pub(super) fn open_web_socket(
        &mut self,
        conn: Key,
        request: &UpgradeRequest<'_>,
        acceptance: Acceptance,
        state: &mut S,
    ) {
        let handler = self.core.sockets.get(conn).map(Socket::handler);
        let Some(configured) = handler.and_then(|handler| self.handlers.get(handler)) else {
            return;
        };
        let acceptance = configured.complete(acceptance, request);
        let limits = configured.limits.clone();
        self.core.sockets.accept(conn, request, &acceptance, limits);
        self.open(conn, acceptance.chosen_subprotocol(), state);
    }
}

/// How to answer the request, given the resource at its path. A WebSocket endpoint checks the rest
/// of the request itself.
fn find(request: &HttpRequest<'_>, resource: Option<&Resource>) -> Result<Found, HandshakeError> {
    if request.method() == "OPTIONS" {
        return options(request, resource).map(Found::Response);
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
        Some(Resource::Handler(handler)) => Found::Handler(*handler),
        Some(Resource::WebSocket(handler)) => Found::WebSocket(*handler),
    })
}

/// The response to `OPTIONS`: the methods of the resource, or of the server.
fn options(
    request: &HttpRequest<'_>,
    resource: Option<&Resource>,
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
