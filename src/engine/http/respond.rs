//! From the head of a request to its answer.

use std::net::SocketAddr;
use std::rc::Rc;

use crate::engine::connection::Connection;
use crate::engine::event_loop::EventLoop;
use crate::engine::http::answering::Answering;
use crate::engine::http::pending::RequestFacts;
use crate::engine::http::router::{HandlerRoute, Resource, Router};
use crate::engine::http::served::{Served, allow};
use crate::engine::ids::ConnectionId;
use crate::engine::rates::limiter::RequestPart;
use crate::engine::rates::limiting::Limiting;
use crate::engine::turn::calls::HandlerCall;
use crate::net::peer::PeerAddr;
use crate::net::proxies;
use crate::proto::RequestStage;
use crate::proto::handshake::HandshakeError;
use crate::proto::http::{
    ContentType, Cors, ExpectedBody, HeaderBuffer, HttpError, HttpRequest, HttpResponse, Template,
};
use crate::reactor::Reactor;
use crate::slots::Key;

/// How a request is answered, determined before any handler is called.
enum Found {
    WebSocket(usize),
    Handler(HandlerRoute),
    Page(Rc<HttpResponse>),
    Response(HttpResponse),
    Metrics,
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Sets the connection's peer address from a PROXY protocol header.
    pub(crate) fn note_client(&mut self, conn: Key, header: &[u8]) {
        let client = proxies::announced(header);
        if let (Some(socket), Some(_)) = (self.core.sockets.get_mut(conn), client) {
            socket.peer = PeerAddr::from(client);
            Limiting::new(self.core.erased()).count_client(conn);
        }
    }
}

impl Found {
    /// The body that is to be received before the answer. Only handlers take one.
    #[inline]
    fn expected_body(
        &self,
        request: &HttpRequest<'_>,
        limit: usize,
    ) -> Result<Option<ExpectedBody>, HttpError> {
        match self {
            // It has its own error for this.
            Self::WebSocket(_) => Ok(None),
            Self::Handler(handler) => {
                let body = request.expected_body()?;
                let limit = handler.max_body.unwrap_or(limit);
                body.map(|body| body.within(limit)).transpose()
            }
            Self::Page(_) | Self::Response(_) | Self::Metrics => {
                request.expected_body().map(|_| None)
            }
        }
    }
}

impl<S, R: Reactor> Answering<'_, S, R> {
    /// Answers the request with this head, or receives its body first.
    pub(crate) fn answer(&mut self, head: &[u8], body: Option<&[u8]>) {
        let EventLoop { core, routers, .. } = &mut *self.event_loop;
        let Some(socket) = core.sockets.get(self.conn) else {
            return;
        };
        let (peer, slot) = (socket.peer.get(), socket.endpoint());
        let endpoint = slot.and_then(|slot| core.endpoints.server(slot));
        let router = slot.and_then(|slot| routers.get(slot));
        let (Some(endpoint), Some(router)) = (endpoint, router) else {
            return;
        };
        // Determined first, because even an invalid request may be a `HEAD` request.
        let is_head = head.starts_with(HttpRequest::HEAD_METHOD);
        // Declared first: the request borrows from the template.
        let (found, template);
        let mut buffer = HeaderBuffer::new();
        let mut request = match HttpRequest::read(head, endpoint.limits.head_limits(), &mut buffer)
        {
            Ok(request) => request,
            Err(error) => return self.refuse_request(error.into(), is_head),
        };
        request.set_over_tls(endpoint.speaks_tls());
        body.into_iter().for_each(|body| request.set_body(body));
        let client = match endpoint.client(&request, peer) {
            Ok(client) => client,
            Err(error) => return self.refuse_request(error, is_head),
        };
        let cors = router.cors(&request);
        if let Some(cors) = cors {
            core.sockets.responses().add_headers(self.conn, cors.headers(&request));
        }
        if core.limiter.is_used {
            let counted = endpoint.counted_address(client.or(peer));
            let (part, now) = (RequestPart::of(head, body), core.sockets.now());
            if let Err(denied) = core.limiter.take_request(self.conn, counted, part, now) {
                return self.deny(&request, denied);
            }
        }
        (found, template) = match find(&request, router, cors) {
            Ok(found) => found,
            Err(error) => return self.refuse_request(error, is_head),
        };
        if let Some(template) = &template {
            if let Err(error) = request.set_template(template) {
                return self.refuse_request(error.into(), is_head);
            }
        }
        match found.expected_body(&request, endpoint.limits.body()) {
            Ok(None) => {}
            Ok(Some(body)) => return self.receive_body(&found, &request, (head, body)),
            Err(error) => return self.refuse_request(error.into(), is_head),
        }
        if client.is_some() {
            self.set_peer(client);
        }
        match found {
            Found::WebSocket(handler) => return self.upgrade(handler, request, head),
            Found::Handler(handler) => self.ask(handler.index, &request),
            Found::Page(page) => self.respond(&RequestFacts::of_page(&request), &page),
            Found::Response(response) => self.respond(&RequestFacts::of_page(&request), &response),
            Found::Metrics => {
                let response = metrics(self.event_loop);
                self.respond(&RequestFacts::of_page(&request), &response);
            }
        }
        if client.is_some() {
            self.return_to_proxy(peer);
        }
    }

    /// The connection is that of a proxy again, once its client's request has a response: the proxy
    /// may send another client's on it. A stream is the client's to its end.
    pub(super) fn return_to_proxy(&mut self, proxy: Option<SocketAddr>) {
        let core = &mut self.event_loop.core;
        let Some(socket) = core.sockets.get_mut(self.conn) else {
            return;
        };
        match socket.protocol.request_stage() {
            Some(RequestStage::Answering) => core.pending.set_proxy(ConnectionId(self.conn), proxy),
            Some(RequestStage::Between | RequestStage::Asking) => socket.peer = proxy.into(),
            None => {}
        }
    }

    fn set_peer(&mut self, address: Option<SocketAddr>) {
        if let Some(socket) = self.event_loop.core.sockets.get_mut(self.conn) {
            socket.peer = address.into();
        }
    }

    /// Receives the body of the request with this head, if its handler wants that.
    fn receive_body(
        &mut self,
        found: &Found,
        request: &HttpRequest<'_>,
        (head, body): (&[u8], ExpectedBody),
    ) {
        if let Found::Handler(handler) = found {
            if let Err(response) = self.ask_for_body(handler.index, request) {
                return self.respond(&RequestFacts::of_page(request), &response);
            }
        }
        let responses = self.event_loop.core.sockets.responses();
        responses.receive_body(self.conn, head, body);
    }

    /// Asks the handler of the request's path whether it wants the body.
    fn ask_for_body(
        &mut self,
        handler: usize,
        request: &HttpRequest<'_>,
    ) -> Result<(), HttpResponse> {
        let Self { event_loop, conn, state } = self;
        let Some((any_handler, calls, context)) = event_loop.lend(handler) else {
            return Ok(());
        };
        let mut connection = Connection::new(context, ConnectionId(*conn));
        let asked = calls.call(HandlerCall::Body, &mut connection, |conn| {
            any_handler.http().map_or(Ok(()), |handler| handler.on_body(conn, request, state))
        });
        asked.unwrap_or_else(|_| Err(HttpResponse::new(500)))
    }

    /// Calls the handler of the request's path, and answers or waits for the answer.
    fn ask(&mut self, handler: usize, request: &HttpRequest<'_>) {
        let Self { event_loop, conn, state } = self;
        let id = ConnectionId(*conn);
        event_loop.core.pending.begin(id, false);
        let Some((any_handler, calls, context)) = event_loop.lend(handler) else {
            return;
        };
        let mut connection = Connection::new(context, id);
        // Written in place, because an answer is large. One that panics has returned nothing.
        let mut returned = None;
        drop(calls.call(HandlerCall::Request, &mut connection, |conn| {
            returned = any_handler.http().map(|handler| handler.on_request(conn, request, state));
        }));
        let mut asked = event_loop.core.pending.end();
        let answer = asked.choose(returned);
        let facts = RequestFacts::of(request, handler, &answer);
        self.send(asked.into_pending(facts), answer);
    }
}

