//! From readiness to the handlers' methods, and to a connection's end.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use super::endpoint::Endpoint;
use super::{EventLoop, Method, Upgrade};
use crate::net::disconnect::{ConnectError, Disconnect, MemoryLimit};
use crate::net::socket::{End, Leftover, Socket};
use crate::net::sockets::Lent;
use crate::proto::handshake::{HandshakeError, Request};
use crate::proto::{CloseFrame, Connection, Event, HEADROOM, Incoming, PeerError, Role, State};
use crate::reactor::{Reactor, Readiness};
use crate::slots::Key;

/// After how many messages a connection is not received from again in this turn.
const MESSAGES: usize = 64;

/// After how many bytes of decompressed messages the rest of what was received waits for the next
/// turn: a few bytes may stand for a thousand times as many.
const INFLATED: usize = 256 * 1024;

/// Answers to one receive are sent in one call up to this many bytes, and then as they come.
const CORK_MOST: usize = 256 * 1024;

/// What one receive came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    /// The stream has no more: its next readiness will say when it does.
    Drained,
    /// There may be more. So many bytes came, or were made of them, and so many messages.
    More(usize, usize),
    /// Nothing will come any more, or nothing is wanted.
    Ended,
}

impl<S, R: Reactor> EventLoop<S, R> {
    pub(super) fn serve(&mut self, readiness: &Readiness, state: &mut S) {
        let conn = Key::from_bits(readiness.key);
        // Stale readiness, of a connection that ended earlier, finds nothing.
        let Some(socket) = self.sockets.get(conn) else {
            return;
        };
        if socket.connector.is_some() && !self.finish_connect(conn) {
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

    /// Takes in a connection that was accepted. Its request is probably there already: reading
    /// comes before registration, which reports whatever is left.
    pub(super) fn admit(
        &mut self,
        (stream, peer): (R::Stream, Option<SocketAddr>),
        endpoint: usize,
        state: &mut S,
    ) {
        let Some(limits) = self.endpoints.get(endpoint).map(|endpoint| endpoint.limits.clone())
        else {
            return;
        };
        let protocol = Connection::server(limits, self.sockets.now);
        let conn = self.sockets.insert(Socket::new(protocol, endpoint, peer));
        self.streams.insert(conn.index(), stream);
        let sockets = &self.sockets;
        let evicted = self.pending.push(conn, |conn| {
            sockets.get(conn).is_some_and(|socket| socket.protocol.state() == State::Connecting)
        });
        if let Some(oldest) = evicted {
            self.sockets.end(oldest, End::Connect(ConnectError::TimedOut));
            self.sockets.kill(oldest);
        }
        self.read(conn, false, state);
        if let Err(error) = self.streams.register(conn.index(), conn.to_bits()) {
            self.sockets.fail(conn, error);
        }
    }

    /// Receives from a connection until the stream is drained or its share of the turn is used
    /// up, and sends what its handler answers after each receive.
    pub(super) fn read(&mut self, conn: Key, hangup: bool, state: &mut S) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let budget = buffer.len();
        let pressed = self.sockets.is_pressed(conn);
        self.sockets.cork(conn);
        let (mut bytes, mut messages) = (0, 0);
        while !self.sockets.hold_back(conn) {
            let received = self.receive(conn, &mut buffer, hangup, state);
            self.sockets.flush_cork(&buffer, &mut self.streams);
            let Received::More(more_bytes, more_messages) = received else {
                break;
            };
            bytes += more_bytes;
            messages += more_messages;
            if bytes >= budget || messages >= MESSAGES {
                self.sockets.resume(conn);
                break;
            }
        }
        if self.sockets.uncork() {
            self.leave_paused(conn);
        }
        if pressed || self.sockets.is_pressed(conn) {
            self.sockets.count_inbound(conn);
            self.sockets.relieve(MemoryLimit::Inbound);
            self.sockets.relieve(MemoryLimit::Outbound);
            self.sockets.arm(conn);
        }
        self.buffer = buffer;
    }

    /// A connection that is paused may have failed, which reading would tell. Its end in order is
    /// no failure: what came before that is still to be read.
    #[cold]
    fn leave_paused(&mut self, conn: Key) {
        if self.sockets.get(conn).is_some_and(|socket| socket.hangup && !socket.dead) {
            if let Err(error) = self.streams.check(conn.index()) {
                self.sockets.fail(conn, error);
            }
        }
    }

    /// Receives once and handles what came, or what was left over when the connection was paused.
    fn receive(&mut self, conn: Key, buffer: &mut [u8], hangup: bool, state: &mut S) -> Received {
        let Some(socket) = self.sockets.get_mut(conn).filter(|socket| !socket.dead) else {
            return Received::Ended;
        };
        let room = buffer.len();
        let mut leftover = socket.leftover.take();
        let (input, range) = if let Some(leftover) = &mut leftover {
            (&mut leftover.storage[..], leftover.range.clone())
        } else if socket.protocol.is_assembling_large() {
            return self.receive_direct(conn, hangup, state);
        } else {
            match self.streams.recv(conn.index(), buffer) {
                Ok(None) => return Received::Drained,
                Ok(Some(0)) => return self.end_of_stream(conn),
                Ok(Some(len)) => (&mut *buffer, 0..len),
                Err(error) => return self.stream_failed(conn, error),
            }
        };
        let (start, end, inflated) = (range.start, range.end, self.sockets.inflated());
        let (at, messages) = self.handle_input(conn, input, range, state);
        let inflated = self.sockets.inflated().wrapping_sub(inflated);
        if let Some(leftover) = leftover {
            self.put_back(conn, leftover, at);
            return Received::More(at - start + inflated, messages);
        }
        if at < end {
            self.sockets.keep_leftover(conn, &buffer[at..end]);
        }
        if at == end && end < room && !hangup {
            Received::Drained
        } else {
            Received::More(end + inflated, messages)
        }
    }

    /// What was left over has been handled, up to `at`.
    #[cold]
    fn put_back(&mut self, conn: Key, mut leftover: Box<Leftover>, at: usize) {
        // Answers may lie in this storage.
        self.sockets.flush_cork(&leftover.storage, &mut self.streams);
        leftover.range.start = at;
        self.sockets.return_leftover(conn, leftover);
    }

    /// Receives the rest of a large message straight into its own storage.
    fn receive_direct(&mut self, conn: Key, hangup: bool, state: &mut S) -> Received {
        let Some((socket, pool)) = self.sockets.with_buffers(conn) else {
            return Received::Ended;
        };
        let Some(spare) = socket.protocol.spare(pool) else {
            return Received::Ended;
        };
        let room = spare.len();
        let len = match self.streams.recv(conn.index(), spare) {
            Ok(None) => return Received::Drained,
            Ok(Some(0)) => return self.end_of_stream(conn),
            Ok(Some(len)) => len,
            Err(error) => return self.stream_failed(conn, error),
        };
        let inflated = self.sockets.inflated();
        match self.sockets.received(conn, len) {
            Some(Ok(Some(event))) => self.dispatch(conn, event, 0, state),
            Some(Ok(None)) | None => {}
            Some(Err(error)) => self.sockets.end_by_peer_error(conn, error),
        }
        let inflated = self.sockets.inflated().wrapping_sub(inflated);
        if len < room && !hangup { Received::Drained } else { Received::More(len + inflated, 1) }
    }

    /// Feeds `buffer[range]` to the connection and its events to its handler, until the range
    /// ends, the connection is paused, or its messages have become too long for one turn. Tells
    /// where that was, and counts the events.
    fn handle_input(
        &mut self,
        conn: Key,
        buffer: &mut [u8],
        range: Range<usize>,
        state: &mut S,
    ) -> (usize, usize) {
        let base = buffer.as_ptr() as usize;
        let (mut at, end, mut events) = (range.start, range.end, 0);
        let inflated = self.sockets.inflated();
        while at < end {
            match self.sockets.receive(conn, &mut buffer[at..end]) {
                Some(Ok((used, Some(event)))) => {
                    at += used;
                    events += 1;
                    self.dispatch(conn, event, base, state);
                    if let Some(reuse) = self.sockets.take_back() {
                        reuse.write_header(buffer);
                    }
                    if self.sockets.corked_bytes() > CORK_MOST {
                        self.sockets.flush_cork(buffer, &mut self.streams);
                    }
                    let has_enough = self.sockets.inflated().wrapping_sub(inflated) > INFLATED;
                    if at < end && (has_enough || self.sockets.is_halted()) {
                        return (at, events);
                    }
                }
                Some(Ok((_, None))) | None => break,
                Some(Err(error)) => {
                    self.sockets.end_by_peer_error(conn, error);
                    break;
                }
            }
        }
        (end, events)
    }

    /// Hands one event to the connection's handler. `base` is the address of the receive buffer.
    #[inline]
    fn dispatch(&mut self, conn: Key, event: Event<'_>, base: usize, state: &mut S) {
        match event {
            Event::Message(Incoming::Borrowed(message)) => {
                self.tally.messages_received += 1;
                let payload = (message.as_bytes().as_ptr() as usize).wrapping_sub(base);
                self.sockets.lend(Lent::new(message, payload, false));
                self.call(conn, Method::Message, |handler, id, cx| {
                    handler.on_message(id, message, cx, state);
                });
            }
            Event::Message(incoming) => {
                self.tally.messages_received += 1;
                let message = incoming.message();
                self.sockets.lend(Lent::new(message, HEADROOM, true));
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
        let Some(endpoint) = self.endpoints.get(socket.endpoint) else {
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
        let Some(endpoint) = self.endpoints.get(socket.endpoint) else {
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

    /// The peer will send nothing more.
    fn end_of_stream(&mut self, conn: Key) -> Received {
        let Some(socket) = self.sockets.get_mut(conn) else {
            return Received::Ended;
        };
        socket.eof = true;
        match socket.protocol.state() {
            State::Connecting => {
                let error = HandshakeError::ConnectionEnded;
                self.sockets.end_by_peer_error(conn, PeerError::Handshake(error));
                self.sockets.kill(conn);
            }
            State::Open => self.sockets.fail(conn, io::ErrorKind::UnexpectedEof.into()),
            // The application's close stands as the reason.
            State::Closing => self.sockets.kill(conn),
            // What is queued, our close frame above all, may still reach the peer.
            State::Closed => self.sockets.revisit(conn),
        }
        Received::Ended
    }

    fn stream_failed(&mut self, conn: Key, error: io::Error) -> Received {
        self.sockets.fail(conn, error);
        Received::Ended
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
        let Some(end) = socket.end.take().filter(|_| !socket.told) else {
            return;
        };
        socket.told = true;
        let opened = socket.opened;
        let connecting = !opened && socket.protocol.role() == Role::Client;
        self.topics.remove_connection(conn);
        match *end {
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
        if self.endpoints.get(socket.endpoint).is_some_and(|endpoint| endpoint.is_client) {
            self.endpoints.remove(socket.endpoint);
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
