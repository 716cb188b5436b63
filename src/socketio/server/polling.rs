//! Polling: `GET` requests that wait for packets, and `POST` requests that bring some.

use std::rc::Rc;
use std::time::Duration;

use super::Server;
use crate::slots::Key;
use crate::socketio::engine_io::{self, Packet, Payload, Query, RequestError, Transport};
use crate::socketio::handler::SocketIoHandler;
use crate::socketio::handshake::Handshake;
use crate::socketio::hub::{Opening, Recoveries, Sessions, response};
use crate::socketio::reason::DisconnectReason;
use crate::{
    Answer, Connection, ContentType, Context, HttpHandler, HttpRequest, HttpResponse, Later,
    RequestId,
};

/// The handler of requests.
pub(super) struct Polling<H>(pub(super) Rc<Server<H>>);

/// The type of bodies in which versions before 4 sent bytes.
const BINARY: &str = "application/octet-stream";

/// How much longer than its packets may take a poll waits for its answer.
const POLL_GRACE: Duration = Duration::from_secs(30);

impl<S, H: SocketIoHandler<S>> HttpHandler<S> for Polling<H> {
    fn max_body(&self) -> Option<usize> {
        Some(self.0.hub(|hub| hub.config.settings.max_payload))
    }

    fn on_body(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        state: &mut S,
    ) -> Result<(), HttpResponse> {
        match request.method() {
            "POST" => self.0.begin_post(conn, request, state).map_err(refusal),
            _ => Ok(()),
        }
    }

    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        state: &mut S,
    ) -> Answer {
        self.0.answer(conn, request, state).unwrap_or_else(|error| refusal(error).into())
    }

    fn on_abandoned(&mut self, conn: &mut Connection<'_>, request: RequestId, state: &mut S) {
        let session = self.0.hub(|hub| hub.by_connection.remove(request.connection()));
        self.0.serve(conn, session, state, |server, cx, _| {
            if let Some(session) = session {
                server.hub(|hub| {
                    Sessions(hub)
                        .act(cx, session, |engine, outputs| engine.poll_lost(request, outputs))
                });
            }
        });
    }
}

/// The response to a request that gets no session.
fn refusal(error: RequestError) -> HttpResponse {
    HttpResponse::new(error.status()).content_type(ContentType::JSON).body(error.body())
}

impl<H> Server<H> {
    fn answer<S>(
        &self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        state: &mut S,
    ) -> Result<Answer, RequestError>
    where
        H: SocketIoHandler<S>,
    {
        let query = Query::read(request.query_pairs())?;
        if self.hub(|hub| hub.config.origins.check_request(request).is_err()) {
            return Err(RequestError::Forbidden);
        }
        if query.transport != Transport::Polling {
            return Err(RequestError::BadRequest);
        }
        let Some(id) = &query.session else {
            return self.open(conn, request, &query, state);
        };
        let found = self.hub(|hub| Sessions(hub).find_session(id));
        let session = found.ok_or(RequestError::UnknownSession)?;
        match request.method() {
            "GET" => self.poll(conn, session, state),
            "POST" => self.post(conn, session, request, state),
            _ => Err(RequestError::BadMethod),
        }
    }

    fn open<S>(
        &self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        query: &Query<'_>,
        state: &mut S,
    ) -> Result<Answer, RequestError>
    where
        H: SocketIoHandler<S>,
    {
        if request.method() != "GET" {
            return Err(RequestError::BadMethod);
        }
        query.check_version()?;
        let handshake = Handshake::of_request(request, conn.peer_addr());
        self.serve(conn, None, state, |server, cx, _| {
            let opening = Opening { handshake, socket: None };
            let opened = server.hub(|hub| Sessions(hub).open_session(cx, opening));
            let Some(open) = opened else {
                return Ok(HttpResponse::new(503).into());
            };
            let mut payload = Payload::new();
            payload.push(&Packet::Open(&open));
            Ok(response(payload.into_bytes(), false).into())
        })
    }