/// How to answer the request, and the pattern of its route if that has parameters. A WebSocket
/// endpoint checks the rest of the request itself.
fn find(
    request: &HttpRequest<'_>,
    router: &Router,
    cors: Option<&Cors>,
) -> Result<(Found, Option<Rc<Template>>), HandshakeError> {
    if request.is_for_server() {
        request.check_for_server()?;
        return Ok((Found::Response(HttpResponse::options(&router.allow())), None));
    }
    let path = request.path();
    let served = router.find(path);
    let resource = served.and_then(|served| served.find(request));
    let template = served.and_then(|served| served.pattern.template());
    if let Some(Resource::WebSocket(handler)) = resource {
        return Ok((Found::WebSocket(*handler), template));
    }
    if !path.starts_with('/') && !matches!(request.method(), "GET" | "HEAD" | "OPTIONS") {
        // It asks for a tunnel.
        return Err(HandshakeError::MethodNotAllowed);
    }
    request.check_for_resource()?;
    if let (Some(cors), Some(served)) = (cors, served) {
        if let Some(response) = cors.preflight(request, || allow([served])) {
            return Ok((Found::Response(response), None));
        }
    }
    let found = match (resource, served) {
        (Some(Resource::Page(page)), _) => Found::Page(Rc::clone(page)),
        (Some(Resource::File(file)), _) => Found::Response(file.respond(request)),
        (Some(Resource::Metrics), _) => Found::Metrics,
        (Some(Resource::Handler(handler)), _) => Found::Handler(*handler),
        (Some(Resource::WebSocket(handler)), _) => Found::WebSocket(*handler),
        (None, Some(served)) => Found::Response(without_resource(request, served)),
        (None, None) => Found::Response(HttpResponse::new(404)),
    };
    Ok((found, template))
}

/// The response to a method that the path does not have.
#[cold]
fn without_resource(request: &HttpRequest<'_>, served: &Served<Resource>) -> HttpResponse {
    let allow = allow([served]);
    match request.method() {
        "OPTIONS" => HttpResponse::options(&allow),
        _ => HttpResponse::method_not_allowed(&allow),
    }
}

/// Version 0.0.4 of the text format, which every version of Prometheus can read.
const PROMETHEUS: ContentType = ContentType::new("text/plain; version=0.0.4; charset=utf-8");

fn metrics<S, R: Reactor>(event_loop: &EventLoop<S, R>) -> HttpResponse {
    HttpResponse::text(event_loop.stats().to_prometheus()).content_type(PROMETHEUS)
}
