//! What a server does with a request before it responds.

use super::opening::Expected;
use super::request_body::RequestBody;
use super::{State, WebSocket, Workspace};
use crate::proto::Role;
use crate::proto::http::{ExpectedBody, ExtraHeaders, HttpResponse};
use crate::time::Time;

/// Tells a client that its body is wanted (RFC 9110 §10.1.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The request that a server has received and not responded to.
pub(crate) struct ServerRequest<'a>(&'a mut WebSocket);

impl WebSocket {
    /// The request that this server has received and not responded to, if there may be one.
    pub(crate) fn server_request(&mut self) -> Option<ServerRequest<'_>> {
        let is_server = self.role == Role::Server && self.state == State::Connecting;
        is_server.then_some(ServerRequest(self))
    }

    /// What this server has of a request; `None` once the connection is open, and for a client.
    pub(crate) fn request_stage(&self) -> Option<RequestStage> {
        let opening = self.opening.as_ref().filter(|_| self.role == Role::Server)?;
        Some(match opening.expected {
            Expected::Response(_) => RequestStage::Answering,
            _ if opening.is_keep_alive && !opening.has_begun() => RequestStage::Between,
            _ => RequestStage::Asking,
        })
    }
}

/// What the request that a server has received adds to any response to it.
pub(crate) fn extra_headers(socket: &WebSocket) -> &ExtraHeaders {
    let opening = socket.opening.as_ref();
    opening.and_then(|it| it.extra_headers.as_deref()).unwrap_or(ExtraHeaders::NONE)
}

/// What a server has of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestStage {
    /// The client is still to send its first request, or the rest of one.
    Asking,
    /// The application has the request, and responds later.
    Answering,
    /// The last request has its response, and no other has begun.
    Between,
}

impl ServerRequest<'_> {
    /// Receives the body of the request with this head, instead of a response to it. Then the body
    /// is [`Event::Body`](super::Event::Body).
    pub(crate) fn receive_body(
        self,
        head: &[u8],
        expected: ExpectedBody,
        workspace: &mut Workspace<'_>,
    ) {
        let Self(socket) = self;
        if expected.awaits_continue {
            workspace.out.extend_from_slice(CONTINUE);
        }
        let limits = &socket.limits;
        let body = RequestBody::new(head, expected.length, expected.limit, limits.head);
        socket.waiting_since = workspace.now;
        if let Some(opening) = &mut socket.opening {
            opening.expected = Expected::Body(Box::new(body));
        }
    }

    /// Any response to the request has these headers, too.
    pub(crate) fn add_headers(self, headers: ExtraHeaders) {
        if let Some(opening) = &mut self.0.opening {
            opening.extra_headers = Some(Box::new(headers));
        }
    }

    /// Writes the head of the response, and ends the request.
    pub(crate) fn respond(self, response: &HttpResponse, is_last: bool, work: &mut Workspace<'_>) {
        response.write_head(is_last, extra_headers(self.0), work.out);
        self.end(is_last, work);
    }

    /// The response comes later, by `until` or never: then it is 504.
    pub(crate) fn await_response(self, until: Time) {
        if let Some(opening) = &mut self.0.opening {
            opening.expected = Expected::Response(until);
        }
    }

    /// The response was written. If it `is_last`, nothing follows.
    pub(crate) fn end(self, is_last: bool, workspace: &mut Workspace<'_>) {
        let Self(socket) = self;
        socket.responding = true;
        if is_last {
            return socket.enter(State::Closed, workspace);
        }
        socket.waiting_since = workspace.now;
        if let Some(opening) = &mut socket.opening {
            opening.keep_alive();
        }
    }
}
