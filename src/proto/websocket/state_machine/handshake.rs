//! The opening handshake, from both sides.

use std::borrow::Cow;
use std::sync::Arc;

use super::opening::{Expected, Verdict};
use super::receiving::Receiving;
use super::server_request::extra_headers;
use super::{Event, Handled, PeerError, State, WebSocket, Workspace};
use crate::proto::handshake::{Acceptance, ClientRequest, HandshakeError, Refusal, UpgradeRequest};
use crate::proto::http::{HttpRequest, HttpResponse};
use crate::proto::{Limits, Role};

impl Receiving<'_, '_> {
    /// Handles what comes before frames: a header of the PROXY protocol, and heads.
    pub(super) fn handle_head<'a>(
        &mut self,
        input: &'a mut [u8],
    ) -> Result<Handled<'a>, PeerError> {
        let handled = self.read_head(input);
        let handled =
            handled.map_err(|error| fail_handshake(self.socket, error, self.workspace))?;
        if self.socket.opening.as_ref().is_some_and(|opening| opening.is_refused()) {
            if let Some(error) = self.socket.handshake().take_refusal(self.workspace) {
                return Err(error);
            }
        }
        Ok(handled)
    }

    fn read_head<'a>(&mut self, input: &'a mut [u8]) -> Result<Handled<'a>, HandshakeError> {
        let WebSocket { limits, opening, waiting_since, compression, .. } = &mut *self.socket;
        let Some(opening) = opening else {
            return Ok(Handled::all(0));
        };
        match &mut opening.expected {
            Expected::Head => {}
            Expected::Body(body) => {
                let handled = body.read(input)?;
                if handled.event.is_some() {
                    opening.expected = Expected::Act;
                }
                return Ok(handled);
            }
            Expected::Act | Expected::Response(_) => return Ok(Handled::all(0)),
        }
        if let Some(refusal) = opening.refusal_mut() {
            refusal.read(input);
            return Ok(Handled::all(input.len()));
        }
        if opening.expects_proxy_header {
            return opening.read_proxy_header(input);
        }
        let is_next = opening.is_keep_alive && !opening.has_begun();
        let scanned = opening.scan(input);
        if is_next && opening.has_begun() {
            // A further request has its full time from its first byte on.
            *waiting_since = self.workspace.now;
        }
        let Some(end) = scanned? else {
            opening.head.extend_from_slice(input);
            return Ok(Handled::all(input.len()));
        };
        let in_pieces = !opening.head.is_empty();
        if in_pieces {
            opening.head.extend_from_slice(&input[..end]);
        }
        let head = if in_pieces { &opening.head[..] } else { &input[..end] };
        if opening.sent.is_some() && ClientRequest::is_interim(head, &limits.head) {
            let len = head.len();
            opening.skip_interim(len, &limits.head)?;
            // The recursion is no deeper than there may be interim responses.
            let rest = self.read_head(&mut input[end..])?;
            return Ok(Handled { consumed: end + rest.consumed, ..rest });
        }
        let (front, rest) = input.split_at_mut(end);
        let head = if in_pieces {
            Cow::Owned(std::mem::take(&mut opening.head))
        } else {
            Cow::Borrowed(&*front)
        };
        let Some(sent) = &mut opening.sent else {
            opening.expected = Expected::Act;
            return Ok(Handled { consumed: end, event: Some(Event::Request(head)) });
        };
        let event = match sent.judge(&head, &limits.head)? {
            Verdict::Refused => {
                sent.refusal_mut().into_iter().for_each(|refusal| refusal.read(rest));
                return Ok(Handled::all(end + rest.len()));
            }
            Verdict::Tunnel => Event::Tunnel,
            Verdict::Accepted(agreement) => {
                compression.agree(agreement);
                Event::Response(head)
            }
        };
        opening.restart();
        opening.expected = Expected::Act;
        Ok(Handled { consumed: end, event: Some(event) })
    }
}

impl WebSocket {
    /// Expects a header of the PROXY protocol before the opening request, which is
    /// [`Event::ProxyHeader`]. Call this before any input is handled.
    #[must_use]
    pub fn behind_proxy(mut self) -> Self {
        if let Some(opening) = &mut self.opening {
            opening.expects_proxy_header = true;
        }
        self
    }

    /// Accepts a client's request: writes the response and opens the connection.
    pub fn accept(
        &mut self,
        request: &UpgradeRequest<'_>,
        acceptance: &Acceptance,
        workspace: &mut Workspace<'_>,
    ) {
        if self.state == State::Connecting {
            acceptance.write(&request.key(), workspace.out);
            self.compression.agree(acceptance.agreement());
            self.responding = false;
            self.enter(State::Open, workspace);
        }
    }

    /// Responds to a request that opens no WebSocket. The client may send another request, which
    /// has its full time, unless it asked for the connection to end.
    pub fn respond(
        &mut self,
        request: &HttpRequest<'_>,
        response: &HttpResponse,
        workspace: &mut Workspace<'_>,
    ) {
        if self.state == State::Connecting {
            response.write_head(request.is_last(), extra_headers(self), workspace.out);
            if !request.is_head() {
                workspace.out.extend_from_slice(response.sent_body());
            }
            if let Some(answered) = self.server_request() {
                answered.end(request.is_last(), workspace);
            }
        }
    }

    /// Replaces the limits that the connection began with.
    pub(crate) fn set_limits(&mut self, limits: Arc<Limits>) {
        self.limits = limits;
    }

    /// Refuses a client's request: writes the response and ends the connection.
    pub fn refuse(&mut self, refusal: &Refusal, workspace: &mut Workspace<'_>) {
        if self.state == State::Connecting {
            refusal.write_with(extra_headers(self), workspace.out);
            self.enter(State::Closed, workspace);
        }
    }
}

/// Ends a connection whose opening handshake failed. A server tells its client why.
pub(super) fn fail_handshake(
    socket: &mut WebSocket,
    error: HandshakeError,
    workspace: &mut Workspace<'_>,
) -> PeerError {
    if socket.role == Role::Server {
        let opening = socket.opening.as_ref();
        let is_head = opening.is_some_and(|it| it.head.starts_with(HttpRequest::HEAD_METHOD));
        let refusal = error.refusal().head_only(is_head);
        refusal.write_with(extra_headers(socket), workspace.out);
    }
    socket.enter(State::Closed, workspace);
    error.into()
}
