//! Connections that have ended: their handlers are told, their streams closed and their slots
//! freed.

use crate::engine::connection::Connection;
use crate::engine::core::Core;
use crate::engine::event_loop::EventLoop;
use crate::engine::ids::ConnectionId;
use crate::engine::turn::calls::{Calls, HandlerCall, guard};
use crate::engine::turn::dispatch::from;
use crate::logging::log_line;
use crate::net::disconnect::Disconnect;
use crate::net::halves::Halves;
use crate::net::life::Life;
use crate::net::rare_state::End;
use crate::net::streams::Transmit;
use crate::proto::Role;
use crate::reactor::Reactor;
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Carries on with connections that have ended, with one turn's share of them if there are
    /// many.
    #[inline(never)]
    pub(crate) fn reap(&mut self, state: &mut S) {
        let most = reaped_at_once(self.core.sockets.registry.reapable_len());
        self.reap_some(most, state);
    }

    /// Carries on with up to `most` connections that have ended: tells their handlers, ends their
    /// streams and frees their slots, which nothing in this turn's readiness can name any more.
    pub(crate) fn reap_some(&mut self, most: usize, state: &mut S) {
        let ended = self.core.sockets.registry.take_reapable(most);
        for &conn in &ended {
            self.report_end(conn, state);
            drop_attachments(&mut self.core, conn, &mut self.calls);
            if self.end_stream(conn) {
                self.free(conn);
            }
        }
        self.core.sockets.registry.return_reapable(ended);
    }

    /// Ends the stream as far as it can end now; whether nothing of it is left to wait for.
    fn end_stream(&mut self, conn: Key) -> bool {
        let Some(socket) = self.core.sockets.get_mut(conn) else {
            return false;
        };
        if socket.halves != Halves::Dead {
            if !socket.has_said_all() {
                return false;
            }
            if socket.halves.end_ours() {
                self.core.streams.shutdown(conn.index());
            }
        }
        match socket.halves {
            Halves::Dead => true,
            Halves::Neither => self.is_flushed(conn),
            // RFC 6455 §7.1.1: once both close frames were exchanged, the server ends TCP.
            Halves::Theirs if socket.ends_tcp() => self.is_flushed(conn) && self.has_read_all(conn),
            Halves::Both | Halves::Ours | Halves::Theirs => false,
        }
    }

    /// Whether nothing is left that the stream has taken and not sent.
    fn is_flushed(&mut self, conn: Key) -> bool {
        self.core.streams.is_flushed(conn.index())
    }

    fn report_end(&mut self, conn: Key, state: &mut S) {
        let Some(socket) = self.core.sockets.get_mut(conn) else {
            return;
        };
        if socket.awaits_orderly_end() {
            return;
        }
        let Some(end) = socket.rare.take_end().filter(|_| !socket.life.is_over()) else {
            return;
        };
        let (life, peer) = (socket.life, socket.peer.get());
        let Some(end) = self.core.erased().follow_redirect(conn, end) else {
            return;
        };
        let Some(socket) = self.core.sockets.get_mut(conn) else {
            return;
        };
        socket.life.end();
        let is_client = socket.protocol.role() == Role::Client;
        self.core.topics.remove_connection(conn);
        self.core.tags.remove_connection(conn);
        self.core.limiter.rates.leave_tags(conn);
        if is_client {
            self.core.erased().plan_retry(ConnectionId(conn), &end);
        } else {
            report_abandoned(self, conn, state);
        }
        match end {
            End::Disconnect(reason) if life == Life::Open => {
                log_end(ConnectionId(conn), &reason);
                self.tally.closed(&reason);
                self.call(conn, HandlerCall::Close, |handler, conn| {
                    handler.on_close(conn, &reason, state);
                });
            }
            // The application never sees a connection whose handshake with a listener failed.
            End::Connect(error) if is_client && life != Life::Open => {
                log_line!(info, "connection {}: not made: {error}", ConnectionId(conn));
                self.tally.not_opened();
                self.call(conn, HandlerCall::ConnectError, |handler, conn| {
                    handler.on_connect_error(conn, &error, state);
                });
            }
            End::Disconnect(_) | End::Connect(_) if life == Life::Served => {}
            End::Disconnect(_) => self.tally.not_opened(),
            End::Connect(error) => {
                log_line!(
                    info,
                    "connection {}: not opened: {error}, {}",
                    ConnectionId(conn),
                    from(peer)
                );
                self.tally.not_opened();
            }
        }
    }

    fn free(&mut self, conn: Key) {
        self.core.streams.remove(conn.index());
        if let Some(socket) = self.core.sockets.get(conn) {
            self.core.ending.count(socket);
        }
        let Some(mut socket) = self.core.sockets.remove(conn) else {
            return;
        };
        self.dialer.abandon(&mut self.core, socket.rare.take_connector());
        self.core.limiter.rates.leave(conn);
        self.core.subprotocols.remove(ConnectionId(conn));
        self.core.routes.remove(ConnectionId(conn));
        self.core.links.forget(ConnectionId(conn));
        let handler = self.handlers.get(socket.handler());
        if let Some(endpoint) = socket.endpoint().or(handler.map(|handler| handler.endpoint)) {
            self.core.leave_endpoint(endpoint);
        }
    }
}

