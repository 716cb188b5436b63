//! Resumes subscriptions of clients that come back.

use crate::engine::core::Core;
use crate::engine::event_loop::EventLoop;
use crate::engine::http::event_stream::lost_data;
use crate::engine::ids::TopicId;
use crate::engine::turn::calls::HandlerCall;
use crate::engine::turn::requests::Resume;
use crate::net::socket::Socket;
use crate::proto::event_stream::EventId;
use crate::reactor::Reactor;
use crate::slots::Key;
use crate::topics::{Resuming, Resumption};

/// How many subscriptions a turn resumes before the loop serves its sockets again.
const RESUMES_MAX: usize = 256;

/// About how many bytes of missed messages a turn begins to send, for the same reason.
const RESUME_BYTES: usize = 1024 * 1024;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Resumes a slice of the subscriptions that await it, calls `on_resumed` for them, and begins
    /// to send what they missed.
    #[inline(never)]
    pub(crate) fn resume_subscriptions(&mut self, state: &mut S) {
        // What a former subscription has missed may come now.
        self.call_on_gap(state);
        let mut bytes = 0;
        for _ in 0..self.core.requests.resumes().min(RESUMES_MAX) {
            if bytes >= RESUME_BYTES {
                return;
            }
            let Some(Resume { request, behind }) = self.core.requests.next_resume() else {
                return;
            };
            let (conn, topic) = (request.conn, TopicId(request.topic));
            if !self.core.sockets.is_open(conn) {
                continue;
            }
            let now = self.core.now();
            let Some(resumed) = Resuming(&mut self.core.topics).resume(request, behind, now) else {
                continue;
            };
            send_lost(&mut self.core, conn, request.topic, resumed.resumption);
            self.call(conn, HandlerCall::Resumed, |handler, conn| {
                handler.on_resumed(conn, topic, resumed.resumption, state);
            });
            bytes += Resuming(&mut self.core.topics).replay(request, &resumed);
            self.core.erased().catch_up(conn);
        }
    }
}

/// Sends a stream of events what its client has lost, before anything that follows it.
fn send_lost<T: ?Sized>(core: &mut Core<T>, conn: Key, topic: Key, resumption: Resumption) {
    let Resumption::Lost { oldest, newest } = resumption else {
        return;
    };
    let Core { sockets, topics, .. } = core;
    if sockets.get(conn).is_some_and(Socket::is_event_stream) {
        let id = EventId { epoch: newest.epoch(), offset: newest.offset() };
        let data = lost_data(topics.name(topic).unwrap_or_default(), oldest, newest);
        sockets.responses().send_event(conn, "lost", Some(id), &data);
    }
}
