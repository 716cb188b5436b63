//! The order of broadcasts and direct sends: what is sent to one connection, and its close frame,
//! comes after everything that was broadcast to it before.
//!
//! Topics deliver at the end of a turn, connections take messages at once. Neither knows the other:
//! here, the pending broadcasts of a connection are delivered first.

use crate::engine::core::Core;
use crate::net::SendStatus;
use crate::net::disconnect::ConnectError;
use crate::net::sockets::Sender;
use crate::net::streams::Transmit;
use crate::proto::{CloseCode, OpCode, Outgoing, Payload, State};
use crate::slots::Key;
use crate::topics::{Output, Run, SendCapacity};

/// How many connections a turn delivers broadcasts to before the loop serves its sockets again.
pub(super) const BROADCAST_SLICE: usize = 256;

/// About how many bytes of latest messages a turn delivers at ticks, for the same reason.
const TICK_BYTES: usize = 1024 * 1024;

impl Core<dyn Transmit + '_> {
    /// Sends a message to a connection that is open.
    #[inline]
    pub(crate) fn send(&mut self, conn: Key, outgoing: Outgoing<'_>) -> SendStatus {
        if let Some(prepared) = outgoing.prepared() {
            return self.send_after_pending(conn, |sender| sender.send_prepared(conn, prepared));
        }
        let (message, may_compress) = (outgoing.message(), outgoing.may_compress());
        send_payload(self, conn, message.opcode(), message.as_bytes(), may_compress)
    }

    #[inline(never)]
    fn send_after_pending(
        &mut self,
        conn: Key,
        send: impl FnOnce(&mut Sender<'_>) -> SendStatus,
    ) -> SendStatus {
        if !self.sockets.is_open(conn) || !self.deliver_pending(conn) {
            return SendStatus::Gone;
        }
        send(&mut self.sender())
    }

    /// Begins the closing handshake, or ends a connection that is not open yet; `false` if it is
    /// ending already.
    pub(crate) fn close(&mut self, conn: Key, code: CloseCode, reason: &str) -> bool {
        let Some(socket) = self.sockets.get(conn).filter(|socket| !socket.is_dead()) else {
            return false;
        };
        match socket.protocol.state() {
            State::Open => {
                deliver_last(self, conn, None);
                self.topics.remove_connection(conn);
                self.tags.remove_connection(conn);
                self.limiter.rates.leave_tags(conn);
                // The peer's time to answer begins when the close frame is written, not when the
                // turn did.
                self.sockets.close(conn, code, reason, self.streams.now());
                true
            }
            State::Connecting => {
                self.sockets.end_unopened(conn, ConnectError::Cancelled);
                true
            }
            State::Closing => false,
            State::Closed => self.cancel_redirect(conn),
        }
    }

    /// Delivers the broadcasts that are pending for a connection, so that what follows comes after
    /// them; `false` if nothing may follow, because they were more than may wait.
    #[inline]
    pub(crate) fn deliver_pending(&mut self, conn: Key) -> bool {
        if !self.topics.has_pending(conn) {
            return true;
        }
        self.topics.deliver_pending(conn, &mut Sender::new(&mut self.sockets, &mut self.streams));
        self.sockets.is_open(conn)
    }

    /// Delivers the broadcasts that are pending for a connection, except for those that its
    /// subscriptions put off while the peer does not keep up.
    pub(crate) fn catch_up(&mut self, conn: Key) {
        // Topics know connections by their slots, which a later connection may have.
        if self.sockets.get(conn).is_some() {
            self.topics.catch_up(conn, &mut Sender::new(&mut self.sockets, &mut self.streams));
        }
    }
}

/// Sends the message with this payload. It is passed in parts, which fit in registers: written to
/// memory part by part and then read as a whole, it would keep the processor waiting.
#[inline]
fn send_payload(
    core: &mut Core<dyn Transmit + '_>,
    conn: Key,
    opcode: OpCode,
    bytes: &[u8],
    may_compress: bool,
) -> SendStatus {
    let payload = Payload { opcode, compressed: false, bytes };
    if !core.topics.has_pending(conn) && core.sockets.try_cork(conn, payload) {
        return SendStatus::Sent;
    }
    core.send_after_pending(conn, move |sender| sender.send(conn, payload, may_compress))
}

/// Delivers everything that topics keep for a connection, or that `only` keeps and what order
/// requires, because its subscriptions end or change; `false` if that was more than may wait.
pub(crate) fn deliver_last(
    core: &mut Core<dyn Transmit + '_>,
    conn: Key,
    only: Option<Key>,
) -> bool {
    if !core.deliver_pending(conn) {
        return false;
    }
    let mut sender = Sender::new(&mut core.sockets, &mut core.streams);
    core.topics.conflation().flush(conn, only, &mut sender);
    core.sockets.is_open(conn)
}

/// Delivers a share of the latest messages of keys that are pending for a connection, as far as its
/// output has room. Returns whether there are more, and room for them.
///
/// The share is sent before the next is taken, so that little waits in the outbox: what waits there
/// does not change any more. In one turn each connection gets one share, because many may have
/// drained together.
pub(crate) fn catch_up_latest(core: &mut Core<dyn Transmit + '_>, conn: Key) -> bool {
    // Topics know connections by their slots, which a later connection may have.
    if core.sockets.get(conn).is_none() {
        return false;
    }
    let mut sender = Sender::new(&mut core.sockets, &mut core.streams);
    let caught_up = core.topics.conflation().catch_up(conn, &mut sender);
    if caught_up.bytes > 0 {
        sender.flush(conn);
    }
    caught_up.has_more && !sender.send_capacity(conn).is_waiting()
}

impl Output for Sender<'_> {
    fn capacity(&self, conn: Key) -> SendCapacity {
        self.send_capacity(conn)
    }

    fn append(&mut self, conn: Key, run: &Run<'_>) -> bool {
        self.push_run(conn, run) != SendStatus::Dropped
    }
}

/// Serves a slice of the subscribers that get the latest messages at intervals.
#[inline(never)]
pub(crate) fn serve_ticks(core: &mut Core<dyn Transmit + '_>) {
    let now = core.now();
    let mut sender = Sender::new(&mut core.sockets, &mut core.streams);
    core.topics.conflation().serve_ticks(now, BROADCAST_SLICE, TICK_BYTES, &mut sender);
}
