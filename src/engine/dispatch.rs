//! From readiness to the handlers' methods, and to a connection's end.

use std::net::SocketAddr;

use super::{ConnectionId, EventLoop, Method};
use crate::logging::log_line;
use crate::net::aside::End;
use crate::net::disconnect::{ConnectError, Disconnect};
use crate::net::socket::Socket;
use crate::net::sockets::Lent;
use crate::proto::{CloseFrame, Connection, Event, HEADROOM, Incoming, Role, State};
use crate::reactor::{Reactor, Readiness};
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    #[inline]
    pub(super) fn serve(&mut self, readiness: &Readiness, state: &mut S) {
        let conn = Key::from_bits(readiness.key);
        // Stale readiness, of a connection that ended earlier, finds nothing.
        let Some(socket) = self.sockets.get(conn) else {
            return;
        };
        // Most is of input alone.
        let is_more = readiness.hangup || socket.blocked || socket.is_connector();
        if (is_more || cfg!(feature = "tls")) && !self.serve_output(conn, readiness) {
            return;
        }
        if readiness.readable || readiness.hangup {
            self.read(conn, readiness.hangup || readiness.urgent, state);
        }
    }

    /// Does what readiness asks for before input is received; whether any is to be.
    #[inline(never)]
    fn serve_output(&mut self, conn: Key, readiness: &Readiness) -> bool {
        let is_connector = self.sockets.get(conn).is_some_and(Socket::is_connector);
        if is_connector && !self.finish_connect(conn) {
            return false;
        }
        #[cfg(feature = "tls")]
        if readiness.writable {
            self.flush_tls(conn);
        }
        if readiness.writable {
            self.sockets.unblock(conn, &mut self.streams);
        }
        if readiness.hangup {
            self.sockets.note_hangup(conn);
        }
        true
    }

    /// Whether nothing is left that the stream has taken and not sent.
    fn is_flushed(&mut self, conn: Key) -> bool {
        #[cfg(feature = "tls")]
        return self.streams.flush(conn.index()).unwrap_or(true);
        #[cfg(not(feature = "tls"))]
        return {
            let _ = conn;
            true
        };
    }

    /// Takes in a connection that was accepted. If its request is there already, registration
    /// reports it.
    pub(super) fn admit(&mut self, (stream, peer): (R::Stream, Option<SocketAddr>), site: usize) {
        let Some(place) = self.sites.get(site) else {
            return;
        };
        let protocol = Connection::server(place.limits.clone(), self.sockets.now);
        let announces = place.announces(peer);
        let protocol = if announces { protocol.behind_proxy() } else { protocol };
        let conn = self.sockets.insert(Socket::accepted(protocol, site, peer.into()));
        self.streams.insert(conn.index(), stream);
        #[cfg(feature = "tls")]
        if !announces {
            self.accept_tls(conn, &[]);
        }
        let sockets = &self.sockets;
        let evicted = self.pending.push(conn, sockets.now, |conn| sockets.is_connecting(conn));
        if let Some(oldest) = evicted {
            self.sockets.end(oldest, End::Connect(ConnectError::TimedOut));
            self.sockets.kill(oldest);
        }
        if let Err(error) = self.streams.register(conn.index(), conn.to_bits()) {
            self.sockets.fail(conn, error);
        }
    }

    /// Hands one event to the connection's handler.
    pub(super) fn dispatch(&mut self, conn: Key, event: Event<'_>, state: &mut S) {
        match event {
            Event::Message(incoming) => {
                let message = incoming.message();
                if matches!(incoming, Incoming::Assembled(..)) {
                    self.sockets.lend(Lent::new(message, HEADROOM, true));
                }
                self.tally.messages_received += 1;
                self.call(conn, Method::Message, |handler, id, cx| {
                    handler.on_message(id, message, cx, state);
                });
                if let Incoming::Assembled(_, buffer) = incoming {
                    self.sockets.take_back_assembled(buffer);
                }
            }
            Event::Ping(payload) => {
                self.call(conn, Method::Ping, |handler, id, cx| {
                    handler.on_ping(id, &payload, cx, state);
                });
            }
            Event::Pong(payload) => {
                self.call(conn, Method::Pong, |handler, id, cx| {
                    handler.on_pong(id, &payload, cx, state);
                });
            }
            Event::Close(payload) => self.closed_by_peer(conn, &payload),
            Event::ProxyHeader(header) => self.note_client(conn, &header),
            Event::Request(head) => self.answer(conn, &head, state),
            Event::Open(_) => self.open(conn, state),
        }
    }

    pub(super) fn open(&mut self, conn: Key, state: &mut S) {
        let socket = self.sockets.get_mut(conn).filter(|socket| socket.protocol.is_open());
        if let Some(socket) = socket {
            socket.opened = true;
            let peer = socket.peer.get();
            log_line!(debug, "connection {}: open, {}", ConnectionId(conn), from(peer));
            self.tally.opened();
            self.sockets.arm(conn);
            self.call(conn, Method::Open, |handler, id, cx| handler.on_open(id, cx, state));
        }
    }

    fn closed_by_peer(&mut self, conn: Key, payload: &[u8]) {
        if let Some(socket) = self.sockets.get_mut(conn) {
            socket.answered = true;
        }
        // The payload was checked when it arrived.
        let frame = CloseFrame::parse(payload).ok().flatten();
        let code = frame.map(|frame| frame.code);
        let reason = frame.map_or_else(String::new, |frame| frame.reason.to_owned());
        self.sockets.end(conn, End::Disconnect(Disconnect::ClosedByPeer { code, reason }));
    }

    /// Carries on with connections that have ended: tells their handlers, ends their streams and
    /// frees their slots, which nothing in this turn's readiness can name any more.
    #[inline(never)]
    pub(super) fn reap(&mut self, state: &mut S) {
        let ended = self.sockets.take_ended();
        for &conn in &ended {
            self.tell_end(conn, state);
            let Some(socket) = self.sockets.get_mut(conn) else {
                continue;
            };
            if socket.outbox.is_none() && socket.protocol.state() == State::Closed && !socket.shut {
                socket.shut = true;
                self.streams.shutdown(conn.index());
            }
            if socket.dead || (socket.shut && socket.eof && self.is_flushed(conn)) {
                self.free(conn);
            }
        }
        self.sockets.return_ended(ended);
    }

    fn tell_end(&mut self, conn: Key, state: &mut S) {
        let Some(socket) = self.sockets.get_mut(conn) else {
            return;
        };
        let Some(end) = socket.take_end().filter(|_| !socket.told) else {
            return;
        };
        socket.told = true;
        let (opened, served, peer) = (socket.opened, socket.served, socket.peer.get());
        let connecting = !opened && socket.protocol.role() == Role::Client;
        self.topics.remove_connection(conn);
        match end {
            End::Disconnect(reason) if opened => {
                log_end(ConnectionId(conn), &reason);
                self.tally.closed(&reason);
                self.call(conn, Method::Close, |handler, id, cx| {
                    handler.on_close(id, &reason, cx, state);
                });
            }
            // Who never got past a listener's handshake was none of the application's yet.
            End::Connect(error) if connecting => {
                log_line!(info, "connection {}: not made: {error}", ConnectionId(conn));
                self.tally.not_opened();
                self.call(conn, Method::ConnectError, |handler, id, cx| {
                    handler.on_connect_error(id, &error, cx, state);
                });
            }
            End::Disconnect(_) | End::Connect(_) if served => {}
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
        self.streams.remove(conn.index());
        if let Some(socket) = self.sockets.get(conn) {
            self.ending.count(socket);
        }
        let Some(socket) = self.sockets.remove(conn) else {
            return;
        };
        if self.endpoints.get(socket.endpoint()).is_some_and(|endpoint| endpoint.is_client) {
            self.endpoints.remove(socket.endpoint());
        }
    }
}

/// An open connection has ended, which is worth more attention for some reasons than for others.
fn log_end(conn: ConnectionId, reason: &Disconnect) {
    match reason {
        Disconnect::ClosedByApplication { .. } | Disconnect::ClosedByPeer { .. } => {
            log_line!(debug, "connection {conn}: {reason}");
        }
        Disconnect::Io(_) | Disconnect::TimedOut(_) => {
            log_line!(info, "connection {conn}: {reason}");
        }
        // Its panic was told of when it came.
        Disconnect::Panicked { .. }
        | Disconnect::Overflow
        | Disconnect::MemoryPressure(_)
        | Disconnect::Protocol(_) => log_line!(warn, "connection {conn}: {reason}"),
    }
}

/// Where a connection comes from, for a line of the log.
fn from(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(|| "from this machine".to_owned(), |peer| format!("from {peer}"))
}
