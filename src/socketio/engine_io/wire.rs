//! How a session writes to its transports.

use bytes::Bytes;

use super::packet::Packet;

/// A message for the client: a text, and the attachments that directly follow it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The text as a WebSocket message: it begins with `4`, the type of the Engine.IO packet.
    pub text: String,
    /// Binary messages that follow the text with nothing in between.
    pub attachments: Vec<Bytes>,
}

impl Outgoing {
    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len() + self.attachments.iter().map(Bytes::len).sum::<usize>()
    }

    /// Whether it has neither text nor attachments.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.attachments.is_empty()
    }
}

/// The transports, to which a session writes.
///
/// `P` names a poll, a `GET` request that waits for packets. `S` names a WebSocket.
pub trait Wire<P, S> {
    /// Answers a poll.
    fn answer(&mut self, poll: P, payload: Bytes);

    /// Sends a packet other than a message.
    fn send(&mut self, socket: S, packet: &Packet<'_>);

    /// Sends a message.
    fn send_message(&mut self, socket: S, message: &Outgoing);

    /// Closes a WebSocket after what was sent to it.
    fn close(&mut self, socket: S);
}
