//! The opening handshake, from both sides.

use std::borrow::Cow;

use super::{Connection, Event, PeerError, State, Workspace};
use crate::proto::Role;
use crate::proto::handshake::{
    Acceptance, ClientRequest, HandshakeError, HeadLimits, HeadScanner, Key, Refusal, Request,
};

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
}

impl Opening {
    pub(super) fn new(limits: HeadLimits, expected: Option<(ClientRequest, Key)>) -> Self {
        let scanner = HeadScanner::new(limits);
        Self { scanner, head: Vec::new(), expected, answer_due: false }
    }
}

impl Connection {
    pub(super) fn receive_head<'a>(
        &mut self,
        input: &'a mut [u8],
        workspace: &mut Workspace<'_>,
    ) -> Result<(usize, Option<Event<'a>>), PeerError> {
        let Some(opening) = self.opening.as_mut().filter(|opening| !opening.answer_due) else {
            return Ok((0, None));
        };
        let end = match opening.scanner.scan(input) {
            Ok(Some(end)) => end,
            Ok(None) => {
                opening.head.extend_from_slice(input);
                return Ok((input.len(), None));
            }
            Err(error) => return Err(self.fail_handshake(error, workspace)),
        };
        let piece = &input[..end];
        let head = if opening.head.is_empty() {
            Cow::Borrowed(piece)
        } else {
            opening.head.extend_from_slice(piece);
            Cow::Owned(std::mem::take(&mut opening.head))
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

    /// Accepts a client's request: writes the response and opens the connection.
    pub fn accept(
        &mut self,
        request: &Request<'_>,
        acceptance: &Acceptance,
        workspace: &mut Workspace<'_>,
    ) {
        if self.state == State::Connecting {
            acceptance.write(&request.key(), workspace.out);
            self.compression.agree(acceptance.agreement());
            self.enter(State::Open, workspace);
        }
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
            error.refusal().write(workspace.out);
        }
        self.enter(State::Closed, workspace);
        error.into()
    }
}
