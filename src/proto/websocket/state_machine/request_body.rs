//! The body of a request that opens no WebSocket.

use std::mem;

use super::{Event, Handled};
use crate::proto::handshake::HandshakeError;
use crate::proto::http::{BodyLength, BodyReader, HeadLimits, HttpError};

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
    /// The body of the request with this head. The limit is in bytes.
    pub(super) fn new(
        head: &[u8],
        length: BodyLength,
        limit: usize,
        head_limits: HeadLimits,
    ) -> Self {
        let reader = BodyReader::new(length, head_limits);
        Self { head: head.to_vec(), reader, received: Vec::new(), limit }
    }

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
