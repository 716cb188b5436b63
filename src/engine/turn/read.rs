//! From a stream that is ready to the messages that came on it.

use std::io;
use std::ops::Range;

use crate::engine::broadcast::order::deliver_last;
use crate::engine::event_loop::EventLoop;
use crate::engine::rates::limiting::Limiting;
use crate::net::disconnect::{ConnectError, Disconnect};
use crate::net::rare_state::{End, Leftover};
use crate::net::reading::{ReadDebt, ReadPermission};
use crate::net::socket::Socket;
use crate::net::sockets::{CORK_BYTES_MAX, NextInput};
use crate::proto::handshake::HandshakeError;
use crate::proto::{Event, Handled, Role, State, WebSocket, WorkBudget};
use crate::reactor::Reactor;
use crate::slots::Key;

/// After this many messages, control frames and fragments of a connection, the rest of what was
/// received waits for the next turn. Handlers that take a microsecond each then hold up the others
/// no longer than 256 KiB of messages do, and a client that pipelines deeply gets its replies in
/// one call.
const TURN_FRAMES_MAX: usize = 256;

/// After this much decompression, in bytes taken or made, the rest waits too: a few bytes may stand
/// for a thousand times as many, or for much work.
const TURN_INFLATION_BYTES_MAX: usize = 256 * 1024;

/// How much is received at once where little should be: the header of a large message, and little
/// of what must be copied from the receive buffer to its own storage; or the frames of a turn, if
/// they are short, and few that must be kept until the next.
const LITTLE_BYTES: usize = 8 * 1024;

/// What one receive came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// The stream has no more: its next readiness will say when it does.
    Drained,
    /// There may be more, behind this many bytes.
    More(usize),
    /// Nothing will come any more, or nothing is wanted.
    Ended,
}

/// What to do to receive.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Receive into the receive buffer: little, if a large message is expected, or few frames can
    /// be handled in a turn.
    Receive { receives_little: bool },
    /// Receive no more than that, from a slow peer or one with rate limits.
    Bounded(Bound),
    /// Receive what a peer sends after the end of its connection.
    Linger,
    /// Carry on with opening a raw stream.
    Opening,
    /// Receive into the receive buffer, behind what a raw stream has left unused.
    BehindKept,
    /// Nothing: that was done already.
    Received(Received),
}

/// How to receive.
#[derive(Clone, Copy, Debug)]
struct Receive {
    /// See [`Next::Receive`].
    receives_little: bool,
    /// A receive may come short though there is more.
    hangup: bool,
}

/// How much to receive at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    /// In bytes. If none are allowed, any that come exceed a limit.
    pub(super) most: usize,
    /// It is a portion from a slow peer, which is charged for it.
    pub(super) is_portion: bool,
    /// A receive may come short though there is more.
    pub(super) hangup: bool,
}