/// Calls the handler of a request that had no answer when its client left.
fn report_abandoned<S, R: Reactor>(event_loop: &mut EventLoop<S, R>, conn: Key, state: &mut S) {
    let Some((request, handler)) = event_loop.core.pending.abandon(ConnectionId(conn)) else {
        return;
    };
    let Some((handler, calls, context)) = event_loop.lend(handler) else {
        return;
    };
    let mut lent = Connection::new(context, ConnectionId(conn));
    // The panic hook has reported a panic, and the connection is over.
    drop(calls.call(HandlerCall::Abandoned, &mut lent, |conn| {
        if let Some(handler) = handler.http() {
            handler.on_abandoned(conn, request, state);
        }
    }));
}

/// How many of the `waiting` connections that have ended one turn carries on with. Closing a stream
/// takes the system some microseconds. A quarter, if that is more, so that the list stays in
/// proportion to what ends in a turn.
fn reaped_at_once(waiting: usize) -> usize {
    waiting.min(128).max(waiting / 4)
}

/// Drops what the application has attached to a connection whose end it knows. That is code of the
/// application, which may panic.
fn drop_attachments<T: Transmit>(core: &mut Core<T>, conn: Key, calls: &mut Calls) {
    if core.sockets.get(conn).is_some_and(|socket| socket.life.is_over()) {
        let attached = core.attachments.remove(ConnectionId(conn));
        if let Err(message) = guard(calls.on_panic, || drop(attached)) {
            calls.note_panic(HandlerCall::Close, Some(ConnectionId(conn)), &message);
        }
    }
}

/// An open connection has ended, which is worth more attention for some reasons than for others.
fn log_end(conn: ConnectionId, reason: &Disconnect) {
    match reason {
        Disconnect::ClosedByApplication { .. }
        | Disconnect::ClosedByPeer { .. }
        | Disconnect::EndOfStream { .. } => {
            log_line!(debug, "connection {conn}: {reason}");
        }
        Disconnect::Io(_) | Disconnect::TimedOut(_) => {
            log_line!(info, "connection {conn}: {reason}");
        }
        // Its panic was reported when it came.
        Disconnect::Panicked { .. }
        | Disconnect::Overflow
        | Disconnect::MemoryPressure(_)
        | Disconnect::OverusedInput { .. }
        | Disconnect::UnusedInput { .. }
        | Disconnect::RateLimited { .. }
        | Disconnect::Protocol(_) => log_line!(warn, "connection {conn}: {reason}"),
    }
}
