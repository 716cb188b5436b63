//! Delivers broadcasts to a slice of the connections at a time, and reports gaps and topic changes.

use crate::engine::broadcast::order::BROADCAST_SLICE;
use crate::engine::broadcast::report::{Gap, TopicChanged};
use crate::engine::core::Core;
use crate::engine::event_loop::EventLoop;
use crate::engine::http::event_stream::gap_data;
use crate::engine::ids::TopicId;
use crate::engine::turn::calls::HandlerCall;
use crate::net::socket::Socket;
use crate::queue::PublishError;
use crate::reactor::Reactor;
use crate::topics::Delivery;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Delivers pending broadcasts to a slice of their subscribers.
    #[inline(never)]
    pub(crate) fn broadcast(&mut self) {
        let (now, mut left) = (self.core.now(), BROADCAST_SLICE);
        loop {
            left -= self.core.topics.deliver_sealed(left, |conn, run| {
                self.core.sockets.deliver(conn, run, &mut self.core.streams)
            });
            if left == 0 {
                return;
            }
            left -= 1;
            match self
                .core
                .topics
                .deliver(now, |conn| self.core.sockets.registry.send_capacity(conn))
            {
                None => return self.core.sockets.output.clear_batch_cache(),
                Some(Delivery::Run { conn, topic, run }) => {
                    if !self.core.sockets.deliver(conn, &run, &mut self.core.streams) {
                        self.core.topics.count_overflow(topic);
                    }
                }
                Some(Delivery::CatchUp(conn)) => {
                    self.core.erased().catch_up(conn);
                }
                Some(Delivery::Skipped) => {}
            }
        }
    }

    /// Calls `on_gap` for connections that missed broadcasts. A gap that ends meanwhile is reported
    /// in the next turn.
    #[inline(never)]
    pub(crate) fn call_on_gap(&mut self, state: &mut S) {
        for _ in 0..self.core.topics.gaps_due() {
            let Some((conn, missed)) = self.core.topics.next_gap() else {
                return;
            };
            // Otherwise `on_close` is called instead.
            if self.core.sockets.is_open(conn) {
                self.core.topics.count_gap(missed.topic);
                let gap = Gap::from(missed);
                let Core { sockets, topics, .. } = &mut self.core;
                if sockets.get(conn).is_some_and(Socket::is_event_stream) {
                    let name = topics.name(gap.topic.0).unwrap_or_default();
                    sockets.responses().send_event(conn, "gap", None, &gap_data(name, &gap));
                }
                self.call(conn, HandlerCall::Gap, |handler, conn| {
                    handler.on_gap(conn, gap, state);
                });
            }
        }
    }

    /// Publishes a [`TopicChanged`] for each topic that got its first subscriber or lost its last.
    #[inline(never)]
    pub(crate) fn publish_topic_changes(&mut self) {
        let events = &mut self.core.events;
        self.core.topics.report_changes(|topic, occupied| {
            let change = TopicChanged { topic: TopicId(topic), occupied };
            // A change for which no handler is registered counts as published.
            !matches!(events.push(change), Err(PublishError::Full(_)))
        });
    }
}
