//! Input: from the stream to the protocol, and whether to read on.

use std::sync::Arc;

use bytes::Bytes;

use super::{Current, Lent, REUSE, Sockets};
use crate::net::cork::Reuse;
use crate::net::hearing::{Answers, Heard, Hearing};
use crate::net::places::Standing;
use crate::net::socket::Socket;
use crate::proto::handshake::{Acceptance, Refusal, UpgradeRequest};
use crate::proto::http::HttpResponse;
use crate::proto::{
    Buffer, BufferPool, Event, Handled, Limits, PeerError, ProtocolError, WebSocket, WholeMessages,
    WorkBudget, Workspace,
};
use crate::slots::Key;

/// Answers to one receive are sent in one call up to this many bytes, and then as they come.
pub(crate) const CORK_MOST: usize = 256 * 1024;

impl Sockets {
    /// Corks the output of `conn` until [`Sockets::uncork`], of whose input no more than `share` is
    /// handled meanwhile. Whether nothing is known of the connection that says how to receive from
    /// it.
    #[inline]
    pub(crate) fn cork(&mut self, conn: Key, share: WorkBudget) -> bool {
        debug_assert!(self.cork.is_empty());
        self.current = Some(Current { conn, lent: None, reuse: None, halted: false });
        self.share = share;
        self.slots.learn(conn).is_some_and(|socket| !socket.receives_little)
    }

