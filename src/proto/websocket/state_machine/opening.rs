//! The opening handshake, from both sides.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Event, Handled, PeerError, State, WebSocket, Workspace};
use crate::proto::handshake::{
    Acceptance, ClientRequest, HandshakeError, Key, Refusal, UpgradeRequest,
};
use crate::proto::http::{HeadLimits, HeadScanner, HttpRequest, HttpResponse};
use crate::proto::proxy_protocol::{HEADER_BYTES_MAX, header_len};
use crate::proto::{Limits, Role};

/// How many interim responses a server may send before that to the request. Few have a use for
/// one or two.
const INTERIM_RESPONSES_MAX: u8 = 10;

/// The opening handshake in progress.
#[derive(Debug)]
pub(super) struct Opening {
    scanner: HeadScanner,
    /// The head so far, when it did not arrive in one piece.
    head: Vec<u8>,
    /// What a client has asked for; nothing for a server.
    sent: Option<SentRequest>,
    /// A server has yielded the request and waits for its owner's answer.
    response_due: bool,
    /// What a proxy says of its client comes before the first head.
    expects_proxy_header: bool,
    /// A request was answered before, and the connection stayed open.
    is_keep_alive: bool,
    /// How many interim responses came.
    interim_count: u8,
    /// Bytes of those, all together.
    interim_bytes: usize,
}

/// A client's request, to which the response must answer.
#[derive(Debug)]
pub(super) struct SentRequest {
    pub(super) request: ClientRequest,
    pub(super) key: Key,
}

impl Opening {
    pub(super) fn new(limits: HeadLimits, sent: Option<SentRequest>) -> Self {
        let scanner = HeadScanner::new(limits);
        let head = Vec::new();
        Self {
            scanner,
            head,
            sent,
            response_due: false,
            expects_proxy_header: false,
            is_keep_alive: false,
            interim_count: 0,
            interim_bytes: 0,
        }
    }

    /// Skips an interim response: all of them together may be as long as one head.
    fn skip_interim(&mut self, len: usize, limits: &HeadLimits) -> Result<(), HandshakeError> {
        self.interim_count += 1;
        self.interim_bytes += len;
        if self.interim_bytes > limits.bytes {
            return Err(HandshakeError::HeadTooLarge { limit: limits.bytes });
        }
        if self.interim_count > INTERIM_RESPONSES_MAX {
            return Err(HandshakeError::TooManyInterimResponses {
                limit: INTERIM_RESPONSES_MAX.into(),
            });
        }
        self.head.clear();
        self.scanner = HeadScanner::new(*limits);
        Ok(())
    }
}