/// What one receive brought.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) input: &'a mut [u8],
    /// How much of it is handled.
    pub(crate) at: usize,
    /// The stream has no more.
    pub(crate) is_drained: bool,
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Receives from a connection until the stream is drained or its share of the turn is used
    /// up, and sends the replies of its handler after each receive. `hangup`: a receive may come
    /// short though there is more.
    pub(crate) fn read(&mut self, conn: Key, hangup: bool, state: &mut S) {
        let mut lifted = std::mem::take(&mut self.buffer);
        let buffer = lifted.as_mut_slice();
        let room = buffer.len();
        let mut bytes = 0;
        let mut is_fast = self
            .core
            .sockets
            .begin_input(conn, WorkBudget::new(TURN_FRAMES_MAX, TURN_INFLATION_BYTES_MAX));
        let had_pending_state = !is_fast && self.core.sockets.registry.has_pending_state(conn);
        let mut next = if is_fast {
            Next::Receive { receives_little: false }
        } else {
            self.core.sockets.registry.begin_replies(conn);
            self.look_at_input(conn, hangup, room, state)
        };
        loop {
            let received = match next {
                Next::Receive { receives_little } => {
                    self.receive(conn, buffer, Receive { receives_little, hangup }, state)
                }
                Next::Bounded(bound) => self.receive_bounded(conn, buffer, bound, state),
                Next::Linger => self.linger(conn, buffer, hangup, state),
                Next::Opening => self.receive_opening(conn, buffer, hangup, state),
                Next::BehindKept => self.receive_behind_kept(conn, buffer, hangup, state),
                Next::Received(received) => received,
            };
            self.core.sender().flush_cork(buffer);
            let has_more = self.core.streams.has_buffered_input(conn.index());
            match received {
                Received::More(more) => bytes += more,
                Received::Drained if has_more => {}
                Received::Drained | Received::Ended => break,
            }
            if has_more || bytes >= room || self.core.sockets.registry.input.share().is_used_up() {
                self.core.sockets.registry.resume(conn);
                break;
            }
            is_fast = false;
            next = self.look_at_input(conn, hangup, room, state);
        }
        self.buffer = lifted;
        if is_fast && self.core.sockets.is_on_fast_path(conn) {
            self.core.sockets.end_input();
        } else {
            self.end_read(conn, had_pending_state);
        }
    }

    /// Updates what reading may have changed.
    #[inline(never)]
    pub(crate) fn end_read(&mut self, conn: Key, had_pending_state: bool) {
        self.end_limited_input(conn);
        self.core.sockets.registry.end_replies(conn);
        if self.core.sockets.end_input() {
            self.leave_paused(conn);
        }
        if had_pending_state || self.core.sockets.registry.has_pending_state(conn) {
            self.note_standing(conn);
            self.core.sockets.registry.count_inbound(conn);
            self.core.sockets.relief().relieve_input();
            self.core.sockets.relief().relieve_output(conn);
            self.core.sockets.registry.arm(conn);
        }
    }

    /// A connection that is paused may have failed, which reading would tell. Its end in order is
    /// no failure: what came before that is still to be read. A client that awaits a response has
    /// left with either.
    #[cold]
    fn leave_paused(&mut self, conn: Key) {
        if self.core.sockets.get(conn).is_some_and(Socket::awaits_response) {
            if self.core.sockets.get(conn).is_some_and(|socket| socket.hangup) {
                let error = ConnectError::Handshake(HandshakeError::ConnectionEnded);
                self.core.sockets.registry.end(conn, End::Connect(error));
                self.core.sockets.registry.kill(conn);
            }
            return;
        }
        if self.core.sockets.get(conn).is_some_and(|socket| socket.hangup && !socket.is_dead()) {
            if let Err(error) = self.core.streams.check(conn.index()) {
                self.core.sockets.registry.fail(conn, error);
            }
        }
    }

    /// Receives once, and handles what came.
    #[inline]
    fn receive(&mut self, conn: Key, buffer: &mut [u8], how: Receive, state: &mut S) -> Received {
        let Receive { receives_little, hangup } = how;
        let room = if receives_little { LITTLE_BYTES.min(buffer.len()) } else { buffer.len() };
        let end = match self.core.streams.recv(conn.index(), &mut buffer[..room]) {
            Ok(Some(len)) if len > 0 => len,
            other => return self.receive_end(conn, other),
        };
        let is_drained = end < room && !hangup;
        let input = &mut buffer[..end];
        let at = self.handle_messages(conn, input, 0, state);
        if at == end && is_drained && !receives_little {
            return Received::Drained;
        }
        self.handle_batch(conn, Batch { input, at, is_drained }, receives_little, state)
    }

    /// The receive brought nothing.
    #[inline(never)]
    pub(crate) fn receive_end(
        &mut self,
        conn: Key,
        outcome: io::Result<Option<usize>>,
    ) -> Received {
        match outcome {
            Ok(None) => Received::Drained,
            Ok(Some(_)) => self.end_of_stream(conn),
            Err(error) => self.stream_failed(conn, error),
        }
    }

    /// Handles the rest of what came, behind the first messages.
    #[inline(never)]
    pub(crate) fn handle_batch(
        &mut self,
        conn: Key,
        batch: Batch<'_>,
        receives_little: bool,
        state: &mut S,
    ) -> Received {
        let Batch { input, at, is_drained } = batch;
        let (start, frames) = (at, self.core.sockets.registry.input.share().frames());
        let at = self.handle_input(conn, input, start, state);
        let is_short = start > 0 || self.core.sockets.registry.input.share().frames() < frames;
        if receives_little && is_short {
            self.core.sockets.registry.receive_little(conn, false);
        }
        if at < input.len() {
            self.core.sockets.keep_leftover(conn, &input[at..]);
            self.core.sockets.registry.receive_little(conn, true);
        } else if is_drained && !self.core.sockets.registry.is_inflating(conn) {
            return Received::Drained;
        }
        Received::More(input.len())
    }

    /// How to receive next from a connection that is not on the fast path, into a receive buffer of
    /// `room` bytes. What was left over when it was paused, and the rest of a large message, is
    /// handled at once.
    #[inline(never)]
    fn look_at_input(&mut self, conn: Key, hangup: bool, room: usize, state: &mut S) -> Next {
        let socket = self.core.sockets.get(conn);
        // One that was redirected has no stream until it is connected again.
        let has_stream = |socket: &&Socket| !socket.is_dead() && !socket.rare.is_connecting();
        let Some(socket) = socket.filter(has_stream) else {
            return Next::Received(Received::Ended);
        };
        let receives_little = socket.receives_little;
        let is_large = socket.protocol.web_socket().is_some_and(WebSocket::offers_payload_buffer);
        let is_inflating = socket.protocol.is_inflating();
        let (is_ending, is_over) = (socket.is_ending(), !socket.halves.has_theirs());
        let is_limited = socket.has_limited_input();
        let mut permission = ReadPermission::All;
        let is_idle = socket.is_paused() || socket.protocol.awaits_response();
        if is_idle || socket.outbox.is_some() {
            permission = self.core.sockets.registry.read_permission(conn);
        }
        if permission == ReadPermission::Nothing {
            return Next::Received(Received::Ended);
        }
        if is_limited {
            if let Some(received) = self.obey_limits(conn) {
                return Next::Received(received);
            }
        }
        if is_inflating {
            self.handle_parts(conn, &mut [], state);
            return Next::Received(Received::More(0));
        }
        match self.core.sockets.raw_streams().next_input(conn, room) {
            None => {}
            Some(NextInput::Opening) => return Next::Opening,
            // Their input is bounded in another way.
            Some(NextInput::BehindKept) if is_limited => {}
            Some(NextInput::BehindKept) => return Next::BehindKept,
            Some(NextInput::KeptAgain) => {
                self.handle_data(conn, &[], 0, state);
                return Next::Received(Received::More(0));
            }
        }
        let leftover = self.core.sockets.get_mut(conn);
        if let Some(leftover) = leftover.and_then(|socket| socket.rare.take_leftover()) {
            return Next::Received(self.receive_leftover(conn, leftover, permission, state));
        }
        if is_ending {
            return if is_over { Next::Received(Received::Ended) } else { Next::Linger };
        }
        let bytes_allowed = if is_limited { self.core.limiter.bytes_allowed() } else { room };
        if permission == ReadPermission::Portion {
            let most = ReadDebt::PORTION_BYTES_MAX.min(bytes_allowed);
            return Next::Bounded(Bound { most, is_portion: true, hangup });
        }
        if is_large && bytes_allowed > 0 {
            return Next::Received(self.receive_direct(conn, hangup, room, state));
        }
        if is_limited {
            let most = if receives_little { LITTLE_BYTES } else { room }.min(bytes_allowed);
            return Next::Bounded(Bound { most, is_portion: false, hangup });
        }
        Next::Receive { receives_little }
    }

    /// Handles what was left over as if it came now.
    #[cold]
    fn receive_leftover(
        &mut self,
        conn: Key,
        mut leftover: Leftover,
        permission: ReadPermission,
        state: &mut S,
    ) -> Received {
        self.core.sockets.registry.set_halted(conn, false);
        let Range { start, mut end } = leftover.range;
        if permission == ReadPermission::Portion {
            end = end.min(start + ReadDebt::PORTION_BYTES_MAX);
        }
        let input = &mut leftover.storage[..end];
        let at = self.handle_input(conn, input, start, state);
        // Replies may lie in this storage.
        self.core.sender().flush_cork(&leftover.storage);
        leftover.range.start = at;
        if permission == ReadPermission::Portion {
            self.core.sockets.registry.charge(conn, at - start);
        }
        self.core.sockets.return_leftover(conn, leftover);
        Received::More(at - start)
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
        let bytes_allowed = self.core.limiter.bytes_allowed();
        let Some((socket, pool)) = self.core.sockets.with_buffers(conn) else {
            return Received::Ended;
        };
        let protocol = socket.protocol.web_socket_mut();
        let Some(spare) = protocol.and_then(|protocol| protocol.payload_buffer(pool)) else {
            return Received::Ended;
        };
        let room = spare.len().min(bytes_allowed);
        let spare = &mut spare[..room];
        let len = match self.core.streams.recv(conn.index(), spare) {
            Ok(None) => return Received::Drained,
            Ok(Some(0)) => return self.end_of_stream(conn),
            Ok(Some(len)) => len,
            Err(error) => return self.stream_failed(conn, error),
        };
        match self.core.sockets.handle_payload(conn, len) {
            Some(Ok(Some(event))) => {
                let fits = message_len(&event) <= buffer_len;
                self.core.sockets.registry.receive_little(conn, !fits);
                self.dispatch(conn, event, state);
            }
            Some(Ok(None)) | None => {}
            Some(Err(error)) => self.core.sockets.registry.end_by_peer_error(conn, error),
        }
        let is_drained = len < room && !hangup && !self.core.sockets.registry.is_inflating(conn);
        if is_drained { Received::Drained } else { Received::More(len) }
    }

    /// Feeds `input` from `at` on to the connection and its events to its handler, until it ends,
    /// the connection is paused, or its share of the turn is used up. Tells where that was.
    pub(crate) fn handle_input(
        &mut self,
        conn: Key,
        input: &mut [u8],
        mut at: usize,
        state: &mut S,
    ) -> usize {
        let end = input.len();
        while at < end
            && !self.core.sockets.registry.input.share().is_used_up()
            && !self.core.sockets.registry.input.is_halted()
        {
            if self.core.sockets.output.corked_bytes() > CORK_BYTES_MAX {
                self.core.sender().flush_cork(input);
            }
            // A message that is refused comes as an event.
            if !self.core.sockets.registry.input.refuses_messages() {
                let next = self.handle_messages(conn, input, at, state);
                if next > at {
                    at = next;
                    continue;
                }
            }
            let Some(used) = self.handle_parts(conn, &mut input[at..], state) else {
                return end;
            };
            at += used;
        }
        at
    }

    /// Hands over whatever comes of the front of `input`, and tells how much that was; `None` if
    /// nothing comes of any of it.
    fn handle_parts(&mut self, conn: Key, input: &mut [u8], state: &mut S) -> Option<usize> {
        match self.core.sockets.handle_input(conn, input)? {
            Ok(Handled { consumed: used, event }) => {
                let Some(event) = event else {
                    return self.core.sockets.registry.input.share().is_used_up().then_some(used);
                };
                let is_tunnel = matches!(event, Event::Tunnel);
                let is_request = matches!(event, Event::Request(_) | Event::Body { .. });
                #[cfg(feature = "tls")]
                let announced = matches!(event, Event::ProxyHeader(_));
                self.dispatch(conn, event, state);
                if is_request {
                    Limiting::new(self.core.erased()).charge_behind_head(conn, input.len() - used);
                }
                if is_tunnel && self.core.erased().enter_tunnel(conn, &input[used..]) {
                    self.core.sockets.registry.resume(conn);
                    return None;
                }
                // The proxy passes on what its client says, from the first byte of TLS on.
                #[cfg(feature = "tls")]
                if announced && self.core.erased().accept_tls(conn, &input[used..]) {
                    self.core.sockets.registry.resume(conn);
                    return None;
                }
                Some(used)
            }
            Err(error) => {
                self.core.sockets.registry.end_by_peer_error(conn, error);
                None
            }
        }
    }

    /// The peer will send nothing more.
    pub(crate) fn end_of_stream(&mut self, conn: Key) -> Received {
        let Some(socket) = self.core.sockets.get_mut(conn) else {
            return Received::Ended;
        };
        socket.halves.end_theirs();
        if let Some(unused) = socket.protocol.unused_input() {
            self.core.erased().end_of_raw_stream(conn, unused);
            return Received::Ended;
        }
        let is_client = socket.protocol.role() == Role::Client;
        match socket.protocol.state() {
            State::Connecting => {
                if is_client {
                    self.core.sockets.handshakes().end(conn);
                } else {
                    let error = ConnectError::Handshake(HandshakeError::ConnectionEnded);
                    // A peer may end its half after its last request. It still gets its responses.
                    self.core.sockets.end_after_queued(conn, End::Connect(error));
                }
            }
            State::Open | State::Closing => {
                // Pending broadcasts still go to it.
                deliver_last(self.core.erased(), conn, None);
                let error = io::ErrorKind::UnexpectedEof.into();
                self.core.sockets.end_after_queued(conn, End::Disconnect(Disconnect::Io(error)));
            }
            // What is queued, our close frame above all, may still reach the peer.
            State::Closed => self.core.sockets.registry.queue_reaping(conn),
        }
        Received::Ended
    }

    fn stream_failed(&mut self, conn: Key, error: io::Error) -> Received {
        self.core.sockets.registry.fail(conn, error);
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
