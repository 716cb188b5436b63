//! From readiness to the handlers' methods, and to a connection's end.

use std::net::SocketAddr;

use super::endpoint::Endpoint;
use super::{EventLoop, Method, Upgrade};
use crate::net::aside::End;
use crate::net::disconnect::{ConnectError, Disconnect};
use crate::net::socket::Socket;
use crate::net::sockets::Lent;
use crate::proto::handshake::{HandshakeError, Request};
use crate::proto::{CloseFrame, Connection, Event, HEADROOM, Incoming, PeerError, Role, State};
use crate::reactor::{Reactor, Readiness};
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    pub(super) fn serve(&mut self, readiness: &Readiness, state: &mut S) {
        let conn = Key::from_bits(readiness.key);
        // Stale readiness, of a connection that ended earlier, finds nothing.
        let Some(socket) = self.sockets.get(conn) else {
            return;
        };
        if socket.is_connector() && !self.finish_connect(conn) {
            return;
        }
        if readiness.writable {
            self.sockets.unblock(conn, &mut self.streams);
        }
        if readiness.hangup {
            self.sockets.note_hangup(conn);
        }
        if readiness.readable || readiness.hangup {
            self.read(conn, readiness.hangup, state);
        }
    }

    /// Takes in a connection that was accepted. If its request is there already, registration
    /// reports it.
    pub(super) fn admit(
        &mut self,
        (stream, peer): (R::Stream, Option<SocketAddr>),
        endpoint: usize,
    ) {
        let Some(limits) = self.endpoints.get(endpoint).map(|endpoint| endpoint.limits.clone())
        else {
            return;
        };
        let protocol = Connection::server(limits, self.sockets.now);
        let conn = self.sockets.insert(Socket::new(protocol, endpoint, peer.into()));
        self.streams.insert(conn.index(), stream);
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
            Event::Request(head) => self.upgrade(conn, &head, state),
            Event::Open(_) => self.open(conn, state),
        }
    }

    fn upgrade(&mut self, conn: Key, head: &[u8], state: &mut S) {
        let Some(socket) = self.sockets.get(conn) else {
            return;
        };
        let Some(endpoint) = self.endpoints.get(socket.endpoint()) else {
            return;
        };
        let request = match admissible(head, endpoint) {
            Ok(request) => request,
            Err(error) => {
                self.sockets.refuse(conn, &error.refusal());
                self.sockets.end_by_peer_error(conn, PeerError::Handshake(error));
                return;
            }
        };
        let upgrade = self
            .call(conn, Method::Upgrade, |handler, id, cx| {
                handler.on_upgrade(id, &request, cx, state)
            })
            // It panicked.
            .unwrap_or_else(|| Upgrade::refuse(500));
        let Some(socket) = self.sockets.get(conn) else {
            return;
        };
        let Some(endpoint) = self.endpoints.get(socket.endpoint()) else {
            return;
        };
        match endpoint.complete(upgrade, &request) {
            Upgrade::Accept(acceptance) => {
                self.sockets.accept(conn, &request, &acceptance);
                self.open(conn, state);
            }
            Upgrade::Refuse(refusal) => {
                self.sockets.refuse(conn, &refusal);
                self.sockets.end(conn, End::Connect(ConnectError::Cancelled));
            }
        }
    }

    fn open(&mut self, conn: Key, state: &mut S) {
        let socket = self.sockets.get_mut(conn).filter(|socket| socket.protocol.is_open());
        if let Some(socket) = socket {
            socket.opened = true;
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
            if socket.dead || (socket.shut && socket.eof) {
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
        let opened = socket.opened;
        let connecting = !opened && socket.protocol.role() == Role::Client;
        self.topics.remove_connection(conn);
        match end {
            End::Disconnect(reason) if opened => {
                self.tally.closed(&reason);
                self.call(conn, Method::Close, |handler, id, cx| {
                    handler.on_close(id, &reason, cx, state);
                });
            }
            // Who never got past a listener's handshake was none of the application's yet.
            End::Connect(error) if connecting => {
                self.tally.not_opened();
                self.call(conn, Method::ConnectError, |handler, id, cx| {
                    handler.on_connect_error(id, &error, cx, state);
                });
            }
            End::Disconnect(_) | End::Connect(_) => self.tally.not_opened(),
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

/// The request in `head`, if it is one and its page may connect.
fn admissible<'a, S>(
    head: &'a [u8],
    endpoint: &Endpoint<S>,
) -> Result<Request<'a>, HandshakeError> {
    let request = Request::parse_scanned(head, endpoint.limits.head_limits())?;
    endpoint.origins.check(&request)?;
    Ok(request)
}
