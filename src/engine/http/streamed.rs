//! Responses that are sent in pieces, and server-sent events.

use std::time::Duration;

use crate::engine::connection::Connection;
use crate::engine::event_loop::EventLoop;
use crate::engine::http::event_stream::EventStream;
use crate::engine::http::pending::RequestFacts;
use crate::engine::ids::{ConnectionId, TopicId};
use crate::net::sockets::Streaming;
use crate::overflow::OverflowPolicy;
use crate::proto::CloseCode;
use crate::proto::http::{Body, HttpResponse};
use crate::reactor::Reactor;
use crate::slots::Key;

/// A response whose body is sent in pieces, as an [`Answer`](crate::Answer).
///
/// Once its head is sent, the connection is open in one direction, and all that concerns open
/// connections applies to it: [`Connection::send`] sends a piece of the body,
/// [`Context::send_to`](crate::Context::send_to) does so from any other handler, topics can be
/// [subscribed](Connection::subscribe), and the limits of the outbox apply. The
/// [handler](crate::HttpHandler) of the request learns what becomes of it: `on_open` comes first,
/// `on_drained` when the client has taken what had to wait, and `on_close` last.
///
/// [`Connection::close`] with [`CloseCode::NORMAL`] ends the body. After any other end the client
/// knows that the body is incomplete: it is sent in chunks (RFC 9112 §7.1). Clients of HTTP/1.0 know
/// no chunks, and get it until the end of the stream. The response is the last on its connection. A
/// client that ends its half of the stream counts as gone.
///
/// ```
/// use eventwire::{
///     Answer, CloseCode, Connection, HttpHandler, HttpRequest, HttpResponse, Routes, SendStatus,
///     StreamedResponse,
/// };
///
/// /// Counts down, as fast as the client reads.
/// struct Countdown;
///
/// impl HttpHandler<u64> for Countdown {
///     fn on_request(
///         &mut self,
///         _: &mut Connection<'_>,
///         _: &HttpRequest<'_>,
///         _: &mut u64,
///     ) -> Answer {
///         StreamedResponse::new(HttpResponse::text("")).into()
///     }
///
///     fn on_open(&mut self, conn: &mut Connection<'_>, left: &mut u64) {
///         // As long as nothing has to wait.
///         while *left > 0 && conn.send(format!("{left}\n")) == SendStatus::Sent {
///             *left -= 1;
///         }
///         if *left == 0 {
///             conn.close(CloseCode::NORMAL, "");
///         }
///     }
///
///     fn on_drained(&mut self, conn: &mut Connection<'_>, left: &mut u64) {
///         self.on_open(conn, left);
///     }
/// }
///
/// let routes = Routes::new().get_handler("/countdown", Countdown);
/// # drop(routes);
/// ```
#[derive(Clone, Debug)]
pub struct StreamedResponse {
    head: HttpResponse,
    silence: Duration,
}

impl StreamedResponse {
    /// A response with this status and these headers. A body that it has is the first piece.
    #[must_use]
    pub const fn new(head: HttpResponse) -> Self {
        Self { head, silence: Duration::from_secs(60) }
    }

    /// How long the application may send nothing. Default: 60 s, after which proxies end a silent
    /// response. After that the client is disconnected
    /// ([`TimedOut::Response`](crate::proto::TimedOut::Response)).
    #[must_use]
    pub const fn silence(mut self, longest: Duration) -> Self {
        self.silence = longest;
        self
    }
}

impl From<HttpResponse> for StreamedResponse {
    fn from(head: HttpResponse) -> Self {
        Self::new(head)
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Begins a response that is sent in pieces.
    pub(crate) fn stream_response(
        &mut self,
        conn: Key,
        facts: &RequestFacts,
        response: StreamedResponse,
        state: &mut S,
    ) {
        let StreamedResponse { head, silence } = response;
        let body = if facts.is_http_1_0 { Body::UntilClose } else { Body::Chunks };
        let first = head.sent_body();
        let streaming = Streaming { head: &head, body, interval: Some(silence) };
        if self.begin_stream(conn, facts, &streaming) {
            if !first.is_empty() {
                self.core.erased().context().send_to(ConnectionId(conn), first);
            }
            self.open(conn, None, state);
        }
    }

    /// Begins a stream of server-sent events.
    pub(crate) fn stream_events(
        &mut self,
        conn: Key,
        facts: &RequestFacts,
        events: &EventStream,
        state: &mut S,
    ) {
        let Some(topics) = self.topics_of(events) else {
            return self.respond(conn, facts, &HttpResponse::new(503));
        };
        let head = events.head();
        let streaming =
            Streaming { head: &head, body: Body::Events, interval: events.heartbeat_interval() };
        if self.begin_stream(conn, facts, &streaming) {
            self.core.sockets.queue_event_bytes(conn, &events.preamble());
            let mut lent = Connection::new(self.core.erased().context(), ConnectionId(conn));
            let subscribed = topics
                .into_iter()
                .try_for_each(|(topic, policy)| lent.subscribe_with(topic, policy).map(drop));
            if subscribed.is_err() {
                lent.close(CloseCode::TRY_AGAIN_LATER, "");
            }
            self.open(conn, None, state);
        }
    }

    /// The topics of a stream; `None` if there can be no more topics.
    fn topics_of(&mut self, events: &EventStream) -> Option<Vec<(TopicId, OverflowPolicy)>> {
        let topics = events.topics().map(|(name, policy)| Some((self.topic(name).ok()?, policy)));
        topics.collect()
    }

    /// Writes the head and makes the connection a stream. Returns `false` if the response is whole
    /// with its head.
    fn begin_stream(&mut self, conn: Key, facts: &RequestFacts, streaming: &Streaming<'_>) -> bool {
        let has_ended = self.core.ending.has_begun();
        let handler = facts.handler.filter(|_| !has_ended && !facts.is_head);
        let Some(handler) = handler.filter(|_| streaming.head.has_body()) else {
            let unavailable = HttpResponse::new(503);
            let response = if has_ended { &unavailable } else { streaming.head };
            self.respond(conn, facts, response);
            return false;
        };
        self.tally.requests += 1;
        self.core.sockets.stream(conn, streaming, handler);
        true
    }
}
