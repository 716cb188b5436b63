//! From readiness to the handlers' methods.

use std::net::SocketAddr;

use super::{ConnectionId, EventLoop, HandlerCall};
use crate::logging::log_line;
use crate::net::listener::Accepted;
use crate::net::socket::Socket;
use crate::net::sockets::Lent;
use crate::proto::{Event, HEADROOM_BYTES, Incoming, WebSocket};
use crate::reactor::{Reactor, Readiness};
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    #[inline]
    pub(super) fn serve(&mut self, conn: Key, readiness: &Readiness, state: &mut S) {
        // Stale readiness, of a connection that ended earlier, finds nothing.
        let Some(socket) = self.core.sockets.get(conn) else {
            return;
        };
        // Most is of input alone.
        let is_more = readiness.hangup || socket.blocked;
        // Then its turn to be read comes after those of all that are ready.
        let is_resumed = socket.resumed;
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
        #[cfg(feature = "tls")]
        if readiness.writable {
            self.flush_tls(conn);
        }
        if readiness.writable {
            self.core.sockets.unblock(conn, &mut self.core.streams);
            // Who has read its answer may be one too many of those that are kept alive.
            self.end_surplus();
        }
        if readiness.hangup {
            self.core.sockets.note_hangup(conn);
        }
        true
    }

    /// Takes in a connection that was accepted. If its request is there already, registration
    /// reports it.
    pub(super) fn admit(&mut self, (stream, peer): Accepted<R>, site: usize) {
        let Some(place) = self.sites.get(site) else {
            return;
        };
        let protocol = WebSocket::server(place.limits.clone(), self.core.sockets.now);
        let announces = place.announces(peer);
        let protocol = if announces { protocol.behind_proxy() } else { protocol };
        let conn = self.core.sockets.insert(Socket::accepted(protocol, site, peer.into()));
        self.sites.enter(site);
        self.core.streams.insert(conn.index(), stream);
        #[cfg(feature = "tls")]
        if !announces {
            self.accept_tls(conn, &[]);
        }
        self.end_surplus();
        if let Err(error) = self.core.streams.register(conn.index(), conn.to_bits()) {
            self.core.sockets.fail(conn, error);
        }
    }

    /// Hands one event to the connection's handler.
    pub(super) fn dispatch(&mut self, conn: Key, event: Event<'_>, state: &mut S) {
        match event {
            Event::Message(incoming) => {
                let message = incoming.message();
                if matches!(incoming, Incoming::Assembled(..)) {
                    self.core.sockets.lend(Lent::new(message, HEADROOM_BYTES, true));
                }
                self.tally.messages_received += 1;
                self.call(conn, HandlerCall::Message, |handler, conn| {
                    handler.on_message(conn, message, state);
                });
                if let Incoming::Assembled(_, buffer) = incoming {
                    self.core.sockets.take_back_assembled(buffer);
                }
            }
            Event::Ping(payload) => {
                self.call(conn, HandlerCall::Ping, |handler, conn| {
                    handler.on_ping(conn, &payload, state);
                });
            }
            Event::Pong(payload) => {
                self.call(conn, HandlerCall::Pong, |handler, conn| {
                    handler.on_pong(conn, &payload, state);
                });
            }
            Event::Close(payload) => self.closed_by_peer(conn, &payload),
            Event::ProxyHeader(header) => self.note_client(conn, &header),
            Event::Request(head) => self.answer(conn, &head, state),
            Event::Open(_) => self.open(conn, state),
        }
    }

    pub(super) fn open(&mut self, conn: Key, state: &mut S) {
        let socket = self.core.sockets.get_mut(conn).filter(|socket| socket.protocol.is_open());
        if let Some(socket) = socket {
            socket.opened = true;
            let (peer, endpoint) = (socket.peer.get(), socket.endpoint());
            log_line!(debug, "connection {}: open, {}", ConnectionId(conn), from(peer));
            self.tally.opened();
            self.core.sockets.arm(conn);
            let unsent = self.endpoints.get(endpoint).map_or(0, |endpoint| endpoint.unsent_limit);
            self.core.sockets.set_unsent_limit(conn, unsent, &mut self.core.streams);
            self.call(conn, HandlerCall::Open, |handler, conn| handler.on_open(conn, state));
        }
    }
}

/// Where a connection comes from, for a line of the log.
pub(super) fn from(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(|| "from this machine".to_owned(), |peer| format!("from {peer}"))
}