    /// Feeds input that does not begin with a whole message to the connection's protocol; `None` if
    /// there is no such connection.
    pub(crate) fn receive<'a>(
        &mut self,
        conn: Key,
        input: &'a mut [u8],
    ) -> Option<Result<Handled<'a>, PeerError>> {
        let mut share = self.share;
        let received = self.answer(
            conn,
            |protocol, workspace| protocol.handle_input_within(input, workspace, &mut share),
            |received| matches!(received, Ok(Handled { event: Some(Event::Ping(_)), .. })),
        );
        self.share = share;
        received
    }

    /// What is left of the share of the connection at hand.
    #[inline]
    pub(crate) const fn share(&self) -> WorkBudget {
        self.share
    }

    /// So many messages of the connection at hand were handed over.
    #[inline]
    pub(crate) const fn take_messages(&mut self, count: usize) {
        self.share.take_frames(count);
    }

    /// What finds whole messages in the connection's input, as far as they can be expected there,
    /// and which handler they are for.
    #[inline]
    pub(crate) fn whole_messages(&mut self, conn: Key) -> Option<(WholeMessages, usize)> {
        self.slots.whole_messages(conn, self.now)
    }

    /// Whether the next message of the connection at hand is to be handed over: it is open, not
    /// paused, and not too much is corked.
    #[inline]
    pub(crate) fn is_heard(&mut self, conn: Key) -> bool {
        self.is_unhindered(conn) || self.look_whether_heard(conn)
    }

    /// Whether the connection at hand is known to be as it is between two messages.
    #[inline]
    pub(crate) fn is_unhindered(&self, conn: Key) -> bool {
        self.slots.unhindered(conn).is_some()
    }

    #[inline(never)]
    fn look_whether_heard(&mut self, conn: Key) -> bool {
        if self.is_halted() || self.cork.len() > CORK_MOST || self.has_answered_much(conn) {
            return false;
        }
        self.slots.learn(conn);
        self.slots.get(conn).is_some_and(|socket| socket.protocol.is_open())
    }

    /// Ends the protocol for what the peer did, and tells the peer.
    #[cold]
    pub(crate) fn fail_protocol(&mut self, conn: Key, error: ProtocolError) {
        let error = self.answer(
            conn,
            |protocol, workspace| protocol.close_with_error(error, workspace),
            |_| false,
        );
        if let Some(error) = error {
            self.end_by_peer_error(conn, error);
        }
    }

    /// Tells the protocol that `count` bytes were received straight into its message.
    pub(crate) fn received(
        &mut self,
        conn: Key,
        count: usize,
    ) -> Option<Result<Option<Event<'static>>, PeerError>> {
        let mut share = self.share;
        let received = self.answer(
            conn,
            |protocol, workspace| protocol.handle_payload_within(count, workspace, &mut share),
            |_| false,
        );
        self.share = share;
        received
    }

    /// Lends the current connection's handler a message, so that sending it back needs no copy.
    pub(crate) fn lend(&mut self, lent: Lent) {
        if let Some(current) = &mut self.current {
            current.lent = Some(lent);
        }
    }

    /// Takes back a message that lies in the receive buffer, if one is lent.
    pub(crate) fn take_back_received(&mut self, buffer: &mut [u8]) {
        if let Some(reuse) = self.take_back() {
            reuse.write_header(buffer);
        }
    }

    /// Takes back a message; the header is still to be written.
    fn take_back(&mut self) -> Option<Reuse> {
        let current = self.current.as_mut()?;
        current.lent = None;
        current.reuse.take()
    }

    /// Takes back a message with its own storage.
    pub(crate) fn take_back_assembled(&mut self, buffer: Buffer) {
        match self.take_back() {
            Some(reuse) => self.cork.fill_assembled(&reuse, buffer.into_storage().0),
            None => self.pool.buffers.recycle(buffer),
        }
    }

    /// The connection, with the storage that it may take for a message.
    pub(crate) fn with_buffers(&mut self, conn: Key) -> Option<(&mut Socket, &mut BufferPool)> {
        Some((self.slots.get_mut(conn)?, &mut self.pool.buffers))
    }

    /// Accepts a client's request; `limits` hold from then on.
    pub(crate) fn accept(
        &mut self,
        conn: Key,
        request: &UpgradeRequest<'_>,
        acceptance: &Acceptance,
        limits: Arc<Limits>,
    ) {
        let accept = |protocol: &mut WebSocket, work: &mut Workspace<'_>| {
            protocol.set_limits(limits);
            protocol.accept(request, acceptance, work);
        };
        self.answer(conn, accept, |()| false);
        self.mark_plain(conn);
    }

    /// All that waits so far is answers to requests, and no frames.
    fn mark_plain(&mut self, conn: Key) {
        if self.is_corked(conn) {
            self.cork.mark_plain();
        } else if let Some(outbox) = self.slots.get_mut(conn).and_then(|s| s.outbox.as_mut()) {
            outbox.set_plain(outbox.bytes());
        }
    }

    /// Answers a request that opens no connection; `is_last`: the connection ends then. Reading is
    /// left off while much of what was answered before waits.
    pub(crate) fn respond(
        &mut self,
        conn: Key,
        response: &HttpResponse,
        is_head: bool,
        is_last: bool,
    ) {
        let respond = |protocol: &mut WebSocket, work: &mut Workspace<'_>| {
            response.write_head(is_last, work.out);
            protocol.end_request(is_last, work);
        };
        self.answer(conn, respond, |()| false);
        if !is_head && !response.sent_body().is_empty() {
            self.push_body(conn, response.sent_body());
        }
        self.mark_plain(conn);
        let soft = self.limits.soft;
        let Some(socket) = self.slots.get_mut(conn) else {
            return;
        };
        socket.served = true;
        // Whatever it asks for next, it has all of its time for.
        let now = self.now;
        self.places.change(conn, &mut socket.place, Standing::Answering, now);
        // What is corked may have to wait, too.
        if socket.queued() + self.cork.len() > soft {
            self.set_halted(conn, true);
        }
    }

    /// Appends the body of a response. A long one is shared, not copied.
    fn push_body(&mut self, conn: Key, body: Bytes) {
        let (corked, is_short) = (self.is_corked(conn), body.len() < REUSE);
        if corked && is_short {
            self.cork.bytes_mut().extend_from_slice(&body);
        } else if corked {
            self.cork.push_shared(body);
        } else if let Some(outbox) = self.slots.get_mut(conn).and_then(|s| s.outbox.as_mut()) {
            // Behind its head.
            outbox.push_shared(&body, 0..body.len(), &mut self.pool);
        }
    }

    /// Refuses a client's request.
    pub(crate) fn refuse(&mut self, conn: Key, refusal: &Refusal) {
        self.answer(conn, |protocol, work| protocol.refuse(refusal, work), |()| false);
    }

    /// How much to receive from the connection at hand: nothing while it is paused, and little
    /// while its peer is behind.
    pub(crate) fn hold_back(&mut self, conn: Key) -> Heard {
        self.charge(conn, 0);
        let limits = self.limits;
        let (Some(socket), Some(current)) = (self.slots.get_mut(conn), &mut self.current) else {
            return Heard::Nothing;
        };
        if socket.paused {
            current.halted = true;
            return Heard::Nothing;
        }
        let heard = socket.heard(&limits);
        socket.unread = heard == Heard::Nothing;
        self.answers.set_portioned(if heard == Heard::Portion { conn } else { Key::NONE });
        heard
    }

    /// Whatever is queued for the connection at hand from now on answers its input.
    pub(crate) fn begin_answers(&mut self, conn: Key) {
        let queued = self.queued_so_far(conn);
        self.answers.begin(queued);
    }

    /// Charges the connection at hand for what it was answered, and for so much input that was
    /// received while it is behind.
    pub(crate) fn charge(&mut self, conn: Key, received: usize) {
        let answered = self.answers.count(self.queued_so_far(conn));
        if let Some(outbox) = self.slots.get_mut(conn).and_then(|s| s.outbox.as_mut()) {
            outbox.hearing.charge(received, answered);
        }
        self.begin_answers(conn);
    }

    /// Charges the connection at hand, whose input is handled for now.
    pub(crate) fn end_answers(&mut self, conn: Key) {
        self.charge(conn, 0);
        self.answers = Answers::NONE;
    }

    fn queued_so_far(&self, conn: Key) -> usize {
        let outbox = self.slots.get(conn).and_then(|socket| socket.outbox.as_ref());
        outbox.map_or(0, |outbox| outbox.hearing.queued())
    }

    /// Whether so much was answered to a portion that the rest of it waits, as it does then.
    fn has_answered_much(&mut self, conn: Key) -> bool {
        let is_much = self.answers.is_portioned(conn)
            && self.answers.count(self.queued_so_far(conn)) > Hearing::PORTION;
        if is_much {
            self.set_halted(conn, true);
        }
        is_much
    }

    /// Reads from the connection in this or the next turn, whatever readiness says.
    pub(crate) fn resume(&mut self, conn: Key) {
        if let Some(socket) = self.slots.get_mut(conn).filter(|socket| !socket.resumed) {
            socket.resumed = true;
            self.resumed.push_back(conn);
        }
    }

    pub(super) fn resume_if_unread(&mut self, conn: Key) {
        let limits = self.limits;
        let Some(socket) = self.slots.get_mut(conn) else {
            return;
        };
        if socket.unread && socket.heard(&limits) != Heard::Nothing {
            socket.unread = false;
            socket.protocol.restart_deadlines(self.now);
            self.resume(conn);
            self.arm(conn);
        }
    }

    pub(crate) fn next_resumed(&mut self) -> Option<Key> {
        let conn = self.resumed.pop_front()?;
        if let Some(socket) = self.slots.get_mut(conn) {
            socket.resumed = false;
        }
        Some(conn)
    }

    pub(crate) fn resumed_len(&self) -> usize {
        self.resumed.len()
    }
}
