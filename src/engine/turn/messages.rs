//! The short way of messages that lie whole in the receive buffer, as nearly all do.

use crate::engine::connection::Connection;
use crate::engine::event_loop::EventLoop;
use crate::engine::handler::WebSocketHandler;
use crate::engine::ids::ConnectionId;
use crate::engine::turn::calls::{Calls, HandlerCall, guard};
use crate::net::sockets::{Lent, REUSE_BYTES_MIN, Whole};
use crate::proto::{ProtocolError, WholeMessages};
use crate::reactor::Reactor;
use crate::slots::Key;

/// Messages that lie in a row at the front of the input.
struct Row<'a, S> {
    conn: Key,
    messages: WholeMessages,
    input: &'a mut [u8],
    /// Where the next message begins.
    at: usize,
    /// How many were handed over.
    count: usize,
    /// How many may be.
    most: usize,
    handler: &'a mut dyn WebSocketHandler<S>,
    calls: &'a mut Calls,
    lent: Connection<'a>,
    state: &'a mut S,
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Hands over the messages that lie whole in `input` from `at` on, until something else lies
    /// there, the connection is paused or closed, its share is used up, or much is to be sent.
    /// Tells where that was.
    pub(crate) fn handle_messages(
        &mut self,
        conn: Key,
        input: &mut [u8],
        at: usize,
        state: &mut S,
    ) -> usize {
        let Some(Whole { messages, handler }) = self.core.sockets.whole_messages(conn) else {
            let socket = self.core.sockets.get(conn);
            let is_stream = socket.is_some_and(|socket| socket.protocol.is_stream());
            return if is_stream { self.handle_data(conn, input, at, state) } else { at };
        };
        let most = self.core.sockets.registry.input.messages_left();
        let Some((handler, calls, context)) = self.lend(handler) else {
            return at;
        };
        let Some(handler) = handler.web_socket() else {
            return at;
        };
        let lent = Connection::new(context, ConnectionId(conn));
        let mut row =
            Row { conn, messages, input, at, count: 0, most, handler, calls, lent, state };
        // One guard for all of them: setting one up costs about as much as a short message.
        let handled = guard(row.calls.on_panic, || row.hand_over());
        let handled = handled.inspect_err(|_| row.leave());
        let (at, count, end) = (row.at, row.count, row.input.len());
        self.tally.messages_received += count as u64;
        self.core.sockets.registry.input.take_messages(count);
        match handled {
            Ok(Ok(())) => at,
            Ok(Err(error)) => {
                self.core.sockets.fail_protocol(conn, error);
                end
            }
            Err(panic) => {
                self.row_panicked(conn, panic);
                at
            }
        }
    }

    #[cold]
    fn row_panicked(&mut self, conn: Key, panic: String) {
        self.calls.note_panic(HandlerCall::Message, Some(ConnectionId(conn)), &panic);
        self.panicked(conn, panic);
    }
}

impl<S> Row<'_, S> {
    fn hand_over(&mut self) -> Result<(), ProtocolError> {
        while self.count < self.most && self.lent.context.core.sockets.can_dispatch(self.conn) {
            let rest = &mut self.input[self.at..];
            let Some(whole) = self.messages.find(rest) else {
                break;
            };
            let message = whole.read(rest)?;
            let is_lent = message.len() >= REUSE_BYTES_MIN;
            if is_lent {
                self.lent
                    .context
                    .core
                    .sockets
                    .output
                    .lend(Lent::received(message, self.at + whole.start()));
            }
            self.at += whole.end();
            self.count += 1;
            self.calls.begin(&mut self.lent);
            self.handler.on_message(&mut self.lent, message, self.state);
            self.calls.end(HandlerCall::Message, &mut self.lent);
            if is_lent {
                self.lent.context.core.sockets.output.take_back_received(self.input);
            }
        }
        Ok(())
    }

    /// The handler panicked: its call has ended, and it is lent nothing any more.
    #[cold]
    fn leave(&mut self) {
        self.calls.end(HandlerCall::Message, &mut self.lent);
        self.lent.context.core.sockets.output.take_back_received(self.input);
    }
}
