//! From readiness to the handlers' methods.

use std::net::SocketAddr;

use crate::engine::any_handler::AnyHandler;
use crate::engine::connection::Connection;
use crate::engine::context::Context;
use crate::engine::event_loop::EventLoop;
use crate::engine::ids::ConnectionId;
use crate::engine::rates::limiting::Limiting;
use crate::engine::turn::calls::{Calls, HandlerCall};
use crate::logging::log_line;
use crate::net::disconnect::{ConnectError, Disconnect};
use crate::net::life::Life;
use crate::net::lists::Lists;
use crate::net::rare_state::End;
use crate::net::sockets::Lent;
use crate::proto::{CloseCode, Event, HEADROOM_BYTES, Incoming};
use crate::rates::LimitKind;
use crate::reactor::{Reactor, Readiness};
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    #[inline]
    pub(crate) fn serve(&mut self, conn: Key, readiness: &Readiness, state: &mut S) {
        // Stale readiness, of a connection that ended earlier, finds nothing.
        let Some(socket) = self.core.sockets.get(conn) else {
            return;
        };
        // Most is of input alone.
        let is_more = readiness.hangup || socket.blocked;
        // Then its turn to be read comes after those of all that are ready.
        let is_resumed = socket.lists.contains(Lists::TO_READ);
        if (is_more || cfg!(feature = "tls")) && !self.serve_output(conn, readiness) {
            return;
        }
        if (readiness.readable || readiness.hangup) && !is_resumed {
            self.read(conn, readiness.hangup || readiness.urgent, state);
        }
    }

    /// Does what readiness asks for before input is received; whether any is to be.
    #[inline(never)]
    fn serve_output(&mut self, conn: Key, readiness: &Readiness) -> bool {
        // Of the stream that a redirected connection had before.
        if self.core.sockets.get(conn).is_some_and(|socket| socket.rare.is_connecting()) {
            return false;
        }
        #[cfg(feature = "tls")]
        if readiness.writable {
            self.flush_tls(conn);
        }
        if readiness.writable {
            self.core.sender().unblock(conn);
            // Who has read its answer may be one too many of those that are kept alive.
            self.enforce_place_limits();
        }
        if readiness.hangup {
            self.core.sockets.registry.note_hangup(conn);
        }
        true
    }

    /// Hands one event to the connection's handler.
    pub(crate) fn dispatch(&mut self, conn: Key, event: Event<'_>, state: &mut S) {
        match event {
            Event::Message(_) if self.core.sockets.registry.input.refuses_messages() => {
                Limiting::new(self.core.erased()).close_by_limit(conn, LimitKind::Messages);
            }
            Event::Message(incoming) => {
                let message = incoming.message();
                if matches!(incoming, Incoming::Assembled(..)) {
                    self.core.sockets.output.lend(Lent::assembled(message, HEADROOM_BYTES));
                }
                self.tally.messages_received += 1;
                self.call(conn, HandlerCall::Message, |handler, conn| {
                    if let Some(handler) = handler.web_socket() {
                        handler.on_message(conn, message, state);
                    }
                });
                if let Incoming::Assembled(_, buffer) = incoming {
                    self.core.sockets.output.take_back_assembled(buffer);
                }
            }
            Event::Ping(payload) => {
                self.call(conn, HandlerCall::Ping, |handler, conn| {
                    if let Some(handler) = handler.web_socket() {
                        handler.on_ping(conn, &payload, state);
                    }
                });
            }
            Event::Pong(payload) => {
                self.call(conn, HandlerCall::Pong, |handler, conn| {
                    if let Some(handler) = handler.web_socket() {
                        handler.on_pong(conn, &payload, state);
                    }
                });
            }
            Event::Close(payload) => self.core.sockets.registry.end_by_close_frame(conn, &payload),
            Event::ProxyHeader(header) => self.note_client(conn, &header),
            Event::Request(head) => self.answering(conn, state).answer(&head, None),
            Event::Body { head, body } => {
                self.answering(conn, state).answer(&head, Some(&body));
            }
            // Handled where the rest of the input is at hand.
            Event::Tunnel => {}
            Event::Response(head) => self.accepted(conn, &head, state),
        }
    }

    /// The connection is open, with this subprotocol.
    pub(crate) fn open(&mut self, conn: Key, subprotocol: Option<&str>, state: &mut S) {
        let socket = self.core.sockets.get_mut(conn).filter(|socket| socket.protocol.is_open());
        if let Some(socket) = socket {
            socket.life.open();
            let (peer, handler) = (socket.peer.get(), socket.handler());
            log_line!(debug, "connection {}: open, {}", ConnectionId(conn), from(peer));
            self.tally.opened();
            if let Some(name) = subprotocol {
                self.core.subprotocols.insert(ConnectionId(conn), name.into());
            }
            self.core.links.note_open(ConnectionId(conn), self.core.sockets.now());
            self.core.sockets.registry.arm(conn);
            let unsent = self.handlers.get(handler).map_or(0, |handler| handler.unsent_limit);
            self.core.sender().set_unsent_limit(conn, unsent);
            Limiting::new(self.core.erased()).begin_limits(conn);
            self.draw_age(conn, handler);
            if self.core.ending.stops_reading {
                self.core.sockets.registry.pause(conn);
            }
            self.call(conn, HandlerCall::Open, |handler, conn| handler.on_open(conn, state));
        }
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// A handler, how it is called, and what it is lent of the loop.
    #[inline]
    pub(crate) fn lend(
        &mut self,
        handler: usize,
    ) -> Option<(&mut AnyHandler<S>, &mut Calls, Context<'_>)> {
        let configured = self.handlers.get_mut(handler)?;
        let context = self.core.erased().context();
        Some((&mut configured.handler, &mut self.calls, context))
    }

    /// Calls a connection's handler, lending it the rest of the loop; `None` if it panicked, or
    /// there is no such connection.
    #[inline]
    pub(crate) fn call<T>(
        &mut self,
        conn: Key,
        call: HandlerCall,
        act: impl FnOnce(&mut AnyHandler<S>, &mut Connection<'_>) -> T,
    ) -> Option<T> {
        let handler = self.core.sockets.get(conn)?.handler();
        let (handler, calls, context) = self.lend(handler)?;
        let mut lent = Connection::new(context, ConnectionId(conn));
        match calls.call(call, &mut lent, |conn| act(handler, conn)) {
            Ok(value) => Some(value),
            Err(message) => {
                self.panicked(conn, message);
                None
            }
        }
    }

    /// Closes a connection whose handler panicked, unless `on_close` was called before.
    #[cold]
    pub(crate) fn panicked(&mut self, conn: Key, message: String) {
        let Some(socket) = self.core.sockets.get_mut(conn) else {
            return;
        };
        if socket.is_being_made() && !socket.life.is_over() {
            self.core.sockets.end_unopened(conn, ConnectError::Panicked { message });
            return;
        }
        if socket.life != Life::Open {
            return;
        }
        // Whatever else ends it, the handler must learn that its own state may be half-changed.
        socket.rare.overrule_end(End::Disconnect(Disconnect::Panicked { message }));
        self.core.erased().close(conn, CloseCode::INTERNAL, "");
        self.core.sockets.registry.queue_reaping(conn);
    }
}

/// Where a connection comes from, for a line of the log.
pub(crate) fn from(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(|| "from this machine".to_owned(), |peer| format!("from {peer}"))
}
