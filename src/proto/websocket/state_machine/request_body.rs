//! The body of a request that opens no WebSocket.

use std::mem;

use super::opening::Expected;
use super::{Event, Handled, State, WebSocket, Workspace};
use crate::proto::handshake::HandshakeError;
use crate::proto::http::{BodyReader, ExpectedBody, HttpError};

/// Tells a client that its body is wanted (RFC 9110 §10.1.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The body of a request, as far as it has arrived.
#[derive(Debug)]
pub(super) struct RequestBody {
    /// The head of the request.
    head: Vec<u8>,
    reader: BodyReader,
    received: Vec<u8>,
    /// The most bytes that may come.
    limit: usize,
}

impl RequestBody {
    /// Reads the front of `input`. Returns how many bytes belong to the body, and the event once it
    /// is whole.
    pub(super) fn read(&mut self, input: &[u8]) -> Result<Handled<'static>, HandshakeError> {
        let mut at = 0;
        while at < input.len() && !self.reader.is_done() {
            let part = self.reader.read(&input[at..])?;
            let data = &input[at..][part.data];
            if data.len() > self.limit - self.received.len() {
                return Err(HttpError::BodyTooLarge { limit: self.limit }.into());
            }
            self.received.extend_from_slice(data);
            at += part.consumed;
        }
        let event = self.reader.is_done().then(|| Event::Body {
            head: mem::take(&mut self.head),
            body: mem::take(&mut self.received),
        });
        Ok(Handled { consumed: at, event })
    }

    /// Bytes of storage that it takes.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.head.capacity() + self.received.capacity()
    }
}

impl WebSocket {
    /// Receives the body of the request with this head, instead of a response to it. Then the body
    /// is [`Event::Body`].
    pub(crate) fn receive_body(
        &mut self,
        head: &[u8],
        expected: ExpectedBody,
        workspace: &mut Workspace<'_>,
    ) {
        let Some(opening) = self.opening.as_mut().filter(|_| self.state == State::Connecting)
        else {
            return;
        };
        if expected.awaits_continue {
            workspace.out.extend_from_slice(CONTINUE);
        }
        let reader = BodyReader::new(expected.length, self.limits.head);
        let (head, received) = (head.to_vec(), Vec::new());
        let body = RequestBody { head, reader, received, limit: self.limits.body };
        opening.expected = Expected::Body(Box::new(body));
        self.waiting_since = workspace.now;
    }
}
