//! Responses that are sent in pieces.

use std::time::Duration;

use super::Sockets;
use crate::net::disconnect::Disconnect;
use crate::net::rare_state::End;
use crate::proto::event_stream::write_event;
use crate::proto::http::{Body, HttpResponse, ResponseStream};
use crate::proto::{Message, WebSocket};
use crate::slots::Key;

/// A response that is to be sent in pieces.
#[derive(Debug)]
pub(crate) struct Streaming<'a> {
    pub(crate) head: &'a HttpResponse,
    pub(crate) body: Body,
    /// The time between two heartbeats, or the longest time without output.
    pub(crate) interval: Option<Duration>,
}

impl Sockets {
    /// Writes the head of a response, and makes the connection a stream for that handler.
    pub(crate) fn stream(&mut self, conn: Key, streaming: &Streaming<'_>, handler: usize) {
        let Streaming { head, body, interval } = *streaming;
        let Self { registry, output } = self;
        output.write_frames(registry, conn, |_, work| {
            head.write_streamed_head(body, work.out);
        });
        let now = registry.now;
        let Some(socket) = registry.table.get_mut(conn) else {
            return;
        };
        if let Some(limits) = socket.protocol.web_socket().map(WebSocket::limits_shared) {
            socket.protocol = ResponseStream::new(body, interval, limits, now).into();
            socket.set_handler(handler);
        }
        registry.note_standing(conn, true);
        registry.count_inbound(conn);
    }

    /// Appends bytes to a stream of events: whole events, or what comes before the first.
    pub(crate) fn queue_event_bytes(&mut self, conn: Key, bytes: &[u8]) {
        let Self { registry, output } = self;
        output.queue_bytes(registry, conn, bytes);
    }

    /// Whether the connection is a stream of events.
    pub(crate) fn is_event_stream(&self, conn: Key) -> bool {
        let response = self.get(conn).and_then(|socket| socket.protocol.response());
        response.is_some_and(|response| response.body() == Body::Events)
    }

    /// Sends an event with that name.
    pub(crate) fn send_event(&mut self, conn: Key, name: &str, data: &str) {
        let mut event = Vec::new();
        write_event(Some(name), None, &Message::Text(data).into(), &mut event);
        self.queue_event_bytes(conn, &event);
    }

    /// Discards what a client has sent behind its last request. It is disconnected if that is much.
    pub(super) fn discard(&mut self, conn: Key, count: usize) {
        let registry = &mut self.registry;
        let socket = registry.table.get_mut(conn);
        let response = socket.and_then(|socket| socket.protocol.response_mut());
        if response.is_some_and(|response| !response.admit_late(count)) {
            let limit = ResponseStream::LATE_BYTES_MAX;
            registry.end(conn, End::Disconnect(Disconnect::UnusedInput { limit }));
            registry.kill(conn);
        }
    }
}
