//! Responses to the requests of clients, whole and in pieces.

use std::sync::Arc;
use std::time::Duration;

use super::Sockets;
use super::output::Output;
use super::registry::Registry;
use crate::net::cork::REUSE_BYTES_MIN;
use crate::net::disconnect::Disconnect;
use crate::net::places::Standing;
use crate::net::rare_state::End;
use crate::proto::event_stream::{EventId, write_event};
use crate::proto::handshake::{Acceptance, Refusal, UpgradeRequest};
use crate::proto::http::{Body, ExpectedBody, ExtraHeaders, HttpResponse, ResponseStream};
use crate::proto::{Limits, Message, WebSocket, extra_headers};
use crate::slots::Key;
use crate::time::Time;

/// A response that is to be sent in pieces.
#[derive(Debug)]
pub(crate) struct Streaming<'a> {
    pub(crate) head: &'a HttpResponse,
    pub(crate) body: Body,
    /// The time between two heartbeats, or the longest time without output.
    pub(crate) interval: Option<Duration>,
}

impl Sockets {
    /// Responses to clients' requests.
    pub(crate) fn responses(&mut self) -> Responses<'_> {
        Responses { registry: &mut self.registry, output: &mut self.output }
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

/// Writes responses to clients' requests.
pub(crate) struct Responses<'a> {
    registry: &'a mut Registry,
    output: &'a mut Output,
}

impl Responses<'_> {
    /// Accepts a client's request; `limits` hold from then on.
    pub(crate) fn accept(
        self,
        conn: Key,
        request: &UpgradeRequest<'_>,
        acceptance: &Acceptance,
        limits: Arc<Limits>,
    ) {
        let Self { registry, output } = self;
        output.write_frames(registry, conn, |socket, work| {
            socket.set_limits(limits);
            socket.accept(request, acceptance, work);
        });
        output.mark_http(registry, conn);
    }

    /// Any response to the connection's request has these headers, too.
    pub(crate) fn add_headers(self, conn: Key, headers: ExtraHeaders) {
        let socket = self.registry.table.get_mut(conn);
        let socket = socket.and_then(|socket| socket.protocol.web_socket_mut());
        if let Some(request) = socket.and_then(WebSocket::server_request) {
            request.add_headers(headers);
        }
    }

    /// Receives the body of the request with this head before the response to it.
    pub(crate) fn receive_body(self, conn: Key, head: &[u8], body: ExpectedBody) {
        let Self { registry, output } = self;
        output.write_frames(registry, conn, |socket, work| {
            if let Some(request) = socket.server_request() {
                request.receive_body(head, body, work);
            }
        });
        output.mark_http(registry, conn);
        registry.arm(conn);
    }

    /// The response to the connection's request comes later, by `until`. Nothing more is read
    /// before that. The caller arms the deadline.
    pub(crate) fn wait(self, conn: Key, until: Time) {
        let Some(socket) = self.registry.table.get_mut(conn) else {
            return;
        };
        let request = socket.protocol.web_socket_mut().and_then(WebSocket::server_request);
        if let Some(request) = request {
            request.await_response(until);
        }
        self.registry.set_halted(conn, true);
    }

    /// Responds to a request that opens no connection; `is_last`: the connection ends then. Reading
    /// stops while many of the responses before wait. A connection that its handler has closed gets
    /// no response.
    pub(crate) fn respond(self, conn: Key, response: &HttpResponse, is_head: bool, is_last: bool) {
        let Self { registry, output } = self;
        let body = Some(response.sent_body()).filter(|_| !is_head);
        let (short, long) = match body {
            Some(body) if body.len() < REUSE_BYTES_MIN => (&body[..], None),
            body => (&[][..], body),
        };
        let written = output.write_frames(registry, conn, |socket, work| {
            socket.server_request()?.respond(response, is_last, work);
            work.out.extend_from_slice(short);
            Some(())
        });
        if written.flatten().is_none() {
            return;
        }
        if let Some(body) = long {
            output.push_body(registry, conn, body);
        }
        output.mark_http(registry, conn);
        let Some(socket) = registry.table.get_mut(conn) else {
            return;
        };
        socket.life.serve();
        let queued = socket.queued();
        // The next request has the whole time again.
        registry.places.change(conn, &mut socket.place, Standing::Answering, registry.now);
        // What is corked may have to wait, too.
        if queued + output.corked_bytes() > registry.limits.soft {
            registry.set_halted(conn, true);
        }
    }

    /// Refuses a client's request.
    pub(crate) fn refuse(self, conn: Key, refusal: &Refusal) {
        let Self { registry, output } = self;
        output.write_frames(registry, conn, |socket, work| socket.refuse(refusal, work));
    }

    /// Writes the head of a response that has no body because it describes one, and ends.
    pub(crate) fn describe(self, conn: Key, streaming: &Streaming<'_>) {
        let Self { registry, output } = self;
        output.write_frames(registry, conn, |socket, work| {
            let Streaming { head, body, .. } = streaming;
            head.write_streamed_head(*body, extra_headers(socket), work.out);
            if let Some(request) = socket.server_request() {
                request.end(true, work);
            }
        });
        output.mark_http(registry, conn);
        if let Some(socket) = registry.table.get_mut(conn) {
            socket.life.serve();
        }
        registry.stand(conn, Standing::Answering);
    }

    /// Writes the head of a response, and makes the connection a stream for that handler.
    pub(crate) fn stream(self, conn: Key, streaming: &Streaming<'_>, handler: usize) {
        let Streaming { head, body, interval } = *streaming;
        let Self { registry, output } = self;
        output.write_frames(registry, conn, |socket, work| {
            head.write_streamed_head(body, extra_headers(socket), work.out);
        });
        let now = registry.now;
        let Some(socket) = registry.table.get_mut(conn) else {
            return;
        };
        if let Some(limits) = socket.protocol.web_socket().map(WebSocket::limits).cloned() {
            socket.protocol = ResponseStream::new(body, interval, limits, now).into();
            socket.set_handler(handler);
        }
        registry.note_standing(conn, true);
        registry.count_inbound(conn);
    }

    /// Appends bytes to a stream of events: whole events, or what comes before the first.
    pub(crate) fn queue_events(self, conn: Key, bytes: &[u8]) {
        let Self { registry, output } = self;
        output.queue_bytes(registry, conn, bytes);
    }

    /// Names the broadcasts to a topic, for the streams whose events have names.
    pub(crate) fn name_topic(self, topic: Key, name: &str) {
        self.output.unframed.name(topic, name);
    }

    /// Forgets the name of a topic that is gone.
    pub(crate) fn forget_topic(self, topic: Key) {
        self.output.unframed.forget_name(topic);
    }

    /// Sends an event with that name, and with an id if it says where the client stands.
    pub(crate) fn send_event(self, conn: Key, name: &str, id: Option<EventId>, data: &str) {
        let mut event = Vec::new();
        write_event(Some(name), id, &Message::Text(data).into(), &mut event);
        self.queue_events(conn, &event);
    }
}