impl WebSocket {
    pub(super) fn handle_head<'a>(
        &mut self,
        input: &'a mut [u8],
        workspace: &mut Workspace<'_>,
    ) -> Result<Handled<'a>, PeerError> {
        let Some(opening) = self.opening.as_mut().filter(|opening| !opening.response_due) else {
            return Ok(Handled::all(0));
        };
        if opening.expects_proxy_header {
            return self.handle_proxy_header(input, workspace);
        }
        let begins = opening.is_keep_alive && opening.scanner.is_at_start();
        let scanned = opening.scanner.scan(input);
        if begins && !opening.scanner.is_at_start() {
            // It has all of its time from its first byte on, however long none came before it.
            self.waiting_since = workspace.now;
        }
        let end = match scanned {
            Ok(Some(end)) => end,
            Ok(None) => {
                opening.head.extend_from_slice(input);
                return Ok(Handled::all(input.len()));
            }
            Err(error) => {
                // Its method says how it is refused.
                opening.head.extend(input.iter().take(HttpRequest::HEAD_METHOD.len()));
                opening.head.truncate(opening.scanner.scanned());
                return Err(self.fail_handshake(error, workspace));
            }
        };
        let in_pieces = !opening.head.is_empty();
        if in_pieces {
            opening.head.extend_from_slice(&input[..end]);
        }
        let head = if in_pieces { &opening.head[..] } else { &input[..end] };
        if opening.sent.is_some() && ClientRequest::is_interim(head, &self.limits.head) {
            let len = head.len();
            if let Err(error) = opening.skip_interim(len, &self.limits.head) {
                return Err(self.fail_handshake(error, workspace));
            }
            // No deeper than there may be interim responses.
            let rest = self.handle_head(&mut input[end..], workspace)?;
            return Ok(Handled { consumed: end + rest.consumed, ..rest });
        }
        let head = if in_pieces {
            Cow::Owned(std::mem::take(&mut opening.head))
        } else {
            Cow::Borrowed(&input[..end])
        };
        let Some(SentRequest { request, key }) = &opening.sent else {
            opening.response_due = true;
            return Ok(Handled { consumed: end, event: Some(Event::Request(head)) });
        };
        match request.check_scanned(&head, &self.limits.head, key) {
            Ok(accepted) => self.compression.agree(accepted.agreement()),
            Err(error) => return Err(self.fail_handshake(error, workspace)),
        }
        self.enter(State::Open, workspace);
        Ok(Handled { consumed: end, event: Some(Event::Open(head)) })
    }

    /// Expects what a proxy says of its client before the opening request
    /// ([`Event::ProxyHeader`]). To be called before anything is received.
    #[must_use]
    pub fn behind_proxy(mut self) -> Self {
        if let Some(opening) = &mut self.opening {
            opening.expects_proxy_header = true;
        }
        self
    }

    fn handle_proxy_header<'a>(
        &mut self,
        input: &'a mut [u8],
        workspace: &mut Workspace<'_>,
    ) -> Result<Handled<'a>, PeerError> {
        let Some(opening) = &mut self.opening else {
            return Ok(Handled::all(0));
        };
        // Short, once for each connection, and nearly always here whole.
        let kept = opening.head.len();
        let take = input.len().min(HEADER_BYTES_MAX - kept);
        opening.head.extend_from_slice(&input[..take]);
        let len = match header_len(&opening.head) {
            Ok(Some(len)) if len <= opening.head.len() => len,
            Ok(_) => return Ok(Handled::all(take)),
            Err(_) => {
                // Of a request nothing has been read, so it has no method yet.
                opening.head.clear();
                return Err(self.fail_handshake(HandshakeError::InvalidProxyHeader, workspace));
            }
        };
        let mut header = std::mem::take(&mut opening.head);
        header.truncate(len);
        opening.expects_proxy_header = false;
        let event = Some(Event::ProxyHeader(Cow::Owned(header)));
        Ok(Handled { consumed: len - kept, event })
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

    /// Answers a request that opens no connection. The next one may come then, and has all of its
    /// time, unless the client wants the connection to end.
    pub fn respond(
        &mut self,
        request: &HttpRequest<'_>,
        response: &HttpResponse,
        workspace: &mut Workspace<'_>,
    ) {
        if self.state == State::Connecting {
            response.write_head(request.is_last(), workspace.out);
            if !request.is_head() {
                workspace.out.extend_from_slice(&response.sent_body());
            }
            self.end_request(request.is_last(), workspace);
        }
    }

    /// A request was answered; `is_last`: nothing comes after it.
    pub(crate) fn end_request(&mut self, is_last: bool, workspace: &mut Workspace<'_>) {
        self.responding = true;
        if is_last {
            return self.enter(State::Closed, workspace);
        }
        self.waiting_since = workspace.now;
        if let Some(opening) = &mut self.opening {
            **opening = Opening { is_keep_alive: true, ..Opening::new(self.limits.head, None) };
        }
    }

    /// Whether something of a request has come that is not answered.
    pub(super) fn has_begun_request(&self) -> bool {
        self.opening.as_ref().is_some_and(|opening| !opening.scanner.is_at_start())
    }

    /// Whether a request was answered and nothing of another has come.
    pub(crate) fn is_between_requests(&self) -> bool {
        let opening = self.opening.as_ref();
        opening.is_some_and(|opening| opening.is_keep_alive && opening.scanner.is_at_start())
    }

    /// What holds for the connection from now on, instead of what it began with.
    pub(crate) fn set_limits(&mut self, limits: Arc<Limits>) {
        self.limits = limits;
    }

    /// Refuses a client's request: writes the response and ends the connection.
    pub fn refuse(&mut self, refusal: &Refusal, workspace: &mut Workspace<'_>) {
        if self.state == State::Connecting {
            refusal.write(workspace.out);
            self.enter(State::Closed, workspace);
        }
    }

    pub(super) fn fail_handshake(
        &mut self,
        error: HandshakeError,
        workspace: &mut Workspace<'_>,
    ) -> PeerError {
        if self.role == Role::Server {
            let is_head = self
                .opening
                .as_ref()
                .is_some_and(|it| it.head.starts_with(HttpRequest::HEAD_METHOD));
            error.refusal().head_only(is_head).write(workspace.out);
        }
        self.enter(State::Closed, workspace);
        error.into()
    }
}
