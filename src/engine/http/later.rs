//! Answers that are given later.

use crate::engine::connection::Connection;
use crate::engine::context::Context;
use crate::engine::core::Core;
use crate::engine::event_loop::EventLoop;
use crate::engine::http::answer::{Answer, RequestId, RespondError};
use crate::engine::http::pending::PendingRequest;
use crate::engine::http::responder::Responder;
use crate::engine::ids::ConnectionId;
use crate::logging::log_line;
use crate::net::streams::Transmit;
use crate::proto::handshake::{Acceptance, HandshakeError, UpgradeRequest};
use crate::proto::http::{HeadLimits, HttpRequest, HttpResponse};
use crate::reactor::Reactor;
use crate::slots::Key;

impl Connection<'_> {
    /// Names the request at hand, to answer it later with [`Context::respond`]. At any other time
    /// than in `on_request` or `on_upgrade`, or between these and the answer, it names a request
    /// that has no answer to come.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        self.context.core.pending.id(self.id())
    }

    /// Takes the means to answer the request at hand from any thread. A handler that takes it
    /// returns [`Later`].
    pub fn responder(&mut self) -> Responder {
        let (request, core) = (self.request_id(), &mut *self.context.core);
        Responder::new(request, core.pending.watch(request), core.handle.clone())
    }
}

impl Context<'_> {
    /// Answers a request whose handler has returned [`Later`]. The answer leaves at the end of the
    /// turn. Another [`Later`] gives the answer more time, from now on.
    ///
    /// ```
    /// use std::collections::VecDeque;
    /// use eventwire::{Config, EventLoop, HttpResponse, Later, RequestId, Routes, ServerConfig};
    ///
    /// /// A long poll: each client waits for the next piece of news.
    /// struct News(String);
    ///
    /// let routes = Routes::new().get("/next", |conn, _, waiting: &mut VecDeque<RequestId>| {
    ///     waiting.push_back(conn.request_id());
    ///     Later::default()
    /// });
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// event_loop.on(|cx, news: &News, waiting: &mut VecDeque<RequestId>| {
    ///     for request in waiting.drain(..) {
    ///         // A client that has left misses it.
    ///         let _ = cx.respond(request, HttpResponse::text(news.0.clone()));
    ///     }
    /// });
    /// event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes)?;
    /// # event_loop.turn(Some(std::time::Duration::ZERO), &mut VecDeque::new())?;
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RespondError`].
    pub fn respond(
        &mut self,
        request: RequestId,
        answer: impl Into<Answer>,
    ) -> Result<(), RespondError> {
        self.core.respond(request, answer.into())
    }
}

impl Core<dyn Transmit + '_> {
    /// Takes the answer to a request, to be sent at the end of the turn.
    pub(crate) fn respond(
        &mut self,
        request: RequestId,
        answer: Answer,
    ) -> Result<(), RespondError> {
        let answer = match self.pending.give_early(request, answer) {
            Ok(taken) => return taken,
            Err(answer) => answer,
        };
        let RequestId { conn, number } = request;
        let Some(waiting) = self.pending.get(request) else {
            let is_served = number != 0 && self.sockets.get(conn.0).is_some();
            return Err(if is_served { RespondError::Answered } else { RespondError::Gone });
        };
        match answer {
            Answer::Later(later) => {
                let by = self.streams.now() + later.timeout();
                self.sockets.await_response(conn.0, by);
                Ok(())
            }
            Answer::Accept(_) if waiting.facts.upgrade.is_none() => Err(RespondError::NoUpgrade),
            answer => {
                if let Some(waiting) = self.pending.take(request) {
                    self.requests.give(Given { conn, waiting, answer });
                }
                Ok(())
            }
        }
    }
}

/// An answer to a request that awaited it.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) conn: ConnectionId,
    pub(crate) waiting: PendingRequest,
    pub(crate) answer: Answer,
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Sends an answer for which the request had to wait, and goes on with the connection's input.
    pub(crate) fn send_given(&mut self, given: Given, state: &mut S) {
        let Given { conn: ConnectionId(conn), waiting, answer } = given;
        if self.core.sockets.awaits_response(conn) {
            self.send_answer(conn, waiting, answer, state);
            self.core.sockets.registry.note_standing(conn, true);
            self.core.sockets.registry.resume_if_unread(conn);
        }
    }

    /// Sends an answer, or waits for it.
    pub(crate) fn send_answer(
        &mut self,
        conn: Key,
        request: PendingRequest,
        answer: Answer,
        state: &mut S,
    ) {
        match answer {
            Answer::Response(response) => self.respond(conn, &request.facts, &response),
            Answer::Refuse(refusal) => self.refuse(conn, &refusal),
            Answer::Stream(response) => {
                self.stream_response(conn, &request.facts, response, state);
            }
            Answer::Events(events) => self.stream_events(conn, &request.facts, &events, state),
            Answer::Later(later) => {
                let by = self.core.streams.reactor.now() + later.timeout();
                self.core.sockets.await_response(conn, by);
                self.core.pending.wait(ConnectionId(conn), request);
            }
            Answer::Accept(acceptance) => match &request.facts.upgrade {
                Some(head) => self.accept_later(conn, head, acceptance, state),
                None => {
                    log_line!(
                        error,
                        "connection {}: {}",
                        ConnectionId(conn),
                        RespondError::NoUpgrade
                    );
                    self.respond(conn, &request.facts, &HttpResponse::new(500));
                }
            },
        }
    }

    /// Opens the WebSocket that the request with this head asks for.
    fn accept_later(&mut self, conn: Key, head: &[u8], acceptance: Acceptance, state: &mut S) {
        // It was checked when it arrived, within the limits of the listener.
        let limits = HeadLimits { bytes: head.len(), line: head.len(), headers: head.len() };
        let request = HttpRequest::read(head, &limits).map_err(HandshakeError::from);
        match request.and_then(UpgradeRequest::new) {
            Ok(request) => self.open_web_socket(conn, &request, acceptance, state),
            Err(error) => self.refuse(conn, &error.refusal()),
        }
    }
}
