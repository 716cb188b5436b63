//! The opening handshake, from both sides.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Event, PeerError, State, WebSocket, Workspace};
use crate::proto::handshake::{
    Acceptance, ClientRequest, HandshakeError, Key, Refusal, UpgradeRequest,
};
use crate::proto::http::{HeadLimits, HeadScanner, HttpRequest, HttpResponse};
use crate::proto::proxy_protocol::{MAX_LEN, header_len};
use crate::proto::{Limits, Role};

/// How many interim responses a server may send before that to the request. Few have a use for
/// one or two.
const INTERIM: u8 = 10;

/// The opening handshake in progress.
#[derive(Debug)]
pub(super) struct Opening {
    scanner: HeadScanner,
    /// The head so far, when it did not arrive in one piece.
    head: Vec<u8>,
    /// What a client expects the response to answer; a server expects nothing.
    expected: Option<(ClientRequest, Key)>,
    /// A server has yielded the request and waits for its owner's answer.
    answer_due: bool,
    /// What a proxy says of its client comes before the first head.
    awaits_proxy: bool,
    /// A request was answered before, and the connection stayed open.
    is_kept: bool,
    /// How many interim responses came, and their bytes.
    interim: (u8, usize),
}

impl Opening {
    pub(super) fn new(limits: HeadLimits, expected: Option<(ClientRequest, Key)>) -> Self {
        let scanner = HeadScanner::new(limits);
        let head = Vec::new();
        Self {
            scanner,
            head,
            expected,
            answer_due: false,
            awaits_proxy: false,
            is_kept: false,
            interim: (0, 0),
        }
    }

    /// Skips an interim response: all of them together may be as long as one head.
    fn skip_interim(&mut self, len: usize, limits: &HeadLimits) -> Result<(), HandshakeError> {
        let (count, bytes) = &mut self.interim;
        (*count, *bytes) = (*count + 1, *bytes + len);
        if *bytes > limits.bytes {
            return Err(HandshakeError::HeadTooLarge { limit: limits.bytes });
        }
        if *count > INTERIM {
            return Err(HandshakeError::TooManyInterimResponses { limit: INTERIM.into() });
        }
        self.head.clear();
        self.scanner = HeadScanner::new(*limits);
        Ok(())
    }
}

impl WebSocket {
    pub(super) fn receive_head<'a>(
        &mut self,
        input: &'a mut [u8],
        workspace: &mut Workspace<'_>,
    ) -> Result<(usize, Option<Event<'a>>), PeerError> {
        let Some(opening) = self.opening.as_mut().filter(|opening| !opening.answer_due) else {
            return Ok((0, None));
        };
        if opening.awaits_proxy {
            return self.receive_proxy_header(input, workspace);
        }
        let begins = opening.is_kept && opening.scanner.is_at_start();
        let scanned = opening.scanner.scan(input);
        if begins && !opening.scanner.is_at_start() {
            // It has all of its time from its first byte on, however long none came before it.
            self.since = workspace.now;
        }
        let end = match scanned {
            Ok(Some(end)) => end,
            Ok(None) => {
                opening.head.extend_from_slice(input);
                return Ok((input.len(), None));
            }
            Err(error) => {
                // Its method says how it is refused.
                opening.head.extend(input.iter().take(HttpRequest::HEAD.len()));
                opening.head.truncate(opening.scanner.scanned());
                return Err(self.fail_handshake(error, workspace));
            }
        };
        let in_pieces = !opening.head.is_empty();
        if in_pieces {
            opening.head.extend_from_slice(&input[..end]);
        }
        let head = if in_pieces { &opening.head[..] } else { &input[..end] };
        if opening.expected.is_some() && ClientRequest::is_interim(head, &self.limits.head) {
            let len = head.len();
            if let Err(error) = opening.skip_interim(len, &self.limits.head) {
                return Err(self.fail_handshake(error, workspace));
            }
            // No deeper than there may be interim responses.
            let (used, event) = self.receive_head(&mut input[end..], workspace)?;
            return Ok((end + used, event));
        }
        let head = if in_pieces {
            Cow::Owned(std::mem::take(&mut opening.head))
        } else {
            Cow::Borrowed(&input[..end])
        };
        let Some((request, key)) = &opening.expected else {
            opening.answer_due = true;
            return Ok((end, Some(Event::Request(head))));
        };
        match request.check_scanned(&head, &self.limits.head, key) {
            Ok(accepted) => self.compression.agree(accepted.agreement()),
            Err(error) => return Err(self.fail_handshake(error, workspace)),
        }
        self.enter(State::Open, workspace);
        Ok((end, Some(Event::Open(head))))
    }

    /// Expects what a proxy says of its client before the opening request
    /// ([`Event::ProxyHeader`]). To be called before anything is received.
    #[must_use]
    pub fn behind_proxy(mut self) -> Self {
        if let Some(opening) = &mut self.opening {
            opening.awaits_proxy = true;
        }
        self
    }

    fn receive_proxy_header<'a>(
        &mut self,
        input: &'a mut [u8],
        workspace: &mut Workspace<'_>,
    ) -> Result<(usize, Option<Event<'a>>), PeerError> {
        let Some(opening) = &mut self.opening else {
            return Ok((0, None));
        };
        // Short, once for each connection, and nearly always here whole.
        let kept = opening.head.len();
        let take = input.len().min(MAX_LEN - kept);
        opening.head.extend_from_slice(&input[..take]);
        let len = match header_len(&opening.head) {
            Ok(Some(len)) if len <= opening.head.len() => len,
            Ok(_) => return Ok((take, None)),
            Err(_) => {
                // Of a request nothing has been read, so it has no method yet.
                opening.head.clear();
                return Err(self.fail_handshake(HandshakeError::InvalidProxyHeader, workspace));
            }
        };
        let mut header = std::mem::take(&mut opening.head);
        header.truncate(len);
        opening.awaits_proxy = false;
        Ok((len - kept, Some(Event::ProxyHeader(Cow::Owned(header)))))
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
        self.since = workspace.now;
        if let Some(opening) = &mut self.opening {
            **opening = Opening { is_kept: true, ..Opening::new(self.limits.head, None) };
        }
    }

    /// Whether something of a request has come that is not answered.
    pub(super) fn has_begun_request(&self) -> bool {
        self.opening.as_ref().is_some_and(|opening| !opening.scanner.is_at_start())
    }

    /// Whether a request was answered and nothing of another has come.
    pub(crate) fn is_between_requests(&self) -> bool {
        let opening = self.opening.as_ref();
        opening.is_some_and(|opening| opening.is_kept && opening.scanner.is_at_start())
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
            let is_head =
                self.opening.as_ref().is_some_and(|it| it.head.starts_with(HttpRequest::HEAD));
            error.refusal().answering_head(is_head).write(workspace.out);
        }
        self.enter(State::Closed, workspace);
        error.into()
    }
}