    fn poll<S>(
        &self,
        conn: &mut Connection<'_>,
        session: Key,
        state: &mut S,
    ) -> Result<Answer, RequestError>
    where
        H: SocketIoHandler<S>,
    {
        let (request, id) = (conn.request_id(), conn.id());
        self.serve(conn, Some(session), state, |server, cx, _| {
            let hub = &mut *server.hub.borrow_mut();
            hub.by_connection.insert(id, session);
            let polled =
                Sessions(hub).act(cx, session, |engine, outputs| engine.poll(request, outputs));
            match polled {
                Some(Ok(())) => {}
                Some(Err(engine_io::Refused::Unknown)) | None => {
                    return Err(RequestError::UnknownSession);
                }
                Some(Err(_)) => return Err(RequestError::BadRequest),
            }
            Recoveries(hub).note_drained(cx, session);
            let settings = &hub.config.settings;
            let wait = settings.ping_interval.saturating_add(settings.ping_timeout);
            Ok(Later::within(wait.saturating_add(POLL_GRACE)).into())
        })
    }

    fn post<S>(
        &self,
        conn: &mut Connection<'_>,
        session: Key,
        request: &HttpRequest<'_>,
        state: &mut S,
    ) -> Result<Answer, RequestError>
    where
        H: SocketIoHandler<S>,
    {
        let check = self.hub(|hub| Some(hub.sessions.get(session)?.engine.check_post()));
        match check {
            Some(Ok(())) => {}
            Some(Err(engine_io::Refused::Unknown)) | None => {
                return Err(RequestError::UnknownSession);
            }
            Some(Err(_)) => return Err(RequestError::BadRequest),
        }
        self.serve(conn, Some(session), state, |server, cx, state| {
            server.receive_payload(cx, session, request.body(), state)
        })
    }

    /// A `POST` request has begun. There is at most one at a time, and it brings text.
    fn begin_post<S>(
        &self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        state: &mut S,
    ) -> Result<(), RequestError>
    where
        H: SocketIoHandler<S>,
    {
        let query = Query::read(request.query_pairs())?;
        let found = query.session.and_then(|id| self.hub(|hub| Sessions(hub).find_session(&id)));
        // One without a session is refused when it is whole.
        let Some(session) = found else {
            return Ok(());
        };
        let (id, is_binary) = (conn.id(), request.header("Content-Type") == Some(BINARY));
        self.serve(conn, Some(session), state, |server, cx, _| {
            let other = server.hub(|hub| hub.sessions.get_mut(session)?.post.replace(id));
            let overlaps =
                other.is_some_and(|other| other != id && !cx.connection(other).is_gone());
            if overlaps || is_binary {
                let error = if overlaps { "two requests at once" } else { "a body of bytes" };
                server.violate(cx, session, &error);
                return Err(RequestError::BadRequest);
            }
            Ok(())
        })
    }

    fn receive_payload<S>(
        &self,
        cx: &mut Context<'_>,
        session: Key,
        body: &[u8],
        state: &mut S,
    ) -> Result<Answer, RequestError>
    where
        H: SocketIoHandler<S>,
    {
        self.hub(|hub| hub.sessions.get_mut(session)?.post.take());
        for packet in engine_io::packets(body) {
            let is_valid = match packet {
                Ok(packet) => self.receive(cx, session, packet, state),
                Err(error) => self.violate(cx, session, &error),
            };
            if !is_valid {
                return Err(RequestError::BadRequest);
            }
        }
        Ok(HttpResponse::html("ok").into())
    }

    /// Ends a session that broke the protocol. Returns that the packet is not valid.
    pub(super) fn violate(
        &self,
        cx: &mut Context<'_>,
        session: Key,
        error: &dyn std::fmt::Display,
    ) -> bool {
        crate::logging::log_line!(info, "a client of Socket.IO broke the protocol: {error}");
        self.hub(|hub| {
            hub.stats.violations += 1;
            Sessions(hub).abort_session(cx, session, DisconnectReason::Protocol);
        });
        false
    }
}
