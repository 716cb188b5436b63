//! Raw streams: their input, and what is kept of it.

use super::Sockets;
use super::output::Output;
use super::registry::Registry;
use super::table::Kept;
use crate::net::disconnect::Disconnect;
use crate::net::protocol::Protocol;
use crate::net::rare_state::End;
use crate::proto::State;
use crate::proto::stream::{Data, InputError, RawStream};
use crate::slots::Key;

/// Up to this length, what is kept is copied in front of what is received: usually it is a part of
/// a line. What is longer stays where it is, so that a long unit in many pieces is copied once.
const COPIED_BYTES_MAX: usize = 4 * 1024;

/// What is special about the next input of a raw stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextInput {
    /// The stream is not open.
    Opening,
    /// What is kept is lent again, though no more has come.
    KeptAgain,
    /// It is received behind a copy of what is kept.
    BehindKept,
}

/// What is done with raw streams alone. For other connections nothing is.
pub(crate) struct RawStreams<'a> {
    registry: &'a mut Registry,
    output: &'a mut Output,
}

impl Sockets {
    #[inline]
    pub(crate) fn raw_streams(&mut self) -> RawStreams<'_> {
        RawStreams { registry: &mut self.registry, output: &mut self.output }
    }
}

impl<'a> RawStreams<'a> {
    pub(crate) fn get_mut(self, conn: Key) -> Option<&'a mut RawStream> {
        self.registry.table.get_mut(conn)?.protocol.stream_mut()
    }

    /// What is special about the next input, for which there is a buffer of `room` bytes.
    pub(crate) fn next_input(self, conn: Key, room: usize) -> Option<NextInput> {
        let socket = self.registry.table.get(conn)?;
        let stream = socket.protocol.stream()?;
        if stream.state() == State::Connecting {
            return Some(NextInput::Opening);
        }
        if stream.lends_again() {
            return Some(NextInput::KeptAgain);
        }
        let is_short = 0 < stream.kept() && stream.kept() <= COPIED_BYTES_MAX.min(room / 2);
        let is_next = socket.outbox.is_none() && socket.rare.leftover().is_none();
        (is_short && is_next).then_some(NextInput::BehindKept)
    }

    /// Opens the stream in this turn or the next, as soon as it is ready.
    pub(crate) fn begin(self, conn: Key) {
        self.registry.resume(conn);
    }

    /// The stream is connected, and encrypted if it is to be. `handler` is the index of its
    /// handler, if that was not known.
    pub(crate) fn open(self, conn: Key, handler: Option<usize>) {
        let now = self.registry.now;
        let Some(socket) = self.registry.table.get_mut(conn) else {
            return;
        };
        if let Some(handler) = handler {
            socket.set_handler(handler);
        }
        if let Some(stream) = socket.protocol.stream_mut() {
            stream.open(now);
        }
    }

    /// What an open stream has kept of its input, when more has come.
    #[inline]
    pub(crate) fn take_kept(self, conn: Key) -> Option<Kept> {
        self.registry.table.take_kept(conn, self.registry.now)
    }

    /// Gives back the storage of what was kept, after that was copied.
    pub(crate) fn forget_kept(self, conn: Key) {
        if let Some(kept) = self.registry.table.take_kept(conn, self.registry.now) {
            self.output.storage.buffers.give(kept.bytes);
        }
    }

    /// Keeps what the handler has not used of its input. The stream is closed if that is more than
    /// may be kept.
    #[inline(never)]
    pub(crate) fn keep(self, conn: Key, data: Data<'_>, used: usize) {
        let Self { registry, output } = self;
        let Some(socket) = registry.table.get_mut(conn) else {
            return;
        };
        let is_paused = socket.is_paused();
        let Some(stream) = socket.protocol.stream_mut() else {
            return;
        };
        let kept = stream.keep(data, used, is_paused, &mut output.storage.buffers);
        let reason = match kept {
            Ok(()) => return,
            Err(InputError::Unused { limit }) => Disconnect::UnusedInput { limit },
            Err(InputError::Overused { used, lent }) => Disconnect::OverusedInput { used, lent },
        };
        output.write(registry, conn, Protocol::terminate);
        registry.end(conn, End::Disconnect(reason));
    }
}
