//! Requests that ask for a WebSocket.

use crate::engine::configured_handler::ConfiguredHandler;
use crate::engine::endpoints::ServerEndpoint;
use crate::engine::http::answer::Answer;
use crate::engine::http::answering::Answering;
use crate::engine::http::pending::RequestFacts;
use crate::engine::ids::ConnectionId;
use crate::engine::rates::limiting::Limiting;
use crate::engine::turn::calls::HandlerCall;
use crate::net::socket::Socket;
use crate::proto::handshake::{Acceptance, HandshakeError, UpgradeRequest};
use crate::proto::http::{HeadLimits, HttpRequest};
use crate::reactor::Reactor;

impl<S, R: Reactor> Answering<'_, S, R> {
    /// Asks the handler whether the WebSocket opens.
    pub(super) fn upgrade(&mut self, handler: usize, http: HttpRequest<'_>, head: &[u8]) {
        let Self { event_loop, conn, state } = self;
        let conn = *conn;
        let Some(configured) = event_loop.handlers.get(handler) else {
            return;
        };
        let endpoint = event_loop.core.endpoints.server(configured.endpoint);
        let speaks_tls = endpoint.is_some_and(ServerEndpoint::speaks_tls);
        let is_head = http.is_head();
        let request = match admissible(http, configured, speaks_tls) {
            Ok(request) => request,
            Err(error) => return self.refuse_request(error, is_head),
        };
        if let Err(denied) = Limiting::new(event_loop.core.erased()).count_opening(conn) {
            return self.refuse_denied(is_head, denied);
        }
        if let Some(socket) = event_loop.core.sockets.get_mut(conn) {
            socket.set_handler(handler);
        }
        event_loop.core.pending.begin(ConnectionId(conn), true);
        let upgrade = event_loop
            .call(conn, HandlerCall::Upgrade, |handler, conn| {
                Some(handler.web_socket()?.on_upgrade(conn, &request, state))
            })
            .flatten();
        let mut asked = event_loop.core.pending.end();
        match asked.choose(upgrade.map(Answer::from)) {
            Answer::Accept(acceptance) => self.accept(&request, acceptance),
            Answer::Refuse(refusal) => self.refuse(&refusal),
            answer => {
                let facts = RequestFacts::of_upgrade(head);
                self.send(asked.into_pending(facts), answer);
            }
        }
    }

    /// Opens the WebSocket that the request asks for.
    fn accept(&mut self, request: &UpgradeRequest<'_>, acceptance: Acceptance) {
        let Self { event_loop, conn, state } = self;
        let handler = event_loop.core.sockets.get(*conn).map(Socket::handler);
        let Some(configured) = handler.and_then(|handler| event_loop.handlers.get(handler)) else {
            return;
        };
        let acceptance = configured.complete(acceptance, request);
        let limits = configured.limits.clone();
        event_loop.core.sockets.responses().accept(*conn, request, &acceptance, limits);
        event_loop.open(*conn, acceptance.chosen_subprotocol(), state);
    }

    /// Opens the WebSocket that the request with this head asked for.
    pub(super) fn accept_later(&mut self, head: &[u8], acceptance: Acceptance) {
        // It was checked when it arrived, within the limits of the listener.
        let limits = HeadLimits { bytes: head.len(), line: head.len(), headers: head.len() };
        let request = HttpRequest::read_owned(head, &limits).map_err(HandshakeError::from);
        match request.and_then(UpgradeRequest::new) {
            Ok(request) => self.accept(&request, acceptance),
            Err(error) => self.refuse(&error.refusal()),
        }
    }
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
