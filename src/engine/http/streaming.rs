//! Begins responses that are sent in pieces, and streams of server-sent events.

use crate::engine::connection::Connection;
use crate::engine::http::answering::Answering;
use crate::engine::http::event_stream::EventStream;
use crate::engine::http::pending::RequestFacts;
use crate::engine::http::streamed::StreamedResponse;
use crate::engine::ids::{ConnectionId, TopicId};
use crate::engine::rates::limiting::Limiting;
use crate::error::SubscribeError;
use crate::logging::log_line;
use crate::net::disconnect::ConnectError;
use crate::net::rare_state::End;
use crate::net::sockets::Streaming;
use crate::overflow::OverflowPolicy;
use crate::proto::http::{Body, HttpResponse};
use crate::proto::{CloseCode, Message};
use crate::reactor::Reactor;

impl<S, R: Reactor> Answering<'_, S, R> {
    /// Begins a response that is sent in pieces.
    pub(super) fn stream_response(&mut self, facts: &RequestFacts, response: StreamedResponse) {
        let (head, silence) = response.parts();
        let body = if facts.is_http_1_0 { Body::UntilClose } else { Body::Chunks };
        if self.begin(facts, &Streaming { head, body, interval: Some(silence) }) {
            let first = head.sent_body();
            if !first.is_empty() {
                // Not as a handler sends: another call of that would keep the compiler from
                // inlining it where messages are echoed.
                let payload = Message::Binary(first).into();
                self.event_loop.core.sender().send(self.conn, payload, false);
            }
            self.event_loop.open(self.conn, None, self.state);
        }
    }

    /// Begins a stream of server-sent events.
    pub(super) fn stream_events(&mut self, facts: &RequestFacts, events: &EventStream) {
        let Some(topics) = self.topics_of(events) else {
            return self.respond(facts, &HttpResponse::new(503));
        };
        let (head, interval) = (events.head(), events.heartbeat_interval());
        if self.begin(facts, &Streaming { head: &head, body: events.body(), interval }) {
            let core = &mut self.event_loop.core;
            core.sockets.responses().queue_events(self.conn, &events.preamble());
            let mut lent = Connection::new(core.erased().context(), ConnectionId(self.conn));
            let subscribed = topics.into_iter().try_for_each(|(topic, policy)| {
                let Some(last) = &facts.last_event_id else {
                    return lent.subscribe_with(topic, policy).map(drop);
                };
                let newest = lent.position(topic).ok_or(SubscribeError::TopicGone)?;
                lent.subscribe_from(topic, policy, last.position_in(newest.epoch()))
            });
            if subscribed.is_err() {
                lent.close(CloseCode::TRY_AGAIN_LATER, "");
            }
            self.event_loop.open(self.conn, None, self.state);
        }
    }

    /// The topics of a stream; `None` if there can be no more topics.
    fn topics_of(&mut self, events: &EventStream) -> Option<Vec<(TopicId, OverflowPolicy)>> {
        let event_loop = &mut *self.event_loop;
        let topics = events.topics().map(|(name, policy)| {
            let topic = event_loop.topic(name).ok()?;
            if events.body() == Body::NamedEvents {
                event_loop.core.sockets.responses().name_topic(topic.0, name);
            }
            Some((topic, policy))
        });
        topics.collect()
    }

    /// Writes the head and makes the connection a stream. Returns `false` if the response is whole
    /// with its head.
    fn begin(&mut self, facts: &RequestFacts, streaming: &Streaming<'_>) -> bool {
        let Some(handler) = facts.handler else {
            // A request for a WebSocket has no handler that a stream could call.
            log_line!(error, "connection {}: no stream is possible", ConnectionId(self.conn));
            self.respond(facts, &HttpResponse::new(500));
            return false;
        };
        if self.event_loop.core.ending.has_begun() {
            self.respond(facts, &HttpResponse::new(503));
            return false;
        }
        if !streaming.head.has_body() {
            self.respond(facts, streaming.head);
            return false;
        }
        let socket = self.event_loop.core.sockets.get(self.conn);
        if socket.is_none_or(|socket| socket.protocol.request_stage().is_none()) {
            // The handler has closed the connection.
            return false;
        }
        let core = &mut self.event_loop.core;
        if facts.is_head {
            core.sockets.responses().describe(self.conn, streaming);
            core.sockets.registry.end(self.conn, End::Connect(ConnectError::Cancelled));
        } else if let Err(denied) = Limiting::new(core.erased()).count_opening(self.conn) {
            self.refuse_denied(false, denied);
            return false;
        } else {
            core.sockets.responses().stream(self.conn, streaming, handler);
        }
        self.event_loop.tally.requests += 1;
        !facts.is_head
    }
}
