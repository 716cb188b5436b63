//! Handling of input: from what was received to the protocol, and whether to go on.

use super::Sockets;
use super::table::Whole;
use crate::proto::{Event, Handled, PeerError, ProtocolError, WorkBudget};
use crate::slots::Key;

/// Replies to one receive are sent in one call up to this many bytes, and then as they come.
pub(crate) const CORK_BYTES_MAX: usize = 256 * 1024;

impl Sockets {
    /// Begins with the input of a connection, of which `share` may be handled: its output is corked
    /// until [`end_input`](Self::end_input). Whether it is on the fast path, and receives as much
    /// as there is.
    #[inline]
    pub(crate) fn begin_input(&mut self, conn: Key, share: WorkBudget) -> bool {
        debug_assert!(self.output.cork.is_unused(), "what was corked before was flushed");
        self.registry.input.begin(conn, share);
        let socket = self.registry.table.set_fast_path(conn);
        socket.is_some_and(|socket| !socket.receives_little && !socket.is_rate_limited())
    }

    /// Ends with the input of the connection at hand; whether it was halted.
    pub(crate) fn end_input(&mut self) -> bool {
        self.registry.table.clear_fast_path();
        debug_assert!(self.output.cork.is_unused(), "what is corked is flushed before the end");
        self.registry.input.end()
    }

    /// What finds whole messages in the connection's input, as far as they can be expected there.
    #[inline]
    pub(crate) fn whole_messages(&mut self, conn: Key) -> Option<Whole> {
        self.registry.table.whole_messages(conn, self.registry.now)
    }

    /// Whether the connection at hand is on the fast path.
    #[inline]
    pub(crate) fn is_on_fast_path(&self, conn: Key) -> bool {
        self.registry.table.fast_path(conn).is_some()
    }

    /// Whether the next message of the connection at hand can be dispatched: it is open, not
    /// paused, and not too much is corked.
    #[inline]
    pub(crate) fn can_dispatch(&mut self, conn: Key) -> bool {
        self.is_on_fast_path(conn) || self.can_dispatch_slowly(conn)
    }

    #[inline(never)]
    fn can_dispatch_slowly(&mut self, conn: Key) -> bool {
        if self.registry.input.is_halted()
            || self.output.corked_bytes() > CORK_BYTES_MAX
            || self.registry.halt_after_long_reply(conn)
        {
            return false;
        }
        self.registry.table.set_fast_path(conn);
        self.get(conn).is_some_and(|socket| socket.protocol.is_open())
    }

    /// Feeds input that does not begin with a whole message to the connection's protocol; `None` if
    /// there is no such connection.
    pub(crate) fn handle_input<'a>(
        &mut self,
        conn: Key,
        input: &'a mut [u8],
    ) -> Option<Result<Handled<'a>, PeerError>> {
        let len = input.len();
        let Self { registry, output } = self;
        let mut share = registry.input.share();
        let handled = output.write_or_pong(
            registry,
            conn,
            |protocol, work| {
                Some(protocol.web_socket_mut()?.handle_input_within(input, work, &mut share))
            },
            |handled| matches!(handled, Some(Ok(Handled { event: Some(Event::Ping(_)), .. }))),
        );
        registry.input.set_share(share);
        if handled.as_ref().is_some_and(Option::is_none) {
            self.discard(conn, len);
        }
        handled.flatten()
    }

    /// Handles `count` bytes that were received straight into the protocol's message.
    pub(crate) fn handle_payload(
        &mut self,
        conn: Key,
        count: usize,
    ) -> Option<Result<Option<Event<'static>>, PeerError>> {
        let Self { registry, output } = self;
        let mut share = registry.input.share();
        let handled = output.write_frames(registry, conn, |socket, work| {
            socket.handle_payload_within(count, work, &mut share)
        });
        registry.input.set_share(share);
        handled
    }

    /// Ends the protocol for an error of the peer, and sends it the close code.
    #[cold]
    pub(crate) fn fail_protocol(&mut self, conn: Key, error: ProtocolError) {
        let Self { registry, output } = self;
        let close = output
            .write_frames(registry, conn, |socket, work| socket.close_with_error(error, work));
        if let Some(error) = close {
            registry.end_by_peer_error(conn, error);
        }
    }
}
