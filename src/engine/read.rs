//! From a stream that is ready to the messages that came on it.

use std::io;
use std::ops::Range;

use super::EventLoop;
use crate::net::aside::Leftover;
use crate::net::disconnect::{ConnectError, MemoryLimit};
use crate::net::sockets::CORK_MOST;
use crate::proto::handshake::HandshakeError;
use crate::proto::{Event, State};
use crate::reactor::Reactor;
use crate::slots::Key;

/// After how many messages a connection is not received from again in this turn.
const MESSAGES: usize = 64;

/// After how many bytes of decompressed messages the rest of what was received waits for the next
/// turn: a few bytes may stand for a thousand times as many.
const INFLATED: usize = 256 * 1024;

/// How much is received at once where a large message is expected: its header, and little of what
/// must be copied from the receive buffer to where the rest goes.
const FIRST_OF_LARGE: usize = 8 * 1024;

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

/// What to do to receive.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Receive into the receive buffer: little, if a large message is expected.
    Receive { expects_large: bool },
    /// Nothing: that was done already.
    Received(Received),
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Receives from a connection until the stream is drained or its share of the turn is used
    /// up, and sends what its handler answers after each receive. `hangup`: a receive may come
    /// short though there is more.
    pub(super) fn read(&mut self, conn: Key, hangup: bool, state: &mut S) {
        let mut lifted = std::mem::take(&mut self.buffer);
        let buffer = lifted.as_mut_slice();
        let room = buffer.len();
        let (mut bytes, mut messages) = (0, 0);
        let is_plain = self.sockets.cork(conn);
        let was_pressed = !is_plain && self.sockets.is_pressed(conn);
        let mut next = if is_plain {
            Next::Receive { expects_large: false }
        } else {
            self.look_at_input(conn, hangup, room, state)
        };
        loop {
            let received = match next {
                Next::Receive { expects_large } => {
                    self.receive(conn, buffer, expects_large, hangup, state)
                }
                Next::Received(received) => received,
            };
            self.sockets.flush_cork(buffer, &mut self.streams);
            let behind = self.streams.is_behind(conn.index());
            match received {
                Received::More(more_bytes, more_messages) => {
                    bytes += more_bytes;
                    messages += more_messages;
                }
                Received::Drained if behind => {}
                Received::Drained | Received::Ended => break,
            }
            if behind || bytes >= room || messages >= MESSAGES {
                self.sockets.resume(conn);
                break;
            }
            next = self.look_at_input(conn, hangup, room, state);
        }
        self.buffer = lifted;
        let is_unhindered = self.sockets.is_unhindered(conn);
        let is_halted = self.sockets.uncork();
        if !(is_plain && is_unhindered) {
            self.end_read(conn, was_pressed, is_halted);
        }
    }

    /// Looks after what reading may have changed.
    #[inline(never)]
    fn end_read(&mut self, conn: Key, was_pressed: bool, is_halted: bool) {
        if is_halted {
            self.leave_paused(conn);
        }
        if was_pressed || self.sockets.is_pressed(conn) {
            self.sockets.count_inbound(conn);
            self.sockets.relieve(MemoryLimit::Inbound);
            self.sockets.relieve(MemoryLimit::Outbound);
            self.sockets.arm(conn);
        }
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

    /// Receives once, and handles what came.
    #[inline]
    fn receive(
        &mut self,
        conn: Key,
        buffer: &mut [u8],
        expects_large: bool,
        hangup: bool,
        state: &mut S,
    ) -> Received {
        let room = if expects_large { FIRST_OF_LARGE.min(buffer.len()) } else { buffer.len() };
        let end = match self.streams.recv(conn.index(), &mut buffer[..room]) {
            Ok(Some(len)) if len > 0 => len,
            other => return self.receive_nothing(conn, other),
        };
        let is_drained = end < room && !hangup;
        let input = &mut buffer[..end];
        let (at, messages) = self.handle_messages(conn, input, 0, state);
        if at == end && is_drained && !expects_large {
            return Received::Drained;
        }
        self.receive_rest(conn, input, (at, messages), is_drained, expects_large, state)
    }

    #[inline(never)]
    fn receive_nothing(&mut self, conn: Key, outcome: io::Result<Option<usize>>) -> Received {
        match outcome {
            Ok(None) => Received::Drained,
            Ok(Some(_)) => self.end_of_stream(conn),
            Err(error) => self.stream_failed(conn, error),
        }
    }

    /// Handles what came behind the first messages, of which so many were `handled` up to there.
    #[inline(never)]
    fn receive_rest(
        &mut self,
        conn: Key,
        input: &mut [u8],
        handled: (usize, usize),
        is_drained: bool,
        expects_large: bool,
        state: &mut S,
    ) -> Received {
        let inflated = self.sockets.inflated();
        let (at, messages) = self.handle_input(conn, input, handled, state);
        let inflated = self.sockets.inflated().wrapping_sub(inflated);
        if expects_large && messages > 0 {
            self.expect_large(conn, false);
        }
        if at < input.len() {
            self.sockets.keep_leftover(conn, &input[at..]);
        } else if is_drained {
            return Received::Drained;
        }
        Received::More(input.len() + inflated, messages)
    }

    /// How to receive next from a connection of which something is known, into a receive buffer of
    /// `room` bytes. What was left over when it was paused, and the rest of a large message, is
    /// taken at once.
    #[inline(never)]
    fn look_at_input(&mut self, conn: Key, hangup: bool, room: usize, state: &mut S) -> Next {
        let Some(socket) = self.sockets.get(conn).filter(|socket| !socket.dead) else {
            return Next::Received(Received::Ended);
        };
        let (expects_large, is_large) =
            (socket.expects_large, socket.protocol.is_assembling_large());
        if (socket.paused || socket.outbox.is_some()) && self.sockets.hold_back(conn) {
            return Next::Received(Received::Ended);
        }
        if let Some(leftover) = self.sockets.take_leftover(conn) {
            return Next::Received(self.receive_leftover(conn, leftover, state));
        }
        if is_large {
            return Next::Received(self.receive_direct(conn, hangup, room, state));
        }
        Next::Receive { expects_large }
    }

    /// Handles what was left over as if it came now.
    #[cold]
    fn receive_leftover(&mut self, conn: Key, mut leftover: Leftover, state: &mut S) -> Received {
        self.sockets.set_halted(conn, false);
        let inflated = self.sockets.inflated();
        let Range { start, end } = leftover.range;
        let input = &mut leftover.storage[..end];
        let (at, messages) = self.handle_input(conn, input, (start, 0), state);
        let inflated = self.sockets.inflated().wrapping_sub(inflated);
        // Answers may lie in this storage.
        self.sockets.flush_cork(&leftover.storage, &mut self.streams);
        leftover.range.start = at;
        self.sockets.return_leftover(conn, leftover);
        Received::More(at - start + inflated, messages)
    }

    #[cold]
    fn expect_large(&mut self, conn: Key, expects: bool) {
        if let Some(socket) = self.sockets.get_mut(conn) {
            socket.expects_large = expects;
        }
    }

    /// Receives the rest of a large message straight into its own storage. One that would have had
    /// room in the receive buffer came in pieces by chance, and says nothing of the next.
    fn receive_direct(
        &mut self,
        conn: Key,
        hangup: bool,
        buffer_len: usize,
        state: &mut S,
    ) -> Received {
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
            Some(Ok(Some(event))) => {
                let fits = message_len(&event) <= buffer_len;
                self.expect_large(conn, !fits);
                self.dispatch(conn, event, state);
            }
            Some(Ok(None)) | None => {}
            Some(Err(error)) => self.sockets.end_by_peer_error(conn, error),
        }
        let inflated = self.sockets.inflated().wrapping_sub(inflated);
        if len < room && !hangup { Received::Drained } else { Received::More(len + inflated, 1) }
    }

    /// Feeds `input` to the connection and its events to its handler, until it ends, the
    /// connection is paused, or its messages have become too long for one turn. How far it was
    /// `handled`, and how many events that was, comes in and goes out.
    fn handle_input(
        &mut self,
        conn: Key,
        input: &mut [u8],
        handled: (usize, usize),
        state: &mut S,
    ) -> (usize, usize) {
        let ((mut at, mut events), end) = (handled, input.len());
        let inflated = self.sockets.inflated();
        loop {
            if self.sockets.corked_bytes() > CORK_MOST {
                self.sockets.flush_cork(input, &mut self.streams);
            }
            let has_enough = self.sockets.inflated().wrapping_sub(inflated) > INFLATED;
            if at >= end || events > 0 && (has_enough || self.sockets.is_halted()) {
                return (at, events);
            }
            let (next, messages) = self.handle_messages(conn, input, at, state);
            at = next;
            events += messages;
            if messages == 0 {
                let Some(used) = self.handle_parts(conn, &mut input[at..], state) else {
                    return (end, events);
                };
                at += used;
                events += 1;
            }
        }
    }

    /// Hands over whatever comes of the front of `input`, and tells how much that was; `None` if
    /// nothing more comes of it.
    fn handle_parts(&mut self, conn: Key, input: &mut [u8], state: &mut S) -> Option<usize> {
        match self.sockets.receive(conn, input)? {
            Ok((used, event)) => {
                let event = event?;
                #[cfg(feature = "tls")]
                let announced = matches!(event, Event::ProxyHeader(_));
                self.dispatch(conn, event, state);
                // The proxy passes on what its client says, from the first byte of TLS on.
                #[cfg(feature = "tls")]
                if announced && self.accept_tls(conn, &input[used..]) {
                    self.sockets.resume(conn);
                    return None;
                }
                Some(used)
            }
            Err(error) => {
                self.sockets.end_by_peer_error(conn, error);
                None
            }
        }
    }

    /// The peer will send nothing more.
    fn end_of_stream(&mut self, conn: Key) -> Received {
        let Some(socket) = self.sockets.get_mut(conn) else {
            return Received::Ended;
        };
        socket.eof = true;
        match socket.protocol.state() {
            State::Connecting => {
                // Whoever has asked for everything may say so, and is still answered.
                let error = ConnectError::Handshake(HandshakeError::ConnectionEnded);
                self.sockets.end_unopened(conn, error);
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
}

/// How long the message is that the event brings, if it brings one.
fn message_len(event: &Event<'_>) -> usize {
    match event {
        Event::Message(incoming) => incoming.message().len(),
        _ => 0,
    }
}
