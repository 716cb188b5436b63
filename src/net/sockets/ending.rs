//! Ends: closing, failures, peers too slow or silent.

use std::io;
use std::time::Duration;

use super::{SendStatus, Sockets};
use crate::net::aside::End;
use crate::net::disconnect::{ConnectError, Disconnect};
use crate::net::halves::Halves;
use crate::net::places::Standing;
use crate::net::socket::Socket;
use crate::net::streams::Transmit;
use crate::proto::{CloseCode, PeerError, TimedOut, WebSocket, Workspace};
use crate::slots::Key;
use crate::time::Time;
use crate::timers::{DeadlineWheel, Tick};

/// How long a peer is spared that is late and not read to the end, and how often in a row: in all
/// long enough for what a socket holds, and not for ever if it never stops sending.
const SPARED: Duration = Duration::from_millis(100);
const MOST_SPARED: u8 = 50;

impl Sockets {
    /// Begins the closing handshake of an open connection, for which the peer has time from `now`
    /// on.
    pub(crate) fn close(&mut self, conn: Key, code: CloseCode, reason: &str, now: Time) {
        let close = |protocol: &mut WebSocket, work: &mut Workspace<'_>| {
            work.now = now;
            protocol.close(code, reason, work);
        };
        self.answer(conn, close, |()| false);
        self.note_end(conn, Disconnect::ClosedByApplication { code });
        // The peer's close frame has to be read.
        self.unpause(conn);
        self.count_inbound(conn);
        self.arm(conn);
    }

    /// Ends a connection that is not open: behind what a client was answered, and otherwise at
    /// once. Where nothing of that waits here, its end is not waited for.
    pub(crate) fn end_unopened(&mut self, conn: Key, error: ConnectError) {
        self.answer(conn, WebSocket::terminate, |()| false);
        self.end(conn, End::Connect(error));
        match self.slots.get_mut(conn) {
            Some(socket) if socket.served => socket.is_done = socket.outbox.is_none(),
            _ => self.kill(conn),
        }
    }

    /// The peer has ended its half of the stream, and all that it said was heard: what is queued
    /// for it still leaves, and then the stream ends.
    pub(crate) fn end_heard(&mut self, conn: Key, end: End) {
        self.answer(conn, WebSocket::terminate, |()| false);
        self.end(conn, end);
    }

    /// What the peer did wrong has been answered; ends the connection.
    pub(crate) fn end_by_peer_error(&mut self, conn: Key, error: PeerError) {
        self.end(
            conn,
            match error {
                PeerError::Handshake(error) => End::Connect(ConnectError::Handshake(error)),
                PeerError::Protocol(error) => End::Disconnect(Disconnect::Protocol(error)),
            },
        );
    }

    /// The stream failed.
    pub(crate) fn fail(&mut self, conn: Key, error: io::Error) {
        let open = self.slots.get(conn).is_some_and(|socket| socket.opened);
        self.end(
            conn,
            if open {
                End::Disconnect(Disconnect::Io(error))
            } else {
                End::Connect(ConnectError::Io(error))
            },
        );
        self.kill(conn);
    }

    /// Notes why the connection is about to end, without ending it yet. The first reason stands.
    pub(crate) fn note_end(&mut self, conn: Key, disconnect: Disconnect) {
        if let Some(socket) = self.slots.get_mut(conn) {
            socket.note_end(End::Disconnect(disconnect));
        }
    }

    /// Ends the connection: its handler is told, and its stream is closed after what is queued.
    pub(crate) fn end(&mut self, conn: Key, end: End) {
        if let Some(socket) = self.slots.get_mut(conn) {
            socket.note_end(end);
            self.ended.push(conn);
            self.note_standing(conn, true);
            self.count_inbound(conn);
            self.arm(conn);
        }
    }

    /// The stream is of no more use.
    pub(crate) fn kill(&mut self, conn: Key) {
        if let Some(socket) = self.slots.get_mut(conn) {
            socket.halves = Halves::Dead;
            self.ended.push(conn);
            self.stand(conn, Standing::Gone);
        }
    }

    /// Looks at a connection again that has ended before.
    pub(crate) fn revisit(&mut self, conn: Key) {
        self.ended.push(conn);
    }

    pub(crate) fn take_ended(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.ended)
    }

    /// Gives the list back, to be filled again.
    pub(crate) fn return_ended(&mut self, mut list: Vec<Key>) {
        if self.ended.is_empty() {
            list.clear();
            self.ended = list;
        }
    }

    /// The peer does not read: what is queued is forgotten, and it is told with 1013.
    pub(super) fn overflow(&mut self, conn: Key, reason: Disconnect) -> SendStatus {
        let receiver = self.receiver(conn);
        if let Some(socket) = self.slots.get_mut(conn) {
            let is_plain = socket.outbox.as_ref().is_some_and(|outbox| outbox.is_plain());
            if let Some(outbox) = &mut socket.outbox {
                outbox.truncate(receiver, &mut self.pool);
            }
            if let Some(empty) = is_plain.then(|| socket.take_outbox()).flatten() {
                self.pool.give(empty);
            }
            let close = |protocol: &mut WebSocket, work: &mut Workspace<'_>| match is_plain {
                // A frame would lie in the midst of an answer.
                true => protocol.terminate(work),
                false => protocol.close(CloseCode::TRY_AGAIN_LATER, "", work),
            };
            self.answer(conn, close, |()| false);
            self.rank_output(conn);
            self.unpause(conn);
            self.end(conn, End::Disconnect(reason));
        }
        SendStatus::Dropped
    }

    /// Sees to it that the connection comes up when its next deadline does.
    pub(crate) fn arm(&mut self, conn: Key) {
        let limits = self.limits;
        let Some(socket) = self.slots.get_mut(conn) else {
            return;
        };
        if let Some(deadline) = socket.deadline(&limits) {
            socket.armed = self.wheel.arm(conn, deadline, socket.armed);
        }
    }

    /// Whether the connection's deadline may be another than its next sign of life, for which it
    /// has an entry since it was opened.
    #[inline]
    pub(crate) fn is_pressed(&self, conn: Key) -> bool {
        self.slots.get(conn).is_some_and(Socket::is_pressed)
    }

    pub(crate) fn next_deadline(&mut self) -> Option<Time> {
        self.wheel.next()
    }

    /// Whether deadlines may have come by that moment.
    #[inline]
    pub(crate) fn is_due(&self, by: Time) -> bool {
        self.wheel.is_due(by)
    }

    /// Acts on the deadlines that have come by a moment before which nothing is unread.
    #[inline(never)]
    pub(crate) fn expire(&mut self, by: Time, io: &mut dyn Transmit) {
        for _ in 0..DeadlineWheel::budget() {
            let Some((conn, tick)) = self.wheel.expire(by) else {
                return;
            };
            let Some(socket) = self.slots.get_mut(conn).filter(|socket| socket.armed == tick)
            else {
                continue;
            };
            socket.armed = Tick::NEVER;
            if self.spares(conn, by) {
                self.arm_again(conn, by);
            } else {
                self.act_on_deadline(conn, by, io);
                self.arm(conn);
            }
        }
    }

    /// Whether a peer that is late is judged later: it has sent more than its share of the turns
    /// since, behind which there may be what it sent in time.
    fn spares(&mut self, conn: Key, by: Time) -> bool {
        let Some(socket) = self.slots.get_mut(conn) else {
            return false;
        };
        let times = socket.spared();
        let is_spared = socket.resumed && times < MOST_SPARED && socket.is_late(by);
        socket.set_spared(if is_spared { times + 1 } else { 0 });
        is_spared
    }

    /// Sees to it that the connection comes up again shortly.
    fn arm_again(&mut self, conn: Key, by: Time) {
        if let Some(socket) = self.slots.get_mut(conn) {
            socket.armed = self.wheel.arm(conn, by + SPARED, socket.armed);
        }
    }

    fn act_on_deadline(&mut self, conn: Key, by: Time, io: &mut dyn Transmit) {
        let limits = self.limits;
        let Some(socket) = self.slots.get(conn).filter(|socket| !socket.is_dead()) else {
            return;
        };
        if socket.stall_deadline(&limits).is_some_and(|deadline| deadline <= by) {
            self.overflow(conn, Disconnect::Overflow);
            return;
        }
        if !socket.is_late(by) {
            return;
        }
        let handled = self.answer(conn, WebSocket::handle_timeout, Result::is_ok);
        let Some(Err(timed_out)) = handled else {
            return;
        };
        let Some(socket) = self.slots.get(conn) else {
            return;
        };
        let (opened, connecting) = (socket.opened, socket.is_connector());
        self.end(
            conn,
            if opened {
                End::Disconnect(Disconnect::TimedOut(timed_out))
            } else {
                End::Connect(ConnectError::TimedOut)
            },
        );
        self.flush(conn, io);
        if connecting || matches!(timed_out, TimedOut::Close | TimedOut::Pong) {
            self.kill(conn);
        }
    }
}
