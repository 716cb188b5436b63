//! Open connections: before each receive, what came is charged and what may come is looked up.

use crate::engine::event_loop::EventLoop;
use crate::engine::ids::ConnectionId;
use crate::engine::rates::limiter::{Arrived, Reading};
use crate::engine::rates::limiting::Limiting;
use crate::engine::turn::read::Received;
use crate::logging::log_line;
use crate::net::disconnect::Disconnect;
use crate::net::socket::Socket;
use crate::net::sockets::LimitedInput;
use crate::proto::CloseCode;
use crate::rates::{Allowance, Exceeded, LimitKind, Verdict};
use crate::reactor::Reactor;
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Applies the limits of an open connection before more of its input is received or handled.
    /// What has come of that, if nothing is to be received.
    #[inline(never)]
    pub(crate) fn obey_limits(&mut self, conn: Key) -> Option<Received> {
        self.charge_input(conn);
        let has_messages =
            self.core.sockets.get(conn).is_some_and(|it| it.protocol.web_socket().is_some());
        let now = self.core.now();
        match self.core.limiter.rates.judge(conn, has_messages, now) {
            Verdict::Read(allowance) => {
                self.core.limiter.reading =
                    Some(Reading { conn, charged: arrived(self), allowance });
                let messages = usize::try_from(allowance.messages).unwrap_or(usize::MAX);
                self.core.sockets.registry.set_halted(conn, false);
                self.core.sockets.registry.input.limit_messages(messages);
                None
            }
            Verdict::Pause(until) => {
                log_line!(debug, "connection {}: paused by a limit", ConnectionId(conn));
                self.core.limiter.paused += 1;
                self.core.limiter.rates.begin_pause(conn, until);
                LimitedInput::new(&mut self.core.sockets.registry, conn).pause();
                Some(Received::Ended)
            }
            Verdict::Close(exceeded) => {
                Limiting::new(self.core.erased()).close_for(conn, exceeded);
                // What the peer still sends is read.
                Some(Received::More(0))
            }
        }
    }

    /// Ends reading from a connection, if it has limits.
    #[inline]
    pub(crate) fn end_limited_input(&mut self, conn: Key) {
        if self.core.limiter.reading.is_some() {
            self.charge_input(conn);
        }
    }

    /// Charges a connection for what has arrived since that was last done.
    fn charge_input(&mut self, conn: Key) {
        let Some(reading) = self.core.limiter.reading.take().filter(|it| it.conn == conn) else {
            return;
        };
        let (arrived, before) = (arrived(self), reading.charged);
        let messages = arrived.messages - before.messages;
        let bytes = arrived.bytes - before.bytes;
        let now = self.core.now();
        self.core.limiter.rates.charge(conn, messages, bytes, now);
    }
}

const fn arrived<S, R: Reactor>(event_loop: &EventLoop<S, R>) -> Arrived {
    let messages = event_loop.tally.messages_received;
    Arrived { messages, bytes: event_loop.core.streams.received }
}

impl Limiting<'_> {
    /// Charges a connection that has just opened for what arrived behind its request.
    #[inline]
    pub(crate) fn charge_behind_head(&mut self, conn: Key, bytes: usize) {
        if bytes > 0
            && self.core.limiter.is_used
            && self.core.sockets.get(conn).is_some_and(Socket::has_limited_input)
        {
            let now = self.core.now();
            self.core.limiter.rates.charge(conn, 0, bytes as u64, now);
        }
    }

    /// Closes the connection that is being read from: nothing was left of a limit, and more came.
    #[cold]
    pub(crate) fn close_by_limit(&mut self, conn: Key, kind: LimitKind) {
        let allowance =
            self.core.limiter.reading.map_or(Allowance::UNLIMITED, |reading| reading.allowance);
        self.close_for(conn, allowance.exceeded_by(kind));
    }

    #[cold]
    fn close_for(&mut self, conn: Key, exceeded: Exceeded) {
        let Exceeded { scope, kind } = exceeded;
        self.core.sockets.registry.note_end(conn, Disconnect::RateLimited { scope, kind });
        self.core.close(conn, CloseCode::POLICY, &kind.to_string());
        self.core.sockets.registry.queue_reaping(conn);
    }

    /// Reads again from connections whose pauses have ended.
    #[inline(never)]
    pub(crate) fn end_pauses(&mut self) {
        let now = self.core.now();
        while let Some(conn) = self.core.limiter.rates.expire(now) {
            LimitedInput::new(&mut self.core.sockets.registry, conn).resume();
        }
    }
}
