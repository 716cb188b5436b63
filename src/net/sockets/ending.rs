//! Ends of connections that write something, and deadlines, which end most.

use super::Sockets;
use super::deadlines::Deadlines;
use super::limited_input::LimitedInput;
use super::sender::Sender;
use crate::net::disconnect::{ConnectError, Disconnect};
use crate::net::life::Life;
use crate::net::protocol::Protocol;
use crate::net::rare_state::End;
use crate::net::socket::Socket;
use crate::proto::{CloseCode, TimedOut};
use crate::slots::Key;
use crate::time::Time;
use crate::timers::Tick;

impl Sockets {
    /// Begins the closing handshake of an open connection, for which the peer has time from `now`
    /// on.
    pub(crate) fn close(&mut self, conn: Key, code: CloseCode, reason: &str, now: Time) {
        let Self { registry, output } = self;
        output.write(registry, conn, |protocol, work| {
            work.now = now;
            protocol.close(code, reason, work);
        });
        registry.note_end(conn, Disconnect::ClosedByApplication { code });
        // The peer's close frame has to be read.
        LimitedInput::new(registry, conn).end_pauses();
        if registry.table.get(conn).is_some_and(Socket::is_closing_stream) {
            // Our half ends once all is written.
            registry.queue_reaping(conn);
        }
        registry.count_inbound(conn);
        registry.arm(conn);
    }

    /// Ends a connection that is not open: after the responses to its client, and otherwise at
    /// once. Where none of these waits here, the peer's end is not awaited.
    pub(crate) fn end_unopened(&mut self, conn: Key, error: ConnectError) {
        self.end_after_queued(conn, End::Connect(error));
        match self.get_mut(conn) {
            Some(socket) if socket.life == Life::Served => {
                socket.lingering.set_done(socket.outbox.is_none());
            }
            _ => self.registry.kill(conn),
        }
    }

    /// Ends a connection in order: what is queued for the peer still leaves, and then the stream
    /// ends. What the peer still sends is read and thrown away, so that it is not reset.
    pub(crate) fn end_after_queued(&mut self, conn: Key, end: End) {
        let Self { registry, output } = self;
        output.write(registry, conn, Protocol::terminate);
        registry.end(conn, end);
    }
}

impl Sender<'_> {
    /// Acts on the deadlines that have come by a moment before which nothing is unread.
    #[inline(never)]
    pub(crate) fn expire(&mut self, by: Time) {
        for _ in 0..Deadlines::budget() {
            let registry = &mut self.sockets.registry;
            let Some((conn, tick)) = registry.deadlines.expire(by) else {
                return;
            };
            let socket = registry.table.get_mut(conn);
            let Some(socket) = socket.filter(|socket| socket.armed == tick) else {
                continue;
            };
            socket.armed = Tick::NEVER;
            if !registry.deadlines.spare(conn, socket, by) {
                self.act_on_deadline(conn, by);
                self.sockets.registry.arm(conn);
            }
        }
    }

    fn act_on_deadline(&mut self, conn: Key, by: Time) {
        let Sockets { registry, output } = &mut *self.sockets;
        let Some(socket) = registry.table.get(conn).filter(|socket| !socket.is_dead()) else {
            return;
        };
        if socket.stall_deadline(&registry.limits).is_some_and(|deadline| deadline <= by) {
            output.overflow(registry, conn, Disconnect::Overflow);
            return;
        }
        if !socket.is_late(by) {
            return;
        }
        // A response that has no end says why there is no connection.
        let refusal = output
            .write_frames(registry, conn, |socket, work| socket.handshake().take_refusal(work));
        if let Some(Some(error)) = refusal {
            registry.end_by_peer_error(conn, error);
            registry.kill(conn);
            return;
        }
        let handled = output.write_or_pong(registry, conn, Protocol::handle_timeout, Result::is_ok);
        let Some(Err(timed_out)) = handled else {
            return;
        };
        let Some(socket) = registry.table.get(conn) else {
            return;
        };
        let was_open = socket.life.was_open();
        // There is nobody to tell, or no way to.
        let is_silent = socket.rare.is_connecting() || (socket.protocol.is_stream() && !was_open);
        registry.end(
            conn,
            if was_open {
                End::Disconnect(Disconnect::TimedOut(timed_out))
            } else {
                End::Connect(ConnectError::TimedOut)
            },
        );
        self.flush(conn);
        if is_silent || matches!(timed_out, TimedOut::Close | TimedOut::Pong) {
            self.sockets.registry.kill(conn);
        }
    }
}
