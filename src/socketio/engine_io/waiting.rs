//! What waits for polls.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;

use super::packet::Packet;
use super::payload::Payload;
use super::wire::{Outgoing, Wire};

/// The most packets in the response to a poll. Python's client drops a response with more.
const POLL_PACKETS_MAX: usize = 16;

/// Packets that wait for polls.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: VecDeque<Queued>,
    bytes: usize,
}

#[derive(Debug)]
enum Queued {
    Ping,
    Message(Rc<Outgoing>),
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many bytes of messages there are.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, message: Rc<Outgoing>) {
        self.bytes += message.len();
        self.queue.push_back(Queued::Message(message));
    }

    pub(super) fn push_ping(&mut self) {
        self.queue.push_back(Queued::Ping);
    }

    /// Sends all of it on a WebSocket.
    pub(super) fn send<P, S: Copy>(self, socket: S, wire: &mut impl Wire<P, S>) {
        for queued in self.queue {
            match queued {
                Queued::Ping => wire.send(socket, &Packet::Ping("")),
                Queued::Message(message) => wire.send_message(socket, &message),
            }
        }
    }

    /// As much as one response has. A message and its attachments stay together.
    pub(super) fn take_payload(&mut self) -> Bytes {
        let (mut payload, mut packets) = (Payload::new(), 0);
        while let Some(queued) = self.queue.front() {
            packets += match queued {
                Queued::Ping => 1,
                Queued::Message(message) => 1 + message.attachments.len(),
            };
            if packets > POLL_PACKETS_MAX && !payload.is_empty() {
                return payload.into_bytes();
            }
            match self.queue.pop_front() {
                Some(Queued::Message(message)) => {
                    self.bytes -= message.len();
                    payload.push(&Packet::Text(message.text.get(1..).unwrap_or_default()));
                    for attachment in &message.attachments {
                        payload.push(&Packet::Binary((&attachment[..]).into()));
                    }
                }
                Some(Queued::Ping) | None => payload.push(&Packet::Ping("")),
            }
        }
        payload.into_bytes()
    }
}
