//! The input of raw streams: it is lent to the handler, and what that has not used is kept.

use std::io;

use crate::engine::broadcast::order::deliver_last;
use crate::engine::connection::Connection;
use crate::engine::core::Core;
use crate::engine::event_loop::EventLoop;
use crate::engine::ids::ConnectionId;
use crate::engine::turn::calls::HandlerCall;
use crate::engine::turn::read::{Batch, Received};
use crate::net::disconnect::{ConnectError, Disconnect};
use crate::net::rare_state::End;
use crate::net::sockets::{Kept, Lent, REUSE_BYTES_MIN};
use crate::net::streams::Transmit;
use crate::proto::stream::Data;
use crate::proto::{Message, State};
use crate::reactor::Reactor;
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Lends the handler of a raw stream what it has left unused, and `input` from `at` on. Returns
    /// the end of the input: all of it is used, kept or thrown away.
    #[inline(never)]
    pub(crate) fn handle_data(
        &mut self,
        conn: Key,
        input: &[u8],
        at: usize,
        state: &mut S,
    ) -> usize {
        let end = input.len();
        let Some(Kept { bytes, handler }) = self.core.sockets.raw_streams().take_kept(conn) else {
            return end;
        };
        let data = Data::new(bytes, &input[at..]);
        let Some((handler, calls, context)) = self.lend(handler) else {
            return end;
        };
        let Some(handler) = handler.stream() else {
            return end;
        };
        let bytes = data.as_slice();
        // Sending it back needs no copy, where it lies in the input.
        let is_lent = bytes.len() >= REUSE_BYTES_MIN && matches!(data, Data::Received(_));
        if is_lent {
            context.core.sockets.output.lend(Lent::received(Message::Binary(bytes), at));
        }
        let mut lent = Connection::new(context, ConnectionId(conn));
        let used =
            calls.call(HandlerCall::Data, &mut lent, |conn| handler.on_data(conn, bytes, state));
        if is_lent {
            self.core.sockets.output.take_back_data();
        }
        self.tally.messages_received += 1;
        self.core.sockets.registry.input.take_messages(1);
        match used {
            // Most handlers use most input whole.
            Ok(used) if used == bytes.len() && matches!(data, Data::Received(_)) => {}
            Ok(used) => self.core.sockets.raw_streams().keep(conn, data, used),
            Err(panic) => self.panicked(conn, panic),
        }
        end
    }

    /// Receives once behind a copy of what is kept, so that both lie in one piece.
    #[inline(never)]
    pub(crate) fn receive_behind_kept(
        &mut self,
        conn: Key,
        buffer: &mut [u8],
        hangup: bool,
        state: &mut S,
    ) -> Received {
        let Some(stream) = self.core.sockets.raw_streams().get_mut(conn) else {
            return Received::Ended;
        };
        let kept = stream.kept();
        stream.copy_kept(buffer);
        let room = buffer.len() - kept;
        let len = match self.core.streams.recv(conn.index(), &mut buffer[kept..]) {
            Ok(Some(len)) if len > 0 => len,
            other => return self.receive_end(conn, other),
        };
        self.core.sockets.raw_streams().forget_kept(conn);
        let input = &mut buffer[..kept + len];
        let is_drained = len < room && !hangup;
        self.handle_batch(conn, Batch { input, at: 0, is_drained }, false, state)
    }
}

impl Core<dyn Transmit + '_> {
    /// The peer of a raw stream will send nothing more, and has left so many bytes unused.
    pub(crate) fn end_of_raw_stream(&mut self, conn: Key, unused: usize) {
        let Some(socket) = self.sockets.get_mut(conn) else {
            return;
        };
        socket.lingering.set_done(true);
        match socket.protocol.state() {
            State::Connecting => {
                let error = io::ErrorKind::UnexpectedEof.into();
                self.sockets.end_unopened(conn, ConnectError::Io(error));
            }
            State::Open | State::Closing => {
                // Pending broadcasts still go to it.
                deliver_last(self, conn, None);
                let end = End::Disconnect(Disconnect::EndOfStream { unused });
                self.sockets.end_after_queued(conn, end);
            }
            State::Closed => self.sockets.registry.queue_reaping(conn),
        }
    }
}
