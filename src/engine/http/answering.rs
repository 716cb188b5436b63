//! The answer to one request: a response, a stream, a WebSocket, or one that comes later.

use crate::engine::event_loop::EventLoop;
use crate::engine::http::answer::{Answer, RespondError};
use crate::engine::http::pending::{Given, PendingRequest, RequestFacts};
use crate::engine::ids::ConnectionId;
use crate::logging::log_line;
use crate::net::disconnect::ConnectError;
use crate::net::rare_state::End;
use crate::net::socket::Socket;
use crate::proto::handshake::{HandshakeError, Refusal};
use crate::proto::http::HttpResponse;
use crate::proto::{PeerError, WorkBudget};
use crate::reactor::Reactor;
use crate::slots::Key;

/// Answers the request of one connection.
pub(crate) struct Answering<'a, S, R: Reactor> {
    pub(super) event_loop: &'a mut EventLoop<S, R>,
    pub(super) conn: Key,
    pub(super) state: &'a mut S,
}

impl<S, R: Reactor> EventLoop<S, R> {
    #[inline]
    pub(crate) const fn answering<'a>(
        &'a mut self,
        conn: Key,
        state: &'a mut S,
    ) -> Answering<'a, S, R> {
        Answering { event_loop: self, conn, state }
    }
}

impl<S, R: Reactor> Answering<'_, S, R> {
    /// Sends an answer for which the request had to wait, in one call as an immediate one, and goes
    /// on with the connection's input.
    pub(crate) fn send_given(&mut self, given: Given) {
        let Given { waiting, answer, .. } = given;
        let (conn, sockets) = (self.conn, &mut self.event_loop.core.sockets);
        if !sockets.get(conn).is_some_and(Socket::awaits_response) {
            return;
        }
        // As a reply to input, though none is read.
        sockets.begin_input(conn, WorkBudget::UNLIMITED);
        sockets.registry.begin_replies(conn);
        let proxy = waiting.proxy;
        self.send(waiting, answer);
        if proxy.is_some() {
            self.return_to_proxy(proxy);
        }
        self.event_loop.core.sender().flush_cork(&[]);
        self.event_loop.end_read(conn, true);
        self.event_loop.core.sockets.registry.resume_if_unread(conn);
    }

    /// Sends an answer, or waits for it.
    pub(super) fn send(&mut self, request: PendingRequest, answer: Answer) {
        match answer {
            Answer::Response(response) => self.respond(&request.facts, &response),
            Answer::Refuse(refusal) => self.refuse(&refusal),
            Answer::Stream(response) => self.stream_response(&request.facts, response),
            Answer::Events(events) => self.stream_events(&request.facts, &events),
            Answer::Later(later) => {
                let core = &mut self.event_loop.core;
                let until = core.streams.reactor.now() + later.timeout();
                core.sockets.responses().wait(self.conn, until);
                core.pending.wait(ConnectionId(self.conn), request);
            }
            Answer::Accept(acceptance) => match &request.facts.upgrade {
                // Those that were open when the shutdown began were closed then.
                Some(_) if self.event_loop.core.ending.has_begun() => {
                    self.refuse(&Refusal::new(503));
                }
                Some(head) => self.accept_later(head, acceptance),
                None => {
                    let error = RespondError::NoUpgrade;
                    log_line!(error, "connection {}: {error}", ConnectionId(self.conn));
                    self.respond(&request.facts, &HttpResponse::new(500));
                }
            },
        }
    }

    pub(super) fn respond(&mut self, facts: &RequestFacts, response: &HttpResponse) {
        let Self { event_loop, conn, .. } = self;
        event_loop.tally.requests += 1;
        let is_last = facts.is_last || event_loop.core.ending.has_begun();
        let sockets = &mut event_loop.core.sockets;
        sockets.responses().respond(*conn, response, facts.is_head, is_last);
        if is_last {
            sockets.registry.end(*conn, End::Connect(ConnectError::Cancelled));
        }
    }

    pub(super) fn refuse(&mut self, refusal: &Refusal) {
        let sockets = &mut self.event_loop.core.sockets;
        sockets.responses().refuse(self.conn, refusal);
        sockets.registry.end(self.conn, End::Connect(ConnectError::Cancelled));
    }

    /// Refuses a request for what the client did wrong.
    pub(super) fn refuse_request(&mut self, error: HandshakeError, is_head: bool) {
        let sockets = &mut self.event_loop.core.sockets;
        sockets.responses().refuse(self.conn, &error.refusal().head_only(is_head));
        sockets.registry.end_by_peer_error(self.conn, PeerError::Handshake(error));
    }
}
